--- Publish records made at random from the API page's schema: the JSON text of the answer, and the table that it must
-- become. The same seed makes the same record, on every Lua.
-- @module spec.integration.random_record
local null = require "cjson".null

local M = {}

M.required = { "id", "accountType", "type", "status", "publishTime" }

-- Park and Miller's generator: exact in doubles, so that Lua 5.1 and 5.4 agree.
local function generator(seed)
  local state = seed % 2147483646 + 1
  local function below(n)
    state = state * 16807 % 2147483647
    return math.floor(state / 2147483647 * n)
  end
  for _ = 1, 5 do below(2) end
  return below
end

local function utf8_char(c)
  if c < 0x80 then return string.char(c) end
  local bytes, first = {}, c < 0x800 and 0xC0 or c < 0x10000 and 0xE0 or 0xF0
  local count = c < 0x800 and 1 or c < 0x10000 and 2 or 3
  for i = count, 1, -1 do
    bytes[i] = string.char(0x80 + c % 64)
    c = math.floor(c / 64)
  end
  return string.char(first + c) .. table.concat(bytes)
end

local ESCAPES = { [8] = "\\b", [9] = "\\t", [10] = "\\n", [12] = "\\f", [13] = "\\r", [34] = '\\"', [92] = "\\\\" }

local function unit(code) return ("\\u%04x"):format(code) end

-- The JSON of one character: itself, a short escape, or \uXXXX (in pairs beyond the first plane).
local function json_char(c, way)
  if ESCAPES[c] and way ~= 2 then return ESCAPES[c] end
  if c == 0x2F and way == 1 then return "\\/" end
  if c >= 0x20 and c ~= 34 and c ~= 92 and way ~= 2 then return utf8_char(c) end
  if c < 0x10000 then return unit(c) end
  c = c - 0x10000
  return unit(0xD800 + math.floor(c / 1024)) .. unit(0xDC00 + c % 1024)
end

local EDGES = { 1, 0x1F, 0x20, 0x22, 0x2F, 0x5C, 0x7F, 0x80, 0x7FF, 0x800, 0x2028, 0xD7FF, 0xE000, 0xFEFF, 0xFFFD, 0xFFFF,
  0x10000, 0x1F338, 0x10FFFF }

