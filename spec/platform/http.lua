--- Asks a platform over LuaSocket, for the specs that look at nothing but the answer: a process less than `curl`.
-- @module spec.platform.http
local json = require "dkjson"
local socket = require "socket"

local M = {}

--- What stands before every route.
M.ROOT = "/api/v2/channels/publish"

local function request(url, head, body, timeout)
  local host, port, path = url:match "^http://([^/:]+):(%d+)(/.*)$"
  local client = assert(socket.tcp4())
  client:settimeout(timeout)
  assert(client:connect(host, tonumber(port)))
  client:send(("%s %s HTTP/1.0\r\nHost: %s:%s\r\n%s\r\n%s"):format(head.method, path, host, port, table.concat(head), body))
  local text, err, partial = client:receive "*a"
  client:close()
  return text or partial, err
end

--- A function that sends a request to a route of one platform.
---@param p spec.platform.Platform
---@return fun(route: string, body?: table|string, options?: table): integer?, any, table send `route` is "METHOD /path";
--   the body a table (an empty one is an array) or JSON text; `options` are `base key type timeout`, `type` being the
--   Content-Type. Returns the envelope's code and data, and `{status, head, body, err}`.
function M.sender(p)
  return function(route, body, options)
    options = options or {}
    body = type(body) == "table" and json.encode(body) or body or ""
    local method, path = route:match "^(%u+) (.*)$"
    local head = { method = method, "X-Api-Key: " .. (options.key or p.cn.key) .. "\r\n" }
    if body ~= "" then
      head[2] = ("Content-Type: %s\r\nContent-Length: %d\r\n"):format(options.type or "application/json", #body)
    end
    local text, err = request((options.base or p.cn.http) .. M.ROOT .. path, head, body, options.timeout or 5)
    local got = { err = err, status = tonumber(text:match "^HTTP/1%.%d (%d%d%d)") or 0 }
    got.head, got.body = text:match "^(.-)\r\n\r\n(.*)$"
    local envelope = json.decode(got.body or "")
    if type(envelope) ~= "table" then return nil, nil, got end
    return envelope.code, envelope.data, got
  end
end

return M
