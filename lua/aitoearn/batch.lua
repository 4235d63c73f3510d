--- Many ids at once: a bounded number of workers, results as they come, bounded memory.
--
-- The consumer (whoever calls the iterator) takes items from the source and starts workers; a worker takes the next
-- pending item by itself and pauses for good where too many results wait to be taken. So neither a long input nor a
-- slow consumer makes anything grow.
-- @module aitoearn.batch

local check = require "aitoearn.check"
local errors = require "aitoearn.error"
local fetch = require "aitoearn.fetch"
local outage = require "aitoearn.outage"
local task = require "aitoearn.task"

local batch = {}

-- For how long taking items from the source may keep those that are there already from moving on, in seconds.
local LONGEST_FILL = 0.005

---@class aitoearn.Batch
---@field source fun(now: number): any, number? the next item; nil and the seconds until there may be one; nil: the end
---@field work fun(child: aitoearn.Call, item: any) what a worker does with an item; it calls `deliver`
local Batch = {}
Batch.__index = Batch

-- What comes goes into one array, what goes is taken from another; when that one is empty they change places. So both
-- stay arrays, as the one with indices that grow for ever would not.
local function queue()
  return { length = 0, coming = {}, came = 0, going = {}, gone = 0 }
end

local function push(q, value)
  local came = q.came + 1
  q.came, q.length, q.coming[came] = came, q.length + 1, value
end

local function pop(q)
  local going, gone = q.going, q.gone + 1
  local value = going[gone]
  if value == nil then
    going, gone = q.coming, 1
    value = going[1]
    if value == nil then
      return nil
    end
    q.coming, q.going, q.came = q.going, going, 0
  end
  going[gone], q.gone, q.length = nil, gone, q.length - 1
  return value
end

--- @tparam aitoearn.Call call the consumer's
-- @tparam integer concurrency
-- @tparam function source
-- @tparam function work
-- @treturn aitoearn.Batch
function batch.new(call, concurrency, source, work)
  local self = setmetatable({
    call = call,
    client = call.client,
    concurrency = concurrency,
    limit = 2 * concurrency, -- of what is pending, and of results that nobody took: so that workers seldom run dry
    source = source,
    work = work,
    pending = queue(),
    results = queue(),
    children = {},
    signals = {},
    active = 0,
  }, Batch)
  call.batch = self
  return self
end

--- Hands a result to the consumer.
function Batch:deliver(id, record, err)
  if self.closed then
    return
  end
  push(self.results, { id, record, err })
  if next(self.signals) ~= nil then -- seldom
    self:wake()
  end
end

--- Ends it with an error that a function of the caller's raised: the consumer raises it again.
function Batch:raise(message)
  self.raised = self.raised or message
  self:close()
end

--- Lets those that wait for a result look again.
function Batch:wake()
  for signal in pairs(self.signals) do
    signal:fire()
  end
end

local function run_worker(self, child)
  local results, limit = self.results, self.limit
  while not self.closed and results.length < limit do
    local item = pop(self.pending)
    if item == nil then
      break
    end
    self.work(child, item)
  end
end

local function end_worker(self, child, ok, message)
  self.children[child] = nil
  self.active = self.active - 1
  if not ok then
    self:raise(message)
  end
  self:wake()
end

local function start_worker(self)
  local child = task.call(self.client)
  self.children[child] = true
  self.active = self.active + 1
  local ok, message = pcall(task.spawn, self, child, run_worker, end_worker)
  if not ok and self.children[child] then
    end_worker(self, child, false, message)
  end
end

--- Lets what is in flight move on where nobody else does meanwhile: a source that is slow blocks the program with it.
-- One at a time, lest batches in many tasks call each other deeper and deeper.
local function move_on(client)
  local step = client.host.step
  if step and not client.moving_on then
    client.moving_on = true
    local ok, message = pcall(step, 0)
    client.moving_on = nil
    if not ok then
      error(message, 0)
    end
  end
end

--- Takes items from the source and starts workers for them. A source that is slow is left for the results that came.
-- @treturn number|nil seconds until the source may have more
local function fill(self)
  local client, pending, limit, seconds = self.client, self.pending, self.limit, nil
  local now = client.now()
  local began = now
  while pending.length < limit and not (self.closed or self.exhausted) do
    local item
    item, seconds = self.source(now)
    if item == nil then
      self.exhausted = seconds == nil
      break
    end
    push(pending, item)
    if self.active < self.concurrency then
      start_worker(self)
    end
    now = client.now()
    if now - began > LONGEST_FILL then
      move_on(client)
      if self.results.length > 0 then
        break
      end
      now = client.now()
      began = now
    end
  end
  while self.active < self.concurrency and pending.length > 0 and self.results.length < limit and not self.closed do
    start_worker(self)
  end
  return seconds
end

--- The next result.
-- @treturn string|nil id; nil at the end
-- @treturn table|nil record
-- @treturn aitoearn.Error|nil
function Batch:next()
  local host = self.client.host
  self.problem = host.problem and host.problem() -- the workers, in coroutines of their own, would see none
  while not self.closed do
    local seconds = fill(self)
    local result = pop(self.results)
    if result then
      return result[1], result[2], result[3]
    end
    if self.closed or (self.exhausted and self.active == 0) then -- a worker may have failed at its start
      break
    end
    local signal = self.client.engine:timer(seconds)
    self.signals[signal] = true
    self.call:await(signal)
    self.signals[signal] = nil
  end
  if self.raised then
    error(self.raised, 0)
  end
end

--- Cancels what is in flight and forgets the rest. Again where it was interrupted, out of memory.
function Batch:close()
  self.closed = true
  for child in pairs(self.children) do
    child:cancel()
  end
  self:wake()
end

-- LuaJIT can spin for ever in a compiled `pairs` loop that a finalizer runs, and these two are run by one.
if jit then
  jit.off(Batch.close)
  jit.off(Batch.wake)
end

--- Fetches one id of a batch. Time for which its site is held, or known to refuse connections, is not the id's.
-- @treturn table|nil record
-- @treturn aitoearn.Error|userdata as `fetch.record` returns it
function Batch:fetch(child, site, id, opts)
  if self.problem then
    return nil, errors.new({ kind = "argument", message = self.problem }, { site = site.name, record_id = id })
  end
  while true do
    local err = (self.outage or not site:is_open()) and not check.id_problem(id)
      and outage.admit(self, child, site, id, opts)
    if err then
      return nil, err
    end
    local record, failure = fetch.record(child, site, id, opts, true)
    if record then
      self.outage = nil
      return record, failure
    elseif check.id_problem(id) or not outage.note(self, child, failure, opts) or child:ended() then
      return nil, failure
    end
  end
end

return batch
