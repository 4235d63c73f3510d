local retry = require "aitoearn.retry"

local NAN, HUGE = 0 / 0, math.huge

-- The same numbers under every Lua: Park and Miller's generator.
local function generator(seed)
  return function()
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  end
end

local function always(value)
  return function() return value end
end

describe("retry.defaults", function()
  it("are three attempts from a quarter of a second up to ten seconds", function()
    assert.same({ max_attempts = 3, base = 0.25, max_delay = 10 }, retry.defaults)
  end)
end)

describe("retry.most_attempts", function()
  -- name, failure, retryable, most attempts
  local verdicts = {
    { "a name that does not resolve", { kind = "dns" }, true },
    { "a refused connection", { kind = "connect" }, true },
    { "an attempt that took too long", { kind = "timeout" }, true },
    { "a reset connection", { kind = "transport" }, true },
    { "a proxy that refuses", { kind = "connect", proxy = true }, false },
    { "a proxy whose URL cannot be read", { kind = "dns", proxy = true }, false },
    { "an interrupted TLS handshake", { kind = "tls", handshake = true }, true },
    { "a certificate that does not verify", { kind = "tls", handshake = false }, false },
    { "a TLS end of which nothing is known", { kind = "tls" }, false },

    { "code 0 with a record that is none", { kind = "api", code = 0 }, false },
    { "code 400 BadRequest", { kind = "api", code = 400, http_status = 200 }, false },
    { "code 10002 ValidationFailed", { kind = "api", code = 10002, http_status = 200 }, false },
    { "code 401 Unauthorized", { kind = "api", code = 401, http_status = 200 }, false },
    { "code 404 NotFound", { kind = "api", code = 404, http_status = 200 }, false },
    { "code 429 TooManyRequests", { kind = "api", code = 429, http_status = 200 }, true },
    { "code 500 InternalServerError", { kind = "api", code = 500, http_status = 200 }, true, 2 },
    { "code 502", { kind = "api", code = 502, http_status = 200 }, true },
    { "code 503", { kind = "api", code = 503, http_status = 200 }, true },
    { "code 504", { kind = "api", code = 504, http_status = 200 }, true },
    { "code 15000 PublishRecordNotFound", { kind = "api", code = 15000, http_status = 200 }, false },
    { "code 15053 ChannelPublishQueueRemoveFailed", { kind = "api", code = 15053, http_status = 200 }, true },
    { "code 15056 ChannelPublishQueueFailed", { kind = "api", code = 15056, http_status = 200 }, true },
    { "code 15057 ChannelPublishTimeUpdateNotAllowed", { kind = "api", code = 15057, http_status = 200 }, false },
    { "code 15071 ChannelPlatformRateLimited", { kind = "api", code = 15071, http_status = 200 }, true },
    { "code 15071 that says it is transient", { kind = "api", code = 15071, data_retryable = true }, true },
    { "code 15071 that says it is not", { kind = "api", code = 15071, data_retryable = false }, false },
    { "code 15094 that says it is not", { kind = "api", code = 15094, data_retryable = false }, false },
    { "code 503, whatever it says of itself", { kind = "api", code = 503, data_retryable = false }, true },
    { "code 15094 ChannelPlatformServiceUnavailable", { kind = "api", code = 15094, http_status = 200 }, true },
    { "code 19000 ApiKeyInvalid", { kind = "api", code = 19000, http_status = 200 }, false },
    { "code 19001 RelayServerUnavailable", { kind = "api", code = 19001, http_status = 200 }, true },
    { "a code nobody has heard of", { kind = "api", code = 15999, http_status = 200 }, false },
    { "an api end without a code", { kind = "api" }, false },
    { "a permanent code under a gateway's status", { kind = "api", code = 401, http_status = 503 }, false },
    { "a transient code under a permanent status", { kind = "api", code = 503, http_status = 400 }, true },

    { "HTTP 302", { kind = "http", http_status = 302 }, false },
    { "HTTP 400", { kind = "http", http_status = 400 }, false },
    { "HTTP 401", { kind = "http", http_status = 401 }, false },
    { "HTTP 404", { kind = "http", http_status = 404 }, false },
    { "HTTP 429", { kind = "http", http_status = 429 }, true },
    { "HTTP 500", { kind = "http", http_status = 500 }, true, 2 },
    { "HTTP 501", { kind = "http", http_status = 501 }, false },
    { "HTTP 502", { kind = "http", http_status = 502 }, true },
    { "HTTP 502 with a web page", { kind = "http", http_status = 502, not_json = true }, true },
    { "HTTP 503", { kind = "http", http_status = 503 }, true },
    { "HTTP 504", { kind = "http", http_status = 504 }, true },
    { "a platform code in the place of a status", { kind = "http", http_status = 15071 }, false },
    { "an HTTP end without a status", { kind = "http" }, false },

    { "a record that breaks the contract", { kind = "protocol", http_status = 200 }, false },
    { "a web page in the place of an answer", { kind = "protocol", http_status = 200, not_json = true }, false },
    { "an id that cannot be one", { kind = "argument" }, false },
    { "a goal out of reach", { kind = "goal" }, false },
    { "a cancelled call", { kind = "cancelled" }, false },
    { "a closed client", { kind = "closed" }, false },
    { "a kind nobody has heard of", { kind = "weather" }, false },
    { "no kind at all", {}, false },
  }

  for _, row in ipairs(verdicts) do
    local name, failure, retryable, most = row[1], row[2], row[3], row[4]
    it(("says %s to %s"):format(retryable and "again" or "no", name), function()
      assert.equal(retryable and (most or HUGE) or nil, retry.most_attempts(failure, false))
    end)

    if not failure.not_json then
      it("says the same of " .. name .. " where there is another endpoint", function()
        assert.equal(retryable and (most or HUGE) or nil, retry.most_attempts(failure, true))
      end)
    end
  end

  it("tries another endpoint after a web page with HTTP 200", function()
    assert.equal(HUGE, retry.most_attempts({ kind = "protocol", http_status = 200, not_json = true }, true))
  end)

  it("tries no other endpoint after JSON that breaks the contract", function()
    assert.is_nil(retry.most_attempts({ kind = "protocol", http_status = 200 }, true))
  end)
end)

