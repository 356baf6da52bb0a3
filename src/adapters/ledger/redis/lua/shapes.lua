-- The time, the version of the declared shapes, and each shape with the nodes that want it. Writes nothing.
local answer = { 'done', text(seq), text(at), known[5] or '0' }
for i, value in ipairs(redis.call('HGETALL', SHAPES)) do
  answer[i + 4] = value
end
return answer
