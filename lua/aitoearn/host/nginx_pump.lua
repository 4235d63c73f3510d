--- What the calls of one client wait by in an nginx worker.
---
--- A worker has one pump for each client: a light thread in a timer of its own that lets the engine work whenever its
--- descriptor is readable, and wakes the waiters whose transfers are done. The first waiter starts it; it ends with the
--- last. It waits for the descriptor in nginx's thread pool; without one it looks every millisecond.
---
--- Nothing in Lua learns that a request was aborted or a light thread killed: it just never runs again. Its semaphore does:
--- nobody waits on it any more. The pump looks for those and cancels their transfers.
---
--- | state | how it is known | what ends it |
--- |---|---|---|
--- | none | no `generation` | a waiter starts a pump |
--- | running | `generation`, `last_seen` is recent | it waits |
--- | waiting in a thread | the same; `use_threads` | the descriptor, or WAIT_MS |
--- | waiting for a tick | the same; not `use_threads` | a millisecond |
--- | dozing | `is_dozing` | DOZE, or a waiter that posts `nudge` |
--- | given up | `thread_may_hang`, until the next pump starts without threads | a waiter that starts it |
---@module "aitoearn.host.nginx_pump"

local core = require "aitoearn.core"
local hooks = require "aitoearn.hooks"
local schedulers = require "aitoearn.scheduler"
local semaphore = require "ngx.semaphore"

local M = {}

local ngx = rawget(_G, "ngx")
local remove = table.remove
local run_worker_thread = ngx.run_worker_thread

local THREAD_POOL = "default"

-- How long the pump's thread waits for the descriptor at a time, in milliseconds.
local WAIT_MS = 500

-- Without threads: the pause between two looks, in seconds, and the one after many looks at nothing but timers.
local TICK, DOZE = 0.001, 0.02
local LOOKS_BEFORE_DOZE = 50

-- Seconds between two searches for transfers that nobody waits for any more.
local SWEEP_INTERVAL = 0.25

-- nginx keeps a timer's memory as long as it runs, so after this many rounds a pump makes way for a fresh one.
local ROUNDS_PER_GENERATION = 1000

-- A pump that was not seen at work for this long, in seconds, is late: a waiter does its work. Others may have taken all
-- threads.
local LATE = 0.01

-- A pump that was not seen at work for this long, in seconds, is given up, and another one started.
local PATIENCE = 2

---@class aitoearn.host.nginx.Pump
---@field engine aitoearn.Engine
---@field scheduler aitoearn.Scheduler who waits for which transfer: one semaphore each
---@field generation table? the token of the pump that runs, or is about to
---@field last_seen number when a pump was last at work, on the monotonic clock
---@field last_sweep number when it last looked for those who wait no more
---@field use_threads boolean? whether the pump waits in nginx's thread pool
---@field thread_may_hang boolean? whether the last pump was given up
---@field is_dozing boolean? whether the pump sleeps longer than a tick
---@field nudge table a semaphore: ends a doze
---@field idle_waiters table[] semaphores for later waiters: making one costs more than waiting on it
---@field has_warned boolean? whether it said that there is no timer to be had
---@field closed boolean? whether the engine is
local Pump = {}
Pump.__index = Pump

-- Wakes a waiter. It is forgotten here: a semaphore that was posted looks like one on which nobody waits.
local function wake(scheduler, waiter, transfer)
  scheduler:remove(transfer)
  waiter:post(1)
end

--- Lets the engine work, and wakes the waiters whose transfers are done.
---@return boolean any whether any was
function Pump:step()
  local any = false
  while self.scheduler:step(0) do
    any = true
  end
  return any
end

-- Wakes the waiters whose answers the work for another request brought, of which the descriptor does not say a word.
local function hand_out(self)
  local engine, scheduler = self.engine, self.scheduler
  local transfer = engine:next()
  while transfer do
    local waiter = scheduler.waiting[transfer]
    if waiter then
      wake(scheduler, waiter, transfer)
    end
    transfer = engine:next()
  end
end

-- Cancels what nobody waits for any more. A waiter counts as −1 in its semaphore.
local function sweep(self)
  self.last_sweep = core.monotonic()
  for transfer, waiter in pairs(self.scheduler.waiting) do
    if waiter and waiter:count() >= 0 then
      self.scheduler:remove(transfer)
      transfer:cancel()
      if waiter.call then
        waiter.call:abandon() -- its coroutine will never do so
      end
    end
  end
end

