--- Holds what the code registers, what an editor is told (lua/aitoearn/types.lua), and the README against each other.
local aitoearn = require "aitoearn"
local core = require "aitoearn.core"
local options = require "aitoearn.options"
local shell = require "spec.platform.shell"

local types, readme = assert(shell.read "lua/aitoearn/types.lua"), assert(shell.read "README.md")

local function sorted(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- The fields that types.lua gives a class; `functions`: only those that are, or are not, functions.
local function fields(class, functions)
  local set = {}
  local body = assert((types .. "\n"):match("%-%-%-@class aitoearn%." .. class .. "%f[^%w][^\n]*\n(.-)\n\n"), class)
  for name, kind in body:gmatch "%-%-%-@field ([%w_]+) (%S+)" do
    local is_function = kind:find "^fun%(self" ~= nil
    if functions == nil or functions == is_function then set[name] = true end
  end
  return sorted(set)
end

--- The text of a section of the README.
local function section(title)
  local text = (readme .. "\n## "):match("\n## " .. title .. "\n(.-)\n## ")
  return assert(text, title)
end

--- What stands in code marks in the first cells of a section's table rows.
local function first_cells(text)
  local set = {}
  for cell in text:gmatch "\n| ([^|]*)|" do
    for word in cell:gmatch "`([^`]+)`" do set[word] = true end
  end
  return set
end

local function methods_of(object)
  local set = {}
  for name in pairs(debug.getmetatable(object).__index) do set[name] = true end
  return sorted(set)
end

describe("types.lua", function()
  it("knows the methods that the C part registers", function()
    local engine = core.engine { origins = 1, max_connections = 1, max_response_bytes = 1, user_agent = "spec" }
    assert.same(methods_of(engine), fields("Engine", true))
    assert.same(methods_of(engine:timer(0)), fields("Transfer", true))
    engine:close()
  end)

  it("knows each option of new", function()
    assert.same(options.names, fields "Options")
  end)

  it("knows a record's methods, and the fields that the decoder knows", function()
    local verdicts, decoder = {}, {}
    for name in pairs(aitoearn.verdicts) do verdicts[name] = true end
    assert.same(sorted(verdicts), fields "Verdicts")
    for _, name in ipairs(core.record_fields) do decoder[name] = true end
    assert.same(sorted(decoder), fields("Record", false))
  end)
end)

describe("the README", function()
  it("has a row for each option of new", function()
    assert.same(options.names, sorted(first_cells(section "Options")))
  end)

  it("lists each public method of a client", function()
    local listed, missing = section "Calls" .. section "Publishing, lists and flows", {}
    local client = aitoearn.new { api_key = "k" }
    local internal = { emit = true, run_hook = true }
    for name, value in pairs(getmetatable(client)) do
      local is_public = type(value) == "function" and not name:find "^__" and not internal[name]
      if is_public and not listed:find("`client:" .. name .. "(", 1, true) and not listed:find("`" .. name .. "(", 1, true) then
        missing[#missing + 1] = name
      end
    end
    client:close()
    assert.same({}, missing)
  end)

  it("names everything that the module has", function()
    for name in pairs(aitoearn) do
      assert.truthy(readme:find("aitoearn." .. name, 1, true) or section "The record":find("`" .. name .. "`", 1, true), name)
    end
  end)

  it("names a record's methods and fields", function()
    local text = section "The record"
    for _, name in ipairs(fields("Record", false)) do assert.truthy(text:find("`" .. name .. "`", 1, true), name) end
    for _, name in ipairs(fields "Verdicts") do assert.truthy(text:find(name .. "(", 1, true), name) end
  end)

  it("lists each status and each code", function()
    for name in pairs(core.status) do assert.truthy(section "The record":find("| `" .. name .. "` |", 1, true), name) end
    for name in pairs(core.code) do
      assert.truthy(name == "SUCCESS" or section "Errors":find("`" .. name .. "`", 1, true), name)
    end
  end)

  it("lists an error's kinds and fields", function()
    local cells = first_cells(section "Errors")
    local kinds = types:match "@alias aitoearn.ErrorKind\n(.-)\n\n"
    for kind in kinds:gmatch '"(%l+)"' do assert.is_true(cells[kind], kind) end
    for _, name in ipairs(fields "Error") do assert.is_true(cells[name], name) end
  end)

  it("shows a version that is the rockspec's", function()
    assert.truthy(shell.read("aitoearn-" .. aitoearn.version .. "-1.rockspec"))
    assert.truthy(shell.read("CHANGELOG.md"):find("\n## " .. aitoearn.version .. "\n", 1, true))
  end)
end)

describe("the documents", function()
  local list = assert(shell.run "find . -path ./build -prune -o -name '*.md' -print")

  it("link to files that exist", function()
    local broken = {}
    for path in list:gmatch "[^\n]+" do
      local folder = path:match "^(.*/)" or ""
      for target in (shell.read(path) or ""):gmatch "%]%(([^)#]+)[^)]*%)" do
        if not target:find "^%a+:" and not shell.run("test -e " .. shell.quote(folder .. target)) then
          broken[#broken + 1] = path .. ": " .. target
        end
      end
    end
    assert.same({}, broken)
  end)
end)

describe("README.zh-CN.md", function()
  local chinese = (shell.read "README.zh-CN.md" or ""):gsub("\r", "")

  --- What stands in code marks in a text, and its numbers, each once.
  local function facts(text)
    local set = {}
    text = text:gsub("%b[]%b()", function(link) return link:match "^%[(.*)%]" end)
    for word in text:gmatch "`([^`]+)`" do set[word] = true end
    for number in text:gsub("`[^`]*`", ""):gmatch "%f[%w.]%d[%d.,]*%f[^%d]" do set[number:gsub("[.,]$", "")] = true end
    return table.concat(sorted(set), " ")
  end

  --- What both languages must have in common: levels of headings, code without comments, and the facts of each table's row
  --- and of the text below each heading.
  local function skeleton(text)
    local headings, code, rows, prose, in_code = {}, {}, {}, { "" }, false
    for line in text:gmatch "[^\n]+" do
      if line:find "^```" then
        in_code = not in_code
        code[#code + 1] = line
      elseif in_code then
        code[#code + 1] = line:gsub("%s*%-%- .*$", ""):gsub("%s+# .*$", "")
      elseif line:find "^#" then
        headings[#headings + 1] = line:match "^#+"
        prose[#prose + 1] = ""
      elseif line:find "^|" then
        rows[#rows + 1] = facts(line)
      else
        prose[#prose] = prose[#prose] .. " " .. line
      end
    end
    for i, paragraph in ipairs(prose) do prose[i] = facts(paragraph) end
    return { headings = headings, code = code, rows = rows, prose = prose }
  end

  it("has the headings, the code, the tables' rows and the facts of README.md", function()
    local english, its = skeleton(readme), skeleton(chinese)
    for _, part in ipairs { "headings", "code", "rows", "prose" } do assert.same(english[part], its[part]) end
  end)

  it("links to its own headings", function()
    for anchor in chinese:gmatch "%]%(#([^)]*)%)" do
      local found = false
      for heading in chinese:gmatch "\n#+ ([^\n]*)" do
        found = found or heading:lower():gsub("[，、。]", ""):gsub(" ", "-") == anchor
      end
      assert.is_true(found, anchor)
    end
  end)
end)
