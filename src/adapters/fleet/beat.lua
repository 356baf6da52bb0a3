-- One heartbeat: this node is alive, has obeyed so many flags, and may admit on its own so long after this moment. Nodes
-- that have long been silent are struck off. KEYS: meta, nodes, shared.
-- ARGV: the node, flags obeyed, its right in microseconds, how long the silent are kept, the rest of its entry (JSON without
-- the opening brace), and the ledger whose flags it obeyed. Answers: epoch, flags changed so far, keys changed so far, the time, then all entries.
local meta, nodes, shared = KEYS[1], KEYS[2], KEYS[3]
local t = redis.call('TIME')
local at = tonumber(t[1]) * 1000000 + tonumber(t[2])
local function text(n)
  return string.format('%.0f', n)
end
local known = redis.call('HMGET', meta, 'epoch', 'flagged')
-- A number of another ledger, which was lost, says nothing about this one's.
local obeyed = ARGV[6] == (known[1] or '') and ARGV[2] or '0'
-- Written by hand: the encoder would round times of sixteen digits.
redis.call('HSET', nodes, ARGV[1], '{"at":' .. text(at) .. ',"right_ends":' .. text(at + tonumber(ARGV[3]))
  .. ',"obeyed":' .. obeyed .. ',' .. ARGV[5])
local answer = { known[1] or '', known[2] or '0', redis.call('HGET', shared, '#') or '0', text(at) }
local all = redis.call('HGETALL', nodes)
for i = 1, #all, 2 do
  local read, entry = pcall(cjson.decode, all[i + 1])
  local when = read and type(entry) == 'table' and tonumber(entry.at) or 0
  local ends = when > 0 and tonumber(entry.right_ends) or 0
  if at - when > tonumber(ARGV[4]) and ends <= at then
    redis.call('HDEL', nodes, all[i])
  else
    answer[#answer + 1] = all[i + 1]
  end
end
return answer
