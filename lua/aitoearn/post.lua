--- What the sibling routes take: posts, list filters, flow ids and times, checked and brought into the API's form.
--- A mistake raises plain text; the client's methods add the caller's position.
---@module "aitoearn.post"

local check = require "aitoearn.check"
local core = require "aitoearn.core"

local M = {}

local MAX_FLOW_ID_BYTES = 256

local function fail(path, expected, value)
  error(("%s: %s expected, got %s"):format(path, expected, check.describe(value)), 0)
end

--- A time as the API takes it.
---@param value number|string Unix seconds, or an ISO 8601 date-time with `Z` or an offset
---@param path string names it in the error
---@return string iso in UTC, with milliseconds
function M.time(value, path)
  local seconds = value
  if type(value) == "string" then
    seconds = core.parse_datetime(value)
  end
  local text = type(seconds) == "number" and seconds == seconds and core.format_datetime(seconds) or nil
  return text or fail(path, "Unix seconds, or a date-time with Z or an offset,", value)
end

--- Why a value cannot be a flow's id; nil: it can be one.
---@param id any
---@return string?
function M.flow_id_problem(id)
  if type(id) ~= "string" then
    return "string expected, got " .. type(id)
  elseif id == "" or #id > MAX_FLOW_ID_BYTES then
    return ("1 to %d bytes expected"):format(MAX_FLOW_ID_BYTES)
  elseif core.has_control(id) then
    return "it holds a control character"
  elseif id == "." or id == ".." then
    return ("%q is not a flow"):format(id)
  end
end

-- How many elements an array has; nil where the table is no array: other keys, or holes.
local function array_length(value)
  local count = 0
  for key in pairs(value) do
    if type(key) ~= "number" then
      return nil
    end
    count = count + 1
  end
  return count == #value and count or nil
end

local copy

local function copy_table(value, path, parents)
  if parents[value] then
    error(path .. ": a table that holds itself cannot be JSON", 0)
  end
  parents[value] = true
  local length = array_length(value)
  local result = {}
  for key, item in pairs(value) do
    if not length and type(key) ~= "string" then
      error(("%s: neither an array without holes nor an object: key %s"):format(path, tostring(key)), 0)
    end
    result[key] = copy(item, path .. (length and "[%s]" or ".%s"):format(tostring(key)), parents)
  end
  parents[value] = nil
  return result
end

-- A deep copy of what JSON can hold: what is sent does not change when the caller's table does.
function copy(value, path, parents)
  local kind = type(value)
  if kind == "table" then
    return copy_table(value, path, parents)
  elseif kind == "number" and (value ~= value or value == math.huge or value == -math.huge) then
    error(("%s: JSON has no %s"):format(path, tostring(value)), 0)
  elseif kind == "function" or kind == "thread" or (kind == "userdata" and value ~= core.null) then
    error(("%s: JSON has no %s"):format(path, kind), 0)
  end
  return value
end

local function is_text(value)
  return type(value) == "string" and value ~= ""
end

local function check_items(items)
  if type(items) ~= "table" or #items == 0 or not array_length(items) then
    fail("post.items", "non-empty array of {platform, accountId}", items)
  end
  for i, item in ipairs(items) do
    local path = ("post.items[%d]"):format(i)
    if type(item) ~= "table" then
      fail(path, "table", item)
    end
    for _, name in ipairs { "platform", "accountId" } do
      if not is_text(item[name]) then
        fail(path .. "." .. name, "non-empty string", item[name])
      end
    end
  end
end

--- Checks a post and completes it: `flowId`, `publishAt` and `content.media` are there afterwards.
--- All else, unknown fields too, is the server's to judge (the API's `POST /flows`).
---@param given aitoearn.Post it is not changed
---@param flow_id string for a post that names none
---@param now number Unix seconds, for a post that names no time
---@return table body what to encode
function M.read(given, flow_id, now)
  if type(given) ~= "table" then
    fail("post", "table", given)
  end
  check_items(given.items)
  if type(given.content) ~= "table" then
    fail("post.content", "table", given.content)
  end
  local problem = given.flowId ~= nil and M.flow_id_problem(given.flowId)
  if problem then
    error("post.flowId: " .. problem, 0)
  end
  local body = copy(given, "post", {})
  body.flowId = given.flowId or flow_id
  body.publishAt = M.time(given.publishAt == nil and now or given.publishAt, "post.publishAt")
  body.content.media = body.content.media or {}
  return body
end

--- A random flow id.
---@param random fun(): number at least 0 and below 1
---@return string uuid version 4 (RFC 9562)
function M.new_flow_id(random)
  return (("xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx"):gsub("[xy]", function(kind)
    local digit = math.floor(random() * 16)
    return ("%x"):format(kind == "y" and 8 + digit % 4 or digit)
  end))
end

local LISTS = { history = "", queued = "/queued", published = "/published" }

local FILTER = { list = true, accountId = true, accountType = true, status = true, from = true, to = true }

local function check_filter(filter)
  for name in pairs(filter) do
    if not FILTER[name] then
      error(("filter.%s: unknown field%s"):format(tostring(name), check.nearest(name, FILTER)), 0)
    end
  end
  local list = filter.list or "history"
  if not LISTS[list] then
    fail("filter.list", '"history", "queued" or "published"', filter.list)
  end
  for _, name in ipairs { "accountId", "accountType" } do
    if filter[name] ~= nil and not is_text(filter[name]) then
      fail("filter." .. name, "non-empty string", filter[name])
    end
  end
  local status = filter.status
  if status ~= nil and (type(status) ~= "number" or status % 1 ~= 0) then
    fail("filter.status", "whole number", status)
  elseif status ~= nil and list ~= "history" then
    error(("filter.status: the list %q has its own states"):format(list), 0)
  elseif (filter.from == nil) ~= (filter.to == nil) then
    error(("filter.%s: goes with filter.%s"):format(filter.from and "from" or "to", filter.from and "to" or "from"), 0)
  end
  return LISTS[list]
end

--- The path and query of a list below the API's records (`GET /records`), percent-encoded.
---@param filter? aitoearn.Filter
---@return string
function M.list_path(filter)
  if filter ~= nil and type(filter) ~= "table" then
    fail("filter", "table", filter)
  end
  filter = filter or {}
  local path, query = check_filter(filter), {}
  local function add(name, value)
    if value ~= nil then
      query[#query + 1] = name .. "=" .. core.encode_segment(value)
    end
  end
  add("accountId", filter.accountId)
  add("accountType", filter.accountType)
  add("status", filter.status and ("%d"):format(filter.status))
  if filter.from ~= nil then
    local from, to = M.time(filter.from, "filter.from"), M.time(filter.to, "filter.to")
    query[#query + 1] = ("time=%s,%s"):format(core.encode_segment(from), core.encode_segment(to))
  end
  return path .. (query[1] and "?" .. table.concat(query, "&") or "")
end

return M
