-- The lines of a call: its accounts with their limits. Which of them refuses, and which has the least money left. A line is six
-- values among those that the node packs: account, unit, window, limit (-1: none), whether it is enforced, and its rule, which
-- is given only where a limit observes. They are read where they stand: `lines` are the values, and the number of lines is
-- at `first`.
local LINE = 6

-- The first value of each of those that stand from behind `place`, where their number is.
local function note_firsts(values, place, width, into)
  for i = place + 1, place + width * values[place], width do
    into[#into + 1] = values[i]
  end
end

-- What each line's account has spent and holds in its running window. The accounts must be loaded.
local function read_cells(lines, first)
  local cells = {}
  for k = 1, lines[first] do
    local i = first + LINE * (k - 1)
    cells[k] = seen_cell(lines[i + 1], begins(lines[i + 3]))
  end
  return cells
end

local function left_of(limit, c)
  return max(0, limit - c.spent - c.held)
end

local function refusal(k, limit, spent, held, need)
  return { line = k - 1, cause = spent + need > limit and 'spent' or 'held', spent = spent, held = held, need = need }
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

-- The limited money account with the least left once `more` is held on it. The cells are as they were before.
local function put_tightest(into, lines, first, cells, more)
  local found, least = nil, nil
  for k = 1, #cells do
    local i = first + LINE * (k - 1)
    if lines[i + 4] >= 0 and lines[i + 2] == 'usd' then
      local left = left_of(max(0, lines[i + 4] - more), cells[k])
      if not least or left < least then
        found, least = k, left
      end
    end
  end
  local n = #into
  if not found then
    into[n + 1] = ''
    return
  end
  local c = cells[found]
  into[n + 1], into[n + 2], into[n + 3] = found - 1, c.spent, c.held + more
end
