--- A loop of 60 frames a second that fetches records on the side, as a game would, and never waits for one.
--
--     lua5.4 examples/frame_loop.lua ID…              with AITOEARN_API_KEY set: each id once
--     lua5.4 examples/frame_loop.lua --local          without a key: 100 in flight all the time
local support = dofile((arg[0]:match "^(.*/)" or "") .. "support.lua")

local parser = support.parser("Animates at 60 frames a second while it fetches records; prints its worst frame.", [[
The key comes from AITOEARN_API_KEY. With --local, and no ids, slow records are fetched without end; an id says
what it does there (spec/platform/README.md).

Exit codes: 0 all records came, 1 some could not be had, 2 the command line or the set-up is wrong, 130 Ctrl-C.]])
parser:argument("ids", "the records' ids, each fetched once"):args "*"
parser:option("--seconds", "how long to run"):convert(support.positive):default "5"
parser:option("--in-flight", "how many records at the same time"):convert(support.whole):default "100"
local args = parser:parse()
if #args.ids == 0 and not args["local"] then
  parser:error "ids, or --local, expected"
end

local socket = support.require("socket", "lua-socket")
local now, FRAME = socket.gettime, 1 / 60

local paint = support.colours(1)
local line = support.status_line(1)

--- What is fetched: the ids of the command line, or slow ones of the local platform without end.
local function ids()
  local count, given = 0, args.ids
  local ends_at = now() + args.seconds
  return function()
    count = count + 1
    if #given > 0 then return given[count] end
    return now() < ends_at and ("slow:%d~%d"):format(200 + count * 37 % 300, count) or nil
  end
end

-- The state of the "game": how many records came and how many did not, and the longest of everything.
local game = { frames = 0, missed = 0, records = 0, failed = 0, in_flight = 0, most = 0, worst_frame = 0, worst_poll = 0 }

--- Starts calls until enough are in flight. None of them waits: they go on whenever `client:poll` is called.
local function keep_busy(client, next_id)
  while game.in_flight < args.in_flight do
    local id = next_id()
    if not id then return end
    game.in_flight = game.in_flight + 1
    game.most = math.max(game.most, game.in_flight)
    client:start("get_record", id):on_done(function(record, err)
      game.in_flight = game.in_flight - 1
      if record then
        game.records = game.records + 1
      elseif err.kind ~= "closed" then
        game.failed = game.failed + 1
        game.failure = err
      end
    end)
  end
end

local TRACK = 30
local TAIL = { [0] = "●", "•", "∙", "·" }

--- A comet that runs to and fro: it would stutter where a frame is late.
local function draw()
  local cells, at = {}, game.frames % (2 * TRACK)
  for i = 1, TRACK do cells[i] = " " end
  for age = #TAIL, 0, -1 do
    local place = (at - age) % (2 * TRACK)
    cells[place < TRACK and place + 1 or 2 * TRACK - place] = TAIL[age]
  end
  line.show(("%s%s%s  %d in flight, %s, worst poll %.1f ms"):format(paint.dim "▕", paint.cyan(table.concat(cells)),
    paint.dim "▏", game.in_flight, paint.green(game.records .. " records"), game.worst_poll * 1000))
end

--- Sleeps until a frame is due, as a display's vertical sync does; one that is late already is missed.
local function wait_for_frame(due)
  local left = due - now()
  if left > 0 then
    socket.sleep(left)
    return due
  end
  game.missed = game.missed + 1
  return now()
end

local function report()
  line.clear()
  local missed = game.missed == 0 and paint.green "none missed" or paint.yellow(game.missed .. " missed")
  print(("%s frames, %s; %s, up to %d in flight"):format(paint.bold(game.frames), missed,
    paint.bold(game.records .. " records"), game.most))
  print(("worst frame  %5.2f ms of %.2f: the library's work, ours and the drawing"):format(
    game.worst_frame * 1000, FRAME * 1000))
  print(("worst poll   %5.2f ms: the library's part, TLS handshake included"):format(game.worst_poll * 1000))
  if #args.ids > 0 and game.in_flight > 0 then
    print(paint.yellow(("%d still under way after %g s"):format(game.in_flight, args.seconds)))
  end
  if game.failed > 0 then
    print(paint.red(("%d failed, the last one with: %s"):format(game.failed, tostring(game.failure))))
  end
end

support.run(function()
  local client = support.client(args)
  local next_id = ids()
  local began = now()
  local due = began
  while now() - began < args.seconds do
    local frame_began = now()
    keep_busy(client, next_id)

    local poll_began = now()
    local running = client:poll(0)
    game.worst_poll = math.max(game.worst_poll, now() - poll_began)

    game.frames = game.frames + 1
    draw()
    game.worst_frame = math.max(game.worst_frame, now() - frame_began)
    if running == 0 and #args.ids > 0 then break end
    due = wait_for_frame(due + FRAME)
  end
  report()
  local all_came = game.failed == 0 and (#args.ids == 0 or game.records == #args.ids)
  return all_came and 0 or 1
end)
