--- Writes that take effect once: what is sent again, what is looked up first, and what nobody can know.
---
--- An attempt that certainly did nothing is repeated by `fetch` as a read is. After one that may have taken effect the
--- write's own `look_up` decides: it happened, it may be sent again, or nobody can know.
---@module "aitoearn.write"

local core = require "aitoearn.core"
local errors = require "aitoearn.error"
local fetch = require "aitoearn.fetch"
local verdicts = require("aitoearn.record").verdicts
local retry = require "aitoearn.retry"

local code, status = core.code, core.status

local M = {}

---@class aitoearn.Write
---@field request aitoearn.Request what is sent
---@field accept fun(write: aitoearn.Write, value: any): any, aitoearn.Error? what the call returns once the server accepted it
---@field look_up fun(write: aitoearn.Write): string?, any, aitoearn.Error? "done" and what the call returns; "again"; nil:
---nobody can know
---@field settles fun(write: aitoearn.Write, err: aitoearn.Error): boolean whether a refusal may mean that an earlier attempt
---took effect
---@field call aitoearn.Call
---@field site aitoearn.Site
---@field opts table as `options.read_call` returns it, with `give_up_at`
---@field since number? Unix seconds by this machine's clock: when the first attempt that may have taken effect began
---@field last aitoearn.Error? how the last such attempt ended
---@field avoid aitoearn.Endpoint? who it was sent to
---@field named_pause number? seconds that the server wanted after it
---@field rows aitoearn.Attempt[] of all attempts of the write

-- The options of the next request, under the one deadline.
local function next_options(self)
  return setmetatable({ give_up_at = self.give_up_at }, { __index = self.opts })
end

