--- What acts on a record: publish now, retry, another time, cancel, delete.
-- Values in, `code, data` out, where `data` is JSON text.
-- @module spec.platform.server.actions
local envelope = require "spec.platform.server.envelope"
local life = require "spec.platform.server.life"
local store = require "spec.platform.server.store"
local world = require "spec.platform.server.world"

local quote = envelope.quote

-- What a new try, or another time, makes of the fields that a seed gave.
local transient = {
  "status", "publishTime", "updatedAt", "errorMsg", "errorData", "platformWorkId", "workLink", "linkStatus", "linkError",
}

local M = {}

-- Runs fn(stored, state, now) → code, effect on a record that no other worker changes meanwhile. Where it names an effect,
-- the record is written and the effect counted.
local function change(site, id, missing, fn)
  local key = world.record_key(site, id)
  return store.locked(key, function()
    local stored, now = store.copy(key) or world.plain(site, id), world.now()
    if not stored or stored.deleted then return missing end
    local code, effect = fn(stored, life.state(stored, now, world.settings()), now)
    if effect then
      world.hide(stored, store.copy(key) or world.plain(site, id), now)
      store.write { key, stored }
      world.did(effect, id)
    end
    return code
  end)
end

local function task_data(code, id)
  if code ~= 0 then return code end
  return 0, '{"taskId":' .. quote(id) .. "}"
end

-- Lets a record live from now on, due at a time.
local function begin(stored, at, now)
  stored.status, stored.confirmed = nil, nil
  stored.at, stored.from, stored.moved = at, now, now
  for _, name in ipairs(transient) do stored.given[name] = nil end
end

local function is_queued(state) return state.status == 0 or state.status == 6 end
local function is_busy(stored, now) return stored.busy and now < stored.busy end

--- POST /tasks/{id}/publish-now.
---@param site "cn"|"intl"
---@param id string
---@return integer code
---@return string? data
function M.publish_now(site, id)
  if not world.is_id(id) then return 500 end
  return task_data(change(site, id, 15004, function(stored, state, now)
    if not is_queued(state) then return 15058 end
    if is_busy(stored, now) then return 15053 end
    begin(stored, now, now)
    return 0, "publish_now"
  end), id)
end

--- POST /tasks/{id}/retry.
---@param site "cn"|"intl"
---@param id string
---@return integer code
---@return string? data
function M.retry(site, id)
  if not world.is_id(id) then return 500 end
  return task_data(change(site, id, 15004, function(stored, state, now)
    if state.status ~= -1 then return 15095 end
    begin(stored, now, now)
    stored.try = stored.try + 1
    return 0, "retry"
  end), id)
end

--- PATCH /tasks/{id}/publish-at.
---@param site "cn"|"intl"
---@param id string
---@param at number Unix time
---@return integer code
---@return string? data
function M.reschedule(site, id, at)
  return task_data(change(site, id, 15004, function(stored, state, now)
    if not is_queued(state) then return 15057 end
    if is_busy(stored, now) then return 15053 end
    begin(stored, at, now)
    return 0, "reschedule"
  end), id)
end

--- DELETE /tasks/{id}: code 0 even where nothing is cancelled.
---@param site "cn"|"intl"
---@param id string
---@return integer code
---@return string? data
function M.cancel(site, id)
  if not world.is_id(id) then return 500 end
  return task_data(change(site, id, 15004, function(stored, state, now)
    local status = state.status
    if not is_queued(state) and status ~= 7 and status ~= 8 then return 0 end
    if is_queued(state) and is_busy(stored, now) then return 15053 end
    if stored.cancel == "silent" then return 0 end
    if stored.cancel then return stored.cancel end
    stored.status, stored.at, stored.moved = 9, state.publish_time, now
    return 0, "cancel"
  end), id)
end

local final = { [-1] = true, [1] = true, [5] = true, [9] = true }

--- DELETE /records/{id}: a success has no data.
---@param site "cn"|"intl"
---@param id string
---@return integer code
function M.delete(site, id)
  if not world.is_id(id) then return 10002 end
  return change(site, id, 15000, function(stored, state)
    if not final[state.status] then return 15018 end
    stored.deleted = true
    return 0, "delete"
  end)
end

--- What a person does where state 8 waits for it.
---@param site "cn"|"intl"
---@param id string
---@return integer code 15018 where nothing waits
function M.confirm(site, id)
  return change(site, id, 15000, function(stored, state, now)
    if state.status ~= 8 then return 15018 end
    stored.confirmed = now
    if stored.status then stored.status, stored.at, stored.moved = 1, now, now end
    return 0, "confirm"
  end)
end

return M
