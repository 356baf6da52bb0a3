-- How holds end, and what calls under one replay key tell each other of the money that they share: what any of them said
-- exactly is the charge; otherwise the bound, if any may have been served; otherwise nothing, but while a repeat is still open
-- the money goes over to it. Evidence is { usd, tokens, exact }.

-- An exact zero says nothing of the others: the vendor may have refused this one alone.
local function said(charge, exact)
  if not exact or charge[1] > 0 or charge[2] > 0 then
    return { charge[1], charge[2], exact }
  end
end

-- Exact beats a bound; of two alike the larger counts, so that the order does not matter.
local function merge(a, b)
  if not a or not b then
    return a or b
  end
  if a[3] ~= b[3] then
    return a[3] and a or b
  end
  return { math.max(a[1], b[1]), math.max(a[2], b[2]), a[3] }
end

local function same(a, b)
  if not a or not b then
    return not a and not b
  end
  return a[1] == b[1] and a[2] == b[2] and a[3] == b[3]
end

local function yes(flag)
  return flag and '1' or '0'
end

local function shown_evidence(e)
  return e and format('%d %d %s', e[1], e[2], yes(e[3])) or ''
end

-- What becomes of a call's money when it ends: usd, tokens, whether that is exact, and the open repeat that it goes over to.
local function fate(word, h, bound)
  if h.first then
    return 0, 0, word.exact, nil
  end
  local e = merge(word.said, h.heard)
  if not e then
    return 0, 0, true, h.repeats[1]
  elseif e[3] then
    return e[1], e[2], true, nil
  end
  return math.max(e[1], bound[1]), math.max(e[2], bound[2]), false, nil
end

