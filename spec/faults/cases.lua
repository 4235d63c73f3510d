--- The matrix: every fault at every point of a call where it can happen, and what the call must end as.
--
-- A case: the point, the fault, what it must end as (`record` or the error's kind), and of the rest what matters:
-- `attempts` {least, most}, `retryable`, `within` seconds, `net` (it needs a network of its own), `call` (what to do;
-- default: get_record), `id`, `server` and the other options of the client. Time-outs: 1 s to connect, 1 s an attempt.
-- `over`: the servers it is run over, "http" unless given; "h2" is https with HTTP/2, "tls" https with HTTP/1.1.
-- @module spec.faults.cases
local net = require "spec.faults.net"
local socket = require "socket"

local ONE, TWO, THREE, ANY = { 1, 1 }, { 2, 2 }, { 3, 3 }, { 1, 3 }
local ALL = { "http", "tls", "h2" }

local function to(run) return "tcp dport " .. run.port end
local function from(run) return "tcp sport " .. run.port end

--- A call that leaves an idle connection behind, then the fault, then the call that counts.
local function idle(fault)
  return function(run)
    assert(run.client:get_record "ok")
    run.before = run.client:stats().attempts
    fault(run)
    return run.get "ok"
  end
end

local function forget_connection(run)
  local ports = net.local_ports(run.port)
  assert(#ports == 1, "one connection expected")
  net.filter(to(run) .. " tcp sport " .. ports[1], from(run) .. " tcp dport " .. ports[1])
end

local function filtered(...)
  local expressions = { ... }
  return function(run)
    local list = {}
    for i, expression in ipairs(expressions) do
      list[i] = (expression:gsub("PORT", tostring(run.port)))
    end
    net.filter((table.unpack or unpack)(list)) -- luacheck: ignore 143
    return run.get "ok"
  end
end

local lossy = filtered "meta l4proto tcp numgen random mod 100 < 15"
local function slow(run)
  run.note(net.slow())
  return run.get "ok"
end

local function named(name)
  return function(run) return "http://" .. name .. ".test:" .. run.p.ports.cn_http end
end

-- A name with two addresses of which the first one does not serve; the second does nothing else.
local function first(run) return "http://first.test:" .. run.peers.record end

local LOSS = { connect_timeout = 8, timeout = 8, deadline = 30 }

return {
  { "resolve", "no such name", "dns", attempts = THREE, retryable = true, within = 3, net = true, server = named "nx" },
  { "resolve", "the name server fails", "dns", attempts = THREE, retryable = true, within = 6, net = true,
    server = named "fail" },
  { "resolve", "no name server answers", "timeout", attempts = THREE, retryable = true, within = 5, net = true,
    server = named "mute" },
  { "resolve", "the answer takes 0.5 s", "record", attempts = ONE, within = 3, net = true, server = named "slow" },
  { "resolve", "the first of two addresses is dead", "record", attempts = ONE, within = 3, net = true,
    options = { connect_timeout = 2 }, server = named "two", call = filtered "ip daddr 127.0.0.9" },
  { "resolve", "the first of two addresses is silent, and sorted first", "record", attempts = ONE, within = 1.5, net = true,
    options = { connect_timeout = 2, timeout = 5 }, server = first, call = filtered "ip daddr 10.1.1.1" },
  { "resolve", "the first of two addresses refuses, and is sorted first", "record", attempts = ONE, within = 0.3, net = true,
    server = first },
  { "resolve", "the name moved from an address that refuses", "record", attempts = TWO, within = 2, net = true,
    server = named "moved1" },
  { "resolve", "the name moved from a dead address", "record", attempts = TWO, within = 4, net = true,
    server = named "moved2", call = filtered "ip daddr 127.0.0.9" },

  { "connect", "refused", "connect", attempts = THREE, retryable = true, within = 2,
    server = function(run) return run.p.closed end },
  { "connect", "host unreachable", "connect", attempts = THREE, retryable = true, within = 4, net = true,
    call = filtered "tcp dport PORT reject with icmp type host-unreachable" },
  { "connect", "packets vanish (partition)", "timeout", attempts = THREE, retryable = true, within = 5, net = true,
    over = ALL, call = filtered "tcp dport PORT" },
  { "connect", "answers vanish (one way)", "timeout", attempts = THREE, retryable = true, within = 5, net = true,
    call = filtered "tcp sport PORT" },
  { "connect", "a partition that heals after 1.5 s", "record", attempts = { 2, 3 }, within = 5, net = true,
    call = function(run)
    net.filter_later(0, to(run), 1.5)
    socket.sleep(0.3)
    return run.get "ok"
  end },
  { "connect", "15 % of packets lost", "record", attempts = ANY, within = 30, net = true, over = ALL, options = LOSS,
    call = lossy },
  { "connect", "a slow line", "record", attempts = ONE, within = 15, net = true, over = ALL, options = LOSS,
    call = slow },

  { "TLS", "certificate of another host", "tls", attempts = ONE, retryable = false, within = 2,
    server = function(run) return run.p.tls.wrong_host end },
  { "TLS", "expired certificate", "tls", attempts = ONE, retryable = false, within = 2,
    server = function(run) return run.p.tls.expired end },
  { "TLS", "self-signed certificate", "tls", attempts = ONE, retryable = false, within = 2,
    server = function(run) return run.p.tls.self_signed end },
  { "TLS", "an authority that is not trusted", "tls", attempts = ONE, retryable = false, within = 2, over = { "h2" },
    options = { ca_file = false } },
  { "TLS", "the server speaks plain HTTP", "tls", attempts = THREE, retryable = true, within = 2,
    server = function(run) return "https://127.0.0.1:" .. run.p.ports.cn_http end },
  { "TLS", "the connection ends in the handshake", "tls", attempts = THREE, retryable = true, within = 2,
    server = function(run) return "https://127.0.0.1:" .. run.peers.cut end },
  { "TLS", "no answer in the handshake", "timeout", attempts = THREE, retryable = true, within = 5,
    server = function(run) return "https://127.0.0.1:" .. run.peers.mute end },
  { "TLS", "only small packets pass (half-open)", "timeout", attempts = THREE, retryable = true, within = 5, net = true,
    over = { "tls", "h2" }, call = filtered "tcp sport PORT meta length > 200" },

  { "request", "the connection ends", "transport", attempts = THREE, retryable = true, within = 2, over = ALL,
    id = "close" },
  { "request", "the connection is reset", "transport", attempts = THREE, retryable = true, within = 2, over = ALL,
    id = "reset" },
  { "request", "no answer", "timeout", attempts = THREE, retryable = true, within = 5, over = ALL, id = "silent" },
  { "request", "the request vanishes (half-open)", "timeout", attempts = THREE, retryable = true, within = 5,
    net = true,
    call = filtered "tcp dport PORT meta length > 100" },
  { "request", "the server dies", "connect", attempts = { 2, 3 }, retryable = true, within = 5, call = function(run)
    local task = run.client:start("get_record", run.fresh "silent")
    for _ = 1, 10 do run.client:poll(0.02) end
    run.p:kill()
    while not task:done() do run.client:poll(0.1) end
    assert(run.p:up())
    return task:result()
  end },

  { "header", "not HTTP", "transport", attempts = THREE, retryable = true, within = 2, over = ALL, id = "garbage" },
  { "header", "cut in the middle", "transport", attempts = THREE, retryable = true, within = 2,
    raw = "HTTP/1.1 200 OK\r\nContent-Type: applica" },
  { "header", "stops in the middle", "timeout", attempts = THREE, retryable = true, within = 5,
    server = function(run) return "http://127.0.0.1:" .. run.peers.half end },
  { "header", "96 KiB of headers", "protocol", attempts = ONE, retryable = false, within = 2, over = ALL,
    id = "headers:98304" },
  { "header", "a redirect to another host", "http", attempts = ONE, retryable = false, within = 2, over = ALL,
    id = "redirect" },
  { "header", "a gateway's 503 with a web page", "http", attempts = THREE, retryable = true, within = 2, over = ALL,
    id = "http:503:html" },

  { "body", "cut in the middle", "transport", attempts = THREE, retryable = true, within = 2, over = ALL,
    id = "truncate" },
  { "body", "reset in the middle", "transport", attempts = THREE, retryable = true, within = 2, over = ALL,
    id = "resetbody" },
  { "body", "stops in the middle", "timeout", attempts = THREE, retryable = true, within = 5, over = ALL,
    id = "stall" },
  { "body", "a byte every 50 ms", "timeout", attempts = THREE, retryable = true, within = 5, over = ALL,
    id = "drip:50" },
  { "body", "a chunk of no length", "transport", attempts = THREE, retryable = true, within = 2,
    raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n" },
  { "body", "a gzip that is none", "transport", attempts = THREE, retryable = true, within = 2,
    raw = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 7\r\n\r\nnot gz!" },
  { "body", "20 MB out of a small gzip", "protocol", attempts = ONE, retryable = false, within = 3, over = ALL,
    id = "bomb:20000000" },
  { "body", "a web page with HTTP 200", "protocol", attempts = ONE, retryable = false, within = 2, over = ALL,
    id = "html" },
  { "body", "a partition in the middle", "timeout", attempts = THREE, retryable = true, within = 6, net = true,
    over = ALL, call = function(run)
      net.filter_later(0.3, from(run))
      return run.get "drip:5"
    end },
  { "body", "a partition of 0.5 s in the middle", "record", attempts = ONE, within = 10, net = true, options = LOSS,
    over = ALL, call = function(run)
      net.filter_later(0.3, from(run), 0.5)
      return run.get "drip:5"
    end },

  { "idle connection", "the server closed it", "record", attempts = ONE, within = 2,
    server = function(run) return run.p.impatient end, call = idle(function() socket.sleep(0.5) end) },
  { "idle connection", "the server was started again", "record", attempts = ONE, within = 3, over = ALL,
    call = idle(function(run)
    run.p:kill()
    assert(run.p:up())
  end) },
  { "idle connection", "partition", "timeout", attempts = THREE, retryable = true, within = 6, net = true, over = ALL,
    call = idle(function(run) net.filter(to(run), from(run)) end) },
  { "idle connection", "forgotten on the way (half-open)", "record", attempts = TWO, within = 4, net = true, over = ALL,
    call = idle(forget_connection) },
  { "idle connection", "the server was started again unheard (half-open)", "record", attempts = { 1, 2 }, within = 4,
    net = true,
    over = ALL, call = idle(function(run)
      net.filter(from(run), to(run))
      run.p:kill()
      net.repair()
      assert(run.p:up())
    end) },
}
