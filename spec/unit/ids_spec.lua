local aitoearn = require "aitoearn"
local helper = require "spec.helper"
local shell = require "spec.platform.shell"

describe("aitoearn.ids", function()
  local path

  before_each(function() path = os.tmpname() end)
  after_each(function() os.remove(path) end)

  local function ids_in(text)
    shell.write(path, text)
    local list = {}
    for id in assert(aitoearn.ids(path)) do list[#list + 1] = id end
    return list
  end

  it("reads one id a line, the last one without an end of line too", function()
    assert.same({ "a", "b", "c" }, ids_in "a\nb\nc\n")
    assert.same({ "a", "b", "c" }, ids_in "a\nb\nc")
    assert.same({}, ids_in "")
  end)

  it("takes CRLF, a byte order mark, blank lines and white space for nothing", function()
    assert.same({ "a", "b c", "d" }, ids_in "\239\187\191a\r\n\r\n  \t b c\t\r\n\n \n\r\nd \r\n")
    assert.same({}, ids_in "\239\187\191\r\n \r\n")
  end)

  it("reads an open file, and leaves it open", function()
    shell.write(path, "a\nb\n")
    local file = assert(io.open(path))
    local next_id = aitoearn.ids(file)
    assert.same({ "a", "b" }, { next_id(), next_id() })
    assert.is_nil(next_id())
    assert.is_nil(next_id())
    assert.equal("file", io.type(file))
    file:close()
  end)

  it("closes a file that it opened, at its end", function()
    local before = helper.descriptors()
    assert.same({ "a" }, ids_in "a\n")
    assert.equal(before, helper.descriptors())
  end)

  it("returns nil and io.open's words for a file that cannot be read", function()
    local next_id, problem = aitoearn.ids "/no/such/file"
    assert.is_nil(next_id)
    assert.equal("/no/such/file: No such file or directory", problem)
    next_id, problem = aitoearn.ids "/etc"
    assert.is_nil(next_id)
    assert.truthy(problem:find "^/etc: ")
  end)

  it("raises, blaming the caller, for what is no file", function()
    local closed = io.tmpfile()
    closed:close()
    for got, source in pairs { number = 7, table = {}, ["closed file"] = closed } do
      local message = helper.raised(function() local _ = aitoearn.ids(source) end)
      assert.truthy(message:find("ids_spec.lua:%d+: ids: path or open file expected, got " .. got), message)
    end
  end)

  it("raises where reading on fails, since the end would pass for all", function()
    local lines = { "a" }
    local file = {}
    function file.read()
      local line = table.remove(lines, 1)
      return line, not line and "Input/output error" or nil
    end
    local next_id = aitoearn.ids(file)
    assert.equal("a", next_id())
    assert.truthy(helper.raised(next_id):find("ids: Input/output error", 1, true))
  end)

  it("holds one line of a big file", function()
    local file = assert(io.open(path, "w"))
    local block = ("6877a1b2c3d4e5f601234567\n"):rep(1000)
    for _ = 1, 200 do file:write(block) end
    file:close()
    collectgarbage()
    local next_id, count, before, most = aitoearn.ids(path), 0, collectgarbage "count", 0
    while next_id() do
      count = count + 1
      if count % 20000 == 0 then
        collectgarbage()
        most = math.max(most, collectgarbage "count" - before)
      end
    end
    assert.equal(200000, count)
    assert.is_true(most < 100, most)
  end)
end)
