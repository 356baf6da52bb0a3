-- A new shape: its accounts start at what was spent in the running window, and every hold of that window counts on them.
local node = arg()
if redis.call('HEXISTS', SHAPES, shape) == 1 then
  return { 'done', text(seq) }
end
local why = not_yet()
if why then
  return why
end
add_unseen()
local opening, names = {}, {}
for account, sum in pairs(sums) do
  opening[#opening + 1] = { account, text(sum) }
  names[#names + 1] = account
end
event('declare', 'shape', shape, 'start', text(from), 'opening', json_list(opening))

-- Its accounts may have been counted before, with gaps: the books say anew what was spent.
each(ACCOUNTS, function(name, packed)
  if owns(name) then
    accounts[name] = read_account(packed)
    accounts[name][1].spent = 0
    moved[name] = true
  end
end)
load_accounts(names)
load_accounts(mapped)
for account, sum in pairs(sums) do
  begin(account, window, from).spent = math.min(MAX, sum)
end

local function counts_on(h, account)
  for _, p in ipairs(h.postings) do
    if p[1] == account and p[4] == from then
      return true
    end
  end
end
local money = unit == 'usd' or unit == 'tokens'
for _, id in ipairs(running) do
  local h = holds[id]
  -- The money of a repeat stands with the first call.
  if h.how ~= 'open' or not h.first or not money then
    for _, account in ipairs(map[h.facts]) do
      if not counts_on(h, account) then
        local c = begin(account, window, from)
        if h.how == 'open' then
          add(c, h.amounts[UNITS[unit]], 0, 1)
        end
        h.postings[#h.postings + 1] = { account, unit, window, from }
        put(id, h)
      end
    end
  end
end
redis.call('HSET', SHAPES, shape, cjson.encode({ node }))
redis.call('HINCRBY', META, 'shaped', 1)
finish()
return { 'done', text(seq) }
