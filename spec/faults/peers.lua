--- The servers that nginx cannot be: a name server, and TCP servers that stop in the middle. A process of its own:
--
--    lua spec/faults/peers.lua DNS_PORT CUT_PORT MUTE_PORT HALF_HEADER_PORT RECORD_PORT RECORD_HOST
--
-- Names: nx.* does not exist, fail.* is SERVFAIL, mute.* gets no answer, slow.* one after 0.5 s, two.* has the addresses
-- 127.0.0.9 and 127.0.0.1, first.* 10.1.1.1 and 10.1.1.2; moved*.* is 127.0.0.9 when it is first asked for, and then, as
-- any other, 127.0.0.1. None has an IPv6 address.
local socket = require "socket"

local function word(number)
  return string.char(math.floor(number / 256), number % 256)
end

local function address(text)
  return "\192\12" .. word(1) .. word(1) .. word(0) .. word(0) .. word(4) .. text -- A, IN, TTL 0
end

local function read_question(query)
  local labels, at = {}, 13
  while query:byte(at) and query:byte(at) > 0 do
    labels[#labels + 1] = query:sub(at + 1, at + query:byte(at))
    at = at + 1 + query:byte(at)
  end
  return labels[1] or "", query:byte(at + 2), query:sub(13, at + 4)
end

local moved = {}

local function addresses_of(name)
  if name == "two" then
    return { address "\127\0\0\9", address "\127\0\0\1" }
  elseif name == "first" then
    return { address "\10\1\1\1", address "\10\1\1\2" }
  elseif name:find "^moved" and not moved[name] then
    moved[name] = true
    return { address "\127\0\0\9" }
  end
  return { address "\127\0\0\1" }
end

--- The answer to a query, and how many seconds later.
local function answer(query)
  local name, kind, question = read_question(query)
  if name == "mute" then
    return nil
  end
  local status = name == "nx" and 3 or name == "fail" and 2 or 0
  local records = {}
  if status == 0 and kind == 1 then
    records = addresses_of(name)
  end
  return query:sub(1, 2) .. "\129" .. string.char(128 + status) .. word(1) .. word(#records) .. word(0) .. word(0)
    .. question .. table.concat(records), name == "slow" and 0.5 or 0
end

local function listen(port, host)
  local server = assert(socket.bind(host or "127.0.0.1", port))
  server:settimeout(0)
  return server
end

local dns = assert(socket.udp4())
assert(dns:setsockname("127.0.0.1", arg[1]))
dns:settimeout(0)
local cut, mute, half, record = listen(arg[2]), listen(arg[3]), listen(arg[4]), listen(arg[5], arg[6])
local kept, delayed = {}, {}

local function serve_dns()
  local query, host, port = dns:receivefrom()
  local text, seconds = answer(query or "\0\0\0\0\0\0\0\0\0\0\0\0\4mute\0\0\1\0\1")
  if text then
    delayed[#delayed + 1] = { at = socket.gettime() + seconds, text = text, host = host, port = port }
  end
end

local function send_delayed()
  for i = #delayed, 1, -1 do
    local one = delayed[i]
    if socket.gettime() >= one.at then
      dns:sendto(one.text, one.host, one.port)
      table.remove(delayed, i)
    end
  end
end

local RECORD = '{"code":0,"message":"ok","data":{"id":"ok","accountType":"xhs","type":"video","status":1,'
  .. '"publishTime":"2026-01-01T00:00:00.000Z"}}'

local function serve_record(client)
  client:settimeout(1)
  repeat local line = client:receive "*l" until not line or line == ""
  client:send(("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"):format(#RECORD, RECORD))
  client:close()
end

local function accept(server)
  local client = server:accept()
  if not client then
    return
  elseif server == cut then -- takes the first bytes, then leaves
    client:settimeout(1)
    client:receive(1)
    client:close()
    return
  end
  if server == record then
    return serve_record(client)
  elseif server == half then
    client:send "HTTP/1.1 200 OK\r\nContent-Type: applica"
  end
  kept[#kept + 1] = client
end

io.write "ready\n"
io.flush()
while true do
  local readable = socket.select({ dns, cut, mute, half, record }, nil, #delayed > 0 and 0.01 or nil)
  for _, server in ipairs(readable) do
    if server == dns then serve_dns() else accept(server) end
  end
  send_delayed()
end
