-- The lease of an open hold begins anew. KEYS: meta, hold, leases. ARGV: id, the lease in microseconds.
if redis.call('HGET', KEYS[2], 'state') ~= 'open' then
  return { 'unknown' }
end
redis.call('ZADD', KEYS[3], text(now(KEYS[1]) + tonumber(ARGV[2])), ARGV[1])
return { 'done' }
