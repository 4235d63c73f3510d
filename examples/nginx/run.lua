--- Runs the example in the foreground: `make example-nginx`, or `lua examples/nginx/run.lua [PORT]`.
-- With AITOEARN_API_KEY set it asks the real service (AITOEARN_SERVER: cn, intl or a base URL), else the local platform.
local process = require "spec.platform.process"
local shell = require "spec.platform.shell"

local PATH = 'PATH="$PATH:/usr/sbin:/sbin" '
local port = tonumber(arg[1]) or 8088
local root = assert(shell.run "pwd")

local function environment(platform, dir)
  if not platform then
    return "", "YOUR-RECORD-ID"
  end
  -- nginx started by root runs its workers as somebody else, who has to be able to read the CA's certificate.
  shell.write(dir .. "/ca.pem", assert(shell.read(platform.ca_file)))
  return ("AITOEARN_SERVER=%s AITOEARN_API_KEY=%s AITOEARN_CA_FILE=%s"):format(platform.cn.https, platform.cn.key,
    shell.quote(dir .. "/ca.pem")), "life:5:10~" .. os.time()
end

-- Debian's nginx has Lua in a module of its own, OpenResty's has it built in.
local function load_modules()
  local folder = (shell.run(PATH .. "nginx -V") or ""):match "%-%-modules%-path=(%S+)" or "/usr/lib/nginx/modules"
  local lines = ""
  for _, name in ipairs { "ndk_http_module", "ngx_http_lua_module" } do
    local path = folder .. "/" .. name .. ".so"
    if shell.read(path) then
      lines = lines .. "load_module " .. path .. "; "
    end
  end
  return lines
end

--- A private folder with the configuration: this port, the files of this checkout.
local function prepare()
  local dir = assert(shell.run 'dir=$(mktemp -d "${TMPDIR:-/tmp}/aitoearn-example.XXXXXX"); chmod 755 "$dir"; echo "$dir"')
  local text = assert(shell.read(root .. "/examples/nginx/nginx.conf"))
  text = text:gsub("%$prefix", function() return root .. "/examples/nginx" end)
  text = text:gsub("127%.0%.0%.1:8088", "127.0.0.1:" .. port)
  shell.write(dir .. "/nginx.conf", text)
  return dir
end

local platform = not os.getenv "AITOEARN_API_KEY" and assert(require("spec.platform").start()) or nil
local dir = prepare()
local variables, id = environment(platform, dir)
local base = "http://127.0.0.1:" .. port

print((platform and "The local platform is up. " or "") .. "Try, and end with Ctrl-C:")
print(("  curl '%s/records/%s'"):format(base, id))
if platform then
  print "      a few times: it waits 5 s, publishes for 10 s, and comes from the cache then"
  print(("  curl '%s/records/status:5'    %s/records/code:15000    %s/records/queued"):format(base, base, base))
end
print(("  curl '%s/health'"):format(base))
io.stdout:flush()

os.execute(("env -u LUA_PATH -u LUA_CPATH %s %s nginx -p %s %s -c nginx.conf -g %s"):format(PATH, variables,
  shell.quote(dir), process.early_log "stderr", shell.quote("daemon off; " .. load_modules())))
if platform then
  platform:stop()
end
shell.run("rm -rf " .. shell.quote(dir))
