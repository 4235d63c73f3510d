--- What the calls of one client wait by in an nginx worker.
--
-- A worker has one pump for each client: a light thread in a timer of its own that lets the engine work whenever its
-- descriptor is readable, and wakes whoever waited for what is done. Who waits first starts it, and it is gone when
-- nobody waits. It watches the descriptor in nginx's thread pool; without one it looks every millisecond.
--
-- Nothing tells Lua that a request was aborted or a light thread killed: it just never runs again. Its semaphore
-- knows, though: nobody waits on it any more. The pump looks for those and cancels their transfers.
-- @module aitoearn.host.nginx_pump

local core = require "aitoearn.core"
local semaphore = require "ngx.semaphore"

local run_worker_thread = ngx.run_worker_thread -- luacheck: ignore 143

local THREAD_POOL = "default"

-- How long the pump's thread watches the descriptor at a time, in milliseconds.
local WATCH_MS = 500

-- Without threads: the pause between two looks, in seconds, and the one after many looks at nothing but timers.
local TICK, DOZE = 0.001, 0.02
local LOOKS_BEFORE_DOZE = 50

-- Seconds between two searches for transfers that nobody waits for any more.
local SWEEP_INTERVAL = 0.25

-- nginx keeps a timer's memory as long as it runs, so after this many rounds a pump makes way for a fresh one.
local ROUNDS_A_TERM = 1000

-- Where the pump was not seen at work for so many seconds, whoever comes does its work: all threads may be taken by
-- others.
local LATE = 0.01

-- A pump that was not seen at work for so many seconds is given up, and another one started.
local PATIENCE = 2

-- What the calls of one client in this worker wait by.
---@class aitoearn.host.nginx.Pump
---@field waiting table<userdata, table> who waits for which transfer: a semaphore of his own
---@field count integer how many do
---@field term table? the token of the pump that runs, or is about to
---@field beat_at number when a pump was last seen at work, on the monotonic clock
---@field closed boolean? whether the engine is
---@field dozing boolean? whether the pump sleeps longer than a tick, until `nudge` is posted
local Pump = {}
Pump.__index = Pump

local function forget(self, transfer)
  if self.waiting[transfer] then
    self.waiting[transfer] = nil
    self.count = self.count - 1
  end
end

--- Lets the engine work, and wakes whoever waited for what is done.
-- @treturn boolean whether anything was
function Pump:step()
  local engine, waiting, any = self.engine, self.waiting, false
  while engine:poll(0) > 0 do
    any = true
    local transfer = engine:next()
    while transfer do
      local waiter = waiting[transfer]
      if waiter then
        forget(self, transfer)
        waiter:post(1)
      end
      transfer = engine:next()
    end
  end
  return any
end

--- Cancels what nobody waits for any more. One who waits counts as −1 in his semaphore.
function Pump:sweep()
  self.swept = core.monotonic()
  for transfer, waiter in pairs(self.waiting) do
    if waiter:count() >= 0 then
      forget(self, transfer)
      transfer:cancel()
      if waiter.call then
        waiter.call:abandon() -- gives back what it holds, since it will never do so itself
      end
    end
  end
end

--- The engine failed, which it should not: nobody must wait for it for ever.
local function give_up(self, message)
  ngx.log(ngx.ERR, "aitoearn: the pump failed: ", message)
  for transfer, waiter in pairs(self.waiting) do
    forget(self, transfer)
    pcall(transfer.cancel, transfer)
    waiter:post(1)
  end
end

--- Waits in a thread of nginx's.
-- @treturn boolean false where there is none to be had, or no descriptor
local function watch(self)
  if self.closed then
    return false
  end
  local fd = self.engine:getfd()
  self.engine:send_at_once() -- from now on no request waits for the pump's turn
  self.threads = self.threads and run_worker_thread and fd
    and run_worker_thread(THREAD_POOL, "aitoearn.core", "wait_fd", fd, WATCH_MS)
  return self.threads
end

--- Waits for a tick; longer where nothing but timers was in flight for a while, unless somebody nudges.
local function look_again(self, quiet)
  self.dozing = quiet > LOOKS_BEFORE_DOZE and self.engine:stats().in_flight == 0
  self.nudge:wait(self.dozing and DOZE or TICK)
  self.dozing = false
end

local run

--- @treturn boolean whether a pump will run
local function start(self)
  local term = {}
  local ok, started = pcall(ngx.timer.at, 0, run, self, term)
  if ok and started then
    self.term, self.beat_at = term, core.monotonic()
  end
  return ok and started
end

--- The body of a pump.
local function pump(self, term)
  local rounds, quiet = 0, 0
  while true do
    quiet = self:step() and 0 or quiet + 1
    self.beat_at = core.monotonic()
    if self.beat_at - self.swept >= SWEEP_INTERVAL then
      self:sweep()
    end
    if self.count == 0 or self.term ~= term then
      return
    end
    rounds = rounds + 1
    if rounds >= ROUNDS_A_TERM and start(self) then
      return
    end
    if not watch(self) then
      look_again(self, quiet)
    end
  end
end

-- At the end of a worker timers are run before their time (`premature`): whoever waits still gets his answer.
function run(_, self, term)
  if self.term ~= term then
    return
  end
  -- After a pump that was given up this one tries no threads: that one may hang in one.
  self.threads, self.suspicious = not self.suspicious, false
  self.nudge = semaphore.new()
  local ok, message = pcall(pump, self, term)
  if not ok then
    give_up(self, message)
  end
  if self.term == term then
    self.term = nil
  end
end

--- Starts a pump where there is none at work.
-- @treturn number how long to wait until that has to be looked at again
local function ensure_pump(self)
  if self.term or start(self) then
    return PATIENCE
  end
  if not self.warned then
    self.warned = true
    ngx.log(ngx.WARN, "aitoearn: no timer to be had, calls poll by themselves (lua_max_pending_timers?)")
  end
  return TICK
end

--- After a wait that brought nothing: is there still a pump?
local function check_pump(self, beat_at)
  if not self.term then
    self:step()
  elseif self.beat_at == beat_at then
    self.term, self.suspicious = nil, true
  end
end

--- Waits for a transfer. Where that cannot be, it is cancelled.
-- @tparam userdata transfer
-- @tparam ?aitoearn.Call call who waits
function Pump:await(transfer, call)
  if transfer:is_done() or (self.term and core.monotonic() - self.beat_at > LATE) then
    self:step()
  end
  if transfer:is_done() then
    return
  end
  local waiter = semaphore.new()
  waiter.call = call
  self.waiting[transfer] = waiter
  self.count = self.count + 1
  if self.dozing then
    self.dozing = false
    self.nudge:post(1)
  end
  while not transfer:is_done() do
    local seconds, beat_at = ensure_pump(self), self.beat_at
    local ok, problem = waiter:wait(seconds)
    if not ok and problem ~= "timeout" then
      transfer:cancel()
    elseif not ok then
      check_pump(self, beat_at)
    end
  end
  forget(self, transfer)
end

--- @tparam userdata engine
-- @treturn aitoearn.host.nginx.Pump
function Pump.new(engine)
  return setmetatable({ engine = engine, waiting = {}, count = 0, beat_at = 0, swept = 0 }, Pump)
end

return Pump
