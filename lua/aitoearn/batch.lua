--- Many ids at once: a bounded number of workers, results as they come, bounded memory.
---
--- A worker takes the next item by itself and stops where too many results wait to be taken. What runs functions of the
--- caller's is left to the consumer, which takes some items ahead. So neither a long input nor a slow consumer makes
--- anything grow.
---@module "aitoearn.batch"

local calls = require "aitoearn.call"
local check = require "aitoearn.check"
local errors = require "aitoearn.error"
local fetch = require "aitoearn.fetch"
local outages = require "aitoearn.outage"
local task = require "aitoearn.task"

local fetch_record = fetch.record

local M = {}

-- For how long taking items from the source may keep those that are there already from being fetched, in seconds.
local LONGEST_FILL = 0.005

---@class aitoearn.Batch
---@field call aitoearn.Call the consumer's
---@field client aitoearn.Client
---@field source fun(now: number): any, number?, any the next item; nil and the seconds until there may be one; nil: the
--- end; nil, nil and what a function of the caller's raised
---@field next_item (fun(): any, any)|false where workers take items themselves, since it calls nobody: the next one; nil:
--- the end; nil and what is wrong with the next one
---@field work fun(child: aitoearn.Call, item: any): any, any, any what a worker does with an item: id, record, err; nothing
--- where there is no result yet
---@field ordered boolean? whether results come in the order of the items
---@field children table<aitoearn.Call, boolean>
---@field closed boolean
local Batch = {}
Batch.__index = Batch

-- A FIFO of up to three values an item, the first of which is not nil: a linked list, whose nodes are used again.
local NEXT = 4

local function queue()
  return { length = 0, first = false, last = false, spare = false } -- the last node's own `next` means nothing
end

local function push(q, first, second, third)
  local node, length = q.spare, q.length
  if node then
    q.spare = node[NEXT]
    node[1], node[2], node[3] = first, second or false, third or false
  else
    node = { first, second or false, third or false, false }
  end
  if length > 0 then
    q.last[NEXT] = node
  else
    q.first = node
  end
  q.last = node
  q.length = length + 1
end

local function pop(q)
  local length = q.length
  if length > 0 then
    local node = q.first
    local first, second, third = node[1], node[2] or nil, node[3] or nil
    q.first = node[NEXT]
    q.length = length - 1
    node[1], node[2], node[3] = false, false, false
    node[NEXT] = q.spare
    q.spare = node
    return first, second, third
  end
end

--- Makes a batch.
---@param call aitoearn.Call the consumer's
---@param opts {concurrency: integer, ordered: boolean?}
---@param source function
---@param work function
---@param next_item? function
---@return aitoearn.Batch
function M.new(call, opts, source, work, next_item)
  local self = setmetatable({
    call = call,
    client = call.client,
    concurrency = opts.concurrency,
    limit = 2 * opts.concurrency, -- of what is pending, and of results that nobody took: so that workers seldom run dry
    enough = 1.5 * opts.concurrency, -- pending: no more is taken from the source until there is less
    ordered = opts.ordered or false,
    closed = false,
    exhausted = false,
    problem = false,
    source = source,
    next_item = next_item or false,
    work = work,
    outage = outages.new(call.client),
    pending = queue(),
    begun = 0, -- items that a worker took
    results = queue(),
    slots = {}, -- results by their item's number, where they come in order
    given = 0, -- results that the consumer took, where they come in order
    children = {},
    signals = {},
    signal_count = 0,
    active = 0,
  }, Batch)
  call.batch = self
  return self
end

-- Whether another item may be begun. In order, results wait for the slowest item before them, so what counts is how far
-- the last one is ahead.
local function has_room(self)
  return (self.ordered and self.begun - self.given or self.results.length) < self.limit
end

-- Lets those that wait for a result look again.
function Batch:wake()
  for signal in pairs(self.signals) do
    signal:fire()
  end
end

--- Hands a further result to the consumer, where their order does not matter.
---@param id any
---@param record? aitoearn.Record
---@param err? aitoearn.Error
function Batch:deliver(id, record, err)
  if not self.closed then
    push(self.results, id, record, err)
    self:wake()
  end
end

--- Ends it with an error that a function of the caller's raised: the consumer raises it again.
---@param message any
function Batch:raise(message)
  self.raised = self.raised or message
  self:close()
end

-- There is no further item for the workers, who take them by themselves.
local function end_input(self, problem)
  self.exhausted = true
  if problem then
    self:raise(problem)
  end
end

local function run_worker(self, child)
  local work, results, limit, ordered, next_item = self.work, self.results, self.limit, self.ordered, self.next_item
  while not (self.closed or next_item and self.exhausted)
    and (ordered and has_room(self) or not ordered and results.length < limit) do
    local item, problem
    if next_item then
      item, problem = next_item()
    else
      item = pop(self.pending)
    end
    if item == nil then
      return next_item and end_input(self, problem)
    end
    local number = self.begun + 1
    self.begun = number
    local id, record, err = work(child, item)
    if id ~= nil and not self.closed then
      if ordered then
        self.slots[number] = { id, record, err }
      else
        push(results, id, record, err)
      end
      if self.signal_count > 0 then -- seldom
        self:wake()
      end
    end
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
  local child = calls.new(self.client)
  self.children[child] = true
  self.active = self.active + 1
  local ok, message = pcall(task.spawn, self, child, run_worker, end_worker)
  if not ok and self.children[child] then
    end_worker(self, child, false, message)
  end
