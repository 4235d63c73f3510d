--- Waiting for one record: the goal, when to look again, and what ends it.
---@module "aitoearn.wait"

local errors = require "aitoearn.error"
local hooks = require "aitoearn.hooks"
local pace = require "aitoearn.pace"
local verdicts = require("aitoearn.record").verdicts
local retry = require "aitoearn.retry"

local M = {}

-- After a look that failed in a transient way, in seconds: from the first, doubled, to the longest.
local FIRST_RETRY, LONGEST_RETRY = 2, 30

-- The shortest time between two looks, whatever the caller's own pace says.
local SHORTEST_PAUSE = 0.01

-- With the platform's reason, if there is one.
local function with_reason(record, what)
  local reason = errors.reason(record)
  return reason and what .. ": " .. reason or what
end

local function ended_as(record, more)
  return with_reason(record, ("it ended as %s%s"):format(verdicts.status_name(record), more or ""))
end

--- What each goal says of a record: true, it is reached; a string, why it cannot be any more; nil, not yet.
---@type table<string, fun(record: table): true|string|nil>
M.goals = {
  settled = function(record)
    return verdicts.is_final(record) or verdicts.needs_action(record) or nil
  end,
  published = function(record)
    if verdicts.is_live(record) then
      return true
    elseif verdicts.is_final(record) then
      return ended_as(record)
    end
  end,
  link = function(record)
    if verdicts.has_link(record) then
      return true
    elseif record.linkStatus == "failed" then
      return with_reason(record, "the platform could not get its link")
    elseif verdicts.is_final(record) then
      -- A link can still arrive after PUBLISHED while the platform says that it is at work on it.
      if not (verdicts.is_live(record) and record.linkStatus == "pending") then
        return ended_as(record, " without a link")
      end
    end
  end,
}

local IS_OUR_GOAL = {}
for _, goal in pairs(M.goals) do
  IS_OUR_GOAL[goal] = true
end

---@class aitoearn.Watch
---@field client aitoearn.Client
---@field site aitoearn.Site
---@field id string
---@field opts table
---@field started number
---@field ends_at number
---@field looks integer
---@field record table? the last good one
---@field private previous table? the good one before it
---@field private last_error aitoearn.Error?
---@field private failures integer in a row
---@field private code integer? the last look's code or HTTP status
---@field private in_a_row integer how many looks in a row brought it
---@field private pacer aitoearn.Pacer?
local Watch = {}
Watch.__index = Watch

--- Begins to wait for a record.
---@param client aitoearn.Client
---@param site aitoearn.Site
---@param id string
---@param opts table `goal`, `timeout`, `pace`, `on_change`, and those of a look
---@param class? table a kind of watch, whose methods replace those of a record's
---@return aitoearn.Watch
function M.watch(client, site, id, opts, class)
  local now = client.now()
  return setmetatable({
    client = client,
    site = site,
    id = id,
    opts = opts,
    started = now,
    ends_at = opts.timeout and now + opts.timeout or math.huge,
    looks = 0,
    failures = 0,
    in_a_row = 0,
    pacer = not opts.pace and pace.new(client.random) or nil,
  }, class or Watch)
end

M.Watch = Watch

-- The options of the next look: its deadline ends with the wait at the latest.
local function look_options(self)
  local opts, left = self.opts, self.ends_at - self.client.now()
  local deadline = opts.deadline
  if left < math.huge then
    deadline = math.max(math.min(deadline or left, left), 0.001)
  end
  return {
    timeout = opts.attempt_timeout,
    deadline = deadline,
    retry = opts.retry,
    request_id = opts.request_id,
    ends_at = self.ends_at,
  }
end

--- Adds what was waited for to an error.
---@param err aitoearn.Error
function Watch:describe(err)
  err.record_id, err.record = self.id, self.record
end

--- What the last look saw, for a message.
---@return string
function Watch:last_seen()
  return verdicts.status_name(self.record)
end

local function fail(self, failure, extra)
  extra = extra or {}
  extra.site = self.site.name
  local err = errors.new(failure, extra)
  self:describe(err)
  return nil, err
end

local function timed_out(self)
  return fail(self, {
    kind = "timeout",
    message = ("not reached within %g s%s"):format(self.opts.timeout,
      self.record and ", last seen as " .. self:last_seen() or ""),
  }, { retryable = true, attempts = self.last_error and self.last_error.attempts })
end

-- Server time now: its clock as of the last answer, carried on by ours.
local function server_time(self, transfer)
  local date = transfer and transfer:date()
  if date then
    self.site.clock_offset = date - self.client.time()
  end
  return self.client.time() + (self.site.clock_offset or 0)
end

-- Until the next look; one that would come after the end comes just before it.
local function until_next(self, seconds)
  local left = self.ends_at - self.client.now()
  if seconds < left then
    return seconds
  end
  return left > 1 and left - 1 or left
end

-- Calls one of the caller's functions; raises what it raises.
local function call_back(self, name, ...)
  local ok, value = hooks.call(self.client, name, self.opts[name], ...)
  if not ok then
    error(value, 0)
  end
  return value
end

local function own_pace(self, record, previous)
  local seconds = call_back(self, "pace", record, previous)
  if type(seconds) ~= "number" or seconds ~= seconds or seconds < 0 then
    error("pace: number of seconds expected from the function, got " .. hooks.text(self.client, seconds), 0)
  end
  return math.max(seconds, SHORTEST_PAUSE)
