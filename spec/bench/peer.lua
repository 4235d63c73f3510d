--- The libraries that spec/bench/peers.lua holds ours against, each written as a careful user would: one connection for
-- all calls, the headers made once, lua-cjson for the answer. A process of its own, which prints numbers:
--
--    lua spec/bench/peer.lua NAME URL KEY CA COUNT WARM_UP …
--
-- It needs nothing of ours, since lua-http runs on an older Lua than the rest.

-- Debian has lua-http for Lua 5.3, but one of its libraries (lpeg_patterns, plain Lua that any version takes) for 5.1 alone.
package.path = package.path .. ";/usr/share/lua/5.1/?.lua"

local peers = {}

local function headers_of(key)
  return { ["x-api-key"] = key, ["x-request-id"] = "01234567-89ab-4cde-8f01-23456789abcd", accept = "application/json",
    ["user-agent"] = "aitoearn-lua/0.1.0" }
end

-- Processor seconds of so many runs, after others that do not count.
local function processor_time(run, count, warm_up)
  run(tonumber(warm_up))
  local before = os.clock()
  run(tonumber(count))
  return os.clock() - before
end

-- The checks that ours makes of every record, as far as a script would bother.
local function decoder()
  local decode = require "cjson".new().decode
  return function(body)
    local envelope = decode(body)
    assert(envelope.code == 0 and envelope.data.id, body)
    return envelope.data
  end
end

-- For http.request's `create`: it opens a connection for each request and closes it afterwards, so it gets one that is
-- open already and does not close. Without "tcp-nodelay" the second of its two writes waits 40 ms for the server.
local function kept_alive(tls)
  local kept, connection = {}, nil
  function kept.connect(_, host, port)
    if connection then
      return 1
    end
    connection = assert(require "socket".tcp())
    assert(connection:connect(host, port))
    assert(connection:setoption("tcp-nodelay", true))
    if tls then
      connection = assert(require "ssl".wrap(connection, tls))
      assert(connection:dohandshake())
    end
    return 1
  end
  function kept.settimeout() return 1 end
  function kept.close() return 1 end
  function kept.send(_, ...) return connection:send(...) end
  function kept.receive(_, ...) return connection:receive(...) end
  return function() return kept end
end

--- LuaSocket's http module, over LuaSec for https. It knows HTTP/1.1 alone.
function peers.luasocket(url, key, ca_file, count, warm_up)
  local http, sink = require "socket.http", require "ltn12".sink
  local decode, headers = decoder(), headers_of(key)
  headers.connection = "keep-alive"
  local create = kept_alive(url:find "^https" and { mode = "client", protocol = "any", verify = "peer", cafile = ca_file,
    options = { "all", "no_sslv2", "no_sslv3", "no_tlsv1" } })
  return processor_time(function(times)
    for _ = 1, times do
      local chunks = {}
      local ok, status = http.request { url = url, headers = headers, create = create, sink = sink.table(chunks) }
      assert(ok and status == 200, status)
      decode(table.concat(chunks))
    end
  end, count, warm_up)
end

-- One lua-http connection, and what fetches and decodes over it.
local function lua_http(url, key, ca_file, version)
  local request = require "http.request".new_from_uri(url)
  for name, value in pairs(headers_of(key)) do
    request.headers:upsert(name, value)
  end
  local context = require "http.tls".new_client_context()
  context:getStore():add(ca_file)
  local connection = assert(require "http.client".connect { host = request.host, port = request.port, tls = request.tls,
    ctx = context, version = tonumber(version) })
  local decode = decoder()
  return function()
    local stream = assert(connection:new_stream())
    assert(stream:write_headers(request.headers, true))
    local headers = assert(stream:get_headers())
    assert(headers:get ":status" == "200")
    decode(assert(stream:get_body_as_string()))
  end
end

--- lua-http, which keeps no connections by itself but lets its user keep one. `version` is 1.1 or 2, which `concurrency`
-- coroutines share. All inside its event loop: nothing is faster, and many at once need it.
function peers.lua_http(url, key, ca_file, count, warm_up, version, concurrency)
  local loop, fetch = require "cqueues".new(), lua_http(url, key, ca_file, version)
  return processor_time(function(times)
    local left = times
    for _ = 1, tonumber(concurrency) do
      loop:wrap(function()
        while left > 0 do
          left = left - 1
          fetch()
        end
      end)
    end
    assert(loop:loop())
  end, count, warm_up)
end

--- Whether the modules can be loaded at all.
function peers.check(...)
  for _, name in ipairs { ... } do
    require(name)
  end
  return 0
end

print(peers[arg[1]]((table.unpack or unpack)(arg, 2))) -- luacheck: ignore 143
