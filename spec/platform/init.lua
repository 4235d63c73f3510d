--- The local platform: an nginx that behaves as the real servers do, and misbehaves where an id asks for it.
--
--    local p = assert(require("spec.platform").start())
--    -- GET p.cn.http .. "/api/v2/channels/publish/records/status:2;ok~1" with X-Api-Key: p.cn.key
--    p:stop()
--
-- The ids it understands are listed in spec/platform/README.md.
-- @module spec.platform
local control = require "spec.platform.control"
local keys = require "spec.platform.keys"
local log = require "spec.platform.log"
local process = require "spec.platform.process"
local shell = require "spec.platform.shell"
local socket = require "socket"

local M = {}

--- The repository's root, where it is not the current folder.
M.root = "."

---@class spec.platform.Site
---@field http string base URL, HTTP/1.1
---@field https string base URL, HTTP/2 and HTTP/1.1
---@field backup string another endpoint of the same site, HTTP/1.1
---@field key string
---@field limited_key string five requests a second

---@class spec.platform.Platform
---@field cn spec.platform.Site
---@field intl spec.platform.Site
---@field https1 string site cn, https, HTTP/1.1 alone
---@field ipv6? string site cn on ::1, http
---@field impatient string site cn, http; closes a connection that idles for 200 ms
---@field few_streams string site cn, https; ten HTTP/2 streams at once on a connection
---@field few_requests string site cn, https; closes a connection after ten requests
---@field client_cert string site cn, https; asks for a certificate: client.pem and client.key in the folder `certs`
---@field tls {wrong_host: string, expired: string, self_signed: string} site cn
---@field ca_file string
---@field other string an unrelated host
---@field web string every path answers the web app's page
---@field closed string nobody listens
---@field proxy string forward proxy for http:// URLs with an IP address
---@field connect_proxy? string proxy that knows CONNECT (tinyproxy), where it is installed
---@field dir string the private folder
local Platform = {}
Platform.__index = Platform
for name, method in pairs(control) do Platform[name] = method end

local names = {
  "cn_http", "cn_https", "cn_backup", "cn_https1", "cn_ipv6", "cn_impatient", "cn_few_streams",
  "cn_few_requests", "cn_client_cert", "cn_wrong_host", "cn_expired",
  "cn_self_signed", "intl_http", "intl_https", "intl_backup", "other", "web", "proxy", "connect_proxy", "closed",
}

local function describe(p)
  local ports = p.ports
  local function url(name, scheme) return (scheme or "http") .. "://127.0.0.1:" .. ports[name] end
  for _, site in ipairs { "cn", "intl" } do
    p[site] = {
      http = url(site .. "_http"), https = url(site .. "_https", "https"), backup = url(site .. "_backup"),
      key = keys[site].key, limited_key = keys[site].limited,
    }
  end
  p.https1, p.impatient = url("cn_https1", "https"), url "cn_impatient"
  p.few_streams, p.few_requests = url("cn_few_streams", "https"), url("cn_few_requests", "https")
  p.client_cert = url("cn_client_cert", "https")
  p.ipv6 = shell.has_ipv6() and "http://[::1]:" .. ports.cn_ipv6 or nil
  p.tls = {
    wrong_host = url("cn_wrong_host", "https"), expired = url("cn_expired", "https"),
    self_signed = url("cn_self_signed", "https"),
  }
  p.other, p.web, p.closed, p.proxy = url "other", url "web", url "closed", url "proxy"
  p.connect_proxy = process.has_tinyproxy() and url "connect_proxy" or nil
  p.ca_file = p.dir .. "/certs/ca.pem"
  p.servers = {}
  for name, port in pairs(ports) do p.servers[tostring(port)] = name end
end

local function is_ours(p) return not p.stopped and shell.pid() == p.owner end

-- What the collector does, in the process that started the platform and not in a fork of it. It makes no socket: at the
-- end of a program LuaJIT would collect that one after LuaSocket was unloaded.
local function finish(p)
  if not is_ours(p) then return end
  p.stopped = true
  process.signal(p, "KILL")
  shell.run("rm -rf " .. shell.quote(p.dir))
end

-- Lets the collector end the platform: 5.1 has finalizers for userdata alone.
local function finalize(p)
  local function run() pcall(finish, p) end
  if newproxy then
    p.sentinel = newproxy(true)
    getmetatable(p.sentinel).__gc = run
  else
    p.sentinel = setmetatable({}, { __gc = run })
  end
