--- The host of a script, and of a frame loop: calls block, tasks advance whenever anything polls.
---@module "aitoearn.host.blocking"

local hooks = require "aitoearn.hooks"
local schedulers = require "aitoearn.scheduler"

local M = {}

---@param engine aitoearn.Engine
---@return aitoearn.Host
function M.new(engine)
  local scheduler = schedulers.new(engine, hooks.report)
  local await, step = scheduler.await, scheduler.step
  return {
    name = "blocking",
    report = hooks.report,
    threads = scheduler.threads,
    await = function(transfer)
      return await(scheduler, transfer)
    end,
    spawn = function(fn, ...)
      return scheduler:spawn(fn, ...)
    end,
    step = function(ms, seconds)
      return step(scheduler, ms, seconds)
    end,
    close = function()
      engine:close()
      scheduler:step(0)
    end,
  }
end

return M
