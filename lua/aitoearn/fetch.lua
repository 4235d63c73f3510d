--- One record from one site: retries, endpoints, holds and deadlines as one straight line of code.
---@module "aitoearn.fetch"

local check = require "aitoearn.check"
local errors = require "aitoearn.error"
local hooks = require "aitoearn.hooks"
local records = require "aitoearn.record"
local retry = require "aitoearn.retry"

local M = {}

local RECORD, id_problem = records.metatable, check.id_problem

local ENDINGS = {
  cancelled = "the call was cancelled",
  closed = "the client was closed",
}

--- What a call sends that is not the GET of a record.
---@class aitoearn.Request
---@field method "GET"|"POST"|"PATCH"|"DELETE"
---@field path string below `/api/v2/channels/publish`, percent-encoded
---@field kind string what `transfer:result` reads from the answer
---@field body string? JSON
---@field max_bytes integer? of the answer, instead of `max_response_bytes`
---@field is_write boolean? an attempt that may have taken effect is not repeated here
---@field problem string? why it cannot be sent at all
---@field id any? the record's
---@field flow_id any?

--- A fetch keeps its state in the call: a call runs one fetch at a time.
---@class aitoearn.Call
---@field request aitoearn.Request? nil: the GET of a record
---@field site aitoearn.Site
---@field id string
---@field opts table
---@field started number|false when the fetch began, on the host's clock
---@field made integer|false attempts so far
---@field attempts table[]? the rows of `err.attempts`
---@field give_up_at number|false seconds on the host's clock
---@field endpoint aitoearn.Endpoint? who is asked
---@field probing boolean? whether that is a probe
---@field cut_short boolean? whether an attempt had less time than `timeout`; the later ones have less still
---@field slot number? under `max_rate`, not used yet
---@field transfer aitoearn.Transfer? the last attempt's
---@field named_pause number? seconds that the server wanted after a write whose outcome is not known
---@field is_unclear boolean? whether a write was sent whose outcome is not known yet

-- Where a list is over a limit, the query can be narrowed.
local function is_long_list(call, failure)
  return call.request and call.request.kind == "records" and failure.kind == "protocol"
    and (failure.message:find("longer than", 1, true) or failure.message:find("too many values", 1, true))
end

local function fail(call, failure, context)
  context = context or {}
  if is_long_list(call, failure) then
    failure.hint = "list_too_long"
  end
  context.site = call.site.name
  context.language = call.client.language
  context.record_id = call.id
  context.flowId = call.request and call.request.flow_id
  context.server = context.server or (call.endpoint and call.endpoint.url)
  context.attempts = call.attempts
  return errors.new(failure, context)
end

--- The error of a call that was ended from outside.
---@param call aitoearn.Call
---@param ending "cancelled"|"closed"
---@return aitoearn.Error
function M.ended(call, ending)
  return fail(call, { kind = ending, message = ENDINGS[ending] })
end

--- The error of a call that is cancelled now, before its own coroutine knows.
---@param call aitoearn.Call
---@param site? aitoearn.Site
---@param id any
---@return aitoearn.Error
function M.cancelled(call, site, id)
  local request = call.request
  return errors.new({ kind = "cancelled", message = ENDINGS.cancelled }, {
    site = site and site.name,
    record_id = id,
    flowId = request and request.flow_id,
    server = call.endpoint and call.endpoint.url,
    attempts = call.attempts,
    may_have_happened = call.is_unclear or nil,
  })
end

-- The error of a call that cannot wait for the end of a hold: carries what the server said, but no facts of the request
-- that provoked it.
local function fail_held(call, held, seconds)
  return fail(call, {
    kind = held.kind,
    message = held.message,
    code = held.code,
    name = held.name,
    request_id = call.opts.request_id,
    hint = "held",
  }, { retryable = true, retry_at = call.client.time() + seconds })
end

--- Sleeps while a site is held; `client:release` wakes it.
---@param call aitoearn.Call
---@param site aitoearn.Site
---@param seconds number
---@return "cancelled"|"closed"|nil ending
function M.sleep_held(call, site, seconds)
  local held_calls = call.client.held_calls
  held_calls[call] = site
  local ending = call:sleep(seconds)
  held_calls[call] = nil
  return ending
end

