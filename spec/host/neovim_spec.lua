--- Neovim, headless: the luv host, found by itself, and the example plugin. Debian: neovim lua-cjson.
local check = require "spec.host.loops.check"
local outside = require "spec.host.outside"
local platform = require "spec.platform"

local busted = { it = it, setup = setup, teardown = teardown, assert = assert }

local function nvim(file)
  return ("nvim --headless -u NONE -i NONE -c 'luafile %s' -c 'qa!'"):format(file)
end

describe("in Neovim", function()
  check({ command = nvim "spec/host/loops/scenarios.lua", abi = "5.1", loop = "neovim" }, busted)
end)

describe("in Neovim", function()
  local p
  setup(function() p = assert(platform.start()) end)
  teardown(function() p:stop() end)

  describe("results", function()
    local said
    setup(function() said = outside.run { command = nvim "spec/host/neovim/context.lua", abi = "5.1", platform = p } end)

    it("come through Neovim's own loop, without an option", function()
      assert.equal("yes", said.finished, said.output)
      assert.equal("luv", said.host)
    end)

    it("arrive where the API may be called", function()
      for _, name in ipairs { "on_done", "after_retry", "wait", "on_change", "fast_after" } do
        assert.equal("yes", said[name], name)
      end
      assert.equal("true", said.fast_before)
    end)

    it("wait while the editor is busy, and all come afterwards", function()
      assert.equal("0", said.while_busy)
      assert.equal("20", said.after_busy)
    end)

    it("and errors that nobody can catch are shown", function()
      assert.truthy(said.notified:find "aitoearn: .*a mistake of the plugin's")
    end)
  end)

  describe("the example plugin", function()
    local said
    setup(function() said = outside.run { command = nvim "spec/host/neovim/plugin.lua", abi = "5.1", platform = p } end)

    it("shows a record, or what is wrong, in a window that q closes", function()
      for _, name in ipairs { "asking", "shown", "error", "closed" } do
        assert.equal("true", said[name], name .. ": " .. said.output)
      end
    end)

    it("follows records in its panel until they are settled", function()
      for _, name in ipairs { "publishing", "published", "failed", "user_action" } do
        assert.equal("true", said[name], name)
      end
    end)

    it("counts them in the statusline", function()
      assert.equal("true", said.statusline_at_rest)
      assert.truthy(said.statusline:find "0 live .* 3 on their way")
      assert.equal("true", said.statusline_after)
    end)
  end)
end)
