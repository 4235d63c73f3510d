--- The server side of the local platform: routes, keys, rate limit, and the way from an id to a step.
-- Runs inside nginx.
-- @module spec.platform.server
local envelope = require "spec.platform.server.envelope"
local all_keys = require "spec.platform.keys"
local reads = require "spec.platform.server.reads"
local record = require "spec.platform.server.record"
local routes = require "spec.platform.server.routes"
local steps = require "spec.platform.server.steps"
local store = require "spec.platform.server.store"
local watch = require "spec.platform.server.watch"

local find, match, sub = string.find, string.match, string.sub
local send, success, failure = envelope.send, envelope.success, envelope.failure

local M = {}

local PREFIX = "/api/v2/channels/publish/records/"
local LIMIT, WINDOW = 5, 1
local lists = { queued = true, published = true }
local absent_on = { cn = "e", intl = "c" }   -- first digit of the plain ids that live on the other site

--- Takes what nginx.conf knows; called once in the master.
---@param options {dir: string, parent: string, other: string}
function M.configure(options)
  watch.configure(options.dir, options.parent)
  store.open(options.dir)
  envelope.settings = options
end

-- Counts a request of a limited key. Returns the code 429 envelope's data once the window is used up.
local function limited(key)
  local limits, now = ngx.shared.limits, ngx.now()
  limits:add(key, 0, WINDOW) -- Debian 11's incr takes no time to live, and its dict tells none
  limits:add(key .. "/end", now + WINDOW, WINDOW)
  local count = limits:incr(key, 1) or 1
  local left = math.max((limits:get(key .. "/end") or now + WINDOW) - now, 0.001)
  local header = ngx.header
  header["X-RateLimit-Limit"] = LIMIT
  header["X-RateLimit-Remaining"] = math.max(LIMIT - count, 0)
  header["X-RateLimit-Reset"] = string.format("%d", math.ceil((ngx.now() + left) * 1000))
  if count > LIMIT then return '{"ttl":' .. math.max(1, math.ceil(left)) .. "}" end
end

-- A 24-digit id: a record that was made here, else a fixed one, where it lives on this site.
local function by_id(site, id)
  if reads.has(site, id) then return routes.answer(reads.get(site, id)) end
  if sub(id, 1, 1) == absent_on[site] then return send(failure(15000)) end
  return send(success(record.plain(site, id)))
end

local function answer(site, id)
  if #id == 24 and not find(id, "%X") then return by_id(site, id) end
  return steps.run(site, routes.decode(id))
end

local function id_of(uri)
  if sub(uri, 1, #PREFIX) ~= PREFIX then return nil end
  local id, rest = match(uri, "^([^/?]+)(.?)", #PREFIX + 1)
  return rest ~= "/" and not lists[id] and id or nil
end

--- Answers a request to one of the two sites.
function M.serve()
  local var = ngx.var
  local uri = var.request_uri
  local method = ngx.req.get_method()
  local id = method == "GET" and id_of(uri)
  local route = not id and routes.find(method, uri)
  if not id and not route then
    if find(uri, "^/api[/?]") or uri == "/api" then return send(failure(404)) end
    return M.serve_web()
  end
  local site = var.site
  local keys, key = all_keys[site], var.http_x_api_key
  if key ~= keys.key then
    if key ~= keys.limited then return send(failure(401)) end
    local data = limited(key)
    if data then return send(failure(429, data)) end
  end
  if id then return routes.serve_record(site, id, answer) end
  return routes.serve(site, route)
end

--- Answers inside `@gzip` and `@close`: a record.
function M.serve_record()
  local var = ngx.var
  return send(success(record.encode(record.fields(var.site, routes.decode(id_of(var.request_uri)), 1))))
end

--- Answers inside `@reset`, where dropping a connection resets it: at once, or after half of a record.
function M.serve_reset()
  local var = ngx.var
  if var.step == "resetbody" then
    local body = success(record.plain(var.site, "resetbody"))
    ngx.header.content_type = "application/json; charset=utf-8"
    ngx.header.content_length = #body
    ngx.print(body:sub(1, math.floor(#body / 2)))
    ngx.flush(true)
  end
  return ngx.exit(444)
end

--- The web app: a wrong base URL ends here.
M.serve_web = envelope.send_page

--- The specs' way in.
M.serve_control = require("spec.platform.server.control").serve

--- The unrelated host.
function M.serve_other()
  return send(success(record.plain("cn", "0000000000000000000other")))
end

return M
