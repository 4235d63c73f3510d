--- The host of a script, and of a frame loop: calls block, tasks advance whenever anything polls.
---@module "aitoearn.host.blocking"

local hooks = require "aitoearn.hooks"
local schedulers = require "aitoearn.scheduler"

local M = {}

---@param engine aitoearn.Engine
---@return aitoearn.Host
function M.new(engine)
  local scheduler = schedulers.new(engine, hooks.report)
  local step = scheduler.step
  return {
    name = "blocking",
    report = hooks.report,
    threads = scheduler.threads,
    await = scheduler:awaiter(),
    spawn = function(fn, ...)
      return scheduler:spawn(fn, ...)
    end,
    step = function(ms, seconds)
      return step(scheduler, ms, seconds)
    end,
    wait_any = function(seconds)
      return scheduler:wait_any(seconds)
    end,
    close = function()
      engine:close()
      scheduler:step(0)
    end,
  }
end

return M
