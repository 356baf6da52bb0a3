-- Appends a refused call or a control change; a flag is set or cleared in the same step.
-- KEYS: meta, flags, events. ARGV: what it is, the row, then set, clear or nothing, and the flag.
local meta, flags, events = KEYS[1], KEYS[2], KEYS[3]
if ARGV[3] == 'set' then
  redis.call('SADD', flags, ARGV[4])
elseif ARGV[3] == 'clear' then
  redis.call('SREM', flags, ARGV[4])
end
return { text(event(meta, events, now(meta), 'op', ARGV[1], 'row', ARGV[2])) }
