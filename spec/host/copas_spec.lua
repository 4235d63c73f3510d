--- The host of copas, in copas 4. Debian 12 has 1.2 only; later: luajit lua-copas lua-binaryheap lua-socket lua-cjson.
-- It runs under LuaJIT, for which Debian has all that copas needs.
local check = require "spec.host.loops.check"
local outside = require "spec.host.outside"
local platform = require "spec.platform"
local shell = require "spec.platform.shell"

local VERSION = "luajit -e 'package.loaded.timerwheel = require \"spec.host.copas.timerwheel\" "
  .. "io.write(require(\"copas\")._VERSION)'"
local busted = { it = it, setup = setup, teardown = teardown, assert = assert }

describe("the copas host", function()
  local version = shell.run(outside.paths "5.1" .. " " .. VERSION) or "none"
  if tonumber(version:match "^Copas (%d+)" or 0) >= 4 then
    check({ command = "luajit spec/host/loops/scenarios.lua", abi = "5.1", loop = "copas" }, busted)
  else
    pending("needs copas 4 or later, here is " .. version)
  end

  it("refuses an older copas in a sentence", function()
    local p = assert(platform.start())
    local said = outside.run { command = "luajit spec/host/copas/old.lua", abi = "5.1", platform = p }
    p:stop()
    assert.equal("ok", said.status, said.output)
    assert.truthy(said.message:find "host: copas 4 or later expected, this is Copas 1.1.7")
  end)
end)
