--- Coroutines that fail after a call, and one that somebody else resumes while it waits.
local aitoearn = require "aitoearn"
local inside = require "spec.host.inside"
local uv = require "luv"

local client = aitoearn.new { host = "luv" }

coroutine.wrap(function()
  client:get_record "ok"
  error "the caller's own mistake"
end)()

coroutine.wrap(function()
  inside.say("second", client:get_record "slow:50:ok" and "record")
end)()

local early = coroutine.create(function()
  local record, err = client:get_record "slow:50:ok"
  inside.say("resumed_early", record and "record" or err)
end)
coroutine.resume(early)
coroutine.resume(early, "for no reason")

uv.run()
client:close()
uv.run()
