--- Starts an nginx with Lua that the specs, the benchmark and the example talk to.
-- @module spec.host.nginx.server
local cjson = require "cjson"
local process = require "spec.platform.process"
local shell = require "spec.platform.shell"
local socket = require "socket"

local M = {}

local PATH = 'PATH="$PATH:/usr/sbin:/sbin"; '

---@class spec.host.nginx.Server
---@field ports table<string, integer>
---@field dir string
local Server = {}
Server.__index = Server

--- `load_module` lines for an nginx whose Lua is a module of its own; none for one with Lua built in.
---@return string
function M.modules()
  local folder = (shell.run(PATH .. "nginx -V") or ""):match "%-%-modules%-path=(%S+)" or "/usr/lib/nginx/modules"
  local lines = {}
  for _, name in ipairs { "ndk_http_module", "ngx_http_lua_module" } do
    local path = folder .. "/" .. name .. ".so"
    if shell.read(path) then lines[#lines + 1] = 'load_module "' .. path .. '";' end
  end
  return table.concat(lines, "\n")
end

--- Puts values in the place of names in double braces.
---@param template string
---@param values table<string, any>
function M.fill(template, values)
  return (template:gsub("{{([%w_]+)}}", function(name)
    return tostring(assert(values[name], "no value for " .. name))
  end))
end

--- Starts nginx.
---@param platform table the local platform, which the client in it asks
---@param options? table `workers` (1), `threads`, `code_cache` (true), `main`, `http`, `server`: more directives,
-- `client`: options of the client in it, `build`: the folder of the C module, `env`: environment variables by name
---@return spec.host.nginx.Server
function M.start(platform, options)
  options = options or {}
  local root = assert(shell.run "pwd")
  local dir = assert(shell.run 'mktemp -d "${TMPDIR:-/tmp}/aitoearn-nginx.XXXXXX"')
  local self = setmetatable({ dir = dir, platform = platform }, Server)
  self.ports = shell.free_ports { "port", "port_tls", "port_server_rewrite" }
  local client = { server = platform.cn.http, api_key = platform.cn.key, ca_file = platform.ca_file }
  for name, value in pairs(options.client or {}) do client[name] = value end
  shell.write(dir .. "/settings.lua", ("return require('cjson').decode [==[%s]==]\n"):format(cjson.encode {
    client = client, port = self.ports.port, platform = { http = platform.cn.http, https = platform.cn.https },
  }))
  local values = {
    modules = M.modules(), dir = dir, root = root, build = options.build or root .. "/build/5.1",
    user = shell.run "id -u" == "0" and "user root root;" or "", parent = shell.pid(),
    main = (options.threads == false and "" or "thread_pool default threads=4;\n") .. (options.main or ""),
    workers = options.workers or 1, code_cache = options.code_cache == false and "off" or "on",
    http = options.http or "", server = options.server or "", certs = platform.dir .. "/certs",
  }
  for name, port in pairs(self.ports) do values[name] = port end
  shell.write(dir .. "/nginx.conf", M.fill(assert(shell.read(root .. "/spec/host/nginx/nginx.conf")), values))
  local environment = ""
  for name, value in pairs(options.env or {}) do environment = ("%s%s=%s "):format(environment, name, shell.quote(value)) end
  local ok, problem = shell.run(PATH .. "exec env -u LUA_PATH -u LUA_CPATH " .. environment .. "nginx -p " .. shell.quote(dir)
    .. " " .. process.early_log "error.log" .. " -c nginx.conf </dev/null")
  if not ok then
    shell.run("rm -rf " .. shell.quote(dir))
    error("nginx: " .. problem)
  end
  assert(shell.wait_until(5, function() return shell.listens(self.ports.port) end), "nginx does not listen")
  return self
end

--- Sends a request, without waiting for its answer.
---@return userdata socket
function Server:send(path, body)
  local connection = assert(socket.connect("127.0.0.1", self.ports.port))
  connection:settimeout(30)
  connection:setoption("tcp-nodelay", true)
  assert(connection:send(("%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s")
    :format(body and "POST" or "GET", path, body and #body or 0, body or "")))
  return connection
end

--- Reads the answer to what `send` sent.
---@return string? body
---@return integer|string status or what went wrong
function M.receive(connection)
  local answer, problem = connection:receive "*a"
  connection:close()
  if not answer then return nil, problem end
  local status, rest = answer:match "^HTTP/1.%d (%d+).-\r\n\r\n(.*)$"
  if not status then return nil, "no answer: " .. answer end
  local length, chunked = answer:match "\r\n[Cc]ontent%-[Ll]ength: (%d+)", answer:find "[Tt]ransfer%-[Ee]ncoding: chunked"
  if chunked then
    rest = rest:gsub("(%x+)\r\n(.-)\r\n", function(size, bytes) return #bytes == tonumber(size, 16) and bytes or "" end)
  end
  return length and rest:sub(1, tonumber(length)) or rest, tonumber(status)
end

---@return string? body
---@return integer|string status
function Server:get(path, body)
  return M.receive(self:send(path, body))
end

local function outcome(body, status)
  local answer = status == 200 and cjson.decode(body)
  if not answer then error("the chunk failed: " .. tostring(status) .. " " .. tostring(body), 3) end
  return answer.value
end

--- Runs a chunk of Lua in a worker, in the content phase, with what `tools` in app.lua offers.
---@return any what it returns, through JSON
function Server:run(chunk)
  return outcome(self:get("/run", chunk))
end

--- The same in two steps.
function Server:start(chunk) return self:send("/run", chunk) end
function M.finish(connection) return outcome(M.receive(connection)) end

--- What was noted under a name; nil where nothing was within some seconds.
---@return any
function Server:noted(name, seconds)
  local value
  shell.wait_until(seconds or 5, function()
    value = self:run(("return ngx.shared.notes:get %q"):format(name))
    return value ~= nil and value ~= cjson.null
  end)
  return value
end

--- The result of `in_timer`.
function Server:timed(name, seconds)
  local answer = cjson.decode((assert(self:noted(name, seconds), "the timer did not end")))
  if answer.failure then error("the timer failed: " .. answer.failure, 2) end
  return answer.value
end

--- The ids of the worker processes.
---@return string[]
function Server:workers()
  local list = {}
  local master = self:master()
  for pid in (shell.run("cat /proc/" .. master .. "/task/" .. master .. "/children") or ""):gmatch "%d+" do
    list[#list + 1] = pid
  end
  return list
end

function Server:master() return (assert(shell.read(self.dir .. "/nginx.pid"), "nginx is gone"):match "%d+") end

--- Sends the master a signal.
function Server:signal(name) assert(shell.run("kill -s " .. name .. " " .. self:master())) end

--- Waits until a process is gone.
---@return boolean
function M.is_gone(pid, seconds)
  return shell.wait_until(seconds, function()
    local stat = shell.read("/proc/" .. pid .. "/stat")
    return not stat or stat:find "%) [ZX] " ~= nil
  end)
end

function Server:errors() return shell.read(self.dir .. "/error.log") or "" end

--- Lines of the error log that nobody wants to see.
---@return string
function Server:complaints()
  local lines = {}
  for line in self:errors():gmatch "[^\n]+" do
    local level = line:match "%[(%a+)%]"
    if level ~= "info" and level ~= "notice" then lines[#lines + 1] = line end
  end
  return table.concat(lines, "\n")
end

--- Ends it and removes its folder. May be called again.
function Server:stop()
  if self.stopped then return end
  self.stopped = true
  local master = self:master()
  self.signal(self, "TERM")
  if not M.is_gone(master, 5) then shell.run("kill -s KILL -- -" .. master) end
  shell.run("rm -rf " .. shell.quote(self.dir))
end

--- The record id that a request asked the platform for.
function M.id_of(request)
  return (request.uri:match("[^/]*$"):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

--- The request for an id; nil where there was none.
function M.asked(platform, id)
  for _, request in ipairs(platform:requests()) do
    if M.id_of(request) == id then return request end
  end
end

function M.wait_for_request(platform, id)
  assert(shell.wait_until(5, function() return M.asked(platform, id) end), "nobody asked for " .. id)
end

return M
