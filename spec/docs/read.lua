--- Reads the doc comments of a source file: LuaCATS annotations in Lua (`---@param`), `@tparam` and `@treturn` in C.
local M = {}

---@class spec.docs.Item
---@field kind "function"|"value"|"class"|"alias"
---@field name string
---@field words string[] the description, Markdown
---@field owner string? whose method or function it is: the class's name; nil: the module's
---@field call string? how it is called, for a function
---@field params {name: string, type: string, words: string}[]
---@field returns {type: string, words: string}[]
---@field fields {name: string, type: string, words: string}[] of a class
---@field values string[] of an alias, a line each

--- Cuts a type off the front of a text: `fun(a: b): c`, `table<k, v>`, `"a"|"b"` are one each.
---@param text string
---@return string type
---@return string words
local function cut_type(text)
  local depth, at = 0, 1
  while at <= #text do
    local char = text:sub(at, at)
    if char:find "[%(%{<]" then
      depth = depth + 1
    elseif char:find "[%)%}>]" then
      depth = depth - 1
    elseif char == " " and depth == 0 and not text:find("^%s*[:|]", at) and not text:sub(1, at - 1):find "[:|,]$" then
      break
    end
    at = at + 1
  end
  return text:sub(1, at - 1), (text:sub(at + 1):gsub("^# ", "")) -- LuaCATS's mark of a comment
end

--- LDoc's `?type` is LuaCATS's `type?`.
local function optional(kind)
  return (kind:gsub("^%?(.+)$", "%1?"))
end

local TAGS = {
  param = function(item, text)
    local name, rest = text:match "^(%S+)%s*(.*)$"
    local kind, words = cut_type(rest)
    item.params[#item.params + 1] = { name = name, type = kind, words = words }
    return item.params
  end,
  tparam = function(item, text)
    local kind, rest = cut_type(text)
    local name, words = rest:match "^(%S+)%s*(.*)$"
    local mark = kind:find "^%?" and "?" or ""
    item.params[#item.params + 1] = { name = name .. mark, type = optional(kind), words = words }
    return item.params
  end,
  ["return"] = function(item, text)
    local kind, words = cut_type(text)
    item.returns[#item.returns + 1] = { type = kind, words = words }
    return item.returns
  end,
  field = function(item, text)
    if text:find "^private " then
      return nil
    end
    local name, rest = text:match "^(%S+)%s*(.*)$"
    local kind, words = cut_type(rest)
    item.fields[#item.fields + 1] = { name = name, type = kind, words = words }
    return item.fields
  end,
  type = function(item, text)
    item.type = text
  end,
  ["function"] = function(item, text)
    item.kind, item.name = "function", text:match "%S+"
  end,
  class = function(item, text)
    text = text:gsub("^%b()%s*", "") -- (exact)
    item.kind, item.name, item.parent = "class", text:match "^[%w_.]+", text:match ":%s*([%w_.]+)"
  end,
  alias = function(item, text)
    item.kind, item.name = "alias", text:match "^[%w_.]+"
    item.values[1] = text:match "^[%w_.]+%s+(.+)$"
  end,
}
TAGS.treturn = TAGS["return"]

---@param block string[] comment lines without their marks
---@return spec.docs.Item
local function read_block(block)
  local item = { words = {}, params = {}, returns = {}, fields = {}, values = {} }
  local list
  for _, line in ipairs(block) do
    local tag, text = line:match "^%s*@(%w+)%s*(.*)$"
    if tag then
      list = TAGS[tag] and TAGS[tag](item, text)
    elseif line:find "^%s*|" then
      item.values[#item.values + 1] = line:match "^%s*|%s*(.*)$"
    elseif list and line:find "%S" then -- a tag's words may go on
      list[#list].words = list[#list].words .. " " .. line:match "^%s*(.-)%s*$"
    elseif not list then
      item.words[#item.words + 1] = line
    end
  end
  return item
end

--- `id, opts` with those that may be left out in brackets.
local function parameters(item, given)
  local marked = {}
  for _, param in ipairs(item.params) do
    marked[param.name:match "^[%w_.]+" or ""] = param.name:find "%?$" ~= nil
  end
  local text = ""
  for name in given:gmatch "[%w_.]+" do
    local word = (text == "" and "" or ", ") .. name
    text = text .. (marked[name] and (text == "" and "[" or " [") .. word .. "]" or word)
  end
  return text
end

--- Finds out from the line after a comment what it describes.
local function place(item, code, classes)
  if item.kind == "class" then
    local variable = code:match "^local (%u%w*)"
    if variable then
      classes[variable] = item.name
    end
    return true
  elseif item.kind then
    return true
  end
  local owner, mark, name, given = code:match "^function ([%w_]+)([.:])([%w_]+)%s*(%b())"
  if not owner then
    owner, name = code:match "^([%w_]+)%.([%w_]+)%s*="
  end
  if not name or name:find "^__" then
    return false
  end
  item.kind, item.name, item.variable, item.mark = given and "function" or "value", name, owner, mark
  item.call = given and parameters(item, given)
  return true
end

---@param text string a Lua file
---@return string[] words the module's description
---@return spec.docs.Item[] items
function M.lua(text)
  local words, items, block, classes = nil, {}, {}, {}
  local module = text:match "\nreturn ([%w_]+)%s*$"
  for line in (text .. "\n"):gmatch "(.-)\n" do
    local comment = line:match "^%-%-%-?(.*)$"
    if comment then
      block.is_doc = block.is_doc or (#block == 0 and line:find "^%-%-%-" ~= nil)
      block[#block + 1] = (comment:gsub("^ ", ""))
    elseif #block > 0 then
      if block.is_doc then
        local item = read_block(block)
        if place(item, line, classes) then
          items[#items + 1] = item
        elseif not words and not line:find "^local function" then
          words = item.words
        end
      end
      block = {}
    end
  end
  for i = #items, 1, -1 do
    local item = items[i]
    item.owner = classes[item.variable]
    if item.variable and not item.owner and item.variable ~= module then
      table.remove(items, i) -- of a table that nobody outside sees
    end
  end
  return words or {}, items
end

---@param text string a C file
---@return string[] words
---@return spec.docs.Item[] items
function M.c(text)
  local function lines(comment)
    local block = {}
    for line in (comment .. "\n"):gmatch "(.-)\n" do
      block[#block + 1] = (line:gsub("^%s*%*? ?", "", 1))
    end
    return block
  end
  local items = {}
  for comment in text:gmatch "/%*%*%s(.-)%*/" do
    local item = read_block(lines(comment))
    if item.kind == "function" then
      local names = {}
      for i, param in ipairs(item.params) do
        names[i] = param.name:match "^[%w_.]+"
      end
      item.call = parameters(item, table.concat(names, " "))
      items[#items + 1] = item
    end
  end
  return lines(text:match "^/%*%s*[%w_]+%.[ch]: (.-)%*/" or ""), items
end

return M
