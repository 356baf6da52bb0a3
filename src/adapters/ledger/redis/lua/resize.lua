-- The held amounts from now on: down to a bound that the caller vouches for; up is checked like a reserve, in the windows where
-- the hold was taken. The lines are those of its reserve, if the node still has them.
-- `forced`: it was granted before, and the ledger has lost that.
local id, step, to, has_lines, forced = arg(), number(), amounts(), arg() == '1', arg() == '1'
local lines, names = { cmsgpack.unpack(arg()) }, {}
note_firsts(lines, 1, LINE, names)
load_accounts(names)
local cells = read_cells(lines, 1)

local h = open_hold(id)
if not h then
  return { 'fault', text(seq), 'closed' }
end
-- A repeat holds no money of its own, and what it inherited its caller does not know.
if h.first or h.inherited then
  to[1], to[2] = h.amounts[1], h.amounts[2]
end

local function held_answer(of)
  local answer = { 'again', text(seq), text(at), text(of[1]), text(of[2]), text(of[3]), text(of[4]),
    h.fitted and text(h.fitted) or '', h.first or '', '0' }
  put_tightest(answer, lines, 1, cells, 0)
  return answer
end
if step <= h.step then
  return held_answer(h.amounts)
end

load_postings(h)
local function taken_in(name)
  for _, p in ipairs(h.postings) do
    if p[1] == name then
      return seen_cell(p[1], p[4])
    end
  end
end
local grows, short = false, nil
for i = 1, 4 do
  grows = grows or to[i] > h.amounts[i]
end
if grows and not has_lines and not forced then
  return { 'fault', text(seq), 'limits' }
end
for k = 1, #cells do
  local i = 1 + LINE * (k - 1)
  local limit, nth = lines[i + 4], UNITS[lines[i + 2]]
  local c = limit >= 0 and lines[i + 5] == 1 and taken_in(lines[i + 1])
  local old, new = h.amounts[nth], to[nth]
  if c and new > old then
    local others = math.max(0, c.held - old)
    if c.spent + others + new > limit then
      short = prefer(short, refusal(k, limit, c.spent, others, new))
    end
  end
end
if grows and short and not forced then
  return short_answer(short)
end

event('resize', 'hold', id, 'step', text(step), 'amounts', shown(to))
local answer = held_answer(to)
for _, p in ipairs(h.postings) do
  local c = cell(p[1], p[4])
  if c then
    add(c, part(p, to) - part(p, h.amounts), 0, 0)
    moved[p[1]] = true
  end
end
h.step, h.amounts = step, to
put(id, h)
finish()
return answer
