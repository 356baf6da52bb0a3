-- What was lent to nodes, one hash for all: `<node> <account> <start> <limit>` is a slice, which counts as held on its account
-- and keeps its cell; `#<node>` is the number of the node's last message and the mark up to which it has told its journal;
-- `+<node>` says that it
-- has put back what it was lent; `@<account>` is all that is lent of an account; `!<account>` is when somebody was short for it.
local node, given = arg(), arg()
local peer = '#' .. node
local last, mark = string.match(redis.call('HGET', SLICES, peer) or '0 0', '^(%d+) (%d+)$')
last, mark = tonumber(last), tonumber(mark)
local sent = tonumber(given)
-- What the node knows to be told: a ledger that was put back may have forgotten it.
mark = math.max(mark, number())

-- A message that is not newer than the last one came late: its sender has gone on, and nothing of it may be done.
local function late()
  return { 'late', text(seq), text(mark) }
end

local function note_peer()
  redis.call('HSET', SLICES, peer, text(sent) .. ' ' .. text(mark))
end

local function slice_field(account, from, limit)
  return node .. ' ' .. account .. ' ' .. text(from) .. ' ' .. text(limit)
end

local function lent_of(field)
  return tonumber(redis.call('HGET', SLICES, field) or '0')
end

-- A window that is over goes with the last that stands in it.
local function let_go(name, c)
  local account = accounts[name]
  for i = #account, 2, -1 do
    if c.open == 0 and account[i] == c then
      table.remove(account, i)
    end
  end
end

-- The account must be loaded. Of one that is not known any more nothing is held.
local function lend(field, account, from, before, amount)
  if amount == before then
    return
  end
  local c = cell(account, from)
  if c then
    add(c, amount - before, 0, (amount > 0 and 1 or 0) - (before > 0 and 1 or 0))
    moved[account] = true
    let_go(account, c)
  end
  if amount > 0 then
    redis.call('HSET', SLICES, field, text(amount))
  else
    redis.call('HDEL', SLICES, field)
  end
  if redis.call('HINCRBY', SLICES, '@' .. account, text(amount - before)) <= 0 then
    redis.call('HDEL', SLICES, '@' .. account, '!' .. account)
  end
end
