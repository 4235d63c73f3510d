--- The host of cqueues: calls wait in the coroutines of a controller, which one coroutine of this file, the pump, advances.
---@module "aitoearn.host.cqueues"

local loop = require "aitoearn.host.loop"

local M = {}

-- Seconds between two polls if the engine has no descriptor.
local INTERVAL = 0.002

local OUTSIDE = "no cqueues controller runs this function, so the call cannot wait: make it in one (controller:wrap)"

---@param engine aitoearn.Engine
---@return aitoearn.Host
function M.new(engine)
  local cqueues = require "cqueues"
  local condition = require "cqueues.condition"
  local pumps = setmetatable({}, { __mode = "k" }) -- by controller; weak, so a dropped controller takes its pump with it
  local step, fd, pollable

  local function pump(controller, mine)
    while pumps[controller] == mine do
      cqueues.poll(pollable)
      if pumps[controller] == mine then
        step()
      end
    end
  end

  local function ensure_pump()
    local controller = cqueues.running()
    if step and controller and not pumps[controller] then
      local mine = {}
      pumps[controller] = mine
      controller:wrap(pump, controller, mine)
    end
  end

  local host = loop.new(engine, {
    watch = function(descriptor, on_ready)
      fd, step = descriptor, on_ready
      pollable = fd and { pollfd = fd, events = "r" } or INTERVAL
      ensure_pump()
    end,
    unwatch = function()
      step = nil
      for controller in pairs(pumps) do
        pumps[controller] = nil
      end
      if fd then
        cqueues.cancel(fd) -- wakes the pump, and no controller mistakes the number's next owner for it
      end
    end,
    waiter = function()
      local controller, inside = cqueues.running()
      return controller and inside and condition.new() or nil
    end,
    park = function(waiter)
      ensure_pump()
      waiter:wait()
    end,
    wake = function(waiter)
      waiter:signal()
    end,
    problem = function(is_task)
      local controller, inside = cqueues.running()
      return not (controller and (inside or is_task)) and OUTSIDE or nil
    end,
  })
  host.name = "cqueues"
  return host
end

return M
