--- Checks of single values: each returns the value to use, or nil, what was expected, and perhaps what was got instead
--- (false: the second says so already). And the door of the public functions, at which a wrong argument raises with the
--- caller's position.
---@module "aitoearn.check"

local core = require "aitoearn.core"
local text = require "aitoearn.text"

local M = {}

local is_id = core.is_id

local MAX_KEY_BYTES = 4096
local MAX_REQUEST_ID_BYTES = 128

--- Calls `fn`, which raises plain texts, and blames the caller for what it raises. Not to be used as a tail call, which
--- leaves no caller.
---@param level integer 1: the function that calls `checked`; 2: its caller; …
---@param fn function
---@param ... any
---@return any, any, any # the first three results of `fn`
function M.checked(level, fn, ...)
  local ok, first, second, third = pcall(fn, ...)
  if not ok then
    error(first, level + 1)
  end
  return first, second, third
end

--- What a value is, in words that show no text: it might be a key.
---@param value any
---@return string
function M.describe(value)
  if type(value) == "number" then
    return tostring(value)
  end
  return type(value)
end

local function checked_type(name)
  return function(value)
    if type(value) == name then
      return value
    end
    return nil, name .. " expected"
  end
end

M.boolean = checked_type "boolean"
M.func = checked_type "function"
M.table = checked_type "table"
M.text = checked_type "string"

local function number(expected, holds)
  return function(value)
    if type(value) == "number" and value < math.huge and holds(value) then
      return value
    end
    return nil, expected
  end
end

M.seconds = number("number of seconds expected", function(value) return value >= 0 end)
M.positive = number("number above 0 expected", function(value) return value > 0 end)

--- A time-out; false is one that never runs out.
function M.seconds_or_false(value)
  if value == false or M.positive(value) then
    return value
  end
  return nil, "number of seconds above 0, or false, expected"
end

--- The check of a whole number of at least `least`.
---@param least integer
---@return fun(value: any): integer?, string?
function M.whole(least)
  return number(("whole number of at least %d expected"):format(least), function(value)
    return value >= least and value % 1 == 0 and value < 2 ^ 53
  end)
end

--- A header's value without the blanks around it, which HTTP takes off; nil: it cannot be one.
local function header_value(value)
  if type(value) ~= "string" or core.has_control(value) then
    return nil
  end
  value = value:match "^ *(.-) *$"
  return value ~= "" and value or nil
end

function M.header_text(value)
  value = header_value(value)
  if value then
    return value
  end
  return nil, "non-empty string without control characters expected"
end

function M.request_id(value)
  value = header_value(value)
  if value and #value <= MAX_REQUEST_ID_BYTES then
    return value
  end
  return nil, ("string of 1 to %d bytes without control characters expected"):format(MAX_REQUEST_ID_BYTES)
end

-- Headers that this client, or libcurl, sets; by name: the option to use instead, or true.
local RESERVED = {
  ["x-api-key"] = "api_key", ["x-request-id"] = "request_id", ["user-agent"] = "user_agent",
  ["accept-language"] = "accept_language",
  accept = true, connection = true, expect = true, host = true, ["keep-alive"] = true, te = true, trailer = true,
  ["transfer-encoding"] = true, upgrade = true,
}

local function header_problem(name, value)
  if type(name) ~= "string" or not name:find "^[A-Za-z0-9!#$%%&'*+.^_`|~-]+$" then
    return "names of headers expected as keys"
  end
  local key = text.lower(name)
  local reserved = RESERVED[key]
  if reserved or key:find "^content%-" or key:find "^proxy%-" or key:find "^accept%-" then
    return ("%s cannot be set here%s"):format(name, type(reserved) == "string" and ": use " .. reserved or "")
  elseif not header_value(value) then
    return ("%s: non-empty string without control characters expected, got %s"):format(name, type(value))
  end
end

--- Further request headers: values by name.
function M.headers(value)
  if type(value) ~= "table" then
    return nil, "table of headers expected"
  end
  local headers = {}
  for name, header in pairs(value) do
    local problem = header_problem(name, header)
    if problem then
      return nil, problem, false
    end
    headers[name] = header_value(header)
  end
  return headers
end

