-- Common to all scripts of the ledger. All amounts are integers of at most 2^53-1, which Lua counts exactly.
local MAX = 9007199254740991

-- A number as Redis keeps it: tostring would write 1e+15.
local function text(n)
  return string.format('%.0f', n)
end

-- The server's time in microseconds. It never goes back: what was written last holds.
local function now(meta)
  local t = redis.call('TIME')
  local at = tonumber(t[1]) * 1000000 + tonumber(t[2])
  return math.max(at, tonumber(redis.call('HGET', meta, 'now') or '0'))
end

local DAY = 86400000000
local SIZES = { minute = 60000000, hour = 3600000000, day = DAY }

-- The day of the month, from days since 1970 (the civil calendar in integers).
local function day_of_month(days)
  local z = days + 719468
  local doe = z % 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  return doy - math.floor((153 * mp + 2) / 5) + 1
end

-- When the window that runs at that time began.
local function start(window, at)
  if window == 'total' then
    return 0
  end
  if SIZES[window] then
    return at - at % SIZES[window]
  end
  local today = at - at % DAY
  return today - (day_of_month(today / DAY) - 1) * DAY
end

-- What an account has spent and holds in a window.
local function cell(account, from)
  local found = redis.call('HMGET', account, text(from) .. ':s', text(from) .. ':h')
  return tonumber(found[1] or '0'), tonumber(found[2] or '0')
end

-- Appends an event in the same step. Gives its sequence number.
local function event(meta, stream, at, ...)
  local seq = redis.call('HINCRBY', meta, 'seq', 1)
  redis.call('HSET', meta, 'now', text(at))
  redis.call('XADD', stream, '*', 'seq', seq, 'at', text(at), ...)
  return seq
end