-- Waits for the end of the site's hold; returns an error where that cannot be in time.
local function wait_for_hold(call)
  local client, site, limit = call.client, call.site, call.give_up_at
  local left, held = site:still_held(client.now())
  while left do
    if limit and client.now() + left > limit then
      return fail_held(call, held, left)
    end
    local ending = M.sleep_held(call, site, math.min(left, site.nap))
    if ending then
      return M.ended(call, ending)
    end
    left, held = site:still_held(client.now())
  end
end

-- Waits until the request may be sent to a site that is not open: no hold, and its slot under `max_rate`. Returns an
-- error where that cannot be in time.
local function wait_for_slot(call)
  local client, site = call.client, call.site
  local again, taken
  repeat
    local err = wait_for_hold(call)
    if err then
      return err
    end
    local seconds, slot
    seconds, slot, again = site:take_slot(client.now(), call.give_up_at, taken)
    if not seconds then
      return fail(call, { kind = "timeout", message = "max_rate leaves no slot before the deadline" },
        { retryable = true })
    end
    call.slot = slot
    local ending = call:ended() or seconds > 0 and call:sleep(seconds)
    if ending then
      site:return_slot(call.slot) -- unless the cancel has given it back
      call.slot = nil
      return M.ended(call, ending)
    end
    call.slot, taken = nil, again and slot
  until not (again or site:held(client.now())) -- a hold that began before its slot came
end

-- Releases the probe of an inconclusive attempt.
local function release_probe(call)
  if call.probing then
    call.site:release(call.endpoint)
    call.probing = nil
  end
end

-- Whether a failure says nothing about the endpoint: we caused it, or gave it less time than an attempt has.
local function is_our_doing(call, failure)
  return failure.kind == "cancelled" or failure.kind == "closed" or (failure.kind == "timeout" and call.cut_short)
end

local function note_health(call, failure)
  local endpoint, client = call.endpoint, call.client
  if failure and is_our_doing(call, failure) then
    return release_probe(call)
  end
  if call.probing then
    call.probing = nil
  end
  local event, seconds
  if failure and retry.counts_against_endpoint(failure) then
    event, seconds = call.site:fail(endpoint, client.now())
  else
    event = call.site:succeed(endpoint)
  end
  if event and client.observed then
    hooks.emit(client, { type = event, site = call.site.name, server = endpoint.url, seconds = seconds })
  end
end

local function note_attempt(call, transfer, failure)
  local client = call.client
  local elapsed = transfer:elapsed()
  if failure then
    call.attempts = call.attempts or {}
    call.attempts[#call.attempts + 1] = {
      server = call.endpoint.url,
      kind = failure.kind,
      code = failure.code,
      http_status = failure.http_status,
      elapsed = elapsed,
    }
  end
  if client.observed then
    local is = failure or {}
    hooks.emit(client, {
      type = "attempt",
      site = call.site.name,
      server = call.endpoint.url,
      record_id = call.id,
      attempt = call.made,
      elapsed = elapsed,
      request_id = transfer:request_id(),
      kind = is.kind,
      code = is.code,
      http_status = is.http_status,
    })
  end
end

--- What a call that is ended from outside has to undo here.
---@type aitoearn.CallStep
local FETCH = {
  cancel = function(call)
    if call.slot then
      call.site:return_slot(call.slot)
      call.slot = nil
    end
  end,
  abandon = release_probe,
  finish = function(call)
    if call.waiting and call.waiting == call.transfer then
      call.is_unclear = call.is_unclear or (call.request and call.request.is_write)
      note_attempt(call, call.transfer, { kind = "cancelled" })
    end
  end,
}

local function send(engine, endpoint, request, key, request_id, timeout, left)
  return engine:send(endpoint.origin, { method = request.method, url = endpoint.api .. request.path,
    body = request.body, max_bytes = request.max_bytes }, key, request_id, timeout, left)
end

-- A flow's tasks have the methods of records, as far as their fields allow.
local function give_methods(value, kind)
  for _, record in ipairs(kind == "records" and value or kind == "flow" and value.tasks or {}) do
    setmetatable(record, RECORD)
  end
end

-- Why an attempt is not made, known before it is.
local function problem_before(call, endpoint, key, problem)
  local ending = call:ended()
  if not ending and not endpoint.problem and key then
    return nil
  end
  release_probe(call)
  return endpoint.problem or { kind = ending or "argument", message = ending and ENDINGS[ending] or problem }
end

