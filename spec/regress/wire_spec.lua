-- What a server may do on the wire, each once seen to end, fool or stall a client. The server is this process.
local core = require "aitoearn.core"
local forwarder = require "spec.forwarder"
local helper = require "spec.helper"
local shell = require "spec.platform.shell"
local socket = require "socket"

local function body_of(id)
  return '{"code":0,"message":"ok","data":{"id":"' .. id .. '","accountType":"douyin","type":"video","status":1,'
    .. '"publishTime":"2026-01-01T00:00:00.000Z"}}'
end

local function answer(id, status, headers)
  local body = body_of(id)
  return ("HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s"):format(status or "200 OK", headers or "", #body, body)
end

--- A server on a free port: `serve(id, connection, head)` is called for each request's head, and `step()` from the spec.
local function new_server(serve)
  local listener = assert(socket.bind("127.0.0.1", 0))
  listener:settimeout(0)
  local self = { port = select(2, listener:getsockname()), connections = {}, requests = 0, accepted = 0 }
  function self.step()
    local accepted = listener:accept()
    if accepted then
      accepted:settimeout(0)
      self.accepted = self.accepted + 1
      self.connections[#self.connections + 1] = { socket = accepted, buffer = "" }
    end
    for _, connection in ipairs(self.connections) do
      local _, _, part = connection.socket:receive(65536)
      connection.buffer = connection.buffer .. (part or "")
      local head, rest = connection.buffer:match "^(.-\r\n\r\n)(.*)$"
      if head then
        connection.buffer = rest:sub((tonumber(head:match "Content%-Length: (%d+)") or 0) + 1) -- sent at once
        self.requests = self.requests + 1
        serve(head:match "/([^/ ]+) HTTP", connection.socket, head)
      end
    end
  end
  function self.close()
    for _, connection in ipairs(self.connections) do
      connection.socket:close()
    end
    listener:close()
  end
  return self
end

local servers = {}
local function start(serve)
  servers[#servers + 1] = new_server(serve)
  return servers[#servers]
end

local function new_engine(options)
  local given = { origins = { {} }, max_connections = 2, max_response_bytes = 100000, connect_timeout = 5,
    user_agent = "spec", proxy = "" }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return core.engine(given)
end

local function finish(engine, server, transfer)
  local limit = core.monotonic() + 5
  while not transfer:is_done() and core.monotonic() < limit do
    server.step()
    engine:poll(1)
  end
  engine:poll(0)
  while engine:next() do end
  return transfer:result()
end

local function get(engine, server, id, fresh)
  local prefix = ("http://127.0.0.1:%d/r/"):format(server.port)
  local transfer = engine:get(1, prefix, id, "key", nil, 3, 4, fresh)
  local record, failure = finish(engine, server, transfer)
  return record, failure, transfer
end

describe("on the wire", function()
  after_each(function()
    for _, server in ipairs(servers) do
      server.close()
    end
    servers = {}
  end)

  it("bytes on an idle connection are not the next answer", function()
    for _, unasked in ipairs { answer "first", "HTTP/1.0 408 Request Time-out\r\nConnection: close\r\n\r\nx" } do
      local server = start(function(id, connection)
        connection:send(answer(id))
      end)
      local engine = new_engine()
      assert.equal("first", get(engine, server, "first").id)
      server.connections[1].socket:send(unasked)
      socket.sleep(0.02)
      local record, failure, transfer = get(engine, server, "second")
      assert.equal("second", record and record.id or failure.message)
      assert.is_false(transfer:is_reused())
      engine:close()
    end
  end)

  it("a kept connection is reused, and a fresh one is asked for", function()
    local server = start(function(id, connection)
      connection:send(answer(id))
    end)
    local engine = new_engine()
    local seen = {}
    for i, fresh in ipairs { false, false, true } do
      local _, _, transfer = get(engine, server, "id" .. i, fresh)
      seen[i] = transfer:is_reused()
      assert.equal(200, transfer:http_status())
      assert.equal("1.1", transfer:http_version())
    end
    assert.same({ false, true, false }, seen)
    engine:close()
  end)

  it("a status of 000 is a failure", function()
    local server = start(function(id, connection)
      connection:send((answer(id):gsub("200 OK", "000 Z")))
    end)
    local engine = new_engine()
    local record, failure = get(engine, server, "x")
    assert.is_nil(record)
    assert.equal("transport", failure.kind)
    engine:close()
  end)

  it("a first header line that begins with a blank is a failure, and corrupts no memory", function()
    local count = 0
    local server = start(function(id, connection)
      count = count + 1
      connection:send(count % 2 == 1 and answer(id) or answer(id, nil, " a: " .. ("x"):rep(5000) .. "\r\n"))
    end)
    local engine = new_engine()
    for i = 1, 40 do
      local record, failure = get(engine, server, "x")
      if i % 2 == 1 then assert.equal("x", record and record.id or failure.message) end
      -- libcurl 7.83 to 8.1 made a use after free of it where its handle was used again; some take such a line.
      assert.is_truthy(record or failure.kind == "transport" and failure.message:find "header")
    end
    engine:close()
  end)

  it("an endpoint that spoke HTTP/2 before, and then no HTTP, is a failure of the way there", function()
    local p = helper.start()
    finally(helper.stop)
    local wire = forwarder.start(p.ports.cn_https)
    wire.connections, wire.close = {}, wire.stop
    local engine = new_engine { ca_file = p.ca_file }
    local prefix = ("https://127.0.0.1:%d"):format(wire.port) .. helper.PATH
    assert.is_truthy(finish(engine, wire, engine:get(1, prefix, "ok", p.cn.key, nil, 3, 4)))
    wire.finish()
    wire.target = p.ports.cn_https1
    local transfer = engine:get(1, prefix, "garbage", p.cn.key, nil, 3, 4)
    local _, failure = finish(engine, wire, transfer)
    assert.equal("transport", failure.kind)
    engine:close()
    wire.stop()
  end)

  it("a header line of more than 100 kB is a failure of the protocol", function()
    local server = start(function(id, connection)
      connection:settimeout(1)
      connection:send(answer(id, nil, "X-Long: " .. ("x"):rep(150000) .. "\r\n"))
    end)
    local engine = new_engine()
    local _, failure = get(engine, server, "x")
    assert.equal("protocol", failure.kind)
    engine:close()
  end)

  it("a compressed body that inflates to nothing ends", function()
    local empty_blocks = ("\0\0\0\255\255"):rep(20000)
    local server = start(function(_, connection)
      connection:settimeout(2)
      connection:send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\31\139\8\0\0\0\0\0\0\3")
      for _ = 1, 40 do
        if not connection:send(empty_blocks) then
          return
        end
      end
    end)
    local engine = new_engine { max_response_bytes = 1000 }
    local _, failure = get(engine, server, "x")
    assert.equal("protocol", failure.kind)
    assert.is_truthy(failure.message:find "eight times")
    engine:close()
  end)

  it("a write is sent once, and the failure says that it was", function()
    local server = start(function(id, connection, head)
      if head:find "^GET" then
        connection:send(answer(id))
      else
        connection:shutdown "both"
      end
    end)
    local engine = new_engine()
    assert.is_truthy(get(engine, server, "first"))
    local before = server.requests
    for _, method in ipairs { "POST", "PATCH", "DELETE" } do
      local transfer = engine:send(1, { method = method, url = ("http://127.0.0.1:%d/w"):format(server.port) },
        "key", nil, 3, 4)
      local _, failure = finish(engine, server, transfer)
      assert.equal("transport", failure.kind)
      assert.is_true(failure.sent)
    end
    assert.equal(before + 3, server.requests)
    engine:close()
  end)

  it("a write carries its method, its body as JSON, and the origin's headers", function()
    local heads = {}
    local server = start(function(id, connection, head)
      heads[#heads + 1] = head
      connection:send(answer(id))
    end)
    local engine = new_engine { origins = { { headers = { "X-Team: blue", "X-Other: 1" } } } }
    local url = ("http://127.0.0.1:%d/w"):format(server.port)
    local sent = { { method = "POST", url = url, body = '{"a":1}' }, { method = "PATCH", url = url, body = "{}" },
      { method = "DELETE", url = url }, { url = url } }
    for i, request in ipairs(sent) do
      assert.is_truthy(finish(engine, server, engine:send(1, request, "key", "id" .. i, 3, 4)))
      assert.is_truthy(heads[i]:find("^" .. (request.method or "GET") .. " /w HTTP"))
      assert.is_truthy(heads[i]:find "X%-Team: blue\r\nX%-Other: 1")
      assert.equal(request.body ~= nil, heads[i]:find "Content%-Type: application/json" ~= nil)
      assert.equal(request.body and tostring(#request.body) or nil,
        request.body and heads[i]:match "Content%-Length: (%d+)")
      assert.is_nil(heads[i]:find "Expect")
      assert.is_nil(heads[i]:find "form%-urlencoded")
    end
    engine:close()
  end)

  it("an answer may have a limit of its own", function()
    local server = start(function(id, connection)
      connection:send(answer(id))
    end)
    local engine = new_engine()
    local url = ("http://127.0.0.1:%d/w"):format(server.port)
    local _, failure = finish(engine, server, engine:send(1, { url = url, max_bytes = 50 }, "key", nil, 3, 4))
    assert.equal("protocol", failure.kind)
    engine:close()
  end)

  it("no locale changes what an answer's headers mean", function()
    local locales = shell.run "mktemp -d"
    for name, set in pairs { tr_TR = "ISO-8859-9", de_DE = "UTF-8" } do
      assert(shell.run(("localedef -i %s -f %s %s/%s"):format(name, set, locales, name)))
    end
    local p = helper.start()
    finally(function()
      helper.stop()
      shell.run("rm -r " .. locales)
    end)
    local body = '{"code":429,"message":"busy","data":{}}'
    p:raw("shout", ("HTTP/1.1 429 NO\r\nCONTENT-LENGTH: %d\r\nX-REQUEST-ID: abc\r\nRETRY-AFTER: 7\r\n\r\n%s")
      :format(#body, body))
    local output = helper.script(([[
      for _, locale in ipairs { "C", "tr_TR", "de_DE" } do
        assert(os.setlocale(locale))
        local client = require("aitoearn").new { server = %q, api_key = %q, proxy = "", retry = false }
        local _, err = client:get_record "raw:shout"
        local wait = err.retry_at - os.time()
        client:release()
        local record = client:get_record "ok"
        print(err.request_id, err.code, wait >= 5 and wait <= 8, record and record.id)
      end
    ]]):format(p.cn.http, p.cn.key), "ASAN_OPTIONS=detect_leaks=0 LOCPATH=" .. locales)
    assert.equal(("abc\t429\ttrue\tok\n"):rep(3):sub(1, -2), output)
  end)

  it("children inherit none of the sockets", function()
    local count = "ls -l /proc/self/fd | grep -c socket"
    local server = start(function(id, connection)
      connection:send(answer(id))
    end)
    local engine = new_engine()
    local before = shell.run(count .. " || :")
    assert.is_truthy(get(engine, server, "x"))
    local during = shell.run(count .. " || :")
    engine:close()
    assert.equal(tonumber(before) + 1, tonumber(during)) -- the server's own end: LuaSocket's are inherited
  end)

  it("http2 = false asks for HTTP/1.1", function()
    local p = helper.start()
    finally(helper.stop)
    for _, case in ipairs { { true, "2" }, { false, "1.1" } } do
      local engine = new_engine { http2 = case[1], ca_file = p.ca_file }
      local transfer = engine:get(1, p.cn.https .. helper.PATH, "ok", p.cn.key, nil, 3, 4)
      while not transfer:is_done() do
        engine:poll(100)
      end
      assert.equal(case[2], transfer:http_version())
      engine:close()
    end
  end)
end)
