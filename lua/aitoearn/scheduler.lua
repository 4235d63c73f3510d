--- Coroutines that wait for transfers of one engine: the one loop that polls it and wakes them.
---@module "aitoearn.scheduler"

local core = require "aitoearn.core"

local create, resume, running, status, yield =
  coroutine.create, coroutine.resume, coroutine.running, coroutine.status, coroutine.yield

local M = {}

---@class aitoearn.Scheduler
---@field engine aitoearn.Engine
---@field report fun(message: string) gets errors that nobody can catch
---@field waiting table<aitoearn.Transfer, any> who waits for which transfer: a coroutine, or what `wake` takes; and a
--- placeholder, which is false
---@field count integer how many wait
---@field threads table<thread, boolean> the coroutines that it made
---@field has_spawned boolean whether it ever made one
---@field wake fun(self: aitoearn.Scheduler, waiter: any, transfer: aitoearn.Transfer)
---@field on_idle fun()|false called when nobody waits any more
---@field private handing_out boolean whether a step hands results out; still true after one that was interrupted
---@field private resumed thread|false the last coroutine that it resumed
local Scheduler = {}
Scheduler.__index = Scheduler

-- The key of an entry in `waiting` that nobody waits for. Lua rebuilds a table that is exactly full whenever a key is added,
-- and its sizes are powers of two, as the number of calls at once often is.
local PLACEHOLDER = "placeholder"

-- What a coroutine returns at its end. (In between it yields nothing.)
local ENDED = {}

local function run(fn, ...)
  fn(...)
  return ENDED
end

--- Makes a scheduler.
---@param engine aitoearn.Engine
---@param report fun(message: string)
---@return aitoearn.Scheduler
function M.new(engine, report)
  return setmetatable({ engine = engine, report = report, waiting = { [PLACEHOLDER] = false }, count = 0, threads = {},
    has_spawned = false, on_idle = false, handing_out = false, resumed = false }, Scheduler)
end

--- Runs a coroutine up to its next wait, or its end.
---@param co thread
---@param transfer? aitoearn.Transfer that it waits for, if that is done
function Scheduler:resume(co, transfer)
  if status(co) ~= "suspended" then -- it could not yield, and has ended by that
    return
  end
  self.resumed = co
  local ok, result = resume(co, transfer)
  if ok and result ~= ENDED then
    return
  end
  self.threads[co] = nil
  if not ok then
    self.report(debug.traceback(co, tostring(result)))
  end
end

Scheduler.wake = Scheduler.resume

--- Runs a function in a new coroutine up to its first wait. An error on the way there is the caller's.
---@param fn function
---@param ... any
---@return thread
function Scheduler:spawn(fn, ...)
  local co = create(run)
  self.threads[co], self.has_spawned = true, true
  local ok, result = resume(co, fn, ...)
  if result == ENDED or not ok then
    self.threads[co] = nil
  end
  if not ok then
    error(result, 0)
  end
  return co
end

--- The running coroutine, if it is one that `spawn` made.
---@return thread|false|nil
function Scheduler:current()
  local co = running()
  return co and self.threads[co] and co
end

--- Whether what runs now was called by a coroutine that a step resumed.
---@return boolean
function Scheduler:is_resuming()
  local resumed = self.resumed
  return resumed and status(resumed) == "normal"
end

--- Registers who waits for a transfer.
---@param transfer aitoearn.Transfer
---@param waiter any
function Scheduler:add(transfer, waiter)
  self.waiting[transfer] = waiter
  self.count = self.count + 1
end

--- Ends the wait. Harmless if it has ended before.
---@param transfer aitoearn.Transfer
local function remove(self, transfer)
  local waiting = self.waiting
  if waiting[transfer] then
    waiting[transfer] = nil
    local count = self.count - 1
    self.count = count
    if count == 0 and self.on_idle and not self.handing_out then
      self.on_idle()
    end
  end
end

Scheduler.remove = remove

--- Waits for a transfer in a coroutine that `spawn` made.
---
--- It looks whether the transfer is done after it was registered: a finalizer that runs meanwhile may close the client and
--- hand everything out. It looks again whenever it is resumed: others may do that too.
---@param transfer aitoearn.Transfer
---@param co thread
function Scheduler:yield_for(transfer, co)
  self.waiting[transfer] = co -- as `add` does
  self.count = self.count + 1
  if not transfer:is_done() then
    repeat until yield() == transfer or transfer:is_done()
  end
  remove(self, transfer)
end

local yield_for = Scheduler.yield_for

--- Makes a function that waits for a transfer: a coroutine that `spawn` made yields, the main program polls until it is
--- done.
---@return fun(transfer: aitoearn.Transfer)
function Scheduler:awaiter()
  local engine, threads = self.engine, self.threads
  local engine_await = engine.await
  return function(transfer)
    while not self.has_spawned do -- nobody else waits then: what else is done need not be handed out
      if engine_await(engine, transfer) then
        return
      end
    end
    local co = running()
    if co and threads[co] then
      return yield_for(self, transfer, co)
    elseif self.resumed and self:is_resuming() then -- each would poll inside of another's poll
      error("a call cannot wait inside of a function that a task calls: use client:start", 0)
    end
    repeat -- what is done already makes no poll wait
      self:step(-1)
    until transfer:is_done()
  end
end

--- Steps, where the caller is not in one of the coroutines, nor called by one.
---@param seconds? number how long to wait for something; nil: no limit
---@return boolean stepped
function Scheduler:wait_any(seconds)
  if self:current() or self:is_resuming() then
    return false
  end
  self:step(seconds and seconds * 1000 or -1)
  return true
end

-- Wakes all whose transfer is done, handed out or not: after a step that was interrupted some were, and are not awake.
local function wake_done(self)
  local done = {}
  for transfer, waiter in pairs(self.waiting) do
    if waiter and transfer:is_done() then
      done[#done + 1] = transfer
    end
  end
  for _, transfer in ipairs(done) do
    local waiter = self.waiting[transfer]
    if waiter ~= nil then
      self:wake(waiter, transfer)
    end
  end
end

--- Polls the engine once and wakes those whose transfer is done. It may be interrupted anywhere (Ctrl-C raises in the
--- middle of it) and be called inside of itself (by a hook that closes the client).
---@param ms number how long to wait for something, milliseconds; −1: no limit
---@param seconds? number for how long to wake: the rest has its turn at the next step
---@return boolean any whether anything was done
function Scheduler:step(ms, seconds)
  local engine = self.engine
  local any = engine:poll(ms) > 0
  if not any and not self.handing_out then
    return false
  end
  if self.handing_out then
    wake_done(self)
  end
  self.handing_out = true
  local limit = seconds and core.monotonic() + seconds
  local waiting, wake = self.waiting, self.wake
  local transfer = engine:next()
  while transfer do
    local waiter = waiting[transfer]
    if waiter then
      wake(self, waiter, transfer)
    end
    if limit and core.monotonic() > limit then
      break
    end
    transfer = engine:next()
  end
  self.handing_out = false
  if self.count == 0 and self.on_idle then
    self.on_idle()
  end
  return any
end

return M
