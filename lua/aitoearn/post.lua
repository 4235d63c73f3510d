--- What the sibling routes take: posts, list filters, flow ids and times, checked and brought into the API's form.
--- A mistake raises plain text; the client's methods add the caller's position.
---@module "aitoearn.post"

local check = require "aitoearn.check"
local core = require "aitoearn.core"
local json = require "aitoearn.json"
local text = require "aitoearn.text"

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
  local iso = type(seconds) == "number" and seconds == seconds and core.format_datetime(seconds) or nil
  return iso or fail(path, "Unix seconds, or a date-time with Z or an offset,", value)
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

local function is_text(value)
  return type(value) == "string" and value ~= ""
end

local function check_items(items)
  if type(items) ~= "table" or #items == 0 then
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

local function copy(table)
  local result = {}
  for name, value in pairs(table) do
    result[name] = value
  end
  return result
end

--- Checks a post and makes the body of `POST /flows` of it: `flowId`, `publishAt` and `content.media` are always there.
--- All else, unknown fields too, is the server's to judge.
---@param given aitoearn.Post it is not changed
---@param new_flow_id fun(): string makes one for a post that has none
---@param now number Unix seconds, the `publishAt` of a post that has none
---@return string json
---@return string flow_id
function M.encode(given, new_flow_id, now)
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
  local body = copy(given)
  body.flowId = given.flowId or new_flow_id()
  body.publishAt = M.time(given.publishAt == nil and now or given.publishAt, "post.publishAt")
  body.content = copy(given.content)
  if body.content.media == nil then
    body.content.media = {}
  end
  return json.encode(body, "post"), body.flowId
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

--- The fields of a filter.
M.FILTER = FILTER

local function check_filter(filter)
  for name in pairs(filter) do
    if not FILTER[name] then
      local nearest = type(name) == "string" and text.nearest(name, FILTER)
      error(("filter.%s: unknown field%s"):format(tostring(name), nearest and "; did you mean " .. nearest .. "?" or ""), 0)
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

--- What asks for a list.
---@param filter? aitoearn.Filter
---@param max_bytes integer of the answer
---@return aitoearn.Request
function M.list_request(filter, max_bytes)
  return { method = "GET", path = "/records" .. M.list_path(filter), kind = "records", max_bytes = max_bytes }
end

return M
