-- Charges holds in full whose lease is over, a bounded number at once, and sweeps what nobody can ask for any more.
local most, sweep = number(), number()

local due = redis.call('ZRANGEBYSCORE', LEASES, '-inf', text(at), 'LIMIT', 0, most)
local answer = { 'done', text(seq), 'all' }
for _, id in ipairs(due) do
  local h = open_hold(id)
  if h then
    lapse(id, h)
    answer[#answer + 1] = id
  else
    redis.call('ZREM', LEASES, id)
  end
end
local looked = forget(sweep)
finish()
answer[2] = text(seq)
if #due == most or looked == sweep then
  answer[3] = 'more'
end
redis.call('ZREMRANGEBYSCORE', PAID, '-inf', text(at))
-- Cells that have filled up say nothing that no cell would not say.
for _, cell in ipairs(redis.call('ZRANGEBYSCORE', RATES, '-inf', text(at), 'LIMIT', 0, sweep)) do
  redis.call('ZREM', RATES, cell)
end

-- Accounts whose window is over and in which no hold is open: some at each call, round and round.
local page = redis.call('HSCAN', ACCOUNTS, redis.call('HGET', META, 'swept') or '0', 'COUNT', sweep)
for i = 1, #page[2], 2 do
  local account = read_account(page[2][i + 1])
  if #account == 1 and account[1].open == 0 and account[1].from < begins(account.window) then
    redis.call('HDEL', ACCOUNTS, page[2][i])
  end
end
redis.call('HSET', META, 'swept', page[1])
return answer