describe("retry.counts_against_endpoint", function()
  local cases = {
    { "a name that does not resolve", { kind = "dns" }, true },
    { "a refused connection", { kind = "connect" }, true },
    { "an interrupted handshake", { kind = "tls", handshake = true }, true },
    { "a wrong certificate", { kind = "tls" }, true },
    { "a time-out", { kind = "timeout" }, true },
    { "a reset connection", { kind = "transport" }, true },
    { "HTTP 500", { kind = "http", http_status = 500 }, true },
    { "HTTP 501", { kind = "http", http_status = 501 }, true },
    { "HTTP 503", { kind = "http", http_status = 503 }, true },
    { "HTTP 502 with an envelope", { kind = "api", code = 502, http_status = 502 }, true },
    { "HTTP 500 with a permanent code", { kind = "api", code = 401, http_status = 500 }, true },
    { "a web page with HTTP 200", { kind = "protocol", http_status = 200, not_json = true }, true },
    { "a web page with HTTP 404", { kind = "http", http_status = 404, not_json = true }, true },
    { "code 500 with HTTP 200", { kind = "api", code = 500, http_status = 200 }, false },
    { "code 503 with HTTP 200", { kind = "api", code = 503, http_status = 200 }, false },
    { "code 429", { kind = "api", code = 429, http_status = 200 }, false },
    { "HTTP 429", { kind = "http", http_status = 429 }, false },
    { "HTTP 404 in JSON", { kind = "http", http_status = 404 }, false },
    { "a record that breaks the contract", { kind = "protocol", http_status = 200 }, false },
    { "a proxy that refuses", { kind = "connect", proxy = true }, false },
    { "a cancelled call", { kind = "cancelled" }, false },
    { "a closed client", { kind = "closed" }, false },
    { "an id that cannot be one", { kind = "argument" }, false },
  }
  for _, case in ipairs(cases) do
    it(("%s %s"):format(case[3] and "counts" or "does not count", case[1]), function()
      assert.equal(case[3], retry.counts_against_endpoint(case[2]))
    end)
  end
end)

