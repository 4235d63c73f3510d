--- Coroutines that wait for transfers of one engine, and whoever moves them on.
-- @module aitoearn.scheduler

local core = require "aitoearn.core"

local create, resume, running, status, yield =
  coroutine.create, coroutine.resume, coroutine.running, coroutine.status, coroutine.yield

local scheduler = {}

-- A set of coroutines over one engine.
---@class aitoearn.Scheduler
---@field waiting table<userdata, thread> who waits for which transfer
---@field threads table<thread, boolean> the coroutines it made
local Scheduler = {}
Scheduler.__index = Scheduler

--- @tparam userdata engine
-- @tparam function report gets the message of an error that nobody can catch
function scheduler.new(engine, report)
  return setmetatable({ engine = engine, report = report, waiting = {}, threads = {} }, Scheduler)
end

--- Runs a coroutine up to its next wait, or its end.
function Scheduler:resume(co, ...)
  if status(co) == "dead" then -- it could not yield, and has ended by that
    return
  end
  local ok, message = resume(co, ...)
  if not ok then
    self.report(debug.traceback(co, tostring(message)))
  end
  if status(co) == "dead" then
    self.threads[co] = nil
  end
end

--- Runs a function in a new coroutine up to its first wait. An error on the way there is the caller's.
-- @treturn thread
function Scheduler:spawn(fn, ...)
  local co = create(fn)
  self.threads[co] = true
  local ok, message = resume(co, ...)
  if status(co) == "dead" then
    self.threads[co] = nil
  end
  if not ok then
    error(message, 0)
  end
  return co
end

--- The running coroutine, if it is one of ours.
function Scheduler:current()
  local co = running()
  return co and self.threads[co] and co
end

--- Waits for a transfer: a coroutine of ours yields, anybody else moves everything on until it is done.
function Scheduler:await(transfer)
  local co, waiting = self:current(), self.waiting
  if co then
    waiting[transfer] = co
    repeat -- what a hook tried to wait for in vain may resume it meanwhile
      yield()
    until not waiting[transfer]
    return
  end
  while not transfer:is_done() do
    self:step(-1)
  end
end

--- Polls the engine once and wakes whoever waited for what is done.
-- @tparam number ms how long to wait for something, milliseconds; −1: no limit
-- @tparam ?number seconds for how long to wake them: the others have their turn at the next step
function Scheduler:step(ms, seconds)
  local engine = self.engine
  if engine:poll(ms) == 0 then
    return
  end
  local limit = seconds and core.monotonic() + seconds
  local transfer = engine:next()
  while transfer do
    local co = self.waiting[transfer]
    if co then
      self.waiting[transfer] = nil
      self:resume(co)
    end
    transfer = not (limit and core.monotonic() > limit) and engine:next()
  end
end

return scheduler
