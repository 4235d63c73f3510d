--- What a failed attempt means: whether to try again, when, how many tries the site can bear, and whether a wait goes on.
--- Pure: the random source and the time come in as arguments.
---@module "aitoearn.retry"

local core = require "aitoearn.core"

local code = core.code

local M = {}

--- How often and how patiently.
---@class aitoearn.RetryPolicy
---@field max_attempts integer attempts in all, the first one included
---@field base number seconds: the longest first backoff
---@field max_delay number seconds: the longest backoff of all

--- Why an attempt failed, as the C part states it.
---@class aitoearn.Failure
---@field kind aitoearn.ErrorKind
---@field message string
---@field code integer? the body's code, for kind `api`
---@field name string? the platform's name of the code
---@field http_status integer?
---@field request_id string?
---@field body string? its beginning, for kinds `http` and `protocol`
---@field handshake boolean? kind `tls`: the handshake was cut off, as against a certificate that is wrong
---@field not_json boolean? the body was no JSON at all (usually a web page)
---@field proxy boolean? a proxy refused, or libcurl cannot read its URL
---@field data_retryable boolean? the body's `data.retryable`
---@field issues table? the body's `data` where it holds `issues`
---@field sent boolean? the request may have reached the server
---@field retry_after number? seconds, from the header's either form
---@field ttl number? seconds, the body's `data.ttl`
---@field rate_limit_reset number? Unix milliseconds, `X-RateLimit-Reset`
---@field date number? Unix seconds, the server's `Date`
---@field hint string? in the place of the hint that the error would have: one of aitoearn.error's, or a sentence

--- The policy of a caller that gives none.
M.defaults = { max_attempts = 3, base = 0.25, max_delay = 10 }

-- Attempts in all. A malformed id can cause a 500 for ever: one more attempt, no third.
local ANY, TWO = math.huge, 2

local BY_HTTP_STATUS = { [429] = ANY, [500] = TWO, [502] = ANY, [503] = ANY, [504] = ANY }

-- Any other code, 0 apart, is permanent.
local BY_CODE = {
  [code.TOO_MANY_REQUESTS] = ANY,
  [code.INTERNAL_SERVER_ERROR] = TWO,
  [code.BAD_GATEWAY] = ANY,
  [code.SERVICE_UNAVAILABLE] = ANY,
  [code.GATEWAY_TIMEOUT] = ANY,
  [code.CHANNEL_PUBLISH_QUEUE_REMOVE_FAILED] = ANY,
  [code.CHANNEL_PUBLISH_QUEUE_FAILED] = ANY,
  [code.CHANNEL_PLATFORM_RATE_LIMITED] = ANY,
  [code.CHANNEL_PLATFORM_SERVICE_UNAVAILABLE] = ANY,
  [code.RELAY_SERVER_UNAVAILABLE] = ANY,
}

-- Of these two the server says itself, in `data.retryable`, whether they are transient.
local SAYS_ITSELF = { [code.CHANNEL_PLATFORM_RATE_LIMITED] = true, [code.CHANNEL_PLATFORM_SERVICE_UNAVAILABLE] = true }

local BY_KIND = { dns = ANY, connect = ANY, timeout = ANY, transport = ANY }

local NOT_ANSWERED = { dns = true, connect = true, tls = true, timeout = true, transport = true }

-- The shortest wait after a 429 without a time, in seconds.
local RATE_LIMITED_PAUSE = 1

-- Longer waits than a week, in seconds, are taken for nonsense: one would hold its site for good.
local LONGEST_RETRY_AFTER = 7 * 24 * 3600

-- base * 2^40 is beyond any sensible max_delay; more would end in infinity.
local MAX_DOUBLINGS = 40

