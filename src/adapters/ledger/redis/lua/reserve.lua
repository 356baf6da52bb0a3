-- Reserve, for the calls that came together: each is decided after the other, as if they had come one by one. Kill flags
-- first, then every rate, then every limit, then all accounts at once, or none. What they hold is written at the end.
-- ARGV: each ask as one packed value, which `ask` reads.
local id, shaped, row, facts, key
-- The lines stand among the values of the ask, and after them its rates.
local lines, first, cells, rated
-- The need: money in micro-cents, and a rest in pico-dollars below one of them.
local usd, usd_rest, tokens, calls, risk, fits, rate, rate_rest, rate_tokens, lowest, want, share

-- Where the flags of an ask stand; its lines come after them.
local FLAGGED = 18

-- Of the flags that are asked about, those that are set.
local set = {}

local PICO = 10000
local function need(unit, n)
  if unit == 'usd' then
    local rest = usd_rest + rate_rest * n
    local part = rest % PICO
    return usd + rate * n + (rest - part) / PICO + (part > 0 and 1 or 0)
  elseif unit == 'tokens' then
    return tokens + rate_tokens * n
  end
  return unit == 'calls' and calls or risk
end

-- By unit: what the smallest and the largest answer need.
local least_of, most_of = {}, {}
local function reckon()
  for unit in pairs(UNITS) do
    least_of[unit], most_of[unit] = min(MAX, need(unit, lowest)), need(unit, want)
  end
end

-- The largest limit from the lowest up whose bound fits into the room: it compares bounds and divides nothing.
local function largest(unit, room)
  if most_of[unit] <= room then
    return want
  end
  local low, high = min(lowest, want), want - 1
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if need(unit, middle) <= room then
      low = middle
    else
      high = middle - 1
    end
  end
  return low
end

-- So many percent, without a product beyond 2^53.
local function share_of(left)
  local rest = left % 100
  return (left - rest) / 100 * share + floor(rest * share / 100)
end

-- The hold is there already.
local function again(was)
  local a = was.amounts
  local answer = { 'again', seq, at, a[1], a[2], a[3], a[4], was.fitted or '', was.first or '', '0' }
  put_tightest(answer, lines, first, cells, 0)
  return answer
end

-- The first refusal that counts and the first that is only noted, and the output limits that every account bears.
local function judge()
  local granted, would_grant, short, would = want, want, nil, nil
  for k = 1, #cells do
    local i = first + LINE * (k - 1)
    local limit = lines[i + 4]
    if limit >= 0 then
      local unit, c, enforce = lines[i + 2], cells[k], lines[i + 5] == 1
      local least, left = least_of[unit], left_of(limit, c)
      if least > left then
        local found = refusal(k, limit, c.spent, c.held, least)
        if enforce then
          short = prefer(short, found)
        else
          would = prefer(would, found)
        end
      elseif fits then
        local n = largest(unit, min(left, max(least, share_of(left))))
        would_grant = min(would_grant, n)
        if enforce then
          granted = min(granted, n)
        end
      end
    end
  end
  return short, would, granted, would_grant
end

-- What is lent to nodes may be what stands in the way: they give back what they do not use.
local function recall(short)
  local account = lines[first + LINE * short.line + 1]
  if short.cause == 'held' and redis.call('HEXISTS', SLICES, '@' .. account) == 1 then
    redis.call('HSET', SLICES, '!' .. account, at_text)
  end
end

-- An account in its running window. Nothing changes a posting, so the holds of this run share them.
local shared = {}
local function posting(name, unit, window)
  shared[name] = shared[name] or { name, unit, window, begins(window) }
  return shared[name]
end

