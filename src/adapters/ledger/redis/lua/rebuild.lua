-- Empties the ledger and begins it anew behind the entry that the books end with. Its epoch ends with `!` while it is being put
-- back: only who puts back knows that epoch, so every other script is refused until `reopen`.
-- The stream goes aside, and stays there until `reopen`: should whoever puts back die in the middle, the next one still finds
-- what nodes that are gone had written. So does what was lent, with the window of each account: a node that does not come forward
-- may have spent it, and tells when it lives again. Memory is given back by a thread of the server, however large the ledger was.
-- KEYS: all. ARGV: format, the new epoch, the last entry, the epoch that was found before ('' if there was none), whose books
-- these are, and the time of their last entry, behind which no new one comes.
local META = KEYS[1]
local was = redis.call('HMGET', META, 'epoch', 'flagged', 'shaped', 'now', 'test_now')
if (was[1] or '') ~= ARGV[4] then
  return { 'moved', was[1] or '' }
end
local EVENTS, LEFT = KEYS[10], KEYS[14]
if redis.call('EXISTS', EVENTS) == 1 and redis.call('EXISTS', LEFT) == 0 then
  redis.call('RENAME', EVENTS, LEFT)
end
local ACCOUNTS, SLICES, LENT = KEYS[4], KEYS[12], KEYS[16]
if redis.call('EXISTS', LENT) == 0 then
  local cursor = '0'
  repeat
    local page = redis.call('HSCAN', SLICES, cursor, 'COUNT', 1000)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      local account = string.match(page[2][i], '^[^#@!+ ][^ ]* (.+) %d+ %d+$')
      local window = account and string.match(redis.call('HGET', ACCOUNTS, account) or '', '^(%a+)')
      if window then
        redis.call('HSET', LENT, page[2][i], page[2][i + 1] .. ' ' .. window)
      end
    end
  until cursor == '0'
end
for i, key in ipairs(KEYS) do
  if i ~= 14 and i ~= 16 then
    redis.call('UNLINK', key)
  end
end
local now = string.format('%d', math.max(tonumber(was[4] or '0'), tonumber(ARGV[6])))
redis.call('HSET', META, 'format', ARGV[1], 'epoch', ARGV[2] .. '!', 'seq', ARGV[3], 'now', now, 'flagged',
  tostring(tonumber(was[2] or '0') + 1000), 'shaped', tostring(tonumber(was[3] or '0') + 1000), 'forgotten', ARGV[3], 'books', ARGV[5])
if was[5] then
  redis.call('HSET', META, 'test_now', was[5])
end
return { 'done', ARGV[2] .. '!' }
