--- Runs `spec.host.answers` in the loop that AITOEARN_SPEC_LOOP names, with its adapter.
local aitoearn = require "aitoearn"
local answers = require "spec.host.answers"
local inside = require "spec.host.inside"

local adapter = require("spec.host.loops." .. os.getenv "AITOEARN_SPEC_LOOP")

local function new(options)
  options.host = adapter.host
  return aitoearn.new(options)
end

local function get(client, id, opts)
  return client:get_record(id, opts)
end

local is_over = false
adapter.spawn(function()
  for name, outcome in pairs(answers(new, get, inside.place())) do inside.say(name, outcome) end
  is_over = true
end)
adapter.run(function() return is_over end)
inside.say("finished", "yes")
