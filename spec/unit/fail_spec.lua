local core = require "aitoearn.core"
local helper = require "spec.helper"
local socket = require "socket"

-- The failure of one request. `step` runs between the polls.
local function failure_of(server, options, step)
  local given = { origins = 1, max_connections = 1, max_response_bytes = 10000, user_agent = "spec", proxy = "" }
  for name, value in pairs(options) do given[name] = value end
  local engine = core.engine(given)
  local transfer = engine:get(1, server .. helper.PATH, "r1", "key", nil, 5, 5)
  while not transfer:is_done() do
    engine:poll(10)
    if step then step() end
  end
  local value, failure = transfer:result()
  engine:close()
  assert.is_nil(value)
  return failure
end

-- A proxy that gives each CONNECT the same answer.
local function answering(answer)
  local listener = assert(socket.bind("127.0.0.1", 0))
  listener:settimeout(0)
  local url = ("http://user:pass%%40word@127.0.0.1:%d"):format(select(2, listener:getsockname()))
  local function step()
    local peer = listener:accept()
    if not peer then return end
    repeat local line = peer:receive "*l" until line == "" or not line
    peer:send(answer)
    peer:close()
  end
  local failure = failure_of("https://example.invalid", { proxy = url }, step)
  listener:close()
  return failure
end

describe("a failure", function()
  it("names the proxy that refuses to connect, for good or for now", function()
    for status, proxy in pairs { [400] = true, [403] = true, [407] = true, [502] = false, [503] = false, [429] = false } do
      local failure = answering(("HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n"):format(status))
      assert.equal("connect", failure.kind)
      assert.equal("the proxy refused to connect: HTTP status " .. status, failure.message)
      assert.equal(proxy or nil, failure.proxy)
    end
  end)

  it("names the proxy whose URL cannot be read, and not its password", function()
    for _, url in ipairs {
      "http://user:SECRET#x@proxy.example:3128", "htp://user:SECRET@proxy.example", "http://user:SECRET@127.0.0.1:99999",
      "http://user:SECRET@", "http://user:SECRET@[::zz]",
    } do
      local failure = failure_of("https://example.invalid", { proxy = url })
      assert.same({ "connect", true }, { failure.kind, failure.proxy })
      assert.truthy(failure.message:find "^the proxy's URL cannot be read")
      assert.is_nil(failure.message:find "SECRET")
    end
  end)

  it("says that a proxy is not there, or has no address", function()
    local url = "http://user:SECRET@127.0.0.1:1"
    local failure = failure_of("https://example.invalid", { proxy = url })
    assert.same({ "connect", nil }, { failure.kind, failure.proxy })
    assert.is_nil(failure.message:find "SECRET")
    failure = failure_of("https://example.invalid", { proxy = "http://user:SECRET@proxy.invalid" })
    assert.equal("dns", failure.kind)
    assert.is_nil(failure.message:find "SECRET")
  end)

  it("says that the file of authorities is bad", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local server = ("https://127.0.0.1:%d"):format(select(2, listener:getsockname()))
    for _, path in ipairs { "/no/such/file.pem", "/etc/hostname", "/etc" } do
      local failure = failure_of(server, { ca_file = path })
      assert.same({ "tls", true, nil }, { failure.kind, failure.bad_ca_file, failure.handshake })
    end
    listener:close()
  end)
end)
