-- Rings the bell as a flag does, and leaves no event behind: what is measured is the way of a real revocation.
-- KEYS: meta. ARGV: set or clear, the flag, the bell. Answers the number of the change, 0 where there is no ledger.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
local number = redis.call('HINCRBY', KEYS[1], 'flagged', 1)
redis.call('PUBLISH', ARGV[3], 'flag ' .. number .. ' ' .. ARGV[1] .. ' ' .. ARGV[2])
return number
