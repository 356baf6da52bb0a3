-- The accounts of one shape beside what they should have spent. Writes nothing.
local why = not_yet()
if why then
  return why
end
add_unseen()
local ledger = {}
each(ACCOUNTS, function(name, packed)
  if owns(name) then
    accounts[name] = read_account(packed)
    local c = cell(name, from)
    if c then
      ledger[name] = c.spent
      sums[name] = sums[name] or 0
    end
  end
end)
local answer, compared = { 'done', text(seq), '0' }, 0
for account, books in pairs(sums) do
  compared = compared + 1
  local spent = ledger[account] or 0
  if spent ~= books then
    for _, value in ipairs({ account, text(spent), text(books) }) do
      answer[#answer + 1] = value
    end
  end
end
answer[3] = text(compared)
return answer
