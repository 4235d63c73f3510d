--- Stopping a command early: with a status and, unless nobody reads any more, a message.
---@module "aitoearn.command.stop"

local M = {}

---@class aitoearn.command.Stop
---@field status integer? the exit status; nil: that of what was found so far
---@field message string?
local Stop = {}
Stop.__index = Stop

function Stop:__tostring()
  return self.message or "stopped"
end

--- Gives up.
---@param status? integer
---@param message? string
function M.now(status, message)
  error(setmetatable({ status = status, message = message }, Stop), 0)
end

--- Whether a raised value is one.
---@return boolean
function M.is(value)
  return getmetatable(value) == Stop
end

local function results(ok, ...)
  if ok then
    return ...
  end
  local problem = ...
  local is_bug = type(problem) ~= "string" or problem:find "%.lua:%d+: attempt to " or problem:find "interrupted!$"
  if is_bug then
    error(problem, 0)
  end
  M.now(2, (problem:gsub("^[^\n]-%.lua:%d+: ", "")))
end

--- Calls a function of the library; what it raises about an argument or an option ends the command with 2.
function M.usage(fn, ...)
  return results(pcall(fn, ...))
end

return M
