--- Runs the command as a user would, in a pipe or on a pseudo-terminal, against the local platform.
--
--    local output, status, errors = program.run("get ok --json", { AITOEARN_SERVER = "…" })
-- @module spec.command.program
local platform = require "spec.platform"
local shell = require "spec.platform.shell"

local quote = shell.quote

local M = {}

local jit = rawget(_G, "jit")
local LUA = jit and "luajit" or "lua" .. _VERSION:match "%d%.%d"

--- The command line that starts it.
M.command = LUA .. " lua/aitoearn/command/run.lua"

-- Nothing of the developer's own environment gets in: no key, no configuration, no language, no proxy.
local UNSET = {
  "AITOEARN_API_KEY", "AITOEARN_SERVER", "AITOEARN_CA_FILE", "AITOEARN_LOG", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NO_COLOR",
  "LC_ALL", "LC_MESSAGES", "LANG", "XDG_CONFIG_HOME", "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
  "no_proxy", "NO_PROXY",
}

local running

--- The platform of this spec file.
---@return spec.platform.Platform
function M.start()
  running = assert(platform.start())
  return running
end

function M.stop()
  running:stop()
  running = nil
end

local function settings(environment)
  local words = { "unset " .. table.concat(UNSET, " "), "export HOME=/nonexistent TERM=xterm TZ=UTC-8" }
  local given = { AITOEARN_SERVER = running and running.cn.http, AITOEARN_API_KEY = running and running.cn.key }
  for name, value in pairs(environment or {}) do
    given[name] = value
  end
  for name, value in pairs(given) do
    if value then words[#words + 1] = ("export %s=%s"):format(name, quote(value)) end
  end
  return table.concat(words, "\n")
end

--- Runs a line of shell in which AITOEARN stands for the command.
---@param line string
---@param environment? table<string, string|false> beside the platform's server and key; false: not set
---@return string output
---@return integer status
---@return string errors what was written to standard error
function M.shell(line, environment)
  local errors = os.tmpname()
  line = line:gsub("AITOEARN%f[^%w_]", (M.command:gsub("%%", "%%%%")))
  local pipe = assert(io.popen(("%s\n{ %s\n} 2>%s; printf '\\n%%d' $?"):format(settings(environment), line, errors)))
  local output, status = pipe:read("*a"):match "^(.*)\n(%d+)$"
  pipe:close()
  local written = shell.read(errors)
  os.remove(errors)
  return output, tonumber(status), written
end

--- Runs the command with these words, without anything to read.
function M.run(words, environment)
  return M.shell("timeout 60 AITOEARN " .. words .. " </dev/null", environment)
end

--- Runs the command on a pseudo-terminal.
---@param words string
---@param environment? table<string, string|false>
---@param given? {columns: integer?, input: string?} `input`: shell that writes what is typed
---@return string output of both streams, without carriage returns
---@return integer status
function M.on_terminal(words, environment, given)
  given = given or {}
  local line = ("stty cols %d rows 24; exec timeout --foreground 60 %s %s"):format(given.columns or 80, M.command, words)
  local output, status = M.shell(("%s | script -qec %s /dev/null"):format(given.input or "sleep 0", quote(line)), environment)
  return output:gsub("\r+\n", "\n"), status
end

--- A folder of its own, with files in it.
---@param files table<string, string> by name
---@return string path
function M.folder(files)
  local path = assert(shell.run "mktemp -d")
  for name, text in pairs(files) do
    local inside = name:match "^(.*)/"
    if inside then assert(shell.run(("mkdir -p %s/%s"):format(path, inside))) end
    shell.write(path .. "/" .. name, text)
  end
  return path
end

--- Fails unless a text has all of these.
function M.has(text, ...)
  for _, part in ipairs { ... } do
    if not text:find(part, 1, true) then
      error(("%q expected in:\n%s"):format(part, text), 2)
    end
  end
end

--- Fails if a text has any of these.
function M.has_not(text, ...)
  for _, part in ipairs { ... } do
    if text:find(part, 1, true) then
      error(("%q not expected in:\n%s"):format(part, text), 2)
    end
  end
end

return M