-- The money of a call goes over to an open repeat, in the windows where it was taken.
local function pass(from_id, to_id)
  local from, heir = to_id and hold(from_id), to_id and open_hold(to_id)
  if not from or not heir then
    return
  end
  load_postings(from)
  for _, p in ipairs(from.postings) do
    local c = is_money(p) and cell(p[1], p[4])
    if c then
      add(c, part(p, from.amounts), 0, 1)
      moved[p[1]] = true
      heir.postings[#heir.postings + 1] = p
    end
  end
  heir.amounts[1], heir.amounts[2] = from.amounts[1], from.amounts[2]
  local rest = {}
  for _, id in ipairs(from.repeats) do
    if id ~= to_id then
      rest[#rest + 1] = id
      local h = hold(id)
      if h and h.key then
        h.first = to_id
        put(id, h)
      end
    end
  end
  from.repeats = {}
  put(from_id, from)
  if heir.key then
    if redis.call('HGET', REPLAYS, heir.key) == from_id then
      redis.call('HSET', REPLAYS, heir.key, to_id)
    end
    heir.first, heir.repeats, heir.repeated, heir.inherited = nil, rest, true, true
  end
  put(to_id, heir)
end

-- A repeat has ended. What it expired with may still be corrected, so the first is remembered as long as the repeat.
local function leave(first_id, id)
  local first = hold(first_id)
  if not first then
    return
  end
  local rest = {}
  for _, other in ipairs(first.repeats) do
    if other ~= id then
      rest[#rest + 1] = other
    end
  end
  first.repeats = rest
  if first.how ~= 'open' then
    first.at = at
  end
  put(first_id, first)
end

-- An exact charge is nobody's to share: the next call under the key reserves anew. A charge of nothing, such as a conflict,
-- says nothing of what another call under the key may do.
local function unkey(id, h)
  if not h.key or not h.exact then
    return
  end
  if h.charge[1] > 0 or h.charge[2] > 0 then
    redis.call('ZADD', PAID, text(h.taken + REPLAY), h.key)
  end
  if redis.call('HGET', REPLAYS, h.key) == id then
    redis.call('HDEL', REPLAYS, h.key)
  end
end

local function keep(id, h)
  ended[id] = forget_at(h)
  unkey(id, h)
  put(id, h)
end

local function close(id, h, how, charge, exact, passed)
  pass(id, passed)
  load_postings(h)
  for _, p in ipairs(h.postings) do
    local c = cell(p[1], p[4])
    if c then
      add(c, -part(p, h.amounts), charged(p, charge), -1)
      moved[p[1]] = true
      local account = accounts[p[1]]
      if c.open == 0 and c ~= account[1] then
        for i = #account, 2, -1 do
          if account[i].open == 0 then
            table.remove(account, i)
          end
        end
      end
    end
  end
  if h.first then
    leave(h.first, id)
  end
  leased[id] = false
  h.how, h.at, h.seq, h.charge, h.exact, h.step, h.changes = how, at, seq, charge, exact, 0, {}
  keep(id, h)
end

-- The charge of an ended hold from now on. `heard` is what a repeat said, if that is why: it leaves open how this call itself
-- ended; any other word is the last one.
local function recharge(id, h, step, charge, exact, heard)
  load_postings(h)
  for _, p in ipairs(h.postings) do
    local c = cell(p[1], p[4])
    if c then
      add(c, 0, charged(p, charge) - charged(p, h.charge), 0)
      moved[p[1]] = true
    end
  end
  h.changes[#h.changes + 1] = { seq, h.charge }
  h.charge, h.exact, h.step, h.at = charge, exact, math.max(h.step, step), at
  if not heard then
    h.how = 'late'
  end
  h.heard = heard and h.key and merge(h.heard, heard) or nil
  keep(id, h)
end

local function hear(id, h, evidence)
  event('hear', 'hold', id, 'heard', shown_evidence(evidence))
  h.heard = h.key and merge(h.heard, evidence)
  put(id, h)
end

local function adjust_event(id, step, charge, exact, ...)
  return event('adjust', 'hold', id, 'step', text(step), 'charge', shown(charge), 'exact', yes(exact), ...)
end

-- The first call is ended: its charge is replaced if this says more than was known. If its hold had expired, its own end may
-- still come, and must then know what was said here.
local function retell(id, h, evidence)
  local before = said(h.charge, h.exact)
  local now = merge(before, evidence)
  if not same(before, now) then
    local charge = { now[1], now[2], h.charge[3], h.charge[4] }
    adjust_event(id, 0, charge, now[3], 'heard', shown_evidence(evidence), 'why', 'told')
    recharge(id, h, 0, charge, now[3], evidence)
  elseif h.how == 'expired' and not same(merge(h.heard, evidence), h.heard) then
    hear(id, h, evidence)
  end
end

-- Lets the call that this one repeats know what it said.
local function tell(h, evidence)
  if not h.first or not evidence then
    return
  end
  local first = open_hold(h.first)
  if first then
    if not same(merge(first.heard, evidence), first.heard) then
      hear(h.first, first, evidence)
    end
  elseif past(h.first) then
    retell(h.first, hold(h.first), evidence)
  end
end

-- A call has ended, and so does its hold, or what it expired with is corrected. Without exact usage at least what is held is
-- charged. Says whether it had expired, the call that its money went over to, and the number of its event.
local function conclude(id, h, released, exact, charge, row)
  if not released and not exact then
    for i = 1, 4 do
      charge[i] = math.max(charge[i], h.amounts[i])
    end
  end
  local word, over = { said = said(charge, exact), exact = exact }, h.how ~= 'open'
  local known_exactly, passed, entry
  charge[1], charge[2], known_exactly, passed = fate(word, h, h.amounts)
  tell(h, word.said)
  if over then
    entry = adjust_event(id, 0, charge, known_exactly, 'passed', passed or '', 'why', 'late', 'row', row)
    pass(id, passed)
    recharge(id, h, 0, charge, known_exactly, nil)
  else
    entry = event(released and 'release' or 'commit', 'hold', id, 'charge', shown(charge), 'exact', yes(known_exactly),
      'passed', passed or '', 'row', row)
    close(id, h, released and 'released' or 'committed', charge, known_exactly, passed)
  end
  return over, passed, entry
end

-- Nobody ended it in time: it is charged in full.
local function lapse(id, h)
  local word = { said = said(h.amounts, false), exact = false }
  local usd, tokens, exact, passed = fate(word, h, h.amounts)
  local charge = { usd, tokens, h.amounts[3], h.amounts[4] }
  tell(h, word.said)
  event('expire', 'hold', id, 'charge', shown(charge), 'exact', yes(exact))
  close(id, h, 'expired', charge, exact, passed)
end
