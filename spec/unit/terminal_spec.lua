--- What C asks of the system for the command.
local core = require "aitoearn.core"
local shell = require "spec.platform.shell"

describe("terminal", function()
  it("knows no terminal in a file", function()
    local file = assert(io.open("Makefile"))
    assert.is_false(core.is_terminal(99))
    assert.is_nil(core.terminal_size(99))
    file:close()
  end)

  it("says whose an open file is and who may do what with it", function()
    local path = os.tmpname()
    for _, mode in ipairs { "600", "644", "666" } do
      assert(shell.run("chmod " .. mode .. " " .. path))
      local file = assert(io.open(path))
      local bits, owner, user = core.file_status(file)
      file:close()
      assert.equal(tonumber(mode, 8), bits)
      assert.same({ tonumber(shell.run "id -u"), tonumber(shell.run "id -u") }, { owner, user })
    end
    os.remove(path)
  end)

  it("refuses what is no open file", function()
    local file = assert(io.open("Makefile"))
    file:close()
    assert.is_false(pcall(core.file_status, file))
    assert.is_false(pcall(core.file_status, "Makefile"))
    assert.is_false(pcall(core.file_status))
  end)

  it("fails to read what is not open", function()
    local bytes, problem = core.read_available(-1, 0)
    assert.truthy(bytes == false or (bytes == nil and type(problem) == "string"))
    assert.is_nil((core.read_available(99, 0)))
    assert.is_false(core.is_hung_up(99))
  end)
end)
