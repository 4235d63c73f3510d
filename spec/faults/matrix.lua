--- Runs the cases, tells how each ended, and writes the table.
-- @module spec.faults.matrix
local aitoearn = require "aitoearn"
local cases = require "spec.faults.cases"
local net = require "spec.faults.net"
local platform = require "spec.platform"
local replace = require "spec.readme"
local shell = require "spec.platform.shell"

local LABEL = { http = "HTTP/1.1", tls = "HTTP/1.1 + TLS", h2 = "HTTP/2" }
local DEFAULTS = { connect_timeout = 1, timeout = 1, deadline = 10, proxy = "", allow_http = true,
  retry = { max_attempts = 3, base = 0.05 } }

local nonces = 0
local function fresh(id)
  nonces = nonces + 1
  return id .. "~" .. nonces
end

local function start_peers(lua, is_inside)
  local ports = shell.free_ports { "dns", "cut", "mute", "half", "record" }
  ports.dns = is_inside and 53 or ports.dns
  local log = os.tmpname()
  local pid = assert(shell.run(("%s spec/faults/peers.lua %d %d %d %d %d %s </dev/null >%s 2>&1 & echo $!"):format(
    shell.quote(lua), ports.dns, ports.cut, ports.mute, ports.half, ports.record,
    is_inside and "10.1.1.2" or "127.0.0.1", log)))
  local ready = shell.wait_until(5, function() return (shell.read(log) or ""):find "ready" end)
  assert(ready, shell.read(log))
  return ports, function()
    shell.run("kill " .. pid)
    os.remove(log)
  end
end

local function options_of(run, case)
  local server = case.server and case.server(run) or run.servers[run.over]
  local options = { server = server, api_key = run.p.cn.key, ca_file = run.p.ca_file }
  for _, given in ipairs { DEFAULTS, case.options or {} } do
    for name, value in pairs(given) do
      options[name] = value or nil
    end
  end
  run.port = tonumber(server:match ":(%d+)$")
  return options
end

--- Makes the call of a case.
-- @return what came of it: kind, attempts, retryable, seconds
local function make(run, case)
  local seen = { notes = {} }
  run.note = function(text) seen.notes[#seen.notes + 1] = text end
  run.client = aitoearn.new(options_of(run, case))
  run.before, run.fresh = 0, fresh
  local now, started = run.client.now, nil
  run.get = function(id)
    started = now()
    local record, err = run.client:get_record(id == "ok" and id or fresh(id))
    seen.seconds = now() - started
    return record, err
  end
  if case.raw then
    run.p:raw("case", case.raw)
  end
  local began = now()
  local ok, record, err = pcall(case.call or run.get, case.call and run or case.raw and "raw:case" or case.id or "ok")
  seen.seconds = seen.seconds or now() - began
  seen.attempts = run.client:stats().attempts - run.before
  run.client:close()
  if run.is_inside then
    net.repair()
  end
  assert(ok, record)
  seen.kind = record and "record" or err.kind
  seen.retryable = err and not record and err.retryable or nil
  seen.message = not record and tostring(err) or ""
  return seen
end

local function problem_of(case, seen)
  if seen.kind ~= case[3] then
    return ("it ended as %s: %s"):format(seen.kind, seen.message)
  elseif seen.attempts < case.attempts[1] or seen.attempts > case.attempts[2] then
    return ("%d attempts: %s"):format(seen.attempts, seen.message)
  elseif case.retryable ~= nil and (seen.retryable or false) ~= case.retryable then
    return "retryable is " .. tostring(seen.retryable)
  elseif seen.seconds > case.within then
    return ("it took %.1f s"):format(seen.seconds)
  end
end

local function span(range)
  return range[1] == range[2] and tostring(range[1]) or range[1] .. "–" .. range[2]
end

local function row(case)
  local over = {}
  for i, name in ipairs(case.over or { "http" }) do
    over[i] = LABEL[name]
  end
  return ("| %s | %s | %s | %s | %s | %s | %g s |"):format(case[1], case[2], case.server and "" or table.concat(over, ", "),
    case[3] == "record" and "the record" or "`" .. case[3] .. "`", span(case.attempts),
    case[3] == "record" and "" or case.retryable and "yes" or "no", case.within)
end

local function is_wanted(case)
  local only = os.getenv "FAULTS_ONLY"
  return not only or (case[1] .. ": " .. case[2]):find(only, 1, true) ~= nil
end

local function run_case(run, case, totals)
  for _, over in ipairs(case.over or { "http" }) do
    run.over = over
    local seen = make(run, case)
    local problem = problem_of(case, seen)
    totals[problem and "failed" or "passed"] = totals[problem and "failed" or "passed"] + 1
    io.write(("%-4s %-15s %-48s %-14s %-9s %d attempts %5.2f s %s\n"):format(problem and "FAIL" or "ok", case[1], case[2],
      case.server and "" or LABEL[over], seen.kind, seen.attempts, seen.seconds, table.concat(seen.notes, ", ")))
    io.write(problem and "     " .. problem .. "\n" or "")
    io.flush()
  end
end

--- Runs all cases.
---@param lua string the interpreter
---@param is_inside boolean whether the network is a private one
---@param readme string|false where to put the table
---@return boolean ok
return function(lua, is_inside, readme)
  local p = assert(platform.start())
  local run = { p = p, is_inside = is_inside, servers = { http = p.cn.http, tls = p.https1, h2 = p.cn.https } }
  local stop_peers
  if is_inside then
    net.addresses()
  end
  run.peers, stop_peers = start_peers(lua, is_inside)
  if is_inside then
    net.name_server()
  end
  local totals = { passed = 0, failed = 0, left_out = 0 }
  local rows = { "| point | fault | over | ends as | attempts | `retryable` | within |", "|---|---|---|---|---|---|---|" }
  local ok, message = xpcall(function()
    for _, case in ipairs(cases) do
      rows[#rows + 1] = row(case)
      if case.net and not is_inside then
        totals.left_out = totals.left_out + 1
      elseif is_wanted(case) then
        run_case(run, case, totals)
      end
    end
  end, debug.traceback)
  stop_peers()
  p:stop()
  assert(ok, message)
  io.write(("%d passed, %d failed%s\n"):format(totals.passed, totals.failed,
    totals.left_out > 0 and ", " .. totals.left_out .. " left out: they need namespaces" or ""))
  if totals.failed == 0 and readme then
    replace(readme, "faults", table.concat(rows, "\n"))
  end
  return totals.failed == 0 and totals.passed > 0
end
