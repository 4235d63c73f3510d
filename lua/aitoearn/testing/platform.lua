--- The platform in a table: the routes over the records of a spec, as far as a client sees them.
---
--- Records that a spec gave stay as they are until it changes them. What the client publishes, starts, moves or retries goes
--- its way by the clock: it waits, is being published at its time, and is published ten seconds later.
---@module "aitoearn.testing.platform"

local cjson = require "cjson"
local core = require "aitoearn.core"
local sites = require "aitoearn.site"
local values = require "aitoearn.testing.values"

local M = {}

local code, status = core.code, core.status
local decode_json = cjson.new().decode

-- Seconds from the beginning of publishing to its end, and those before its time in which a post is a job already.
local PUBLISHING, DAY = 10, 86400

---A request as a spec sees it.
---@class aitoearn.testing.Request
---@field method "GET"|"POST"|"PATCH"|"DELETE"
---@field path string below `/api/v2/channels/publish`, decoded: `/records/ID`, `/flows`, …
---@field id string? the record's, where the path has one
---@field flow_id string? the flow's, where the path or the body has one
---@field query table<string, string>
---@field body table? the decoded body; not to be changed
---@field server string base URL
---@field site string the site's name
---@field request_id string
---@field at number Unix seconds by the client's clock
---@field package parts string[] of the path

---@class aitoearn.testing.Platform
---@field records table<string, table> by id
---@field private lives table<string, {at: number, status: integer}> of records that go their way by the clock
---@field private made integer
local Platform = {}
Platform.__index = Platform

---@return aitoearn.testing.Platform
function M.new()
  return setmetatable({ records = {}, lives = {}, made = 0 }, Platform)
end

