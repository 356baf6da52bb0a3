-- Everybody has put back what they had: from here on the ledger is open to all under its new epoch.
-- The cells of rates are lost: none may open a new burst.
redis.call('HSET', META, 'epoch', string.sub(known[2], 1, -2), 'reopened', text(at))
redis.call('UNLINK', KEYS[14])
return { 'done', text(seq) }
