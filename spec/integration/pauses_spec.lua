--- What a server asks for, what the deadline leaves, and what holds back whom.
local helper = require "spec.helper"
local socket = require "socket"

local fresh, record, failure = helper.fresh, helper.record, helper.failure

describe("a server's wish", function()
  local p, client, clock

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  before_each(function()
    p:forget()
    client, clock = helper.clocked()
  end)
  after_each(helper.close)

  -- The only pause of a call that is made good by its second attempt.
  local function pause(step)
    record(client:get_record(fresh(step .. ";ok")))
    assert.equal(1, #clock.sleeps)
    return clock.sleeps[1]
  end

  local function is_between(low, high, value)
    assert.is_true(value >= low and value <= high, ("%g is not between %g and %g"):format(value, low, high))
  end

  describe("after a 429", function()
    it("is data.ttl in seconds", function() is_between(6.9, 7, pause "code:429:ttl=7") end)
    it("is Retry-After in seconds", function() is_between(6.9, 7, pause "code:429:retry-after=7") end)
    it("is Retry-After as a date", function() is_between(6, 9, pause "code:429:retry-date=8") end)
    it("is X-RateLimit-Reset in milliseconds", function() is_between(6, 8, pause "code:429:reset=7") end)
    it("may be a fraction of a second", function() is_between(0.24, 0.25, pause "code:429:ttl=0.25") end)
    it("is heard without an envelope too", function() is_between(6.9, 7, pause "http:429:retry-after=7") end)
    it("is Retry-After before data.ttl", function() is_between(2.9, 3, pause "code:429:ttl=9:retry-after=3") end)
    it("is data.ttl before X-RateLimit-Reset", function() is_between(2.9, 3, pause "code:429:ttl=3:reset=9") end)

    it("is Retry-After before X-RateLimit-Reset", function()
      is_between(2.9, 3, pause "code:429:retry-after=3:reset=9")
    end)

    it("is at least a second where it names no time", function() is_between(1, 2, pause "code:429") end)

    for what, step in pairs {
      ["negative seconds"] = "retry-after=-5", ["text"] = "retry-after=soon", ["a fraction"] = "retry-after=1.5",
      ["a date that has passed"] = "retry-date=-60", ["a negative ttl"] = "ttl=-9", ["a ttl of text"] = 'ttl="9"',
      ["a reset that has passed"] = "reset=-60", ["an endless ttl"] = "ttl=1e999", ["centuries"] = "retry-after=99999999999",
      ["a ttl of more than a week"] = "ttl=604801", ["a reset in a month"] = "reset=2592000", ["a ttl of null"] = "ttl=null",
      ["zero"] = "retry-after=0", ["a ttl of zero"] = "ttl=0", ["nothing"] = "retry-after= ",
      ["a number with text"] = "retry-after=5 seconds", ["a date that is none"] = "retry-after=Foo, 99 Bar 2026",
    } do
      it("that is nonsense is ignored: " .. what, function() is_between(1, 2, pause("code:429:" .. step)) end)
    end

    it("that is nonsense leaves the word to the next", function()
      is_between(3.9, 4, pause "code:429:retry-after=soon:ttl=4")
      clock.sleeps[1] = nil
      is_between(3, 5, pause "code:429:retry-after=-1:ttl=-1:reset=4")
    end)

    it("that does not fit into the deadline fails the call at once, with the time", function()
      local before = socket.gettime()
      local err = failure("api", client:get_record("code:429:ttl=100", { deadline = 5 }))
      assert.same({ 1, 0, true, 429 }, { #err.attempts, #clock.sleeps, err.retryable, err.code })
      is_between(before + 99, socket.gettime() + 101, err.retry_at)
    end)

    it("that fits is waited for in a call without a deadline, a day too", function()
      record(client:get_record(fresh "code:429:ttl=86400;ok", { deadline = false }))
      is_between(86399, 86400, clock.sleeps[1])
    end)

    it("costs nothing of the retry budget", function()
      pause "code:429:ttl=7"
      assert.equal(100, client:stats().sites.default.retry_budget)
      record(client:get_record(fresh "code:15071;ok"))
      assert.is_true(client:stats().sites.default.retry_budget < 100)
    end)

    it("holds the whole site: another call waits", function()
      failure("api", client:get_record(fresh "code:429:ttl=10;ok", { retry = false }))
      is_between(9, 10, client:stats().sites.default.held_for)
      record(client:get_record "ok")
      assert.equal(1, #clock.sleeps)
      is_between(9, 10, clock.sleeps[1])
      assert.is_nil(client:stats().sites.default.held_for)
    end)

    it("holds the whole site: another call that cannot wait so long fails at once and asks nobody", function()
      failure("api", client:get_record("code:429:ttl=30", { retry = false }))
      p:forget()
      local err = failure("api", client:get_record("ok", { deadline = 5 }))
      assert.same({ 429, true, 0, 0 }, { err.code, err.retryable, #err.attempts, #clock.sleeps })
      is_between(socket.gettime() + 25, socket.gettime() + 31, err.retry_at)
      assert.truthy(err.hint:find "deadline")
      assert.same({}, p:requests())
    end)

    it("tells a call that asked nobody nothing of the request that was answered", function()
      for _, step in ipairs { "code:429:ttl=30", "http:429:retry-after=30" } do
        local own = helper.clocked()
        local first = failure(step:match "^code" and "api" or "http", own:get_record(step, { retry = false }))
        assert.equal(step:match "^code" and 200 or 429, first.http_status)
        for _, request_id in ipairs { "mine", false } do
          local err = failure(first.kind, own:get_record("ok", { deadline = 5, request_id = request_id or nil }))
          assert.same({ first.message, first.code, first.name }, { err.message, err.code, err.name })
          assert.equal(request_id or nil, err.request_id)
          assert.is_nil(err.http_status)
          assert.is_nil(err.body)
          assert.is_nil(err.server)
          assert.equal("ok", err.record_id)
          assert.truthy(tostring(err):find("deadline", 1, true))
        end
      end
    end)

    it("holds no other site", function()
      local both, sleeps = helper.clocked {
        sites = {
          cn = { server = p.cn.http, api_key = p.cn.key }, intl = { server = p.intl.http, api_key = p.intl.key },
        },
        site = "cn",
      }
      failure("api", both:get_record("code:429:ttl=30", { deadline = 1 }))
      record(both:get_record("ok", { site = "intl" }))
      assert.same({}, sleeps.sleeps)
    end)
  end)

  it("after a 503 is waited for where there is no other endpoint, and holds nobody else", function()
    is_between(4.9, 5, pause "http:503:retry-after=5")
    failure("http", client:get_record("http:503:retry-after=8", { retry = false }))
    assert.is_nil(client:stats().sites.default.held_for)
  end)

  it("after a 503 is no reason to wait for another endpoint", function()
    client, clock = helper.clocked { server = { p.cn.http, p.cn.backup } }
    assert.is_true(pause "http:503:retry-after=9" < 0.25)
    assert.same({ "cn_http", "cn_backup" }, helper.column(p:requests(), "server"))
  end)

  it("of a limited key is waited out", function()
    local limited = helper.client { api_key = p.cn.limited_key }
    local calls = 0
    repeat -- six, unless this machine takes more than a second for them
      record(limited:get_record "ok")
      calls = calls + 1
    until limited:stats().retries > 0 or calls == 200
    assert.equal(1, limited:stats().retries)
    assert.equal(calls + 1, #p:requests())
  end)
end)

describe("the deadline", function()
  local p

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  before_each(function() p:forget() end)
  after_each(helper.close)

  local function took(client, id, opts)
    local began = socket.gettime()
    local _, err = client:get_record(id, opts)
    return socket.gettime() - began, err
  end

  it("bounds a call with its attempts and sleeps", function()
    local client = helper.client { retry = { max_attempts = 1000, base = 0.02, max_delay = 0.02 } }
    local seconds, err = took(client, "truncate", { deadline = 0.5 })
    assert.is_true(seconds < 2)
    assert.truthy(err.kind == "transport" or err.kind == "timeout") -- the last attempt may be cut short
    assert.is_true(#err.attempts > 3)
    assert.is_true(err.retryable)
  end)

  it("cuts an attempt short, which says so", function()
    local seconds, err = took(helper.client(), "silent", { deadline = 0.2 })
    assert.is_true(seconds >= 0.19 and seconds < 3)
    assert.same({ "timeout", 1, true }, { err.kind, #err.attempts, err.retryable })
    assert.truthy(err.message:find "^the deadline of 0%.2 s passed")
  end)

  it("leaves an attempt its own shorter time-out", function()
    local seconds, err = took(helper.client(), "silent", { timeout = 0.1, deadline = 0.25, retry = { base = 0 } })
    assert.is_true(seconds < 3)
    assert.same({ "timeout", 3 }, { err.kind, #err.attempts })
  end)

  it("false leaves a call all the time it needs", function()
    local client = helper.client { deadline = false, timeout = false, connect_timeout = false }
    assert.equal(1, record(client:get_record "slow:300").status)
  end)

  it("ends a transfer that drips", function()
    local seconds, err = took(helper.client(), "drip:100", { deadline = 0.3 })
    assert.is_true(seconds < 3)
    assert.equal("timeout", err.kind)
  end)
end)
