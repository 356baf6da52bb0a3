-- Whether this node wants a shape. One that is there keeps the names of those that want it; one that nobody wants any more goes.
-- Its accounts stay, as keys with budgets of their own may count on them.
local node, wants, shape = arg(), arg() == '1', arg()
local names = redis.call('HGET', SHAPES, shape)
if not names then
  return { wants and 'new' or 'done', text(seq) }
end
local kept = {}
for _, name in ipairs(cjson.decode(names)) do
  if name ~= node then
    kept[#kept + 1] = name
  end
end
if wants then
  kept[#kept + 1] = node
end
if #kept > 0 then
  redis.call('HSET', SHAPES, shape, cjson.encode(kept))
else
  event('undeclare', 'shape', shape)
  redis.call('HDEL', SHAPES, shape)
  redis.call('HINCRBY', META, 'shaped', 1)
  write_meta()
end
return { 'done', text(seq) }
