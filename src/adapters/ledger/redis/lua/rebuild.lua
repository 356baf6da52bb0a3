-- Empties the ledger and begins it anew behind the entry that the books end with. Its epoch ends with `!` while it is being put
-- back: only who puts back knows that epoch, so every other script is refused until `reopen`.
-- KEYS: all. ARGV: format, the new epoch, the last entry, the epoch that was found before ('' if there was none), and whose
-- books these are.
local META = KEYS[1]
local was = redis.call('HMGET', META, 'epoch', 'flagged', 'shaped', 'now', 'test_now')
if (was[1] or '') ~= ARGV[4] then
  return { 'moved', was[1] or '' }
end
redis.call('DEL', unpack(KEYS))
redis.call('HSET', META, 'format', ARGV[1], 'epoch', ARGV[2] .. '!', 'seq', ARGV[3], 'now', was[4] or '0', 'flagged',
  tostring(tonumber(was[2] or '0') + 1000), 'shaped', tostring(tonumber(was[3] or '0') + 1000), 'forgotten', ARGV[3], 'books', ARGV[5])
if was[5] then
  redis.call('HSET', META, 'test_now', was[5])
end
return { 'done', ARGV[2] .. '!' }
