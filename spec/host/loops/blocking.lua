--- A plain script, as an adapter: whatever is spawned runs to its end.
local M = { outside = true }

function M.spawn(fn)
  fn()
end

function M.run() end

return M
