--- Runs `spec.host.answers` in a frame loop: its calls are tasks, looked at once a frame.
-- luacheck: globals love
local aitoearn = require "aitoearn"
local answers = require "spec.host.answers"
local inside = require "spec.host.inside"

local clients = {}

local function new(options)
  local client = aitoearn.new(options)
  clients[#clients + 1] = client
  return client
end

local function get(client, id, opts)
  local task = client:start("get_record", id, opts)
  while not task:done() do coroutine.yield() end
  return task:result()
end

local work = coroutine.create(function()
  for name, outcome in pairs(answers(new, get, inside.place())) do inside.say(name, outcome) end
  inside.say("finished", "yes")
end)

function love.update()
  for _, client in ipairs(clients) do client:poll(0) end
  assert(coroutine.resume(work))
  if coroutine.status(work) == "dead" then love.event.quit() end
end
