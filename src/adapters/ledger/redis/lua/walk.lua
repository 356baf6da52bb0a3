-- What the accounts of one shape should have spent in its running window: what the books say, and from the holds that are
-- remembered what they have not seen yet. Goes over all holds and accounts; only a new shape and a check ask for it.
-- Which accounts a hold counts on the node reckons from its facts, and gives as a map. Facts that are not in it are asked for.
local shape, unit, window, from, upto = arg(), arg(), arg(), number(), number()
-- An account of this shape begins and ends so; one without a value is the whole name.
local head, tail, whole = arg(), arg(), arg() == '1'
local STRANGERS = 1000

local sums, map, mapped = {}, {}, {}
for _ = 1, number() do
  local account = arg()
  sums[account] = (sums[account] or 0) + number()
end
for _ = 1, number() do
  local facts, list = arg(), {}
  for i = 1, number() do
    list[i] = arg()
    mapped[#mapped + 1] = list[i]
  end
  map[facts] = list
end

local function each(key, visit)
  local cursor, done = '0', {}
  repeat
    local page = redis.call('HSCAN', key, cursor, 'COUNT', 1000)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      if not done[page[2][i]] then
        done[page[2][i]] = true
        visit(page[2][i], page[2][i + 1])
      end
    end
  until cursor == '0'
end

local function owns(name)
  if whole then
    return name == head .. tail
  end
  return string.sub(name, 1, #head) == head and #name >= #head + #tail and string.sub(name, -#tail) == tail
end

-- What was charged after the entry `upto`.
local function charge_then(h)
  if h.seq > upto then
    return 0
  end
  for _, change in ipairs(h.changes) do
    if change[1] > upto then
      return change[2][UNITS[unit]]
    end
  end
  return h.charge[UNITS[unit]]
end

-- The holds of the running window, and the facts among them that are not in the map.
local running, strangers, stranger = {}, {}, {}
if from == begins(window) then
  each(HOLDS, function(id, packed)
    local h = cmsgpack.unpack(packed)
    if h.facts and start(window, h.taken) == from then
      holds[id] = h
      running[#running + 1] = id
      if not map[h.facts] and not stranger[h.facts] and #strangers < STRANGERS then
        stranger[h.facts] = true
        strangers[#strangers + 1] = h.facts
      end
    end
  end)
end

-- Why nothing can be said yet: another window runs, the books are too old, or facts are not in the map.
local function not_yet()
  if from ~= begins(window) then
    return { 'moved', text(seq) }
  elseif upto < tonumber(redis.call('HGET', META, 'forgotten') or '0') then
    return { 'old', text(seq) }
  elseif #strangers > 0 then
    return { 'strangers', text(seq), unpack(strangers) }
  end
end

local function add_unseen()
  if window == 'flight' then
    return
  end
  for _, id in ipairs(running) do
    local h = holds[id]
    local was, now = h.how ~= 'open' and charge_then(h) or 0, h.how ~= 'open' and h.charge[UNITS[unit]] or 0
    if was ~= now then
      for _, account in ipairs(map[h.facts]) do
        sums[account] = math.max(0, (sums[account] or 0) + now - was)
      end
    end
  end
end
