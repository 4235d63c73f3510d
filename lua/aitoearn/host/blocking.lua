--- The host of a script, and of a frame loop: calls block, tasks move on whenever anything polls.
-- @module aitoearn.host.blocking

local schedulers = require "aitoearn.scheduler"

local blocking = {}

--- @tparam userdata engine
-- @treturn table host
function blocking.new(engine)
  local scheduler = schedulers.new(engine, function(message)
    io.stderr:write("aitoearn: ", message, "\n")
  end)
  return {
    name = "blocking",
    report = scheduler.report,
    threads = scheduler.threads,
    await = function(transfer)
      scheduler:await(transfer)
    end,
    spawn = function(fn, ...)
      return scheduler:spawn(fn, ...)
    end,
    step = function(ms, seconds)
      scheduler:step(ms, seconds)
    end,
    close = function()
      engine:close()
      scheduler:step(0)
    end,
  }
end

return blocking
