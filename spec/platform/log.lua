--- Reads the platform's access log. `log_format seen` in nginx.conf says the columns.
-- @module spec.platform.log
local M = {}

---@class spec.platform.Request
---@field server string which server saw it: cn_http, cn_https, cn_backup, intl_http, other, web, proxy, …
---@field connection integer nginx's number of the connection
---@field at number Unix time of its arrival
---@field status integer 499: the client went away; 444 or 0: dropped on demand
---@field protocol string HTTP/1.1 or HTTP/2.0
---@field method string
---@field uri string as it was on the wire
---@field path string the same up to its query
---@field query? string
---@field content_type? string
---@field body? string of a write
---@field api_key? string
---@field request_id? string
---@field accept_language? string
---@field accept_encoding? string
---@field user_agent? string
---@field host? string
---@field x_spec? string the header X-Spec
---@field client_cert? string "SUCCESS" where one was sent that verifies

local columns = {
  "port", "connection", "finished", "took", "status", "protocol", "method", "uri", "api_key", "request_id",
  "accept_language", "accept_encoding", "user_agent", "host", "content_type", "body", "x_spec", "client_cert",
}

local function unescape(hex) return string.char(tonumber(hex, 16)) end

local function parse(line, servers)
  local request, i = {}, 0
  for text in (line .. "\t"):gmatch "([^\t]*)\t" do
    i = i + 1
    if text ~= "-" then request[columns[i]] = (text:gsub("\\x(%x%x)", unescape)) end
  end
  request.path, request.query = (request.uri or ""):match "^([^?]*)%??(.*)$"
  if request.query == "" then request.query = nil end
  request.server = servers[request.port]
  request.connection = tonumber(request.connection)
  request.status = tonumber(request.status)
  request.at = math.floor((request.finished - request.took) * 1000 + 0.5) / 1000
  request.port, request.finished, request.took = nil, nil, nil
  return request
end

--- The requests in a log, in the order of their arrival.
---@param text string the log
---@param servers table<string, string> port -> name
---@return spec.platform.Request[]
function M.parse(text, servers)
  local requests, rank = {}, {}
  for line in text:gmatch "([^\n]*)\n" do
    local request = parse(line, servers)
    requests[#requests + 1] = request
    rank[request] = #requests
  end
  table.sort(requests, function(a, b)
    if a.at ~= b.at then return a.at < b.at end
    return rank[a] < rank[b]
  end)
  return requests
end

return M
