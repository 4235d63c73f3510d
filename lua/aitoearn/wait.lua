--- Waiting for one record: the goal, when to look again, and what ends it.
-- @module aitoearn.wait

local core = require "aitoearn.core"
local errors = require "aitoearn.error"
local pace = require "aitoearn.pace"
local records = require "aitoearn.record"

local wait = {}

-- After a look that failed in a passing way, in seconds: from the first, doubled, to the longest.
local FIRST_RETRY, LONGEST_RETRY = 2, 30

-- The shortest time between two looks, whatever the caller's own pace says.
local SHORTEST_PAUSE = 0.01

-- Each goal tells: true, it is reached; a string, why it cannot be any more; nil, not yet.
local goals = {
  settled = function(record)
    return records.is_final(record) or records.needs_action(record) or nil
  end,
  published = function(record)
    if records.is_live(record) then
      return true
    elseif records.is_final(record) then
      return "it ended as " .. records.status_name(record)
    end
  end,
  link = function(record)
    if records.has_link(record) then
      return true
    elseif record.linkStatus == "failed" then
      return "the platform could not get its link"
    elseif records.is_final(record) then
      -- A link can still arrive after PUBLISHED while the platform says that it is at work on it.
      if not (records.is_live(record) and record.linkStatus == "pending") then
        return "it ended as " .. records.status_name(record) .. " without a link"
      end
    end
  end,
}

wait.goals = goals

---@class aitoearn.Watch
---@field id string
---@field record table? the last good one
local Watch = {}
Watch.__index = Watch

--- @tparam table client
-- @tparam aitoearn.Site site
-- @tparam string id
-- @tparam table opts `goal`, `timeout`, `pace`, `on_change`, and those of a look
-- @treturn aitoearn.Watch
function wait.watch(client, site, id, opts)
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
    pacer = not opts.pace and pace.new(client.random) or nil,
  }, Watch)
end

--- The options of the next look: its deadline ends with the wait at the latest.
function Watch:look_options()
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

local function fail(self, failure, extra)
  extra = extra or {}
  extra.site, extra.record_id, extra.record = self.site.name, self.id, self.record
  return nil, errors.new(failure, extra)
end

local function timed_out(self)
  return fail(self, {
    kind = "timeout",
    message = ("not reached within %g s%s"):format(self.opts.timeout,
      self.record and ", last seen as " .. records.status_name(self.record) or ""),
  }, { retryable = true, attempts = self.last_error and self.last_error.attempts })
end

--- Server time now: its clock as of the last answer, carried on by ours.
local function server_time(self, transfer)
  local date = transfer:date()
  if date then
    self.site.clock_offset = date - core.time()
  end
  return core.time() + (self.site.clock_offset or 0)
end

--- Until the next look; one that would come after the end comes just before it.
local function until_next(self, seconds)
  local left = self.ends_at - self.client.now()
  if seconds < left then
    return seconds
  end
  return left > 1 and left - 1 or left
end

local function own_pace(self, record)
  local seconds = self.opts.pace(record, self.previous)
  if type(seconds) ~= "number" or seconds ~= seconds or seconds < 0 then
    error("pace: number of seconds expected from the function, got " .. tostring(seconds), 0)
  end
  return math.max(seconds, SHORTEST_PAUSE)
end

--- What the record means for the wait. The caller's goal and pace may raise in here; nothing waits in here.
-- @treturn any the goal's verdict
-- @treturn number|nil seconds until the next look
local function judge(self, record, now)
  local verdict = self.opts.goal(record)
  if verdict then
    return verdict
  end
  local seconds = self.pacer
    and self.pacer:delay(record, now)
    or own_pace(self, record)
  return nil, until_next(self, seconds)
end

local function is_changed(a, b)
  for name, value in pairs(a) do
    local other = b[name]
    if type(value) == "table" and type(other) == "table" then
      if is_changed(value, other) then
        return true
      end
    elseif value ~= other then
      return true
    end
  end
  for name in pairs(b) do
    if a[name] == nil then
      return true
    end
  end
  return false
end

local function after_record(self, record, transfer)
  local previous = self.record
  self.previous, self.record, self.failures, self.missing, self.last_error = previous, record, 0, nil, nil
  local now = server_time(self, transfer)
  local ok, verdict, seconds = pcall(judge, self, record, now)
  if not ok then
    return nil, nil, nil, verdict
  end
  if self.client.on_event then
    self.client:emit { type = "poll", site = self.site.name, record_id = self.id, status = record.status,
      look = self.looks, stalled = records.is_stalled(record, now), next_in = seconds }
  end
  if self.opts.on_change and (not previous or is_changed(record, previous)) then
    self.client:run_hook(self.opts.on_change, record, previous, self.id)
  end
  if type(verdict) == "string" then
    return nil, fail(self, { kind = "goal", message = verdict })
  elseif verdict then
    return nil, record
  end
  return seconds
end

--- Passing failures never end a wait. A record that was there and is not is asked for once more.
local function after_error(self, err)
  local gone = err.code == core.code.PUBLISH_RECORD_NOT_FOUND and self.record and not self.missing
  if not (err.retryable or gone) then
    err.record = self.record
    return nil, nil, err
  end
  self.missing = gone or self.missing
  self.last_error = err
  self.failures = self.failures + 1
  local seconds = math.min(LONGEST_RETRY, FIRST_RETRY * 2 ^ (self.failures - 1)) * (1 - 0.2 * self.client.random())
  if err.retry_at then
    seconds = math.max(seconds, err.retry_at - core.time())
  end
  if self.client.on_event then
    self.client:emit { type = "poll", site = self.site.name, record_id = self.id, look = self.looks, kind = err.kind,
      code = err.code, http_status = err.http_status, next_in = seconds }
  end
  return until_next(self, seconds)
end

--- Looks once.
-- @tparam function ask takes the look's options; returns as `fetch.record` does
-- @treturn number|nil seconds until the next look; nil: it is over
-- @treturn table|nil the record that reached the goal
-- @treturn aitoearn.Error|nil
-- @treturn any what a function of the caller's raised
function Watch:look(ask)
  if self.client.now() >= self.ends_at then
    return nil, timed_out(self)
  end
  self.looks = self.looks + 1
  local record, extra = ask(self:look_options())
  if record then
    return after_record(self, record, extra)
  end
  if self.client.now() >= self.ends_at and extra.retryable then
    self.last_error = extra
    return nil, timed_out(self)
  end
  return after_error(self, extra)
end

return wait
