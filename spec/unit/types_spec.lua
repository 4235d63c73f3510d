--- Holds the constants in types.lua against those that the C part registers.
local core = require "aitoearn.core"
local shell = require "spec.platform.shell"

local types = assert(shell.read "lua/aitoearn/types.lua")

--- The text of an alias.
local function alias(name)
  return assert(types:match("%-%-%-@alias aitoearn%." .. name .. "%f[%W](.-)\n\n"), name)
end

local function values(constants)
  local list = {}
  for _, value in pairs(constants) do list[#list + 1] = value end
  table.sort(list)
  return list
end

describe("types.lua", function()
  it("has each status with its number and name", function()
    local statuses = {}
    for number, name in alias("Status"):gmatch "%-%-%-| (%-?%d+) +# ([A-Z_]+):" do statuses[name] = tonumber(number) end
    local expected = {}
    for name, number in pairs(core.status) do expected[name] = number end
    assert.same(expected, statuses)
  end)

  for name, constants in pairs {
    AccountType = core.account_type, RecordType = core.record_type, LinkStatus = core.link_status, Source = core.source,
  } do
    it("has each value of " .. name, function()
      local list = {}
      for value in alias(name):gmatch '"([%w_]+)"' do list[#list + 1] = value end
      table.sort(list)
      assert.same(values(constants), list)
    end)
  end
end)