--- How often to send the same request at most, because of how an attempt failed.
---@param failure aitoearn.Failure
---@param other_endpoint boolean whether the site has another endpoint that the retry could use
---@return number? attempts in all, without a policy's own bound; nil: it will fail again, so the first was the last
function M.most_attempts(failure, other_endpoint)
  local kind = failure.kind
  if failure.proxy then
    return nil
  elseif kind == "api" then
    return not (SAYS_ITSELF[failure.code] and failure.data_retryable == false) and BY_CODE[failure.code] or nil
  elseif kind == "http" then
    return BY_HTTP_STATUS[failure.http_status]
  elseif kind == "tls" then -- a certificate that does not verify will not do so next time
    return failure.handshake and ANY or nil
  elseif kind == "protocol" then -- a web page: this server is no API, another may be
    return failure.not_json and other_endpoint and ANY or nil
  end
  return BY_KIND[kind]
end

local UNCLEAR_CODES = {
  [code.INTERNAL_SERVER_ERROR] = true,
  [code.BAD_GATEWAY] = true,
  [code.GATEWAY_TIMEOUT] = true,
  [code.CHANNEL_PUBLISH_QUEUE_FAILED] = true,
  [code.RELAY_SERVER_UNAVAILABLE] = true,
}

--- Whether a write that failed so may have taken effect all the same.
---@param failure aitoearn.Failure
---@return boolean
function M.may_have_happened(failure)
  local kind = failure.kind
  if kind == "api" then
    return UNCLEAR_CODES[failure.code] or false
  elseif kind == "http" then
    return failure.http_status >= 500
  elseif kind == "protocol" then -- an answer came, and cannot be read
    return true
  end
  return failure.sent or false
end

-- HTTP 4xx that a server may take back.
local TRANSIENT_4XX = { [408] = true, [421] = true, [425] = true, [429] = true }

--- Whether an id looks like one of the platform's: 24 hex digits.
---@param id any
---@return boolean
function M.is_platform_id(id)
  return type(id) == "string" and #id == 24 and not id:find "[^0-9a-fA-F]"
end

-- What ends a wait only before its first good record: it may never have been right.
local function ends_first_look(failure, id, in_a_row)
  local kind, http_status = failure.kind, failure.http_status or 0
  if failure.code == code.INTERNAL_SERVER_ERROR or (kind == "http" and http_status == 500) then
    return id ~= nil and in_a_row >= 3 and not M.is_platform_id(id)
  elseif kind == "protocol" then
    return failure.not_json == true and http_status >= 200 and http_status < 300
  end
  return kind == "http" and http_status >= 400 and http_status < 500 and not TRANSIENT_4XX[http_status]
end

--- Whether a failed look ends a wait before its time. Nothing else does.
---@param failure aitoearn.Failure|aitoearn.Error
---@param seen_good boolean whether the wait has seen a good record
---@param id string? the record's id; nil: what is waited for is no record
---@param in_a_row? integer how often in a row the wait's looks ended with this `code` or `http_status`; default 1
---@return boolean
function M.ends_wait(failure, seen_good, id, in_a_row)
  local kind = failure.kind
  in_a_row = in_a_row or 1
  if kind == "argument" or kind == "cancelled" or kind == "closed" or kind == "goal" then
    return true
  elseif failure.proxy or (kind == "http" and failure.http_status == 407) then
    return true
  elseif kind == "tls" then
    return not M.most_attempts(failure, false)
  elseif failure.code == code.PUBLISH_RECORD_NOT_FOUND then -- a relay says so for each of its own failures
    return not seen_good or in_a_row >= 2
  elseif kind == "api" and not M.most_attempts(failure, false) then
    return true
  end
  return not seen_good and ends_first_look(failure, id, in_a_row)
end

--- Whether this failure says something about the endpoint's health.
--- An envelope with code 500 under HTTP 200 does not: the endpoint is well and the platform behind it is not.
---@param failure aitoearn.Failure
---@return boolean
function M.counts_against_endpoint(failure)
  if failure.proxy then
    return false
  end
  if NOT_ANSWERED[failure.kind] or failure.not_json == true then
    return true
  end
  return type(failure.http_status) == "number" and failure.http_status >= 500
end

-- The longest backoff after that many attempts, in seconds.
local function ceiling(policy, attempt)
  return math.min(policy.max_delay, policy.base * 2 ^ math.min(attempt - 1, MAX_DOUBLINGS))
end

