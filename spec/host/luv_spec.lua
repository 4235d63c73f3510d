--- The host of luv, in luv. Debian: lua5.4 luajit lua-luv lua-cjson.
local check = require "spec.host.loops.check"
local outside = require "spec.host.outside"
local platform = require "spec.platform"
local busted = { it = it, setup = setup, teardown = teardown, assert = assert }

local LUAS = { { command = "lua5.4", abi = "5.4" }, { command = "luajit", abi = "5.1" } }

for _, lua in ipairs(LUAS) do
  describe("the luv host under " .. lua.command, function()
    check({ command = lua.command .. " spec/host/loops/scenarios.lua", abi = lua.abi, loop = "luv" }, busted)
  end)
end

describe("the luv host", function()
  local p
  setup(function() p = assert(platform.start()) end)
  teardown(function() p:stop() end)

  for _, lua in ipairs(LUAS) do
    it("reports an error in a coroutine that it resumed, and goes on, under " .. lua.command, function()
      local said = outside.run { command = lua.command .. " spec/host/luv/error.lua", abi = lua.abi, platform = p }
      assert.equal("ok", said.status, said.output)
      assert.truthy(said.output:find("aitoearn: .*the caller's own mistake"))
      assert.truthy(said.output:find "stack traceback")
      assert.equal("record", said.second)
      assert.equal("record", said.resumed_early)
    end)
  end
end)
