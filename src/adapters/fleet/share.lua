-- A key or a flag as one node says it is. A key is written once; of a flag the later word holds, and of two at one moment
-- the one that stops. The others hear of it at once. KEYS: shared. ARGV: its name, when, set (1 or 0), the record, the bell.
-- Answers 1, or 2 if the same word stands there already, or 0 if a later one does.
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known then
  local at, set = string.match(known, '^(%-?%d+) ([01]) ')
  at = tonumber(at or '0')
  if at == tonumber(ARGV[2]) and set == ARGV[3] then
    return 2
  end
  if at > tonumber(ARGV[2]) or (at == tonumber(ARGV[2]) and (set or '0') > ARGV[3]) then
    return 0
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
-- Counted, so that whoever missed the bell notices.
local number = redis.call('HINCRBY', KEYS[1], '#', 1)
redis.call('PUBLISH', ARGV[5], 'key ' .. number .. ' ' .. ARGV[1])
return 1
