--- Keeps nginx from outliving the process that started it, and from holding that process's descriptors.
-- @module spec.platform.server.watch
local ffi = require "ffi"

ffi.cdef [[
int kill(int pid, int signal);
int getppid(void);
int close(int fd);
long readlink(const char *path, char *buffer, size_t size);
]]

local M = {}

local SIGKILL, SIGTERM = 9, 15
local dir, parent

--- Says whom to watch and what to remove when it is gone.
---@param folder string the platform's private folder
---@param pid string the process that started the platform
function M.configure(folder, pid)
  dir, parent = folder, tonumber(pid)
end

--- Closes the sockets and pipes that came from the starting process. Called in the master before it opens any of its own:
-- a client's connection that nginx held too would stay open after the client closed it.
function M.close_inherited()
  local buffer = ffi.new "char[64]"
  for fd = 3, 1023 do
    local size = ffi.C.readlink("/proc/self/fd/" .. fd, buffer, 64)
    local what = size > 0 and ffi.string(buffer, size) or ""
    if what:find "^socket:" or what:find "^pipe:" or what:find "^anon_inode:" then ffi.C.close(fd) end
  end
end

--- Ends this worker on the spot, with all its connections. The master starts another one.
function M.crash() ffi.C.kill(ngx.worker.pid(), SIGKILL) end

-- What /proc says of the parent: when it started, or nil where it is gone; "?" on a system without /proc.
local function started_at()
  local file = io.open("/proc/" .. parent .. "/stat")
  if not file then
    local self = io.open "/proc/self/stat"
    if self then
      self:close()
      return nil
    end
    return ffi.C.kill(parent, 0) == 0 and "?" or nil
  end
  local fields = (file:read "*a" or ""):match "^.*%) (.*)$" or ""
  file:close()
  if fields:find "^[ZX]" then return nil end
  local words = {}
  for word in fields:gmatch "%S+" do words[#words + 1] = word end
  return words[20]
end

local function remove_all()
  local file = io.open(dir .. "/tinyproxy.pid")
  local tinyproxy = file and tonumber(file:read "*l")
  if file then file:close() end
  if tinyproxy then ffi.C.kill(tinyproxy, SIGTERM) end
  os.execute("rm -rf '" .. dir .. "'")
  ffi.C.kill(ffi.C.getppid(), SIGTERM)
end

--- Looks every second whether the starting process still lives; ends nginx and removes its folder when not.
function M.start()
  if not parent or ngx.worker.id() ~= 0 then return end
  local first = started_at()
  ngx.timer.every(1, function(premature)
    if premature then return end
    local now = started_at()
    if not now or now ~= first then remove_all() end
  end)
end

return M
