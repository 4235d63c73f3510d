--- The routes beside GET of one record: which request is which, whether its query and body are of the right form, and
-- the way from there to what they do and back to an envelope.
-- @module spec.platform.server.routes
local actions = require "spec.platform.server.actions"
local envelope = require "spec.platform.server.envelope"
local mishaps = require "spec.platform.server.mishaps"
local publish = require "spec.platform.server.publish"
local reads = require "spec.platform.server.reads"
local record = require "spec.platform.server.record"
local store = require "spec.platform.server.store"
local world = require "spec.platform.server.world"

local M = {}

local PREFIX = "/api/v2/channels/publish"

-- ---- Queries and bodies ---------------------------------------------------------------------------
-- The two dates of `time=A,B`.
local function read_window(text)
  local from, to = text:match "^([^,]*),([^,]*)$"
  return record.seconds(from), record.seconds(to)
end

-- The filter in a query; nil where it does not fit the schema. Unknown parameters are nothing.
local function read_filter(query, list)
  local args, filter = ngx.decode_args(query or "", 0), {}
  if list ~= "history" then args.status = nil end
  for _, name in ipairs { "accountId", "accountType", "status", "time" } do
    if args[name] ~= nil and type(args[name]) ~= "string" then return nil end
  end
  filter.accountId, filter.accountType = args.accountId, args.accountType
  if args.accountType and not record.is_account_type(args.accountType) then return nil end
  if args.status then
    filter.status = args.status:find "^%-?%d+$" and tonumber(args.status)
    if not filter.status or filter.status < -1 or filter.status > 9 then return nil end
  end
  if args.time then
    filter.from, filter.to = read_window(args.time)
    if not filter.to or not filter.from then return nil end
  end
  return filter
end

local function is_text(value) return type(value) == "string" and value ~= "" end
local function is_table(value) return type(value) == "table" end
local function may_be(value, kind) return value == nil or type(value) == kind end

-- lua-cjson reads `{}` and `[]` alike, so the text itself has to say what stands there.
local function is_array(value, text, name)
  return is_table(value) and (#value > 0 or next(value) == nil)
    and text:find('"' .. name .. '"%s*:%s*%[') ~= nil
end

local function are_items(items)
  for _, item in ipairs(items) do
    local fits = is_table(item) and is_text(item.platform) and is_text(item.accountId)
      and may_be(item.option, "table") and may_be(item.overrides, "table")
    if not fits then return false end
  end
  return items[1] ~= nil
end

local function is_content(content, text)
  if not is_table(content) or not is_array(content.media, text, "media") then return false end
  for _, media in ipairs(content.media) do
    if not is_table(media) or not is_text(media.url) or not may_be(media.options, "table") then return false end
  end
  return may_be(content.title, "string") and may_be(content.body, "string") and may_be(content.cover, "string")
end

local function is_post(post, text)
  return is_array(post.items, text, "items") and are_items(post.items) and record.seconds(post.publishAt) ~= nil
    and is_content(post.content, text) and may_be(post.context, "table") and (post.flowId == nil or is_text(post.flowId))
end

-- The JSON object in the request's body and its text; nil where there is none. As with the real server, a body of
-- another type is none.
local function read_body()
  ngx.req.read_body()
  local text, kind = ngx.req.get_body_data(), ngx.var.http_content_type
  if not text or not kind or not kind:find "^application/json" then return nil end
  local ok, value = pcall(store.json().decode, text)
  if ok and is_table(value) then return value, text end
end

-- ---- Routes ---------------------------------------------------------------------------------------
-- name -> function(site, id, query) that reads the request and returns code, data, or the work that will
local routes = {}

local function list(name)
  return function(site, _, query)
    local filter = read_filter(query, name)
    if not filter then return 400 end
    return function() return reads.list(site, name, filter) end
  end
end

local function on_id(fn)
  return function(site, id)
    return function() return fn(site, id) end
  end
end

routes["GET /records"] = list "history"
routes["GET /records/queued"] = list "queued"
routes["GET /records/published"] = list "published"
routes["GET /flows/{id}"] = on_id(reads.flow)
routes["GET /records/{id}/user-action"] = on_id(reads.user_action)
routes["POST /tasks/{id}/publish-now"] = on_id(actions.publish_now)
routes["POST /tasks/{id}/retry"] = on_id(actions.retry)
routes["DELETE /tasks/{id}"] = on_id(actions.cancel)
routes["DELETE /records/{id}"] = on_id(actions.delete)

routes["PATCH /tasks/{id}/publish-at"] = function(site, id)
  if not world.is_id(id) then return 500 end
  local body = read_body()
  local at = body and record.seconds(body.publishAt)
  if not at then return 400 end
  return function() return actions.reschedule(site, id, at) end
end

routes["POST /flows"] = function(site)
  local post, text = read_body()
  if not post or not is_post(post, text) then return 400 end
  return function() return publish.publish(site, post, text) end
end

local sublists = { queued = true, published = true }

--- The route of a request, its id percent-decoded, and its query. Nil where there is none.
---@param method string
---@param uri string
---@return {name: string, id?: string, query?: string}?
function M.find(method, uri)
  local path, query = uri:match "^([^?]*)%??(.*)$"
  if path:sub(1, #PREFIX) ~= PREFIX then return nil end
  local head, id, tail = path:sub(#PREFIX + 1):match "^/(%a+)/?([^/]*)/?([^/]*)$"
  if not head or id == "" and tail ~= "" then return nil end
  local name = method .. " /" .. head
  if head == "records" and tail == "" and sublists[id] then
    name = name .. "/" .. id
  elseif id ~= "" then
    name = name .. "/{id}" .. (tail ~= "" and "/" .. tail or "")
  end
  return routes[name] and { name = name, id = id ~= "" and M.decode(id) or nil, query = query }
end

--- Percent-decoding that leaves a plus sign alone.
---@param text string
---@return string
function M.decode(text) return ngx.unescape_uri((text:gsub("%+", "%%2B"))) end

--- Sends the envelope of what a route returned, dated by its clock.
---@param code integer
---@param data? string
---@return nil
function M.answer(code, data)
  if world.settings().clock ~= 0 then ngx.header["Date"] = ngx.http_time(world.now()) end
  return envelope.send(code == 0 and envelope.success(data) or envelope.failure(code, data))
end

--- Answers a request to a route.
---@param site "cn"|"intl"
---@param route table what `find` returned
function M.serve(site, route)
  local work, data = routes[route.name](site, route.id, route.query)
  local fault = mishaps.exist() and mishaps.next(site, route.name, route.id)
  if type(work) == "number" then
    local code = work
    work = function() return code, data end
  end
  if fault then return mishaps.run(fault, site, work, M.answer) end
  return M.answer(work())
end

--- Answers GET of one record, whose `respond` sends the answer itself.
---@param site "cn"|"intl"
---@param id string
---@param respond fun(site: string, id: string)
function M.serve_record(site, id, respond)
  local fault = mishaps.exist() and mishaps.next(site, "GET /records/{id}", id)
  if not fault then return respond(site, id) end
  return mishaps.run(fault, site, function() end, function() return respond(site, id) end)
end

return M
