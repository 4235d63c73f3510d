--- Checks with curl that the local platform does on the wire what its README says.
local curl = require "spec.platform.curl"
local platform = require "spec.platform"
local socket = require "socket"

local PATH = curl.PATH
local CLOSED_EMPTY, OPERATION_TIMEDOUT, RECV_ERROR, PARTIAL, H2_STREAM, PEER_VERIFY = 52, 28, 56, 18, 92, 60

describe("the local platform on the wire", function()
  local p, key, fetch, ask, code

  setup(function()
    p = assert(platform.start())
    key = p.cn.key
    local _
    fetch, ask, _, code = curl.tools(p)
  end)
  teardown(function() p:stop() end)
  before_each(function() p:forget() end)

  describe("faults", function()
    it("are late", function()
      local from = socket.gettime()
      assert.equal(0, code "slow:150")
      assert.is_true(socket.gettime() - from >= 0.15)
      assert.equal(500, code "slow:10:code:500")
      assert.equal(0, code "drip:1")
      assert.equal(OPERATION_TIMEDOUT, ask("silent", { timeout = 0.3 }).exit)
      local stalled = ask("stall", { timeout = 0.3 })
      assert.same({ OPERATION_TIMEDOUT, 200 }, { stalled.exit, stalled.status })
      assert.truthy(stalled.body:find "^{")
      assert.equal(OPERATION_TIMEDOUT, ask("silent", { base = p.cn.https, timeout = 0.2 }).exit)
      local requests = p:requests()
      assert.same({ 499, 499 }, { requests[4].status, requests[6].status })
    end)

    it("cut connections", function()
      local got = ask "truncate"
      assert.equal(PARTIAL, got.exit)
      assert.truthy(got.body:find "^{")
      assert.equal(CLOSED_EMPTY, ask("close").exit)
      for _, base in ipairs { p.cn.http, p.https1 } do
        got = ask("reset", { base = base })
        assert.equal(RECV_ERROR, got.exit)
        assert.truthy(got.message:find "[Cc]onnection reset by peer" or got.message:find "errno 104")
        got = ask("resetbody", { base = base })
        assert.equal(RECV_ERROR, got.exit)
        assert.truthy(got.message:find "[Cc]onnection reset by peer" or got.message:find "errno 104")
        assert.truthy(got.body:find "^{")
      end
    end)

    it("cut HTTP/2 streams and leave the connection alone", function()
      for _, id in ipairs { "truncate", "reset", "resetbody", "close", "garbage" } do
        local got = ask(id, { base = p.cn.https })
        -- A body that is too short is "partial" to libcurl 7.74.
        local exit = got.exit == PARTIAL and got.body:find "^{" and H2_STREAM or got.exit
        assert.same({ H2_STREAM, "2" }, { exit, got.version == "0" and "2" or got.version }, id)
      end
      p:forget()
      fetch(p.cn.https .. PATH .. "reset", { args = p.cn.https .. PATH .. "ok -o /dev/null" })
      assert.equal(2, #p:requests())
      assert.equal(1, p:connections())
    end)

    it("send what is not HTTP", function()
      assert.is_true(ask("garbage").exit ~= 0)
      p:raw("odd", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
      assert.equal("abc", ask("raw:odd").body)
      assert.equal("abc", ask("raw:odd", { base = p.https1 }).body)
      p:answer("nul.json", '{"code":0}\0junk')
      local got = ask "file:nul.json"
      assert.equal('{"code":0}\0junk', got.body)
      assert.truthy(got.head:find "content%-type: application/json\r")
      assert.equal(15000, code "file:absent")
      assert.equal(15000, code "file:..%2fnginx.conf")
    end)

    it("send valid HTTP of unusual forms", function()
      assert.truthy(ask("closeafter").head:find "connection: close")
      assert.truthy(ask("chunked").head:find "transfer%-encoding: chunked")
      assert.truthy(ask("early").head:find "^http/1.1 103 .*http/1.1 100 .*http/1.1 200 ")
      assert.equal(0, ask("early").json.code)
      assert.is_nil(ask("gzip").head:find "content%-encoding")
      local got = ask("gzip", { args = "--compressed" })
      assert.truthy(got.head:find "content%-encoding: gzip")
      assert.equal(0, got.json.code)
    end)

    it("send much", function()
      assert.equal(300000, #ask("big:300000").body)
      local small = ask "bomb:20000000"
      assert.is_true(#small.body < 30000)
      local got = ask("bomb:20000000", { args = "--compressed" })
      assert.same({ 0, 20000000 }, { got.exit, #got.body })
      assert.equal(0, ask("bomb:3000000", { args = "--compressed" }).json.code)
      assert.is_true(#ask("headers:50000").head > 50000)
    end)
  end)

  describe("connections", function()
    it("speak HTTP/2 where offered, and HTTP/1.1 alone on https1", function()
      assert.equal("2", ask("ok", { base = p.cn.https }).version)
      assert.equal("1.1", ask("ok", { base = p.cn.https, args = "--http1.1" }).version)
      assert.equal("1.1", ask("ok", { base = p.https1 }).version)
      assert.equal("1.1", ask("ok").version)
      assert.equal("HTTP/2.0", p:requests()[1].protocol)
    end)

    it("fail where the certificate is wrong", function()
      for name, base in pairs(p.tls) do assert.equal(PEER_VERIFY, ask("ok", { base = base }).exit, name) end
      for _, base in pairs(p.tls) do assert.equal(0, ask("ok", { base = base, args = "-k" }).exit) end
      assert.equal(0, code("ok", { base = p.cn.https:gsub("127.0.0.1", "localhost") }))
    end)

    it("reach ::1 and proxies, and nobody on the closed port", function()
      if p.ipv6 then assert.equal(0, code("ok", { base = p.ipv6 })) end
      assert.equal(7, ask("ok", { base = p.closed }).exit)
      p:forget()
      assert.equal(0, code("ok", { args = "-x " .. p.proxy }))
      local servers = {}
      for _, request in ipairs(p:requests()) do servers[request.server] = true end
      assert.same({ proxy = true, cn_http = true }, servers)
      if p.connect_proxy then
        assert.equal(0, code("ok", { base = p.cn.https, args = "-x " .. p.connect_proxy }))
        assert.same({ p.cn.https:match "//(.*)" }, p:tunnels())
      end
    end)

    it("are closed by the impatient endpoint once they idle", function()
      local client = assert(socket.connect("127.0.0.1", tonumber(p.impatient:match ":(%d+)$")))
      client:settimeout(2)
      client:send("GET " .. PATH .. "ok HTTP/1.1\r\nHost: x\r\nX-Api-Key: " .. key .. "\r\n\r\n")
      local size
      repeat
        local line = client:receive "*l"
        size = line:match "^content%-length: (%d+)" or size
      until line == ""
      assert.equal(tonumber(size), #client:receive(tonumber(size)))
      local from = socket.gettime()
      assert.equal("closed", select(2, client:receive(1)))
      assert.is_true(socket.gettime() - from > 0.1)
      client:close()
    end)
  end)
end)