end

--- Starts a platform.
---@param options? {log?: boolean, workers?: integer} `log = false`: `requests` sees nothing; one worker unless given
---@return spec.platform.Platform?
---@return string? err
function M.start(options)
  options = options or {}
  local root = assert(shell.run("cd " .. shell.quote(M.root) .. " && pwd"))
  local certs, err = shell.run(shell.quote(root .. "/spec/platform/certs.sh"))
  if not certs then return nil, "certificates: " .. err end
  local dir = assert(shell.run 'mktemp -d "${TMPDIR:-/tmp}/aitoearn-platform.XXXXXX"')
  assert(shell.run("cd " .. shell.quote(dir) .. " && mkdir answers && cp -R " .. shell.quote(certs) .. " certs"))
  local p = setmetatable({ dir = dir, root = root, owner = shell.pid() }, Platform)
  for _ = 1, 5 do
    p.ports = shell.free_ports(names)
    describe(p)
    p.holder = shell.occupy(p.ports.closed)
    process.configure(p, options)
    local ok
    ok, err = p:up()
    if ok then
      finalize(p)
      return p
    end
  end
  shell.run("rm -rf " .. shell.quote(dir))
  return nil, err
end

--- Starts nginx again on the same ports, after `kill`. What the steps had counted is forgotten; posts and faults are not.
---@return true?
---@return string? err
function Platform:up()
  local ok, err = process.start(self)
  if not ok then return nil, err end
  if not shell.wait_until(5, function() return self:settle() end) then
    self:kill()
    return nil, "nginx does not answer: " .. self:errors()
  end
  return true
end

--- Ends nginx at once, in the middle of whatever it does. `up` brings it back.
function Platform:kill() process.stop(self, "KILL") end

--- Ends the platform and removes its folder. May be called again.
function Platform:stop()
  if self.stopped then return end
  self.stopped = true
  process.stop(self, "TERM")
  self.holder:close()
  shell.run("rm -rf " .. shell.quote(self.dir))
end

function Platform:__close()
  if is_ours(self) then self:stop() end
end

--- Asks nginx something that it answers after all that came before, so that the log is complete.
---@return boolean answered
function Platform:settle()
  local client = socket.tcp4()
  client:settimeout(2)
  local line
  if client:connect("127.0.0.1", self.ports.web) then
    client:send "GET /-/ready HTTP/1.0\r\n\r\n"
    line = client:receive "*l"
  end
  client:close()
  return line ~= nil and line:find " 204" ~= nil
end

--- The requests since the start or the last `forget`, in the order of their arrival. A request is there once it has ended.
---@return spec.platform.Request[]
function Platform:requests()
  self:settle()
  return log.parse(shell.read(self.dir .. "/access.log") or "", self.servers)
end

--- How many connections these requests came over.
---@return integer
function Platform:connections()
  local seen, count = {}, 0
  for _, request in ipairs(self:requests()) do
    if not seen[request.connection] then count = count + 1 end
    seen[request.connection] = true
  end
  return count
end

--- Empties the list of requests.
function Platform:forget()
  self:settle()
  shell.write(self.dir .. "/access.log", "")
  shell.write(self.dir .. "/tinyproxy.log", "")
end

--- The `host:port` of each tunnel that was asked of `connect_proxy`, since the last `forget`.
---@return string[]
function Platform:tunnels()
  local targets = {}
  for target in (shell.read(self.dir .. "/tinyproxy.log") or ""):gmatch "CONNECT (%S+) HTTP" do
    targets[#targets + 1] = target
  end
  return targets
end

--- What nginx wrote to its error log.
---@return string
function Platform:errors() return shell.read(self.dir .. "/error.log") or "" end

--- Lets the id `file:NAME` answer HTTP 200, application/json, with exactly these bytes.
---@param name string letters, digits, "_", "-", "."
---@param text string
function Platform:answer(name, text)
  assert(name:find "^[%w_-][%w_.-]*$", "name: letters, digits, _ - . expected")
  shell.write(self.dir .. "/answers/" .. name, text)
end

--- Lets the id `raw:NAME` send exactly these bytes on the connection and close it (HTTP/1.1).
Platform.raw = Platform.answer

return M
