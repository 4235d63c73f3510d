--- cqueues for the scenarios.
local cqueues = require "cqueues"

local M = { host = "cqueues", outside = false }

M.new = require("aitoearn.host.cqueues").new

local controller = cqueues.new()

function M.spawn(fn)
  controller:wrap(fn)
end

function M.run()
  assert(controller:loop())
end

M.sleep = cqueues.sleep

return M
