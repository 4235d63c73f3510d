--- An engine without a network: what the C part's engine and transfers can do, on a clock of its own.
---
--- The clock moves only while somebody waits (`poll` with a time) and by `aitoearn.testing.advance`; whoever waits finds
--- that the time has passed.
---@module "aitoearn.testing.engine"

local answers = require "aitoearn.testing.answer"
local core = require "aitoearn.core"
local heap = require "aitoearn.heap"

local M = {}

---@class aitoearn.testing.Clock
---@field now number seconds since it was made
---@field epoch number Unix seconds when it was made

local ENDINGS = {
  cancelled = "the call was cancelled",
  closed = "the client was closed",
}

---@class aitoearn.testing.Transfer: aitoearn.Transfer
---@field private engine aitoearn.testing.Engine
---@field private reply aitoearn.testing.Reply? nil: a timer
local Transfer = {}
Transfer.__index = Transfer

local function finish(transfer, ending)
  local engine = transfer.engine
  if transfer.finished then
    return
  end
  transfer.finished, transfer.how = engine.clock.now, ending
  engine.unfinished[transfer] = nil
  engine.in_flight = engine.in_flight - (transfer.reply and 1 or 0)
  engine.last = engine.last + 1
  engine.done[engine.last] = transfer
end

function Transfer:is_done()
  return self.finished ~= nil
end

function Transfer:cancel()
  finish(self, "cancelled")
end

function Transfer:fire()
  finish(self)
end

function Transfer:ending()
  return self.how
end

function Transfer:started_at()
  return self.started
end

function Transfer:elapsed()
  return self.finished - self.started
end

-- An HTTP date has whole seconds.
function Transfer:date()
  local is_answered = self.reply and self.finished and not self.how and self.reply.http_status
  return is_answered and math.floor(self.engine.clock.epoch + self.finished) or nil
end

function Transfer:request_id()
  return self.id
end

function Transfer.is_reused()
  return false
end

function Transfer:http_status()
  return self.finished and not self.how and self.reply.http_status or nil
end

function Transfer:http_version()
  return self:http_status() and "2" or nil
end

local function fail_ended(ending)
  return { kind = ending, message = ENDINGS[ending], sent = true }
end

function Transfer:result(kind, metatable)
  assert(self.finished and self.reply and not self.is_read, "a request's result is read once, when it is done")
  self.is_read = true
  local value, failure
  if self.how then
    failure = fail_ended(self.how)
  else
    value, failure = answers.read(self.reply, kind, self.max_bytes)
  end
  if failure then
    failure.date = self:date()
    failure.request_id = failure.request_id or self.id
  elseif metatable then
    setmetatable(value, metatable)
  end
  return value, failure
end

---@class aitoearn.testing.Engine: aitoearn.Engine
---@field clock aitoearn.testing.Clock
---@field private respond fun(sent: aitoearn.testing.Sent): aitoearn.testing.Reply
---@field private due aitoearn.Heap transfers by when they end
---@field private done table<integer, aitoearn.testing.Transfer> those from `first` to `last` are done and not handed out
---@field private unfinished table<aitoearn.testing.Transfer, true>
local Engine = {}
Engine.__index = Engine
Engine.__name = "aitoearn.testing.engine"

local function add(engine, transfer, seconds)
  engine.made = engine.made + 1
  transfer.engine, transfer.started, transfer.number = engine, engine.clock.now, engine.made
  engine.unfinished[transfer] = true
  if seconds and seconds < math.huge then
    engine.due:push(engine.clock.now + seconds, transfer)
  end
  return setmetatable(transfer, Transfer)
end

function Engine:timer(seconds)
  return add(self, {}, seconds)
end

--- How a request is on its way: what the wire carries of it.
---@class aitoearn.testing.Sent
---@field method string
---@field url string
---@field body string?
---@field request_id string
---@field at number Unix seconds

