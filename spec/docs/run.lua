--- `make docs`: the README, the other documents and a reference, as HTML pages.
--
--    lua spec/docs/run.lua FOLDER
--
-- The reference comes from the comments in the code (read.lua), what users call first, the rest apart. Everything is
-- written as Markdown and rendered by cmark-gfm.
local core = require "aitoearn.core"
local html = require "spec.docs.html"
local read = require "spec.docs.read"
local shell = require "spec.platform.shell"

-- The public reference: files whose functions are public, and classes by name, wherever they stand. `%` stands for more.
local PUBLIC = {
  { name = "module", title = "aitoearn", files = { "lua/aitoearn/init.lua" }, constants = true },
  { name = "client", title = "Client", classes = { "aitoearn.Client", "aitoearn.Iterator", "aitoearn.Task" } },
  { name = "options", title = "Options",
    classes = { "aitoearn.Options", "aitoearn.%u%l+Options", "aitoearn.Filter", "aitoearn.Response" } },
  { name = "record", title = "Record",
    classes = { "aitoearn.Record", "aitoearn.Verdicts", "aitoearn.ErrorData", "aitoearn.Flow%a*" } },
  { name = "post", title = "Post", classes = { "aitoearn.Post%a*", "aitoearn.UserAction" } },
  { name = "error", title = "Error", classes = { "aitoearn.Error", "aitoearn.ErrorKind", "aitoearn.Attempt" } },
  { name = "events", title = "Events and counters",
    classes = { "aitoearn.%a*Event", "aitoearn.Stats", "aitoearn.Latency", "aitoearn.EndpointHealth" } },
  { name = "hosts", title = "Hosts", files = { "lua/aitoearn/host/init.lua", "lua/aitoearn/host/loop.lua" },
    classes = { "aitoearn.Host", "aitoearn.LoopDriver" } },
  { name = "sharing", title = "Sharing", files = { "lua/aitoearn/share/init.lua", "lua/aitoearn/share/redis.lua" },
    classes = { "aitoearn.Share%a*", "aitoearn.Store%a*" } },
  { name = "testing", title = "Testing", files = { "lua/aitoearn/testing/init.lua" },
    classes = { "aitoearn.testing.Options", "aitoearn.testing.Client", "aitoearn.testing.Reaction", "aitoearn.testing.Answer",
      "aitoearn.testing.Request" } },
}

local DOCUMENTS = { -- beside README.md, which is the front page
  { "README.zh-CN.md", "中文" }, { "lua/aitoearn/command/README.md", "The command" },
  { "lua/aitoearn/host/README.md", "Hosts" }, { "lua/aitoearn/share/README.md", "Sharing" },
  { "lua/aitoearn/testing/README.md", "Testing your own code" },
  { "examples/fleet/README.md", "A fleet of followers" }, { "src/README.md", "How it is built" },
  { "spec/README.md", "The map of spec/" }, { "spec/platform/README.md", "The local platform" },
  { "spec/bench/README.md", "Performance" }, { "spec/faults/README.md", "Faults" }, { "CHANGELOG.md", "Changes" },
  { ".github/CONTRIBUTING.md", "Contributing" }, { ".github/SECURITY.md", "Reporting a weakness" },
}

local OBJECTS = { ["aitoearn.Client"] = "client", ["aitoearn.Task"] = "task", ["aitoearn.Iterator"] = "iterator" }

local function cell(text)
  return (text:gsub("\n", " "):gsub("|", "\\|"))
end

local function code(text)
  return text == "" and "" or "`" .. cell(text) .. "`"
end

