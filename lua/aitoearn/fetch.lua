--- One record from one site: retries, endpoints, holds and deadlines as one straight line of code.
-- @module aitoearn.fetch

local check = require "aitoearn.check"
local core = require "aitoearn.core"
local errors = require "aitoearn.error"
local records = require "aitoearn.record"
local retry = require "aitoearn.retry"

local fetch = {}

local ENDINGS = {
  cancelled = "the call was cancelled",
  closed = "the client was closed",
}

-- What a fetch knows of itself stands in its call, whose fetches follow one another.

local function fail(call, failure, context)
  context = context or {}
  context.site = call.site.name
  context.language = call.client.language
  context.record_id = call.id
  context.server = context.server or (call.endpoint and call.endpoint.url)
  context.attempts = call.attempts
  return errors.new(failure, context)
end

local function fail_ended(call, ending)
  return fail(call, { kind = ending, message = ENDINGS[ending] })
end

--- The error of a call that cannot wait for the end of a hold: what the server said, but nothing of the other request
-- to which it was said, since of this one nothing was sent.
local function fail_held(call, held, seconds)
  return fail(call, {
    kind = held.kind,
    message = held.message,
    code = held.code,
    name = held.name,
    request_id = call.opts.request_id,
    hint = "held",
  }, { retryable = true, retry_at = core.time() + seconds })
end

--- Waits for the end of the site's hold.
-- @treturn aitoearn.Error|nil why that cannot be in time
local function wait_for_hold(call)
  local client, site, limit = call.client, call.site, call.give_up_at
  local left, held = site:held(client.now())
  while left do
    if limit and client.now() + left > limit then
      return fail_held(call, held, left)
    end
    local ending = call:sleep(left)
    if ending then
      return fail_ended(call, ending)
    end
    left, held = site:held(client.now())
  end
end

--- Waits until the request may be sent to a site that is not open: no hold, and its turn under `max_rate`.
-- @treturn aitoearn.Error|nil why it cannot be in time
local function wait_for_turn(call)
  local client, site = call.client, call.site
  repeat
    local err = wait_for_hold(call)
    if err then
      return err
    end
    local seconds, turn = site:turn(client.now(), call.give_up_at)
    if not seconds then
      return fail(call, { kind = "timeout", message = "max_rate leaves no turn before the deadline" },
        { retryable = true })
    end
    call.turn = turn -- given back where the call is cancelled before
    local ending = seconds > 0 and call:sleep(seconds)
    call.turn = nil
    if ending then
      return fail_ended(call, ending)
    end
  until not site:held(client.now()) -- a hold that began before its turn came
end

--- Gives the probe back of an attempt that told nothing.
local function release(call)
  if call.probing then
    call.site:release(call.endpoint)
    call.probing = nil
  end
end

--- Whether an end says nothing about the endpoint: we ended it, or gave it less time than an attempt has.
local function is_our_doing(call, failure)
  return failure.kind == "cancelled" or failure.kind == "closed" or (failure.kind == "timeout" and call.cut_short)
end

local function report_health(call, failure)
  local endpoint, client = call.endpoint, call.client
  if failure and is_our_doing(call, failure) then
    return release(call)
  end
  call.probing = nil
  local event, seconds
  if failure and retry.counts_against_endpoint(failure) then
    event, seconds = call.site:fail(endpoint, client.now())
  else
    event = call.site:succeed(endpoint)
  end
  if event and client.on_event then
    client:emit { type = event, site = call.site.name, server = endpoint.url, seconds = seconds }
  end
end

