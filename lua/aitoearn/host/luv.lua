--- The host of libuv's loop: luv, and Neovim, where results arrive in the main loop and may use its API.
---@module "aitoearn.host.luv"

local loop = require "aitoearn.host.loop"

local M = {}

local vim = rawget(_G, "vim")

-- Milliseconds between two polls if the engine has no descriptor.
local INTERVAL = 2

-- Neovim's API must not be called in libuv's callbacks.
local schedule = vim and vim.schedule

---@param engine aitoearn.Engine
---@return aitoearn.Host
function M.new(engine)
  local uv = vim and (vim.uv or vim.loop) or require "luv"
  local handle, begin

  local function watch(fd, step)
    local function on_readable()
      if not schedule then
        step()
      elseif engine:poll(0) > 0 then
        local current = handle
        current:stop() -- it stays readable until the results are handed out
        schedule(function()
          step()
          if handle == current then
            begin()
          end
        end)
      end
    end
    handle = fd and uv.new_poll(fd) or uv.new_timer()
    function begin()
      if fd then
        handle:start("r", on_readable)
      else
        handle:start(INTERVAL, INTERVAL, on_readable)
      end
    end
    begin()
  end

  local host = loop.new(engine, {
    watch = watch,
    unwatch = function()
      handle:close() -- at once: the number of a closed descriptor is soon another's
      handle = nil
    end,
  })
  host.name = "luv"
  return host
end

return M
