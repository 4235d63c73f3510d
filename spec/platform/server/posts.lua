--- What the routes do with the posts of a site: publish, list, follow, act. Values in, `code, data` out, where `data` is
-- JSON text; nothing here knows of HTTP.
-- @module spec.platform.server.posts
local envelope = require "spec.platform.server.envelope"
local life = require "spec.platform.server.life"
local record = require "spec.platform.server.record"
local store = require "spec.platform.server.store"

local quote, format = envelope.quote, string.format

local M = {}

-- Seconds; README.md says what each is.
local defaults = { speed = 1, queued = 0, publishing = 0.5, link = 0, day = 86400, action = 3600, lag = 0, clock = 0 }
local with_defaults = { __index = defaults }
local absent_on = { cn = "e", intl = "c" }   -- first digit of the ids that live on the other site
local hidden_sources = { task_link = true, offline_qr = true }
-- What a new try, or another time, makes of the fields that a seed gave.
local transient = {
  "status", "publishTime", "updatedAt", "errorMsg", "errorData", "platformWorkId", "workLink", "linkStatus", "linkError",
}

--- The settings in force.
---@return table
function M.settings()
  local given = store.get "settings"
  return given and setmetatable(given, with_defaults) or defaults
end

--- Unix time of the posts' clock.
---@return number
function M.now() return math.floor((ngx.now() + M.settings().clock) * 1000 + 0.5) / 1000 end

local function record_key(site, id) return site .. "/record/" .. id end
local function flow_key(site, flow_id) return site .. "/flow/" .. ngx.escape_uri(flow_id) end

--- Whether an id is of the form that the server makes.
---@param id string
---@return boolean
function M.is_id(id) return #id == 24 and not id:find "%X" end

-- The record of a plain id, which is there without having been made.
local function plain(site, id)
  if id:sub(1, 1) == absent_on[site] then return nil end
  local title, desc = record.texts(site)
  return {
    id = id, n = 0, try = 1, created = 1767218400, moved = 1767225595, at = 1767225540, from = 0, status = 1,
    given = { accountType = record.account_type(site, id), title = title, desc = desc, accountId = "6877a1b2c3d4e5f6a0000003" },
  }
end

-- What readers see of a record: for a while after a change, what it was before.
local function seen(stored, now)
  if stored and stored.old_until and now < stored.old_until then stored = stored.old or nil end
  return stored and not stored.deleted and stored or nil
end

local function find(site, id, now)
  local stored = store.get(record_key(site, id))
  if not stored then return M.is_id(id) and plain(site, id) or nil end
  return seen(stored, now)
end

-- Lets readers see the old state, nil for none, as long as the setting `lag` says.
local function hide(stored, old, now)
  local lag = M.settings().lag
  if lag <= 0 then return end
  if old then old.old, old.old_until = nil, nil end
  stored.old, stored.old_until = old or false, now + lag
end

local function did(effect, name)
  store.count("did/" .. effect)
  store.count("did/" .. effect .. "/" .. ngx.escape_uri(name))
end

-- Ids that no two workers make alike.
local function new_id()
  local pid = ngx.worker.pid()
  return format("%08x%s%06x", ngx.time(), ngx.md5(pid .. ":" .. ngx.now()):sub(1, 10), store.count "ids" % 2 ^ 24)
end

-- A creator's own id, which no task route of the site knows.
local function task_id_for(site, id) return absent_on[site] .. ngx.md5(id):sub(1, 23) end

-- ---- Reading --------------------------------------------------------------------------------------
--- Whether a record was made here, rather than being there without.
---@param site "cn"|"intl"
---@param id string
---@return boolean
function M.has(site, id) return store.has(record_key(site, id)) end

--- GET /records/{id}.
---@param site "cn"|"intl"
---@param id string
---@return integer code
---@return string? data
function M.get(site, id)
  if not M.is_id(id) then return 500 end
  local now = M.now()
  local stored = find(site, id, now)
  if not stored then return 15000 end
  if stored.odd then return 500 end
  return 0, life.json(site, stored, life.state(stored, now, M.settings()))
end

