--- Verdicts on a publish record. Each is a function of this module and, through the metatable, a method
-- of every record; our own code calls the functions, since a server's field could hide a method.
-- The rules come from the platform's table of statuses.
-- @module aitoearn.record

local core = require "aitoearn.core"

local status = core.status
local parse_datetime = core.parse_datetime

local STALLED_AFTER = 30 * 60

local final = {
  [status.FAILED] = true,
  [status.PUBLISHED] = true,
  [status.UPDATE_FAILED] = true,
  [status.CANCELED] = true,
}

local live = {
  [status.PUBLISHED] = true,
  [status.WAITING_FOR_UPDATE] = true,
  [status.UPDATING] = true,
  [status.UPDATE_FAILED] = true,
}

local M = {}

-- The platform writes "" for "none".
local function is_text(value)
  return type(value) == "string" and value ~= ""
end

--- Nothing moves it on any more (a person's retry can revive a failed one).
-- @treturn boolean
function M.is_final(record)
  return final[record.status] or false
end

--- It can be seen on its platform.
-- @treturn boolean
function M.is_live(record)
  return live[record.status] or false
end

--- A person must confirm it (Douyin's hand-off); it fails after 60 minutes.
-- @treturn boolean
function M.needs_action(record)
  return record.status == status.WAITING_FOR_USER_ACTION
end

--- There is a link to use. A verified one has `linkStatus == "ready"` too.
-- @treturn boolean
function M.has_link(record)
  return is_text(record.workLink)
end

local function unix(text)
  return type(text) == "string" and parse_datetime(text) or nil
end

--- When it was or will be published.
-- @treturn number|nil Unix seconds
function M.published_at(record)
  return unix(record.publishTime)
end

--- @treturn number|nil Unix seconds
function M.created_at(record)
  return unix(record.createdAt)
end

--- @treturn number|nil Unix seconds
function M.updated_at(record)
  return unix(record.updatedAt)
end

--- Publishing seems to hang: the platform gave no work id, and nothing moved for half an hour.
-- @tparam table record
-- @tparam ?number now Unix seconds; default: the system's clock
-- @treturn boolean
function M.is_stalled(record, now)
  if record.status ~= status.PUBLISHING or is_text(record.platformWorkId) then
    return false
  end
  local moved = M.updated_at(record) or M.published_at(record)
  return moved ~= nil and (now or core.time()) - moved > STALLED_AFTER
end

--- An attempt to publish failed and the server will try again by itself.
-- @treturn boolean
function M.will_retry(record)
  return record.status == status.QUEUED and is_text(record.errorMsg)
end

--- The constant's name of its status, "UNKNOWN" for one that this version does not know.
-- @treturn string
function M.status_name(record)
  return core.status_name(tonumber(record.status) or math.huge)
end

local verdicts = {}
for name, verdict in pairs(M) do
  verdicts[name] = verdict
end

--- The metatable of every record.
M.metatable = { __index = verdicts, __name = "aitoearn.record" }

return M
