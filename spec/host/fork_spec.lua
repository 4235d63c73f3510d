--- Forks of a script that has a client. Debian: luajit lua-posix lua-cjson.
local outside = require "spec.host.outside"
local platform = require "spec.platform"
local shell = require "spec.platform.shell"
local socket = require "socket"

describe("after a fork", function()
  local p, said
  setup(function()
    p = assert(platform.start())
    said = outside.run { command = "luajit spec/host/fork/script.lua", abi = "5.1", platform = p,
      env = { HTTPS1 = p.https1 } }
    shell.run "sleep 0.1"
  end)
  teardown(function() p:stop() end)

  it("the script and its children come to their ends", function()
    assert.equal("ok", said.status, said.output)
    assert.equal("", said.output)
    for _, name in ipairs { "child", "busy_child", "closing_child", "idle_child", "cancelling", "iterating", "leaving" } do
      assert.equal("0", said[name .. ".exit"], name)
    end
  end)

  it("calls of the child and of the parent both work, each over its own connection", function()
    assert.equal("record", said["child.call"])
    assert.equal("record", said["parent.call"])
    local connections = {}
    for _, request in ipairs(p:requests()) do
      local who = request.uri:match "echo%%3A(%l+)"
      if who then
        connections[who] = request.connection
      end
    end
    assert.truthy(connections.before and connections.child and connections.parent)
    assert.equal(connections.before, connections.parent)
    assert.not_equal(connections.parent, connections.child)
  end)

  it("what was in flight ends as closed in the child, and well in the parent", function()
    assert.equal("closed", said["busy_child.task"])
    assert.truthy(said["busy_child.message"]:find "forked")
    assert.equal("record", said["busy_child.call"])
    assert.equal("record", said["parent.task"])
  end)

  it("a child that closes or collects the client leaves the parent's calls alone", function()
    assert.equal("record", said["parent.task_of_closing"])
    assert.equal("record", said["parent.task_of_idle"])
  end)

  it("a child that cancels, or ends as programs end, leaves the parent's TLS connections alone", function()
    for _, name in ipairs { "cancelling", "iterating", "leaving" } do
      for _, what in ipairs { "first", "task", "second" } do
        assert.equal("record", said[name .. "." .. what], name .. "." .. what)
      end
    end
    assert.equal("2", said.connections) -- no more were needed
  end)
end)

describe("a descriptor that is no longer the client's", function()
  local p, silent, said
  setup(function()
    p = assert(platform.start())
    silent = socket.tcp4() -- with a full backlog: what asks to connect gets no answer
    silent:bind("127.0.0.1", 0)
    silent:listen(0)
    local _, port = silent:getsockname()
    local held = {}
    for i = 1, 4 do
      held[i] = socket.tcp4()
      held[i]:settimeout(0)
      held[i]:connect("127.0.0.1", port)
    end
    said = outside.run { command = "luajit spec/host/fork/descriptors.lua", abi = "5.1", platform = p,
      env = { SILENT = "http://127.0.0.1:" .. port } }
    for _, one in ipairs(held) do one:close() end
  end)
  teardown(function()
    silent:close()
    p:stop()
  end)

  it("is left alone after a fork, though libcurl closed its socket without a word", function()
    assert.equal("ok", said.status, said.output)
    assert.same({ "0", "record", "true", "record" },
      { said["stale.exit"], said["stale.call"], said["stale.files"], said["stale.parent"] })
  end)

  it("is left alone when a daemon has closed all and opened its logs", function()
    assert.same({ "0", "record", "record", "record", "true" }, { said["daemon.exit"], said["daemon.before"],
      said["daemon.after"], said["daemon.again"], said["daemon.logs"] })
  end)

  it("does not wake the parent of a child that never touched the client", function()
    assert.same({ "record", "record", "record" }, { said["spin.first"], said["spin.closing"], said["spin.call"] })
    assert.is_true(tonumber(said["spin.share"]) < 0.05, said["spin.share"])
  end)
end)
