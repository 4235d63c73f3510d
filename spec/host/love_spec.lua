--- LÖVE under Xvfb: the frame loop, and the example scene. Debian: love xvfb xauth lua-cjson.
local outside = require "spec.host.outside"
local platform = require "spec.platform"
local shell = require "spec.platform.shell"

local LOVE = "xvfb-run -a -s '-screen 0 960x540x24' love "

describe("in LÖVE", function()
  local p
  setup(function() p = assert(platform.start()) end)
  teardown(function() p:stop() end)

  describe("client:poll(0) a frame", function()
    local said
    setup(function() said = outside.run { command = LOVE .. "spec/host/love", abi = "5.1", platform = p } end)

    it("moves a batch, a wait and a cancelled task on to their ends", function()
      assert.equal("ok", said.status, said.output)
      assert.equal("blocking", said.host)
      assert.equal("100", said.good)
      assert.equal("1", said.live)
      assert.equal("cancelled", said.cancelled)
      assert.equal("0", said.left)
    end)

    it("keeps no frame waiting while 100 calls are in flight", function()
      assert.is_true(tonumber(said.frames_in_flight) >= 5, said.frames_in_flight)
      assert.is_true(tonumber(said.median_poll_ms) < 2, said.median_poll_ms)
    end)
  end)

  it("the example shows records going live, and takes its picture", function()
    local picture = assert(shell.run "mktemp")
    local said = outside.run {
      command = LOVE .. "examples/love 'life:0:1~love' 'life:0:0:-1~love' 'life:9:9~love' code:15000", abi = "5.1",
      platform = p,
      env = { AITOEARN_LOVE_PICTURE = picture, AITOEARN_LOVE_SECONDS = "3", AITOEARN_LOVE_FAST = "1" },
    }
    local png = shell.read(picture)
    os.remove(picture)
    assert.equal("ok", said.status, said.output)
    assert.truthy(said.output:find "%d+ frames, worst frame [%d.]+ ms, worst poll [%d.]+ ms")
    assert.equal("\137PNG\r\n\26\n", png:sub(1, 8))
    local asked = {}
    for _, request in ipairs(p:requests()) do
      asked[#asked + 1] = request.uri
    end
    assert.truthy(table.concat(asked, " "):find("life%%3A9%%3A9~love", 1, false))
  end)
end)
