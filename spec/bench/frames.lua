--- client:poll(0), as a frame loop calls it.
-- @module spec.bench.frames
local measure = require "spec.bench.measure"

local M = {}

local POLLS = 20000
local IN_FLIGHT = 100

local function poll_loop(client, count)
  for _ = 1, count do
    client:poll(0)
  end
end

-- The processor time of one poll, and the bytes that it allocates.
local function idle_polls(client)
  local results = measure.turns({
    poll = function() return (measure.cpu(poll_loop, client, POLLS)) / POLLS * 1e6 end,
  }, 2 * measure.rounds)
  collectgarbage()
  collectgarbage "stop"
  local before = collectgarbage "count"
  poll_loop(client, POLLS)
  local bytes = (collectgarbage "count" - before) * 1024 / POLLS
  collectgarbage "restart"
  return measure.each_round(results, function(r) return r.poll end), bytes
end

--- What a poll costs that has nothing to do.
function M.poll(p)
  local aitoearn = require "aitoearn"
  measure.heading "client:poll(0) with nothing to do (processor time)"
  for _, case in ipairs { { "http", p.cn.http }, { "https", p.cn.https } } do
    local client = aitoearn.new { server = case[2], api_key = p.cn.key, ca_file = p.ca_file, timeout = false,
      deadline = false }
    assert(client:get_record("6877a1b20000000000000000"))
    local cost, bytes = idle_polls(client)
    measure.row(case[1] .. ", nothing in flight", cost, { unit = "us", most = 1 })
    measure.row("    allocated, a poll", bytes, { unit = "bytes", most = 0 })
    for i = 1, IN_FLIGHT do
      client:start("get_record", "silent~" .. i)
    end
    for _ = 1, 50 do -- until all are sent
      client:poll(0.02)
    end
    cost, bytes = idle_polls(client)
    assert(client:poll(0) == IN_FLIGHT, "not all are in flight")
    measure.row(("%s, %d in flight"):format(case[1], IN_FLIGHT), cost, { unit = "us", most = 5 })
    measure.row("    allocated, a poll", bytes, { unit = "bytes", most = 0 })
    client:close()
  end
end

--- The worst poll of a loop that draws 60 frames a second.
function M.loop(p)
  measure.heading(("60 Hz loop, %d records in flight, from the first connection on (wall-clock time)"):format(IN_FLIGHT))
  for _, case in ipairs { { "https, HTTP/2", p.cn.https }, { "http", p.cn.http }, { "https, HTTP/1.1", p.https1 } } do
    local worst = { wall = {}, cpu = {}, start = {}, records = {} }
    for i = 1, 5 do
      local seen = measure.child("frames", case[2], p.cn.key, p.ca_file, IN_FLIGHT, i)
      worst.wall[i], worst.cpu[i], worst.start[i], worst.records[i] = seen[1], seen[2], seen[3], seen[4]
    end
    local function show(what, name, row)
      measure.row(what, measure.each_round(worst, function(r) return r[name] end), row)
    end
    show("worst poll(0), " .. case[1], "wall", { unit = "ms", most = not case[1]:find "1.1" and 3 or nil })
    show("    worst by processor time", "cpu", { unit = "ms" })
    show("    starting all of them", "start", { unit = "ms" })
    show("    records in 3 s", "records", { unit = "" })
  end
end

return M
