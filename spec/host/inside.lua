--- What programs in a host use to tell the spec outside what they saw.
-- @module spec.host.inside
local M = {}

--- Tells the spec something: a line of its own, at once.
function M.say(name, value)
  local file = assert(io.open(os.getenv "AITOEARN_SPEC_SAY", "a"))
  file:write(name, "=", (tostring(value):gsub("\n", " ")), "\n")
  file:close()
end

--- How many descriptors this process has open (Linux).
function M.descriptors()
  local pipe = assert(io.popen "ls /proc/$PPID/fd | wc -l")
  local count = tonumber(pipe:read "*a")
  pipe:close()
  return count
end

--- An id that nobody asked for before.
local nonce = 0
function M.id(step)
  nonce = nonce + 1
  return ("%s~%d-%d"):format(step, os.time(), nonce)
end

--- Where the platform of the spec is, for `spec.host.answers`.
function M.place()
  local place = {}
  for name in ("http https client_cert certs key run"):gmatch "%S+" do
    place[name] = assert(os.getenv("AITOEARN_SPEC_" .. name:upper()), name)
  end
  return place
end

--- An engine whose descriptor cannot be watched, as on systems without epoll.
function M.without_descriptor(engine)
  return {
    getfd = function() return nil end,
    poll = function(_, ms) return engine:poll(ms) end,
    next = function() return engine:next() end,
    close = function() return engine:close() end,
  }
end

return M
