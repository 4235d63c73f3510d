--- The host of cqueues, in cqueues. Debian: lua5.4 lua-cqueues lua-cjson.
local check = require "spec.host.loops.check"
local outside = require "spec.host.outside"
local platform = require "spec.platform"
local busted = { it = it, setup = setup, teardown = teardown, assert = assert }

describe("the cqueues host", function()
  check({ command = "lua5.4 spec/host/loops/scenarios.lua", abi = "5.4", loop = "cqueues", tasks_need_loop = true }, busted)
end)

describe("the cqueues host with several controllers", function()
  local p, said
  setup(function()
    p = assert(platform.start())
    said = outside.run { command = "lua5.4 spec/host/cqueues/controllers.lua", abi = "5.4", platform = p }
  end)
  teardown(function() p:stop() end)

  it("serves one after another, and one inside another", function()
    assert.equal("ok", said.status, said.output)
    assert.equal("record", said.first)
    assert.equal("record", said.second)
    assert.equal("record", said.nested)
  end)

  it("outlives a controller that was dropped while a call of its was in flight", function()
    assert.equal("record", said.after_dropped)
  end)

  it("leaves a descriptor alone that got the number of a closed client's", function()
    assert.equal("true", said.reused)
    assert.equal("written", said.read)
  end)
end)
