--- Each kind of error once, with the facts that it carries.
local aitoearn = require "aitoearn"
local helper = require "spec.helper"

local failure = helper.failure

describe("an error of kind", function()
  local p, client

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  before_each(function()
    p:forget()
    client = helper.clocked { retry = false }
  end)
  after_each(helper.close)

  -- What an error of any kind has.
  local function is_whole(err, id)
    assert.is_true(aitoearn.is_error(err))
    assert.is_string(err.message)
    assert.is_true(#err.message > 0)
    assert.is_boolean(err.retryable)
    assert.is_table(err.attempts)
    assert.equal(id, err.record_id)
    assert.equal("default", err.site)
    assert.equal(1, (tostring(err):find(err.kind, 1, true)))
    assert.is_nil(tostring(err):find "%c")
    return err
  end

  local function error_of(kind, id, opts, from)
    return is_whole(failure(kind, (from or client):get_record(id, opts)), id)
  end

  it("argument: nothing was sent", function()
    local err = error_of("argument", "queued")
    assert.same({ 0, false, nil, nil }, { #err.attempts, err.retryable, err.request_id, err.http_status })
    assert.same({}, p:requests())
  end)

  it("dns: the name does not resolve", function()
    local server = helper.NOWHERE
    local err = error_of("dns", "ok", nil, helper.clocked { server = server, retry = false })
    assert.same({ server, true, 1 }, { err.server, err.retryable, #err.attempts })
    assert.truthy(err.message:find(server:match "//(.*)", 1, true))
  end)

  it("connect: nobody listens", function()
    local err = error_of("connect", "ok", nil, helper.clocked { server = p.closed, retry = false })
    assert.same({ p.closed, true }, { err.server, err.retryable })
    assert.is_string(err.request_id)
  end)

  it("tls: the certificate does not verify", function()
    local err = error_of("tls", "ok", nil, helper.clocked { server = p.tls.expired })
    assert.same({ p.tls.expired, false }, { err.server, err.retryable })
    assert.truthy(err.message:find "certificate")
  end)

  it("timeout: an attempt took too long", function()
    local err = error_of("timeout", "silent", { timeout = 0.1 })
    assert.same({ true, 1, nil }, { err.retryable, #err.attempts, err.http_status })
    assert.is_true(err.attempts[1].elapsed >= 0.09)
  end)

  it("timeout: the deadline passed", function()
    local err = error_of("timeout", "stall", { deadline = 0.1 })
    assert.same({ 1, 200 }, { #err.attempts, err.http_status })
  end)

  it("transport: reset, truncated, or not HTTP", function()
    for _, id in ipairs { "reset", "close", "truncate", "resetbody", "garbage" } do
      local err = error_of("transport", id, nil, helper.clocked { retry = false })
      assert.same({ true, p.cn.http }, { err.retryable, err.server })
      assert.is_nil(err.body)
    end
  end)

  it("http: another status and no envelope", function()
    local err = error_of("http", "http:502", { request_id = "mine" })
    assert.same({ 502, true, "mine", nil, nil },
      { err.http_status, err.retryable, err.request_id, err.code, err.name })
    assert.truthy(err.body:find "^<html>")
    assert.equal("HTTP status 502", err.message)
    err = error_of("http", "http:418:json")
    assert.same({ 418, false, '{"error":"gateway","status":418}' }, { err.http_status, err.retryable, err.body })
    err = error_of("http", "redirect:307")
    assert.same({ 307, false }, { err.http_status, err.retryable })
  end)

  it("http: with 512 bytes of the body at most", function()
    p:raw("long", "HTTP/1.1 403 No\r\nConnection: close\r\n\r\n" .. ("x"):rep(5000))
    assert.equal(("x"):rep(512), error_of("http", "raw:long").body)
  end)

  it("api: an envelope with another code, whatever the HTTP status", function()
    for status, id in pairs { [200] = "code:10002", [400] = "codehttp:10002:400", [503] = "codehttp:10002:503" } do
      local err = error_of("api", id, { request_id = "mine" })
      assert.same({ 10002, "ValidationFailed", status, "mine", false },
        { err.code, err.name, err.http_status, err.request_id, err.retryable })
      assert.equal("参数验证失败", err.message)
      assert.is_nil(err.body)
    end
  end)

  it("api: its request id is the server's", function()
    p:answer("own", '{"code":42,"message":"m","requestId":"theirs"}')
    assert.equal("theirs", error_of("api", "file:own", { request_id = "mine" }).request_id)
    local body = 'Connection: close\r\n\r\n{"code":42,"message":"m"}'
    p:raw("header", "HTTP/1.1 200 OK\r\nX-Request-Id: theirs-too \r\n" .. body)
    assert.equal("theirs-too", error_of("api", "raw:header", { request_id = "mine" }).request_id)
    p:raw("none", "HTTP/1.1 200 OK\r\n" .. body)
    assert.equal("mine", error_of("api", "raw:none", { request_id = "mine" }).request_id)
  end)

  it("api: a wrong key, with the hint that it may be the other site's", function()
    local err = error_of("api", "ok", nil, helper.clocked { api_key = p.intl.key })
    assert.same({ 401, "Unauthorized", 1 }, { err.code, err.name, #err.attempts })
    assert.equal(aitoearn.code.UNAUTHORIZED, err.code)
    assert.truthy(err.hint:find "other site")
  end)

  it("protocol: 2xx but no envelope, not a record, or over a limit", function()
    p:answer("ill", '{"code":0,"message":"","data":{"id":"x","accountType":"xhs","type":"video","status":"1",'
      .. '"publishTime":"2026-07-02T12:00:00.000Z"}}')
    p:answer("list", '{"code":0,"message":"","data":"nothing"}')
    for id, message in pairs {
      html = "the answer is not JSON", ["file:ill"] = "data.status: integer expected, got string",
      ["file:list"] = "data: object expected, got string", ["deep:200"] = "the answer nests deeper than 100 levels",
      ["big:9000000"] = "the answer is longer than max_response_bytes",
    } do
      local err = error_of("protocol", id)
      assert.equal(1, (err.message:find(message, 1, true)))
      assert.same({ 200, false }, { err.http_status, err.retryable })
      assert.equal(id ~= "big:9000000", err.body ~= nil)
    end
  end)

  it("goal: a wait's goal cannot be reached any more", function()
    local record, err = client:wait("status:9", { goal = "published" })
    assert.is_nil(record)
    assert.equal("goal", err.kind)
    assert.equal(9, err.record.status)
  end)

  it("cancelled: a task was", function()
    local plain = helper.client()
    local task = plain:start("get_record", "silent")
    task:cancel()
    while plain:poll(0.01) > 0 do assert.is_false(task:done()) end
    local err = is_whole(failure("cancelled", task:result()), "silent")
    assert.is_false(err.retryable)
  end)

  it("closed: the client was, before the call or during it", function()
    local plain = helper.client()
    local task = plain:start("get_record", "silent")
    plain:close()
    plain:poll(0)
    is_whole(failure("closed", task:result()), "silent")
    local err = error_of("closed", "ok", nil, plain)
    assert.same({ 0, false }, { #err.attempts, err.retryable })
  end)
end)
