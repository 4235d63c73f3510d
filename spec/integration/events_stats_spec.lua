local helper = require "spec.helper"

local fresh, record, failure = helper.fresh, helper.record, helper.failure

describe("on_event", function()
  local p, events

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  before_each(function() events = {} end)
  after_each(helper.close)

  local function new(options)
    options = options or {}
    options.on_event = options.on_event or function(event) events[#events + 1] = event end
    return helper.clocked(options)
  end

  local function types() return helper.column(events, "type") end

  it("is told of the attempt and the end of a call that works", function()
    record(new():get_record "ok")
    assert.same({ "attempt", "done" }, types())
    local attempt, done = events[1], events[2]
    assert.is_true(attempt.elapsed > 0 and attempt.elapsed < 5)
    assert.truthy(attempt.request_id:find "^%x+%-")
    attempt.elapsed, attempt.request_id = nil, nil
    assert.same({ type = "attempt", site = "default", server = p.cn.http, record_id = "ok", attempt = 1 }, attempt)
    assert.is_true(done.elapsed >= 0)
    done.elapsed = nil
    assert.same({ type = "done", method = "get_record", record_id = "ok", status = 1 }, done)
  end)

  it("is told of retries, with the pause and why", function()
    local id = fresh "http:502;code:15094;ok"
    local client, clock = new()
    record(client:get_record(id))
    assert.same({ "attempt", "retry", "attempt", "retry", "attempt", "done" }, types())
    assert.same({
      type = "retry", site = "default", server = p.cn.http, record_id = id, attempt = 1, kind = "http",
      http_status = 502, delay = clock.sleeps[1],
    }, events[2])
    assert.same({
      type = "retry", site = "default", server = p.cn.http, record_id = id, attempt = 2, kind = "api", code = 15094,
      http_status = 200, delay = clock.sleeps[2],
    }, events[4])
    assert.same({ 1, 2, 3 }, { events[1].attempt, events[3].attempt, events[5].attempt })
    assert.same({ "http", 502 }, { events[1].kind, events[1].http_status })
    assert.same({ "api", 15094 }, { events[3].kind, events[3].code })
    assert.is_nil(events[5].kind)
  end)

  it("is told of the end of a call that fails", function()
    failure("api", new():get_record "code:500")
    assert.same({ "attempt", "retry", "attempt", "done" }, types())
    events[4].elapsed = nil
    assert.same({
      type = "done", method = "get_record", record_id = "code:500", kind = "api", code = 500, site = "default",
      attempts = 2,
    }, events[4])
  end)

  it("is told of the end of a call that asked nobody", function()
    failure("argument", new():get_record "queued")
    assert.same({ "done" }, types())
    assert.same({ "argument", 0 }, { events[1].kind, events[1].attempts })
  end)

  it("is told of the end of locate, once", function()
    record(new():locate "ok")
    failure("api", new():locate "code:15000")
    assert.same({ "attempt", "done", "attempt", "done" }, types())
    assert.same({ "locate", 1 }, { events[2].method, events[2].status })
    assert.same({ "locate", "api", 15000 }, { events[4].method, events[4].kind, events[4].code })
  end)

  -- The ends it was told of, without what differs each time.
  local function ends()
    local seen = {}
    for _, event in ipairs(events) do
      if event.type == "done" then
        assert.is_true(event.elapsed >= 0)
        event.elapsed = nil
        seen[#seen + 1] = event
      end
    end
    return seen
  end

  it("is told of the end of each id of a batch, by the method that was called", function()
    local client = new { retry = false }
    local function takes(method, call)
      events = {}
      call({ "ok", "code:15000", "ok", "queued" })
      local seen = ends()
      table.sort(seen, function(a, b) return a.record_id < b.record_id end)
      assert.same({
        { type = "done", method = method, record_id = "code:15000", site = "default", kind = "api", code = 15000,
          attempts = 1 },
        { type = "done", method = method, record_id = "ok", status = 1 },
        { type = "done", method = method, record_id = "queued", site = "default", kind = "argument", attempts = 0 },
      }, seen)
    end
    takes("get_records", function(ids) client:get_records(ids) end)
    takes("wait_all", function(ids) for _ in client:wait_all(ids) do end end) -- luacheck: ignore 542
    takes("wait_all", function(ids)
      client:start("wait_all", ids)
      while client:poll(0.02) > 0 do end -- luacheck: ignore 542
    end)
    takes("each_record", function(ids)
      table.remove(ids, 3) -- given twice it would be asked twice
      for _ in client:each_record(ids) do end -- luacheck: ignore 542
    end)
    assert.equal(12, client:stats().calls)
  end)

  it("is told of no end of an id that nobody waits for any more", function()
    local client = new()
    local iterator = client:each_record { "ok", fresh "silent", fresh "silent" }
    assert.equal("ok", (iterator()))
    iterator:close()
    client:poll()
    assert.same({ { type = "done", method = "each_record", record_id = "ok", status = 1 } }, ends())
  end)

  it("is told of ejected and restored endpoints", function()
    local client, clock = new { server = { p.cn.http, p.cn.backup }, retry = { base = 0 } }
    for _ = 1, 3 do record(client:get_record(fresh "truncate;ok")) end
    clock.time = clock.time + 5
    record(client:get_record "ok")
    local seen = {}
    for _, event in ipairs(events) do
      if event.type == "eject" or event.type == "restore" then seen[#seen + 1] = event end
    end
    assert.same({
      { type = "eject", site = "default", server = p.cn.http, seconds = 5 },
      { type = "restore", site = "default", server = p.cn.http },
    }, seen)
  end)

  it("breaks no call when it fails", function()
    local calls = 0
    local client = new {
      on_event = function(event)
        calls = calls + 1
        event.type = nil
        error "hook"
      end,
    }
    record(client:get_record(fresh "http:502;ok"))
    failure("api", client:get_record "code:15000")
    assert.equal(6, calls)
  end)

  for _, moment in ipairs { "attempt", "retry", "done" } do
    it(("may close the client when it is told of %s"):format(moment), function()
      local client
      client = new { on_event = function(event) if event.type == moment then client:close() end end }
      local ok, found, err = pcall(client.get_record, client, "http:502")
      assert.is_true(ok, found)
      assert.is_nil(found)
      assert.truthy(err.kind == "closed" or err.kind == "http")
      failure("closed", client:get_record "ok")
    end)
  end

  it("may start tasks", function()
    local client, inner
    client = new {
      on_event = function(event)
        if event.type == "done" and event.record_id == "ok" then inner = client:start("get_record", "echo:inner") end
      end,
    }
    record(client:get_record "ok")
    while client:poll(0.1) > 0 do end -- luacheck: ignore 542
    assert.equal("inner", inner:result().title)
  end)
end)

describe("client:stats", function()
  local p

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  after_each(helper.close)

  it("is all zeros at first", function()
    assert.same({
      calls = 0, attempts = 0, retries = 0, bytes = 0, connections = 0, in_flight = 0, tasks = 0, outcomes = {},
      latency = {
        bounds = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 },
        counts = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, sum = 0, count = 0,
      },
      sites = {
        default = { endpoints = { { server = p.cn.http, failures = 0, state = "ok" } }, retry_budget = 100 },
      },
    }, helper.client():stats())
  end)

  it("counts calls, attempts, retries, bytes and connections", function()
    local client = helper.clocked()
    for _ = 1, 3 do record(client:get_record "ok") end
    local few = client:stats().bytes
    failure("http", client:get_record "http:502")
    failure("argument", client:get_record "queued")
    record(client:get_record "closeafter")
    record(client:get_record "big:100000")
    local stats = client:stats()
    assert.same({ 7, 8, 2, 2, 0 }, { stats.calls, stats.attempts, stats.retries, stats.connections, stats.in_flight })
    assert.is_true(few > 1000 and few < 6000)
    assert.is_true(stats.bytes > few + 100000 and stats.bytes < few + 110000)
    assert.equal(98.2, stats.sites.default.retry_budget)
  end)

  it("shows the sites, their endpoints, holds and budgets", function()
    local client = helper.clocked {
      sites = {
        cn = { server = { p.cn.http, p.cn.backup }, api_key = p.cn.key },
        intl = { server = p.intl.http, api_key = p.intl.key },
      },
      site = "intl",
    }
    for _ = 1, 3 do failure("transport", client:get_record("close", { site = "cn", retry = false })) end
    failure("api", client:get_record("code:429:ttl=50", { retry = false }))
    local sites = client:stats().sites
    assert.same({ server = p.cn.http, failures = 3, state = "ejected", retry_in = 5 }, sites.cn.endpoints[1])
    assert.same({ server = p.cn.backup, failures = 0, state = "ok" }, sites.cn.endpoints[2])
    assert.is_nil(sites.cn.held_for)
    assert.is_true(sites.intl.held_for > 49 and sites.intl.held_for <= 50)
    assert.equal(100, sites.intl.retry_budget)
  end)

  it("still answers when the client is closed", function()
    local client = helper.client()
    record(client:get_record "ok")
    client:close()
    assert.same({ 1, 1, 0 }, { client:stats().calls, client:stats().connections, client:stats().in_flight })
  end)
end)
