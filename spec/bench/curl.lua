--- `curl` the command, as a contender: its processor time, without the shell's that starts it.
-- @module spec.bench.curl
local shell = require "spec.platform.shell"

local M = {}

-- Bash's `times`, since it alone knows the time of processes that have ended to the millisecond.
local function children_time(script)
  local text = assert(shell.run("LC_ALL=C bash -c " .. shell.quote(script .. "\ntimes")))
  local minutes, seconds, system_minutes, system_seconds = text:match "(%d+)m([%d.]+)s (%d+)m([%d.]+)s$"
  assert(minutes, text)
  return (minutes + system_minutes) * 60 + seconds + system_seconds
end

-- The command with the headers that the library sends. -q: whatever ~/.curlrc says. --no-progress-meter: -s does not
-- keep --parallel from drawing one.
local function command(p)
  local words = { "curl -q -sS --no-progress-meter -f --compressed -A aitoearn-lua/0.1.0 --cacert", shell.quote(p.ca_file) }
  for _, header in ipairs { "X-Api-Key: " .. p.cn.key, "x-request-id: 01234567-89ab-4cde-8f01-23456789abcd",
    "Accept: application/json" } do
    words[#words + 1] = "-H " .. shell.quote(header)
  end
  return table.concat(words, " ")
end

-- A file that names the URLs of many ids, or one URL so many times.
local function list(urls, count)
  local lines, path = {}, os.tmpname()
  for i = 1, count do
    lines[i] = ('url = "%s"\n'):format(type(urls) == "string" and urls or urls(i))
  end
  shell.write(path, table.concat(lines))
  return path
end

-- That all came by the protocol meant, and over one connection.
local function check(run, path, protocol)
  local seen = assert(shell.run(run .. " -w '%{stderr}%{http_code} %{http_version} %{num_connects}\\n' -K " .. path
    .. " >/dev/null"))
  local connections = 0
  for status, version, opened in seen:gmatch "(%S+) (%S+) (%d+)" do
    assert(status == "200" and version == protocol, "curl: " .. seen)
    connections = connections + opened
  end
  assert(connections == 1, "curl: " .. connections .. " connections")
end

--- One process for many URLs. Its start and its first requests do not count, as they do not for the others.
---@param p table the platform
---@param urls string|fun(i: integer): string
---@param protocol string "1.1" or "2"
---@param count integer
---@param warm_up integer
---@param options? string further ones
---@return fun(): number seconds
---@return fun() clean removes its files
function M.one_process(p, urls, protocol, count, warm_up, options)
  local run = command(p) .. " " .. (options or "")
  local few, all = list(urls, warm_up), list(urls, warm_up + count)
  check(run, few, protocol)
  local function seconds(path)
    return children_time(("%s -K %s >/dev/null || exit 1"):format(run, path))
  end
  return function() return seconds(all) - seconds(few) end, function()
    os.remove(few)
    os.remove(all)
  end
end

--- A process for each call.
---@return fun(): number seconds
function M.processes(p, url, count)
  local script = ("for ((i = 0; i < %d; i++)); do %s %s >/dev/null || exit 1; done"):format(count, command(p), shell.quote(url))
  return function() return children_time(script) end
end

return M
