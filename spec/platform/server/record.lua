--- Publish records as JSON text: fixed ones for plain ids, built ones for the steps.
-- @module spec.platform.server.record
local envelope = require "spec.platform.server.envelope"

local quote = envelope.quote
local format, floor = string.format, math.floor

local M = {}

local accounts = {
  cn = { "douyin", "xhs", "wxSph", "KWAI", "wxGzh", "bilibili" },
  intl = {
    "youtube", "twitter", "tiktok", "facebook", "instagram", "threads", "pinterest", "linkedin", "google_business",
  },
}
local titles = { cn = "三分钟看懂春日穿搭 🌸", intl = "Three spring looks in three minutes 🌸" }
local descriptions = {
  cn = "今天带你走一遍江南的早春。\n#穿搭 #春天",
  intl = "A walk through early spring.\n#style #spring",
}
local domains = { cn = "work.aitoearn.cn", intl = "work.aitoearn.ai" }

-- The order of the fields in an answer, which is that of the API page.
local order = {
  "id", "flowId", "taskId", "userTaskId", "accountId", "accountType", "type", "status", "title", "desc",
  "publishTime", "platformWorkId", "workLink", "linkStatus", "linkError", "linkMeta", "videoUrl", "coverUrl",
  "imgUrlList", "source", "errorMsg", "errorData", "createdAt", "updatedAt",
}

--- A time as the API writes it.
---@param seconds number Unix time
---@return string text ISO 8601, UTC, milliseconds
function M.iso(seconds)
  local ms = floor(seconds * 1000 + 0.5)
  return os.date("!%Y-%m-%dT%H:%M:%S", floor(ms / 1000)) .. format(".%03dZ", ms % 1000)
end

local function time(seconds) return quote(M.iso(seconds)) end

--- JSON text of an object with the fields of a record, each JSON text already.
---@param fields table<string, string>
---@return string
function M.encode(fields)
  local parts = {}
  for _, name in ipairs(order) do
    if fields[name] then parts[#parts + 1] = '"' .. name .. '":' .. fields[name] end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function account_of(site, id)
  local list = accounts[site]
  return list[id:byte(-1) % #list + 1]
end

-- What every record has, whatever its status.
local function common(site, id, now)
  return {
    id = quote(id), accountType = quote(account_of(site, id)), type = '"video"',
    flowId = '"6877a1b2c3d4e5f6a0000001"', userTaskId = '"6877a1b2c3d4e5f6a0000002"',
    accountId = '"6877a1b2c3d4e5f6a0000003"', title = quote(titles[site]), desc = quote(descriptions[site]),
    videoUrl = '"https://assets.example/video/spring.mp4"', coverUrl = '"https://assets.example/cover/spring.jpg"',
    imgUrlList = "[]", source = '"api"', publishTime = time(now - 60), createdAt = time(now - 7200), updatedAt = time(now - 5),
  }
end

local function failed(fields, kind, code, message)
  fields.errorMsg = quote(message)
  fields.errorData = format('{"type":%s,"code":%s,"message":%s}', quote(kind), quote(code), quote(message))
end

local function live(fields, site)
  fields.platformWorkId = '"7391846520173645928"'
  fields.workLink = quote("https://" .. domains[site] .. "/w/7391846520173645928")
  fields.linkStatus = '"ready"'
end

-- status -> what it changes in the common fields
local by_status = {
  [-1] = function(fields) failed(fields, "permission", "40003", "账号没有发布权限") end,
  [0] = function(fields, _, now) fields.publishTime = time(now + 3600) end,
  [1] = live,
  [2] = function(fields) fields.platformWorkId = '"7391846520173645928"' end,
  [3] = live,
  [4] = live,
  [5] = function(fields, site)
    live(fields, site)
    failed(fields, "validation", "40010", "Title is too long")
  end,
  [6] = function(fields, _, now) fields.publishTime = time(now + 1800) end,
  [7] = function(fields, _, now)
    fields.publishTime = time(now + 3600)
    fields.platformWorkId = '"7391846520173645928"'
  end,
}

--- The fields of a record in a status, as JSON texts.
---@param site "cn"|"intl"
---@param id string
---@param status integer
---@return table<string, string>
function M.fields(site, id, status)
  local now = ngx.now()
  local fields = common(site, id, now)
  fields.status = tostring(status)
  if by_status[status] then by_status[status](fields, site, now) end
  return fields
end

--- Every field of the API page at once.
---@param site "cn"|"intl"
---@param id string
---@return table<string, string>
function M.full(site, id)
  local fields = M.fields(site, id, 1)
  fields.taskId = '"ext-20261001-0042"'
  fields.linkError = '""'
  fields.linkMeta = '{"shortLink":"https://s.example/7Qk","play":{"count":1024,"ratio":0.5},"tags":["a","b"],"note":null}'
  fields.imgUrlList = '["https://assets.example/img/1.jpg","https://assets.example/img/2.jpg"]'
  failed(fields, "unknown", "", "")
  return fields
end

-- Plain ids: everything but the ids is made once for a site and an account type.
local plain = {}
for site, list in pairs(accounts) do
  plain[site] = {}
  for i, account in ipairs(list) do
    local fields = common(site, "ID", 1767225600)
    live(fields, site)
    fields.status, fields.accountType = "1", quote(account)
    plain[site][i] = M.encode(fields):gsub('^{"id":"ID"', "")
  end
end

--- A fixed, published record without any computing: for plain ids and benchmarks.
---@param site "cn"|"intl"
---@param id string nothing in it needs escaping
---@return string
function M.plain(site, id)
  local list = plain[site]
  return '{"id":"' .. id .. '"' .. list[id:byte(-1) % #list + 1]
end

return M
