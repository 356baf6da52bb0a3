-- Everybody has put back what they had: from here on the ledger is open to all under its new epoch.
redis.call('HSET', META, 'epoch', string.sub(known[2], 1, -2))
redis.call('UNLINK', KEYS[14])
return { 'done', text(seq) }
