-- Everybody has put back what they had: from here on the ledger is open to all under its new epoch. What was lent to nodes that
-- did not put it back themselves stays held for them: they tell what became of it when they live again, or give it up.
local LENT = KEYS[16]
local kept, names, cursor = {}, {}, '0'
repeat
  local page = redis.call('HSCAN', LENT, cursor, 'COUNT', 1000)
  cursor = page[1]
  for i = 1, #page[2], 2 do
    local field = page[2][i]
    local node, account, from = string.match(field, '^(%S+) (.+) (%d+) %d+$')
    local amount, window = string.match(page[2][i + 1], '^(%d+) (%a+)$')
    local is_over = begins(window) ~= tonumber(from)
    local came = redis.call('HEXISTS', SLICES, '+' .. node) == 1 or redis.call('HEXISTS', SLICES, field) == 1
    if not kept[field] and not is_over and not came then
      kept[field] = { account = account, window = window, amount = tonumber(amount) }
      names[#names + 1] = account
    end
  end
until cursor == '0'
load_accounts(names)
for field, s in pairs(kept) do
  local c = begin(s.account, s.window, begins(s.window))
  c.held, c.open = min(MAX, c.held + s.amount), c.open + 1
  redis.call('HSET', SLICES, field, text(s.amount))
  redis.call('HINCRBY', SLICES, '@' .. s.account, text(s.amount))
end
write_accounts()
-- The cells of rates are lost: none may open a new burst.
redis.call('HSET', META, 'epoch', string.sub(known[2], 1, -2), 'reopened', text(at))
redis.call('UNLINK', KEYS[14], LENT)
return { 'done', text(seq), text(#names) }
