--- The steps that go wrong on the wire: late, cut, reset, or not HTTP. Each is a function(site, id, words).
-- What needs the bare socket works on HTTP/1.1 alone; on HTTP/2 such a step resets the stream.
-- @module spec.platform.server.faults
local envelope = require "spec.platform.server.envelope"
local record = require "spec.platform.server.record"

local M = {}

local DROP = 444        -- nginx: close the connection (HTTP/2: the stream) without an answer
local FOR_EVER = 60     -- seconds

local function body_of(site, id)
  return envelope.success(record.encode(record.fields(site, id, 1)))
end

-- Announces a body of `size` bytes and sends `bytes` of it.
local function begin(bytes, size)
  local header = ngx.header
  header.content_type = "application/json; charset=utf-8"
  header.content_length = size
  ngx.print(bytes)
  ngx.flush(true)
end

-- Sends bytes on the bare socket and closes it.
local function send_raw(bytes)
  if ngx.req.http_version() >= 2 then return ngx.exit(DROP) end
  local socket = assert(ngx.req.socket(true))
  assert(socket:send(bytes))
  return ngx.exit(DROP)
end

-- An HTTP/1.1 answer as bytes.
local function response(body)
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: " .. #body
    .. "\r\nConnection: close\r\n\r\n" .. body
end

function M.silent()
  ngx.sleep(FOR_EVER)
  return ngx.exit(DROP)
end

function M.stall(site, id)
  local body = body_of(site, id)
  begin(body:sub(1, math.floor(#body / 2)), #body)
  ngx.sleep(FOR_EVER)
  return ngx.exit(DROP)
end

function M.truncate(site, id)
  local body = body_of(site, id)
  begin(body:sub(1, math.floor(#body / 2)), #body)
  return ngx.exit(DROP)
end

function M.drip(_, id, words)
  local delay = (tonumber(words) or 10) / 1000
  local body = envelope.success('{"id":' .. envelope.quote(id)
    .. ',"accountType":"xhs","type":"video","status":1,"publishTime":"2026-01-01T00:00:00.000Z"}')
  begin(body:sub(1, 1), #body)
  for i = 2, #body do
    ngx.sleep(delay)
    ngx.print(body:sub(i, i))
    ngx.flush(true)
  end
end

function M.close() return ngx.exit(DROP) end

function M.garbage() return send_raw "\1\2\3 this is not HTTP\r\n\r\n\255\254 at all\r\n" end

function M.chunked(site, id)
  local body = body_of(site, id)
  ngx.header.content_type = "application/json; charset=utf-8"
  for from = 1, #body, 200 do
    ngx.print(body:sub(from, from + 199))
    ngx.flush(true)
  end
end

function M.early(site, id)
  if ngx.req.http_version() >= 2 then return envelope.send(body_of(site, id)) end
  return send_raw("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    .. response(body_of(site, id)))
end

-- Into a named location of api.conf, which has the directives that a step needs; `server.serve_…` goes on there.
local function jump(location, step)
  ngx.var.step = step
  return ngx.exec(location)
end

function M.gzip() return jump("@gzip", "gzip") end
function M.closeafter() return jump("@close", "closeafter") end
function M.reset() return jump("@reset", "reset") end
function M.resetbody() return jump("@reset", "resetbody") end

-- Bytes that the specs stored. Names are plain words, so that no id reaches outside of the folder.
local function stored(name)
  if not name:find "^[%w_-][%w_.-]*$" then return nil end
  local file = io.open(envelope.settings.dir .. "/answers/" .. name, "rb")
  if not file then return nil end
  local bytes = file:read "*a"
  file:close()
  return bytes
end

function M.file(_, _, words)
  local bytes = stored(words)
  if not bytes then return false end
  return envelope.send(bytes, "application/json")
end

function M.raw(_, _, words)
  local bytes = stored(words)
  if not bytes then return false end
  return send_raw(bytes)
end

return M
