--- `make docs`: the reference as HTML pages, by LDoc, from the comments in the code.
--
--    lua spec/docs/run.lua FOLDER
--
-- Editors read the annotations of LuaCATS (`---@param name type words`), LDoc has tags of its own (`@tparam type name
-- words`): LDoc gets a copy of the sources, in FOLDER/source, with the one written as the other.
local shell = require "spec.platform.shell"

--- Cuts a type off the front of a text: `fun(a: b): c`, `table<k, v>`, `"a"|"b"` are one each. LDoc wants no spaces.
---@return string type
---@return string rest
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
  local kind = text:sub(1, at - 1):gsub("%s", ""):gsub("fun%b():?[%w_.%?%[%]]*", "function"):gsub("%b<>", "")
  return (kind:gsub("^(.-)%?$", "?%1")), text:sub(at + 1)
end

local translate = {
  param = function(text)
    local name, rest = text:match "^(%S+)%s*(.*)$"
    local kind, words = cut_type(rest)
    local optional = name:match "^(.-)%?$"
    return ("@tparam %s%s %s %s"):format(optional and not kind:find "^%?" and "?" or "", kind, optional or name, words)
  end,
  ["return"] = function(text)
    local kind, words = cut_type(text)
    return ("@treturn %s %s"):format(kind, words)
  end,
  field = function(text)
    local name, rest = text:gsub("^private ", ""):match "^(%S+)%s*(.*)$"
    local kind, words = cut_type(rest)
    return ("@tfield %s %s %s"):format(kind, name, words)
  end,
}

-- What says nothing to LDoc.
local SILENT = { meta = true, alias = true, type = true }

--- A block of comment lines that holds annotations.
---@param block string[]
---@param code string the line after it
---@return string[]
local function translate_block(block, code)
  local words, tags, class = {}, {}, nil
  for _, line in ipairs(block) do
    local tag, text = line:match "^%s*%-%-%-?%s*@(%w+)%s*(.*)$"
    if tag == "class" then
      class = text:match "^[%w_.]+"
    elseif tag and not SILENT[tag] then
      tags[#tags + 1] = "-- " .. (translate[tag] and translate[tag](text) or "@" .. tag .. " " .. text)
    elseif not tag and not line:find "^%s*%-%-%-|" then
      local list = #tags > 0 and tags or words -- a tag's words may go on
      list[#list + 1] = (line:gsub("^(%s*)%-%-%-?", "%1--"))
    end
  end
  local is_object = class and code:find "^local %u" -- its fields are nobody's but the code's
  if class then
    table.insert(words, "-- " .. (is_object and "@type " or "@table ") .. class)
  end
  for _, tag in ipairs(is_object and {} or tags) do
    words[#words + 1] = tag
  end
  if words[1] then
    words[1] = words[1]:gsub("^(%s*)%-%-", "%1---", 1)
  end
  return words
end

local function translate_lua(text)
  local out, block = {}, {}
  for line in (text .. "\n"):gmatch "(.-)\n" do
    if line:find "^%s*%-%-" then
      block[#block + 1] = line
    else
      if table.concat(block, "\n"):find "%-%-%-%s*@" then
        block = translate_block(block, line)
      end
      for _, comment in ipairs(block) do
        out[#out + 1] = comment
      end
      block = {}
      out[#out + 1] = line
    end
  end
  return table.concat(out, "\n")
end

local function translate_c(text, name)
  local what = text:match "^/%*%s*[%w_]+%.c: (.-)%*/" or ""
  return ("/** %s\n@module aitoearn.core.%s */\n"):format(what:gsub("\n %*", "\n"), name) .. text
end

local CONFIGURATION = [[
project = "aitoearn"
title = "aitoearn for Lua %s"
description = "Client for AiToEarn's publish records"
format = "markdown"
file = { "lua", "src" }
merge = true
sort_modules = true
]]

local function main(folder)
  local source = folder .. "/source"
  assert(shell.run(("rm -rf %s && mkdir -p %s/lua/aitoearn/host %s/src"):format(source, source, source)))
  for path in assert(shell.run "ls lua/aitoearn/*.lua lua/aitoearn/host/*.lua"):gmatch "%S+" do
    shell.write(source .. "/" .. path, translate_lua(assert(shell.read(path))))
  end
  for _, name in ipairs { "constants", "datetime", "engine", "envelope", "transfer", "url" } do
    local path = ("src/%s.c"):format(name)
    shell.write(source .. "/" .. path, translate_c(assert(shell.read(path)), name))
  end
  local version = assert(shell.read "lua/aitoearn/init.lua"):match 'VERSION = "([^"]+)"'
  shell.write(source .. "/config.ld", CONFIGURATION:format(version))
  local output, err = shell.run(("cd %s && ldoc --fatalwarnings -d ../html ."):format(source))
  io.write(output or err, "\n")
  os.exit(output and 0 or 1)
end

main(arg[1])
