-- Rates: how fast calls may come. A cell is the instant at which all that was admitted would be through at the rate's own pace,
-- in microseconds: the score of the cell's name in a sorted set, by which those that have filled up are found and swept. A rate
-- is six values among those that the node packs: cell, what one call counts, what an empty cell takes to fill, whether it is
-- enforced, its rule, which is given only where it observes, and how many cells it has: 1, or more, of which a call takes the one
-- that is free longest. The number of rates is at `place`.
local RATE = 6

-- Where the cells stand that were read (`false`: it is not there), and those that have moved since.
local stands, moved_cells = {}, {}
-- Redis has lost its cells once: one that is not there may have been empty then.
local reopened

local function slot(name, slots, n)
  return slots == 1 and name or name .. ' #' .. text(n)
end

local function note_cells(values, place, into)
  for i = place, place + RATE * (values[place] - 1), RATE do
    for n = 1, values[i + 6] do
      into[#into + 1] = slot(values[i + 1], values[i + 6], n)
    end
  end
end

local function load_cells(names)
  load_fields('ZMSCORE', RATES, names, stands, tonumber)
end

local function stand_of(name, room)
  if stands[name] then
    return stands[name]
  end
  reopened = reopened or tonumber(redis.call('HGET', META, 'reopened') or '0')
  return reopened + (reopened > 0 and room or 0)
end

-- The cell that a call takes, and where it stands: all that have filled up are alike, swept or not. Of several that Redis may
-- have lost one is free after the other.
local function earliest(name, slots, room)
  local found, stand
  for n = 1, slots do
    local cell = slot(name, slots, n)
    local here = max(at, stand_of(cell, floor(room * n / slots)))
    if not found or here < stand then
      found, stand = cell, here
    end
  end
  return found, stand
end

-- Judges the rates of a call and says: the answer that refuses it, or none; the place of the first rate in `observe` mode that
-- would refuse, its wait and its rule, or none; and where the cells stand if the call is admitted.
local function judge_rates(values, place)
  local limited, would, moves = nil, nil, {}
  for k = 1, values[place] do
    local i = place + RATE * (k - 1)
    local more, room = values[i + 2], values[i + 3]
    local name, stand = earliest(values[i + 1], values[i + 6], room)
    local next = stand + more
    local early = next - at - room
    if early <= 0 then
      moves[#moves + 1] = { name, text(next) }
    else
      local wait = more <= room and early or -1
      if values[i + 4] == 1 then
        -- A wait that never ends is the longest.
        if not limited or (limited[5] >= 0 and (wait < 0 or wait > limited[5])) then
          limited = { 'limited', seq, at, k - 1, wait }
        end
      else
        would = would or { index = k - 1, wait = wait, rule = values[i + 5] }
      end
    end
  end
  return limited, would, moves
end

local function move_cells(moves)
  for i = 1, #moves do
    local name = moves[i][1]
    stands[name], moved_cells[name] = tonumber(moves[i][2]), moves[i][2]
  end
end

local function write_cells()
  local list = {}
  for name, stand in pairs(moved_cells) do
    list[#list + 1], list[#list + 2] = stand, name
  end
  write_all('ZADD', RATES, list)
end