local function add_rows(self, err)
  for _, row in ipairs(err.attempts) do
    self.rows[#self.rows + 1] = row
  end
end

-- The error of a write whose outcome is unknown at its end.
local function unknown(self, err, message)
  err.may_have_happened, err.retryable, err.retry_at = true, false, nil
  err.message = message or err.message
  err.attempts = self.rows
  return nil, err
end

-- Whether a write may be sent again, after a `look_up` that allows it; it is time to when this returns.
local function wait_for_repeat(self, err)
  local call, policy, made, named = self.call, self.opts.retry, #self.rows, self.named_pause
  local most = math.min(policy.max_attempts, retry.most_attempts(err, false) or policy.max_attempts)
  local pause = math.max(retry.backoff(policy, made, call.client.random), named or 0)
  if made >= most or (self.give_up_at and call.client.now() + pause >= self.give_up_at) then
    return false
  elseif not (named or self.site.budget:take()) then
    return false
  end
  call.made = made
  fetch.note_retry(call, err, pause)
  return not call:sleep(pause)
end

local function send(self)
  local call, opts = self.call, next_options(self)
  opts.made, opts.avoid = #self.rows, self.avoid -- what remains of the attempts
  local value, err = fetch.request(call, self.site, self.request, opts)
  if err then
    add_rows(self, err)
  end
  if err and err.may_have_happened then
    self.since = self.since or call.client.time() - call.transfer:elapsed()
    self.last, self.avoid, self.named_pause, call.is_unclear = err, call.endpoint, call.named_pause, true
  end
  return value, err
end

--- Sends a write until it took effect, was refused, or its outcome cannot be known.
---@param self aitoearn.Write
---@return any value what `accept` or `look_up` returns
---@return aitoearn.Error? err `may_have_happened` where the outcome is unknown
function M.run(self)
  local client, deadline = self.call.client, self.opts.deadline
  self.rows = {}
  self.give_up_at = self.opts.give_up_at or deadline and client.now() + deadline
  while true do
    local value, err = send(self)
    if not err then
      return self:accept(value)
    elseif not (err.may_have_happened or self:settles(err)) then
      if self.last then -- what became of the earlier attempt is still an open question
        return unknown(self, err)
      end
      return nil, err
    end
    local verdict, result, failure
    if not self.call:ended() then
      verdict, result, failure = self:look_up()
    end
    if verdict == "done" then
      return result, failure
    elseif not (verdict == "again" and err.may_have_happened and wait_for_repeat(self, err)) then
      local ending = self.call:ended()
      return unknown(self, ending and fetch.ended(self.call, ending) or err)
    end
  end
end

-- -- publishing ---------------------------------------------------------------------------------------------------

local FIRST_LOOK, LONGEST_LOOK = 0.5, 5 -- seconds between two looks for a flow that cannot be seen yet
local LONGEST_SEARCH = 60 -- seconds, where no deadline ends it: one that was made through a relay never shows

-- The flow of a publish that the server says it knows. One that cannot be seen within the deadline was published all the
-- same.
local function find_flow(self)
  local call, client, id, pause = self.call, self.call.client, self.flow_id, FIRST_LOOK
  local limit = self.give_up_at or client.now() + LONGEST_SEARCH
  local request = { method = "GET", path = self.request.path .. "/" .. core.encode_segment(id), kind = "flow", flow_id = id }
  while true do
    local flow, err = fetch.request(call, self.site, request, next_options(self))
    if flow then
      return flow
    elseif call:ended() then
      return unknown(self, err)
    elseif not (err.code == code.PUBLISH_FLOW_NOT_FOUND or err.retryable) or client.now() + pause >= limit then
      return { flowId = id, tasks = {}, incomplete = true }
    end
    call:sleep(pause)
    pause = math.min(LONGEST_LOOK, pause * 2)
  end
end

local Publish = {}
Publish.__index = Publish

function Publish.accept(_, flow)
  return flow
end

-- The flow id makes a repetition harmless: the server takes each but once.
function Publish:look_up()
  if self.exists then
    return "done", find_flow(self)
  end
  return "again"
end

-- Nobody else can have used an id that was made for this call.
function Publish:settles(err)
  self.exists = err.code == code.CHANNEL_PUBLISH_TASK_ALREADY_EXISTS and (self.is_new_id or self.last ~= nil)
  return self.exists
end

--- Publishes a post.
---@param write table `call`, `site`, `opts`, `request`, `flow_id`, `is_new_id` (it was made for this call)
---@return aitoearn.Flow? flow `incomplete` where it was published and cannot be seen yet
---@return aitoearn.Error? err with `flowId`
function M.publish(write)
  local flow, err = M.run(setmetatable(write, Publish))
  if err then
    err.flowId = write.flow_id
  end
  return flow, err
end

-- -- what acts on a record ------------------------------------------------------------------------------------------

-- Refusals by state: a repeated attempt gets one where an earlier one took effect.
local BY_STATE = {
  [code.CHANNEL_PUBLISH_TIME_UPDATE_NOT_ALLOWED] = true,
  [code.CHANNEL_PUBLISH_NOW_NOT_ALLOWED] = true,
  [code.CHANNEL_PUBLISH_RETRY_NOT_ALLOWED] = true,
  [code.PUBLISH_TASK_STATUS_INVALID] = true,
}

-- The states in which the server takes an action that starts a record. What was known before and says another is out of
-- date: the record has moved without us since.
local STARTS_FROM = {
  publish_now = { [status.WAITING_FOR_PUBLISH] = true, [status.QUEUED] = true },
  retry = { [status.FAILED] = true },
}

-- Both publish at once, which rewrites the publish time to that moment. Without the one before, it must not be older than
-- the attempt; the server's `Date` knows whole seconds.
local function was_started(self, record, now)
  local at, before = verdicts.published_at(record), self.before
  if before and not STARTS_FROM[self.name][record.status] and record.status ~= status.CANCELED then
    return true
  elseif not at or at > now + 1 then
    return false
  elseif before and before.publishTime then
    return at ~= verdicts.published_at(before)
  end
  return at >= self.since + (now - self.call.client.time())
end

--- Whether a record shows that the action took effect. `now` is the server's time.
local evidence = {
  publish_now = was_started,
  retry = was_started,
  reschedule = function(self, record)
    return verdicts.published_at(record) == self.wanted
  end,
  cancel = function(_, record)
    return record.status == status.CANCELED
  end,
}

local Action = {}
Action.__index = Action

local function read_record(self)
  return fetch.record(self.call, self.site, self.id, next_options(self))
end

--- A cancel that the server accepted need not have cancelled anything (the API answers code 0 all the same).
local function check_effect(self, record)
  if self.name ~= "cancel" or record.status == status.CANCELED then
    return record
  end
  local message = "the server accepted the cancel, but the record is " .. verdicts.status_name(record)
  return nil, errors.new({ kind = "goal", message = message }, { site = self.site.name, record_id = self.id, record = record })
end

function Action:accept()
  if self.name == "delete_record" then
    return true
  end
  self.call.is_unclear = true -- until it was read back
  local record, err = read_record(self)
  if record then
    return check_effect(self, record)
  end
  add_rows(self, err)
  return unknown(self, err, ("%s was accepted, but reading the record back failed: %s"):format(self.name, err.message))
end

local function is_unmoved(before, record)
  return before ~= nil and before.status ~= nil and record.status == before.status
    and (before.publishTime == nil or verdicts.published_at(record) == verdicts.published_at(before))
end

function Action:look_up()
  local record, err, transfer = read_record(self)
  if self.name == "delete_record" then
    if record then
      return "again" -- it is there, so nothing happened yet; deleting has no second effect
    end
    return err.code == code.PUBLISH_RECORD_NOT_FOUND and "done" or nil, true
  elseif not record then
    return nil
  end
  local now = transfer:date() or self.call.client.time()
  if evidence[self.name](self, record, now) then
    return "done", record
  end
  return is_unmoved(self.before, record) and "again" or nil
end

function Action:settles(err)
  return self.last ~= nil
    and (BY_STATE[err.code] or (self.name == "delete_record" and err.code == code.PUBLISH_RECORD_NOT_FOUND)) or false
end

--- Acts on a record, and reads it back.
---@param write table `call`, `site`, `opts`, `request`, `name` (of the client's method), `id`, `before` (the record or
---flow task that the caller gave, if any), `wanted` (Unix seconds, for `reschedule`)
---@return aitoearn.Record|true|nil
---@return aitoearn.Error? err
function M.act(write)
  local states = STARTS_FROM[write.name]
  if states and not (write.before and states[write.before.status]) then
    write.before = nil
  end
  return M.run(setmetatable(write, Action))
end

return M
