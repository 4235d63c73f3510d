--- The host of nginx and OpenResty: calls yield to the worker's event loop. How they wait is told in `nginx_pump`.
-- @module aitoearn.host.nginx

local pumps = require "aitoearn.host.nginx_pump"

local nginx = {}

-- Waiting in ssl_client_hello and ssl_session_fetch needs an nginx and an OpenSSL with OpenResty's patches; without
-- them it breaks the handshake.
local CAN_WAIT = { rewrite = true, server_rewrite = true, access = true, content = true, timer = true, ssl_cert = true }

--- Why a call that is made here and now cannot wait for its answer.
-- @treturn string|nil
function nginx.problem()
  local phase = ngx.get_phase()
  if CAN_WAIT[phase] then
    return nil
  end
  return ("nginx cannot wait in its phase %s; make the call in a timer: ngx.timer.at(0, ...)"):format(phase)
end

local function report(message)
  ngx.log(ngx.ERR, "aitoearn: ", message)
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

--- Runs a function in a light thread. Where nothing can wait nothing will, since every call ends at once.
local function spawn(fn, ...)
  if nginx.problem() then
    fn(...)
    return
  end
  local ended = bury_children()
  return ngx.thread.spawn(function(...)
    fn(...)
    ended[#ended + 1] = coroutine.running()
  end, ...)
end

--- @tparam userdata engine
-- @treturn table host
function nginx.new(engine)
  local pump = pumps.new(engine)
  return {
    name = "nginx",
    report = report,
    problem = nginx.problem,
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

return nginx
