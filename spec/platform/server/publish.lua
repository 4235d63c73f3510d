--- What POST /flows does with a post of the right form.
-- Values in, `code, data` out, where `data` is JSON text.
-- @module spec.platform.server.publish
local envelope = require "spec.platform.server.envelope"
local life = require "spec.platform.server.life"
local reads = require "spec.platform.server.reads"
local record = require "spec.platform.server.record"
local store = require "spec.platform.server.store"
local world = require "spec.platform.server.world"

local quote, format = envelope.quote, string.format

local M = {}

---@class spec.platform.Account
---@field lives? string
---@field cancel? integer|"silent"
---@field code? integer what publishing to it answers
---@field relay? boolean

-- Reads an account's id, which says how the account behaves: nil where there is none of this name.
local function account_of(site, id)
  if world.is_id(id) then return world.lives_on(site, id) and {} or nil end
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
    coverUrl = content.cover, source = context.source, type = "article", userTaskId = world.new_id(),
    taskId = context.taskId or world.task_id_for(site, id), imgUrlList = {},
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
  local flow_id, now, lag = post.flowId or world.new_id(), world.now(), world.settings().lag
  local in_use = '{"flowId":' .. quote(flow_id) .. "}"
  local key = world.flow_key(site, flow_id)
  if store.has(key) then return 15025, in_use end
  local flow = {
    flowId = flow_id, ids = {}, at = now, relay = found[1].relay, post = text, published = true,
    hidden_until = lag > 0 and now + lag or nil,
  }
  local made, fresh = {}, {}
  for i, item in ipairs(post.items) do
    local account, id = found[i], world.new_id()
    local stored = {
      id = id, n = store.count(site .. "/n"), try = 1, created = now, moved = now, at = record.seconds(post.publishAt),
      from = now, lives = account.lives, cancel = account.cancel, given = given_of(site, id, post, item, flow_id),
    }
    world.hide(stored, nil, now)
    flow.ids[i], fresh[id] = id, stored
    made[#made + 1], made[#made + 2] = world.record_key(site, id), stored
    made[#made + 1], made[#made + 2] = site .. "/at/" .. stored.n, id
  end
  if not store.add(key, flow) then return 15025, in_use end
  store.write(made)
  world.did("publish", flow_id)
  store.write { site .. "/posted/" .. store.count(site .. "/posts"), flow_id }
  return 0, (reads.flow_json(site, flow, now, fresh))
end

return M
