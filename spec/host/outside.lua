--- Runs a program in a host, with the local platform at its side, and reads what it said.
-- @module spec.host.outside
local shell = require "spec.platform.shell"

local M = {}

--- Whether a command is there. On a machine without it the specs that need it fail: `make test-hosts` installs it.
function M.has(command)
  return shell.run("command -v " .. shell.quote(command)) ~= nil
end

-- A search path of the caller's for an ABI: make keeps LUA_PATH, which it changes, in SPEC_LUA_PATH.
local function given(name, suffix)
  return os.getenv(name .. suffix) or os.getenv("SPEC_" .. name) or ""
end

--- The variables with which a Lua of an ABI finds this checkout, and then what the caller's own paths name.
---@param abi "5.1"|"5.3"|"5.4"
function M.paths(abi)
  local root = assert(shell.run "pwd")
  local suffix = "_" .. abi:gsub("%.", "_")
  return ("env -u LUA_PATH%s -u LUA_CPATH%s LUA_PATH=%s LUA_CPATH=%s"):format(suffix, suffix,
    shell.quote(("%s/lua/?.lua;%s/lua/?/init.lua;%s/?.lua;%s;;"):format(root, root, root, given("LUA_PATH", suffix))),
    shell.quote(("%s/build/%s/?.so;%s;;"):format(root, abi, given("LUA_CPATH", suffix))))
end

--- Runs a command that says things with `spec.host.inside`.
---@param options {command: string, abi: string, platform?: table, env?: table<string, string>, seconds?: integer}
---@return table<string, string> said; `status`: how it ended, `output`: what it wrote besides
function M.run(options)
  local p = options.platform
  local file = assert(shell.run "mktemp")
  local words = { M.paths(options.abi), "AITOEARN_SPEC_SAY=" .. file }
  if p then
    words[#words + 1] = ("AITOEARN_SERVER=%s AITOEARN_API_KEY=%s"):format(p.cn.http, p.cn.key)
    words[#words + 1] = ("AITOEARN_SPEC_HTTPS=%s AITOEARN_SPEC_CA=%s"):format(p.cn.https, p.ca_file)
  end
  for name, value in pairs(options.env or {}) do
    words[#words + 1] = name .. "=" .. shell.quote(value)
  end
  words[#words + 1] = ("timeout -k 5 %d %s </dev/null"):format(options.seconds or 60, options.command)
  local output, failure = shell.run(table.concat(words, " "))
  local said = { status = output and "ok" or "failed", output = output or failure }
  for name, value in (shell.read(file) or ""):gmatch "([^\n=]+)=([^\n]*)\n" do
    said[name] = value
  end
  os.remove(file)
  return said
end

return M
