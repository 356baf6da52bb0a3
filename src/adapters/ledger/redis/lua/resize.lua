-- The held amounts from now on: down to a bound that the caller vouches for; up is checked like a reserve, in the windows where
-- the hold was taken. The lines are those of its reserve, if the node still has them.
local id, step, to, has_lines = arg(), number(), amounts(), arg() == '1'
local lines = read_lines()

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
  put_tightest(answer, lines, 0)
  return answer
end
if step <= h.step then
  return held_answer(h.amounts)
end

load_postings(h)
local function taken_in(line)
  for _, p in ipairs(h.postings) do
    if p[1] == line.name then
      return seen_cell(p[1], p[4])
    end
  end
end
local grows, short = false, nil
for i = 1, 4 do
  grows = grows or to[i] > h.amounts[i]
end
if grows and not has_lines then
  return { 'fault', text(seq), 'limits' }
end
for i, line in ipairs(lines) do
  local c = line.limit >= 0 and line.enforce and taken_in(line)
  local old, new = h.amounts[UNITS[line.unit]], to[UNITS[line.unit]]
  if c and new > old then
    local others = math.max(0, c.held - old)
    if c.spent + others + new > line.limit then
      short = prefer(short, refusal(i, line.limit, c.spent, others, new))
    end
  end
end
if grows and short then
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
