--- Finding out on which of a client's sites a record lives. Sites are no replicas: each is asked with its own key.
---@module "aitoearn.locate"

local core = require "aitoearn.core"
local fetch = require "aitoearn.fetch"

local M = {}

-- How many ids to remember.
local REMEMBERED_IDS = 10000

--- The last ids that were found, and where.
---@class aitoearn.LocateMemory
---@field ring string[] ids, the oldest overwritten
---@field at integer the newest one's place
---@field sites table<string, aitoearn.Site>

--- What a client remembers of where ids live: nothing yet.
---@return aitoearn.LocateMemory
function M.memory()
  return { ring = {}, at = 0, sites = {} }
end

-- Remembers where an id lives, and forgets the oldest.
local function remember(memory, id, site)
  if not memory.sites[id] then
    memory.at = memory.at % REMEMBERED_IDS + 1
    local oldest = memory.ring[memory.at]
    if oldest then
      memory.sites[oldest] = nil
    end
    memory.ring[memory.at] = id
  end
  memory.sites[id] = site
end

-- All sites, the one that is remembered first.
local function sites_to_ask(client, id)
  local remembered = client.homes.sites[id]
  local list = { remembered }
  for _, site in ipairs(client.site_list) do
    if site ~= remembered then
      list[#list + 1] = site
    end
  end
  return list
end

--- The options of each fetch: one deadline holds for all of them.
local function fetch_options(client, opts)
  return {
    timeout = opts.timeout,
    deadline = opts.deadline,
    retry = opts.retry,
    request_id = opts.request_id,
    give_up_at = opts.deadline and client.now() + opts.deadline,
  }
end

--- Asks one site after the other.
---@param call aitoearn.Call
---@param id string
---@param opts table as for `fetch.record`
---@return aitoearn.Record? record
---@return string|aitoearn.Error site_name or the error: "not found" only if every site said so, else the first other one
function M.record(call, id, opts)
  local client = call.client
  local given = fetch_options(client, opts)
  local not_found, other
  for _, site in ipairs(sites_to_ask(client, id)) do
    if other and given.give_up_at and client.now() >= given.give_up_at then
      break
    end
    local record, err = fetch.record(call, site, id, given)
    if record then
      remember(client.homes, id, site)
      return record, site.name
    elseif err.kind == "cancelled" or err.kind == "closed" then
      return nil, err
    elseif err.code == core.code.PUBLISH_RECORD_NOT_FOUND then
      not_found = not_found or err
    else
      other = other or err
    end
  end
  return nil, other or not_found
end

return M
