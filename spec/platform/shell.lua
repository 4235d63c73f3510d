--- What the local platform asks of the system: commands, files, free ports.
-- @module spec.platform.shell
local socket = require "socket"

local M = {}

--- A word for the shell.
---@param text string
---@return string
function M.quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

--- Runs a command. The same on every Lua, whose `os.execute` and `close` differ.
---@param command string
---@return string? output without the last line end; nil where the command failed
---@return string? err what it wrote instead
function M.run(command)
  local pipe = assert(io.popen("( " .. command .. "\n) 2>&1; printf '\\n%d' $?"))
  local text = pipe:read "*a"
  pipe:close()
  local output, status = text:match "^(.-)%s*(%d+)$"
  if status ~= "0" then return nil, output end
  return output
end

--- The id of this process.
---@return string
function M.pid()
  local pipe = assert(io.popen "echo $PPID")
  local pid = pipe:read "*l"
  pipe:close()
  return pid
end

--- A file's bytes.
---@param path string
---@return string? bytes nil where there is no such file
function M.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local bytes = file:read "*a"
  file:close()
  return bytes
end

--- Writes a file; raises where that fails.
---@param path string
---@param bytes string
function M.write(path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  assert(file:close())
end

local function is_free(address, port)
  local listener = address:find ":" and socket.tcp6() or socket.tcp4()
  listener:setoption("reuseaddr", true)
  local ok = listener:bind(address, port) and listener:listen()
  listener:close()
  return ok ~= nil
end

--- Whether this machine has the address ::1.
---@return boolean
function M.has_ipv6()
  local ok, free = pcall(is_free, "::1", 0)
  return ok and free
end

--- Free ports on both loopback addresses. They lie below the range from which systems take the ports of outgoing
-- connections, so that a port of a stopped server stays free.
---@param names string[]
---@return table<string, integer>
function M.free_ports(names)
  local random = assert(io.open("/dev/urandom", "rb"))
  local ports, taken, ipv6 = {}, {}, M.has_ipv6()
  for _, name in ipairs(names) do
    local port
    repeat
      local high, low = random:read(2):byte(1, 2)
      port = 12000 + (high * 256 + low) % 20000
    until not taken[port] and is_free("127.0.0.1", port) and (not ipv6 or is_free("::1", port))
    ports[name], taken[port] = port, true
  end
  random:close()
  return ports
end

--- Takes a port without listening on it: it refuses connections, and nobody else gets it while the result lives.
---@param port integer
---@return userdata socket
function M.occupy(port)
  local holder = socket.tcp4()
  holder:bind("127.0.0.1", port)
  return holder
end

--- Whether something accepts connections on a loopback port.
---@param port integer
---@return boolean
function M.listens(port)
  local client = socket.tcp4()
  client:settimeout(1)
  local ok = client:connect("127.0.0.1", port)
  client:close()
  return ok ~= nil
end

--- Waits until a condition holds.
---@param seconds number
---@param condition fun(): any
---@return boolean held
function M.wait_until(seconds, condition)
  local deadline = socket.gettime() + seconds
  while not condition() do
    if socket.gettime() > deadline then return false end
    socket.sleep(0.005)
  end
  return true
end

return M
