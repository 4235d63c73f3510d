--- Checks of single values: each returns the value to use, or nil and what was expected.
-- @module aitoearn.check

local core = require "aitoearn.core"

local check = {}

local MAX_KEY_BYTES = 4096
local MAX_REQUEST_ID_BYTES = 128

--- Calls `fn`, which raises plain texts, and blames the caller for what it raises.
---@param level integer 1: the function that calls `checked`; 2: who called that; …
---@param fn function
---@param ... any
---@return any, any, any # the first three results of `fn`
function check.checked(level, fn, ...)
  local ok, first, second, third = pcall(fn, ...)
  if not ok then
    error(first, level + 1)
  end
  return first, second, third
end

function check.describe(value)
  if type(value) == "number" then
    return tostring(value)
  end
  return type(value)
end

local function is_header_text(value)
  return type(value) == "string" and value ~= "" and not core.has_control(value)
end

function check.seconds_or_false(value)
  if value == false or (type(value) == "number" and value > 0 and value < math.huge) then
    return value
  end
  return nil, "number of seconds above 0, or false, expected"
end

function check.whole(least)
  return function(value)
    if type(value) == "number" and value >= least and value % 1 == 0 and value < 2 ^ 53 then
      return value
    end
    return nil, ("whole number of at least %d expected"):format(least)
  end
end

function check.seconds(value)
  if type(value) == "number" and value >= 0 and value < math.huge then
    return value
  end
  return nil, "number of seconds expected"
end

function check.header_text(value)
  if is_header_text(value) then
    return value
  end
  return nil, "non-empty string without control characters expected"
end

function check.boolean(value)
  if type(value) == "boolean" then
    return value
  end
  return nil, "boolean expected"
end

function check.func(value)
  if type(value) == "function" then
    return value
  end
  return nil, "function expected"
end

function check.text(value)
  if type(value) == "string" then
    return value
  end
  return nil, "string expected"
end

function check.positive(value)
  if type(value) == "number" and value > 0 and value < math.huge then
    return value
  end
  return nil, "number above 0 expected"
end

function check.readable_file(value)
  local file = type(value) == "string" and io.open(value, "r")
  if file then
    file:close()
    return value
  end
  return nil, "path of a readable file expected"
end

function check.request_id(value)
  if is_header_text(value) and #value <= MAX_REQUEST_ID_BYTES then
    return value
  end
  return nil, ("string of 1 to %d bytes without control characters expected"):format(MAX_REQUEST_ID_BYTES)
end

local HOSTS = { blocking = true, nginx = true, luv = true, cqueues = true, copas = true }

function check.host(value)
  local is_host = type(value) == "table" and type(value.await) == "function" and type(value.spawn) == "function"
  if is_host or type(value) == "function" or HOSTS[value] then
    return value
  end
  if type(value) == "string" then
    return nil, ("there is no host %q: blocking, nginx, luv, cqueues or copas expected"):format(value)
  end
  return nil, "blocking, nginx, luv, cqueues, copas, or a table with await and spawn, or a function that makes one, expected"
end

--- Why a value cannot be an API key, in words that never hold it; nil: it can be one. Its length is bounded so that one
-- sent back by a server is always found, and blotted out, as a whole.
-- @treturn string|nil what was got instead
function check.key_problem(value)
  if type(value) ~= "string" then
    return type(value)
  elseif value == "" then
    return "an empty string"
  elseif core.has_control(value) then
    return "one with a control character (is there a line break at its end?)"
  elseif #value > MAX_KEY_BYTES then
    return ("one of %d bytes (%d at most)"):format(#value, MAX_KEY_BYTES)
  end
end

function check.api_key(value)
  local problem = type(value) ~= "function" and check.key_problem(value)
  if problem then
    return nil, "non-empty string or function expected, got " .. problem
  end
  return value
end

-- What a URL takes for the folder or its parent, and the platform's other routes.
local NOT_RECORDS = { ["."] = true, [".."] = true, queued = true, published = true, public = true }

--- Why an id cannot be a record's; nil: it can be one.
-- @treturn string|nil
function check.id_problem(id)
  if type(id) ~= "string" then
    return "string expected, got " .. type(id)
  elseif id == "" or #id > 256 then
    return "1 to 256 bytes expected"
  elseif core.has_control(id) then
    return "it holds a control character"
  elseif NOT_RECORDS[id] then
    return ("%q is not a record"):format(id)
  end
end

return check