-- Each account once; a repeat counts on those of calls and risk alone. Nothing if one cannot count so far.
local function posted(held, repeats)
  local postings, counted = {}, {}
  for k = 1, #cells do
    local i = first + LINE * (k - 1)
    local name, unit, c = lines[i + 1], lines[i + 2], cells[k]
    if not counted[name] and (not repeats or unit == 'calls' or unit == 'risk') then
      counted[name] = true
      postings[#postings + 1] = posting(name, unit, lines[i + 3])
      if c.spent + c.held + held[UNITS[unit]] > MAX then
        return nil
      end
    end
  end
  return postings
end

local LEASED, LEASED_TEXT = at + LEASE, text(at + LEASE)
local function take_event(held, postings, fitted, first_id, caps, note, moves)
  event('reserve', 'rates', #moves > 0 and cjson.encode(moves) or '', 'amounts', shown(held), 'posted',
    shown_postings(postings), 'lease', LEASED_TEXT, 'fitted', fitted and text(fitted) or '', 'replay', key or '',
    'repeats', first_id or '', 'caps', caps, 'would', note, 'row', row)
end

-- What would have refused the call, if that were enforced.
local function noted(would, would_limit)
  if would_limit then
    return 'rate_limited: ' .. would_limit.rule
  elseif would then
    return (would.cause == 'spent' and 'budget_spent: ' or 'budget_held: ') .. lines[first + LINE * would.line + 6]
  end
  return ''
end

local function take(held, postings, fitted, first_id, original)
  for i = 1, #postings do
    local p = postings[i]
    local c = begin(p[1], p[3], p[4])
    -- `posted` has seen that it can count so far.
    c.held, c.open = c.held + held[UNITS[p[2]]], c.open + 1
  end
  if holds[id] then
    ended[id] = false
  end
  put(id, { how = 'open', amounts = held, postings = postings, taken = at, fitted = fitted, step = 0, facts = facts,
    key = key, first = first_id, repeats = {} })
  if original then
    original.repeats[#original.repeats + 1] = id
    original.repeated = true
    put(first_id, original)
  elseif key then
    redis.call('HSET', REPLAYS, key, id)
  end
  leased[id] = LEASED
end

local function reserve()
  local limited, would_limit, moves = judge_rates(lines, rated)
  if limited then
    return limited
  end
  -- A repeat needs calls and risk alone: the first call holds the money, and named the output limit.
  local first_id, original = first_of(key)
  if original then
    usd, usd_rest, tokens, fits, rate, rate_rest, rate_tokens, lowest, want = 0, 0, 0, false, 0, 0, 0, 0, 0
  end
  reckon()
  local short, would, granted, would_grant = judge()
  if short then
    recall(short)
    return short_answer(short)
  end
  local held = { min(MAX, need('usd', granted)), min(MAX, need('tokens', granted)), calls, risk }
  local postings = posted(held, original)
  if not postings then
    return { 'fault', seq, 'large' }
  end
  local tightest = {}
  put_tightest(tightest, lines, first, cells, held[1])
  local fitted = nil
  if original then
    fitted = original.fitted
  elseif fits then
    fitted = granted
  end
  local caps = granted < want and 'yes' or would_grant < want and 'would' or ''
  take_event(held, postings, fitted, first_id, caps, noted(would, would_limit), moves)
  take(held, postings, fitted, first_id, original)
  move_cells(moves)
  local paid = key and tonumber(redis.call('ZSCORE', PAID, key) or '0') > at
  local answer = { 'held', seq, at, held[1], held[2], held[3], held[4], fitted or '', first_id or '', paid and '1' or '0',
    unpack(tightest) }
  if would_limit then
    local n = #answer
    answer[n + 1], answer[n + 2], answer[n + 3] = 'rate', would_limit.index, would_limit.wait
  end
  if would then
    put_refusal(answer, would)
  end
  return answer
end

local function ask(a)
  id, shaped, row, facts, key = a[1], a[2], a[3], a[4] ~= '' and a[4] or nil, a[5] ~= '' and a[5] or nil
  usd, usd_rest, tokens, calls, risk, fits = a[6], a[7], a[8], a[9], a[10], a[11] == 1
  rate, rate_rest, rate_tokens, lowest, want, share = a[12], a[13], a[14], a[15], a[16], a[17]
  lines, first = a, FLAGGED + a[FLAGGED] + 1
  rated = first + LINE * a[first] + 1
  cells = read_cells(lines, first)
  local was = hold(id)
  if was and was.how == 'open' then
    return again(was)
  elseif past(id) then
    return { 'fault', seq, 'ended' }
  end
  for i = FLAGGED + 1, FLAGGED + a[FLAGGED] do
    if set[a[i]] then
      return { 'killed', seq, a[i] }
    end
  end
  -- Shapes that the node does not know of: its calls would not count on them.
  if tonumber(known[5] or '0') ~= shaped then
    return { 'shapes', seq }
  end
  return reserve()
end

-- What they need is read at once.
local asks, ids, names, flags, rates = {}, {}, {}, {}, {}
for i = 3, #ARGV do
  local a = { cmsgpack.unpack(ARGV[i]) }
  asks[#asks + 1], ids[#ids + 1] = a, a[1]
  local place = FLAGGED + a[FLAGGED] + 1
  note_firsts(a, place, LINE, names)
  note_cells(a, place + LINE * a[place] + 1, rates)
  for k = FLAGGED + 1, FLAGGED + a[FLAGGED] do
    if set[a[k]] == nil then
      set[a[k]], flags[#flags + 1] = false, a[k]
    end
  end
end
load_holds(ids)
load_accounts(names)
load_cells(rates)
for i = 1, #flags, 1000 do
  for k, is_set in ipairs(redis.call('SMISMEMBER', FLAGS, unpack(flags, i, min(i + 999, #flags)))) do
    set[flags[i + k - 1]] = is_set == 1
  end
end

local answers = {}
for i = 1, #asks do
  answers[i] = ask(asks[i])
end
write_cells()
finish()
return answers