function Engine:send(_, request, _, request_id, timeout, deadline)
  if self.closed then
    error("the engine is closed", 0)
  end
  self.sent = self.sent + 1
  local id = request_id or ("request-%d"):format(self.sent)
  local reply = self.respond { method = request.method or "GET", url = request.url, body = request.body, request_id = id,
    at = self.clock.epoch + self.clock.now }
  local limit = math.min(timeout or math.huge, deadline or math.huge)
  local seconds
  reply, seconds = answers.within(reply, limit)
  self.in_flight, self.bytes = self.in_flight + 1, self.bytes + #(reply.body or "")
  return add(self, { reply = reply, id = id, max_bytes = request.max_bytes or self.max_bytes }, seconds)
end

function Engine:get(origin, prefix, id, key, request_id, timeout, deadline)
  return self:send(origin, { url = prefix .. core.encode_segment(id) }, key, request_id, timeout, deadline)
end

-- Whether the first transfer in the heap ends now; while nothing is done, also whether it ends before `till`.
local function is_next(engine, till)
  local at = engine.due:first_due()
  return at and (at <= engine.clock.now or (engine.last < engine.first and at <= till))
end

local function is_older(a, b)
  return a.number < b.number
end

-- Takes those that end at a time, in the order in which they began.
local function take_due(engine, at)
  local due = {}
  while engine.due:first_due() == at do
    local transfer = engine.due:pop()
    due[#due + 1] = not transfer.finished and transfer or nil
  end
  table.sort(due, is_older)
  return due
end

function Engine:poll(ms)
  local clock = self.clock
  local till = ms < 0 and math.huge or clock.now + ms / 1000
  while is_next(self, till) do
    local at = self.due:first_due()
    for _, transfer in ipairs(take_due(self, at)) do
      clock.now = math.max(clock.now, at)
      finish(transfer)
    end
  end
  local count = self.last - self.first + 1
  if count == 0 and till < math.huge then
    clock.now = till
  elseif count == 0 then
    error("aitoearn.testing: everybody waits, and nothing will ever happen", 0)
  end
  return count
end

--- When the next of what is under way ends, on its clock.
---@return number?
function Engine:first_due()
  return self.due:first_due()
end

function Engine:next()
  local transfer = self.done[self.first]
  if transfer then
    self.done[self.first] = nil
    self.first = self.first + 1
  end
  return transfer
end

--- Lets it work until something is done, and forgets all that is.
---@param transfer aitoearn.testing.Transfer
---@return boolean # whether this one is done
function Engine:await(transfer)
  if not transfer:is_done() then
    self:poll(-1)
  end
  repeat until not self:next()
  return transfer:is_done()
end

-- Nothing to watch: a host with an event loop polls now and then.
function Engine.getfd()
  return nil
end

function Engine.send_at_once() end

-- The same numbers in every run.
function Engine:random()
  self.seed = self.seed * 16807 % 2147483647
  return self.seed / 2147483647
end

function Engine:stats()
  return { in_flight = self.in_flight, requests = self.sent, connections_opened = 0, bytes_received = self.bytes }
end

function Engine:close()
  self.closed = true
  local left = {}
  for transfer in pairs(self.unfinished) do
    left[#left + 1] = transfer
  end
  table.sort(left, is_older)
  for _, transfer in ipairs(left) do
    finish(transfer, "closed")
  end
end

--- Makes an engine.
---@param options table what `core.engine` takes
---@param clock aitoearn.testing.Clock
---@param respond fun(sent: aitoearn.testing.Sent): aitoearn.testing.Reply
---@return aitoearn.testing.Engine
function M.new(options, clock, respond)
  return setmetatable({
    clock = clock,
    respond = respond,
    max_bytes = options.max_response_bytes,
    due = heap.new(),
    done = {},
    first = 1,
    last = 0,
    unfinished = {},
    in_flight = 0,
    made = 0,
    sent = 0,
    bytes = 0,
    seed = 42,
  }, Engine)
end

--- Whether a value is an engine of this kind.
---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == Engine
end

return M
