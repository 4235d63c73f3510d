--- JSON as the command reads and writes it: records with the API's order of fields.
---@module "aitoearn.command.json"

local cjson = require("cjson").new()
local core = require "aitoearn.core"
local json = require "aitoearn.json"

local M = { null = json.null, decode = cjson.decode }

--- A value as JSON.
---@param value any
---@param field? string whose value it is
---@return string
function M.encode(value, field)
  return json.encode(value, field and "." .. field or "value")
end

--- A record as JSON, its fields in the API's order.
---@param record aitoearn.Record
---@return string
function M.record(record)
  return json.encode(record, "record", core.record_fields)
end

return M
