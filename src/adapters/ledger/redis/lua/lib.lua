-- What every script begins with: its keys, the guard, the time, the accounts, events. A script decides first, in memory; its
-- events are written at the end, with everything else. All amounts are integers of at most 2^53-1, which Lua counts exactly.
local META, FLAGS, SHAPES, ACCOUNTS, HOLDS, LEASES, ENDED, REPLAYS, PAID, EVENTS, RATES, SLICES, NODES = unpack(KEYS)
local FORMAT, MAX = '1', 9007199254740991
local SECOND = 1000000
local min, max, floor = math.min, math.max, math.floor
local UNITS = { usd = 1, tokens = 2, calls = 3, risk = 4 }

-- The guard: a ledger that is not there, is another one, or has forgotten what this node has seen, is not written.
-- ARGV begins with the epoch and the last entry that the node knows of.
local known = redis.call('HMGET', META, 'format', 'epoch', 'seq', 'now', 'shaped', 'test_now')
if known[1] and known[1] ~= FORMAT then
  return { 'format', known[1] }
end
if not known[1] or known[2] ~= ARGV[1] or tonumber(known[3]) < tonumber(ARGV[2]) then
  return { 'lost', known[2] or '', known[3] or '0' }
end
local before = tonumber(known[3])
local seq = before

-- The server's time in microseconds. It never goes back: what was written last holds. A ledger that a test made carries its
-- own clock; nothing else writes that field.
local at = tonumber(known[6] or '')
if not at then
  local t = redis.call('TIME')
  at = tonumber(t[1]) * SECOND + tonumber(t[2])
end
at = math.max(at, tonumber(known[4]))

-- Arguments, one after the other; an empty one is none.
local next_arg = 2
local function arg()
  next_arg = next_arg + 1
  return ARGV[next_arg]
end
local function number()
  return tonumber(arg())
end
local function perhaps()
  local given = arg()
  return given ~= '' and given or nil
end
local function amounts()
  return { number(), number(), number(), number() }
end

local function shown(of)
  return format('%d %d %d %d', of[1], of[2], of[3], of[4])
end

-- When the running windows began.
local starts = {}
local function begins(window)
  starts[window] = starts[window] or start(window, at)
  return starts[window]
end

-- Many pairs in few commands: a command has room for some thousand arguments.
local function write_all(command, key, list)
  for i = 1, #list, 1000 do
    redis.call(command, key, unpack(list, i, math.min(i + 999, #list)))
  end
end

-- Accounts as read in this step: the window, then its cells, the latest first; earlier ones only while holds are open there.
local accounts, moved = {}, {}

local function read_account(packed)
  -- Mostly there is one window.
  local window, from, spent, held, open = string.match(packed, '^(%a+)|(%d+):(%d+):(%d+):(%d+)$')
  if window then
    local only = { from = tonumber(from), spent = tonumber(spent), held = tonumber(held), open = tonumber(open) }
    return { window = window, only }
  end
  local account = {}
  for part in string.gmatch(packed, '[^|]+') do
    if not account.window then
      account.window = part
    else
      local from, spent, held, open = string.match(part, '^(%d+):(%d+):(%d+):(%d+)$')
      account[#account + 1] =
        { from = tonumber(from), spent = tonumber(spent), held = tonumber(held), open = tonumber(open) }
    end
  end
  return account
end

-- Reads what was not read yet of a key, `HMGET` of a hash or `ZMSCORE` of a sorted set: `false` where there is none.
local function load_fields(command, key, names, into, read)
  local list = {}
  for i = 1, #names do
    if into[names[i]] == nil then
      into[names[i]] = false
      list[#list + 1] = names[i]
    end
  end
  for i = 1, #list, 1000 do
    local last = math.min(i + 999, #list)
    local packed = redis.call(command, key, unpack(list, i, last))
    for j = i, last do
      into[list[j]] = packed[j - i + 1] and read(packed[j - i + 1])
    end
  end
end

local function load_accounts(names)
  load_fields('HMGET', ACCOUNTS, names, accounts, read_account)
end

-- The cell of a window, if it is still known.
local function cell(name, from)
  local account = accounts[name]
  if account then
    for i = 1, #account do
      if account[i].from == from then
        return account[i]
      end
    end
  end
end

-- The same for reading: all zero if nobody used it yet.
local NOTHING = { spent = 0, held = 0, open = 0 }
local function seen_cell(name, from)
  return cell(name, from) or NOTHING
end

local function fresh(from)
  return { from = from, spent = 0, held = 0, open = 0 }
end

-- Makes the account if need be, or lets its window begin.
local function begin(name, window, from)
  moved[name] = true
  local account = accounts[name]
  if not account then
    account = { window = window, fresh(from) }
    accounts[name] = account
  elseif from > account[1].from then
    if account[1].open > 0 then
      account[#account + 1] = account[1]
    end
    account[1] = fresh(from)
  elseif not cell(name, from) then
    account[#account + 1] = fresh(from)
  end
  return cell(name, from)
end

local function write_accounts()
  local list = {}
  for name in pairs(moved) do
    local account = accounts[name]
    local packed = account.window
    for i = 1, #account do
      local c = account[i]
      packed = format('%s|%d:%d:%d:%d', packed, c.from, c.spent, c.held, c.open)
    end
    list[#list + 1] = name
    list[#list + 1] = packed
  end
  write_all('HSET', ACCOUNTS, list)
end

-- Events that are not written yet. The number of each is also its place in the stream.
local events, at_text = {}, text(at)
local function event(op, ...)
  seq = seq + 1
  events[#events + 1] = { text(seq) .. '-0', 'op', op, 'at', at_text, ... }
  return seq
end

-- The postings of a hold, as its event carries them: four texts each, which hold no zero byte. Calls that go together share
-- postings.
local texts = {}
local function shown_postings(of)
  local parts = {}
  for i = 1, #of do
    local p = of[i]
    texts[p] = texts[p] or p[1] .. '\0' .. p[2] .. '\0' .. p[3] .. '\0' .. text(p[4])
    parts[i] = texts[p]
  end
  return table.concat(parts, '\0')
end

-- A list as JSON: an empty table would be an object.
local function json_list(of)
  return #of > 0 and cjson.encode(of) or '[]'
end

local function write_meta()
  if seq > before then
    for i = 1, #events do
      redis.call('XADD', EVENTS, unpack(events[i]))
    end
    redis.call('HSET', META, 'seq', text(seq), 'now', at_text)
  end
end