-- How long the attempt may take.
---@return number|false|nil timeout from when it has a connection
---@return number? left from now
local function time_for(call, opts, now)
  local timeout, deadline, limit = opts.timeout, opts.deadline, call.give_up_at
  if limit then
    local left = limit > now and limit - now or 0
    if not timeout or left < timeout then
      call.cut_short = true
    end
    return timeout, left
  elseif deadline and not (timeout and timeout <= deadline) then -- in a batch: the clock starts when it is sent
    call.cut_short, timeout = true, deadline
  end
  return timeout
end

--- One attempt.
---@param call aitoearn.Call
---@param request aitoearn.Request? nil: the GET of a record
---@param now number
---@param avoid aitoearn.Endpoint? who failed before
---@param fresh boolean? whether to ask over a new connection
---@return any value the record, or what the request's kind is
---@return aitoearn.Failure? failure
---@return aitoearn.Transfer? transfer
local function attempt(call, request, now, avoid, fresh)
  local client, site, opts = call.client, call.site, call.opts
  local endpoint, probing = site:choose(now, avoid)
  call.endpoint = endpoint
  if probing then
    call.probing = true
  end
  local key, problem = site.api_key() -- it may have done anything
  if not key or endpoint.problem or client.closed or call.cancelled then
    return nil, problem_before(call, endpoint, key, problem)
  end
  local timeout, left = time_for(call, opts, now)
  local transfer
  if request then
    transfer = send(client.engine, endpoint, request, key, opts.request_id, timeout, left)
  else
    transfer = client.engine:get(endpoint.origin, endpoint.prefix, call.id, key, opts.request_id, timeout, left, fresh)
  end
  call.made = call.made + 1
  client.attempts = client.attempts + 1
  call.transfer = transfer
  call:await(transfer)
  local record, failure = transfer:result(request and request.kind)
  if failure then
    errors.redact(failure, key, site.secrets)
    if not call.give_up_at and opts.deadline then
      call.give_up_at = (transfer:started_at() or client.now()) + opts.deadline
    end
  elseif request then
    give_methods(record, request.kind)
  else
    setmetatable(record, RECORD)
  end
  if failure or endpoint.failures > 0 or call.probing then
    note_health(call, failure)
  end
  if (failure or client.observed) and not call.is_over then
    note_attempt(call, transfer, failure)
  end
  return record, failure, transfer
end

-- Whether a record is the answer to another request: a connection that slipped by one answer. A record's id need not be
-- the one that was asked for; but where they have been the same, one that differs is asked for over a new connection.
local function is_slipped(call, record, transfer)
  local site = call.site
  if record.id == call.id then
    site.ids_match = true
    return false
  end
  return site.ids_match and transfer.is_reused and transfer:is_reused()
end

--- Whether to try again, and when.
---@return number? seconds to wait; nil: it ends here
---@return table context the error's
local function next_attempt(call, failure)
  local client, site, policy = call.client, call.site, call.opts.retry
  local now = client.now()
  if call.request and call.request.is_write and retry.may_have_happened(failure) then
    call.named_pause = retry.retry_after(failure, client.time())
    return nil, { may_have_happened = true }
  end
  local other = site:has_other(call.endpoint, now)
  local most = retry.most_attempts(failure, other)
  if not most then
    return nil, {}
  end
  if not retry.is_rate_limited(failure) then
    failure.rate_limit_reset = nil -- a limited route may name its reset with every answer
  end
  local random = client.random
  local pause, named = retry.pause(policy, failure, call.made, random, client.time())
  local context = { retryable = true, retry_at = named and client.time() + pause or nil }
  if named and retry.is_rate_limited(failure) then
    site:hold(now + pause, failure)
  elseif named and other then -- the endpoint named it for itself: another one need not wait
    pause, named = retry.backoff(policy, call.made, random), false
  end
  local allowed = math.min(policy.max_attempts, most)
  if call.made >= allowed or (call.give_up_at and now + pause >= call.give_up_at) then
    return nil, context
  end
  if not named and not site.budget:take() then
    return nil, context
  end
  return pause, context
end

--- Counts and reports that a request is sent again.
---@param call aitoearn.Call
---@param failure table `kind`, `code`, `http_status` of how it ended before
---@param delay number seconds
function M.note_retry(call, failure, delay)
  local client = call.client
  client.retries = client.retries + 1
  if client.observed then
    hooks.emit(client, { type = "retry", site = call.site.name, server = call.endpoint.url, record_id = call.id,
      attempt = call.made, kind = failure.kind, code = failure.code, http_status = failure.http_status, delay = delay })
  end
