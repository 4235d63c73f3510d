--- What a call costs an nginx worker, beside what the same request costs it as proxy_pass: `make bench-nginx`.
--
-- One worker, measured with wrk, 50 requests at once. First against an upstream that answers after 50 ms: latencies,
-- and those of a trivial location meanwhile. Then against one that answers at once: requests per second of the
-- worker's CPU time, its threads included, which other programs on the machine hardly disturb.
-- BUILD=folder measures another build of the C module, SECONDS=n changes the length of each run (5).
-- RESTY_HTTP=folder (lua-resty-http's lib) measures that with lua-cjson beside ours as well, ROUNDS (5) times in turns,
-- ours over https both ways: HTTP/2, and HTTP/1.1 over kept connections. Beside them the least that can be had with libcurl:
-- what bare C costs for the same requests, undecoded, and what an answer costs nginx that needs no request.
local measure = require "spec.bench.measure"
local platform = require "spec.platform"
local server = require "spec.host.nginx.server"
local shell = require "spec.platform.shell"

local AT_ONCE = 50
local seconds = tonumber(os.getenv "SECONDS") or 5

-- The first line as the README of the hosts recommends it.
local CONFIGURATION = [[
  lua_malloc_trim 0;
  upstream http_platform { server %s; keepalive 64; keepalive_requests 1000000000; }
  upstream https_platform { server %s; keepalive 64; keepalive_requests 1000000000; }
]]

local LOCATIONS = [[
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-Api-Key "%s";
    proxy_ssl_trusted_certificate "%s";
    proxy_ssl_verify on;
    proxy_ssl_name localhost;
    location = /https_http1 { content_by_lua_block { require("spec.host.nginx.app").serve("https", false) } }
    location = /proxy_http { proxy_pass http://http_platform/api/v2/channels/publish/records/$arg_id; }
    location = /proxy_https { proxy_pass https://https_platform/api/v2/channels/publish/records/$arg_id; }
]]

-- What one would write with lua-resty-http: it checks `code` and repeats nothing.
local RESTY_LOCATIONS = [=[
    lua_ssl_trusted_certificate "%s";
    location ~ ^/resty_(https?)$ {
      content_by_lua_block {
        local folder = "%s"
        if not package.path:find(folder, 1, true) then package.path = folder .. "/?.lua;" .. package.path end
        local settings = require "settings"
        local client = require("resty.http").new()
        client:set_timeouts(5000, 10000, 10000)
        local answer, problem = client:request_uri(
          settings.platform[ngx.var[1]] .. "/api/v2/channels/publish/records/" .. ngx.var.arg_id, {
            headers = { ["X-Api-Key"] = settings.client.api_key, Accept = "application/json" },
            ssl_server_name = "localhost", keepalive_timeout = 60000, keepalive_pool = 64,
          })
        local body = answer and require("cjson").decode(answer.body)
        if not body or body.code ~= 0 then
          ngx.log(ngx.ERR, problem or answer.body)
          return ngx.exit(502)
        end
        ngx.print(body.data.title)
      }
    }
]=]

local UNITS = { us = 1e-3, ms = 1, s = 1e3, m = 6e4 }

local function milliseconds(report, percent)
  local value, unit = report:match("\n%s*" .. percent .. "%%%s+([%d.]+)(%a+)")
  return tonumber(value) * UNITS[unit]
end

local function wrk_command(n, path, connections, length)
  return ("wrk -t1 -c%d -d%ds --latency http://127.0.0.1:%d%s"):format(connections, length, n.ports.port,
    shell.quote(path))
end

local function read_report(report)
  assert(not report:find "Non%-2xx" and not report:find "Socket errors", report)
  return {
    median = milliseconds(report, 50),
    p99 = milliseconds(report, 99),
    requests = tonumber(report:match "(%d+) requests in"),
    rate = tonumber(report:match "Requests/sec:%s+([%d.]+)"),
  }
end

local function cpu_ticks(pid)
  local fields = assert(shell.read("/proc/" .. pid .. "/stat")):match "%) (.*)"
  local user, system = fields:match(("%S+ "):rep(11) .. "(%d+) (%d+)")
  return tonumber(user) + tonumber(system)
end

local TICKS_A_SECOND = tonumber(shell.run "getconf CLK_TCK")

local function load(n, path)
  local pid = n:workers()[1]
  local before = cpu_ticks(pid)
  local report = read_report(assert(shell.run(wrk_command(n, path, AT_ONCE, seconds))))
  report.cpu = (cpu_ticks(pid) - before) / TICKS_A_SECOND
  report.per_cpu = report.requests / report.cpu
  return report
end

--- A load, and a second wrk with one connection that asks for the trivial location meanwhile.
local function load_and_trivial(n, path)
  local file = n.dir .. "/trivial.txt"
  local command = ("{ sleep 0.5; %s; } >%s 2>&1 & %s; wait"):format(
    wrk_command(n, "/trivial", 1, math.max(1, seconds - 1)), shell.quote(file), wrk_command(n, path, AT_ONCE, seconds))
  local report = read_report(assert(shell.run(command)))
  report.trivial = read_report(assert(shell.read(file)))
  return report
end

local function spread(values)
  table.sort(values)
  return ("%.2f (%.2f to %.2f)"):format(values[math.ceil(#values / 2)], values[1], values[#values])
end

-- Rounds before those that count: connections, and what LuaJIT compiles for some ten thousand requests.
local WARM_UP = 3

-- Requests of bare libcurl in a round.
local BARE, BARE_WARM_UP = 20000, 1000

--- Ours, lua-resty-http and the least that libcurl allows in turns, so that what slows the machine down slows all. Each has
--- a worker to itself, as a program that uses one of them has.
local function compare(start, p, baseline, scheme, location)
  local cpu, rate, least = {}, {}, {}
  local our_worker, their_worker = start(), start()
  for round = 1 - WARM_UP, tonumber(os.getenv "ROUNDS") or 5 do
    local theirs, ours = load(their_worker, "/resty_" .. scheme .. "?id=ok"), load(our_worker, "/" .. location .. "?id=ok")
    if round > 0 then
      local bare = location == scheme and 1 / load(their_worker, "/trivial").per_cpu
        + baseline("epoll", p.cn[scheme], p, BARE, BARE_WARM_UP, AT_ONCE) / BARE
      cpu[round], rate[round] = theirs.per_cpu / ours.per_cpu, ours.rate / theirs.rate
      least[round] = bare and bare * theirs.per_cpu or nil
      print(("  %-11s ours %5.1f us a request, %6.0f/s; lua-resty-http %5.1f us, %6.0f/s%s"):format(location,
        1e6 / ours.per_cpu, ours.rate, 1e6 / theirs.per_cpu, theirs.rate, bare
        and ("; libcurl and nginx %.1f us"):format(bare * 1e6) or ""))
    end
  end
  print(("  %-11s CPU a request, ours / theirs: %s; requests/s: %s%s"):format(location, spread(cpu), spread(rate),
    #least > 0 and "; libcurl and nginx / theirs: " .. spread(least) or ""))
end

local function main()
  local resty = os.getenv "RESTY_HTTP"
  local p = assert(platform.start { log = false })
  local started = {}
  local function start()
    local n = server.start(p, {
      build = os.getenv "BUILD",
      http = CONFIGURATION:format(p.cn.http:match "//(.*)", p.cn.https:match "//(.*)"),
      server = LOCATIONS:format(p.cn.key, p.ca_file) .. (resty and RESTY_LOCATIONS:format(p.ca_file, resty) or ""),
      threads = os.getenv "THREADS" ~= "0",
    })
    started[#started + 1] = n
    return n
  end
  local n = start()
  local baseline, folder
  local ok, problem = pcall(function()
    print(("An upstream that answers after 50 ms, %d at once:"):format(AT_ONCE))
    print "                  median    p99    trivial location's p99"
    local proxy
    for _, name in ipairs { "proxy_http", "http", "proxy_https", "https" } do
      local path = "/" .. name .. "?id=slow:50"
      load(n, path) -- connections and compiled code
      local run = load_and_trivial(n, path)
      proxy = name:find "^proxy" and run or proxy
      print(("  %-13s %6.2f ms %6.2f ms %6.2f ms%s"):format(name, run.median, run.p99, run.trivial.p99,
        run == proxy and "" or ("   median %.3f x proxy_pass"):format(run.median / proxy.median)))
    end
    print(("\nAn upstream that answers at once, %d at once:"):format(AT_ONCE))
    print "              requests a CPU second   us a request   requests/s"
    for _, name in ipairs { "trivial", "proxy_http", "http", "proxy_https", "https" } do
      local path = "/" .. name .. (name == "trivial" and "" or "?id=ok")
      load(n, path)
      local run = load(n, path)
      proxy = name:find "^proxy" and run or proxy
      print(("  %-13s %17.0f %15.1f %12.0f%s"):format(name, run.per_cpu, 1e6 / run.per_cpu, run.rate,
        name:find "^http" and ("   %.2f x proxy_pass"):format(run.per_cpu / proxy.per_cpu) or ""))
    end
    local complaints = n:complaints()
    assert(complaints == "", complaints)
    if resty then
      print "\nBeside lua-resty-http and lua-cjson (median, least and most of the rounds):"
      baseline, folder = measure.baseline()
      compare(start, p, baseline, "http", "http")
      compare(start, p, baseline, "https", "https")
      compare(start, p, baseline, "https", "https_http1")
    end
  end)
  if folder then
    shell.run("rm -rf " .. shell.quote(folder))
  end
  for _, each in ipairs(started) do
    each:stop()
  end
  p:stop()
  if not ok then
    io.stderr:write(tostring(problem), "\n")
    os.exit(1)
  end
end

main()
