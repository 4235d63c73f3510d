--- A clock for specs in which only sleeping would take time: the real client over the real engine against a real server,
-- whose sleeps move this clock and take none. (Where the server may be fake as well, aitoearn.testing is the better one.)
-- @module spec.clock
local blocking = require "aitoearn.host.blocking"

local M = {}

--- A clock that a client's sleeps move on.
---@return {time: number, sleeps: number[], reports: string[], host: function}
function M.new()
  local clock = { time = 1000, sleeps = {}, reports = {} }
  function clock.host(engine)
    local host = blocking.new(engine)
    function host.now() return clock.time end
    function host.sleep(seconds)
      clock.sleeps[#clock.sleeps + 1] = seconds
      clock.time = clock.time + seconds
    end
    function host.report(message) clock.reports[#clock.reports + 1] = message end
    return host
  end
  return clock
end

return M
