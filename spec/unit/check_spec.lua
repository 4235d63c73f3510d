local check = require "aitoearn.check"
local helper = require "spec.helper"

describe("check.checked", function()
  local function raises() error("option: wrong", 0) end

  it("returns what the function returns", function()
    assert.same({ 1, nil, 3 }, { check.checked(2, function(...) return ... end, 1, nil, 3) })
  end)

  it("blames the caller for what it raises", function()
    local function method() return (check.checked(2, raises)) end
    local line = debug.getinfo(1, "l").currentline + 1
    local message = helper.raised(function() method() end)
    assert.truthy(message:find(("check_spec.lua:%d: option: wrong"):format(line), 1, true), message)
  end)

  it("raises what is no text as it is", function()
    local raised = {}
    local ok, value = pcall(check.checked, 1, function() error(raised) end)
    assert.is_false(ok)
    assert.equal(raised, value)
  end)
end)

describe("check.ids", function()
  local function all(ids)
    local list = {}
    for id in check.ids(ids) do list[#list + 1] = id end
    return list
  end

  local function counter()
    local i = 0
    return function()
      i = i + 1
      if i <= 2 then return "id" .. i, "more" end
    end
  end

  it("takes an array, a function and what can be called like one", function()
    assert.same({ "a", "b" }, all { "a", "b" })
    assert.same({}, all {})
    assert.same({ "id1", "id2" }, all(counter()))
    local next_id = counter()
    assert.same({ "id1", "id2" }, all(setmetatable({}, { __call = function() return next_id() end })))
  end)

  it("drops an iterator's further values", function()
    assert.same({ "id1" }, { check.ids(counter())() })
  end)

  it("takes a table with any other metatable for an array", function()
    assert.same({ "a" }, all(setmetatable({ "a" }, { __index = {} })))
    assert.same({ "a" }, all(setmetatable({ "a" }, { __metatable = "hidden" })))
  end)

  it("names what is none of them", function()
    for _, value in ipairs { "a", 7, true } do
      local next_id, expected = check.ids(value)
      assert.is_nil(next_id)
      assert.equal("array or iterator expected, got " .. type(value), expected)
    end
  end)
end)

describe("check.id_problem", function()
  it("is nil for any text that the API's page allows", function()
    for _, id in ipairs { "6877a1b2c3d4e5f601234567", "x", " a ", "a/b", ("x"):rep(256), "…" } do
      assert.is_nil(check.id_problem(id))
    end
  end)

  it("says why a value can be no record's id", function()
    for _, id in ipairs { "", ("x"):rep(257), "a\n", "a\0", ".", "..", "queued", "published", "public", 7, {}, true } do
      assert.is_string(check.id_problem(id))
    end
    assert.is_string(check.id_problem(nil))
  end)
end)
