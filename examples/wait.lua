--- Waits until records are live: one line of progress on a terminal, plain lines in a pipe.
--
--     lua5.4 examples/wait.lua 6877a1b2c3d4e5f601234567            with AITOEARN_API_KEY set
--     lua5.4 examples/wait.lua --local life:2:6 life:8:8 status:8   without a key
local support = dofile((arg[0]:match "^(.*/)" or "") .. "support.lua")

local parser = support.parser("Waits for publish records, asking no more often than it takes.", [[
The key comes from AITOEARN_API_KEY.

Goals: settled (final, or a person must act), published (it can be seen), link (there is a link to use).

With --local an id says what it does: life:5:10 is published after 5 s of waiting and 10 s of publishing,
life:5:10:-1 fails then; status:8 and all else of spec/platform/README.md.

Exit codes: 0 all reached the goal, 1 some did not, 2 the command line or the set-up is wrong, 130 Ctrl-C.]])
parser:argument("ids", "the records' ids"):args "+"
parser:option("--goal", "settled, published or link"):default "settled"
  :convert { settled = "settled", published = "published", link = "link" } -- older argparse has no choices
parser:option("--timeout", "seconds for each record"):convert(support.positive):default "3600"
parser:option("--every", "look this often, in seconds, rather than as the record's state suggests")
  :convert(support.positive)
local args = parser:parse()

local paint = support.colours(1)
local line = support.status_line(1)

local started = os.time()
local waiting = {} -- id -> what its last look told: status, trouble, next_at
local left, looks = 0, 0

local function elapsed()
  local seconds = os.time() - started
  return ("%d:%02d"):format(math.floor(seconds / 60), seconds % 60)
end

local function say(mark, id, text)
  line.clear()
  print(("%s %5s  %s  %s"):format(mark, elapsed(), id, text))
  io.stdout:flush()
end

--- "2 PUBLISHING, 1 QUEUED" and the time of the next look.
local function summary()
  local counts, names, next_at = {}, {}, math.huge
  for _, state in pairs(waiting) do
    local name = state.trouble or (state.status and support.aitoearn.status_name(state.status)) or "asking"
    if not counts[name] then names[#names + 1] = name end
    counts[name] = (counts[name] or 0) + 1
    next_at = math.min(next_at, state.next_at)
  end
  table.sort(names)
  for i, name in ipairs(names) do
    names[i] = left > 1 and ("%d %s"):format(counts[name], name) or name
  end
  local seconds = next_at - os.time()
  local when = seconds > 0 and seconds < math.huge and ("next look in %.0f s"):format(seconds) or "looking"
  return table.concat(names, ", "), when
end

local function draw()
  local states, when = summary()
  local count = #args.ids > 1 and ("%d of %d left  "):format(left, #args.ids) or ""
  line.show(("%s %5s  %s%s  %s"):format(paint.cyan(line.spinner()), elapsed(), count, paint.cyan(states),
    paint.dim(("%d look%s, %s"):format(looks, looks == 1 and "" or "s", when))))
end

local function on_event(event)
  if event.type ~= "poll" then return end
  looks = looks + 1
  local state = waiting[event.record_id]
  if not state then return end
  state.next_at = os.time() + (event.next_in or 0)
  state.status = event.status or state.status
  state.trouble = event.stalled and "STALLED" or event.kind and "no answer" or nil
  if event.kind then
    say(paint.yellow "!", event.record_id, paint.dim(("%s %s, looking again in %.0f s"):format(
      event.kind, event.code or event.http_status or "", event.next_in)))
  end
end

local function on_change(record, previous)
  local link = record:has_link() and "  " .. paint.bold(record.workLink) or ""
  if not previous or previous.status ~= record.status or (link ~= "" and not previous:has_link()) then
    local before = previous and paint.dim(previous:status_name() .. " → ") or ""
    say(" ", record.id, before .. paint.state(record, record:status_name()) .. link)
  end
end

local function on_record(id, record, err)
  if err and err.kind == "closed" then return end -- Ctrl-C
  waiting[id] = nil
  left = left - 1
  if record then
    say(paint.green "✓", id, paint.state(record, args.goal))
  else
    say(paint.red "✗", id, paint.red(tostring(err)))
  end
end

support.run(function()
  local ids, every = {}, args.every
  for _, id in ipairs(args.ids) do
    if not waiting[id] then
      ids[#ids + 1], waiting[id] = id, { next_at = math.huge }
    end
  end
  args.ids, left = ids, #ids
  local client = support.client(args, { on_event = on_event })
  started = os.time()
  local task = client:start("wait_all", ids, {
    goal = args.goal,
    timeout = args.timeout,
    pace = every and function() return every end,
    on_change = on_change,
    on_record = on_record,
  })
  while client:poll(0.1) > 0 do
    draw()
  end
  line.clear()
  print(paint.dim(("%d record%s, %d looks in %s"):format(#ids, #ids == 1 and "" or "s", looks, elapsed())))
  local _, errors = task:result()
  return next(errors) and 1 or 0
end)
