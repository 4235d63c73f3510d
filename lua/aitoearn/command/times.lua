--- Times as people write and read them: local ones on a terminal and on the command line, UTC everywhere else.
---@module "aitoearn.command.times"

local core = require "aitoearn.core"
local t = require "aitoearn.command.language"

local M = {}

local UNITS = { s = 1, m = 60, h = 3600, d = 86400 }

--- A time of the API, in local time.
---@param text string ISO 8601
---@param is_short? boolean for a column: the day alone if it is in another year
---@return string
function M.to_local(text, is_short)
  local seconds = core.parse_datetime(text)
  if not seconds then
    return text
  end
  seconds = math.floor(seconds)
  local form = "%Y-%m-%d %H:%M"
  if is_short then
    form = os.date("%Y", seconds) == os.date("%Y") and "%m-%d %H:%M" or "%Y-%m-%d"
  end
  return os.date(form, seconds)
end

-- Local time of a date and a time without an offset.
local function read_local(date, clock)
  if not core.parse_datetime(date .. "T" .. clock .. "Z") then
    return nil
  end
  local year, month, day = date:match "(%d+)-(%d+)-(%d+)"
  local hour, min, sec = clock:match "(%d+):(%d+):(%d+)"
  return os.time { year = year, month = month, day = day, hour = hour, min = min, sec = sec }
end

--- Reads a time: a date, a date and a time of the day (local unless it has an offset), or how far ahead (`+30m`).
---@param text string
---@param is_end? boolean a date alone is the end of that day
---@return number? seconds Unix time
---@return string? problem
function M.read(text, is_end)
  local count, unit = text:match "^%+(%d+)([smhd])$"
  if count then
    return core.time() + count * UNITS[unit]
  end
  local date, clock = text:match "^(%d%d%d%d%-%d%d%-%d%d)[Tt ]?(.*)$"
  local seconds
  if clock == "" then
    seconds = read_local(date, is_end and "23:59:59" or "00:00:00")
  elseif clock and clock:find "^%d%d:%d%d$" then
    seconds = read_local(date, clock .. ":00")
  elseif clock and clock:find "^%d%d:%d%d:%d%d$" then
    seconds = read_local(date, clock)
  else
    seconds = core.parse_datetime(text)
  end
  if not seconds then
    return nil, t('no time: "%s" (2026-07-02, 2026-07-02 18:30, 2026-07-02T18:30:00+08:00, +30m)', text)
  end
  return seconds
end

--- Reads a length of time: seconds, or a number with s, m, h or d.
---@param text string
---@return number? seconds
---@return string? problem
function M.read_seconds(text)
  local number, unit = text:match "^([%d.]+)([smhd]?)$"
  local seconds = tonumber(number)
  if not seconds or seconds <= 0 then
    return nil, t('no length of time: "%s" (30, 90s, 10m, 2h, 1d)', text)
  end
  return seconds * (UNITS[unit] or 1)
end

--- A length of time in a few characters.
---@param seconds number
---@return string
function M.short(seconds)
  seconds = math.max(0, math.floor(seconds + 0.5))
  if seconds >= 86400 then
    return ("%dd%02dh"):format(math.floor(seconds / 86400), math.floor(seconds % 86400 / 3600))
  elseif seconds >= 3600 then
    return ("%d:%02d:%02d"):format(math.floor(seconds / 3600), math.floor(seconds % 3600 / 60), seconds % 60)
  end
  return ("%d:%02d"):format(math.floor(seconds / 60), seconds % 60)
end

return M
