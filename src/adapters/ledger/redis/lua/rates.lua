-- Rates: how fast calls may come. A cell is the instant at which all that was admitted would be through at the rate's own pace,
-- in microseconds: the score of the cell's name in a sorted set, so that cells which have filled up go with one command.

-- Reads the rates of a call and says: the answer that refuses it, or none; the place of the first rate in `observe` mode that
-- would refuse, its wait and its rule, or none; and where the cells stand if the call is admitted.
local function judge_rates()
  local rates, names, moves = {}, {}, {}
  for i = 1, number() do
    rates[i] = { name = arg(), more = number(), room = number(), enforce = arg() == '1', rule = arg() }
    names[i] = rates[i].name
  end
  if #rates == 0 then
    return nil, nil, moves
  end
  local stand, limited, would, reopened = redis.call('ZMSCORE', RATES, unpack(names)), nil, nil, nil
  for i, r in ipairs(rates) do
    if not stand[i] then
      -- Redis has lost its cells once: one that is not there may have been empty then.
      reopened = reopened or tonumber(redis.call('HGET', META, 'reopened') or '0')
      stand[i] = reopened + (reopened > 0 and r.room or 0)
    end
    local next = math.max(at, tonumber(stand[i])) + r.more
    local early = next - at - r.room
    if early <= 0 then
      moves[#moves + 1] = { r.name, text(next) }
    else
      local wait = r.more <= r.room and early or -1
      if r.enforce then
        -- A wait that never ends is the longest.
        if not limited or (limited[5] ~= '-1' and (wait < 0 or wait > tonumber(limited[5]))) then
          limited = { 'limited', seq, at, i - 1, text(wait) }
        end
      else
        would = would or { index = i - 1, wait = text(wait), rule = r.rule }
      end
    end
  end
  return limited, would, moves
end

local function write_rates(moves)
  if #moves == 0 then
    return
  end
  redis.call('ZREMRANGEBYSCORE', RATES, '-inf', text(at))
  for _, m in ipairs(moves) do
    redis.call('ZADD', RATES, m[2], m[1])
  end
end
