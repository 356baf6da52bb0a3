-- Reserve: kill flags first, then every limit, then all accounts at once, or none.
-- KEYS: meta, flags, events, hold, leases, then the accounts. ARGV: see `encode.rs`.
local meta, flags, events, hold, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local FIRST_ACCOUNT = 5

local at_arg = 0
local function arg()
  at_arg = at_arg + 1
  return ARGV[at_arg]
end
local function number()
  return tonumber(arg())
end

local id, row, lease, names = arg(), arg(), number(), arg()

local known = redis.call('HMGET', hold, 'state', 'usd', 'tokens', 'calls', 'risk', 'fitted')
if known[1] == 'open' then
  return { 'held', known[2], known[3], known[4], known[5], known[6], '', '0', '0', '0', text(now(meta)) }
elseif known[1] then
  return { 'ended' }
end

for _ = 1, number() do
  local flag = arg()
  if redis.call('SISMEMBER', flags, flag) == 1 then
    return { 'killed', flag }
  end
end

-- The need: `usd` in micro-cents and a rest in pico-dollars below one of them.
local usd, usd_rest, tokens, calls, risk = number(), number(), number(), number(), number()
local fits, rate, rate_rest, rate_tokens = number() == 1, number(), number(), number()
local floor, want, share = number(), number(), number()

local PICO = 10000
local function money(n)
  local rest = usd_rest + rate_rest * n
  local whole = (rest - rest % PICO) / PICO
  if rest % PICO > 0 then
    whole = whole + 1
  end
  return math.min(MAX, usd + rate * n + whole)
end
local function need(unit, n)
  if unit == 'usd' then
    return money(n)
  elseif unit == 'tokens' then
    return math.min(MAX, tokens + rate_tokens * n)
  elseif unit == 'calls' then
    return calls
  end
  return risk
end

-- The largest limit from the floor up whose bound fits into the room. Exact: it compares bounds and divides nothing.
local function largest(unit, room)
  local low, high = floor, want
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

local at = now(meta)
local lines, granted = {}, want
local short, would = nil, nil
for i = 1, number() do
  local line = { key = KEYS[FIRST_ACCOUNT + number()], unit = arg(), window = arg(), limit = number(), enforce = arg() == '1' }
  line.from = start(line.window, at)
  line.spent, line.held = cell(line.key, line.from)
  lines[i] = line
  if line.limit >= 0 then
    local least, left = need(line.unit, floor), math.max(0, line.limit - line.spent - line.held)
    if least > left then
      local cause = line.spent + least > line.limit and 'spent' or 'held'
      local refusal = { i - 1, cause, line.spent, line.held, least }
      if line.enforce then
        if not short or (short[2] == 'held' and cause == 'spent') then
          short = refusal
        end
      elseif not would or (would[2] == 'held' and cause == 'spent') then
        would = refusal
      end
    elseif fits and line.enforce then
      local part = (left * share - left * share % 100) / 100
      if left > MAX / 100 then
        part = math.floor(left / 100) * share
      end
      granted = math.min(granted, largest(line.unit, math.min(left, math.max(least, part))))
    end
  end
end
if short then
  return { 'short', text(short[1]), short[2], text(short[3]), text(short[4]), text(short[5]), text(at) }
end

-- Everything fits: from here on there are only writes.
local amounts = { usd = need('usd', granted), tokens = need('tokens', granted), calls = calls, risk = risk }
local postings, counted = {}, {}
for _, line in ipairs(lines) do
  if not counted[line.key] then
    counted[line.key] = true
    table.insert(postings, { line.unit, text(line.from) })
    redis.call('HINCRBY', line.key, text(line.from) .. ':h', text(amounts[line.unit]))
  end
end
local fitted = fits and text(granted) or ''
redis.call('HSET', hold, 'state', 'open', 'usd', text(amounts.usd), 'tokens', text(amounts.tokens), 'calls', text(calls),
  'risk', text(risk), 'fitted', fitted, 'taken', text(at), 'accounts', names, 'postings', cjson.encode(postings))
redis.call('ZADD', leases, text(at + lease), id)
event(meta, events, at, 'op', 'reserve', 'hold', id, 'usd', text(amounts.usd), 'tokens', text(amounts.tokens), 'calls',
  text(calls), 'risk', text(risk), 'fitted', fitted, 'row', row)
local seen = would or { -1, '', 0, 0, 0 }
return { 'held', text(amounts.usd), text(amounts.tokens), text(calls), text(risk), fitted, seen[1] >= 0 and text(seen[1]) or '',
  text(seen[3]), text(seen[4]), text(seen[5]), text(at) }
