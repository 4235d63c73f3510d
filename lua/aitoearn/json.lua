--- Writes JSON for the API: bodies of requests, and records as text.
---
--- lua-cjson decodes; it does not write what the API reads back unchanged: it makes `{}` of an empty array, `\/` of a
--- slash, keeps 14 digits of a number, and orders keys by chance.
---@module "aitoearn.json"

local M = {}

--- lua-cjson's null, which decoded values hold too.
M.null = require("cjson").null

local MAX_DEPTH = 100
local number_type = math.type or function() -- before 5.3 there is one type
  return "float"
end

--- The fields in which the API has arrays: an empty table there is `[]`, elsewhere `{}`.
local ARRAYS = { imgUrlList = true, items = true, media = true, records = true, tasks = true }

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(byte)
  return ESCAPES[byte] or ("\\u%04x"):format(byte:byte())
end

-- `%c` would ask the locale.
local function encode_string(text)
  return '"' .. text:gsub('[%z\1-\31\127"\\]', escape) .. '"'
end

local function encode_number(number)
  if number_type(number) == "integer" then
    return ("%d"):format(number)
  elseif number ~= number or number == math.huge or number == -math.huge then
    return nil
  elseif number % 1 == 0 and math.abs(number) < 2 ^ 63 then
    return ("%.0f"):format(number)
  end
  for digits = 15, 17 do -- the shortest of these that reads back as the same number
    local text = ("%." .. digits .. "g"):format(number)
    if digits == 17 or tonumber(text) == number then
      return (text:gsub("[^%d%-+e]+", ".")) -- the locale's decimal point
    end
  end
end

--- Raises with the path to a value, such as `post.items[2].option`.
local function fail(path, problem)
  error(table.concat(path) .. ": " .. problem, 0)
end

local encode

--- The length of a table that is an array, nil for an object. Raises on one that is neither.
local function array_length(value, path)
  local keys, strings, elements = 0, 0, 0
  for key in next, value do
    keys = keys + 1
    if type(key) == "string" then
      strings = strings + 1
    end
  end
  while rawget(value, elements + 1) ~= nil do
    elements = elements + 1
  end
  if keys == 0 then
    return ARRAYS[path[#path]:sub(2)] and 0 or nil
  elseif strings == keys then
    return nil
  elseif elements == keys then
    return elements
  end
  fail(path, "neither an array without holes nor an object whose keys are strings")
end

--- The keys of an object: those of `order` first, the others sorted.
local function sorted_keys(value, order)
  local keys, others, known = {}, {}, {}
  for _, key in ipairs(order or {}) do
    known[key] = true
    if rawget(value, key) ~= nil then
      keys[#keys + 1] = key
    end
  end
  for key in next, value do
    if not known[key] then
      others[#others + 1] = key
    end
  end
  table.sort(others)
  for _, key in ipairs(others) do
    keys[#keys + 1] = key
  end
  return keys
end

local function encode_table(value, path, order)
  if #path > MAX_DEPTH then
    fail({ path[1] }, ("nests deeper than %d levels, or in itself"):format(MAX_DEPTH))
  end
  local parts, depth = {}, #path + 1
  local length = array_length(value, path)
  if length then
    for i = 1, length do
      path[depth] = "[" .. i .. "]"
      parts[i] = encode(rawget(value, i), path)
    end
  else
    for i, key in ipairs(sorted_keys(value, order)) do
      path[depth] = "." .. key
      parts[i] = encode_string(key) .. ":" .. encode(rawget(value, key), path)
    end
  end
  path[depth] = nil
  return length and "[" .. table.concat(parts, ",") .. "]" or "{" .. table.concat(parts, ",") .. "}"
end

function encode(value, path, order)
  local kind = type(value)
  if kind == "string" then
    return encode_string(value)
  elseif kind == "boolean" then
    return tostring(value)
  elseif kind == "table" then
    return encode_table(value, path, order)
  elseif kind == "number" then
    return encode_number(value) or fail(path, "JSON has neither NaN nor infinities")
  elseif kind == "userdata" and value == M.null then
    return "null"
  end
  fail(path, "JSON has no " .. kind)
end

--- Writes a value as JSON: UTF-8 as it is, numbers so that they read back the same, keys in a fixed order.
---@param value any a cycle, a hole in an array, NaN, an infinity or a function in it raises, with its path
---@param name? string what the paths in messages begin with; default: "value"
---@param order? string[] the keys of the outermost table that come first, such as `core.record_fields`
---@return string
function M.encode(value, name, order)
  return encode(value, { name or "value" }, order)
end

return M