-- The engine failed, which it should not: nobody must wait for it for ever.
local function give_up(self, message)
  hooks.report("the pump failed: " .. tostring(message))
  for transfer, waiter in pairs(self.scheduler.waiting) do
    if waiter then
      self.scheduler:remove(transfer)
      pcall(transfer.cancel, transfer)
      waiter:post(1)
    end
  end
end

-- Waits in a thread of nginx's; returns false if there is none to be had, or no descriptor.
local function wait_readable(self)
  if self.closed then
    return false
  end
  local fd = self.engine:getfd()
  self.engine:send_at_once() -- from now on no request waits for the pump's turn
  self.use_threads = self.use_threads and run_worker_thread and fd
    and run_worker_thread(THREAD_POOL, "aitoearn.core", "wait_fd", fd, WAIT_MS)
  return self.use_threads
end

-- Waits for a tick; longer when nothing but timers was in flight for a while, unless a waiter posts `nudge`.
local function wait_tick(self, quiet)
  self.is_dozing = quiet > LOOKS_BEFORE_DOZE and self.engine:stats().in_flight == 0
  self.nudge:wait(self.is_dozing and DOZE or TICK)
  self.is_dozing = false
end

local run

-- Returns whether a pump will run.
local function start(self)
  local generation = {}
  local ok, started = pcall(ngx.timer.at, 0, run, self, generation)
  if ok and started then
    self.generation, self.last_seen = generation, core.monotonic()
  end
  return ok and started
end

local function pump(self, generation)
  local rounds, quiet = 0, 0
  while true do
    quiet = self:step() and 0 or quiet + 1
    self.last_seen = core.monotonic()
    if self.last_seen - self.last_sweep >= SWEEP_INTERVAL then
      sweep(self)
    end
    if self.scheduler.count == 0 or self.generation ~= generation then
      return
    end
    rounds = rounds + 1
    if rounds >= ROUNDS_PER_GENERATION and start(self) then
      return
    end
    if not wait_readable(self) then
      wait_tick(self, quiet)
    end
  end
end

-- The body of the timer. At the end of a worker timers are run before their time (`premature`): a waiter still gets its
-- answer.
function run(_, self, generation)
  if self.generation ~= generation then
    return
  end
  -- After a pump that was given up this one tries no threads: that one may hang in one.
  self.use_threads, self.thread_may_hang = not self.thread_may_hang, false
  self.nudge = semaphore.new()
  local ok, message = pcall(pump, self, generation)
  if not ok then
    give_up(self, message)
  end
  if self.generation == generation then
    self.generation = nil
  end
end

-- Starts a pump if none is at work; returns how long to wait until that has to be looked at again.
local function ensure_pump(self)
  if self.generation or start(self) then
    return PATIENCE
  end
  if not self.has_warned then
    self.has_warned = true
    ngx.log(ngx.WARN, "aitoearn: no timer to be had, calls poll by themselves (lua_max_pending_timers?)")
  end
  return TICK
end

-- After a wait that brought nothing: does the pump still run?
local function check_pump(self, last_seen)
  if not self.generation then
    self:step()
  elseif self.last_seen == last_seen then
    self.generation, self.thread_may_hang = nil, true
  end
end

--- Waits for a transfer. One that cannot be waited for is cancelled.
---@param transfer aitoearn.Transfer
---@param call? aitoearn.Call the waiter's
function Pump:await(transfer, call)
  local scheduler, idle = self.scheduler, self.idle_waiters
  hand_out(self)
  if self.generation and core.monotonic() - self.last_seen > LATE then
    self:step()
  end
  if transfer:is_done() then
    return
  end
  local waiter = remove(idle) or semaphore.new()
  waiter.call = call
  scheduler:add(transfer, waiter)
  if self.is_dozing then
    self.is_dozing = false
    self.nudge:post(1)
  end
  while not transfer:is_done() do
    local seconds, last_seen = ensure_pump(self), self.last_seen
    local ok, problem = waiter:wait(seconds)
    if not ok and problem ~= "timeout" then
      transfer:cancel()
    elseif not ok then
      check_pump(self, last_seen)
    end
  end
  scheduler:remove(transfer)
  waiter.call = nil
  if waiter:count() == 0 then -- else it was posted after its wait had ended
    idle[#idle + 1] = waiter
  end
end

--- Makes what a client's calls wait by. Nothing runs before the first one waits.
---@param engine aitoearn.Engine
---@return aitoearn.host.nginx.Pump
function M.new(engine)
  local scheduler = schedulers.new(engine, hooks.report)
  scheduler.wake = wake
  return setmetatable({ engine = engine, scheduler = scheduler, last_seen = 0, last_sweep = 0, idle_waiters = {} },
    Pump)
end

return M
