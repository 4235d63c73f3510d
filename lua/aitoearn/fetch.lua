--- One record from one site: retries, endpoints, holds and deadlines as one straight line of code.
-- @module aitoearn.fetch

local check = require "aitoearn.check"
local core = require "aitoearn.core"
local errors = require "aitoearn.error"
local retry = require "aitoearn.retry"

local fetch = {}

--- What stands between a base URL and the id.
fetch.PATH = "/api/v2/channels/publish/records/"

local ENDINGS = {
  cancelled = "the call was cancelled",
  closed = "the client was closed",
}

--- An id as one path segment (RFC 3986: everything but the unreserved characters is percent-encoded).
local function segment(id)
  if id:find("^[%w%-._~]+$") then
    return id
  end
  return (id:gsub("[^%w%-._~]", function(byte)
    return ("%%%02X"):format(byte:byte())
  end))
end

--- What one fetch knows of itself.
---@class aitoearn.Run
---@field attempts table[]? the rows of `err.attempts`
---@field give_up_at number? seconds on the host's clock

local function fail(run, failure, context)
  context = context or {}
  context.site = run.site.name
  context.record_id = run.id
  context.server = context.server or (run.endpoint and run.endpoint.url)
  context.attempts = run.attempts
  return errors.new(failure, context)
end

local function fail_ended(run, ending)
  return fail(run, { kind = ending, message = ENDINGS[ending] })
end

--- The error of a call that cannot wait for the end of a hold: what the server said, but nothing of the other request
-- to which it was said, since of this one nothing was sent.
local function fail_held(run, held, seconds)
  return fail(run, {
    kind = held.kind,
    message = held.message,
    code = held.code,
    name = held.name,
    request_id = run.opts.request_id,
    hint = "the site asked for a pause that ends after this call's deadline",
  }, { retryable = true, retry_at = core.time() + seconds })
end

--- Waits for the end of the site's hold.
-- @treturn aitoearn.Error|nil why that cannot be in time
local function wait_for_hold(run)
  local client, site, limit = run.client, run.site, run.give_up_at
  local left, held = site:held(client.now())
  while left do
    if limit and client.now() + left > limit then
      return fail_held(run, held, left)
    end
    local ending = run.call:sleep(left)
    if ending then
      return fail_ended(run, ending)
    end
    left, held = site:held(client.now())
  end
end

--- Waits until the request may be sent: no hold, and its turn under `max_rate`.
-- @treturn aitoearn.Error|nil why it cannot be in time
local function wait_for_turn(run)
  local client, site = run.client, run.site
  if site:is_open() then
    return nil
  end
  repeat
    local err = wait_for_hold(run)
    if err then
      return err
    end
    local seconds, turn = site:turn(client.now(), run.give_up_at)
    if not seconds then
      return fail(run, { kind = "timeout", message = "max_rate leaves no turn before the deadline" },
        { retryable = true })
    end
    run.call.site, run.call.turn = site, turn -- given back where the call is cancelled before
    local ending = seconds > 0 and run.call:sleep(seconds)
    run.call.turn = nil
    if ending then
      return fail_ended(run, ending)
    end
  until not site:held(client.now()) -- a hold that began before its turn came
end

local function release(run)
  if run.probing then
    run.site:release(run.endpoint)
  end
end

--- Whether an end says nothing about the endpoint: we ended it, or gave it less time than an attempt has.
local function is_our_doing(run, failure)
  return failure.kind == "cancelled" or failure.kind == "closed" or (failure.kind == "timeout" and run.cut_short)
end

local function report_health(run, failure)
  local endpoint, client = run.endpoint, run.client
  if failure and is_our_doing(run, failure) then
    return release(run)
  end
  local healthy = not (failure and retry.counts_against_endpoint(failure))
  local event, seconds = run.site:report(endpoint, client.now(), healthy)
  if event and client.on_event then
    client:emit { type = event, site = run.site.name, server = endpoint.url, seconds = seconds }
  end
end

local function note_attempt(run, transfer, failure)
  local client, n = run.client, run.made
  local elapsed = transfer:elapsed()
  if failure then
    run.attempts = run.attempts or {}
    run.attempts[#run.attempts + 1] = {
      server = run.endpoint.url,
      kind = failure.kind,
      code = failure.code,
      http_status = failure.http_status,
      elapsed = elapsed,
    }
  end
  if client.on_event then
    local is = failure or {}
    client:emit {
      type = "attempt",
      site = run.site.name,
      server = run.endpoint.url,
      record_id = run.id,
      attempt = n,
      elapsed = elapsed,
      request_id = transfer:request_id(),
      kind = is.kind,
      code = is.code,
      http_status = is.http_status,
    }
  end
end

