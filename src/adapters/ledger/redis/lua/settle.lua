-- Commit or release, with the row that says so. Never refused for lack of money. `awaited`: its reserve was not answered, and may
-- be on its way still.
local id, released, exact, charge, row, awaited = arg(), arg() == 'release', arg() == '1', amounts(), arg(), arg() == '1'

local h = open_hold(id) or past(id)
if not h then
  if awaited then
    bar(id)
    finish()
  end
  return { 'fault', seq, 'unknown' }
elseif h.how == 'late' or (h.how == 'committed' and not released) or (h.how == 'released' and released) then
  return { 'again', seq }
elseif h.how == 'committed' or h.how == 'released' then
  return { 'fault', seq, h.how }
end

-- Without exact usage at least what is held is charged.
if not released and not exact then
  for i = 1, 4 do
    charge[i] = math.max(charge[i], h.amounts[i])
  end
end
h.awaited = awaited or nil
local word = { said = said(charge, exact), exact = exact }
local usd, tokens, known_exactly, passed = fate(word, h, h.amounts)
charge = { usd, tokens, charge[3], charge[4] }
local expired = h.how == 'expired'
tell(h, word.said)

if expired then
  adjust_event(id, 0, charge, known_exactly, 'passed', passed or '', 'why', 'late', 'row', row)
  pass(id, passed)
  recharge(id, h, 0, charge, known_exactly, nil)
else
  event(released and 'release' or 'commit', 'hold', id, 'charge', shown(charge), 'exact', yes(known_exactly), 'passed',
    passed or '', 'row', row)
  close(id, h, released and 'released' or 'committed', charge, known_exactly, passed)
end
forget(3)
finish()
return { expired and 'adjusted' or passed and 'passed' or 'done', seq }