end

--- What a record, or a flow's task, means for the goal; one of the caller's functions may raise in here.
---@param record table
---@return true|string|nil verdict true: reached; a string: why it cannot be any more; nil: not yet
function Watch:verdict(record)
  local goal = self.opts.goal
  if IS_OUR_GOAL[goal] then
    return goal(record)
  end
  return call_back(self, "goal", record) and true or nil
end

--- Until a record, or a flow's task, should be looked at again; one of the caller's functions may raise in here.
---@param record table
---@param previous table? as the look before saw it
---@param pacer aitoearn.Pacer? nil: the caller's own pace
---@param now number Unix seconds by the server's clock
---@return number seconds
function Watch:pause(record, previous, pacer, now)
  return pacer and pacer:delay(record, now) or own_pace(self, record, previous)
end

--- What a look means for the wait. Nothing waits in here.
---@param record table what the look brought
---@param now number Unix seconds by the server's clock
---@return true|string|nil verdict
---@return number? seconds until the next look
function Watch:judge(record, now)
  local verdict = self:verdict(record)
  if verdict then
    return verdict
  end
  return nil, self:pause(record, self.previous, self.pacer, now)
end

local function is_equal(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for name, value in pairs(a) do
    if not is_equal(value, b[name]) then
      return false
    end
  end
  for name in pairs(b) do
    if a[name] == nil then
      return false
    end
  end
  return true
end

-- Whether any field but `updatedAt` differs.
local function is_changed(record, previous)
  for name, value in pairs(record) do
    if name ~= "updatedAt" and not is_equal(value, previous[name]) then
      return true
    end
  end
  for name in pairs(previous) do
    if name ~= "updatedAt" and record[name] == nil then
      return true
    end
  end
  return false
end

--- Calls `on_change` if a field but `updatedAt` changed.
---@param record table
---@param previous table? nil: never seen before
function Watch:report_change(record, previous)
  if not previous or is_changed(record, previous) then
    hooks.run(self.client, "on_change", self.opts.on_change, record, previous, self.id)
  end
end

--- What a `poll` event says of a good look.
---@param record table
---@param now number Unix seconds by the server's clock
---@return table
function Watch:poll_event(record, now)
  return { record_id = self.id, status = record.status, stalled = verdicts.is_stalled(record, now) }
end

local function emit_poll(self, event, seconds)
  event.type, event.site, event.look, event.next_in = "poll", self.site.name, self.looks, seconds
  hooks.emit(self.client, event)
end

local function after_record(self, record, transfer)
  local previous = self.record
  self.previous, self.record, self.failures, self.code, self.last_error = previous, record, 0, nil, nil
  local now = server_time(self, transfer)
  local ok, verdict, seconds = pcall(self.judge, self, record, now)
  if not ok then
    return nil, nil, nil, verdict
  end
  seconds = seconds and until_next(self, seconds)
  if self.client.observed then
    emit_poll(self, self:poll_event(record, now), seconds)
  end
  if self.opts.on_change then
    self:report_change(record, previous)
  end
  if type(verdict) == "string" then
    return nil, fail(self, { kind = "goal", message = verdict })
  elseif verdict then
    return nil, record
  end
  return seconds
end

-- A transient failure never ends a wait.
local function after_error(self, err)
  local code = err.code or err.http_status
  self.in_a_row = code and code == self.code and self.in_a_row + 1 or 1
  self.code = code
  if retry.ends_wait(err, self.record ~= nil, err.record_id, self.in_a_row) then
    self:describe(err)
    return nil, nil, err
  end
  self.last_error = err
  if self.client.now() >= self.ends_at then
    return nil, timed_out(self)
  end
  self.failures = self.failures + 1
  local seconds = math.min(LONGEST_RETRY, FIRST_RETRY * 2 ^ (self.failures - 1)) * (1 - 0.2 * self.client.random())
  if err.retry_at then
    seconds = math.max(seconds, err.retry_at - self.client.time())
  end
  if self.client.observed then
    emit_poll(self, { record_id = err.record_id, flow_id = err.flowId, kind = err.kind, code = err.code,
      http_status = err.http_status }, seconds)
  end
  return until_next(self, seconds)
end

--- Looks once.
---@param ask fun(opts: table): aitoearn.Record?, aitoearn.Error?, any takes the look's options; returns as `fetch.record`
---@return number? seconds until the next look; nil: it is over
---@return aitoearn.Record? record the one that reached the goal
---@return aitoearn.Error? err
---@return any raised the error that one of the caller's functions raised
function Watch:look(ask)
  if self.client.now() >= self.ends_at then
    return nil, timed_out(self)
  end
  self.looks = self.looks + 1
  local record, err, transfer = ask(look_options(self))
  if record then
    return after_record(self, record, transfer)
  end
  return after_error(self, err)
end

--- Takes a record that came in another way for a look: in a list, or from the caller.
---@param record aitoearn.Record
---@param transfer? aitoearn.Transfer that brought it
---@return number? seconds as `look` returns them
---@return aitoearn.Record? record
---@return aitoearn.Error? err
---@return any raised
function Watch:see(record, transfer)
  self.looks = self.looks + 1
  return after_record(self, record, transfer)
end

return M
