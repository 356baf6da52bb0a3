-- What a node did alone, told in the order of its journal: slice money becomes holds and charges, with the events that a
-- reserve and an end would have written. A batch is done once: a message that is not newer than the last changes nothing.
local shaped, upto, count = number(), number(), number()
if sent <= last then
  return late()
end
-- Shapes that the node does not know of: what it began before they were declared would not count on them.
if tonumber(known[5] or '0') ~= shaped then
  return { 'shapes', text(seq) }
end

local function read_takes(into)
  into.takes = {}
  for i = 1, number() do
    into.takes[i] = { account = arg(), from = number(), limit = number(), amount = number() }
  end
end

local function read_begin(item)
  item.row, item.facts, item.amounts, item.fitted, item.postings = arg(), perhaps(), amounts(), perhaps(), {}
  for i = 1, number() do
    item.postings[i] = { arg(), arg(), arg(), number() }
  end
  read_takes(item)
end

local function read_end(item)
  item.how, item.exact, item.charge, item.closing = arg(), arg() == '1', amounts(), arg()
end

local items, names = {}, {}
for i = 1, count do
  local item = { what = arg(), id = arg(), awaited = arg() == '1' }
  if item.what ~= 'end' then
    read_begin(item)
    for _, p in ipairs(item.postings) do
      names[#names + 1] = p[1]
    end
    for _, t in ipairs(item.takes) do
      names[#names + 1] = t.account
    end
  end
  if item.what ~= 'open' then
    read_end(item)
  end
  items[i] = item
end
load_accounts(names)

-- A hold that is there already was taken by a reserve whose answer was lost: it is the same call, and holds its own money.
local function take(item)
  if open_hold(item.id) or past(item.id) then
    return
  end
  item.begun = seq + 1
  for _, p in ipairs(item.postings) do
    add(begin(p[1], p[3], p[4]), part(p, item.amounts), 0, 1)
  end
  event('reserve', 'amounts', shown(item.amounts), 'posted', shown_postings(item.postings), 'lease',
    text(at + LEASE), 'fitted', item.fitted or '', 'replay', '', 'repeats', '', 'caps', '', 'would', '', 'row', item.row)
  put(item.id, { how = 'open', amounts = item.amounts, postings = item.postings, taken = at,
    fitted = tonumber(item.fitted or ''), step = 0, facts = item.facts, repeats = {}, awaited = item.awaited or nil })
  ended[item.id], leased[item.id] = false, at + LEASE
  for _, t in ipairs(item.takes) do
    local field = slice_field(t.account, t.from, t.limit)
    local before = lent_of(field)
    lend(field, t.account, t.from, before, math.max(0, before - t.amount))
  end
end

-- As `settle` does. A hold that was given up here, because nobody knew that the call went on, is charged all the same.
local function finish_hold(item)
  local id, h = item.id, open_hold(item.id) or past(item.id)
  local released = item.how == 'release'
  local given_up = h and h.how == 'released' and not released
  if not h and released then
    return bar(id)
  elseif not h or (h.how ~= 'open' and h.how ~= 'expired' and not given_up) then
    return
  elseif item.how == 'expire' then
    return h.how == 'open' and lapse(id, h)
  end
  local _, _, entry = conclude(id, h, released, item.exact, item.charge, item.closing)
  item.ended = entry
end

for _, item in ipairs(items) do
  if item.what ~= 'end' then
    take(item)
  end
  if item.what ~= 'open' then
    finish_hold(item)
  end
end
mark = math.max(mark, upto)
note_peer()
forget(2 * count)
finish()

-- Which entry says each beginning and end, 0 where there was nothing to do; then what the slices are that the node asks for.
local answer = { 'done', text(seq), text(mark), text(at) }
for _, item in ipairs(items) do
  answer[#answer + 1] = text(item.begun or 0)
  answer[#answer + 1] = text(item.ended or 0)
end
for _ = 1, number() do
  answer[#answer + 1] = text(lent_of(slice_field(arg(), number(), number())))
end
return answer
