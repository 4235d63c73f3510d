--- What time makes of a record: its state at a moment, and its JSON then.
-- A life is written `life:QUEUED:PUBLISHING[:STATUS][:link=S][:confirm=S][:error=TYPE]`, times in seconds.
-- @module spec.platform.server.life
local envelope = require "spec.platform.server.envelope"
local record = require "spec.platform.server.record"
local store = require "spec.platform.server.store"

local quote = envelope.quote

local M = {}

--- Reads one life; `ok` is one of the usual length.
---@param text string
---@return table? life nil where it makes no sense
function M.parse(text)
  if text == "ok" then return {} end
  local words = text:match "^life:(.+)$"
  if not words then return nil end
  local life, numbers = {}, {}
  for word in words:gmatch "[^:]+" do
    local name, value = word:match "^(%a+)=(.+)$"
    if name then
      life[name] = tonumber(value) or value
    elseif tonumber(word) then
      numbers[#numbers + 1] = tonumber(word)
    else
      return nil
    end
  end
  life.queued, life.publishing, life.status = numbers[1], numbers[2], numbers[3]
  return life
end

-- The life of the current try: the first try has the first one, the last one stays.
local function current(stored)
  local text = "ok"
  local turn = stored.try
  for step in (stored.lives or ""):gmatch "[^;]+" do
    text, turn = step, turn - 1
    if turn == 0 then break end
  end
  return M.parse(text) or {}
end

-- Where a hand-off to a person stands, `from` being its beginning.
local function handed_over(stored, life, from, now, settings)
  local confirm = life.confirm or settings.confirm
  local at = stored.confirmed or confirm and from + confirm / settings.speed
  local too_late = from + settings.action / settings.speed
  if at and at <= now and at <= too_late then return 1, at end
  if now >= too_late then return -1, too_late, "timeout" end
  return 8, from
end

---@class spec.platform.State
---@field status integer
---@field publish_time number
---@field updated number
---@field has_link boolean
---@field problem? string errorData.type of a failure

--- The state of a record.
---@param stored table as the store has it
---@param now number
---@param settings table
---@return spec.platform.State
function M.state(stored, now, settings)
  local state = { status = stored.status, publish_time = stored.at, updated = stored.moved, has_link = true }
  if stored.status then return state end
  local life = current(stored)
  local begins = math.max(stored.at, stored.from) + (life.queued or settings.queued) / settings.speed
  local ends = begins + (life.publishing or settings.publishing) / settings.speed
  if now < begins then
    state.status = stored.at - now > settings.day and 0 or 6
    return state
  elseif now < ends then
    state.status, state.updated = 2, begins
    return state
  end
  local last, at = life.status or stored.given.accountType == "douyin" and 8 or 1, ends
  if last == 8 then
    last, at, state.problem = handed_over(stored, life, ends, now, settings)
  end
  state.status, state.updated = last, at
  if last == 1 then
    state.publish_time = at
    state.has_link = now >= at + (life.link or settings.link) / settings.speed
  end
  state.problem = state.problem or life.error
  return state
end

-- Every record's own number at its social platform.
local function work_id(stored) return ("7%018d"):format(stored.n) end

-- What a state brings along, as JSON texts.
local function add_state(fields, stored, state, site)
  local status = state.status
  if status == 1 or status == 3 or status == 4 or status == 5 then
    fields.platformWorkId = quote(work_id(stored))
    fields.linkStatus = state.has_link and '"ready"' or '"pending"'
    fields.workLink = state.has_link and quote(record.work_link(site, work_id(stored))) or nil
  elseif status == 2 or status == 7 then
    fields.platformWorkId = quote(work_id(stored))
  elseif status == 8 then
    fields.platformWorkId = quote("share-" .. stored.n)
  end
  if status == -1 or status == 5 then record.add_failure(fields, state.problem or "permission") end
end

local function encode(value)
  return type(value) == "string" and quote(value) or store.json().encode(value)
end

-- lua-cjson writes an empty table as an object.
local arrays = { imgUrlList = true }

local function fields_of(site, stored, state)
  local fields = {
    id = quote(stored.id), status = tostring(state.status), type = '"video"', source = '"api"', imgUrlList = "[]",
    publishTime = quote(record.iso(state.publish_time)), createdAt = quote(record.iso(stored.created)),
    updatedAt = quote(record.iso(state.updated)),
  }
  add_state(fields, stored, state, site)
  local others = {}
  for name, value in pairs(stored.given) do
    local is_empty = arrays[name] and type(value) == "table" and next(value) == nil
    fields[name] = is_empty and "[]" or encode(value)
    if not record.is_known(name) then others[#others + 1] = name end
  end
  return fields, others
end

--- A record's JSON.
---@param site "cn"|"intl"
---@param stored table
---@param state spec.platform.State
---@return string
function M.json(site, stored, state)
  return record.encode(fields_of(site, stored, state))
end

local of_task = {
  "id", "accountId", "platform", "status", "publishTime", "platformWorkId", "workLink", "linkStatus", "linkError",
  "linkMeta", "errorMsg",
}

--- A flow's JSON for a record.
---@param site "cn"|"intl"
---@param stored table
---@param state spec.platform.State
---@return string
function M.task_json(site, stored, state)
  local fields, parts = fields_of(site, stored, state), {}
  fields.platform = fields.accountType
  for _, name in ipairs(of_task) do
    if fields[name] then parts[#parts + 1] = '"' .. name .. '":' .. fields[name] end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

return M
