-- Ended holds that stand on one of these accounts, at most so many, each with its charge. Writes nothing.
local most, on = number(), {}
for _ = 1, number() do
  on[arg()] = true
end
local answer, cursor, found = { 'done', text(seq) }, '0', {}
repeat
  local page = redis.call('HSCAN', HOLDS, cursor, 'COUNT', 1000)
  cursor = page[1]
  for i = 1, #page[2], 2 do
    local h = cmsgpack.unpack(page[2][i + 1])
    local here = false
    for _, p in ipairs(h.postings) do
      here = here or on[p[1]]
    end
    if h.how ~= 'open' and here and not found[page[2][i]] and most > 0 then
      found[page[2][i]], most = true, most - 1
      answer[#answer + 1] = page[2][i]
      for unit = 1, 4 do
        answer[#answer + 1] = text(h.charge[unit])
      end
    end
  end
until cursor == '0' or most == 0
return answer
