--- A loop of one's own, as lua/aitoearn/host/README.md shows it, as an adapter.
local own = require "spec.host.custom.loop"

local M = { host = own.host, outside = true }

function M.spawn(fn)
  coroutine.wrap(fn)()
end

M.run = own.run

return M
