-- A hold that was acknowledged and lost: taken again as it was, without asking for room, since the money may be spent. Nothing
-- happens if it is there, or was put back before and has ended since.
local id, row, facts, key, first_id = arg(), arg(), perhaps(), perhaps(), perhaps()
local held, fitted, taken = amounts(), perhaps(), number()
local postings, names = {}, {}
for i = 1, number() do
  postings[i] = { arg(), arg(), arg(), number() }
  names[i] = postings[i][1]
end
if hold(id) or put_back_before(id) then
  return { 'again', text(seq) }
end
load_accounts(names)
local first = first_id and hold(first_id)
-- Nodes put back their parts in any order: of repeats that came before their first call, one stands under the key meanwhile, and
-- has the others.
local early_id = key and redis.call('HGET', REPLAYS, key)
local early = early_id and hold(early_id)
local waiting = {}
if early and not first_id and early.first == id then
  for _, other in ipairs({ early_id, unpack(early.repeats) }) do
    waiting[#waiting + 1] = open_hold(other) and other or nil
  end
  early.repeats = {}
  put(early_id, early)
end
event('reserve', 'amounts', shown(held), 'posted', shown_postings(postings), 'lease', text(at + LEASE), 'fitted',
  fitted or '', 'replay', key or '', 'repeats', first_id or '', 'caps', '', 'would', '', 'row', row)
for _, p in ipairs(postings) do
  add(begin(p[1], p[3], p[4]), part(p, held), 0, 1)
end
put(id, { how = 'open', amounts = held, postings = postings, taken = taken, fitted = tonumber(fitted or ''), step = 0,
  facts = facts, key = key, first = first_id, repeats = waiting, repeated = #waiting > 0 or nil })
if first then
  first.repeats[#first.repeats + 1] = id
  first.repeated = true
  put(first_id, first)
elseif early and first_id and early.first == first_id then
  early.repeats[#early.repeats + 1] = id
  put(early_id, early)
elseif key and (not early_id or #waiting > 0) then
  redis.call('HSET', REPLAYS, key, id)
end
leased[id] = at + LEASE
finish()
return { 'done', text(seq) }
