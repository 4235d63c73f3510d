--- The exit status that an error stands for; of several errors the greatest counts.
---@module "aitoearn.command.status"

local core = require "aitoearn.core"

local M = {}

M.REFUSED, M.USAGE, M.NOT_FOUND, M.KEY, M.PLATFORM, M.TIMEOUT, M.INTERRUPTED = 1, 2, 3, 4, 5, 6, 130

local code = core.code

local BY_CODE = {
  [code.PUBLISH_RECORD_NOT_FOUND] = M.NOT_FOUND,
  [code.PUBLISH_TASK_NOT_FOUND] = M.NOT_FOUND,
  [code.PUBLISH_FLOW_NOT_FOUND] = M.NOT_FOUND,
  [code.UNAUTHORIZED] = M.KEY,
  [code.API_KEY_INVALID] = M.KEY,
  [code.NOT_FOUND] = M.PLATFORM,
  [code.TOO_MANY_REQUESTS] = M.PLATFORM,
  [code.INTERNAL_SERVER_ERROR] = M.PLATFORM,
  [code.BAD_GATEWAY] = M.PLATFORM,
  [code.SERVICE_UNAVAILABLE] = M.PLATFORM,
  [code.GATEWAY_TIMEOUT] = M.PLATFORM,
}

--- The exit status of an error.
---@param err aitoearn.Error
---@param is_wait? boolean it ended a wait: a time-out is the wait's own
---@return integer
function M.of(err, is_wait)
  if err.may_have_happened or err.kind == "goal" then
    return M.REFUSED
  elseif err.kind == "argument" then
    return M.USAGE
  elseif err.kind == "timeout" and is_wait then
    return M.TIMEOUT
  elseif err.kind == "api" then
    return BY_CODE[err.code] or (err.retryable and M.PLATFORM) or M.REFUSED
  elseif err.kind == "http" and err.http_status == 401 then
    return M.KEY
  end
  return M.PLATFORM
end

return M
