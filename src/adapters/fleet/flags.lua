-- Every flag that is set, with the number of the last change, in one look. KEYS: meta, flags.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'flagged')
local answer = redis.call('SMEMBERS', KEYS[2])
table.insert(answer, 1, known[2] or '0')
table.insert(answer, 1, known[1] or '')
return answer
