local helper = require "spec.helper"

local fresh, record, failure = helper.fresh, helper.record, helper.failure

describe("server selection", function()
  local p, events

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  before_each(function()
    p:forget()
    events = {}
  end)
  after_each(helper.close)

  local function new(servers, more)
    local options = {
      server = servers,
      retry = { base = 0 },
      on_event = function(event)
        if event.type == "eject" or event.type == "restore" then events[#events + 1] = event end
      end,
    }
    for name, value in pairs(more or {}) do options[name] = value end
    return helper.clocked(options)
  end

  local function servers()
    return helper.column(p:requests(), "server")
  end

  local function states(client)
    return helper.column(client:stats().sites.default.endpoints, "state")
  end

  -- Lets the first endpoint fail three times in a row, the second one answer.
  local function eject_first(client)
    for _ = 1, 3 do record(client:get_record(fresh "truncate;ok")) end
    p:forget()
  end

  it("asks the endpoints in the listed order", function()
    local client = new { p.cn.backup, p.cn.http }
    for _ = 1, 3 do record(client:get_record "ok") end
    assert.same({ "cn_backup", "cn_backup", "cn_backup" }, servers())
  end)

  it("goes to the backup where nobody listens", function()
    local client = new { p.closed, p.cn.backup }
    record(client:get_record "ok")
    assert.same({ 2, 1 }, { client:stats().attempts, client:stats().retries })
    assert.same({ "cn_backup" }, servers())
  end)

  for what, step in pairs {
    ["a gateway's error"] = "http:502", ["a transient code"] = "code:15094", ["code 500"] = "code:500",
    ["the end of the connection"] = "truncate", ["a web page with HTTP 200"] = "html",
    ["what is not JSON"] = "file:nonsense",
  } do
    it("prefers another endpoint for the retry after " .. what, function()
      p:answer("nonsense", "nonsense")
      record(new({ p.cn.http, p.cn.backup }):get_record(fresh(step .. ";ok")))
      assert.same({ "cn_http", "cn_backup" }, servers())
    end)
  end

  it("goes on to the third endpoint and back to the first", function()
    local client = new { p.cn.http, p.web, p.cn.backup }
    record(client:get_record(fresh "truncate;ok"))
    assert.same({ "cn_http", "web", "cn_http" }, servers())
  end)

  it("asks no second endpoint after a permanent end", function()
    failure("api", new({ p.cn.http, p.cn.backup }):get_record "code:15000")
    assert.same({ "cn_http" }, servers())
  end)

  it("retries a web page elsewhere, and not at all where there is no other endpoint", function()
    record(new({ p.web, p.cn.http }):get_record "ok")
    assert.same({ "web", "cn_http" }, servers())
    p:forget()
    local err = failure("protocol", new(p.web):get_record "ok")
    assert.same({ 1, 200, false }, { #err.attempts, err.http_status, err.retryable })
    assert.truthy(err.hint:find("is this base URL the API?", 1, true))
    assert.truthy(err.body:find "^<!doctype html>")
    assert.same({ "web" }, servers())
  end)

  it("never asks another site, however often its own fails", function()
    local client = helper.clocked {
      sites = {
        cn = { server = { p.closed, p.web }, api_key = p.cn.key },
        intl = { server = { p.intl.http, p.intl.backup }, api_key = p.intl.key },
      },
      site = "cn",
    }
    for _ = 1, 5 do assert.is_nil((client:get_record "ok")) end
    for _, server in ipairs(servers()) do assert.equal("web", server) end
    p:forget()
    failure("http", client:get_record("http:503", { site = "intl" }))
    assert.same({ "intl_http", "intl_backup", "intl_http" }, servers())
    for _, request in ipairs(p:requests()) do assert.equal(p.intl.key, request.api_key) end
  end)

  it("ejects an endpoint after three failures in a row, for five seconds", function()
    local client = new { p.cn.http, p.cn.backup }
    for i = 1, 2 do
      record(client:get_record(fresh "truncate;ok"))
      assert.equal(i, client:stats().sites.default.endpoints[1].failures)
      assert.same({}, events)
    end
    record(client:get_record(fresh "truncate;ok"))
    assert.same({ { type = "eject", site = "default", server = p.cn.http, seconds = 5 } }, events)
    assert.same({ "ejected", "ok" }, states(client))
    p:forget()
    record(client:get_record "ok")
    assert.same({ "cn_backup" }, servers())
  end)

  it("probes it again after an error ended the call that probed it", function()
    local client, clock = new { p.cn.http, p.cn.backup }
    eject_first(client)
    clock.time = clock.time + 5
    local await = client.host.await
    client.host.await = function() error "interrupted" end -- as a debug hook does at Ctrl-C
    assert.has_error(function() client:get_record "ok" end)
    client.host.await = await
    record(client:get_record "ok")
    assert.same({ "ok", "ok" }, states(client))
  end)

  it("counts failures in a row alone", function()
    local client = new { p.cn.http, p.cn.backup }
    for _ = 1, 4 do
      record(client:get_record(fresh "truncate;ok"))
      record(client:get_record(fresh "truncate;ok"))
      record(client:get_record "ok")
    end
    assert.same({ "ok", "ok" }, states(client))
    assert.same({}, events)
  end)

  for what, step in pairs {
    ["HTTP 502"] = "http:502", ["an envelope under HTTP 503"] = "codehttp:15094:503", ["a web page"] = "html",
    ["an end of the connection"] = "close", ["nothing but silence"] = "silent", ["what is not HTTP"] = "garbage",
  } do
    it("counts " .. what .. " against an endpoint", function()
      local client = new({ p.cn.http, p.cn.backup }, { timeout = 0.2 })
      for _ = 1, 3 do assert.is_nil((client:get_record(step, { retry = false }))) end
      assert.same({ "ejected", "ok" }, states(client))
    end)
  end

  for what, step in pairs {
    ["a code under HTTP 200"] = "code:500", ["HTTP 404 with JSON"] = "http:404:json",
    ["a record that is none"] = "file:none",
    ["a rate limit of the platform's"] = "code:15071",
  } do
    it("does not count " .. what .. " against an endpoint", function()
      p:answer("none", '{"code":0,"message":"","data":{"id":7}}')
      local client = new { p.cn.http, p.cn.backup }
      for _ = 1, 4 do assert.is_nil((client:get_record(step, { retry = false }))) end
      assert.same({ "ok", "ok" }, states(client))
    end)
  end

  it("does not count a call whose deadline left an attempt too little time", function()
    local client = helper.client { server = { p.cn.http, p.cn.backup } }
    for _ = 1, 3 do failure("timeout", client:get_record("silent", { deadline = 0.1 })) end
    assert.same({ "ok", "ok" }, states(client))
  end)

  it("does not count an id of a batch whose deadline left an attempt too little time", function()
    local client = helper.client { server = { p.cn.http, p.cn.backup } }
    local _, errors = client:get_records({ fresh "silent", fresh "silent", fresh "silent" }, { deadline = 0.1 })
    for _, err in pairs(errors) do failure("timeout", nil, err) end
    assert.same({ "ok", "ok" }, states(client))
    assert.equal(0, client:stats().sites.default.endpoints[1].failures)
  end)

  it("probes an ejected endpoint once its time is over, and restores it", function()
    local client, clock = new { p.cn.http, p.cn.backup }
    eject_first(client)
    clock.time = clock.time + 4.9
    record(client:get_record "ok")
    assert.same({ "cn_backup" }, servers())
    clock.time = clock.time + 0.2
    record(client:get_record "ok")
    assert.same({ "cn_backup", "cn_http" }, servers())
    assert.same({ type = "restore", site = "default", server = p.cn.http }, events[2])
    assert.same({ "ok", "ok" }, states(client))
    record(client:get_record "ok")
    assert.equal("cn_http", servers()[3])
  end)

  it("ejects for twice as long when the probe fails, a minute at most", function()
    local client, clock = new { p.cn.http, p.cn.backup }
    eject_first(client)
    local seconds = { 5 }
    for i = 2, 7 do
      clock.time = clock.time + seconds[i - 1]
      record(client:get_record(fresh "truncate;ok"))
      seconds[i] = events[i].seconds
      assert.same({ "eject", p.cn.http }, { events[i].type, events[i].server })
    end
    assert.same({ 5, 10, 20, 40, 60, 60, 60 }, seconds)
    assert.equal(12, #p:requests())
    clock.time = clock.time + 60
    record(client:get_record "ok")
    assert.equal("restore", events[8].type)
    eject_first(client)
    assert.equal(5, events[9].seconds)
  end)

  it("never ejects the last endpoint", function()
    local client = new(p.closed, { retry = false })
    for _ = 1, 5 do failure("connect", client:get_record "ok") end
    assert.same({ "ok" }, states(client))
    client = new { p.closed, p.web }
    for _ = 1, 6 do assert.is_nil((client:get_record "ok")) end
    local seen = states(client)
    table.sort(seen)
    assert.same({ "ejected", "ok" }, seen)
  end)

  it("gives a probe back when the key function fails", function()
    local broken = false
    local client, clock = new({ p.cn.http, p.cn.backup }, {
      api_key = function() return not broken and p.cn.key or nil end,
    })
    eject_first(client)
    clock.time, broken = clock.time + 5, true
    failure("argument", client:get_record "ok")
    broken = false
    record(client:get_record "ok")
    assert.same({ "cn_http" }, servers())
  end)

  it("works on while the servers go away, and finds them when they are back", function()
    local client = new({ p.cn.http, p.cn.backup }, { retry = { max_attempts = 4, base = 0 } })
    record(client:get_record "ok")
    p:kill()
    local err = failure("connect", client:get_record "ok")
    assert.same({ p.cn.http, p.cn.backup, p.cn.http, p.cn.backup }, helper.column(err.attempts, "server"))
    assert(p:up())
    record(client:get_record "ok")
  end)
end)