--- Why a file cannot be read; nil: it can be.
---@param path string
---@return string?
function M.file_problem(path)
  local file, problem = io.open(path, "rb")
  if not file then
    return problem
  end
  local _, unreadable = file:read(1) -- a directory can be opened
  file:close()
  return unreadable and path .. ": " .. unreadable
end

function M.readable_file(value)
  if type(value) == "string" and not value:find("%z") and not M.file_problem(value) then
    return value
  end
  return nil, "path of a readable file expected"
end

local HOSTS = { blocking = true, nginx = true, luv = true, cqueues = true, copas = true }

function M.host(value)
  local is_host = type(value) == "table" and type(value.await) == "function" and type(value.spawn) == "function"
  if is_host or type(value) == "function" or HOSTS[value] then
    return value
  end
  if type(value) == "string" then
    return nil, ("there is no host %q: blocking, nginx, luv, cqueues or copas expected"):format(value), false
  end
  return nil, "blocking, nginx, luv, cqueues, copas, or a table with await and spawn, or a function that makes one, expected"
end

local LEVELS = { info = true, debug = true }

function M.log(value)
  if LEVELS[value] then
    return value
  end
  return nil, '"info" or "debug" expected'
end

local PROXIES = { http = true, https = true, socks = true, socks4 = true, socks4a = true, socks5 = true, socks5h = true }

--- A proxy that libcurl can read; "" is none.
function M.proxy(value)
  if value == "" then
    return value
  elseif type(value) ~= "string" then
    return nil, "URL of a proxy expected"
  end
  local url = not value:find "[%z\1-\32\127]" and core.parse_url(value:find("://", 1, true) and value or "http://" .. value)
  if url and PROXIES[text.lower(url.scheme)] and not url.query and not url.fragment then
    return value
  end
  return nil, "URL of a proxy (http, https, socks4, socks5, socks5h; user name and password percent-encoded) expected"
end

--- The key without the blanks around it, which HTTP takes off; or why a value cannot be one, in words that never hold
--- it. A key's length is bounded so that one that a server sends back is always found, and taken out, as a whole.
---@param value any
---@return string? key
---@return string? problem what was got instead
function M.key(value)
  if type(value) ~= "string" then
    return nil, type(value)
  elseif value == "" then
    return nil, "an empty string"
  elseif core.has_control(value) then
    return nil, "one with a control character (is there a line break at its end?)"
  elseif #value > MAX_KEY_BYTES then
    return nil, ("one of %d bytes (%d at most)"):format(#value, MAX_KEY_BYTES)
  end
  local key = header_value(value)
  return key, not key and "one of blanks" or nil
end

function M.api_key(value)
  if type(value) == "function" then
    return value
  end
  local key, problem = M.key(value)
  if not key then
    return nil, "non-empty string or function expected", problem
  end
  return key
end

-- What a URL takes for the folder or its parent, and the platform's other routes.
local NOT_RECORDS = { ["."] = true, [".."] = true, queued = true, published = true, public = true }

--- Why an id cannot be a record's, beginning with "record id:"; nil: it can be one. (The API's page allows any text that is not
--- empty.)
---@param id any
---@return string?
function M.id_problem(id)
  if is_id(id) and not NOT_RECORDS[id] then
    return nil
  elseif type(id) ~= "string" then
    return "record id: string expected, got " .. type(id)
  elseif id == "" or #id > core.MAX_ID_BYTES then
    return ("record id: 1 to %d bytes expected"):format(core.MAX_ID_BYTES)
  elseif core.has_control(id) then
    return "record id: it holds a control character"
  end
  return ("record id: %q is not a record"):format(id)
end

--- A function that returns one id after another, and nothing else: an iterator's further values are dropped.
---@param ids any an array, a function, or what can be called like one
---@return (fun(): any)? next_id
---@return string? expected
function M.ids(ids)
  local metatable = getmetatable(ids)
  if type(ids) == "function" or (type(metatable) == "table" and metatable.__call) then
    return function()
      return (ids())
    end
  elseif type(ids) ~= "table" then
    return nil, "array or iterator expected, got " .. type(ids)
  end
  local i = 0
  return function()
    i = i + 1
    return ids[i]
  end
end

return M
