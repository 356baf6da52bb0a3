-- The lease of an open hold begins anew; it never gets shorter. Appends nothing.
local id = arg()
if not redis.call('ZSCORE', LEASES, id) then
  return { 'fault', text(seq), 'closed' }
end
redis.call('ZADD', LEASES, 'XX', 'GT', text(at + LEASE), id)
return { 'done', text(seq) }
