--- Checks with curl that the local platform answers as the real servers do, and starts and ends well.
local curl = require "spec.platform.curl"
local http = require "spec.platform.http"
local platform = require "spec.platform"
local shell = require "spec.platform.shell"
local socket = require "socket"

local PATH = curl.PATH

describe("the local platform", function()
  local p, key, fetch, ask, data, code

  setup(function()
    p = assert(platform.start())
    key = p.cn.key
    fetch, ask, data, code = curl.tools(p)
  end)
  teardown(function() p:stop() end)
  before_each(function() p:forget() end)

  describe("routes and keys", function()
    it("answers each site's own records", function()
      assert.equal(0, code "6877a1b2c3d4e5f601234567")
      assert.equal(0, code "c877a1b2c3d4e5f601234567")
      assert.equal(15000, code "e877a1b2c3d4e5f601234567")
      local intl = { base = p.intl.http, key = p.intl.key }
      assert.equal(0, code("e877a1b2c3d4e5f601234567", intl))
      assert.equal(15000, code("c877a1b2c3d4e5f601234567", intl))
      assert.not_equal(data("6877a1b2c3d4e5f601234567").accountType, data("6877a1b2c3d4e5f601234567", intl).accountType)
    end)

    it("refuses a missing, wrong, or other site's key with HTTP 200", function()
      for _, wrong in ipairs { "", "nonsense", p.intl.key } do
        local got = ask("ok", { key = wrong })
        assert.same({ 200, 401, "Unauthorized" }, { got.status, got.json.code, got.json.message })
        assert.truthy(got.json.timestamp > 1.7e12)
      end
    end)

    it("answers lists, 404 under /api, and the web page elsewhere", function()
      for _, id in ipairs { "", "queued", "published" } do assert.same({}, data(id)) end
      assert.equal(404, fetch(p.cn.http .. "/api/v3/other").json.code)
      assert.equal(404, fetch(p.cn.http .. PATH .. "a/b").json.code)
      for _, url in ipairs { p.cn.http .. "/records", p.web .. PATH .. "ok" } do
        local got = fetch(url)
        assert.equal(200, got.status)
        assert.truthy(got.body:find "^<!doctype html>")
      end
      assert.equal(15000, code "nonsense")
      assert.equal(15000, code "big:x")
    end)

    it("echoes the request id or makes one, and speaks two languages", function()
      local got = ask("code:15000", { args = "-H 'x-request-id: mine-1' -H 'Accept-Language: en-US'" })
      assert.same({ "mine-1", "Publish record not found" }, { got.json.requestId, got.json.message })
      assert.truthy(got.head:find "x%-request%-id: mine%-1")
      assert.equal("发布记录未找到", ask("code:15000").json.message)
      assert.equal(32, #ask("ok").json.requestId)
    end)

    it("limits a limited key to five requests a second", function()
      local send, codes = http.sender(p), {}
      local function limited() return send("GET /records/ok", nil, { key = p.cn.limited_key }) end
      for i = 1, 5 do codes[i] = limited() end
      assert.same({ 0, 0, 0, 0, 0 }, codes)
      local sixth, wish, got = limited()
      assert.same({ 429, 1 }, { sixth, wish.ttl })
      local head = got.head:lower()
      assert.truthy(head:find "x%-ratelimit%-limit: 5")
      assert.truthy(head:find "x%-ratelimit%-remaining: 0")
      assert.truthy(head:find "x%-ratelimit%-reset: %d%d%d%d%d%d%d%d%d%d%d%d%d\r")
      assert.is_true(shell.wait_until(1.5, function() return limited() == 0 end))
    end)
  end)

  describe("records", function()
    it("have the fields of their status", function()
      local failed = data "status:-1"
      assert.same({ -1, "permission", nil }, { failed.status, failed.errorData.type, failed.workLink })
      for _, live in ipairs { 1, 3, 4, 5 } do assert.truthy(data("status:" .. live).workLink) end
      for _, other in ipairs { 0, 2, 6, 7, 8, 9, 42 } do
        local record = data("status:" .. other)
        assert.same({ other, nil }, { record.status, record.workLink })
      end
      assert.truthy(data("retrying").errorMsg)
    end)

    it("come stalled, minimal, full, and with each state of the link", function()
      local stalled = data "stalled"
      assert.same({ 2, nil }, { stalled.status, stalled.platformWorkId })
      assert.is_true(stalled.updatedAt < os.date("!%Y-%m-%dT%H:%M:%S", os.time() - 3500))
      local count = 0
      for _ in pairs(data "min") do count = count + 1 end
      assert.equal(5, count)
      count = 0
      for _ in pairs(data "full") do count = count + 1 end
      assert.equal(24, count)
      assert.truthy(data("unicode").title:find "中文")
      assert.same({ "pending", nil }, { data("link:pending").linkStatus, data("link:pending").workLink })
      assert.truthy(data("link:early").workLink)
      assert.truthy(data("link:ready").workLink)
      assert.truthy(data("link:failed").linkError)
      assert.is_nil(data("link:none").linkStatus)
      assert.same({ "a: b", "echo:a: b" }, { data("echo:a%3a%20b").title, data("echo:a%3a%20b").id })
      assert.truthy(data("deep:3").linkMeta.a.a)
    end)

    it("move on with the steps of an id, over both endpoints of a site", function()
      local id = "status:2;code:500;http:502;ok~steps"
      assert.equal(2, data(id).status)
      assert.equal(500, code(id, { base = p.cn.backup }))
      assert.equal(502, ask(id).status)
      assert.equal(1, data(id).status)
      assert.equal(1, data(id).status)
      assert.equal(2, data(id, { base = p.intl.http, key = p.intl.key }).status)
      assert.equal(2, data("status:2;ok~other").status)
    end)

    it("live with time", function()
      local id, send = "life:0.5:1~" .. socket.gettime(), http.sender(p)
      local first = select(2, send("GET /records/" .. id))
      assert.equal(0, first.status)
      for _, status in ipairs { 2, 1 } do
        assert.is_true(shell.wait_until(3, function() return select(2, send("GET /records/" .. id)).status == status end))
      end
      local last = data(id)
      assert.same({ first.publishTime, "ready" }, { last.publishTime, last.linkStatus })
      assert.is_true(last.updatedAt > last.publishTime)
      assert.equal(-1, data("life:0:0:-1").status)
    end)
  end)

  describe("errors", function()
    it("come in envelopes, with hints", function()
      local got = ask "code:429:ttl=3"
      assert.same({ 200, 429, 3 }, { got.status, got.json.code, got.json.data.ttl })
      got = ask "codehttp:500:503:retry-after=2"
      assert.same({ 503, 500 }, { got.status, got.json.code })
      assert.truthy(got.head:find "retry%-after: 2\r")
      got = ask "code:19001:retry-after=Wed,%2021%20Oct%202026%2007:28:00%20GMT"
      assert.truthy(got.head:find "retry%-after: wed, 21 oct 2026 07:28:00 gmt\r")
    end)

    it("come from gateways as pages, JSON, or nothing", function()
      local got = ask "http:502"
      assert.equal(502, got.status)
      assert.truthy(got.body:find "^<html>")
      assert.equal("", ask("http:503:empty").body)
      got = ask "http:504:json:reset=5"
      assert.same({ 504, 504 }, { got.status, got.json.status })
      assert.is_true(math.abs(tonumber(got.head:match "x%-ratelimit%-reset: (%d+)") / 1000 - 5 - os.time()) < 2)
      assert.truthy(ask("http:429:retry-date=7").head:find "retry%-after: %a%a%a, %d%d ")
    end)

    it("come as pages and redirects to another host", function()
      assert.truthy(ask("html").body:find "^<!doctype html>")
      local got = ask "redirect"
      assert.equal(302, got.status)
      assert.truthy(got.head:find("location: " .. p.other .. PATH, 1, true))
      assert.equal(307, ask("redirect:307").status)
      ask("redirect", { args = "-L" })
      local requests = p:requests()
      assert.same({ "other", key }, { requests[#requests].server, requests[#requests].api_key })
    end)

    it("can hold the key", function()
      local got = ask "keyecho"
      assert.truthy(got.json.message:find(key, 1, true))
      assert.truthy(got.head:find("x-request-id: req-" .. key, 1, true))
      assert.truthy(ask("keyhtml").body:find(key, 1, true))
    end)
  end)

  describe("life", function()
    it("lists requests with what was sent", function()
      ask("a%20b~%E4%BD%A0", { args = "-A agent/1 -H 'x-request-id: r1' -H 'Accept-Language: en-US' --compressed" })
      local request = p:requests()[1]
      assert.same({ "cn_http", "GET", PATH .. "a%20b~%E4%BD%A0", "HTTP/1.1", 200, key, "r1", "en-US", "agent/1" }, {
        request.server, request.method, request.uri, request.protocol, request.status, request.api_key,
        request.request_id, request.accept_language, request.user_agent,
      })
      assert.truthy(request.accept_encoding:find "gzip")
      assert.equal(p.cn.http:match "//(.*)", request.host)
      p:forget()
      assert.same({}, p:requests())
    end)

    it("ends at once when killed, and comes back on the same ports", function()
      p:kill()
      assert.equal(7, ask("ok").exit)
      assert(p:up())
      assert.equal(0, code "ok")
      assert.equal(0, code("ok", { base = p.cn.https }))
    end)

    it("takes the folder along when stopped, and may be stopped twice", function()
      local other = assert(platform.start { log = false })
      assert.equal(0, code("ok", { base = other.cn.http }))
      assert.same({}, other:requests())
      other:stop()
      other:stop()
      assert.equal(7, ask("ok", { base = other.cn.http }).exit)
      assert.is_nil(shell.read(other.dir .. "/nginx.conf"))
    end)

    it("keeps no connection of the starting process open", function()
      local client = assert(socket.connect("127.0.0.1", p.ports.cn_http))
      local ours = shell.run(("readlink /proc/%s/fd/%d"):format(p.owner, client:getfd()))
      assert.truthy(ours:find "^socket:")
      local other = assert(platform.start { log = false })
      local theirs = shell.run("ls -l /proc/" .. shell.read(other.dir .. "/nginx.pid"):match "%d+" .. "/fd")
      assert.truthy(theirs:find "socket:")
      assert.is_nil(theirs:find(ours, 1, true))
      other:stop()
      client:close()
    end)

    it("runs beside others", function()
      local several = {}
      for i = 1, 3 do several[i] = assert(platform.start { workers = 2 }) end
      for i = 1, 3 do assert.equal(0, code("ok", { base = several[i].cn.http })) end
      for i = 1, 3 do several[i]:stop() end
    end)

    it("ends by itself when the starting process is gone", function()
      local script = p.dir .. "/crash.lua"
      shell.write(script, 'package.path = "./?.lua;./?/init.lua;" .. package.path\n'
        .. 'local p = assert(require("spec.platform").start()) io.write(p.dir) io.stdout:flush() os.exit(3)')
      local dir = shell.run((arg and arg[-1] or "lua") .. " " .. script .. " || true")
      assert.truthy(dir:find "^/")
      assert.is_true(shell.wait_until(4, function() return not shell.read(dir .. "/nginx.conf") end))
    end)
  end)
end)