local function char_of(below)
  local kind = below(6)
  if kind == 0 then return EDGES[below(#EDGES) + 1] end
  if kind == 1 then return 0x4E00 + below(0x5000) end
  if kind == 2 then return 0x1F300 + below(0x300) end
  if kind == 3 then return 1 + below(0x7F) end
  return 0x20 + below(0x5F)
end

-- lua-cjson 2.1 drops NUL bytes' followers before decoding only where they are raw: \u0000 is text like any other.
local function string_of(below, most)
  local value, text = {}, {}
  for i = 1, below(4) == 0 and 0 or below(most or 40) do
    local c = below(200) == 0 and 0 or char_of(below)
    value[i], text[i] = utf8_char(c), json_char(c, c == 0 and 2 or below(4))
  end
  return table.concat(value), '"' .. table.concat(text) .. '"'
end

local NUMBERS = {
  "0", "-0", "1", "-1", "0.5", "-2.25", "1e3", "1E+2", "25e-2", "9007199254740991", "-9007199254740991", "9007199254740992",
  "9007199254740993", "18446744073709551615", "4294967296", "2147483648", "1e15", "1e16", "1e308", "-1e308",
  "1.7976931348623157e308", "5e-324", "2.2250738585072014e-308", "0.1", "3.141592653589793", "123456789012.345", "1.0",
}

local function number_of(below)
  local text = below(2) == 0 and tostring(below(100000) - 50000) or NUMBERS[below(#NUMBERS) + 1]
  return tonumber(text .. (text:find "[.eE]" and "" or ".0")), text
end

local free -- a value of any kind

local function object_of(below, depth)
  local value, parts = {}, {}
  for i = 1, below(depth > 6 and 2 or 4) do
    local name, name_text = string_of(below, 12)
    name, name_text = i .. name, '"' .. i .. name_text:sub(2) -- no key twice, and none that is a number in Lua
    local member, text = free(below, depth + 1)
    value[name], parts[#parts + 1] = member, name_text .. ":" .. text
  end
  return value, "{" .. table.concat(parts, ",") .. "}"
end

local function array_of(below, depth)
  local value, parts = {}, {}
  for i = 1, below(4) do
    value[i], parts[i] = free(below, depth + 1)
  end
  return value, "[" .. table.concat(parts, ",") .. "]"
end

function free(below, depth)
  local kind = below(depth > 20 and 4 or 7)
  if kind == 0 then return string_of(below) end
  if kind == 1 then return number_of(below) end
  if kind == 2 then return below(2) == 0, nil end
  if kind == 3 then return null, "null" end
  if kind == 4 then return array_of(below, depth) end
  return object_of(below, depth)
end

do -- booleans need their text made of the value
  local any = free
  function free(below, depth)
    local value, text = any(below, depth)
    return value, text or tostring(value)
  end
end

local function one_of(list)
  return function(below)
    if below(4) == 0 then return string_of(below, 20) end -- a value that a newer server knows
    local value = list[below(#list) + 1]
    return value, '"' .. value .. '"'
  end
end

local DATES = { "0000-01-01T00:00:00.000Z", "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00.000Z", "2038-01-19T03:14:08.000Z",
  "2028-02-29T12:00:00.000Z", "9999-12-31T23:59:59.999Z", "2026-12-31T23:59:60.000Z", "2026-07-02T12:00:00+08:00",
  "not a date", "" }

local function date(below)
  local value = DATES[below(#DATES) + 1]
  return value, '"' .. value .. '"'
end

local STATUSES = { "-1", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "-2", "99", "2147483648", "9007199254740991",
  "-9007199254740991", "1.0", "1e0", "-0" }

local function status(below)
  local text = STATUSES[below(#STATUSES) + 1]
  return tonumber(text), text
end

local function strings(below)
  local value, parts = {}, {}
  for i = 1, below(5) do
    value[i], parts[i] = string_of(below)
  end
  return value, "[" .. table.concat(parts, ",") .. "]"
end

local function error_data(below)
  local value, parts = {}, {}
  for i, name in ipairs { "type", "code", "message" } do
    local text
    value[name], text = string_of(below)
    parts[i] = '"' .. name .. '":' .. text
  end
  if below(3) == 0 then value.newer, parts[4] = 7, '"newer":7' end
  return value, "{" .. table.concat(parts, ",") .. "}"
end

-- A linkMeta of the greatest depth that a record may have: the record is the first level, it is the second.
local function deep()
  local value, levels = {}, 98
  for _ = 1, levels do value = { down = value } end
  return value, ('{"down":'):rep(levels) .. "{}" .. ("}"):rep(levels)
end

local function link_meta(below)
  if below(10) == 0 then return deep() end
  return object_of(below, 2)
end

local accounts = one_of { "douyin", "xhs", "wxSph", "KWAI", "youtube", "wxGzh", "bilibili", "twitter", "tiktok", "facebook",
  "instagram", "threads", "pinterest", "linkedin", "google_business" }

local FIELDS = {
  { "id", string_of }, { "accountType", accounts }, { "type", one_of { "video", "article" } }, { "status", status },
  { "publishTime", date },
  { "flowId", string_of }, { "taskId", string_of }, { "userTaskId", string_of }, { "accountId", string_of },
  { "title", string_of }, { "desc", string_of }, { "platformWorkId", string_of }, { "workLink", string_of },
  { "linkStatus", one_of { "pending", "ready", "failed" } }, { "linkError", string_of }, { "linkMeta", link_meta },
  { "videoUrl", string_of }, { "coverUrl", string_of }, { "imgUrlList", strings },
  { "source", one_of { "publish", "task_link", "offline_qr", "btl", "web", "api", "internal", "mcp" } },
  { "errorMsg", string_of }, { "errorData", error_data }, { "createdAt", date }, { "updatedAt", date },
}

-- Which of the optional fields there are: all, none, or each by chance; a null is as good as absent.
local function presence(below)
  local kind = below(5)
  return function()
    if kind == 0 then return "there" elseif kind == 1 then return "absent" end
    return ({ "there", "there", "absent", "null" })[below(4) + 1]
  end
end

local function shuffle(list)
  local below = generator(#list)
  for i = #list, 2, -1 do
    local j = below(i) + 1
    list[i], list[j] = list[j], list[i]
  end
end

local function envelope(parts, options)
  if not options.shuffled then
    return '{"data":{' .. table.concat(parts, ",") .. '},"code":0,"message":"请求成功"}'
  end
  shuffle(parts)
  return '\r\n{ "requestId" : "r" , "code" : 0.0 ,\t"data" : { ' .. table.concat(parts, " ,\n") .. ' } , "message" : "" } \n'
end

--- Makes a record.
---@param seed integer
---@param options? {shuffled?: boolean, broken?: string, value?: string} `broken`: this field is `value`,
--- or absent
---@return {record: table, text: string}
function M.new(seed, options)
  options = options or {}
  local below = generator(seed)
  local record, parts, is = {}, {}, presence(below)
  local function add(name, value, text)
    if name == options.broken then value, text = nil, options.value end
    record[name] = value
    if text then parts[#parts + 1] = '"' .. name .. '":' .. text end
  end
  for i, field in ipairs(FIELDS) do
    local state = i <= #M.required and "there" or is()
    local value, text = field[2](below)
    if state == "there" then add(field[1], value, text) elseif state == "null" then add(field[1], nil, "null") end
  end
  for i = 1, below(4) do
    add("newer_" .. i, free(below, 2))
  end
  return { record = record, text = envelope(parts, options) }
end

return M