describe("retry.backoff", function()
  local policy = { max_attempts = 10, base = 0.25, max_delay = 10 }

  it("doubles its ceiling from base up to max_delay", function()
    local ceilings = {}
    for attempt = 1, 8 do
      ceilings[attempt] = retry.backoff(policy, attempt, always(1))
    end
    assert.same({ 0.25, 0.5, 1, 2, 4, 8, 10, 10 }, ceilings)
  end)

  it("takes anything from nothing to the ceiling", function()
    assert.equal(0, retry.backoff(policy, 3, always(0)))
    assert.equal(0.5, retry.backoff(policy, 3, always(0.5)))
  end)

  it("spreads evenly", function()
    local random, sum, count = generator(1), 0, 10000
    for _ = 1, count do
      local delay = retry.backoff(policy, 5, random)
      assert.is_true(delay >= 0 and delay < 4)
      sum = sum + delay
    end
    assert.near(2, sum / count, 0.05)
  end)

  it("stays at max_delay however many attempts there were", function()
    for _, attempt in ipairs { 100, 1024, 1e6, 2 ^ 53, HUGE } do
      assert.equal(10, retry.backoff(policy, attempt, always(1)))
    end
  end)

  it("is 0 where base is", function()
    local eager = { base = 0, max_delay = 10 }
    for _, attempt in ipairs { 1, 5, 1e6, HUGE } do
      assert.equal(0, retry.backoff(eager, attempt, always(0.9)))
    end
  end)

  it("never exceeds a max_delay below base", function()
    assert.equal(0.1, retry.backoff({ base = 5, max_delay = 0.1 }, 1, always(1)))
  end)
end)

describe("retry.retry_after", function()
  local NOW = 1750000000

  it("is nil where the server asked for nothing", function()
    assert.is_nil(retry.retry_after({ kind = "api", code = 429 }, NOW))
  end)

  it("takes Retry-After before data.ttl before X-RateLimit-Reset", function()
    local failure = { retry_after = 7, ttl = 8, rate_limit_reset = (NOW + 9) * 1000 }
    assert.equal(7, retry.retry_after(failure, NOW))
    failure.retry_after = nil
    assert.equal(8, retry.retry_after(failure, NOW))
    failure.ttl = nil
    assert.near(9, retry.retry_after(failure, NOW), 1e-6)
  end)

  it("reads the reset against the server's own clock where its Date is known", function()
    local failure = { rate_limit_reset = (NOW + 30) * 1000, date = NOW + 18 }
    assert.near(12, retry.retry_after(failure, NOW - 3600), 1e-6)
  end)

  it("reads the reset against our clock where the Date is nonsense", function()
    for _, date in ipairs { "today", NAN, HUGE, -1 } do
      assert.near(30, retry.retry_after({ rate_limit_reset = (NOW + 30) * 1000, date = date }, NOW), 1e-6)
    end
  end)

  it("keeps the milliseconds of the reset", function()
    assert.near(0.25, retry.retry_after({ rate_limit_reset = NOW * 1000 + 250 }, NOW), 1e-6)
  end)

  it("ignores a reset in the past", function()
    assert.is_nil(retry.retry_after({ rate_limit_reset = (NOW - 1) * 1000 }, NOW))
  end)

  it("ignores a reset in seconds, which is long past when read as milliseconds", function()
    assert.is_nil(retry.retry_after({ rate_limit_reset = NOW + 60 }, NOW))
  end)

  it("looks at the next source where one is nonsense", function()
    for _, nonsense in ipairs { "12", NAN, HUGE, -HUGE, -1, {}, false, 99999999999 } do
      local failure = { retry_after = nonsense, ttl = 8, rate_limit_reset = (NOW + 9) * 1000 }
      assert.equal(8, retry.retry_after(failure, NOW))
      failure.ttl = nonsense
      assert.near(9, retry.retry_after(failure, NOW), 1e-6)
      failure.rate_limit_reset = nonsense
      assert.is_nil(retry.retry_after(failure, NOW))
    end
  end)

  it("takes a week at most for what a server can mean", function()
    local week = 7 * 86400
    assert.equal(week, retry.retry_after({ retry_after = week }, NOW))
    assert.equal(week, retry.retry_after({ ttl = week }, NOW))
    assert.equal(week, retry.retry_after({ rate_limit_reset = (NOW + week) * 1000 }, NOW))
    for _, failure in ipairs {
      { retry_after = week + 1 }, { ttl = week + 0.5 }, { rate_limit_reset = (NOW + week + 1) * 1000 },
      { rate_limit_reset = NOW * 1000 * 1000 }, -- microseconds
    } do
      assert.is_nil(retry.retry_after(failure, NOW))
    end
    assert.equal(8, retry.retry_after({ retry_after = 99999999999, ttl = 8 }, NOW))
  end)

  it("looks at the next source where one says 0, which names no time", function()
    local failure = { retry_after = 0, ttl = 8, rate_limit_reset = (NOW + 9) * 1000 }
    assert.equal(8, retry.retry_after(failure, NOW))
    failure.ttl = 0
    assert.near(9, retry.retry_after(failure, NOW), 1e-6)
    failure.rate_limit_reset = NOW * 1000
    assert.is_nil(retry.retry_after(failure, NOW))
  end)

  it("looks at the failure's fields, whatever its kind", function()
    assert.equal(3, retry.retry_after({ kind = "http", http_status = 503, retry_after = 3 }, NOW))
    assert.equal(3, retry.retry_after({ kind = "api", code = 15071, ttl = 3 }, NOW))
  end)
end)

