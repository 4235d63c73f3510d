--- The host of nginx and OpenResty: calls yield to the worker's event loop. How they wait is in aitoearn.host.nginx_pump.
---@module "aitoearn.host.nginx"

local pumps = require "aitoearn.host.nginx_pump"

local M = {}

local ngx = rawget(_G, "ngx")

-- Waiting in ssl_client_hello and ssl_session_fetch needs an nginx and an OpenSSL with OpenResty's patches; without
-- them it breaks the handshake.
local CAN_WAIT = { rewrite = true, server_rewrite = true, access = true, content = true, timer = true, ssl_cert = true }

--- Why a call that is made here and now cannot wait for its answer.
---@return string?
function M.problem()
  local phase = ngx.get_phase()
  if CAN_WAIT[phase] then
    return nil
  end
  return ("nginx cannot wait in its phase %s; make the call in a timer: ngx.timer.at(0, ...)"):format(phase)
end

-- In a request's ngx.ctx: the light threads that have ended, by the one that spawned them.
local ENDED = "aitoearn.ended"

-- nginx keeps a light thread that has ended until its parent waits for it or ends. A batch in a timer may go on for
-- days and spawn a million of them, so they are waited for, which takes no time, before the next one is spawned.
local function bury_children()
  local parent, by_parent = coroutine.running(), ngx.ctx[ENDED]
  if not by_parent then
    by_parent = {}
    ngx.ctx[ENDED] = by_parent
  end
  local ended = by_parent[parent]
  if not ended then
    ended = {}
    by_parent[parent] = ended
  end
  for i = #ended, 1, -1 do
    ngx.thread.wait(ended[i])
    ended[i] = nil
  end
  return ended
end

-- Runs a function in a light thread; directly in a phase that cannot wait, since every call fails at once there.
local function spawn(fn, ...)
  if M.problem() then
    fn(...)
    return
  end
  local ended = bury_children()
  return ngx.thread.spawn(function(...)
    fn(...)
    ended[#ended + 1] = coroutine.running()
  end, ...)
end

---@param engine aitoearn.Engine
---@return aitoearn.Host
function M.new(engine)
  local pump = pumps.new(engine)
  return {
    name = "nginx",
    schedules_hooks = true,
    problem = M.problem,
    spawn = spawn,
    await = function(transfer, _, call)
      pump:await(transfer, call)
    end,
    close = function()
      engine:close()
      pump.closed = true
      pump:step()
    end,
  }
end

return M
