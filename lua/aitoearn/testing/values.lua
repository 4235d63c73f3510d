--- Records and errors that a spec makes by itself.
---@module "aitoearn.testing.values"

local check = require "aitoearn.check"
local core = require "aitoearn.core"
local errors = require "aitoearn.error"
local json = require "aitoearn.json"
local records = require "aitoearn.record"
local retry = require "aitoearn.retry"
local text = require "aitoearn.text"

local M = {}

-- The id of a record that has none: that of the API's page.
local ID = "6877a1b2c3d4e5f601234567"

--- A deep copy, without metatables.
---@param value any
---@return any
function M.copy(value)
  if type(value) ~= "table" then
    return value
  end
  local made = {}
  for key, field in next, value do
    made[key] = M.copy(field)
  end
  return made
end

--- Fills in the fields that a record must have.
---@param record table it is changed
---@param id? string
---@param now number Unix seconds
---@return table record
function M.complete(record, id, now)
  record.id = record.id or id or ID
  record.accountType = record.accountType or "douyin"
  record.type = record.type or "video"
  record.status = record.status or core.status.PUBLISHED
  record.publishTime = record.publishTime or core.format_datetime(now)
  return record
end

--- Makes a record, judged as one that came over the wire.
---@param given? table
---@return aitoearn.Record
function M.record(given)
  given = given == nil and {} or given
  if type(given) ~= "table" then
    error("record: table expected, got " .. type(given), 0)
  end
  local body = json.encode({ code = 0, data = M.complete(M.copy(given), nil, os.time()) }, "record")
  local record, failure = core.decode(body)
  if not record then
    error("record: " .. failure.message:gsub("^data%.", ""), 0)
  end
  return setmetatable(record, records.metatable)
end

local KINDS = {
  argument = true, dns = true, connect = true, tls = true, timeout = true, transport = true, http = true, api = true,
  protocol = true, goal = true, cancelled = true, closed = true,
}

local ERROR_FIELDS = {
  kind = true, message = true, code = true, name = true, http_status = true, request_id = true, server = true,
  site = true, record_id = true, retryable = true, retry_at = true, body = true, attempts = true, hint = true,
  record = true, flow = true, flowId = true, may_have_happened = true, issues = true,
}

-- What the decoder says of a code.
local function read_code(given)
  local _, failure = core.decode(json.encode({ code = given.code, message = given.message }, "error"))
  return failure
end

local function kind_of(given)
  if type(given) ~= "table" then
    error("error: table expected, got " .. type(given), 0)
  end
  for name in pairs(given) do
    if not ERROR_FIELDS[name] then
      local meant = type(name) == "string" and text.nearest(name, ERROR_FIELDS)
      error(("error.%s: unknown field%s"):format(tostring(name), meant and "; did you mean " .. meant .. "?" or ""), 0)
    end
  end
  local kind = given.kind or (given.code and "api") or (given.http_status and "http")
  if not KINDS[kind] then
    error("error.kind: a kind of error expected, got " .. check.describe(given.kind), 0)
  end
  return kind
end

--- Makes an error.
---@param given table
---@return aitoearn.Error
function M.error(given)
  local kind = kind_of(given)
  local failure = kind == "api" and given.code and read_code(given) or {}
  failure.kind, failure.message = kind, failure.message or (given.http_status and "HTTP status " .. given.http_status) or kind
  for name, value in pairs(given) do
    failure[name] = value
  end
  local context = M.copy(given)
  context.record, context.flow = given.record, given.flow
  if given.retryable == nil then
    context.retryable = retry.most_attempts(failure, false) ~= nil
  end
  return errors.new(failure, context)
end

return M
