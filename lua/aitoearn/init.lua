--- The Lua client for the AiToEarn publishing platform: publish records as Lua tables.
---
---     local aitoearn = require "aitoearn"
---     local client = aitoearn.new { server = "cn", api_key = os.getenv "AITOEARN_API_KEY" }
---     local record, err = client:get_record "6877a1b2c3d4e5f601234567"
---
---@module "aitoearn"

local VERSION = "0.1.0"

local check = require "aitoearn.check"
local client = require "aitoearn.client"
local core = require "aitoearn.core"
local errors = require "aitoearn.error"
local options = require "aitoearn.options"
local records = require "aitoearn.record"
local text = require "aitoearn.text"

local M = { version = VERSION }

--- A view of a table of constants that cannot be changed. A key in capitals that is nearly one of them raises: a
--- misspelt constant would be nil, which equals any other missing value. Other keys are nil.
local function read_only(name)
  local values, copy = core[name], {}
  for key, value in pairs(values) do
    copy[key] = value
  end
  setmetatable(copy, {
    __index = function(_, key)
      local meant = type(key) == "string" and key:find "^[A-Z][A-Z0-9_]*$" and text.nearest(key, values)
      if meant then
        error(("aitoearn.%s.%s: there is no such constant; did you mean %s?"):format(name, key, meant), 2)
      end
    end,
  })
  return setmetatable({}, {
    __index = copy,
    __newindex = function()
      error(("aitoearn.%s is read-only"):format(name), 2)
    end,
    __pairs = function()
      return next, values, nil
    end,
    __metatable = "read-only",
  })
end

---@type aitoearn.StatusConstants
M.status = read_only "status"
---@type aitoearn.CodeConstants
M.code = read_only "code"
---@type aitoearn.AccountTypeConstants
M.account_type = read_only "account_type"
---@type aitoearn.RecordTypeConstants
M.record_type = read_only "record_type"
---@type aitoearn.LinkStatusConstants
M.link_status = read_only "link_status"
---@type aitoearn.SourceConstants
M.source = read_only "source"

--- The constant's name of a status: "PUBLISHED" and so on, "UNKNOWN" for one that this version does not know.
---@type fun(status: integer): string
M.status_name = core.status_name

--- Makes a client. A wrong option raises, with the option's name.
---@param given? aitoearn.Options unset ones come from AITOEARN_API_KEY and AITOEARN_SERVER, or have a default
---@return aitoearn.Client
function M.new(given)
  if given == M then
    error("new: call it with a dot, aitoearn.new { … }, not with a colon", 2)
  end
  local config = check.checked(2, options.read, given)
  local made = check.checked(2, client.new, config, VERSION)
  return made
end

--- Gives a table that was a record, before it went through JSON or a shared dict, its methods and integers back.
---@param record table it is changed, not copied
---@return aitoearn.Record
function M.record(record)
  if type(record) ~= "table" then
    error("record: table expected, got " .. type(record), 2)
  end
  return records.restore(record)
end

--- An iterator over the ids in a text file, one a line.
---@param source string|file* a path, or an open file
---@return (fun(): string?)? next_id
---@return string? problem why it cannot be read
function M.ids(source)
  local next_id, problem = check.checked(2, require("aitoearn.ids").open, source)
  return next_id, problem
end

--- Whether a value is an error of this library.
---@type fun(value: any): boolean
M.is_error = errors.is

--- The verdicts on a record as functions, for records whose own fields hide a method: `aitoearn.verdicts.is_final(r)`.
M.verdicts = records.verdicts

return M