local function note_attempt(call, transfer, failure)
  local client, n = call.client, call.made
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
  if client.on_event then
    local is = failure or {}
    client:emit {
      type = "attempt",
      site = call.site.name,
      server = call.endpoint.url,
      record_id = call.id,
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
local function attempt(call)
  local client, site, opts = call.client, call.site, call.opts
  local now = client.now()
  local endpoint, probing = site:choose(now, call.avoid)
  local key, problem = site.api_key()
  call.endpoint, call.probing = endpoint, probing or nil
  if endpoint.problem then
    release(call)
    return nil, endpoint.problem
  end
  local ending = call:ended() -- the key function may have done anything
  if ending or not key then
    release(call)
    return nil, { kind = ending or "argument", message = ending and ENDINGS[ending] or problem }
  end
  local timeout, left = opts.timeout, nil
  if call.give_up_at then
    left = math.max(call.give_up_at - now, 0)
    call.cut_short = not timeout or left < timeout
  elseif opts.deadline then -- in a batch: the clock starts when it is sent
    call.cut_short = not timeout or opts.deadline < timeout
    timeout = math.min(timeout or opts.deadline, opts.deadline)
  end
  local transfer = client.engine:get(endpoint.origin, endpoint.prefix, call.id, key, opts.request_id, timeout, left)
  call.made = call.made + 1
  client.attempts = client.attempts + 1
  call:await(transfer)
  local record, failure = transfer:result()
  if failure then
    errors.redact(failure, key, site.secrets)
    if not call.give_up_at and opts.deadline then
      call.give_up_at = (transfer:started_at() or client.now()) + opts.deadline
    end
  end
  if record then
    setmetatable(record, records.metatable)
  end
  report_health(call, failure)
  if failure or client.on_event then
    note_attempt(call, transfer, failure)
  end
  return record, failure or transfer
end

--- Whether to try again, and when.
-- @treturn number|nil seconds to wait; nil: it ends here
-- @treturn table the error's context
local function next_attempt(call, failure)
  local client, site, policy = call.client, call.site, call.opts.retry
  local now = client.now()
  local other = site:has_other(call.endpoint, now)
  local most = retry.most_attempts(failure, other)
  if not most then
    return nil, {}
  end
  if not retry.is_rate_limited(failure) then
    failure.rate_limit_reset = nil -- a limited route may tell its reset with every answer
  end
  local random = client.random
  local pause, named = retry.pause(policy, failure, call.made, random, core.time())
  local context = { retryable = true, retry_at = named and core.time() + pause or nil }
  if named and retry.is_rate_limited(failure) then
    site:hold(now + pause, failure)
  elseif named and other then -- the wish is the endpoint's own: another one need not wait
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

local function explain_deadline(call, failure)
  if failure.kind == "timeout" and call.give_up_at and call.client.now() >= call.give_up_at then
    failure.message = ("the deadline of %g s passed (%s)"):format(call.opts.deadline, failure.message)
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
  call.site, call.id, call.opts, call.made = site, id, opts, 0
  call.attempts, call.give_up_at, call.endpoint, call.avoid, call.cut_short = nil, nil, nil, nil, nil
  local problem = check.id_problem(id)
  problem = problem and "record id: " .. problem or client.host.problem and client.host.problem()
  if problem then
    return nil, fail(call, { kind = "argument", message = problem })
  end
  if opts.deadline and not in_batch then
    call.give_up_at = opts.give_up_at or client.now() + opts.deadline
  end
  while true do
    local ended = call:ended()
    local err = ended and fail_ended(call, ended) or not site:is_open() and wait_for_turn(call)
    if err then
      return nil, err
    end
    local record, failure = attempt(call)
    if record then
      site.budget:success()
      return record, failure
    end
    local pause, context = next_attempt(call, failure)
    if not pause then
      explain_deadline(call, failure)
      return nil, fail(call, failure, context)
    end
    client.retries = client.retries + 1
    if client.on_event then
      client:emit { type = "retry", site = site.name, server = call.endpoint.url, record_id = id, attempt = call.made,
        kind = failure.kind, code = failure.code, http_status = failure.http_status, delay = pause }
    end
    call.avoid = call.endpoint
    local ending = call:sleep(pause)
    if ending then
      return nil, fail_ended(call, ending)
    end
  end
end

return fetch
