-- Replaces the charge of an ended hold: an operator's word, or a price that came later. Each step once.
local id, step, charge, exact, act = arg(), number(), amounts(), arg() == '1', arg()
if open_hold(id) then
  return { 'fault', text(seq), 'open' }
end
local h = past(id)
if not h then
  return { 'fault', text(seq), 'gone' }
end
if step > h.step then
  adjust_event(id, step, charge, exact, 'act', act)
  recharge(id, h, step, charge, exact, nil)
  finish()
end
return { 'done', text(seq) }
