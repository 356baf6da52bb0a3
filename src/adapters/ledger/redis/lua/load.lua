-- Writes a piece of what the books say into a ledger that is being put back. No events: the books have them.
local what, count = arg(), number()
for _ = 1, count do
  if what == 'account' then
    redis.call('HSET', ACCOUNTS, arg(), arg())
  elseif what == 'flag' then
    redis.call('SADD', FLAGS, arg())
  elseif what == 'replay' then
    redis.call('HSET', REPLAYS, arg(), arg())
  elseif what == 'paid' then
    redis.call('ZADD', PAID, arg(), arg())
  elseif what == 'whole' then
    -- All is there: from here on the others put back their part, which nothing overwrites any more.
    redis.call('HSET', META, 'loaded', arg())
  elseif what == 'hold' then
    -- When it is over: the lease of an open one, which begins anew, or when an ended one may be forgotten.
    local id, until_at, h = arg(), number(), cjson.decode(arg())
    redis.call('HSET', HOLDS, id, cmsgpack.pack(h))
    if h.how == 'open' then
      redis.call('ZADD', LEASES, text(at + until_at), id)
    else
      redis.call('ZADD', ENDED, text(until_at), id)
    end
  end
end
return { 'done', text(seq) }
