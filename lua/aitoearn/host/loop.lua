--- What the hosts with an event loop share, and all that a host of one's own needs: a driver that watches a descriptor.
--
--     aitoearn.new { host = function(engine)
--       return loop.new(engine, {
--         watch = function(fd, step) my_loop:on_readable(fd, step) end,
--         unwatch = function(fd) my_loop:forget(fd) end,
--       })
--     end }
--
-- The descriptor is watched only while something is in flight, so it keeps no loop from ending.
-- @module aitoearn.host.loop

local schedulers = require "aitoearn.scheduler"

local loop = {}

local OUTSIDE = "this is no coroutine of the event loop's, so the call cannot wait: make it in one, or use client:start"

-- Lua 5.1 has no coroutine for the main program, later ones have.
local function running()
  local co, is_main = coroutine.running()
  return not is_main and co or nil
end

local function report_on_stderr(message)
  io.stderr:write("aitoearn: ", message, "\n")
end

---@class aitoearn.LoopDriver
---@field watch fun(fd: integer?, step: function) calls `step` whenever `fd` is readable; every few milliseconds if nil
---@field unwatch fun(fd: integer?) stops that; after it the descriptor may be closed
---@field report? fun(message: string) gets errors that nobody can catch; they go to stderr without it
---@field waiter? fun(): any what `park` and `wake` take: the running coroutine without it
---@field park? fun(waiter: any) lets a coroutine of the loop's wait: `coroutine.yield` without it
---@field wake? fun(waiter: any) ends that wait; without it the coroutine is resumed
---@field problem? fun(is_task: boolean): string? why a call cannot wait here

--- @tparam userdata engine
-- @tparam table driver
-- @treturn table host
function loop.new(engine, driver)
  local scheduler = schedulers.new(engine, driver.report or report_on_stderr)
  local waiting, count = scheduler.waiting, 0
  local watched, fd, closed = false, nil, false
  local waiter_of, park = driver.waiter or running, driver.park or coroutine.yield

  local function unwatch()
    if watched then
      watched = false
      driver.unwatch(fd)
    end
  end

  local function wake(waiter)
    if scheduler.threads[waiter] or not driver.wake then
      scheduler:resume(waiter)
    else
      driver.wake(waiter)
    end
  end

  local function step()
    engine:poll(0)
    local transfer = engine:next()
    while transfer do
      local waiter = waiting[transfer]
      if waiter then
        waiting[transfer], count = nil, count - 1
        wake(waiter)
      end
      transfer = engine:next()
    end
    if count == 0 then
      unwatch()
    end
  end

  local function watch()
    if not watched and not closed then
      watched, fd = true, engine:getfd()
      driver.watch(fd, step)
    end
  end

  return {
    report = scheduler.report,
    threads = scheduler.threads,
    await = function(transfer)
      local own = scheduler:current()
      local waiter = own or waiter_of()
      if not waiter then
        error(OUTSIDE, 0)
      end
      waiting[transfer], count = waiter, count + 1
      watch()
      while waiting[transfer] do -- somebody else may resume it meanwhile
        if own then
          coroutine.yield()
        else
          park(waiter)
        end
      end
    end,
    spawn = function(fn, ...)
      return scheduler:spawn(fn, ...)
    end,
    problem = function()
      local own = scheduler:current() ~= nil
      if driver.problem then
        return driver.problem(own)
      end
      return not running() and OUTSIDE or nil
    end,
    close = function()
      closed = true
      unwatch()
      engine:close()
      step()
    end,
  }
end

return loop
