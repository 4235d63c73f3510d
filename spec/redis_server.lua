--- A redis-server of a spec's own, on a free port, without a file.
-- @module spec.redis_server
local shell = require "spec.platform.shell"

-- Debian has lua-redis, which is plain Lua, for 5.1 to 5.3.
if not pcall(require, "redis") then package.path = package.path .. ";/usr/share/lua/5.3/?.lua" end

local M = {}

---@class spec.RedisServer
---@field port integer
local Server = {}
Server.__index = Server

--- Why the specs cannot run here; nil: they can.
---@return string?
function M.missing()
  local version = (shell.run "redis-server --version" or ""):match "v=(%d+%.%d+)"
  if not version then return "no redis-server: apt install redis-server" end
  local major, minor = version:match "(%d+)%.(%d+)"
  if tonumber(major) * 100 + tonumber(minor) < 602 then return "redis-server " .. version .. ": 6.2 or later is needed" end
  if not pcall(require, "redis") then return "no lua-redis: apt install lua-redis" end
end

--- Starts one.
---@return spec.RedisServer
function M.start()
  local self = setmetatable({ port = shell.free_ports({ "redis" }).redis }, Server)
  self.dir = assert(shell.run 'mktemp -d "${TMPDIR:-/tmp}/aitoearn-redis.XXXXXX"')
  self:up()
  return self
end

--- Starts it again on its port, after `kill`.
function Server:up()
  assert(shell.run(("redis-server --port %d --bind 127.0.0.1 --save '' --daemonize yes --dir %s --pidfile %s/pid"):format(
    self.port, self.dir, self.dir)))
  assert(shell.wait_until(5, function()
    return shell.read(self.dir .. "/pid") and pcall(function() return self:connect(1):ping() end)
  end), "redis-server does not answer")
  self.pid = shell.read(self.dir .. "/pid"):match "%d+"
end

--- A connection of lua-redis.
function Server:connect(seconds)
  local connection = require("redis").connect("127.0.0.1", self.port)
  connection.network.socket:settimeout(seconds or 0.1)
  return connection
end

--- What `aitoearn.share.redis` is given in a program of its own.
---@return string source
function Server:source()
  return ([[
    package.path = package.path .. ";/usr/share/lua/5.3/?.lua"
    local function connect()
      local connection = require("redis").connect("127.0.0.1", %d)
      connection.network.socket:settimeout(0.1)
      return connection
    end
  ]]):format(self.port)
end

function Server:signal(name) shell.run(("kill -s %s %s"):format(name, self.pid)) end

--- Ends it at once.
function Server:kill()
  self:signal "KILL"
  os.remove(self.dir .. "/pid")
  shell.wait_until(5, function() return not shell.listens(self.port) end)
end

--- Ends it and removes its folder.
function Server:stop()
  self:signal "CONT"
  self:kill()
  shell.run("rm -rf " .. shell.quote(self.dir))
end

return M
