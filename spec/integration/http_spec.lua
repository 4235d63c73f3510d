--- Connections, versions of HTTP, and the forms an answer can have.
local helper = require "spec.helper"
local shell = require "spec.platform.shell"
local socket = require "socket"

local fresh, record, failure = helper.fresh, helper.record, helper.failure

describe("HTTP", function()
  local p

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  before_each(function() p:forget() end)
  after_each(helper.close)

  local function protocols() return helper.column(p:requests(), "protocol") end

  describe("answers", function()
    for what, step in pairs {
      ["in chunks"] = "chunked", ["compressed"] = "gzip", ["after 1xx answers"] = "early", ["byte by byte"] = "drip:1",
      ["late"] = "slow:100", ["with Connection: close"] = "closeafter", ["of a megabyte"] = "big:1048576",
    } do
      for _, server in ipairs { "http", "https" } do
        it(("%s are read over %s"):format(what, server), function()
          local client = helper.client { server = p.cn[server] }
          for _ = 1, 3 do assert.equal(1, record(client:get_record(step)).status) end
          assert.equal(3, #p:requests())
        end)
      end
    end

    it("that a 1xx answer came before keep no header of it", function()
      p:raw("hinted", "HTTP/1.1 103 Early Hints\r\nRetry-After: 100\r\nx-request-id: early\r\n\r\n"
        .. "HTTP/1.1 503 Busy\r\nx-request-id: late\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
      local err = failure("http", helper.client({ deadline = 5, retry = false }):get_record "raw:hinted")
      assert.equal("late", err.request_id)
      assert.is_nil(err.retry_at)
    end)

    it("without a length end with the connection", function()
      p:raw("endless", 'HTTP/1.0 200 OK\r\n\r\n{"code":0,"message":"","data":{"id":"1","accountType":"xhs",'
        .. '"type":"video","status":1,"publishTime":"2026-07-02T12:00:00.000Z"}}')
      assert.equal("1", record(helper.client():get_record "raw:endless").id)
    end)

    it("split in two by a line break in a header are told by the request id that was sent", function()
      p:raw("split", "HTTP/1.1 503 Busy\r\nx-request-id: a\rb\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
      local _, err = helper.client({ retry = false }):get_record "raw:split"
      assert.is_nil(tostring(err):find "%c")
    end)

    it("with a length that is none end as a failure", function()
      p:raw("length", "HTTP/1.1 200 OK\r\nContent-Length: many\r\nConnection: close\r\n\r\n{}")
      assert.is_nil((helper.client({ retry = false }):get_record "raw:length"))
    end)

    it("that ends in the middle of its headers is a transport failure, and asked for again", function()
      p:raw("cut", "HTTP/1.1 200 OK\r\nContent-Type: applica")
      local err = failure("transport", helper.client():get_record "raw:cut")
      assert.equal(3, #err.attempts)
      assert.truthy(tostring(err):find("in the middle of its headers", 1, true))
    end)

    it("with nothing in a 204 are no envelope", function()
      p:raw("empty", "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
      assert.equal(204, failure("protocol", helper.client():get_record "raw:empty").http_status)
    end)
  end)

  it("1.1 and 2 are both spoken over https, whatever the server has", function()
    record(helper.client({ server = p.cn.https }):get_record "ok")
    record(helper.client({ server = p.https1 }):get_record "ok")
    record(helper.client({ server = p.cn.http }):get_record "ok")
    assert.same({ "HTTP/2.0", "HTTP/1.1", "HTTP/1.1" }, protocols())
  end)

  it("faults are told over HTTP/2 as well", function()
    local client = helper.clocked { server = p.cn.https }
    for kind, steps in pairs {
      transport = { "close", "truncate", "garbage" }, http = { "http:502" }, api = { "code:500" },
      protocol = { "html" },
    } do
      for _, step in ipairs(steps) do
        failure(kind, client:get_record(step))
        if kind ~= "protocol" then record(client:get_record(fresh(step .. ";ok"))) end
      end
    end
    failure("timeout", client:get_record("stall", { timeout = 0.2, retry = false }))
    record(client:get_record "ok")
  end)

  it("works over IPv6", function()
    if not p.ipv6 then return pending "this machine has no ::1" end
    record(helper.client({ server = p.ipv6 }):get_record "ok")
    assert.same({ "cn_ipv6" }, helper.column(p:requests(), "server"))
  end)

  describe("connections", function()
    for _, server in ipairs { "http", "https" } do
      it("serve a hundred calls each over " .. server, function()
        local client = helper.client { server = p.cn[server] }
        for _ = 1, 100 do record(client:get_record "ok") end
        assert.same({ 100, 1 }, { #p:requests(), p:connections() })
        assert.equal(1, client:stats().connections)
      end)
    end

    it("stay open after an error answer", function()
      local client = helper.clocked()
      for _, step in ipairs { "code:15000", "http:404", "http:502", "redirect", "html", "code:500" } do
        assert.is_nil((client:get_record(step)))
      end
      record(client:get_record "ok")
      assert.equal(1, p:connections())
    end)

    it("on which a call timed out are never used again", function()
      for _, step in ipairs { "stall", "silent", "slow:600", "drip:20" } do
        p:forget()
        local client = helper.client { retry = false }
        record(client:get_record "ok")
        failure("timeout", client:get_record(step, { timeout = 0.15 }))
        for _ = 1, 3 do assert.equal("ok", record(client:get_record "ok").id) end
        assert.is_true(shell.wait_until(3, function() return #p:requests() == 5 end))
        local connections = {}
        for _, request in ipairs(p:requests()) do
          local uri = request.uri:sub(#helper.PATH + 1):gsub("%%3A", ":")
          connections[uri] = connections[uri] or {}
          table.insert(connections[uri], request.connection)
        end
        local before, after = connections.ok[1], connections.ok[2]
        assert.same({ before, after, after, after }, connections.ok)
        assert.not_equal(before, after)
        assert.same({ before }, connections[step])
      end
    end)

    it("on which an answer broke off or broke a limit are never used again", function()
      local client = helper.client { retry = false, max_response_bytes = 4096 }
      for _, step in ipairs { "truncate", "big:100000" } do
        assert.is_nil((client:get_record(step)))
        record(client:get_record "ok")
      end
      assert.equal(3, p:connections())
    end)

    it("that the server closes while they idle cost no call", function()
      local client = helper.client { server = p.impatient, retry = false }
      record(client:get_record "ok")
      socket.sleep(0.4)
      record(client:get_record "ok")
      assert.same({ 2, 2 }, { #p:requests(), p:connections() })
      assert.equal(2, client:stats().connections)
    end)

    it("that the server may close at any moment cost no call", function()
      local client = helper.client { server = p.impatient, retry = false }
      for pause = 0.196, 0.204, 0.002 do
        record(client:get_record "ok")
        socket.sleep(pause)
      end
    end)

    it("are closed where the server says so", function()
      local client = helper.client()
      for _ = 1, 3 do record(client:get_record "closeafter") end
      assert.equal(3, p:connections())
    end)

    it("to a server that was started again are made anew", function()
      local client = helper.client { retry = false }
      record(client:get_record "ok")
      p:kill()
      assert(p:up())
      record(client:get_record "ok")
    end)

    it("do not carry a redirect's key anywhere", function()
      for _, status in ipairs { 301, 302, 303, 307, 308 } do
        local err = failure("http", helper.client():get_record("redirect:" .. status))
        assert.equal(status, err.http_status)
        assert.truthy(err.hint:find "redirects are not followed")
      end
      for _, request in ipairs(p:requests()) do assert.equal("cn_http", request.server) end
      assert.equal(5, #p:requests())
    end)
  end)
end)