--- One attempt.
-- @treturn table|nil the record
-- @treturn table the transfer; on failure the failure
local function attempt(run)
  local client, site, opts, call = run.client, run.site, run.opts, run.call
  local now = client.now()
  local endpoint, probing = site:choose(now, run.avoid)
  local key, problem = site.api_key()
  run.endpoint, run.probing = endpoint, probing
  local ending = call:ended() -- the key function may have done anything
  if ending or not key then
    release(run)
    return nil, { kind = ending or "argument", message = ending and ENDINGS[ending] or problem }
  end
  local timeout, left = opts.timeout, nil
  if run.give_up_at then
    left = math.max(run.give_up_at - now, 0)
    run.cut_short = not timeout or left < timeout
  elseif opts.deadline then -- in a batch: the clock starts when it is sent
    run.cut_short = not timeout or opts.deadline < timeout
    timeout = math.min(timeout or opts.deadline, opts.deadline)
  end
  local transfer = client.engine:get(endpoint.origin, endpoint.prefix .. run.path, key, opts.request_id, timeout, left)
  run.made = run.made + 1
  client.attempts = client.attempts + 1
  call.release = probing and function() -- should the call be abandoned meanwhile
    release(run)
  end
  call:await(transfer)
  call.release = nil
  local record, failure = transfer:result()
  if failure then
    errors.redact(failure, key)
  end
  if not run.give_up_at and opts.deadline then
    run.give_up_at = (transfer:started_at() or client.now()) + opts.deadline
  end
  report_health(run, failure)
  if failure or client.on_event then
    note_attempt(run, transfer, failure)
  end
  return record, failure or transfer
end

local function is_rate_limited(failure)
  return failure.code == 429 or (failure.kind == "http" and failure.http_status == 429)
end

--- Whether to try again, and when.
-- @treturn number|nil seconds to wait; nil: it ends here
-- @treturn table the error's context
local function next_attempt(run, failure)
  local client, site, policy = run.client, run.site, run.opts.retry
  local now = client.now()
  local other = site:has_other(run.endpoint, now)
  local retryable, most = retry.classify(failure, other)
  if not retryable then
    return nil, {}
  end
  if not is_rate_limited(failure) then
    failure.rate_limit_reset = nil -- a limited route may tell its reset with every answer
  end
  local random = client.random
  local pause, named = retry.pause(policy, failure, run.made, random, core.time())
  local context = { retryable = true, retry_at = named and core.time() + pause or nil }
  if named and is_rate_limited(failure) then
    site:hold(now + pause, failure)
  elseif named and other then -- the wish is the endpoint's own: another one need not wait
    pause, named = retry.delay(policy, run.made, random), false
  end
  local allowed = math.min(policy.max_attempts, most or policy.max_attempts)
  if run.made >= allowed or (run.give_up_at and now + pause >= run.give_up_at) then
    return nil, context
  end
  if not named and not site.budget:take() then
    return nil, context
  end
  return pause, context
end

local function explain_deadline(run, failure)
  if failure.kind == "timeout" and run.give_up_at and run.client.now() >= run.give_up_at then
    failure.message = ("the deadline of %g s passed (%s)"):format(run.opts.deadline, failure.message)
  end
end

--- Fetches one record.
-- @tparam aitoearn.Call call
-- @tparam aitoearn.Site site
-- @tparam string id
-- @tparam table opts `timeout`, `deadline`, `retry`, `request_id`, all read by aitoearn.options; and `give_up_at`, where
--   the deadline began before now
-- @tparam ?boolean in_batch its deadline starts when it is first sent, not now
-- @treturn table|nil the record
-- @treturn aitoearn.Error|userdata the error; for a record the transfer that brought it
function fetch.record(call, site, id, opts, in_batch)
  local client = call.client
  -- The nils make the table as large as it will get, lest it grow on the way.
  local run = { call = call, client = client, site = site, id = id, opts = opts, made = 0, attempts = nil, path = nil,
    give_up_at = nil, endpoint = nil, probing = nil, cut_short = nil, avoid = nil }
  local problem = check.id_problem(id)
  problem = problem and "record id: " .. problem or client.host.problem and client.host.problem()
  if problem then
    return nil, fail(run, { kind = "argument", message = problem })
  end
  run.path = segment(id)
  if opts.deadline and not in_batch then
    run.give_up_at = opts.give_up_at or client.now() + opts.deadline
  end
  while true do
    local ending = call:ended()
    local err = ending and fail_ended(run, ending) or wait_for_turn(run)
    if err then
      return nil, err
    end
    local record, failure = attempt(run)
    if record then
      site.budget:success()
      return record, failure
    end
    local pause, context = next_attempt(run, failure)
    if not pause then
      explain_deadline(run, failure)
      return nil, fail(run, failure, context)
    end
    client.retries = client.retries + 1
    if client.on_event then
      client:emit { type = "retry", site = site.name, server = run.endpoint.url, record_id = id, attempt = run.made,
        kind = failure.kind, code = failure.code, http_status = failure.http_status, delay = pause }
    end
    run.avoid = run.endpoint
    ending = call:sleep(pause)
    if ending then
      return nil, fail_ended(run, ending)
    end
  end
end

return fetch
