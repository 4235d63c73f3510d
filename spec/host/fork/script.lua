--- A script that forks: before, in the middle of, and after calls.
local aitoearn = require "aitoearn"
local inside = require "spec.host.inside"
local posix = require "posix"

local say = inside.say
local client = aitoearn.new()

local function kind(record, err)
  return record and "record" or err and err.kind or "nothing"
end

--- Runs `fn` in a child and waits for it meanwhile moving the parent's tasks on.
local function in_child(name, fn)
  local pid = assert(posix.fork())
  if pid == 0 then
    local ok, message = pcall(fn)
    if not ok then
      say(name .. ".error", message)
    end
    io.stdout:flush()
    posix._exit(ok and 0 or 1)
  end
  local _, _, code = posix.wait(pid)
  say(name .. ".exit", code)
end

say("before", kind(client:get_record "echo:before"))

in_child("child", function()
  say("child.call", kind(client:get_record "echo:child"))
end)
say("parent.call", kind(client:get_record "echo:parent"))

local task = client:start("get_record", "slow:300:ok")
in_child("busy_child", function()
  client:poll()
  say("busy_child.call", kind(client:get_record "ok"))
  local record, err = task:result()
  say("busy_child.task", kind(record, err))
  say("busy_child.message", err.message)
end)
while client:poll(1) > 0 do end
say("parent.task", kind(task:result()))

task = client:start("get_record", "slow:300:ok~2")
in_child("closing_child", function()
  client:close()
end)
while client:poll(1) > 0 do end
say("parent.task_of_closing", kind(task:result()))

task = client:start("get_record", "slow:300:ok~3")
in_child("idle_child", function()
  client, task = nil, nil -- luacheck: ignore
  collectgarbage()
  collectgarbage()
end)
while client:poll(1) > 0 do end
say("parent.task_of_idle", kind(task:result()))
client:close()

-- Over TLS a child that so much as says goodbye on its parent's connections spoils them.
local secure = aitoearn.new { server = os.getenv "HTTPS1", ca_file = os.getenv "AITOEARN_SPEC_CA", retry = false }
local leave = {
  cancelling = function(running) running:cancel() end,
  iterating = function(_, iterator) iterator:close() end,
  leaving = function()
    io.stdout:flush()
    os.exit(true, true) -- ends the Lua state, and collects whatever there is
  end,
}
for name, fn in pairs(leave) do
  local iterator = secure:each_record({ "ok~" .. name, "slow:300:ok~i" .. name }, { concurrency = 2 })
  say(name .. ".first", kind(select(2, iterator())))
  task = secure:start("get_record", "slow:300:ok~t" .. name)
  secure:poll()
  in_child(name, function() fn(task, iterator) end)
  while secure:poll(1) > 0 do end
  say(name .. ".task", kind(task:result()))
  say(name .. ".second", kind(select(2, iterator())))
end
say("connections", secure:stats().connections)
