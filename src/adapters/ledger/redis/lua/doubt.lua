-- A node has found that the ledger lost something: from here on no node may use it before it is put back. An epoch that ends
-- with `?` is nobody's. KEYS[1]: meta. ARGV: the epoch that lacks something.
if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1] .. '?')
end
return { 'done', '0' }
