--- What a failed attempt means: whether to try again, when, and how many tries the site can bear.
-- Pure: the random source and the time come in as arguments.
-- @module aitoearn.retry

local M = {}

-- How often and how patiently.
---@class aitoearn.RetryPolicy
---@field max_attempts integer attempts in all, the first one included
---@field base number seconds: the longest first backoff
---@field max_delay number seconds: the longest backoff of all

-- How an attempt ended when it did not bring a record.
---@class aitoearn.Failure
---@field kind string one of the kinds of `aitoearn.Error`
---@field code integer? the body's code, for kind `api`
---@field http_status integer?
---@field handshake boolean? kind `tls`: the handshake was cut off, as against a certificate that is wrong
---@field not_json boolean? the body was no JSON at all (a web page, most often)
---@field retry_after number? seconds, from the header's either form
---@field ttl number? seconds, the body's `data.ttl`
---@field rate_limit_reset number? Unix milliseconds, `X-RateLimit-Reset`
---@field date number? Unix seconds, the server's `Date`

--- What holds where the caller says nothing.
M.defaults = { max_attempts = 3, base = 0.25, max_delay = 10 }

-- A verdict is {most = attempts in all, if fewer than the policy's; when = a field that has to be set}.
local TRANSIENT = {}
-- A malformed id can cause a 500 for ever, so it gets one more try and no third.
local FEW = { most = 2 }

local BY_HTTP_STATUS = {
  [429] = TRANSIENT, -- too many requests
  [500] = FEW, -- internal error
  [502] = TRANSIENT, -- the gateways
  [503] = TRANSIENT,
  [504] = TRANSIENT,
}

-- The platform's codes; whatever is not listed, 0 apart, is permanent.
local BY_CODE = {
  [429] = TRANSIENT, -- TooManyRequests
  [500] = FEW, -- InternalServerError
  [502] = TRANSIENT, -- a gateway that speaks the envelope
  [503] = TRANSIENT,
  [504] = TRANSIENT,
  [15071] = TRANSIENT, -- ChannelPlatformRateLimited
  [15094] = TRANSIENT, -- ChannelPlatformServiceUnavailable
  [19001] = TRANSIENT, -- RelayServerUnavailable, self-hosted sites
}

-- Kinds that are not listed are permanent: argument, goal, cancelled, closed.
local BY_KIND = {
  dns = TRANSIENT,
  connect = TRANSIENT,
  timeout = TRANSIENT,
  transport = TRANSIENT,
  tls = { when = "handshake" }, -- a certificate that does not verify will not do so next time
  protocol = { when = "not_json", elsewhere = true }, -- a web page: this server is no API, another may be
  http = { field = "http_status", verdicts = BY_HTTP_STATUS },
  api = { field = "code", verdicts = BY_CODE },
}

local NOT_ANSWERED = { dns = true, connect = true, tls = true, timeout = true, transport = true }

-- The shortest wait after a 429 that named no time, in seconds.
local RATE_LIMITED_PAUSE = 1

-- No server means to be left alone for longer than a week, in seconds: such a wish would hold its site for good.
local LONGEST_WISH = 7 * 24 * 3600

-- base * 2^40 is beyond any max_delay that means something; more would end in infinity.
local MOST_DOUBLINGS = 40

--- Whether the same request may succeed when it is sent again.
---@param failure aitoearn.Failure
---@param other_endpoint boolean whether the site has another endpoint that the retry could use
---@return boolean retryable
---@return integer? most_attempts attempts in all for this end, where that is fewer than the policy may allow
function M.classify(failure, other_endpoint)
  local verdict = BY_KIND[failure.kind]
  if verdict and verdict.verdicts then
    local key = failure[verdict.field]
    verdict = key ~= nil and verdict.verdicts[key]
  end
  if not verdict then return false end
  if verdict.when and failure[verdict.when] ~= true then return false end
  if verdict.elsewhere and not other_endpoint then return false end
  return true, verdict.most
end

--- Whether this end says something about the endpoint's health.
-- An envelope with code 500 under HTTP 200 does not: the endpoint is well and the platform behind it is not.
---@param failure aitoearn.Failure
---@return boolean
function M.counts_against_endpoint(failure)
  if NOT_ANSWERED[failure.kind] or failure.not_json == true then return true end
  return type(failure.http_status) == "number" and failure.http_status >= 500
end

-- The longest backoff after so many attempts, in seconds.
local function ceiling(policy, attempt)
  return math.min(policy.max_delay, policy.base * 2 ^ math.min(attempt - 1, MOST_DOUBLINGS))
end

--- Full-jitter exponential backoff.
-- The rule is the one of "Exponential Backoff And Jitter" in the AWS architecture blog: anything from nothing to
-- the ceiling, which doubles. Of the jitters compared there it costs the servers least.
---@param policy aitoearn.RetryPolicy
---@param attempt integer attempts made so far, 1 or more
---@param random fun():number at least 0 and below 1
---@return number seconds
function M.delay(policy, attempt, random)
  return random() * ceiling(policy, attempt)
end

-- A number of seconds that can be waited for.
local function is_span(value)
  return type(value) == "number" and value >= 0 and value < math.huge
end

local function is_wish(value)
  return is_span(value) and value <= LONGEST_WISH
end

--- What the server asked for, in seconds from now.
-- `Retry-After` comes before `data.ttl` before `X-RateLimit-Reset`; nonsense in one, more than a week included, leaves
-- the word to the next.
-- The reset is a time by the server's clock, so it is read against the server's `Date` where that is known.
---@param failure aitoearn.Failure
---@param now number Unix seconds
---@return number? seconds nil where the server asked for nothing
function M.wish(failure, now)
  if is_wish(failure.retry_after) then return failure.retry_after end
  if is_wish(failure.ttl) then return failure.ttl end
  if is_span(failure.rate_limit_reset) then
    local left = failure.rate_limit_reset / 1000 - (is_span(failure.date) and failure.date or now)
    if is_wish(left) then return left end
  end
  return nil
end

--- Whether the server said "too many requests", by its envelope or by its HTTP status.
---@param failure aitoearn.Failure
---@return boolean
function M.is_rate_limited(failure)
  return failure.kind == "api" and failure.code == 429 or failure.kind == "http" and failure.http_status == 429
end

--- How long to wait before the next attempt.
-- A wish of 0 names no time ("now" is no time to come back at), so it is not a free retry: the backoff decides.
-- After a 429 without a time the wait is spread over at least a second, so that a crowd does not come back at once.
---@param policy aitoearn.RetryPolicy
---@param failure aitoearn.Failure
---@param attempt integer attempts made so far, 1 or more
---@param random fun():number at least 0 and below 1
---@param now number Unix seconds
---@return number seconds
---@return boolean named whether the server named the time
function M.pause(policy, failure, attempt, random, now)
  local wish = M.wish(failure, now)
  if wish and wish > 0 then return wish, true end
  if M.is_rate_limited(failure) then
    return RATE_LIMITED_PAUSE + random() * math.max(RATE_LIMITED_PAUSE, ceiling(policy, attempt)), false
  end
  return M.delay(policy, attempt, random), false
end

-- gRPC's retry throttling (gRFC A6) with maxTokens 100 and tokenRatio 0.1. One difference: there every failure costs
-- a token, here a retry does, since a failed first attempt that nobody repeats adds no load.
local BUDGET_CAP = 100
local BUDGET_FLOOR = BUDGET_CAP / 2

-- A token bucket.
---@class aitoearn.RetryBudget
---@field tokens number retries are allowed above half of 100
local Budget = {}
Budget.__index = Budget

--- A token bucket that stops retries when most calls fail.
---@return aitoearn.RetryBudget
function M.budget()
  return setmetatable({ tokens = BUDGET_CAP }, Budget)
end

--- Pays for one retry.
---@return boolean allowed false, with nothing taken, at or below half of the bucket
function Budget:take()
  if self.tokens <= BUDGET_FLOOR then return false end
  self.tokens = self.tokens - 1
  return true
end

--- Puts a tenth of a token back for a call that succeeded.
function Budget:success()
  if self.tokens >= BUDGET_CAP then return end
  -- In whole tenths: a sum of 0.1s drifts, and the floor is an exact number.
  local tenths = math.floor(self.tokens * 10 + 0.5) + 1
  self.tokens = math.min(BUDGET_CAP, tenths / 10)
end

return M
