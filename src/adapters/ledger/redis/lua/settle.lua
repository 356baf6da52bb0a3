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

  h.awaited = awaited == 1 or nil
  local late, passed = conclude(id, h, released, exact, charge, row)
  return { late and 'adjusted' or passed and 'passed' or 'done', seq }
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
