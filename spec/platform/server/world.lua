--- What a site is to those who read, publish and act: its keys in the store, its clock and settings, its records as
-- readers see them, and the count of what was really done.
-- @module spec.platform.server.world
local record = require "spec.platform.server.record"
local store = require "spec.platform.server.store"

local M = {}

-- Seconds; README.md says what each is.
local defaults = { speed = 1, queued = 0, publishing = 0.5, link = 0, day = 86400, action = 3600, lag = 0, clock = 0 }
local with_defaults = { __index = defaults }
local absent_on = { cn = "e", intl = "c" }   -- first digit of the ids that live on the other site

--- The settings in force.
---@return table
function M.settings()
  local given = store.get "settings"
  return given and setmetatable(given, with_defaults) or defaults
end

--- Unix time of the posts' clock.
---@return number
function M.now() return math.floor((ngx.now() + M.settings().clock) * 1000 + 0.5) / 1000 end

---@param site "cn"|"intl"
---@param id string
---@return string
function M.record_key(site, id) return site .. "/record/" .. id end

---@param site "cn"|"intl"
---@param flow_id string
---@return string
function M.flow_key(site, flow_id) return site .. "/flow/" .. ngx.escape_uri(flow_id) end

--- Whether an id is of the form that the server makes.
---@param id string
---@return boolean
function M.is_id(id) return #id == 24 and not id:find "%X" end

--- Whether an account or a plain record of this id lives on a site.
---@param site "cn"|"intl"
---@param id string
---@return boolean
function M.lives_on(site, id) return id:sub(1, 1) ~= absent_on[site] end

--- An id that no other worker makes.
---@return string
function M.new_id()
  local pid = ngx.worker.pid()
  return ("%08x%s%06x"):format(ngx.time(), ngx.md5(pid .. ":" .. ngx.now()):sub(1, 10), store.count "ids" % 2 ^ 24)
end

--- A creator's own id, which no task route of the site knows.
---@param site "cn"|"intl"
---@param id string the record's
---@return string
function M.task_id_for(site, id) return absent_on[site] .. ngx.md5(id):sub(1, 23) end

--- The record of a plain id, which is there without having been made.
---@param site "cn"|"intl"
---@param id string
---@return table?
function M.plain(site, id)
  if not M.lives_on(site, id) then return nil end
  local title, desc = record.texts(site)
  return {
    id = id, n = 0, try = 1, created = 1767218400, moved = 1767225595, at = 1767225540, from = 0, status = 1,
    given = { accountType = record.account_type(site, id), title = title, desc = desc, accountId = "6877a1b2c3d4e5f6a0000003" },
  }
end

--- What readers see of a record: for a while after a change, what it was before.
---@param stored? table
---@param now number
---@return table?
function M.seen(stored, now)
  if stored and stored.old_until and now < stored.old_until then stored = stored.old or nil end
  return stored and not stored.deleted and stored or nil
end

--- A record as readers see it.
---@param site "cn"|"intl"
---@param id string
---@param now number
---@return table?
function M.find(site, id, now)
  local stored = store.get(M.record_key(site, id))
  if not stored then return M.is_id(id) and M.plain(site, id) or nil end
  return M.seen(stored, now)
end

--- Lets readers see the old state, nil for none, as long as the setting `lag` says.
---@param stored table
---@param old? table
---@param now number
function M.hide(stored, old, now)
  local lag = M.settings().lag
  if lag <= 0 then return end
  if old then old.old, old.old_until = nil, nil end
  stored.old, stored.old_until = old or false, now + lag
end

--- Counts what was really done, to one record or flow and in all.
---@param effect string
---@param name string
function M.did(effect, name)
  store.count("did/" .. effect)
  store.count("did/" .. effect .. "/" .. ngx.escape_uri(name))
end

--- How many times something was really done.
---@param effect string
---@param name? string to this record or flow alone
---@return integer
function M.count(effect, name)
  return store.counted("did/" .. effect .. (name and "/" .. ngx.escape_uri(name) or ""))
end

return M