describe("retry.pause", function()
  local NOW = 1750000000
  local policy = retry.defaults

  it("is what the server named, to the second", function()
    local seconds, named = retry.pause(policy, { kind = "api", code = 429, ttl = 42 }, 1, always(0.5), NOW)
    assert.equal(42, seconds)
    assert.is_true(named)
  end)

  it("lets a named time exceed max_delay", function()
    local seconds = retry.pause(policy, { kind = "http", http_status = 503, retry_after = 3600 }, 1, always(0.5), NOW)
    assert.equal(3600, seconds)
  end)

  it("is never shorter than base, so that a server that names microseconds is not asked thousands of times", function()
    local failure = { kind = "http", http_status = 503, rate_limit_reset = NOW * 1000 + 1 }
    local seconds, from_server = retry.pause(policy, failure, 1, always(0.5), NOW)
    assert.equal(0.25, seconds)
    assert.is_true(from_server)
  end)

  it("is the backoff where the server named nothing", function()
    local seconds, named = retry.pause(policy, { kind = "connect" }, 2, always(0.5), NOW)
    assert.equal(0.25, seconds)
    assert.is_false(named)
  end)

  it("is the backoff where the time named is now, so that the retry is not free", function()
    local failure = { kind = "http", http_status = 503, retry_after = 0 }
    local seconds, named = retry.pause(policy, failure, 2, always(0.5), NOW)
    assert.equal(0.25, seconds)
    assert.is_false(named)
  end)

  local unnamed = {
    { "code 429", { kind = "api", code = 429, http_status = 200 } },
    { "HTTP 429", { kind = "http", http_status = 429 } },
    { "code 429 with a ttl of 0", { kind = "api", code = 429, ttl = 0 } },
    { "code 429 with nonsense", { kind = "api", code = 429, ttl = -5, retry_after = NAN } },
  }
  for _, case in ipairs(unnamed) do
    it("waits at least a second after " .. case[1] .. " and spreads beyond", function()
      local random, least, most = generator(7), HUGE, 0
      for _ = 1, 1000 do
        local seconds, named = retry.pause(policy, case[2], 1, random, NOW)
        assert.is_false(named)
        least, most = math.min(least, seconds), math.max(most, seconds)
      end
      assert.is_true(least >= 1 and least < 1.05)
      assert.is_true(most > 1.95 and most < 2)
    end)
  end

  it("backs off further with each unnamed 429", function()
    local failure = { kind = "api", code = 429 }
    local patient = { base = 1, max_delay = 10 }
    assert.equal(2, retry.pause(patient, failure, 1, always(1), NOW))
    assert.equal(5, retry.pause(patient, failure, 3, always(1), NOW))
    assert.equal(11, retry.pause(patient, failure, 1e6, always(1), NOW))
  end)

  it("knows a 429 by its own number only", function()
    assert.equal(0, retry.pause(policy, { kind = "api", code = 503, http_status = 429 }, 1, always(0), NOW))
  end)
end)

describe("retry.budget", function()
  it("starts with 100 tokens, of which 50 can be spent", function()
    local budget = retry.budget()
    assert.equal(100, budget.tokens)
    for _ = 1, 50 do
      assert.is_true(budget:take())
    end
    assert.equal(50, budget.tokens)
  end)

  it("takes nothing at or below 50", function()
    local budget = retry.budget()
    for _ = 1, 60 do
      budget:take()
    end
    assert.is_false(budget:take())
    assert.equal(50, budget.tokens)
  end)

  it("gets a tenth of a token back for a success, without drift", function()
    local budget = retry.budget()
    for _ = 1, 50 do
      budget:take()
    end
    budget:success()
    assert.is_true(budget:take())
    assert.near(49.1, budget.tokens, 1e-9)
    for _ = 1, 9 do
      budget:success()
      assert.is_false(budget:take())
    end
    assert.equal(50, budget.tokens)
    budget:success()
    assert.is_true(budget:take())
  end)

  it("never holds more than 100", function()
    local budget = retry.budget()
    budget:success()
    assert.equal(100, budget.tokens)
    budget:take()
    for _ = 1, 1000 do
      budget:success()
    end
    assert.equal(100, budget.tokens)
  end)

  it("belongs to one site", function()
    local one, other = retry.budget(), retry.budget()
    one:take()
    assert.equal(100, other.tokens)
  end)

  it("lets one call in ten be a retry for ever, once it has run low", function()
    local budget, retries = retry.budget(), 0
    for _ = 1, 10000 do
      if budget:take() then retries = retries + 1 end
      budget:success()
    end
    assert.is_true(retries <= 50 + 1000 + 1)
    assert.is_true(retries >= 1000)
  end)
end)

