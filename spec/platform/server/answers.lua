--- The steps that answer a whole HTTP response: records, envelopes, gateway pages.
-- Each is a function(site, id, words), where `words` is the rest of the step behind its name.
-- @module spec.platform.server.answers
local envelope = require "spec.platform.server.envelope"
local gzip = require "spec.platform.server.gzip"
local record = require "spec.platform.server.record"

local quote, send, success, failure = envelope.quote, envelope.send, envelope.success, envelope.failure

local M = {}

local function send_fields(fields) return send(success(record.encode(fields))) end

-- Seconds since an id was first asked, and that moment.
local function since_first(site, id)
  local now, name = ngx.now(), site .. "/first/" .. id
  local first = ngx.shared.steps:add(name, now) and now or ngx.shared.steps:get(name) or now
  return now - first, first
end

-- "a=b" words become options, others flags; a Retry-After text may hold ":" itself.
local function read_options(words)
  local options, last = {}, nil
  for word in words:gmatch "[^:]+" do
    local name, value = word:match "^([%a-]+)=(.*)$"
    if name then
      options[name], last = value, name
    elseif last == "retry-after" then
      options[last] = options[last] .. ":" .. word
    else
      options[word] = true
    end
  end
  return options
end

local function set_hints(options)
  local header = ngx.header
  if options["retry-after"] then header["Retry-After"] = options["retry-after"] end
  if options["retry-date"] then
    header["Retry-After"] = ngx.http_time(math.ceil(ngx.now() + tonumber(options["retry-date"])))
  end
  if options.reset then
    header["X-RateLimit-Reset"] = string.format("%d", (ngx.now() + tonumber(options.reset)) * 1000)
  end
end

function M.ok(site, id) return send_fields(record.fields(site, id, 1)) end

function M.status(site, id, words)
  local status = tonumber(words)
  if not status then return false end
  return send_fields(record.fields(site, id, status))
end

function M.retrying(site, id)
  local fields = record.fields(site, id, 6)
  fields.errorMsg = quote "平台繁忙，稍后自动重试"
  return send_fields(fields)
end

function M.stalled(site, id)
  local fields = record.fields(site, id, 2)
  fields.platformWorkId = nil
  fields.publishTime = quote(record.iso(ngx.now() - 3660))
  fields.updatedAt = quote(record.iso(ngx.now() - 3600))
  return send_fields(fields)
end

--- `link:early` has its link while it is pending still, as some platforms do.
function M.link(site, id, words)
  local fields = record.fields(site, id, 1)
  fields.linkStatus = words ~= "none" and quote(words == "early" and "pending" or words) or nil
  if words == "failed" then fields.linkError = quote "作品已被删除" end
  if words ~= "ready" and words ~= "early" then fields.workLink = nil end
  return send_fields(fields)
end

function M.min(site, id)
  local fields = record.fields(site, id, 1)
  return send_fields {
    id = fields.id, accountType = fields.accountType, type = fields.type, status = fields.status,
    publishTime = fields.publishTime,
  }
end

function M.full(site, id) return send_fields(record.full(site, id)) end

function M.unicode(site, id)
  local fields = record.full(site, id)
  fields.title = '"中文 العربية עברית e\\u0301 \\ud83d\\ude00 👩‍👩‍👧‍👦 \\u0000 \\" \\\\ \\/ \\u2028"'
  return send_fields(fields)
end

function M.life(site, id, words)
  local wait, publish, last = words:match "^([%d.]+):([%d.]+):?(-?%d*)$"
  if not wait then return false end
  wait, publish, last = tonumber(wait), tonumber(publish), tonumber(last) or 1
  local age, first = since_first(site, id)
  local status, since = last, wait + publish
  if age < wait then
    status, since = 0, 0
  elseif age < wait + publish then
    status, since = 2, wait
  end
  local fields = record.fields(site, id, status)
  fields.publishTime = quote(record.iso(first + wait))
  fields.createdAt = quote(record.iso(first - 60))
  fields.updatedAt = quote(record.iso(first + since))
  return send_fields(fields)
end

local function coded(code, words)
  local options = read_options(words)
  set_hints(options)
  return send(failure(code, options.ttl and '{"ttl":' .. options.ttl .. "}"))
end

function M.code(_, _, words)
  local code, rest = words:match "^(-?%d+):?(.*)$"
  if not code then return false end
  return coded(tonumber(code), rest)
end

function M.codehttp(_, _, words)
  local code, status, rest = words:match "^(-?%d+):(%d+):?(.*)$"
  if not code then return false end
  ngx.status = tonumber(status)
  return coded(tonumber(code), rest)
end

function M.http(_, _, words)
  local status, rest = words:match "^(%d+):?(.*)$"
  if not status then return false end
  local options = read_options(rest)
  status = tonumber(status)
  ngx.status = status
  set_hints(options)
  if options.empty then return send("", "text/plain") end
  if options.json then return send('{"error":"gateway","status":' .. status .. "}", "application/json") end
  return envelope.send_gateway(status)
end

function M.html() return envelope.send_page() end

function M.redirect(_, _, words)
  ngx.status = tonumber(words) or 302
  ngx.header.location = envelope.settings.other .. ngx.var.request_uri
  return envelope.send_gateway(ngx.status)
end

function M.big(site, id, words)
  local size = tonumber(words)
  if not size then return false end
  local fields = record.fields(site, id, 1)
  fields.title = '""'
  local body = success(record.encode(fields))
  fields.title = '"' .. ("x"):rep(size - #body) .. '"'
  return send(success(record.encode(fields)))
end

function M.bomb(site, id, words)
  local size = tonumber(words)
  if not size then return false end
  local fields = record.fields(site, id, 1)
  fields.title = '"\0"'
  local head, tail = success(record.encode(fields)):match "^(.*)%z(.*)$"
  ngx.header["Content-Encoding"] = "gzip"
  return send(gzip.padded(head, tail, size), "application/json")
end

function M.headers(site, id, words)
  local left, count = tonumber(words), 0
  if not left then return false end
  while left > 0 do
    local name = string.format("X-Filler-%06d", count)
    local size = math.max(math.min(left, 4096) - #name - 4, 0)   -- 4: ": " and the line's end
    ngx.header[name] = ("f"):rep(size)
    left, count = left - #name - 4 - size, count + 1
  end
  return M.ok(site, id)
end

function M.deep(site, id, words)
  local depth = tonumber(words)
  if not depth then return false end
  local fields = record.fields(site, id, 1)
  fields.linkMeta = ('{"a":'):rep(depth - 1) .. "{}" .. ("}"):rep(depth - 1)
  return send_fields(fields)
end

function M.echo(site, id, words)
  local fields = record.fields(site, id, 1)
  fields.title = quote(words)
  return send_fields(fields)
end

function M.keyecho()
  local key = ngx.var.http_x_api_key
  local body = failure(400, nil, "the key " .. key .. " is not welcome")
  ngx.header["x-request-id"] = "req-" .. key
  return send(body)
end

function M.keyhtml()
  ngx.status = 502
  return send("<html><body>upstream refused X-Api-Key: " .. ngx.var.http_x_api_key .. "</body></html>", "text/html")
end

return M
