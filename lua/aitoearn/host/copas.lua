--- The host of copas, version 4 and later: calls wait in copas threads; one more thread, the pump, advances them.
---@module "aitoearn.host.copas"

local loop = require "aitoearn.host.loop"

local M = {}

-- Seconds between two polls if the engine has no descriptor.
local INTERVAL = 0.002

-- What copas takes for a socket: it has nothing to read when first asked and something when asked again, which is
-- once the descriptor is readable.
local function pollable(fd)
  local asked = false
  return {
    getfd = function()
      return fd
    end,
    dirty = function()
      return false
    end,
    settimeout = function()
      return true
    end,
    close = function()
      return true
    end,
    receive = function()
      asked = not asked
      if asked then
        return nil, "timeout"
      end
      return ""
    end,
  }
end

-- The running copas thread. On PUC Lua 5.1 copas's pcall runs what it calls in another coroutine.
local function thread()
  local coxpcall = package.loaded.coxpcall
  local co, is_main = (coxpcall and coxpcall.running or coroutine.running)()
  return not is_main and co or nil
end

---@param engine aitoearn.Engine
---@return aitoearn.Host
function M.new(engine)
  local copas = require "copas"
  if not (copas.pauseforever and copas.wakeup) then
    error(("host: copas 4 or later expected, this is %s"):format(tostring(copas._VERSION)), 0)
  end
  local watched

  local function pump(object, step)
    while watched == object do
      if object.getfd() then
        copas.receive(object)
      else
        copas.pause(INTERVAL)
      end
      if watched == object then
        step()
      end
    end
  end

  local host = loop.new(engine, {
    watch = function(fd, step)
      watched = pollable(fd)
      copas.addthread(pump, watched, step)
    end,
    unwatch = function()
      local object = watched
      watched = nil
      copas.close(object) -- wakes the pump, should it wait
    end,
    waiter = thread,
    park = function()
      copas.pauseforever()
    end,
    wake = copas.wakeup,
  })
  host.name = "copas"
  return host
end

return M
