--- Publish records as JSON text: fixed ones for plain ids, built ones for the steps.
-- @module spec.platform.server.record
local envelope = require "spec.platform.server.envelope"

local quote = envelope.quote
local format, floor, match = string.format, math.floor, string.match

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

-- Days from 1970 to a day of the Gregorian calendar.
local function days(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + floor(year / 4) - floor(year / 100) + floor(year / 400) + floor((153 * month - 457) / 5) + day - 719469
end

local function offset_of(zone)
  if zone == "" or zone == "Z" then return 0 end
  local sign, hours, minutes = match(zone, "^([+-])(%d%d):?(%d%d)$")
  if not sign then return nil end
  return (sign == "+" and 1 or -1) * (hours * 3600 + minutes * 60)
end

--- Unix time of a date as the API takes one: a day alone or with a time, which is UTC where no offset follows.
---@param text any
---@return number? seconds nil where it is none
function M.seconds(text)
  if type(text) ~= "string" then return nil end
  local year, month, day, rest = match(text, "^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  if not year then return nil end
  local hour, minute, second, zone = 0, 0, 0, ""
  if rest ~= "" then
    hour, minute, rest = match(rest, "^T(%d%d):(%d%d)(.*)$")
    if not hour then return nil end
    second, zone = match(rest, "^:(%d%d%.?%d*)(.*)$")
    second, zone = second or 0, zone or rest
  end
  local offset = offset_of(zone)
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if not offset or month < 1 or month > 12 or day < 1 or day > 31 or tonumber(hour) > 24 or tonumber(minute) > 59
    or tonumber(second) >= 60 then
    return nil
  end
  return days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
end

local known = {}
for _, name in ipairs(order) do known[name] = true end

--- Whether the API's page has a field of this name.
---@param name string
---@return boolean
function M.is_known(name) return known[name] == true end

--- JSON text of an object with the fields of a record, each JSON text already.
---@param fields table<string, string>
---@param others? string[] names of further fields, which the API's page does not have
---@return string
function M.encode(fields, others)
  local parts = {}
  for _, name in ipairs(order) do
    if fields[name] then parts[#parts + 1] = '"' .. name .. '":' .. fields[name] end
  end
  for _, name in ipairs(others or {}) do parts[#parts + 1] = quote(name) .. ":" .. fields[name] end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- The social platform of a plain id's record.
---@param site "cn"|"intl"
---@param id string
---@return string
function M.account_type(site, id)
  local list = accounts[site]
  return list[id:byte(-1) % #list + 1]
end

local account_types = {}
for _, list in pairs(accounts) do
  for _, name in ipairs(list) do account_types[name] = true end
end

--- Whether there is a social platform of this name.
---@param name any
---@return boolean
function M.is_account_type(name) return account_types[name] == true end

--- The title and description of a site's records where nobody says another.
---@param site "cn"|"intl"
---@return string title
---@return string description
function M.texts(site) return titles[site], descriptions[site] end

--- Where a work is on a site's social platforms.
---@param site "cn"|"intl"
---@param work_id string
---@return string
function M.work_link(site, work_id) return "https://" .. domains[site] .. "/w/" .. work_id end

-- What every record has, whatever its status.
local function common(site, id, now)
  return {
    id = quote(id), accountType = quote(M.account_type(site, id)), type = '"video"',
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

local problems = {
  permission = { "40003", "账号没有发布权限" },
  timeout = { "", "Publishing timed out" },
}

--- Adds why publishing failed.
---@param fields table<string, string> JSON texts
---@param kind string a type of `errorData`
function M.add_failure(fields, kind)
  local problem = problems[kind] or { "", "Publishing failed: " .. kind }
  failed(fields, kind, problem[1], problem[2])
end

local function live(fields, site)
  fields.platformWorkId = '"7391846520173645928"'
  fields.workLink = quote(M.work_link(site, "7391846520173645928"))
  fields.linkStatus = '"ready"'
end

-- status -> what it changes in the common fields
local by_status = {
  [-1] = function(fields) M.add_failure(fields, "permission") end,
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