--- Full-jitter exponential backoff.
--- The rule is the one of "Exponential Backoff And Jitter" in the AWS architecture blog: anything from nothing to
--- the ceiling, which doubles. Of the jitters compared there it costs the servers least.
---@param policy aitoearn.RetryPolicy
---@param attempt integer attempts made so far, 1 or more
---@param random fun():number at least 0 and below 1
---@return number seconds
function M.backoff(policy, attempt, random)
  return random() * ceiling(policy, attempt)
end

local function is_number(value)
  return type(value) == "number" and value >= 0 and value < math.huge
end

-- 0 is no time to come back at: it means "now".
local function is_wait(seconds)
  return is_number(seconds) and seconds > 0 and seconds <= LONGEST_RETRY_AFTER
end

--- When the server said to come back, in seconds from now.
--- `Retry-After` comes before `data.ttl` before `X-RateLimit-Reset`; if one says no time, or nonsense (more than a
--- week), the next one counts. The reset is a time by the server's clock, so it is read against the server's `Date`
--- if that is known.
---@param failure aitoearn.Failure
---@param now number Unix seconds
---@return number? seconds nil: the server said no time
function M.retry_after(failure, now)
  if is_wait(failure.retry_after) then
    return failure.retry_after
  elseif is_wait(failure.ttl) then
    return failure.ttl
  elseif is_number(failure.rate_limit_reset) then
    local left = failure.rate_limit_reset / 1000 - (is_number(failure.date) and failure.date or now)
    return is_wait(left) and left or nil
  end
end

--- Whether the server said "too many requests", by its envelope or by its HTTP status.
---@param failure aitoearn.Failure
---@return boolean
function M.is_rate_limited(failure)
  return failure.kind == "api" and failure.code == code.TOO_MANY_REQUESTS
    or failure.kind == "http" and failure.http_status == 429
end

--- How long to wait before the next attempt.
--- The server's time counts as `base` at least: one of microseconds would be obeyed a thousand times a second. After a
--- 429 without a time the wait is spread over at least a second, so that a crowd does not come back at once.
---@param policy aitoearn.RetryPolicy
---@param failure aitoearn.Failure
---@param attempt integer attempts made so far, 1 or more
---@param random fun():number at least 0 and below 1
---@param now number Unix seconds
---@return number seconds
---@return boolean from_server whether the time is the server's
function M.pause(policy, failure, attempt, random, now)
  local seconds = M.retry_after(failure, now)
  if seconds then
    return math.max(seconds, policy.base), true
  elseif M.is_rate_limited(failure) then
    return RATE_LIMITED_PAUSE + random() * math.max(RATE_LIMITED_PAUSE, ceiling(policy, attempt)), false
  end
  return M.backoff(policy, attempt, random), false
end

-- gRPC's retry throttling (gRFC A6) with maxTokens 100 and tokenRatio 0.1. One difference: there every failure costs
-- a token, here a retry does, since a failed first attempt that nobody repeats adds no load.
local BUDGET_CAP = 100
local BUDGET_FLOOR = BUDGET_CAP / 2

--- A token bucket.
---@class aitoearn.RetryBudget
---@field tokens number retries are allowed above half of 100
---@field is_full boolean whether a success has nothing to put back
local Budget = {}
Budget.__index = Budget

--- A token bucket that stops retries when most calls fail.
---@return aitoearn.RetryBudget
function M.budget()
  return setmetatable({ tokens = BUDGET_CAP, is_full = true }, Budget)
end

--- Pays for one retry.
---@return boolean allowed false, with nothing taken, at or below half of the bucket
function Budget:take()
  if self.tokens <= BUDGET_FLOOR then
    return false
  end
  self.tokens, self.is_full = self.tokens - 1, false
  return true
end

--- Puts a tenth of a token back for a call that succeeded.
function Budget:success()
  -- In whole tenths: a sum of 0.1s drifts, and the floor is an exact number.
  local tenths = math.floor(self.tokens * 10 + 0.5) + 1
  self.tokens = math.min(BUDGET_CAP, tenths / 10)
  self.is_full = self.tokens == BUDGET_CAP
end

return M