describe("retry.ends_wait", function()
  local ID = "6877a1b2c3d4e5f601234567"
  -- what, failure, before the first good record, after it
  local cases = {
    { "an id that cannot be one", { kind = "argument" }, true, true },
    { "a cancelled call", { kind = "cancelled" }, true, true },
    { "a closed client", { kind = "closed" }, true, true },
    { "code 401", { kind = "api", code = 401, http_status = 200 }, true, true },
    { "code 404", { kind = "api", code = 404, http_status = 200 }, true, true },
    { "code 19000", { kind = "api", code = 19000 }, true, true },
    { "a code nobody has heard of", { kind = "api", code = 15999 }, true, true },
    { "code 15000, once", { kind = "api", code = 15000 }, true, false },
    { "a wrong certificate", { kind = "tls" }, true, true },
    { "an interrupted handshake", { kind = "tls", handshake = true }, false, false },
    { "a proxy's refusal", { kind = "connect", proxy = true }, true, true },
    { "a proxy's 407 over http", { kind = "http", http_status = 407 }, true, true },

    { "a web page with 200", { kind = "protocol", http_status = 200, not_json = true }, true, false },
    { "an HTTP 400", { kind = "http", http_status = 400 }, true, false },
    { "an HTTP 404", { kind = "http", http_status = 404, not_json = true }, true, false },
    { "an HTTP 403", { kind = "http", http_status = 403 }, true, false },

    { "an HTTP 408", { kind = "http", http_status = 408 }, false, false },
    { "an HTTP 421", { kind = "http", http_status = 421 }, false, false },
    { "an HTTP 425", { kind = "http", http_status = 425 }, false, false },
    { "an HTTP 429", { kind = "http", http_status = 429 }, false, false },
    { "an HTTP 302", { kind = "http", http_status = 302 }, false, false },
    { "an HTTP 520", { kind = "http", http_status = 520 }, false, false },
    { "an HTTP 530", { kind = "http", http_status = 530 }, false, false },
    { "JSON that is no record", { kind = "protocol", http_status = 200 }, false, false },
    { "code 500", { kind = "api", code = 500 }, false, false },
    { "code 429", { kind = "api", code = 429 }, false, false },
    { "code 503", { kind = "api", code = 503 }, false, false },
    { "a refused connection", { kind = "connect" }, false, false },
    { "a time-out", { kind = "timeout" }, false, false },
    { "a reset connection", { kind = "transport" }, false, false },
    { "a name that does not resolve", { kind = "dns" }, false, false },
  }
  for _, case in ipairs(cases) do
    it(("is %s, and %s after a good record, for %s"):format(tostring(case[3]), tostring(case[4]), case[1]), function()
      assert.equal(case[3], retry.ends_wait(case[2], false, ID))
      assert.equal(case[4], retry.ends_wait(case[2], true, ID))
    end)
  end

  it("takes a second 15000 in a row for true after a good record", function()
    assert.is_true(retry.ends_wait({ kind = "api", code = 15000 }, true, ID, 2))
  end)

  it("takes a third 500 in a row for true where the id is not 24 hex digits, before the first good record", function()
    for _, failure in ipairs { { kind = "api", code = 500 }, { kind = "http", http_status = 500 } } do
      assert.is_false(retry.ends_wait(failure, false, "abc", 2))
      assert.is_true(retry.ends_wait(failure, false, "abc", 3))
      assert.is_true(retry.ends_wait(failure, false, ID .. "0", 3))
      assert.is_false(retry.ends_wait(failure, true, "abc", 3))
      assert.is_false(retry.ends_wait(failure, false, ID, 30))
      assert.is_false(retry.ends_wait(failure, false, nil, 30))
    end
  end)
end)
