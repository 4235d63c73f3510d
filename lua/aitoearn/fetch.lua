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
---@field request aitoearn.Request|false false: the GET of a record
---@field site aitoearn.Site
---@field id string
---@field opts table
---@field started number|false when the fetch began, on the host's clock
---@field made integer|false attempts so far
---@field attempts table[]|false the rows of `err.attempts`
---@field give_up_at number|false seconds on the host's clock
---@field endpoint aitoearn.Endpoint|false who is asked
---@field probing boolean? whether that is a probe
---@field cut_short boolean whether an attempt had less time than `timeout`; the later ones have less still
---@field slot number? under `max_rate`, not used yet
---@field transfer aitoearn.Transfer|false the last attempt's
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
  context.flowId = call.request and call.request.flow_id or nil
  context.server = context.server or (call.endpoint and call.endpoint.url) or nil
  context.attempts = call.attempts or nil
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
---@param site? aitoearn.Site|false
---@param id any
---@return aitoearn.Error
function M.cancelled(call, site, id)
  local request = call.request
  return errors.new({ kind = "cancelled", message = ENDINGS.cancelled }, {
    site = site and site.name or nil,
    record_id = id or nil,
    flowId = request and request.flow_id or nil,
    server = call.endpoint and call.endpoint.url or nil,
    attempts = call.attempts or nil,
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
  local stopped = call:ended()
  if stopped then
    return M.ended(call, stopped)
  end
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

-- What an attempt's outcome means for what comes after it.
local function note_outcome(call, transfer, failure, key)
  local client, deadline = call.client, call.opts.deadline
  if failure then
    errors.redact(failure, key, call.site.secrets)
    if not call.give_up_at and deadline then
      call.give_up_at = (transfer:started_at() or client.now()) + deadline
    end
  end
  note_health(call, failure)
  if (failure or client.observed) and not call.is_over then
    note_attempt(call, transfer, failure)
  end
end

--- Gives back what a call that is cancelled took and will not use.
---@param call aitoearn.Call
function M.cancel(call)
  if call.slot then
    call.site:return_slot(call.slot)
    call.slot = nil
  end
end

--- Gives back what a call's coroutine would, had it not died.
M.abandon = release_probe

--- Reports now what a call's coroutine would report later of the attempt that is under way.
---@param call aitoearn.Call
function M.finish(call)
  if call.waiting and call.waiting == call.transfer then
    call.is_unclear = call.is_unclear or (call.request and call.request.is_write)
    note_attempt(call, call.transfer, { kind = "cancelled" })
  end
end

local function send(engine, endpoint, request, key, request_id, timeout, left)
  return engine:send(endpoint.origin, { method = request.method, url = endpoint.api .. request.path,
    body = request.body, max_bytes = request.max_bytes }, key, request_id, timeout, left)
end

-- A flow's tasks have the methods of records, as far as their fields allow.
local function give_methods(value, kind)
  for _, record in ipairs(value and (kind == "records" and value or kind == "flow" and value.tasks) or {}) do
    setmetatable(record, RECORD)
  end
end

-- Why an attempt is not made, known before it is.
local function problem_before(call, problem)
  local ending = call:ended()
  release_probe(call)
  return ending and { kind = ending, message = ENDINGS[ending] } or problem
end

-- How long an attempt takes at most, in seconds, from when it has a connection, where there is less left than `timeout`.
local function cut_short(call, opts, left)
  call.cut_short = true
  if left then
    return opts.timeout -- the engine is told what is left from now
  end
  return opts.deadline -- in a batch it begins when the attempt is sent
end

--- One attempt.
---@param call aitoearn.Call
---@param client aitoearn.Client
---@param site aitoearn.Site
---@param opts table
---@param request aitoearn.Request|false|nil
---@param now number
---@param avoid aitoearn.Endpoint? who failed before
---@param fresh boolean? whether to ask over a new connection
---@return any value the record, or what the request's kind is
---@return aitoearn.Failure? failure
---@return aitoearn.Transfer? transfer
local function attempt(call, client, site, opts, request, now, avoid, fresh)
  if client.closed or call.cancelled then
    return nil, problem_before(call)
  end
  local endpoint, probing = site.endpoints[1], false
  if avoid or not site.is_clear then
    endpoint, probing = site:choose(now, avoid)
    call.probing, call.endpoint = probing or nil, endpoint
    if call:ended() then -- a store was asked meanwhile
      return nil, problem_before(call)
    end
  end
  call.endpoint = endpoint
  if endpoint.problem then
    return nil, problem_before(call, endpoint.problem)
  end
  local key, problem = site.api_key()
  if not key or site.calls_back and call:ended() then -- the caller's function may have done anything
    return nil, problem_before(call, { kind = "argument", message = problem })
  end
  local timeout, give_up_at, left = opts.timeout, call.give_up_at, nil
  if give_up_at then
    left = give_up_at > now and give_up_at - now or 0
  end
  local longest = left or opts.deadline
  if longest and not (timeout and timeout <= longest) then
    timeout = cut_short(call, opts, left)
  end
  if request then
    call.transfer = send(client.engine, endpoint, request, key, opts.request_id, timeout, left)
  else
    call.transfer = client.engine:get(endpoint.origin, endpoint.prefix, call.id, key, opts.request_id, timeout, left, fresh)
  end
  local transfer = call.transfer
  call.made = call.made + 1
  call:await(transfer)
  local value, failure
  if request then
    value, failure = transfer:result(request.kind)
    give_methods(value, request.kind)
  else
    value, failure = transfer:result(nil, RECORD)
  end
  if failure or probing or client.observed or endpoint.failures > 0 then
    note_outcome(call, transfer, failure, key)
  end
  return value, failure, transfer
end

-- Whether a record with another id is the answer to another request: a connection that slipped by one answer. A record's id
-- need not be the one that was asked for; but where they have been the same, one that differs is asked for over a new
-- connection.
local function is_slipped(site, transfer)
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

-- Waits until an attempt may be repeated; returns an error where none will be.
local function wait_for_retry(call, failure)
  local pause, context = next_attempt(call, failure)
  if not pause then
    explain_deadline(call, failure)
    return fail(call, failure, context)
  end
  M.note_retry(call, failure, pause)
  local ending = call:sleep(pause)
  return ending and M.ended(call, ending)
end

--- Fetches one record, or sends a request of another kind: sends attempts until one brings an answer, or none will. The call
--- may have made another fetch before.
---@param call aitoearn.Call
---@param site aitoearn.Site
---@param id any the record's
---@param opts table `timeout`, `deadline`, `retry`, `request_id`, all read by aitoearn.options; `give_up_at`, where the
--- deadline began before now; with a request, `made`, the attempts that were made before, and `avoid`, who failed in them
---@param in_batch? boolean its deadline starts when it is first sent, not now
---@param now? number on the host's clock
---@param request? aitoearn.Request
---@return any value the record, or what `transfer:result(request.kind)` returns
---@return aitoearn.Error? err with `may_have_happened` for a write whose last attempt may have taken effect
---@return aitoearn.Transfer? transfer that brought the value
function M.record(call, site, id, opts, in_batch, now, request)
  local client, deadline = call.client, opts.deadline
  local host = client.host
  now = now or client.now()
  call.request = request or false
  call.site = site
  call.id = id
  call.opts = opts
  call.started = now
  call.made = request and opts.made or 0
  call.attempts = false
  call.endpoint = false
  call.transfer = false
  call.cut_short = false
  call.give_up_at = deadline and not in_batch and (opts.give_up_at or now + deadline)
  local problem = request and request.problem or not request and id_problem(id) or host.problem and host.problem()
  if problem then
    return nil, fail(call, { kind = "argument", message = problem })
  end
  local avoid, fresh = request and opts.avoid, nil
  while true do
    if not (site.is_clear or site:is_open()) then
      local err = wait_for_slot(call)
      if err then
        return nil, err
      end
      now = client.now()
    end
    local value, failure, transfer = attempt(call, client, site, opts, request, now, avoid, fresh)
    if value and (request or value.id == id or fresh or not is_slipped(site, transfer)) then
      if not (site.ids_match or request) then
        site.ids_match = value.id == id
      end
      if not site.budget.is_full then
        site.budget:success()
      end
      return value, nil, transfer
    elseif value then
      fresh = true
      M.note_retry(call, {}, 0)
    else
      local err = wait_for_retry(call, failure)
      if err then
        return nil, err
      end
      avoid = call.endpoint
    end
    now = client.now()
  end
end

--- Sends a request of another kind than the GET of a record.
---@param call aitoearn.Call
---@param site aitoearn.Site
---@param request aitoearn.Request
---@param opts table as for `record`
---@return any value
---@return aitoearn.Error? err
---@return aitoearn.Transfer? transfer
function M.request(call, site, request, opts)
  call.named_pause = nil
  return M.record(call, site, request.id, opts, false, nil, request)
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
  response.site = call.site and call.site.name or nil
  response.server = call.endpoint and call.endpoint.url or nil
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
