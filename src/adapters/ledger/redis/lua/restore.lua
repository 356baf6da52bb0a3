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
event('reserve', 'amounts', shown(held), 'posted', shown_postings(postings), 'lease', text(at + LEASE), 'fitted',
  fitted or '', 'replay', key or '', 'repeats', first_id or '', 'caps', '', 'would', '', 'row', row)
for _, p in ipairs(postings) do
  add(begin(p[1], p[3], p[4]), part(p, held), 0, 1)
end
put(id, { how = 'open', amounts = held, postings = postings, taken = taken, fitted = tonumber(fitted or ''), step = 0,
  facts = facts, key = key, first = first and first_id or nil, repeats = {} })
if first then
  first.repeats[#first.repeats + 1] = id
  first.repeated = true
  put(first_id, first)
elseif key and not redis.call('HGET', REPLAYS, key) then
  redis.call('HSET', REPLAYS, key, id)
end
leased[id] = at + LEASE
finish()
return { 'done', text(seq) }
