-- The lines of a call: its accounts with their limits. Which of them refuses, and which has the least money left.

local function read_lines()
  local lines, names = {}, {}
  for i = 1, number() do
    -- No limit is -1. The rule is given only where a limit observes.
    lines[i] = { name = arg(), unit = arg(), window = arg(), limit = number(), enforce = arg() == '1', rule = arg() }
    names[i] = lines[i].name
  end
  load_accounts(names)
  for _, line in ipairs(lines) do
    line.from = begins(line.window)
    line.cell = seen_cell(line.name, line.from)
  end
  return lines
end

local function left_of(limit, c)
  return math.max(0, limit - c.spent - c.held)
end

local function refusal(i, limit, spent, held, need)
  return { line = i - 1, cause = spent + need > limit and 'spent' or 'held', spent = spent, held = held, need = need }
end

-- Keeps the first refusal, unless a later one is `spent` and the first is not.
local function prefer(kept, found)
  return (not kept or (kept.cause == 'held' and found.cause == 'spent')) and found or kept
end

-- As the answers carry it.
local function put_refusal(into, r)
  for _, value in ipairs({ r.line, r.cause, r.spent, r.held, r.need }) do
    into[#into + 1] = value
  end
end

local function short_answer(r)
  local answer = { 'short', seq, at }
  put_refusal(answer, r)
  return answer
end

-- The limited money account with the least left once `more` is held on it.
local function put_tightest(into, lines, more)
  local found, least = nil, nil
  for i, line in ipairs(lines) do
    if line.unit == 'usd' and line.limit >= 0 then
      local left = left_of(math.max(0, line.limit - more), line.cell)
      if not least or left < least then
        found, least = i, left
      end
    end
  end
  if not found then
    into[#into + 1] = ''
    return
  end
  local c = lines[found].cell
  for _, value in ipairs({ found - 1, c.spent, c.held + more }) do
    into[#into + 1] = value
  end
end
