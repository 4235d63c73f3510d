--- copas for the scenarios.
--
-- Debian's copas 4.8 comes without its dependency timerwheel and without its own copas.semaphore, which `copas.loop`
-- needs. So the loop is driven step by step, and a plain timerwheel stands in where there is none.
if not pcall(require, "timerwheel") then
  package.loaded.timerwheel = require "spec.host.copas.timerwheel"
end
local copas = require "copas"

local M = { host = "copas", outside = true }

M.new = require("aitoearn.host.copas").new

function M.spawn(fn)
  copas.addthread(fn)
end

function M.run()
  repeat
    copas.step()
  until copas.finished()
end

M.sleep = copas.pause

return M
