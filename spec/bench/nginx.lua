--- What a call costs an nginx worker, beside what the same request costs it as proxy_pass: `make bench-nginx`.
--
-- One worker, measured with wrk, 50 requests at once. First against an upstream that answers after 50 ms: latencies,
-- and those of a trivial location meanwhile. Then against one that answers at once: requests per second of the
-- worker's CPU time, its threads included, which other programs on the machine hardly disturb.
-- BUILD=folder measures another build of the C module, SECONDS=n changes the length of each run (5).
local platform = require "spec.platform"
local server = require "spec.host.nginx.server"
local shell = require "spec.platform.shell"

local AT_ONCE = 50
local seconds = tonumber(os.getenv "SECONDS") or 5

local CONFIGURATION = [[
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
    location = /proxy_http { proxy_pass http://http_platform/api/v2/channels/publish/records/$arg_id; }
    location = /proxy_https { proxy_pass https://https_platform/api/v2/channels/publish/records/$arg_id; }
]]

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

local function main()
  local p = assert(platform.start { log = false })
  local n = server.start(p, {
    build = os.getenv "BUILD",
    http = CONFIGURATION:format(p.cn.http:match "//(.*)", p.cn.https:match "//(.*)"),
    server = LOCATIONS:format(p.cn.key, p.ca_file),
    threads = os.getenv "THREADS" ~= "0",
  })
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
  end)
  n:stop()
  p:stop()
  if not ok then
    io.stderr:write(tostring(problem), "\n")
    os.exit(1)
  end
end

main()
