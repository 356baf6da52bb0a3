-- What nodes put back when Redis has lost it, each once in a making of the ledger: two may know of the same step, one from the
-- stream and one by itself, and one of them may come late. Used by `append` and `restore`.
local AGAIN = KEYS[15]

local function put_back_before(mark)
  if redis.call('SADD', AGAIN, mark) == 0 then
    return true
  end
  redis.call('EXPIRE', AGAIN, 86400)
  return false
end
