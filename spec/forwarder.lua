--- A wire in the middle: forwards connections of a port of its own to another port, and ends them as the spec likes.
--
--    local wire = forwarder.start(p.ports.cn_https)      -- in a loop: wire.step()
--    wire.finish()                                       -- ends all connections with FIN, without TLS's goodbye
--    wire.reset()                                        -- with RST
--    wire.target = p.ports.cn_https1                     -- of the next connections
-- @module spec.forwarder
local socket = require "socket"

local M = {}

local function pump(from, to)
  local _, problem, part = from:receive(65536)
  if part and part ~= "" then
    to:settimeout(1)
    to:send(part)
    to:settimeout(0)
  end
  return problem ~= "closed"
end

--- Starts one.
---@param target integer where its connections go
---@return {port: integer, target: integer, step: fun(), finish: fun(), reset: fun(), stop: fun()}
function M.start(target)
  local listener = assert(socket.bind("127.0.0.1", 0))
  listener:settimeout(0)
  local self = { port = select(2, listener:getsockname()), target = target }
  local pairs_of = {}

  local function finish()
    for _, pair in ipairs(pairs_of) do
      pair[1]:close()
      pair[2]:close()
    end
    pairs_of = {}
  end

  --- Moves on what has come, without waiting.
  function self.step()
    local near = listener:accept()
    local far = near and socket.connect("127.0.0.1", self.target)
    if far then
      near:settimeout(0)
      far:settimeout(0)
      pairs_of[#pairs_of + 1] = { near, far }
    elseif near then
      near:close()
    end
    for i = #pairs_of, 1, -1 do
      local near_end, far_end = pairs_of[i][1], pairs_of[i][2]
      if not (pump(near_end, far_end) and pump(far_end, near_end)) then
        near_end:close()
        far_end:close()
        table.remove(pairs_of, i)
      end
    end
  end

  self.finish = finish

  function self.reset()
    for _, pair in ipairs(pairs_of) do pair[1]:setoption("linger", { on = true, timeout = 0 }) end
    finish()
  end

  function self.stop()
    finish()
    listener:close()
  end

  return self
end

return M
