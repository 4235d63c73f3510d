--- JSON as the command reads and writes it: records with the API's order of fields.

local cjson = require("cjson").new()
local core = require "aitoearn.core"

local M = { null = cjson.null, decode = cjson.decode }

local found, json = pcall(require, "aitoearn.json")
if not found then -- until it is there: cjson, which has no order and escapes slashes
  json = { encode = function(value)
    return (cjson.encode(value):gsub("\\/", "/"))
  end }
end

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