--- Rows of name, type and words; what is returned has no names.
local function rows(out, title, list)
  if list[1] then
    local has_names = list[1].name ~= nil
    out[#out + 1] = ("\n| %s | %s|\n|---|---|%s"):format(title, has_names and "type | " or "", has_names and "---|" or "")
    for _, row in ipairs(list) do
      local name = has_names and "| " .. code((row.name:gsub("%?$", ""))) .. " " or ""
      out[#out + 1] = ("%s| %s | %s |"):format(name, code(row.type), cell(row.words))
    end
  end
end

---@param item spec.docs.Item
---@param module string? what its functions are called by
local function heading(item, module)
  if item.kind ~= "function" and item.kind ~= "value" then
    return item.name
  elseif item.owner and not item.mark then
    return item.name
  end
  local object = item.owner and (OBJECTS[item.owner] or item.owner:match "[%w_]+$":lower()) or module
  local name = object and object .. (item.mark or ".") .. item.name or item.name
  return item.call and ("%s(%s)"):format(name, item.call) or name
end

local function write_item(out, item, module)
  out[#out + 1] = ("\n%s `%s`"):format(item.kind == "class" and "##" or "###", heading(item, module))
  out[#out + 1] = table.concat(item.words, "\n")
  if item.parent then
    out[#out + 1] = ("\nAll of `%s`, and:"):format(item.parent)
  end
  if item.kind == "value" and item.type then
    out[#out + 1] = "\n" .. code(item.type)
  end
  rows(out, "parameter", item.params)
  rows(out, "returns", item.returns)
  rows(out, "field", item.fields)
  for i, value in ipairs(item.values) do
    out[#out + 1] = (i == 1 and "\n" or "") .. "- `" .. value:gsub("%s*#%s*(.*)$", "`: %1"):gsub("([^`])$", "%1")
      .. (value:find "#" and "" or "`")
  end
end

local function write_constants(out)
  out[#out + 1] = "\n## Constants\nRead-only. `pairs` works on them in Lua 5.3 and later."
  for _, name in ipairs { "status", "code", "account_type", "record_type", "link_status", "source" } do
    local list = {}
    for constant, value in pairs(core[name]) do
      list[#list + 1] = { constant, value }
    end
    table.sort(list, function(a, b) return a[2] < b[2] end)
    out[#out + 1] = ("\n### `aitoearn.%s`\n\n| constant | value |\n|---|---|"):format(name)
    for _, pair in ipairs(list) do
      out[#out + 1] = ("| `%s` | %s |"):format(pair[1], type(pair[2]) == "string" and ('`"%s"`'):format(pair[2]) or pair[2])
    end
  end
end

--- Every source file with its comments read, and every class by name.
local function read_sources()
  local files, classes = {}, {}
  for path in assert(shell.run "find lua/aitoearn -name '*.lua' | sort; ls src/*.c"):gmatch "%S+" do
    local file = { path = path }
    file.words, file.items = read[path:match "%a+$"](assert(shell.read(path)))
    files[#files + 1], files[path] = file, file
    for _, item in ipairs(file.items) do
      if item.kind == "class" or item.kind == "alias" then
        item.file, classes[#classes + 1] = file, item
      end
    end
  end
  return files, classes
end

local function module_name(path)
  return (path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."):gsub("^src.(.*)%.c$", "src/%1.c"))
end

--- A class with its methods.
local function write_class(out, class, page)
  class.is_public, class.page = true, page.name
  write_item(out, class)
  for _, item in ipairs(class.file.items) do
    if item.owner == class.name then
      write_item(out, item)
    end
  end
end

local function public_page(page, files, classes)
  local out = { "# " .. page.title }
  for _, path in ipairs(page.files or {}) do
    local file = files[path]
    if file then
      file.is_public = true
      out[#out + 1] = "\n" .. table.concat(file.words, "\n")
      for _, item in ipairs(file.items) do
        if item.kind ~= "class" and item.kind ~= "alias" and not item.owner then
          write_item(out, item, module_name(path))
        end
      end
    end
  end
  for _, pattern in ipairs(page.classes or {}) do
    for _, class in ipairs(classes) do
      if not class.is_public and class.name:find("^" .. pattern:gsub("%.", "%%.", 1) .. "$") then
        write_class(out, class, page)
      end
    end
  end
  if page.constants then
    write_constants(out)
  end
  return out[2] and table.concat(out, "\n")
end

local function internal_page(file)
  local out = { "# " .. module_name(file.path), "\n" .. table.concat(file.words, "\n") }
  local module = module_name(file.path):match "([%w_]+)$"
  local header = shell.read((file.path:gsub("%.c$", ".h")))
  for _, item in ipairs(file.items) do
    if not item.is_public then
      write_item(out, item, module)
    end
  end
  if file.path:find "%.c$" and header then
    out[#out + 1] = ("\n## %s\n\n```c\n%s```"):format(file.path:gsub("%.c$", ".h"), header)
  end
  return table.concat(out, "\n")
end

local function main(folder)
  local version = assert(shell.read "lua/aitoearn/init.lua"):match 'VERSION = "([^"]+)"'
  local files, classes = read_sources()
  local site = html.new(folder .. "/html", "aitoearn " .. version)
  site:page("index", "README.md", assert(shell.read "README.md"), "Guide")
  for _, page in ipairs(PUBLIC) do
    local text = public_page(page, files, classes)
    if text then
      site:page(page.name, page.title, text, "Reference")
    end
  end
  for _, document in ipairs(DOCUMENTS) do
    local text = shell.read(document[1])
    if text then
      site:page(nil, document[2], text, "Documents", document[1])
    end
  end
  for _, class in ipairs(classes) do
    site.anchors[class.name] = class.page and class.page .. ".html#" .. class.name:lower():gsub("%.", "")
  end
  local list = { "# Internals", "", "Not part of the contract: these change without notice.", "", "| file | |", "|---|---|" }
  for _, file in ipairs(files) do
    local name = "internal-" .. module_name(file.path):gsub("[/.]", "-")
    list[#list + 1] = ("| [%s](%s.html) | %s |"):format(module_name(file.path), name, cell(file.words[1] or ""))
    site:page(name, module_name(file.path), internal_page(file))
  end
  site:page("internals", "Internals", table.concat(list, "\n"), "Documents")
  print(("%d pages in %s/html; begin with index.html"):format(site:write(), folder))
end

main(arg[1])
