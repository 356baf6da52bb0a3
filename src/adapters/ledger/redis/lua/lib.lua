-- What every script begins with: its keys, the guard, the time, the accounts, events. A script decides first; then it appends
-- its events, and `finish` writes everything else. All amounts are integers of at most 2^53-1, which Lua counts exactly.
local META, FLAGS, SHAPES, ACCOUNTS, HOLDS, LEASES, ENDED, REPLAYS, PAID, EVENTS, RATES, SLICES, NODES = unpack(KEYS)
local FORMAT, MAX = '1', 9007199254740991
local SECOND = 1000000
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

local function load_accounts(names)
  local list, seen = {}, {}
  for _, name in ipairs(names) do
    if accounts[name] == nil and not seen[name] then
      seen[name] = true
      list[#list + 1] = name
    end
  end
  for i = 1, #list, 1000 do
    local last = math.min(i + 999, #list)
    local packed = redis.call('HMGET', ACCOUNTS, unpack(list, i, last))
    for j = i, last do
      accounts[list[j]] = packed[j - i + 1] and read_account(packed[j - i + 1]) or false
    end
  end
end

-- The cell of a window, if it is still known.
local function cell(name, from)
  for _, found in ipairs(accounts[name] or {}) do
    if found.from == from then
      return found
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
    local parts = { account.window }
    for i, c in ipairs(account) do
      parts[i + 1] = format('%d:%d:%d:%d', c.from, c.spent, c.held, c.open)
    end
    list[#list + 1] = name
    list[#list + 1] = table.concat(parts, '|')
  end
  write_all('HSET', ACCOUNTS, list)
end

-- Appends an event. Gives its number, which is also its place in the stream.
local function event(op, ...)
  seq = seq + 1
  redis.call('XADD', EVENTS, text(seq) .. '-0', 'op', op, 'at', text(at), ...)
  return seq
end

-- A list as JSON: an empty table would be an object.
local function json_list(of)
  return #of > 0 and cjson.encode(of) or '[]'
end

local function write_meta()
  if seq > before then
    redis.call('HSET', META, 'seq', text(seq), 'now', text(at))
  end
end
