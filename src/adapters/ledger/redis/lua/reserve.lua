-- Reserve: kill flags first, then every rate, then every limit, then all accounts at once, or none.
local id, shaped, row, facts, key = arg(), number(), arg(), perhaps(), perhaps()
local flags = {}
for i = 1, number() do
  flags[i] = arg()
end
-- The need: money in micro-cents, and a rest in pico-dollars below one of them.
local usd, usd_rest, tokens, calls, risk = number(), number(), number(), number(), number()
local fits, rate, rate_rest, rate_tokens = arg() == '1', number(), number(), number()
local floor, want, share = number(), number(), number()
local lines = read_lines()

local was = hold(id)
if was and was.how == 'open' then
  local a = was.amounts
  local answer = { 'again', seq, at, a[1], a[2], a[3], a[4], was.fitted or '', was.first or '', '0' }
  put_tightest(answer, lines, 0)
  return answer
elseif past(id) then
  return { 'fault', seq, 'ended' }
end
if #flags > 0 then
  for i, set in ipairs(redis.call('SMISMEMBER', FLAGS, unpack(flags))) do
    if set == 1 then
      return { 'killed', seq, flags[i] }
    end
  end
end
-- Shapes that the node does not know of: its calls would not count on them.
if tonumber(known[5] or '0') ~= shaped then
  return { 'shapes', seq }
end

local limited, would_limit, moves = judge_rates()
if limited then
  return limited
end

-- A repeat needs calls and risk alone: the first call holds the money, and named the output limit.
local first_id, first = first_of(key)
if first then
  usd, usd_rest, tokens, fits, rate, rate_rest, rate_tokens, floor, want = 0, 0, 0, false, 0, 0, 0, 0, 0
end

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
local function bound(unit, n)
  return math.min(MAX, need(unit, n))
end

-- The largest limit from the floor up whose bound fits into the room: it compares bounds and divides nothing.
local function largest(unit, room)
  local low, high = math.min(floor, want), want
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
  return (left - rest) / 100 * share + math.floor(rest * share / 100)
end

local granted, would_grant, short, would = want, want, nil, nil
for i, line in ipairs(lines) do
  if line.limit >= 0 then
    local least, left = bound(line.unit, floor), left_of(line.limit, line.cell)
    if least > left then
      local found = refusal(i, line.limit, line.cell.spent, line.cell.held, least)
      if line.enforce then
        short = prefer(short, found)
      else
        would = prefer(would, found)
      end
    elseif fits then
      local n = largest(line.unit, math.min(left, math.max(least, share_of(left))))
      would_grant = math.min(would_grant, n)
      if line.enforce then
        granted = math.min(granted, n)
      end
    end
  end
end
if short then
  -- What is lent to nodes may be what stands in the way: they give back what they do not use.
  local account = lines[short.line + 1].name
  if short.cause == 'held' and redis.call('HEXISTS', SLICES, '@' .. account) == 1 then
    redis.call('HSET', SLICES, '!' .. account, text(at))
    redis.call('PUBLISH', string.gsub(META, 'meta$', 'bell'), 'recall ' .. account)
  end
  return short_answer(short)
end

local held = { bound('usd', granted), bound('tokens', granted), calls, risk }
local postings, counted = {}, {}
for _, line in ipairs(lines) do
  if not counted[line.name] and (not first or line.unit == 'calls' or line.unit == 'risk') then
    counted[line.name] = true
    postings[#postings + 1] = { line.name, line.unit, line.window, text(line.from) }
    if line.cell.spent + line.cell.held + held[UNITS[line.unit]] > MAX then
      return { 'fault', seq, 'large' }
    end
  end
end

local tightest = {}
put_tightest(tightest, lines, held[1])

-- Everything fits: from here on there are only writes.
local fitted = nil
if first then
  fitted = first.fitted
elseif fits then
  fitted = granted
end
local note = ''
if would then
  note = (would.cause == 'spent' and 'budget_spent: ' or 'budget_held: ') .. lines[would.line + 1].rule
end
if would_limit then
  note = 'rate_limited: ' .. would_limit.rule
end
event('reserve', 'rates', #moves > 0 and cjson.encode(moves) or '', 'amounts', shown(held), 'postings', json_list(postings), 'lease', text(at + LEASE), 'fitted',
  fitted and text(fitted) or '', 'replay', key or '', 'repeats', first_id or '', 'caps', granted < want and 'yes'
  or would_grant < want and 'would' or '', 'would', note, 'row', row)

for _, p in ipairs(postings) do
  p[4] = tonumber(p[4])
  add(begin(p[1], p[3], p[4]), part(p, held), 0, 1)
end
put(id, { how = 'open', amounts = held, postings = postings, taken = at, fitted = fitted, step = 0, facts = facts, key = key,
  first = first_id, repeats = {} })
if first then
  first.repeats[#first.repeats + 1] = id
  first.repeated = true
  put(first_id, first)
elseif key then
  redis.call('HSET', REPLAYS, key, id)
end
if was then
  redis.call('ZREM', ENDED, id)
end
redis.call('ZADD', LEASES, text(at + LEASE), id)

write_rates(moves)
local paid = key and tonumber(redis.call('ZSCORE', PAID, key) or '0') > at
local answer = { 'held', seq, at, held[1], held[2], held[3], held[4], fitted or '', first_id or '', paid and '1' or '0' }
for _, value in ipairs(tightest) do
  answer[#answer + 1] = value
end
if would_limit then
  answer[#answer + 1] = 'rate'
  answer[#answer + 1] = would_limit.index
  answer[#answer + 1] = would_limit.wait
end
if would then
  put_refusal(answer, would)
end
finish()
return answer
