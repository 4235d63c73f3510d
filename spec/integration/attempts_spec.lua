local aitoearn = require "aitoearn"
local helper = require "spec.helper"

local fresh, record, failure = helper.fresh, helper.record, helper.failure

describe("an attempt that fails", function()
  local p, client, clock

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  before_each(function()
    p:forget()
    client, clock = helper.clocked()
  end)
  after_each(helper.close)

  local function asked() return #p:requests() end

  -- what it is, the step, the error's kind, how many requests
  local ends = {
    { "code 400 BadRequest", "code:400", "api", 1 },
    { "code 10002 ValidationFailed", "code:10002", "api", 1 },
    { "code 401 Unauthorized", "code:401", "api", 1 },
    { "code 404 NotFound", "code:404", "api", 1 },
    { "code 429 TooManyRequests", "code:429", "api", 3 },
    { "code 500 InternalServerError", "code:500", "api", 2 },
    { "code 502", "code:502", "api", 3 },
    { "code 503", "code:503", "api", 3 },
    { "code 504", "code:504", "api", 3 },
    { "code 15000 PublishRecordNotFound", "code:15000", "api", 1 },
    { "code 15071 ChannelPlatformRateLimited", "code:15071", "api", 3 },
    { "code 15094 ChannelPlatformServiceUnavailable", "code:15094", "api", 3 },
    { "code 19000 ApiKeyInvalid", "code:19000", "api", 1 },
    { "code 19001 RelayServerUnavailable", "code:19001", "api", 3 },
    { "a code that nobody knows", "code:12345", "api", 1 },
    { "a code below 0", "code:-5", "api", 1 },
    { "a permanent code under HTTP 503", "codehttp:401:503", "api", 1 },
    { "a transient code under HTTP 400", "codehttp:15094:400", "api", 3 },
    { "code 500 under HTTP 502", "codehttp:500:502", "api", 2 },
    { "HTTP 429 without an envelope", "http:429", "http", 3 },
    { "HTTP 500 without an envelope", "http:500", "http", 2 },
    { "HTTP 502 with a page", "http:502:html", "http", 3 },
    { "HTTP 503 with nothing", "http:503:empty", "http", 3 },
    { "HTTP 504 with other JSON", "http:504:json", "http", 3 },
    { "HTTP 400", "http:400", "http", 1 },
    { "HTTP 404", "http:404", "http", 1 },
    { "HTTP 501", "http:501", "http", 1 },
    { "a redirect", "redirect", "http", 1 },
    { "a web page with HTTP 200", "html", "protocol", 1 },
    { "a record that is none", "file:none", "protocol", 1 },
    { "the end of the connection", "close", "transport", 3 },
    { "a reset connection", "reset", "transport", 3 },
    { "half a body", "truncate", "transport", 3 },
    { "half a body and a reset", "resetbody", "transport", 3 },
    { "what is not HTTP", "garbage", "transport", 3 },
    { "a limit that is broken", "headers:80000", "protocol", 1 },
  }
  for _, row in ipairs(ends) do
    local what, step, kind, requests = row[1], row[2], row[3], row[4]
    it(("with %s is sent %s"):format(what, requests == 1 and "once" or requests .. " times at most"), function()
      p:answer("none", '{"code":0,"message":"","data":{"id":7}}')
      local err = failure(kind, client:get_record(step))
      assert.same({ requests, requests, requests - 1 }, { asked(), #err.attempts, #clock.sleeps })
      assert.equal(requests > 1, err.retryable)
      local code = tonumber(step:match "^code%a*:(-?%d+)")
      assert.equal(code, err.code)
      for _, attempt in ipairs(err.attempts) do
        assert.same({ p.cn.http, kind, code, err.http_status },
          { attempt.server, attempt.kind, attempt.code, attempt.http_status })
        assert.is_true(attempt.elapsed >= 0 and attempt.elapsed < 5)
      end
    end)

    if requests > 1 then
      it(("with %s is made good by the next"):format(what), function()
        assert.equal(1, record(client:get_record(fresh(step .. ";ok"))).status)
        assert.equal(2, asked())
      end)
    end
  end

  it("by its time-out is sent three times", function()
    local err = failure("timeout", client:get_record("silent", { timeout = 0.1 }))
    assert.equal(3, asked())
    assert.same({ "timeout", "timeout", "timeout" }, helper.column(err.attempts, "kind"))
    assert.equal(1, record(client:get_record(fresh "stall;ok", { timeout = 0.5 })).status)
  end)

  it("to connect is made three times", function()
    local err = failure("connect", helper.clocked({ server = p.closed }):get_record "ok")
    assert.same({ 3, true, 0 }, { #err.attempts, err.retryable, asked() })
  end)

  it("to resolve a name is made three times", function()
    local err = failure("dns", helper.clocked({ server = helper.NOWHERE }):get_record "ok")
    assert.same({ 3, true }, { #err.attempts, err.retryable })
  end)

  it("in the middle of a TLS handshake is made three times", function()
    local err = failure("tls", helper.clocked({ server = p.cn.http:gsub("^http", "https") }):get_record "ok")
    assert.same({ 3, true }, { #err.attempts, err.retryable })
  end)

  it("may be followed by others of all kinds", function()
    local err = failure("api", client:get_record(fresh "http:502;truncate;code:429"))
    assert.same({ "http", "transport", "api" }, helper.column(err.attempts, "kind"))
    assert.same({ 502, 200, 200 }, helper.column(err.attempts, "http_status"))
    assert.same({ nil, nil, 429 }, helper.column(err.attempts, "code"))
    assert.equal(5, record(client:get_record(fresh "truncate;http:503;status:5")).status)
  end)

  it("with a code 500 ends a call at its second attempt, whatever came before", function()
    failure("api", client:get_record(fresh "http:502;code:500;ok"))
    assert.equal(2, asked())
  end)

  describe("with the option retry", function()
    it("false is sent once", function()
      for kind, step in pairs { api = "code:15094", http = "http:502", transport = "truncate" } do
        local err = failure(kind, client:get_record(fresh(step .. ";ok"), { retry = false }))
        assert.same({ 1, true }, { #err.attempts, err.retryable })
      end
      assert.equal(3, asked())
      failure("transport", helper.clocked({ retry = false }):get_record(fresh "close;ok"))
      assert.equal(4, asked())
    end)

    it("max_attempts is sent so often, code 500 twice still", function()
      local many = helper.clocked { retry = { max_attempts = 6 } }
      failure("transport", many:get_record "close")
      assert.equal(6, asked())
      failure("api", many:get_record "code:500")
      assert.equal(8, asked())
      failure("api", many:get_record("code:15094", { retry = { max_attempts = 1 } }))
      assert.equal(9, asked())
    end)

    it("base and max_delay bounds the pauses", function()
      local bounded, sleeps = helper.clocked { retry = { max_attempts = 8, base = 1, max_delay = 3 }, deadline = false }
      failure("transport", bounded:get_record "close")
      assert.equal(7, #sleeps.sleeps)
      for i, pause in ipairs(sleeps.sleeps) do
        assert.is_true(pause >= 0 and pause < math.min(3, 2 ^ (i - 1)), i .. ": " .. pause)
      end
    end)

    it("overridden in a call keeps the client's other values", function()
      local given, sleeps = helper.clocked { retry = { max_attempts = 5, base = 0, max_delay = 0 } }
      failure("transport", given:get_record("close", { retry = { base = 0 } }))
      assert.same({ 0, 0, 0, 0 }, sleeps.sleeps)
      failure("transport", given:get_record("close", { retry = { max_attempts = 2 } }))
      assert.same({ 0, 0, 0, 0, 0 }, sleeps.sleeps)
    end)
  end)

  it("waits longer and at random by default, below a quarter and half a second", function()
    local first = {}
    for i = 1, 12 do
      failure("transport", client:get_record "close")
      local short, long = clock.sleeps[2 * i - 1], clock.sleeps[2 * i]
      assert.is_true(short >= 0 and short < 0.25 and long >= 0 and long < 0.5)
      first[short] = true
    end
    local distinct = 0
    for _ in pairs(first) do distinct = distinct + 1 end
    assert.is_true(distinct > 6)
  end)

  it("stops being repeated when most calls fail: the budget", function()
    local attempts = 0
    for _ = 1, 60 do attempts = attempts + #failure("transport", client:get_record "close").attempts end
    assert.equal(60 + 50, attempts)
    assert.equal(50, client:stats().sites.default.retry_budget)
    for _ = 1, 20 do record(client:get_record "ok") end
    assert.equal(3, #failure("transport", client:get_record "close").attempts)
    assert.equal(1, #failure("transport", client:get_record "close").attempts)
    assert.equal(1, #failure("transport", client:get_record "close").attempts)
  end)

  it("is told by an error of one kind, with a code that has a constant", function()
    local err = failure("api", client:get_record "code:15000")
    assert.equal(aitoearn.code.PUBLISH_RECORD_NOT_FOUND, err.code)
    assert.equal("PublishRecordNotFound", err.name)
  end)
end)
