-- What accounts have spent and hold in their running windows. KEYS: meta, then the accounts. ARGV: their windows.
local at = now(KEYS[1])
local found = {}
for i, window in ipairs(ARGV) do
  local from = start(window, at)
  local spent, held = cell(KEYS[i + 1], from)
  table.insert(found, text(from))
  table.insert(found, text(spent))
  table.insert(found, text(held))
end
return found
