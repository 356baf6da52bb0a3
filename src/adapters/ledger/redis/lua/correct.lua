-- A person's word on what an ended call cost, also long after it was forgotten: then the books say where it was charged and how
-- much, and what is still known of those accounts moves.
local id, charge, exact, act = arg(), amounts(), arg() == '1', arg()
local repeats, step, taken, facts, was = arg() == '1', number(), number(), perhaps(), amounts()
local postings = {}
for i = 1, number() do
  postings[i] = { arg(), arg(), arg(), number() }
end
if open_hold(id) then
  return { 'fault', text(seq), 'open' }
end
local h = past(id)
if repeats and (not h or h.first) then
  return { 'fault', text(seq), 'repeats' }
end
step = math.max(h and h.step or step, step) + 1
if h then
  adjust_event(id, step, charge, exact, 'act', act)
  recharge(id, h, step, charge, exact, nil)
  finish()
  return { 'done', text(seq) }
end

-- Accounts of shapes that came later: the books told these what it had cost.
local here = {}
for _, p in ipairs(postings) do
  here[p[1] .. ' ' .. text(p[4])] = true
end
for _ = 1, number() do
  local account, unit, window = arg(), arg(), arg()
  local from = begins(window)
  local place = account .. ' ' .. text(from)
  if start(window, taken) == from and not here[place] then
    here[place] = true
    postings[#postings + 1] = { account, unit, window, from }
  end
end
-- It is remembered again, so that the next correction replaces this charge, and not the old one once more.
h = { how = 'late', amounts = was, postings = postings, taken = taken, step = step - 1, facts = facts, repeats = {}, at = at,
  seq = 0, charge = was, exact = false, changes = {} }
adjust_event(id, step, charge, exact, 'act', act, 'past', shown(was), 'posted', shown_postings(postings), 'taken', text(taken),
  'facts', facts or '')
recharge(id, h, step, charge, exact, nil)
finish()
return { 'done', text(seq) }