local function decode(part)
  return (part:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local function read_query(text)
  local query = {}
  for name, value in text:gmatch "([^&=]+)=([^&]*)" do
    query[name] = decode(value)
  end
  return query
end

local LISTS = { queued = true, published = true }

--- Reads a request off the wire.
---@param sent aitoearn.testing.Sent
---@return aitoearn.testing.Request
function M.read(sent)
  local first, last = sent.url:find(sites.API, 1, true)
  local path, query = sent.url:sub(last + 1):match "^([^?]*)%??(.*)$"
  local parts = {}
  for part in path:gmatch "[^/]+" do
    parts[#parts + 1] = decode(part)
  end
  local body = sent.body and decode_json(sent.body)
  local is_flow, is_list = parts[1] == "flows", sent.method == "GET" and #parts == 2 and LISTS[parts[2]]
  return {
    method = sent.method,
    path = "/" .. table.concat(parts, "/"),
    parts = parts,
    id = not (is_flow or is_list) and parts[2] or nil,
    flow_id = is_flow and (parts[2] or body and body.flowId) or nil,
    query = read_query(query),
    body = body,
    server = sent.url:sub(1, first - 1),
    request_id = sent.request_id,
    at = sent.at,
  }
end

--- What a spec's answers to a request are filed under: the id for a record's own route, else the method and the path.
---@param request aitoearn.testing.Request
---@return string
function M.key(request)
  local is_record = request.method == "GET" and request.id and #request.parts == 2
  return is_record and request.id or request.method .. " " .. request.path
end

-- Lets a record go its way by the clock.
local function begin(self, id, record, at, now)
  local shown = core.format_datetime(at)
  record.publishTime, record.updatedAt = shown, core.format_datetime(now)
  record.errorMsg, record.errorData = nil, nil
  record.status = status.QUEUED
  self.lives[id] = { at = core.parse_datetime(shown), status = record.status }
end

local function status_at(at, now)
  if now < at - DAY then
    return status.WAITING_FOR_PUBLISH
  elseif now < at then
    return status.QUEUED
  end
  return now < at + PUBLISHING and status.PUBLISHING or status.PUBLISHED
end

-- A record as it is now. One whose status the spec has changed stays where that put it.
local function find(self, id, now)
  local record, life = self.records[id], self.lives[id]
  if not record then
    return nil
  elseif not life or record.status ~= life.status then
    self.lives[id] = nil
    return values.complete(record, id, now)
  end
  local is = status_at(life.at, now)
  if is ~= life.status then
    record.status, life.status = is, is
    record.updatedAt = core.format_datetime(math.min(now, life.at + (is == status.PUBLISHED and PUBLISHING or 0)))
  end
  if is == status.PUBLISHED then
    record.workLink = record.workLink or "https://example.com/" .. id
  end
  return record
end

local function new_id(self)
  repeat
    self.made = self.made + 1
  until not self.records[("%024x"):format(self.made)]
  return ("%024x"):format(self.made)
end

-- All records that `fits` takes, by a time of theirs.
local function select_records(self, now, fits, before)
  local found = {}
  for id in pairs(self.records) do
    local record = find(self, id, now)
    if fits(record) then
      found[#found + 1] = record
    end
  end
  table.sort(found, before)
  return found
end

-- -- reading -----------------------------------------------------------------------------------------------------------

local HIDDEN = { task_link = true, offline_qr = true }

local IN_LIST = {
  ["GET records"] = function()
    return true
  end,
  ["GET records/queued"] = function(record)
    return record.status == status.WAITING_FOR_PUBLISH or record.status == status.QUEUED
  end,
  ["GET records/published"] = function(record)
    return record.status == status.PUBLISHED
  end,
}

local function newest_first(a, b)
  local of_a, of_b = a.createdAt or a.publishTime, b.createdAt or b.publishTime
  if of_a ~= of_b then
    return of_a > of_b
  end
  return a.id < b.id
end

local function earliest_first(a, b)
  if a.publishTime ~= b.publishTime then
    return a.publishTime < b.publishTime
  end
  return a.id < b.id
end

local function fits_query(record, query)
  local from, to = (query.time or ""):match "^(.*),(.*)$"
  local at = from and core.parse_datetime(record.publishTime)
  return not HIDDEN[record.source]
    and (not query.accountId or record.accountId == query.accountId)
    and (not query.accountType or record.accountType == query.accountType)
    and (not query.status or record.status == tonumber(query.status))
    and (not from or (at and at >= core.parse_datetime(from) and at <= core.parse_datetime(to)))
end

local function list(self, request, in_list)
  return { data = select_records(self, request.at, function(record)
    return in_list(record) and fits_query(record, request.query)
  end, newest_first) }
end

local function task_of(record)
  local task = { platform = record.accountType, accountId = "account" }
  for _, name in ipairs(core.task_fields) do
    if record[name] ~= nil then
      task[name] = record[name]
    end
  end
  return task
end

local function flow(self, id, now)
  local tasks = select_records(self, now, function(record)
    return record.flowId == id
  end, earliest_first)
  for i, record in ipairs(tasks) do
    tasks[i] = task_of(record)
  end
  return tasks[1] and { data = { flowId = id, tasks = tasks } } or { code = code.PUBLISH_FLOW_NOT_FOUND }
end

-- -- writing -----------------------------------------------------------------------------------------------------------

local function publish(self, request)
  local post, now = request.body, request.at
  if flow(self, post.flowId, now).data then
    return { code = code.CHANNEL_PUBLISH_TASK_ALREADY_EXISTS, data = { flowId = post.flowId } }
  end
  for _, item in ipairs(post.items) do
    local id = new_id(self)
    local record = values.complete({ flowId = post.flowId, accountId = item.accountId, accountType = item.platform,
      title = post.content.title, desc = post.content.body, createdAt = core.format_datetime(now) }, id, now)
    self.records[id] = record
    begin(self, id, record, math.max(core.parse_datetime(post.publishAt), now), now)
  end
  return flow(self, post.flowId, now)
end

local function set_of(...)
  local set = {}
  for _, value in ipairs { ... } do
    set[value] = true
  end
  return set
end

local QUEUED = set_of(status.WAITING_FOR_PUBLISH, status.QUEUED)
local CANCELABLE = set_of(status.WAITING_FOR_PUBLISH, status.QUEUED, status.PLATFORM_SCHEDULED,
  status.WAITING_FOR_USER_ACTION)
local FINAL = set_of(status.FAILED, status.PUBLISHED, status.UPDATE_FAILED, status.CANCELED)
local FAILED, WITH_USER = set_of(status.FAILED), set_of(status.WAITING_FOR_USER_ACTION)

-- What acts on a record, by its route: the states it is allowed in, the codes of a refusal and of an unknown record, and
-- what it does; that may return an answer of its own.
local ACTIONS = {
  ["GET records/*"] = { unknown = code.PUBLISH_RECORD_NOT_FOUND, act = function(_, record)
    return { data = record }
  end },
  ["GET records/*/user-action"] = { from = WITH_USER, refusal = code.PUBLISH_TASK_STATUS_INVALID,
    unknown = code.PUBLISH_RECORD_NOT_FOUND, act = function(_, record)
      local name = "share-" .. record.id
      return { data = { recordId = record.id, platform = record.accountType, shareId = name,
        schemeUrl = "snssdk1128://" .. name, shortLink = "https://example.com/" .. name } }
    end },
  ["POST tasks/*/publish-now"] = { from = QUEUED, refusal = code.CHANNEL_PUBLISH_NOW_NOT_ALLOWED,
    act = function(self, record, request)
      begin(self, request.id, record, request.at, request.at)
    end },
  ["POST tasks/*/retry"] = { from = FAILED, refusal = code.CHANNEL_PUBLISH_RETRY_NOT_ALLOWED,
    act = function(self, record, request)
      begin(self, request.id, record, request.at, request.at)
    end },
  ["PATCH tasks/*/publish-at"] = { from = QUEUED, refusal = code.CHANNEL_PUBLISH_TIME_UPDATE_NOT_ALLOWED,
    act = function(self, record, request)
      begin(self, request.id, record, core.parse_datetime(request.body.publishAt), request.at)
    end },
  ["DELETE tasks/*"] = { act = function(_, record, request) -- accepted even where nothing is cancelled
    if CANCELABLE[record.status] then
      record.status, record.updatedAt = status.CANCELED, core.format_datetime(request.at)
    end
  end },
  ["DELETE records/*"] = { from = FINAL, refusal = code.PUBLISH_TASK_STATUS_INVALID,
    unknown = code.PUBLISH_RECORD_NOT_FOUND, act = function(self, _, request)
      self.records[request.id] = nil
      return { code = 0 }
    end },
}

local function act(self, action, request)
  local record = find(self, request.id, request.at)
  if not record then
    return { code = action.unknown or code.PUBLISH_TASK_NOT_FOUND }
  elseif action.from and not action.from[record.status] then
    return { code = action.refusal }
  end
  return action.act(self, record, request) or { data = { taskId = request.id } }
end

--- What the platform says to a request.
---@param request aitoearn.testing.Request
---@return aitoearn.testing.Answer
function Platform:answer(request)
  local parts = request.parts
  local route = request.method .. " " .. table.concat(parts, "/")
  if IN_LIST[route] then
    return list(self, request, IN_LIST[route])
  elseif route == "POST flows" then
    return publish(self, request)
  elseif parts[1] == "flows" then
    return flow(self, parts[2], request.at)
  end
  local pattern = ("%s %s/*%s"):format(request.method, parts[1], parts[3] and "/" .. parts[3] or "")
  return act(self, ACTIONS[pattern], request)
end

return M
