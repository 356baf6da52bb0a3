-- What a node's slices shall be from now on, one amount each: more is lent as far as it is there and a fair share allows, and
-- less is taken back at once. The answer is also the node's heartbeat: the time, the flags if they changed, the shapes' version.
-- `back`: the ledger was put back, and what the node still may spend is held again, whether or not there is room for it.
local word, count = arg(), number()
local knows, back = tonumber(word), word == 'back'

-- A node that starts: later numbers than any that it used before, and what it was lent.
if given == 'hello' then
  sent = last + 1000000
  note_peer()
  local answer, prefix = { 'done', text(seq), text(mark), text(at), text(sent) }, node .. ' '
  local cursor = '0'
  repeat
    local page = redis.call('HSCAN', SLICES, cursor, 'COUNT', 1000)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      if string.sub(page[2][i], 1, #prefix) == prefix then
        answer[#answer + 1] = string.sub(page[2][i], #prefix + 1)
        answer[#answer + 1] = page[2][i + 1]
      end
    end
  until cursor == '0'
  return answer
end
if sent <= last then
  return late()
end

local asked, names = {}, {}
for i = 1, count do
  asked[i] = { account = arg(), window = arg(), from = number(), limit = number(), target = number() }
  names[i] = asked[i].account
end
load_accounts(names)

local RECALLED = SECOND
local nodes = math.max(1, redis.call('HLEN', NODES))
local answer = {}
for _, s in ipairs(asked) do
  local field = slice_field(s.account, s.from, s.limit)
  local before, target = lent_of(field), s.target
  local recalled = tonumber(redis.call('HGET', SLICES, '!' .. s.account) or '0') + RECALLED > at
  if target > before then
    local more = 0
    if back then
      more = target - before
    elseif s.from == begins(s.window) and not recalled then
      local left = math.max(0, s.limit - seen_cell(s.account, s.from).spent - seen_cell(s.account, s.from).held)
      more = math.min(target - before, (left - left % (2 * nodes)) / (2 * nodes))
    end
    if more > 0 then
      begin(s.account, s.window, s.from)
    end
    target = before + more
  end
  lend(field, s.account, s.from, before, target)
  local c = seen_cell(s.account, s.from)
  for _, value in ipairs({ text(target), text(c.spent), text(c.held), recalled and '1' or '0' }) do
    answer[#answer + 1] = value
  end
end
note_peer()
if back then
  redis.call('HSET', SLICES, '+' .. node, '1')
end
write_accounts()

local flagged = tonumber(redis.call('HGET', META, 'flagged') or '0')
local head = { 'done', text(seq), text(mark), text(at), text(flagged), known[5] or '0' }
for i, value in ipairs(answer) do
  head[6 + i] = value
end
if flagged ~= knows then
  for _, flag in ipairs(redis.call('SMEMBERS', FLAGS)) do
    head[#head + 1] = flag
  end
end
return head
