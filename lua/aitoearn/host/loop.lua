--- What the hosts with an event loop share, and all that a host for another loop needs: a driver that watches a descriptor.
---
---     aitoearn.new { host = function(engine)
---       return loop.new(engine, {
---         watch = function(fd, step) my_loop:on_readable(fd, step) end,
---         unwatch = function(fd) my_loop:forget(fd) end,
---       })
---     end }
---
--- The descriptor is watched only while something is in flight, so it keeps no loop from ending.
---@module "aitoearn.host.loop"

local hooks = require "aitoearn.hooks"
local schedulers = require "aitoearn.scheduler"

local M = {}

local OUTSIDE = "this is no coroutine of the event loop's, so the call cannot wait: make it in one, or use client:start"
local NO_YIELD = "this coroutine cannot yield here (a C function called what runs), so the call cannot wait: make it "
  .. "outside of that, or use client:start"

-- nil in PUC Lua 5.1 and 5.2.
local is_yieldable = coroutine.isyieldable -- luacheck: ignore 143

-- Lua 5.1 has no coroutine for the main program, later ones have.
local function running()
  local co, is_main = coroutine.running()
  return not is_main and co or nil
end

---@class aitoearn.LoopDriver
---@field watch fun(fd: integer?, step: function) calls `step` whenever `fd` is readable; every few milliseconds if nil
---@field unwatch fun(fd: integer?) stops that; after it the descriptor may be closed
---@field report? fun(message: string) gets errors that nobody can catch
---@field waiter? fun(): any what `park` and `wake` take: the running coroutine without it
---@field park? fun(waiter: any) lets a coroutine of the loop's wait: `coroutine.yield` without it
---@field wake? fun(waiter: any) ends that wait; without it the coroutine is resumed
---@field problem? fun(is_task: boolean): string? why a call cannot wait here

-- Watches the descriptor while something waits.
local function make_watch(engine, scheduler, driver)
  local watched, fd, closed = false, nil, false
  local function unwatch()
    if watched then
      watched = false
      driver.unwatch(fd)
    end
  end
  local function step()
    scheduler:step(0)
  end
  local function watch()
    if not watched and not closed then
      watched, fd = true, engine:getfd()
      driver.watch(fd, step)
    end
  end
  local function close()
    closed = true
    unwatch()
  end
  scheduler.on_idle = unwatch
  return watch, close
end

local function problem(scheduler, driver)
  local is_task = scheduler:current() ~= nil
  if is_yieldable and running() and not is_yieldable() then
    return NO_YIELD
  elseif driver.problem then
    return driver.problem(is_task)
  end
  return not running() and OUTSIDE or nil
end

---@param engine aitoearn.Engine
---@param driver aitoearn.LoopDriver
---@return aitoearn.Host
function M.new(engine, driver)
  local scheduler = schedulers.new(engine, driver.report or hooks.report)
  local watch, close = make_watch(engine, scheduler, driver)
  local waiter_of, park = driver.waiter or running, driver.park or coroutine.yield
  if driver.wake then
    function scheduler:wake(waiter, transfer)
      if self.threads[waiter] then
        self:resume(waiter, transfer)
      else -- it runs later: the step that wakes the last one is to stop watching
        self:remove(transfer)
        driver.wake(waiter)
      end
    end
  end

  local function await(transfer)
    local own = scheduler:current()
    local waiter = own or waiter_of()
    if not waiter then
      error(OUTSIDE, 0)
    end
    watch()
    if own then
      return scheduler:yield_for(transfer, own)
    end
    scheduler:add(transfer, waiter)
    while not transfer:is_done() do -- others may resume it meanwhile
      park(waiter)
    end
    scheduler:remove(transfer)
  end

  return {
    report = scheduler.report,
    threads = scheduler.threads,
    await = await,
    spawn = function(fn, ...)
      return scheduler:spawn(fn, ...)
    end,
    problem = function()
      return problem(scheduler, driver)
    end,
    close = function()
      close()
      engine:close()
      scheduler:step(0)
    end,
  }
end

return M
