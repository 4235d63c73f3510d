--- The Lua client for the AiToEarn publishing platform: publish records as Lua tables.
--
--     local aitoearn = require "aitoearn"
--     local client = aitoearn.new { server = "cn", api_key = os.getenv "AITOEARN_API_KEY" }
--     local record, err = client:get_record "6877a1b2c3d4e5f601234567"
--
-- @module aitoearn

local VERSION = "0.1.0"

local core = require "aitoearn.core"
local client = require "aitoearn.client"
local errors = require "aitoearn.error"
local options = require "aitoearn.options"
local records = require "aitoearn.record"

local aitoearn = { version = VERSION }

--- A view of a table that cannot be changed.
local function read_only(name, values)
  return setmetatable({}, {
    __index = values,
    __newindex = function()
      error(("aitoearn.%s is read-only"):format(name), 2)
    end,
    __pairs = function()
      return next, values, nil
    end,
    __metatable = "read-only",
  })
end

for _, name in ipairs { "status", "code", "account_type", "record_type", "link_status", "source" } do
  aitoearn[name] = read_only(name, core[name])
end

--- The constant's name of a status: "PUBLISHED" and so on, "UNKNOWN" for one that this version does not know.
---@type fun(status: integer): string
aitoearn.status_name = core.status_name

--- Makes a client. A wrong option raises, with the option's name.
---@param given? aitoearn.Options unset ones come from AITOEARN_API_KEY and AITOEARN_SERVER, or have a default
---@return aitoearn.Client
function aitoearn.new(given)
  return client.new(options.read(given, 2), VERSION)
end

--- Gives a table that was a record, before it went through JSON or a shared dict, its methods back.
---@param record table it is changed, not copied
---@return aitoearn.Record
function aitoearn.record(record)
  if type(record) ~= "table" then
    error("record: table expected, got " .. type(record), 2)
  end
  return setmetatable(record, records.metatable)
end

--- Whether a value is an error of this library.
---@type fun(value: any): boolean
aitoearn.is_error = errors.is

--- The verdicts on a record as functions, for records whose own fields hide a method: `aitoearn.verdicts.is_final(r)`.
aitoearn.verdicts = records.metatable.__index

return aitoearn
