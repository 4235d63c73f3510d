--- Ours beside what one would otherwise use: LuaSocket with LuaSec, lua-http, `curl` the command, bare C.
-- @module spec.bench.peers
local curl = require "spec.bench.curl"
local measure = require "spec.bench.measure"
local plot = require "spec.bench.plot"
local replace = require "spec.readme"
local shell = require "spec.platform.shell"

local M = {}

local PATH = "/api/v2/channels/publish/records/"
-- The id that the baseline and child.lua ask for.
local ID = "6877a1b20000000000000000"
local CALLS = tonumber(os.getenv "BENCH_CALLS") or 2000
local PROCESSES = math.ceil(CALLS / 40)
local WARM_UP = 320
local CONCURRENCY = 32
local PICTURE = "spec/bench/peers.svg"
local NOTE = [[
The client's processor time without its start and its first calls; medians of one run on the local platform. Everyone keeps
one connection, but for curl with a process for each. LuaSocket keeps it by its `create` hook, and knows no HTTP/2.]]

-- The Lua of ours, and the other one on its own paths: those of this run may lead to C modules for this Lua.
local SAME_LUA, LUA53 = { measure.lua }, { "env", "-u", "LUA_PATH", "-u", "LUA_CPATH", "lua5.3" }

-- What spec/bench/peer.lua prints.
local function peer(lua, ...)
  local words = { (table.unpack or unpack)(lua) } -- luacheck: ignore 143
  for _, word in ipairs { "spec/bench/peer.lua", ... } do
    words[#words + 1] = word
  end
  return measure.numbers((table.unpack or unpack)(words)) -- luacheck: ignore 143
end

local function need(what, probe, ...)
  local ok, message = pcall(probe, ...)
  if not ok then
    error(("peers: needs %s\n%s"):format(what, message:match ":%d+: ([^\n]*)" or message), 0)
  end
end

local function check_needs()
  need("LuaSocket, LuaSec and lua-cjson (Debian: lua-socket lua-sec lua-cjson)", peer, SAME_LUA, "check", "socket.http",
    "ssl", "cjson")
  need("lua-http and lua-cjson for Lua 5.3 (Debian: lua5.3 lua-http lua-cjson)", peer, LUA53, "check", "http.client",
    "http.request", "cjson")
  need("curl", measure.numbers, "sh", "-c", "curl --version >/dev/null && echo 0")
  need("bash", measure.numbers, "bash", "-c", "echo 0")
end

local function luasocket(p, server)
  return function()
    return peer(SAME_LUA, "luasocket", server .. PATH .. ID, p.cn.key, p.ca_file, CALLS, WARM_UP)[1]
  end
end

local function lua_http(p, server, version, concurrency)
  return function()
    return peer(LUA53, "lua_http", server .. PATH .. ID, p.cn.key, p.ca_file, CALLS, WARM_UP, version, concurrency)[1]
  end
end

local function ours(p, server, name, ...)
  local arguments = { name, server, p.cn.key, p.ca_file, CALLS, WARM_UP, ... }
  return function()
    local seen = measure.child((table.unpack or unpack)(arguments)) -- luacheck: ignore 143
    assert(seen[2] == 0, "it needed another connection")
    return seen[1]
  end
end

-- Runs a group's contenders and prints what they took; the first one is ours.
-- @return the group, as the table and the plot show it
local function compare(title, contenders)
  local functions = {}
  for _, one in ipairs(contenders) do
    functions[one[1]] = function() return one[2]() / (one[3] or CALLS) * 1e6 end
  end
  local results = measure.turns(functions, math.max(3, math.ceil(measure.rounds / 2)))
  local group, own = { title = title }, contenders[1][1]
  measure.heading(title .. " (processor time)")
  for i, one in ipairs(contenders) do
    local name = one[1]
    local row = { name = name, is_ours = i == 1, us = measure.each_round(results, function(r) return r[name] end),
      ratio = measure.each_round(results, function(r) return r[name] / r[own] end) }
    group[i] = row
    if not row.is_ours then
      measure.row(name .. " / ours", row.ratio, {})
    end
    measure.row("    " .. name .. ", a call", row.us, { unit = "us" })
  end
  return group
end

-- The same record again and again over one connection.
local function one_by_one(p, baseline, title, server, version)
  local url, tls = server .. PATH .. ID, server:find "^https" ~= nil
  local one_process, clean = curl.one_process(p, url, tostring(version), CALLS, WARM_UP)
  local contenders = {
    { "aitoearn", ours(p, server, "calls") },
    { "bare C (curl_easy), no decoding",
      function() return (baseline("easy", server, p, CALLS, WARM_UP, 1)) end },
    { tls and "LuaSocket + LuaSec + lua-cjson" or "LuaSocket + lua-cjson", luasocket(p, server) },
    { "lua-http (Lua 5.3) + lua-cjson", lua_http(p, server, version, 1) },
    { "curl, one process for all, no decoding", one_process },
    { "curl, a process and connection for each", curl.processes(p, url, PROCESSES), PROCESSES },
  }
  if version == 2 then -- which LuaSocket does not know
    table.remove(contenders, 3)
  end
  local group = compare(title, contenders)
  clean()
  return group
end

-- Many records at once over one HTTP/2 connection.
local function many(p, baseline, title)
  local server = p.cn.https
  local parallel, clean = curl.one_process(p, function(i) return ("%s%s6877a1b2%016x"):format(server, PATH, i) end, "2", CALLS,
    WARM_UP, "--parallel --parallel-max " .. CONCURRENCY)
  local group = compare(title, {
    { "aitoearn, each_record", ours(p, server, "batch", CONCURRENCY, 8) },
    { "bare C (curl_multi), no decoding",
      function() return (baseline("epoll", server, p, CALLS, WARM_UP, CONCURRENCY)) end },
    { "lua-http (Lua 5.3) + lua-cjson, coroutines", lua_http(p, server, 2, CONCURRENCY) },
    { "curl --parallel, one process, no decoding", parallel },
  })
  clean()
  return group
end

local function short(ratio)
  return (ratio < 10 and "%.2f" or "%.0f"):format(ratio)
end

local function markdown(groups)
  local lines = { "| | client | µs a call | × ours (least–most) |", "|---|---|--:|--:|" }
  for _, group in ipairs(groups) do
    for i, row in ipairs(group) do
      lines[#lines + 1] = ("| %s | %s | %.0f | %s |"):format(i == 1 and group.title or "",
        row.is_ours and "**" .. row.name .. "**" or row.name, row.us.median,
        row.is_ours and "1" or ("%s (%s–%s)"):format(short(row.ratio.median), short(row.ratio.least), short(row.ratio.most)))
    end
  end
  lines[#lines + 1] = ("\n%s\n\n![The same as bars](%s)"):format(NOTE, PICTURE:match "[^/]*$")
  return table.concat(lines, "\n")
end

local function picture(groups)
  local bars = {}
  for i, group in ipairs(groups) do
    bars[i] = { title = group.title }
    for j, row in ipairs(group) do
      bars[i][j] = { name = row.name, value = row.us.median, is_ours = row.is_ours,
        label = ("%.0f µs"):format(row.us.median) .. (row.is_ours and "" or (", %s × ours"):format(short(row.ratio.median))) }
    end
  end
  return plot("Processor time of the client, microseconds a call", bars)
end

--- Ours beside the others; the environment's BENCH_README names the file that gets the table, and the plot is made anew.
function M.run(p, baseline)
  check_needs()
  local groups = {
    one_by_one(p, baseline, "One by one, http, HTTP/1.1", p.cn.http, 1.1),
    one_by_one(p, baseline, "One by one, https, HTTP/1.1", p.https1, 1.1),
    one_by_one(p, baseline, "One by one, https, HTTP/2", p.cn.https, 2),
    many(p, baseline, ("%d at once, https, HTTP/2"):format(CONCURRENCY)),
  }
  local readme = os.getenv "BENCH_README"
  if readme and readme ~= "" then
    shell.write(PICTURE, picture(groups))
    replace(readme, "peers", markdown(groups))
  end
end

return M
