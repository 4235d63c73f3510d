local helper = require "spec.helper"
local socket = require "socket"

local record, failure = helper.record, helper.failure

describe("a proxy", function()
  local p

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  before_each(function() p:forget() end)
  after_each(helper.close)

  -- The servers that saw a request, in alphabetical order: a proxy notes it when the answer has passed.
  local function servers()
    local names = helper.column(p:requests(), "server")
    table.sort(names)
    return names
  end

  -- Asks through a proxy of the spec's own, which answers once, and returns what that one got.
  local function overheard(options, answer)
    local listener = assert(socket.bind("127.0.0.1", 0))
    listener:settimeout(0)
    options.proxy = ("http://127.0.0.1:%d"):format(select(2, listener:getsockname()))
    options.retry = false
    local client = helper.client(options)
    local task = client:start("get_record", "ok")
    local heard, peer = {}, nil
    local ends = socket.gettime() + 5
    while not task:done() do
      assert(socket.gettime() < ends, "the client does not end")
      client:poll(0.01)
      if not peer then
        peer = listener:accept()
        if peer then peer:settimeout(0) end
      else
        local line, problem, part = peer:receive "*l"
        heard[#heard + 1] = line or part
        if line == "" and answer then
          peer:send(answer) -- and listens on
          answer = nil
        elseif line == "" or problem == "closed" then
          peer:send "HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
          peer:close()
          listener:close()
        end
      end
    end
    if peer then peer:close() end
    listener:close()
    local _, err = task:result()
    return table.concat(heard, "\n"), err
  end

  it("for http is asked for the whole URL", function()
    record(helper.client({ proxy = p.proxy, allow_http = true }):get_record "ok")
    assert.same({ "cn_http", "proxy" }, servers())
    local heard = overheard { server = p.cn.http, allow_http = true }
    assert.equal(("GET %s%sok HTTP/1.1"):format(p.cn.http, helper.PATH), heard:match "^[^\n]*")
  end)

  it("for http carries many calls over one connection", function()
    local client = helper.client { proxy = p.proxy, allow_http = true }
    for _ = 1, 10 do record(client:get_record "ok") end
    assert.equal(1, client:stats().connections)
  end)

  it("for https is asked for a tunnel, in which TLS is spoken", function()
    if not p.connect_proxy then return pending "tinyproxy is not installed" end
    local client = helper.client { server = p.cn.https, proxy = p.connect_proxy }
    for _ = 1, 3 do record(client:get_record "ok") end
    assert.same({ p.cn.https:match "//(.*)" }, p:tunnels())
    assert.same({ "cn_https", "cn_https", "cn_https" }, servers())
    assert.equal("HTTP/2.0", p:requests()[1].protocol)
  end)

  it("for https does not see the key, nor anything else of ours", function()
    local heard, err = overheard { server = p.cn.https, accept_language = "en-US" }
    assert.truthy(heard:find("^CONNECT " .. p.cn.https:match "//(.*)" .. " HTTP/1.1"))
    assert.is_nil(heard:find(p.cn.key, 1, true))
    assert.is_nil(heard:lower():find("x%-api%-key"))
    assert.is_nil(heard:lower():find("x%-request%-id"))
    assert.is_nil(heard:find(helper.PATH, 1, true))
    assert.same({ "connect", "the proxy refused to connect: HTTP status 403" }, { err.kind, err.message })
    assert.same({}, servers())
  end)

  it("that is not there ends a call as connect", function()
    local err = failure("connect", helper.clocked({ proxy = p.closed, allow_http = true }):get_record "ok")
    assert.same({ 3, true }, { #err.attempts, err.retryable })
    local nowhere = helper.NOWHERE:gsub("^https", "http")
    failure("dns", helper.clocked({ proxy = nowhere, allow_http = true }):get_record "ok")
    assert.same({}, servers())
  end)

  it("that answers for itself is an http failure", function()
    local err = failure("http", helper.client({
      server = "http://127.0.0.1:1", proxy = p.proxy, allow_http = true, retry = false,
    }):get_record "ok")
    assert.equal(502, err.http_status)
  end)

  it("that lies about its tunnel and answers by itself is not believed, and does not see the key", function()
    local forged = '{"code":0,"message":"","data":{"id":"ok","accountType":"xhs","type":"video","status":1,'
      .. '"publishTime":"2026-07-02T12:00:00.000Z"}}'
    local heard, err = overheard({ server = p.cn.https, timeout = 2 }, "HTTP/1.1 200 Established\r\n\r\n"
      .. "HTTP/1.1 200 OK\r\nContent-Length: " .. #forged .. "\r\n\r\n" .. forged)
    failure("tls", nil, err)
    assert.truthy(heard:find "^CONNECT")
    assert.is_nil(heard:find(p.cn.key, 1, true))
  end)

  it("that wants a password ends the call", function()
    local _, err = overheard({ server = p.cn.https }, "HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n")
    assert.equal("the proxy refused to connect: HTTP status 407", failure("connect", nil, err).message)
  end)

  describe("of the environment", function()
    local function ask(server, environment, allow_http)
      local output = assert(helper.script(([[
        local client = require("aitoearn").new { server = %q, api_key = %q, ca_file = %q, allow_http = %s }
        local record, err = client:get_record "ok"
        print(record and record.id or err)
      ]]):format(server, p.cn.key, p.ca_file, tostring(allow_http or false)),
        "-u http_proxy -u https_proxy -u all_proxy -u no_proxy -u NO_PROXY "
        .. "-u HTTPS_PROXY -u ALL_PROXY " .. environment))
      assert.equal("ok", output)
    end

    it("is used", function()
      ask(p.cn.http, "http_proxy=" .. p.proxy, true)
      assert.same({ "cn_http", "proxy" }, servers())
    end)

    it("is not used for http that must not leave this machine", function()
      ask(p.cn.http, "http_proxy=" .. p.proxy .. " all_proxy=" .. p.proxy)
      assert.same({ "cn_http" }, servers())
    end)

    it("is used for https", function()
      if not p.connect_proxy then return pending "tinyproxy is not installed" end
      ask(p.cn.https, "https_proxy=" .. p.connect_proxy)
      assert.equal(1, #p:tunnels())
    end)

    it("is not used for the hosts in no_proxy", function()
      ask(p.cn.http, "http_proxy=" .. p.proxy .. " no_proxy=127.0.0.1", true)
      assert.same({ "cn_http" }, servers())
    end)
  end)
end)
