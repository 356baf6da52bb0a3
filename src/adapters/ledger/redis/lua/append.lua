-- Appends a refused call or a control change. A flag is set or cleared in the same step, and the bell rings. What is put back
-- has a mark, and is appended once, whoever puts it back.
local op, row, what, flag, bell, mark = arg(), arg(), arg(), arg(), arg(), perhaps()
if mark and put_back_before(mark) then
  return { 'again', text(seq) }
end
event(op, 'row', row)
if what ~= '' then
  redis.call(what == 'set' and 'SADD' or 'SREM', FLAGS, flag)
  local n = redis.call('HINCRBY', META, 'flagged', 1)
  redis.call('PUBLISH', bell, 'flag ' .. text(n) .. ' ' .. what .. ' ' .. flag)
end
write_meta()
return { 'done', text(seq) }
