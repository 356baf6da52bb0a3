-- Commits and releases, each with the row that says so, as if they had come one by one. Never refused for lack of money.
-- ARGV: each end as one packed value. `awaited`: its reserve was not answered, and may be on its way still.
local function settle(id, kind, exact, usd, tokens, calls, risk, row, awaited)
  local released, charge = kind == 'release', { usd, tokens, calls, risk }
  exact = exact == 1
  local h = open_hold(id) or past(id)
  if not h then
    if awaited == 1 then
      bar(id)
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
  h.awaited = awaited == 1 or nil
  local word = { said = said(charge, exact), exact = exact }
  local known_exactly, passed
  charge[1], charge[2], known_exactly, passed = fate(word, h, h.amounts)
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
  return { expired and 'adjusted' or passed and 'passed' or 'done', seq }
end

-- What they need is read at once.
local ends, ids, names = {}, {}, {}
for i = 3, #ARGV do
  local e = { cmsgpack.unpack(ARGV[i]) }
  ends[#ends + 1], ids[#ids + 1] = e, e[1]
end
load_holds(ids)
for i = 1, #ids do
  local h = holds[ids[i]]
  for _, p in ipairs(h and h.postings or {}) do
    names[#names + 1] = p[1]
  end
end
load_accounts(names)

local answers = {}
for i = 1, #ends do
  answers[i] = settle(unpack(ends[i]))
end
forget(3 * #ends)
finish()
return answers
