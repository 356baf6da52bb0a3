-- A person's word on what an ended call cost, also long after it was forgotten: then the books say where it was charged and how
-- much, and what is still known of those accounts moves.
local id, charge, exact, act = arg(), amounts(), arg() == '1', arg()
local repeats, step, taken, was = arg() == '1', number(), number(), amounts()
local postings, names = {}, {}
for i = 1, number() do
  postings[i] = { arg(), arg(), arg(), arg() }
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
for i, p in ipairs(postings) do
  here[p[1] .. ' ' .. p[4]] = true
  names[i] = p[1]
end
for _ = 1, number() do
  local account, unit, window = arg(), arg(), arg()
  local from = text(begins(window))
  if start(window, taken) == begins(window) and not here[account .. ' ' .. from] then
    here[account .. ' ' .. from] = true
    postings[#postings + 1] = { account, unit, window, from }
    names[#names + 1] = account
  end
end
adjust_event(id, step, charge, exact, 'act', act, 'past', shown(was), 'postings', json_list(postings))
drop(id)
load_accounts(names)
for _, p in ipairs(postings) do
  local c = cell(p[1], tonumber(p[4]))
  if c then
    add(c, 0, part(p, charge) - part(p, was), 0)
    moved[p[1]] = true
  end
end
finish()
return { 'done', text(seq) }
