-- Holds, open or ended, as one packed value each: `how` (open, committed, released, expired, late), the amounts, the postings
-- ({ account, unit, window, start }), when it was taken, and how it stands to others under its replay key (`key`, `first`,
-- `repeats`, `repeated`, `heard`, `inherited`). An ended one also has its charge, and each change of it. `awaited`: a reserve of it
-- was not answered.
local KEEP_EXACT, KEEP_BOUND, REPLAY, LEASE = 4 * SECOND, 86400 * SECOND, 82800 * SECOND, 30 * SECOND
-- A reserve without an answer may still be on its way, as long as a network tries to deliver it.
local KEEP_AWAITED = 300 * SECOND

-- Holds as read in this step. Then what is not written yet: holds, and where they stand in the order of `LEASES` and `ENDED`
-- (`false`: no longer there).
local holds, dirty, leased, ended = {}, {}, {}, {}

local function hold(id)
  if holds[id] == nil then
    local packed = redis.call('HGET', HOLDS, id)
    holds[id] = packed and cmsgpack.unpack(packed) or false
  end
  return holds[id] or nil
end

-- Many in one command.
local function load_holds(ids)
  load_fields('HMGET', HOLDS, ids, holds, cmsgpack.unpack)
end

local function put(id, h)
  holds[id], dirty[id] = h, h
end

local function open_hold(id)
  local h = hold(id)
  return h and h.how == 'open' and h or nil
end

-- When an ended hold may be forgotten: soon, if its charge is the last word. One that was put right stays: whoever puts it right
-- again may not know of it yet.
local function forget_at(h)
  local keep = (h.exact and not h.repeated and h.step == 0) and KEEP_EXACT or KEEP_BOUND
  return h.at + (h.awaited and math.max(keep, KEEP_AWAITED) or keep)
end

-- Nobody can ask for it any more. While a repeat is open, its money stands here.
local function forgotten(h)
  return forget_at(h) <= at and (not h.key or #h.repeats == 0)
end

local function past(id)
  local h = hold(id)
  return h and h.how ~= 'open' and not forgotten(h) and h or nil
end

-- The call that a reserve with this key would repeat: one that is open, or was charged without exact usage.
local function first_of(key)
  local id = key and redis.call('HGET', REPLAYS, key)
  if not id then
    return
  end
  local h = open_hold(id) or past(id)
  if h and (h.how == 'open' or not h.exact) and at < h.taken + REPLAY then
    return id, h
  end
end

local function load_postings(h)
  local names = {}
  for i, p in ipairs(h.postings) do
    names[i] = p[1]
  end
  load_accounts(names)
end

-- Given up before the ledger heard of it: should its reserve come late, it takes nothing. No event: nothing has happened.
local function bar(id)
  local nothing = { 0, 0, 0, 0 }
  local h = { how = 'released', amounts = nothing, postings = {}, taken = at, step = 0, repeats = {}, at = at, seq = 0,
    charge = nothing, exact = true, changes = {}, awaited = true }
  put(id, h)
  ended[id] = forget_at(h)
end

-- What a posting counts of an amount.
local function part(p, of)
  return of[UNITS[p[2]]]
end

-- What it keeps of a charge: of calls in flight nothing.
local function charged(p, of)
  return p[3] == 'flight' and 0 or part(p, of)
end

local function is_money(p)
  return p[2] == 'usd' or p[2] == 'tokens'
end

-- An account counts at most 2^53-1: beyond that it stands still.
local function add(c, held, spent, open)
  c.held = min(MAX, max(0, c.held + held))
  c.spent = min(MAX, max(0, c.spent + spent))
  c.open = max(0, c.open + open)
end

local function drop(id)
  holds[id], dirty[id], ended[id] = false, false, false
end

-- Drops a few ended holds that nobody can ask for any more. Says how many it looked at.
local function forget(most)
  local due = redis.call('ZRANGEBYSCORE', ENDED, '-inf', text(at), 'LIMIT', 0, most)
  local last = 0
  load_holds(due)
  for _, id in ipairs(due) do
    local h = hold(id)
    if not h or h.how == 'open' then
      ended[id] = false
    elseif forgotten(h) then
      drop(id)
      last = math.max(last, #h.changes > 0 and h.changes[#h.changes][1] or h.seq)
      if h.key and redis.call('HGET', REPLAYS, h.key) == id then
        redis.call('HDEL', REPLAYS, h.key)
      end
    else
      ended[id] = math.max(forget_at(h), at + KEEP_EXACT)
    end
  end
  if last > 0 and last > tonumber(redis.call('HGET', META, 'forgotten') or '0') then
    redis.call('HSET', META, 'forgotten', text(last))
  end
  return #due
end

local function write_changes(set, unset, key, changes, pair)
  local list, gone = {}, {}
  for id, value in pairs(changes) do
    if value then
      list[#list + 1], list[#list + 2] = pair(id, value)
    else
      gone[#gone + 1] = id
    end
  end
  write_all(set, key, list)
  write_all(unset, key, gone)
end

local function packed(id, h)
  return id, cmsgpack.pack(h)
end

local function scored(id, score)
  return text(score), id
end

-- Writes what has changed: the last thing that a script does.
local function finish()
  write_accounts()
  write_changes('HSET', 'HDEL', HOLDS, dirty, packed)
  write_changes('ZADD', 'ZREM', LEASES, leased, scored)
  write_changes('ZADD', 'ZREM', ENDED, ended, scored)
  write_meta()
end
