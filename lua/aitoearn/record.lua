--- The record type: a plain table with the API's field names, whose metatable brings the verdicts as methods.
--- Each verdict is a function of this module too; the library calls the functions, since a server's field could hide a
--- method. The rules come from the platform's table of statuses.
---@module "aitoearn.record"

local core = require "aitoearn.core"
local text = require "aitoearn.text"

local status = core.status
local parse_datetime = core.parse_datetime
local to_integer = math.tointeger -- Lua 5.3 and later

-- Seconds without a change after which a record without a platformWorkId seems to hang in PUBLISHING.
local STALLED_AFTER = 30 * 60

local LINE_BYTES = 512

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

local verdicts = {}

-- The platform writes "" for "none".
local function is_text(value)
  return type(value) == "string" and value ~= ""
end

--- No further change is expected (a person's retry can revive a failed one).
---@param record aitoearn.Record
---@return boolean
function verdicts.is_final(record)
  return final[record.status] or false
end

--- It can be seen on its platform.
---@param record aitoearn.Record
---@return boolean
function verdicts.is_live(record)
  return live[record.status] or false
end

--- A person must confirm it (Douyin's hand-off); it fails after 60 minutes.
---@param record aitoearn.Record
---@return boolean
function verdicts.needs_action(record)
  return record.status == status.WAITING_FOR_USER_ACTION
end

--- There is a link to use. A verified one has `linkStatus == "ready"` too.
---@param record aitoearn.Record
---@return boolean
function verdicts.has_link(record)
  return is_text(record.workLink)
end

-- A whole second is an integer if Lua has integers: `os.date` takes no other number there.
local function unix(value)
  local seconds = type(value) == "string" and parse_datetime(value) or nil
  return seconds and to_integer and to_integer(seconds) or seconds
end

--- When it was or will be published.
---@param record aitoearn.Record
---@return number? # Unix seconds
function verdicts.published_at(record)
  return unix(record.publishTime)
end

--- When it was made.
---@param record aitoearn.Record
---@return number? # Unix seconds
function verdicts.created_at(record)
  return unix(record.createdAt)
end

--- When the platform last changed it.
---@param record aitoearn.Record
---@return number? # Unix seconds
function verdicts.updated_at(record)
  return unix(record.updatedAt)
end

-- How long a record has hung in PUBLISHING by now, in seconds; nil if it has not.
local function stalled_for(record, now)
  if record.status ~= status.PUBLISHING or is_text(record.platformWorkId) then
    return nil
  end
  local changed = verdicts.updated_at(record) or verdicts.published_at(record)
  local seconds = changed and now - changed
  return seconds and seconds > STALLED_AFTER and seconds or nil
end

--- Publishing seems to hang: the platform gave no work id, and nothing changed for half an hour.
---@param record aitoearn.Record
---@param now? number Unix seconds; default: the system's clock
---@return boolean
function verdicts.is_stalled(record, now)
  return stalled_for(record, now or core.time()) ~= nil
end

--- An attempt to publish failed and the server will try again by itself.
---@param record aitoearn.Record
---@return boolean
function verdicts.will_retry(record)
  return record.status == status.QUEUED and is_text(record.errorMsg)
end

--- The constant's name of its status, "UNKNOWN" for one that this version does not know.
---@param record aitoearn.Record
---@return string
function verdicts.status_name(record)
  return core.status_name(tonumber(record.status) or math.huge)
end

--- JSON with the fields in the API's order.
---@param record aitoearn.Record
---@return string
function verdicts.to_json(record)
  return require("aitoearn.json").encode(record, "record", core.record_fields)
end

--- One line for people.
local function to_line(record)
  local facts = {}
  for i, name in ipairs { "accountType", "type", "publishTime", "workLink", "errorMsg" } do
    facts[i] = is_text(record[name]) and " " .. record[name] or ""
  end
  local line = ("record %s: %s%s"):format(tostring(record.id), verdicts.status_name(record), table.concat(facts))
  return text.cut(text.one_line(line), LINE_BYTES)
end

local M = {}
for name, verdict in pairs(verdicts) do
  M[name] = verdict
end

--- The verdicts alone.
M.verdicts = verdicts

--- How long a record has hung in PUBLISHING, in seconds; nil: it does not seem to.
---@type fun(record: aitoearn.Record, now: number): number?
M.stalled_for = stalled_for

--- The metatable of every record.
M.metatable = { __index = verdicts, __name = "aitoearn.record", __tostring = to_line }

-- JSON libraries make floats of numbers.
local function restore_integers(value, seen)
  seen[value] = true
  for key, field in pairs(value) do
    if type(field) == "table" and not seen[field] then
      restore_integers(field, seen)
    elseif math.type(field) == "float" then
      value[key] = math.abs(field) < 2 ^ 53 and to_integer(field) or field
    end
  end
end

--- Makes a table a record again that was one before it went through JSON or a shared dict.
---@param record table it is changed, not copied
---@return aitoearn.Record
function M.restore(record)
  if to_integer then
    restore_integers(record, {})
  end
  return setmetatable(record, M.metatable)
end

return M
