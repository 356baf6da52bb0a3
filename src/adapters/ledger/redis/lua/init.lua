-- Makes a new ledger where there is none. KEYS[1]: meta. ARGV: the epoch, the entry after which the first one comes, and the
-- format; a test may add its own clock. Gives the format and the epoch that stand there in any case.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'format', ARGV[3], 'epoch', ARGV[1], 'seq', ARGV[2], 'now', '0', 'flagged', '0', 'shaped', '0',
    'forgotten', ARGV[2])
  if ARGV[4] then
    redis.call('HSET', KEYS[1], 'test_now', ARGV[4])
  end
end
return redis.call('HMGET', KEYS[1], 'format', 'epoch')
