--- luv for the scenarios.
local uv = require "luv"

local M = { host = "luv", outside = true }

M.new = require("aitoearn.host.luv").new

function M.spawn(fn)
  local co = coroutine.create(fn)
  assert(coroutine.resume(co))
end

function M.run()
  uv.run()
end

function M.sleep(seconds)
  local co, timer = coroutine.running(), uv.new_timer()
  timer:start(math.floor(seconds * 1000), 0, function()
    timer:close()
    assert(coroutine.resume(co))
  end)
  coroutine.yield()
end

return M