end

-- Steps the engine while a slow source blocks the program. Not re-entrant: batches in many tasks must not nest.
local function step_host(client)
  local step = client.host.step
  if step and not client.stepping then
    client.stepping = true
    local ok, message = pcall(step, 0)
    client.stepping = nil
    if not ok then
      error(message, 0)
    end
  end
end

-- Lets the engine work where filling has taken long.
---@param began number when it was left to others last
---@return number began
---@return boolean has_result whether a result has come meanwhile
---@return number now
local function step_if_slow(self, began)
  local client = self.client
  local now = client.now()
  if now - began <= LONGEST_FILL then
    return began, false, now
  end
  step_host(client)
  now = client.now()
  return now, self.results.length > 0 or self.slots[self.given + 1] ~= nil, now
end

-- Whether a worker that is started now would find something to do.
local function needs_worker(self)
  return self.active < self.concurrency and has_room(self) and not self.closed
    and (self.pending.length > 0 or self.next_item and not self.exhausted)
end

--- Takes items from the source and starts workers for them. A source that is slow is left for the results that came.
---@return number? seconds until the source may have more
local function fill(self)
  local client, pending, limit, seconds = self.client, self.pending, self.limit, nil
  if self.active == self.concurrency and (self.next_item or pending.length > self.enough) then -- the common case
    return nil
  end
  local now = client.now()
  local began = now
  while pending.length < limit and not (self.closed or self.exhausted or self.next_item) do
    local item, raised
    item, seconds, raised = self.source(now)
    if item == nil then
      self.exhausted = seconds == nil
      if raised then
        self:raise(raised)
      end
      break
    end
    push(pending, item)
    if self.active < self.concurrency then
      start_worker(self)
    end
    local has_result
    began, has_result, now = step_if_slow(self, began)
    if has_result then
      break
    end
  end
  while needs_worker(self) do
    start_worker(self)
    local has_result
    began, has_result = step_if_slow(self, began)
    if has_result then
      break
    end
  end
  return seconds
end

--- Takes a result that has come, without waiting for one.
---@return any id nil: there is none
---@return aitoearn.Record? record
---@return aitoearn.Error? err
function Batch:take()
  if not self.ordered then
    return pop(self.results)
  end
  local number = self.given + 1
  local result = self.slots[number]
  if result then
    self.slots[number], self.given = nil, number
    return result[1], result[2], result[3]
  end
end

--- Takes a result that has come, where there is enough for those that come after it. `next` does all that is to be done.
---@return any id nil: ask `next`
---@return aitoearn.Record? record
---@return aitoearn.Error? err
function Batch:take_early()
  if self.closed or not (self.next_item or self.pending.length > self.enough) then
    return nil
  elseif self.ordered then
    return self:take()
  end
  return pop(self.results)
end

-- Waits until `wake` is called, or for so long.
local function wait_for_wake(self, seconds)
  local signal = self.client.engine:timer(seconds)
  self.signals[signal], self.signal_count = true, self.signal_count + 1
  self.call:await(signal)
  self.signals[signal], self.signal_count = nil, self.signal_count - 1
end

--- The next result.
---@return any id nil at the end
---@return aitoearn.Record? record
---@return aitoearn.Error? err
function Batch:next()
  local host = self.client.host
  self.problem = host.problem and host.problem() or false -- the workers, in coroutines of their own, would see none
  while not self.closed do
    local seconds = fill(self)
    local id, record, err = self:take()
    if id ~= nil then
      return id, record, err
    end
    if self.closed or (self.exhausted and self.active == 0) then -- a worker may have failed at its start
      break
    end
    if not (host.wait_any and host.wait_any(seconds)) then
      wait_for_wake(self, seconds)
    end
  end
  if self.raised then
    error(self.raised, 0)
  end
end

--- Cancels what is in flight and forgets the rest. May be called again after an out-of-memory error interrupted it.
function Batch:close()
  self.closed = true
  for child in pairs(self.children) do
    child:cancel()
  end
  self:wake()
end

-- LuaJIT can spin for ever in a compiled `pairs` loop that a finalizer runs, and these two are run by one.
local jit = rawget(_G, "jit")
if jit then
  jit.off(Batch.close)
  jit.off(Batch.wake)
end

--- Fetches one id of a batch. Time for which its site is held, or known to refuse connections, is not the id's.
---@param child aitoearn.Call
---@param site aitoearn.Site
---@param id any
---@param opts table
---@param now? number on the host's clock
---@return aitoearn.Record? record
---@return aitoearn.Error? err
---@return aitoearn.Transfer? transfer
function Batch:fetch(child, site, id, opts, now)
  if self.problem then
    return nil, errors.new({ kind = "argument", message = self.problem }, { site = site.name, record_id = id })
  end
  local outage = self.outage
  while true do
    if outage.since or not (site.is_clear or site:is_open()) then
      local refused = not check.id_problem(id) and outage:admit(child, site, id, opts)
      if refused then
        return nil, refused
      end
    end
    local record, err, transfer = fetch_record(child, site, id, opts, true, now)
    now = nil
    if record then
      if outage.since then
        outage:finish()
      end
      return record, nil, transfer
    elseif check.id_problem(id) or not outage:note(child, err, opts) or child:ended() then
      return nil, err
    end
  end
end

--- The same as a function, which is found sooner than a method.
M.fetch = Batch.fetch

return M
