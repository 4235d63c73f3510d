--- A server's process that hangs, behind a kernel that still acknowledges, kept every later call on its HTTP/2 connection.
local helper = require "spec.helper"
local shell = require "spec.platform.shell"

describe("an HTTP/2 connection whose process hangs", function()
  local p
  setup(function() p = assert(require("spec.platform").start { workers = 2 }) end)
  after_each(helper.close)
  teardown(function()
    shell.run("kill -s CONT -- -" .. shell.read(p.dir .. "/nginx.pid"))
    p:stop()
  end)

  -- The worker behind the only connection that is established to a port.
  local function worker_of(port)
    return assert(shell.run(("ss -Htnp state established '( sport = :%d )' | sed -n 's/.*pid=\\([0-9]*\\).*/\\1/p' | head -1")
      :format(port)):match "%d+")
  end

  local function client_with(given)
    given.server, given.ca_file, given.api_key = p.cn.https, p.ca_file, p.cn.key
    return helper.client(given)
  end

  it("costs one attempt; later calls use another one", function()
    local client = client_with { timeout = 0.5, retry = { base = 0.01 } }
    helper.record(client:get_record "ok")
    local pid = worker_of(p.ports.cn_https)
    finally(function() shell.run("kill -s CONT " .. pid) end)
    shell.run("kill -s STOP " .. pid)
    for _ = 1, 4 do helper.record(client:get_record "ok") end
    local stats = client:stats()
    assert.same({ 1 + 5, 2 }, { stats.attempts, stats.connections })
  end)

  it("does not harm the other streams of one that only has a slow answer", function()
    local client = client_with { timeout = 3, retry = false }
    helper.record(client:get_record "ok")
    local connections = client:stats().connections
    local steady = client:start("get_record", helper.fresh "drip:10")
    client:poll(0.05)
    helper.failure("timeout", client:get_record(helper.fresh "silent", { timeout = 0.3 }))
    helper.record(client:get_record "ok")
    while client:poll(1) > 0 do end
    helper.record(steady:result())
    assert.equal(connections, client:stats().connections)
  end)
end)