end

local function explain_deadline(call, failure)
  if failure.kind == "timeout" and call.give_up_at and call.client.now() >= call.give_up_at then
    failure.message = ("the deadline of %g s passed (%s)"):format(call.opts.deadline, failure.message)
  end
end

-- Forgets the call's last fetch.
local function reset(call)
  call.attempts, call.endpoint, call.cut_short, call.transfer, call.request = nil, nil, nil, nil, nil
  call.give_up_at, call.named_pause = false, nil
end

-- Starts a fetch in a call.
local function begin(call, site, id, opts, now, in_batch)
  if call.made then
    reset(call)
  end
  call.site, call.id, call.opts, call.made, call.started, call.step = site, id, opts, opts.made or 0, now, FETCH
  if opts.deadline and not in_batch then
    call.give_up_at = opts.give_up_at or now + opts.deadline
  end
end

-- Sends attempts until one brings an answer, or none will.
local function run(call, request, now, problem, avoid)
  local site, client = call.site, call.client
  local host = client.host
  problem = problem or host.problem and host.problem()
  if problem then
    return nil, fail(call, { kind = "argument", message = problem })
  end
  local fresh
  while true do
    if client.closed or call.cancelled then
      return nil, M.ended(call, call:ended())
    elseif not site:is_open() then
      local err = wait_for_slot(call)
      if err then
        return nil, err
      end
      now = client.now()
    end
    local value, failure, transfer = attempt(call, request, now, avoid, fresh)
    if value and (request or fresh or not is_slipped(call, value, transfer)) then
      site.budget:success()
      return value, nil, transfer
    elseif value then
      fresh, now = true, client.now()
      M.note_retry(call, {}, 0)
    else
      local pause, context = next_attempt(call, failure)
      if not pause then
        explain_deadline(call, failure)
        return nil, fail(call, failure, context)
      end
      M.note_retry(call, failure, pause)
      avoid = call.endpoint
      local ending = call:sleep(pause)
      if ending then
        return nil, M.ended(call, ending)
      end
      now = client.now()
    end
  end
end

--- Fetches one record.
---@param call aitoearn.Call
---@param site aitoearn.Site
---@param id string
---@param opts table `timeout`, `deadline`, `retry`, `request_id`, all read by aitoearn.options; and `give_up_at`, where
--- the deadline began before now
---@param in_batch? boolean its deadline starts when it is first sent, not now
---@param now? number on the host's clock
---@return aitoearn.Record? record
---@return aitoearn.Error? err
---@return aitoearn.Transfer? transfer that brought the record
function M.record(call, site, id, opts, in_batch, now)
  now = now or call.client.now()
  begin(call, site, id, opts, now, in_batch)
  local problem = id_problem(id)
  return run(call, nil, now, problem and "record id: " .. problem)
end

--- Sends a request of another kind.
---@param call aitoearn.Call
---@param site aitoearn.Site
---@param request aitoearn.Request
---@param opts table as for `record`; and `made`, the attempts that were made before, and `avoid`, who failed in them
---@return any value as `transfer:result(request.kind)` returns it
---@return aitoearn.Error? err with `may_have_happened` for a write whose last attempt may have taken effect
---@return aitoearn.Transfer? transfer that brought the value
function M.request(call, site, request, opts)
  local now = call.client.now()
  begin(call, site, request.id, opts, now)
  call.request = request
  return run(call, request, now, request.problem, opts.avoid)
end

--- Fills the table of the option `response`: what the record does not say.
---@param response table
---@param call aitoearn.Call
---@param err? aitoearn.Error
function M.describe_response(response, call, err)
  local transfer = call.transfer
  for name in pairs(response) do
    response[name] = nil
  end
  response.site = call.site and call.site.name
  response.server = call.endpoint and call.endpoint.url
  response.attempts = call.made
  response.elapsed = call.started and call.client.now() - call.started
  response.request_id = err and err.request_id
  response.http_status = err and err.http_status
  if transfer then
    response.request_id = response.request_id or transfer:request_id()
    response.date = transfer:date()
    response.http_status = response.http_status or transfer.http_status and transfer:http_status() or nil
    response.http_version = transfer.http_version and transfer:http_version() or nil
  end
end

return M
