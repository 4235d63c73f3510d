--- Forks of a script that has a client. Debian: luajit lua-posix lua-cjson.
local outside = require "spec.host.outside"
local platform = require "spec.platform"
local shell = require "spec.platform.shell"

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
