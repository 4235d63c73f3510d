--- One client, several controllers; descriptor numbers that come back.
local aitoearn = require "aitoearn"
local cqueues = require "cqueues"
local inside = require "spec.host.inside"
local socket = require "cqueues.socket"

local client = aitoearn.new { host = "cqueues", timeout = 1, retry = false }

local function ask(name, id)
  local record, err = client:get_record(id or "slow:30:ok")
  inside.say(name, record and "record" or err)
end

for _, name in ipairs { "first", "second" } do
  local controller = cqueues.new()
  controller:wrap(ask, name)
  assert(controller:loop())
end

local outer, inner = cqueues.new(), cqueues.new()
inner:wrap(ask, "nested")
outer:wrap(function()
  assert(inner:loop())
end)
assert(outer:loop())

local dropped = cqueues.new()
dropped:wrap(ask, "dropped", "silent")
assert(dropped:step(0.05))
dropped = nil -- luacheck: ignore
collectgarbage()
collectgarbage()
local last = cqueues.new()
last:wrap(ask, "after_dropped")
assert(last:loop())

-- A client's descriptor is closed, and a pipe that the same controller reads gets its number.
local controller = cqueues.new()
controller:wrap(function()
  local brief = aitoearn.new { host = "cqueues" }
  brief:get_record "ok"
  local number = brief.engine:getfd()
  brief:close()
  local a, b = socket.pair()
  inside.say("reused", a:pollfd() == number or b:pollfd() == number)
  controller:wrap(function()
    cqueues.sleep(0.02)
    b:write "written\n"
    b:flush()
    a:write "written\n"
    a:flush()
  end)
  inside.say("read", (a:pollfd() == number and a or b):read "*l")
end)
assert(controller:loop())
client:close()
