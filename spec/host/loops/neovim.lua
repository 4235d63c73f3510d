--- Neovim for the scenarios.
local M = { outside = true }

M.new = require("aitoearn.host.luv").new

local active = 0

local function resume(co)
  assert(coroutine.resume(co))
end

function M.spawn(fn)
  active = active + 1
  resume(coroutine.create(function()
    fn()
    active = active - 1
  end))
end

-- Neovim's loop never ends.
function M.run(is_over)
  assert(vim.wait(20000, function()
    return active == 0 and (not is_over or is_over())
  end, 5), "it does not come to rest")
end

function M.sleep(seconds)
  local co = coroutine.running()
  vim.defer_fn(function()
    resume(co)
  end, seconds * 1000)
  coroutine.yield()
end

return M
