--- What reading answers: a record, lists, a flow, what a person has to do.
-- Values in, `code, data` out, where `data` is JSON text.
-- @module spec.platform.server.reads
local envelope = require "spec.platform.server.envelope"
local life = require "spec.platform.server.life"
local record = require "spec.platform.server.record"
local store = require "spec.platform.server.store"
local world = require "spec.platform.server.world"

local quote, format = envelope.quote, string.format

local M = {}

--- Whether a record was made here, rather than being there without.
---@param site "cn"|"intl"
---@param id string
---@return boolean
function M.has(site, id) return store.has(world.record_key(site, id)) end

--- GET /records/{id}.
---@param site "cn"|"intl"
---@param id string
---@return integer code
---@return string? data
function M.get(site, id)
  if not world.is_id(id) then return 500 end
  local now = world.now()
  local stored = world.find(site, id, now)
  if not stored then return 15000 end
  if stored.odd then return 500 end
  return 0, life.json(site, stored, life.state(stored, now, world.settings()))
end

---@class spec.platform.Filter
---@field accountId? string
---@field accountType? string
---@field status? integer
---@field from? number Unix time
---@field to? number

local hidden_sources = { task_link = true, offline_qr = true }
local by_list = { queued = { [0] = true, [6] = true }, published = { true } }

local function fits(stored, state, filter, statuses)
  local given, at = stored.given, state.publish_time
  return not hidden_sources[given.source]
    and (not statuses or statuses[state.status])
    and (not filter.status or filter.status == state.status)
    and (not filter.accountId or filter.accountId == given.accountId)
    and (not filter.accountType or filter.accountType == given.accountType)
    and (not filter.from or at >= filter.from and at <= filter.to)
end

-- The JSON of what is stored in an entry, made once for each state.
local function text_of(site, entry, state)
  local name = format("%d %s %.3f %.3f", state.status, tostring(state.has_link), state.publish_time, state.updated)
  if entry.state ~= name then
    entry.state, entry.text = name, life.json(site, entry.value, state)
  end
  return entry.text
end

local function newest_first(a, b)
  if a.created ~= b.created then return a.created > b.created end
  return a.n > b.n
end

--- GET /records and its two likes: one odd record among them spoils the whole answer.
---@param site "cn"|"intl"
---@param list "history"|"queued"|"published"
---@param filter spec.platform.Filter
---@return integer code
---@return string? data
function M.list(site, list, filter)
  local now, settings, found = world.now(), world.settings(), {}
  for n = 1, store.counted(site .. "/n") do
    local id = store.get(site .. "/at/" .. n)
    local entry = id and store.entry(world.record_key(site, id))
    local stored = entry and world.seen(entry.value, now)
    local state = stored and life.state(stored, now, settings)
    if state and fits(stored, state, filter, by_list[list]) then
      if stored.odd then return 500 end
      local text = stored == entry.value and text_of(site, entry, state) or life.json(site, stored, state)
      found[#found + 1] = { created = stored.created, n = stored.n, text = text }
    end
  end
  table.sort(found, newest_first)
  for i, one in ipairs(found) do found[i] = one.text end
  local text = "[" .. table.concat(found, ",") .. "]"
  return 0, settings.list_key and "{" .. quote(settings.list_key) .. ":" .. text .. "}" or text
end

--- The JSON of a flow and how many tasks it has.
---@param site "cn"|"intl"
---@param flow table as the store has it
---@param now number
---@param fresh? table<string, table> records that readers may not see yet, by id
---@return string
---@return integer
function M.flow_json(site, flow, now, fresh)
  local settings, tasks = world.settings(), {}
  for _, id in ipairs(flow.ids) do
    local stored = fresh and fresh[id] or world.find(site, id, now)
    local state = stored and life.state(stored, now, settings)
    if state then
      tasks[#tasks + 1] = { at = state.publish_time, n = stored.n, text = life.task_json(site, stored, state) }
    end
  end
  table.sort(tasks, function(a, b)
    if a.at ~= b.at then return a.at < b.at end
    return a.n < b.n
  end)
  for i, task in ipairs(tasks) do tasks[i] = task.text end
  return '{"flowId":' .. quote(flow.flowId) .. ',"tasks":[' .. table.concat(tasks, ",") .. "]}", #tasks
end

--- GET /flows/{flowId}. A flow made through a relay is not found.
---@param site "cn"|"intl"
---@param flow_id string
---@return integer code
---@return string? data
function M.flow(site, flow_id)
  local now = world.now()
  local flow = store.get(world.flow_key(site, flow_id))
  if not flow or flow.relay or flow.hidden_until and now < flow.hidden_until then return 15050 end
  local text, count = M.flow_json(site, flow, now)
  if count == 0 then return 15050 end
  return 0, text
end

--- GET /records/{id}/user-action.
---@param site "cn"|"intl"
---@param id string
---@return integer code
---@return string? data
function M.user_action(site, id)
  if not world.is_id(id) then return 10002 end
  local now = world.now()
  local stored = world.find(site, id, now)
  if not stored then return 15000 end
  local state = life.state(stored, now, world.settings())
  if state.status ~= 8 then return 15018 end
  if stored.given.accountType ~= "douyin" then return 15062 end
  return 0, format('{"recordId":%s,"platform":"douyin","shareId":"share-%d",'
    .. '"schemeUrl":"snssdk1128://openplatform/share?id=%d","shortLink":"https://v.example/%d","expiresAt":%s}',
    quote(id), stored.n, stored.n, stored.n, quote(record.iso(state.updated + world.settings().action)))
end

return M