---@class spec.platform.Filter
---@field accountId? string
---@field accountType? string
---@field status? integer
---@field from? number Unix time
---@field to? number

local by_list = { queued = { [0] = true, [6] = true }, published = { true } }

local function fits(stored, state, filter, statuses)
  local given, at = stored.given, state.publish_time
  return not hidden_sources[given.source]
    and (not statuses or statuses[state.status])
    and (not filter.status or filter.status == state.status)
    and (not filter.accountId or filter.accountId == given.accountId)
    and (not filter.accountType or filter.accountType == given.accountType)
    and (not filter.from or at >= filter.from and at <= filter.to)
end

-- The JSON of what is stored in an entry, made once for each state.
local function text_of(site, entry, state)
  local name = format("%d %s %.3f", state.status, tostring(state.has_link), state.publish_time)
  if entry.state ~= name then
    entry.state, entry.text = name, life.json(site, entry.value, state)
  end
  return entry.text
end

local function newest_first(a, b)
  if a.created ~= b.created then return a.created > b.created end
  return a.n > b.n
end

--- GET /records and its two likes: one odd record among them spoils the whole answer.
---@param site "cn"|"intl"
---@param list "history"|"queued"|"published"
---@param filter spec.platform.Filter
---@return integer code
---@return string? data
function M.list(site, list, filter)
  local now, settings, found = M.now(), M.settings(), {}
  for n = 1, store.counted(site .. "/n") do
    local id = store.get(site .. "/at/" .. n)
    local entry = id and store.entry(record_key(site, id))
    local stored = entry and seen(entry.value, now)
    local state = stored and life.state(stored, now, settings)
    if state and fits(stored, state, filter, by_list[list]) then
      if stored.odd then return 500 end
      local text = stored == entry.value and text_of(site, entry, state) or life.json(site, stored, state)
      found[#found + 1] = { created = stored.created, n = stored.n, text = text }
    end
  end
  table.sort(found, newest_first)
  for i, one in ipairs(found) do found[i] = one.text end
  local text = "[" .. table.concat(found, ",") .. "]"
  return 0, settings.list_key and "{" .. quote(settings.list_key) .. ":" .. text .. "}" or text
end

-- The JSON of a flow and how many tasks it has; `fresh` are records that readers may not see yet.
local function flow_json(site, flow, now, fresh)
  local settings, tasks = M.settings(), {}
  for _, id in ipairs(flow.ids) do
    local stored = fresh and fresh[id] or find(site, id, now)
    local state = stored and life.state(stored, now, settings)
    if state then
      tasks[#tasks + 1] = { at = state.publish_time, n = stored.n, text = life.task_json(site, stored, state) }
    end
  end
  table.sort(tasks, function(a, b)
    if a.at ~= b.at then return a.at < b.at end
    return a.n < b.n
  end)
  for i, task in ipairs(tasks) do tasks[i] = task.text end
  return '{"flowId":' .. quote(flow.flowId) .. ',"tasks":[' .. table.concat(tasks, ",") .. "]}", #tasks
end

--- GET /flows/{flowId}. A flow made through a relay is not found.
---@param site "cn"|"intl"
---@param flow_id string
---@return integer code
---@return string? data
function M.flow(site, flow_id)
  local now = M.now()
  local flow = store.get(flow_key(site, flow_id))
  if not flow or flow.relay or flow.hidden_until and now < flow.hidden_until then return 15050 end
  local text, count = flow_json(site, flow, now)
  if count == 0 then return 15050 end
  return 0, text
end

--- GET /records/{id}/user-action.
---@param site "cn"|"intl"
---@param id string
---@return integer code
---@return string? data
function M.user_action(site, id)
  if not M.is_id(id) then return 10002 end
  local now = M.now()
  local stored = find(site, id, now)
  if not stored then return 15000 end
  local state = life.state(stored, now, M.settings())
  if state.status ~= 8 then return 15018 end
  if stored.given.accountType ~= "douyin" then return 15062 end
  return 0, format('{"recordId":%s,"platform":"douyin","shareId":"share-%d",'
    .. '"schemeUrl":"snssdk1128://openplatform/share?id=%d","shortLink":"https://v.example/%d","expiresAt":%s}',
    quote(id), stored.n, stored.n, stored.n, quote(record.iso(state.updated + M.settings().action)))
end

-- ---- Publishing -----------------------------------------------------------------------------------
---@class spec.platform.Account
---@field lives? string
---@field cancel? integer|"silent"
---@field code? integer what publishing to it answers
---@field relay? boolean

-- Reads an account's id, which says how the account behaves: nil where there is none of this name.
local function account_of(site, id)
  if M.is_id(id) then return id:sub(1, 1) ~= absent_on[site] and {} or nil end
  local account, lives = {}, {}
  for step in (id:match "^(.*)~[^~]*$" or id):gmatch "[^;]+" do
    local name, word = step:match "^(%a+):?(.*)$"
    if name == "code" then
      account.code = tonumber(word)
    elseif name == "cancel" then
      account.cancel = tonumber(word) or word
    elseif name == "relay" then
      account.relay = true
    elseif life.parse(step) then
      lives[#lives + 1] = step
    else
      return nil
    end
  end
  account.lives = lives[1] and table.concat(lives, ";")
  return account
end

local function refusal(code, item, issue)
  if code ~= 15051 then return code end
  return code, format('{"platform":%s,"accountId":%s,"issues":[{"path":"content","message":%s}]}', quote(item.platform),
    quote(item.accountId), quote(issue))
end

-- What stands against a post: code and data, or nil and each item's account.
local function judge(site, post)
  local accounts, known, relayed = {}, {}, 0
  local content = post.content
  for i, item in ipairs(post.items) do
    if not record.is_account_type(item.platform) then return 15062 end
    local account = account_of(site, item.accountId)
    if not account then return 15021 end
    if account.code then return refusal(account.code, item, "refused") end
    local name = item.platform .. " " .. item.accountId
    if known[name] then return 15052 end
    if not content.title and not content.body and #content.media == 0 then
      return refusal(15051, item, "content is empty")
    end
    accounts[i], known[name] = account, true
    relayed = relayed + (account.relay and 1 or 0)
  end
  if relayed > 0 and relayed < #post.items then return 15087 end
  return nil, accounts
end

local function given_of(site, id, post, item, flow_id)
  local content, context = post.content, post.context or {}
  local given = {
    flowId = flow_id, accountId = item.accountId, accountType = item.platform, title = content.title, desc = content.body,
    coverUrl = content.cover, source = context.source, type = "article", userTaskId = new_id(),
    taskId = context.taskId or task_id_for(site, id), imgUrlList = {},
  }
  for _, media in ipairs(content.media) do
    if media.url:lower():find "%.mp4" then
      given.type, given.videoUrl = "video", media.url
    else
      given.imgUrlList[#given.imgUrlList + 1] = media.url
    end
  end
  return given
end

--- POST /flows: all or nothing, and once only for a flow id.
---@param site "cn"|"intl"
---@param post table the body, of the right form
---@param text string the same as it came
---@return integer code
---@return string? data
function M.publish(site, post, text)
  local code, found = judge(site, post)
  if code then return code, found end
  local flow_id, now, lag = post.flowId or new_id(), M.now(), M.settings().lag
  local in_use = '{"flowId":' .. quote(flow_id) .. "}"
  local key = flow_key(site, flow_id)
  if store.has(key) then return 15025, in_use end
  local flow = {
    flowId = flow_id, ids = {}, at = now, relay = found[1].relay, post = text, published = true,
    hidden_until = lag > 0 and now + lag or nil,
  }
  local made, fresh = {}, {}
  for i, item in ipairs(post.items) do
    local account, id = found[i], new_id()
    local stored = {
      id = id, n = store.count(site .. "/n"), try = 1, created = now, moved = now, at = record.seconds(post.publishAt),
      from = now, lives = account.lives, cancel = account.cancel, given = given_of(site, id, post, item, flow_id),
    }
    hide(stored, nil, now)
    flow.ids[i], fresh[id] = id, stored
    made[#made + 1], made[#made + 2] = record_key(site, id), stored
    made[#made + 1], made[#made + 2] = site .. "/at/" .. stored.n, id
  end
  if not store.add(key, flow) then return 15025, in_use end
  store.write(made)
  did("publish", flow_id)
  store.write { site .. "/posted/" .. store.count(site .. "/posts"), flow_id }
  return 0, (flow_json(site, flow, now, fresh))
end

-- ---- Acting on a record ---------------------------------------------------------------------------
-- Runs fn(stored, state, now) → code, effect on a record that no other worker changes meanwhile. Where it names an effect,
-- the record is written and the effect counted.
local function change(site, id, missing, fn)
  local key = record_key(site, id)
  return store.locked(key, function()
    local stored, now = store.copy(key) or plain(site, id), M.now()
    if not stored or stored.deleted then return missing end
    local code, effect = fn(stored, life.state(stored, now, M.settings()), now)
    if effect then
      hide(stored, store.copy(key) or plain(site, id), now)
      store.write { key, stored }
      did(effect, id)
    end
    return code
  end)
end

local function task_data(code, id)
  if code ~= 0 then return code end
  return 0, '{"taskId":' .. quote(id) .. "}"
end

-- Lets a record live from now on, due at a time.
local function begin(stored, at, now)
  stored.status, stored.confirmed = nil, nil
  stored.at, stored.from, stored.moved = at, now, now
  for _, name in ipairs(transient) do stored.given[name] = nil end
end

local function is_queued(state) return state.status == 0 or state.status == 6 end
local function is_busy(stored, now) return stored.busy and now < stored.busy end

--- POST /tasks/{id}/publish-now.
---@param site "cn"|"intl"
---@param id string
---@return integer code
---@return string? data
function M.publish_now(site, id)
  if not M.is_id(id) then return 500 end
  return task_data(change(site, id, 15004, function(stored, state, now)
    if not is_queued(state) then return 15058 end
    if is_busy(stored, now) then return 15053 end
    begin(stored, now, now)
    return 0, "publish_now"
  end), id)
end

--- POST /tasks/{id}/retry.
---@param site "cn"|"intl"
---@param id string
---@return integer code
---@return string? data
function M.retry(site, id)
  if not M.is_id(id) then return 500 end
  return task_data(change(site, id, 15004, function(stored, state, now)
    if state.status ~= -1 then return 15095 end
    begin(stored, now, now)
    stored.try = stored.try + 1
    return 0, "retry"
  end), id)
end

--- PATCH /tasks/{id}/publish-at.
---@param site "cn"|"intl"
---@param id string
---@param at number Unix time
---@return integer code
---@return string? data
function M.reschedule(site, id, at)
  return task_data(change(site, id, 15004, function(stored, state, now)
    if not is_queued(state) then return 15057 end
    if is_busy(stored, now) then return 15053 end
    begin(stored, at, now)
    return 0, "reschedule"
  end), id)
end

--- DELETE /tasks/{id}: code 0 even where nothing is cancelled.
---@param site "cn"|"intl"
---@param id string
---@return integer code
---@return string? data
function M.cancel(site, id)
  if not M.is_id(id) then return 500 end
  return task_data(change(site, id, 15004, function(stored, state, now)
    local status = state.status
    if not is_queued(state) and status ~= 7 and status ~= 8 then return 0 end
    if is_queued(state) and is_busy(stored, now) then return 15053 end
    if stored.cancel == "silent" then return 0 end
    if stored.cancel then return stored.cancel end
    stored.status, stored.at, stored.moved = 9, state.publish_time, now
    return 0, "cancel"
  end), id)
end

local final = { [-1] = true, [1] = true, [5] = true, [9] = true }

--- DELETE /records/{id}: a success has no data.
---@param site "cn"|"intl"
---@param id string
---@return integer code
function M.delete(site, id)
  if not M.is_id(id) then return 10002 end
  return change(site, id, 15000, function(stored, state)
    if not final[state.status] then return 15018 end
    stored.deleted = true
    return 0, "delete"
  end)
end

--- What a person does where state 8 waits for it.
---@param site "cn"|"intl"
---@param id string
---@return integer code 15018 where nothing waits
function M.confirm(site, id)
  return change(site, id, 15000, function(stored, state, now)
    if state.status ~= 8 then return 15018 end
    stored.confirmed = now
    if stored.status then stored.status, stored.at, stored.moved = 1, now, now end
    return 0, "confirm"
  end)
end

-- ---- For the specs --------------------------------------------------------------------------------
-- What a seeded record says beside the API's fields.
local special = { life = true, cancel = true, odd = true, busy = true, relay = true, try = true }

local function time_of(value, otherwise)
  return type(value) == "number" and value or record.seconds(value) or otherwise
end

-- Makes a record of what a spec says of it. A text that is no time, or no status, is shown as it is.
local function sown(site, seed, now, n)
  local title = record.texts(site)
  local stored = { id = seed.id or new_id(), n = n, try = seed.try or 1, given = { title = title } }
  for name, value in pairs(seed) do
    if not special[name] and name ~= "id" then stored.given[name] = value end
  end
  local given = stored.given
  for _, name in ipairs { "publishTime", "createdAt", "updatedAt", "status" } do
    if type(given[name]) == "number" or name ~= "status" and record.seconds(given[name]) then given[name] = nil end
  end
  stored.status = seed.status and (tonumber(seed.status) or 1) or nil
  stored.at = time_of(seed.publishTime, now)
  stored.created = time_of(seed.createdAt, now)
  stored.moved = time_of(seed.updatedAt, stored.created)
  stored.from = 0
  stored.lives = seed.life
  stored.cancel, stored.odd = seed.cancel, seed.odd
  stored.busy = seed.busy and now + seed.busy
  given.accountType = given.accountType or record.account_type(site, stored.id)
  given.accountId = given.accountId or "6877a1b2c3d4e5f6a0000003"
  given.taskId = given.taskId or task_id_for(site, stored.id)
  return stored
end

local function add_to_flow(flows, site, flow_id, id, relay, now)
  local key = flow_key(site, flow_id)
  local flow = flows[key] or store.copy(key) or { flowId = flow_id, ids = {}, at = now }
  for _, known in ipairs(flow.ids) do
    if known == id then return end
  end
  flow.ids[#flow.ids + 1], flow.relay, flows[key] = id, relay or flow.relay, flow
end

--- Puts records on a site; one whose id is there already takes its place.
---@param site "cn"|"intl"
---@param seeds table[]
---@return string[] ids
function M.seed(site, seeds)
  local now, ids, list, flows = M.now(), {}, {}, {}
  for i, seed in ipairs(seeds) do
    local known = seed.id and store.get(record_key(site, seed.id))
    local stored = sown(site, seed, now, known and known.n or store.count(site .. "/n"))
    ids[i] = stored.id
    list[#list + 1], list[#list + 2] = record_key(site, stored.id), stored
    if not known then list[#list + 1], list[#list + 2] = site .. "/at/" .. stored.n, stored.id end
    if seed.flowId then add_to_flow(flows, site, seed.flowId, stored.id, seed.relay, now) end
  end
  for key, flow in pairs(flows) do list[#list + 1], list[#list + 2] = key, flow end
  store.write(list)
  return ids
end

--- The flows that POST /flows made on a site, in their order.
---@param site "cn"|"intl"
---@return {site: string, flowId: string, ids: string[], at: number, post: string, count: integer}[]
function M.flows(site)
  local found = {}
  for n = 1, store.counted(site .. "/posts") do
    local flow_id = store.get(site .. "/posted/" .. n)
    local flow = flow_id and store.get(flow_key(site, flow_id))
    if flow then
      found[#found + 1] = {
        site = site, flowId = flow_id, ids = flow.ids, at = flow.at, post = flow.post,
        count = M.count("publish", flow_id),
      }
    end
  end
  return found
end

--- How many times something was really done.
---@param effect string
---@param name? string to this record or flow alone
---@return integer
function M.count(effect, name)
  return store.counted("did/" .. effect .. (name and "/" .. ngx.escape_uri(name) or ""))
end

return M
