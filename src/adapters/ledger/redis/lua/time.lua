-- When windows begin, in microseconds and integers alone, as `units::time` reckons them. Reads no key and no clock.
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
  if window == 'total' or window == 'flight' then
    return 0
  end
  if SIZES[window] then
    return at - at % SIZES[window]
  end
  local today = at - at % DAY
  return today - (day_of_month(today / DAY) - 1) * DAY
end

-- An integer as Redis keeps it: tostring would write 1e+15. An answer may carry the number itself: it becomes an integer.
local format = string.format
local function text(n)
  return format('%d', n)
end
