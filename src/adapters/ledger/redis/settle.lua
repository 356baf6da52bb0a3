-- Commit or release. It takes no memory worth the name and must not be refused for lack of it, hence the flag on top.
-- KEYS: meta, events, hold, leases, then the hold's accounts in the order of its postings.
-- ARGV: id, commit or release, exact (1 or 0), the charge (usd, tokens, calls, risk), the row, how long to remember it (ms).
local meta, events, hold, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local FIRST_ACCOUNT = 4
local id, kind, exact, row, keep = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[8], ARGV[9]

local known = redis.call('HMGET', hold, 'state', 'usd', 'tokens', 'calls', 'risk', 'postings')
if not known[1] then
  return { 'unknown' }
elseif known[1] ~= 'open' then
  return { known[1] == kind and 'again' or 'otherwise' }
end
local postings = cjson.decode(known[6])
if #postings ~= #KEYS - FIRST_ACCOUNT then
  return { 'accounts' }
end

local charge, held = {}, {}
for i, unit in ipairs({ 'usd', 'tokens', 'calls', 'risk' }) do
  held[unit] = tonumber(known[i + 1])
  charge[unit] = kind == 'release' and 0 or tonumber(ARGV[i + 3])
  if kind == 'commit' and not exact then
    charge[unit] = math.max(charge[unit], held[unit])
  end
end

for i, posting in ipairs(postings) do
  local account, unit, from = KEYS[FIRST_ACCOUNT + i], posting[1], posting[2]
  redis.call('HINCRBY', account, from .. ':h', text(0 - held[unit]))
  redis.call('HINCRBY', account, from .. ':s', text(charge[unit]))
end
local at = now(meta)
redis.call('HSET', hold, 'state', kind, 'charged_usd', text(charge.usd))
redis.call('PEXPIRE', hold, keep)
redis.call('ZREM', leases, id)
event(meta, events, at, 'op', kind, 'hold', id, 'exact', exact and '1' or '0', 'usd', text(charge.usd), 'tokens',
  text(charge.tokens), 'calls', text(charge.calls), 'risk', text(charge.risk), 'row', row)
return { 'done' }
