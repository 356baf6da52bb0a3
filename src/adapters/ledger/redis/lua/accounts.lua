-- What accounts have spent and hold in their running windows.
local lines, names = {}, {}
for i = 1, number() do
  lines[i] = { arg(), arg() }
  names[i] = lines[i][1]
end
load_accounts(names)
local answer = { 'done', text(seq) }
for _, line in ipairs(lines) do
  local from = begins(line[2])
  local c = seen_cell(line[1], from)
  for _, value in ipairs({ text(from), text(c.spent), text(c.held) }) do
    answer[#answer + 1] = value
  end
end
return answer
