--- Configures, starts and ends the processes of a local platform.
-- @module spec.platform.process
local shell = require "spec.platform.shell"

local M = {}

local PATH = 'PATH="$PATH:/usr/sbin:/sbin"; '

--- Whether tinyproxy is installed.
---@return boolean
function M.has_tinyproxy() return shell.run(PATH .. "command -v tinyproxy") ~= nil end

--- Whether this nginx is at least version 1.MINOR.PATCH.
local function is_nginx(minor, patch)
  local has_minor, has_patch = (shell.run(PATH .. "nginx -v") or ""):match "/1%.(%d+)%.(%d+)"
  return has_minor == nil or tonumber(has_minor) * 1000 + tonumber(has_patch) >= minor * 1000 + patch
end

--- The flag for where nginx complains before it has read its configuration; Debian 11's has none.
---@param file string
---@return string
function M.early_log(file) return is_nginx(19, 5) and "-e " .. file or "" end

-- `load_module` lines for an nginx whose Lua is a module of its own; none for one with Lua built in.
local function modules()
  local folder = (shell.run(PATH .. "nginx -V") or ""):match "%-%-modules%-path=(%S+)" or "/usr/lib/nginx/modules"
  local lines = {}
  for _, name in ipairs { "ndk_http_module", "ngx_http_lua_module" } do
    local path = folder .. "/" .. name .. ".so"
    if shell.read(path) then lines[#lines + 1] = 'load_module "' .. path .. '";' end
  end
  return table.concat(lines, "\n")
end

local function fill(template, values)
  return (template:gsub("{{([%w_]+)}}", function(name)
    return tostring(assert(values[name], "nginx.conf: no value for " .. name))
  end))
end

local tinyproxy_conf = [[
Port %d
Listen 127.0.0.1
Allow 127.0.0.1
Timeout 70
MaxClients 100
StartServers 2
MinSpareServers 1
MaxSpareServers 4
LogLevel Connect
LogFile "%s/tinyproxy.log"
PidFile "%s/tinyproxy.pid"
]]

--- Writes the configuration files into the platform's folder.
---@param p spec.platform.Platform
---@param options {log?: boolean, workers?: integer}
function M.configure(p, options)
  local is_root = shell.run "id -u" == "0"
  local values = {
    dir = p.dir, root = p.root, parent = p.owner, workers = options.workers or 1, modules = modules(),
    user = is_root and "user root root;" or "",
    -- So that no connection ends by itself: older versions have other limits.
    keepalive_time = is_nginx(19, 10) and "keepalive_time 24h;" or is_nginx(19, 7) and "" or "http2_max_requests 1000000000;",
    access_log = options.log == false and "off" or ('"' .. p.dir .. '/access.log" seen'),
    listen_ipv6 = p.ipv6 and "listen [::1]:" .. p.ports.cn_ipv6 .. ";" or "",
  }
  for name, port in pairs(p.ports) do values["port_" .. name] = port end
  local template = assert(shell.read(p.root .. "/spec/platform/nginx.conf"), "no spec/platform/nginx.conf")
  shell.write(p.dir .. "/nginx.conf", fill(template, values))
  shell.write(p.dir .. "/tinyproxy.conf", tinyproxy_conf:format(p.ports.connect_proxy, p.dir, p.dir))
end

--- Starts nginx, and tinyproxy where it is installed.
---@param p spec.platform.Platform
---@return true?
---@return string? err
function M.start(p)
  local dir = shell.quote(p.dir)
  local ok, err = shell.run(PATH .. "cd " .. dir .. " && ulimit -n $(ulimit -H -n) 2>/dev/null; "
    .. "exec env -u LUA_PATH -u LUA_CPATH nginx -p " .. dir .. " " .. M.early_log "error.log" .. " -c nginx.conf </dev/null")
  if not ok then return nil, "nginx: " .. err end
  if p.connect_proxy then
    ok, err = shell.run(PATH .. "cd " .. dir .. " && tinyproxy -c tinyproxy.conf </dev/null")
    if not ok then
      M.stop(p, "KILL")
      return nil, "tinyproxy: " .. err
    end
  end
  return true
end

local function signal(p, name, file, group)
  local pid = tonumber((shell.read(p.dir .. "/" .. file)))
  if not pid then return end
  shell.run(("kill -s %s -- %s%d"):format(name, group and "-" or "", pid))
  os.remove(p.dir .. "/" .. file)
end

--- Sends both a signal; the files with their numbers are gone afterwards.
---@param p spec.platform.Platform
---@param name "TERM"|"KILL"
function M.signal(p, name)
  signal(p, name, "tinyproxy.pid")
  signal(p, name, "nginx.pid", name == "KILL")
end

--- Ends both with a signal and waits until nobody listens any more, which is when the last process is gone.
---@param p spec.platform.Platform
---@param name "TERM"|"KILL"
function M.stop(p, name)
  local function is_gone()
    return not shell.listens(p.ports.web) and not (p.connect_proxy and shell.listens(p.ports.connect_proxy))
  end
  local nginx = shell.read(p.dir .. "/nginx.pid")
  M.signal(p, name)
  if not shell.wait_until(3, is_gone) and nginx then
    shell.run("kill -s KILL -- -" .. nginx)
    shell.wait_until(2, is_gone)
  end
end

return M
