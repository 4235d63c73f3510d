--- A frame loop with calls of every kind in flight.
-- luacheck: globals love
local aitoearn = require "aitoearn"
local inside = require "spec.host.inside"

local say = inside.say
local client, tasks
local frames, frames_in_flight, polls, good, live = 0, 0, {}, 0, 0

function love.load()
  client = aitoearn.new { max_connections = 100 }
  say("host", client.host.name)
  local ids = {}
  for i = 1, 100 do
    ids[i] = ("slow:500:ok~%d"):format(i)
  end
  local function count(record) good = good + (record and 1 or 0) end
  tasks = {
    client:start("get_records", ids, { concurrency = 100, on_record = function(_, record) count(record) end }),
    client:start("wait", "status:2;status:2;ok~love", { pace = function() return 0.1 end })
      :on_done(function(record) live = record and record.status or 0 end),
    client:start("get_record", "silent"),
  }
end

function love.update()
  local before = love.timer.getTime()
  local running = client:poll(0)
  polls[#polls + 1] = love.timer.getTime() - before
  frames = frames + 1
  frames_in_flight = frames_in_flight + (client:stats().in_flight >= 100 and 1 or 0)
  if running == 1 then
    tasks[3]:cancel()
  elseif running == 0 then
    table.sort(polls)
    say("good", good)
    say("live", live)
    say("cancelled", select(2, tasks[3]:result()).kind)
    say("frames_in_flight", frames_in_flight)
    say("median_poll_ms", polls[math.ceil(#polls / 2)] * 1000)
    love.event.quit()
  end
end

function love.draw()
  love.graphics.print("frame " .. frames, 10, 10)
end

function love.quit()
  client:close()
  say("left", client:stats().in_flight)
end
