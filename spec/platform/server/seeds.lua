--- What specs put on a site, and the flows that clients have made there.
-- @module spec.platform.server.seeds
local record = require "spec.platform.server.record"
local store = require "spec.platform.server.store"
local world = require "spec.platform.server.world"

local M = {}

-- What a seeded record says beside the API's fields.
local special = { life = true, cancel = true, odd = true, busy = true, relay = true, try = true }

local function time_of(value, otherwise)
  return type(value) == "number" and value or record.seconds(value) or otherwise
end

-- Makes a record of what a spec says of it. A text that is no time, or no status, is shown as it is.
local function sown(site, seed, now, n)
  local title = record.texts(site)
  local stored = { id = seed.id or world.new_id(), n = n, try = seed.try or 1, given = { title = title } }
  for name, value in pairs(seed) do
    if not special[name] and name ~= "id" then stored.given[name] = value end
  end
  local given = stored.given
  for _, name in ipairs { "publishTime", "createdAt", "updatedAt", "status" } do
    if type(given[name]) == "number" or name ~= "status" and record.seconds(given[name]) then given[name] = nil end
  end
  stored.status = seed.status and (tonumber(seed.status) or 1) or nil
  stored.at = time_of(seed.publishTime, now)
  stored.created = time_of(seed.createdAt, now)
  stored.moved = time_of(seed.updatedAt, stored.created)
  stored.from = 0
  stored.lives = seed.life
  stored.cancel, stored.odd = seed.cancel, seed.odd
  stored.busy = seed.busy and now + seed.busy
  given.accountType = given.accountType or record.account_type(site, stored.id)
  given.accountId = given.accountId or "6877a1b2c3d4e5f6a0000003"
  given.taskId = given.taskId or world.task_id_for(site, stored.id)
  return stored
end

local function add_to_flow(flows, site, flow_id, id, relay, now)
  local key = world.flow_key(site, flow_id)
  local flow = flows[key] or store.copy(key) or { flowId = flow_id, ids = {}, at = now }
  for _, known in ipairs(flow.ids) do
    if known == id then return end
  end
  flow.ids[#flow.ids + 1], flow.relay, flows[key] = id, relay or flow.relay, flow
end

--- Puts records on a site; one whose id is there already takes its place.
---@param site "cn"|"intl"
---@param seeds table[]
---@return string[] ids
function M.seed(site, seeds)
  local now, ids, list, flows = world.now(), {}, {}, {}
  for i, seed in ipairs(seeds) do
    local known = seed.id and store.get(world.record_key(site, seed.id))
    local stored = sown(site, seed, now, known and known.n or store.count(site .. "/n"))
    ids[i] = stored.id
    list[#list + 1], list[#list + 2] = world.record_key(site, stored.id), stored
    if not known then list[#list + 1], list[#list + 2] = site .. "/at/" .. stored.n, stored.id end
    if seed.flowId then add_to_flow(flows, site, seed.flowId, stored.id, seed.relay, now) end
  end
  for key, flow in pairs(flows) do list[#list + 1], list[#list + 2] = key, flow end
  store.write(list)
  return ids
end

--- The flows that POST /flows made on a site, in their order.
---@param site "cn"|"intl"
---@return {site: string, flowId: string, ids: string[], at: number, post: string, count: integer}[]
function M.flows(site)
  local found = {}
  for n = 1, store.counted(site .. "/posts") do
    local flow_id = store.get(site .. "/posted/" .. n)
    local flow = flow_id and store.get(world.flow_key(site, flow_id))
    if flow then
      found[#found + 1] = {
        site = site, flowId = flow_id, ids = flow.ids, at = flow.at, post = flow.post,
        count = world.count("publish", flow_id),
      }
    end
  end
  return found
end

return M
