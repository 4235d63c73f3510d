--- What clients share through a store: holds, slots under `max_rate`, and which endpoints are ejected (option `share`).
---
--- A store is a table with the three functions below. Two come with the library: `aitoearn.share.shdict` (nginx) and
--- `aitoearn.share.redis`. All times in them are seconds from now, so a store has its own clock and no client needs to
--- agree with it on the time.
---@module "aitoearn.share"

local links = require "aitoearn.share.link"
local shared_site = require "aitoearn.share.site"

local M = {}

---What a store knows of a site.
---@class aitoearn.ShareAnswer
---@field hold number? seconds until the end of the site's hold
---@field wait number? where an interval was given and there is no hold: seconds until the slot, or until the next one
---@field slot any? the slot that was taken; nil where the next one is more than a second away, or there is a hold
---@field ejected table<integer, aitoearn.ShareEjection>? by the endpoint's place; those that have run out included
---@field probe boolean? where a probe was asked for: whether this client is the one who probes

---@class aitoearn.ShareEjection
---@field left number seconds until it may be probed; 0 or less: it may
---@field count integer ejections without a success in between

---What a store's function returns where it failed: the client goes on alone for a while. `nil, false` says that the store
---cannot be asked here (a phase of nginx): the client goes on alone this time.
---@alias aitoearn.ShareProblem string|false

---A store. `site` names the site: its base URLs, never anything made from a key. A function that raises has failed.
---@class aitoearn.Store
---@field acquire aitoearn.ShareAcquire
---@field give_back aitoearn.ShareGiveBack
---@field report aitoearn.ShareReport
---@field yields boolean? whether its functions may yield to the host's loop
---@field blocks boolean? whether they stop the whole program while they wait: refused with hosts that have a loop

---Says what is known of a site. `interval` (seconds): takes the next slot as well, unless there is a hold or the slot is
---more than a second ahead; the slot after it comes an interval later. `probe` (an endpoint's place): asks to be the one
---who probes it, for a minute, if its ejection has run out.
---@alias aitoearn.ShareAcquire
---| fun(self, site: string, interval: number?, probe: integer?): aitoearn.ShareAnswer?, aitoearn.ShareProblem?

---Gives a slot back that was not used.
---@alias aitoearn.ShareGiveBack fun(self, site: string, slot: any): true?, aitoearn.ShareProblem?

---Takes note of a fact: `"hold", seconds` (of two holds the later end counts; 0 ends it), `"eject", place, seconds, count`
---(the later end counts), `"restore", place` (it is in service again), `"release", place` (its probe had no outcome).
---@alias aitoearn.ShareReport
---| fun(self, site: string, fact: string, a: number, b: number?, c: integer?): true?, aitoearn.ShareProblem?

--- Whether a value can be the option `share`.
---@param value any
---@return aitoearn.Store|string|nil
---@return string? expected
function M.check(value)
  if type(value) == "table" and value.acquire and value.give_back and value.report then
    return value
  end
  local ngx = rawget(_G, "ngx")
  if type(value) == "string" and value ~= "" and ngx and ngx.shared then
    if ngx.shared[value] then
      return value
    end
    return nil, ("there is no lua_shared_dict %q in nginx.conf"):format(value)
  end
  return nil, "the name of a lua_shared_dict (in nginx), or a store such as aitoearn.share.redis makes, expected"
end

--- Makes a client's sites share what they know. Raises where the store would block the client's host.
---@param client aitoearn.Client
---@param share string|aitoearn.Store
function M.join(client, share)
  local checked, expected = M.check(share)
  if not checked then
    error("share: " .. expected, 0)
  end
  local store = type(share) == "string" and require("aitoearn.share.shdict").new(share) or share
  local host = client.host.name or "custom"
  if store.blocks and host ~= "blocking" then
    error(("share: this store would block the host %s; where its connection yields to it, say yields = true"):format(host), 0)
  end
  local link = links.new(client, store)
  for _, site in ipairs(client.site_list) do
    shared_site.share(site, link)
  end
end

return M
