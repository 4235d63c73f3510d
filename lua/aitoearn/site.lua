--- A site: one key, one or more endpoints that serve the same records, their health, and the site's hold.
--- Pure: the time comes in as an argument, in seconds on one monotonic clock.
---
--- An endpoint is in service until it is ejected, and again once a request to it has succeeded. That its ejection has
--- run out only means that it may be probed. At least one endpoint is in service at any time: the last one in service
--- is never ejected, even if the ejections of all others have run out: nobody knows yet whether those work.
---@module "aitoearn.site"

local retry = require "aitoearn.retry"

local M = {}

--- What stands between a base URL and the platform's publishing routes, and between those and a record's id.
M.API = "/api/v2/channels/publish"
M.RECORDS = "/records/"

-- Failures in a row that eject an endpoint.
local FAILURES = 3
-- The first ejection, doubled by each further one, and the longest, in seconds.
local FIRST_EJECTION = 5
local LONGEST_EJECTION = 60
-- A probe without an outcome for this long, in seconds, is lost: an error may have ended its caller.
local LOST_PROBE = 60

--- One base URL and what is known of its health.
---@class aitoearn.Endpoint
---@field url string base URL
---@field origin integer its place in the engine's list of origins
---@field api string what the sibling routes' paths are appended to
---@field prefix string what a record's id is appended to
---@field problem aitoearn.Failure|false of every call to it: a wrong environment variable
---@field index integer its place in the listed order
---@field failures integer in a row
---@field ejections integer without a success in between
---@field ejected_until number? the end of the ejection; nil while the endpoint is in service
---@field probing number|false when a caller began to find out if it is back

--- One endpoint's row in the statistics.
---@class aitoearn.EndpointHealth
---@field server string base URL
---@field state "ok"|"ejected"|"probing"
---@field failures integer in a row
---@field retry_in number? seconds until it may be probed, while it is ejected

--- What a site is made of (`options.read` returns a list of these).
---@class aitoearn.SiteSpec
---@field name string
---@field urls string[] base URLs that serve the same site, the preferred one first
---@field api_key string|fun():string
---@field calls_back boolean? whether `api_key` calls a function of the user's
---@field max_rate number? requests per second
---@field headers string[]? further header lines, "Name: value"
---@field cert_file string? a client certificate
---@field key_file string?
---@field secrets string[]? what must appear in no message, beside the key
---@field problem aitoearn.Failure? the failure of every call: a wrong environment variable
---@field http_problem aitoearn.Failure? of those over http
---@field https_problem aitoearn.Failure? of those over https

--- The site itself.
---@class aitoearn.Site
---@field name string
---@field api_key string|fun():string
---@field calls_back boolean whether `api_key` calls a function of the user's
---@field endpoints aitoearn.Endpoint[]
---@field secrets string[]
---@field budget aitoearn.RetryBudget
---@field interval number? seconds between two requests at least
---@field is_clear boolean the common case: a request may go to the first endpoint, and nothing else has to be asked
---@field private hold_until number|false
---@field private hold_failure aitoearn.Failure?
---@field private returned table<number, true> slots given back
---@field private next_slot number?
local Site = {}
Site.__index = Site

--- Shows where the site is, never its key.
function Site:__tostring()
  local urls = {}
  for i, endpoint in ipairs(self.endpoints) do
    urls[i] = endpoint.url
  end
  return ("aitoearn.site %s (%s)"):format(tostring(self.name), table.concat(urls, ", "))
end

-- The place of an endpoint's origin in `origins`. Connections belong to a host and port and to what they are opened
-- with, so base URLs that share all of that share an origin.
local function origin_of(origins, url, spec)
  local lines = spec.headers and table.concat(spec.headers, "\n")
  local key = table.concat({ url:match "^%a+://[^/]*", spec.cert_file or "", spec.key_file or "", lines or "" }, "\n")
  for i, origin in ipairs(origins) do
    if origin.key == key then
      return i
    end
  end
  origins[#origins + 1] = { key = key, headers = spec.headers, cert_file = spec.cert_file, key_file = spec.key_file }
  return #origins
end

local function new_endpoint(url, index, spec, origins)
  return {
    url = url,
    origin = origin_of(origins, url, spec),
    api = url .. M.API,
    prefix = url .. M.API .. M.RECORDS,
    problem = spec.problem or spec[url:match "^%a+" .. "_problem"] or false,
    index = index,
    failures = 0,
    ejections = 0,
    ejected_until = nil,
    probing = false,
  }
end

-- Call after each change of what `is_clear` tells. A site with a store never is: the store has to be asked.
local function update_is_clear(self)
  self.is_clear = getmetatable(self) == Site and not (self.hold_until or self.interval or self.endpoints[1].ejected_until)
end

--- Makes a site.
---@param spec aitoearn.SiteSpec
---@param origins table[]? the engine's option of that name; the origins that are new are appended
---@return aitoearn.Site
function M.new(spec, origins)
  origins = origins or {}
  local endpoints = {}
  for i, url in ipairs(spec.urls) do
    endpoints[i] = new_endpoint(url, i, spec, origins)
  end
  local self = setmetatable({
    name = spec.name,
    api_key = spec.api_key,
    calls_back = spec.calls_back or false,
    endpoints = endpoints,
    secrets = spec.secrets or {},
    budget = retry.budget(),
    interval = spec.max_rate and 1 / spec.max_rate,
    hold_until = false,
    returned = {},
  }, Site)
  update_is_clear(self)
  return self
end

local function is_probed(endpoint, now)
  return endpoint.probing and now - endpoint.probing < LOST_PROBE or false
end

local function is_usable(endpoint, now)
  local out = endpoint.ejected_until
  return not out or (now >= out and not is_probed(endpoint, now))
end

-- The caller that is given an endpoint out of service probes it.
local function hand_out(endpoint, now)
  endpoint.probing = endpoint.ejected_until and now or false
  return endpoint, endpoint.probing ~= false
end

--- The endpoint to ask: the first usable one in the listed order.
--- One whose ejection has run out is offered to one caller, who must let it `succeed` or `fail`, or `release` it, within a
--- minute; after that it is offered to another.
---@param now number seconds
---@param avoid aitoearn.Endpoint? the one that just failed: taken only if nothing else is usable
---@return aitoearn.Endpoint
---@return boolean probe whether this caller is the one who probes it
function Site:choose(now, avoid)
  for _, endpoint in ipairs(self.endpoints) do
    if endpoint ~= avoid and is_usable(endpoint, now) then
      return hand_out(endpoint, now)
    end
  end
  -- One endpoint is always in service, and it was none of the others.
  return hand_out(avoid, now)
end

--- Whether a retry could use another endpoint now.
---@param endpoint aitoearn.Endpoint the one that just failed
---@param now number seconds
---@return boolean
function Site:has_other(endpoint, now)
  for _, other in ipairs(self.endpoints) do
    if other ~= endpoint and is_usable(other, now) then
      return true
    end
  end
  return false
end

local function other_in_service(self, endpoint)
  for _, other in ipairs(self.endpoints) do
    if other ~= endpoint and not other.ejected_until then
      return true
    end
  end
  return false
end

--- Records an attempt that its endpoint answered well.
---@param endpoint aitoearn.Endpoint
---@return "restore"|nil event
function Site:succeed(endpoint)
  if endpoint.failures == 0 then -- the common case
    return nil
  end
  local was_out = endpoint.ejected_until ~= nil
  endpoint.failures, endpoint.ejections = 0, 0
  endpoint.ejected_until, endpoint.probing = nil, false
  update_is_clear(self)
  return was_out and "restore" or nil
end

--- Records an attempt that counts against its endpoint.
--- Three in a row eject it for 5 s, twice as long each time until a success, 60 s at most; a failed probe ejects it
--- again at once. Attempts that were under way when it was ejected fail later: they do not prolong it.
---@param endpoint aitoearn.Endpoint
---@param now number seconds
---@return "eject"|nil event
---@return number? seconds how long it is ejected for
function Site:fail(endpoint, now)
  endpoint.failures = endpoint.failures + 1
  local was_probe = endpoint.probing
  endpoint.probing = false
  if endpoint.ejected_until and not was_probe then
    return nil
  end
  if not was_probe and (endpoint.failures < FAILURES or not other_in_service(self, endpoint)) then
    return nil
  end
  local seconds = math.min(LONGEST_EJECTION, FIRST_EJECTION * 2 ^ endpoint.ejections)
  endpoint.ejections = endpoint.ejections + 1
  endpoint.ejected_until = now + seconds
  update_is_clear(self)
  return "eject", seconds
end

--- Gives a probe back: the attempt ended without an outcome, because it was cancelled.
--- For an endpoint that is not being probed this does nothing.
---@param endpoint aitoearn.Endpoint
function Site:release(endpoint) -- luacheck: ignore 212/self
  endpoint.probing = false
end

--- Holds the site back: no request is sent to it before a time, because its answer (429) said so. The later of two
--- times counts.
---@param until_time number seconds
---@param failure aitoearn.Failure what set the time; the error of a caller that cannot wait that long
function Site:hold(until_time, failure)
  if self.hold_until and self.hold_until >= until_time then
    return
  end
  self.hold_until, self.hold_failure = until_time, failure
  update_is_clear(self)
end

--- Ends the hold, whatever the site asked for.
function Site:release_hold()
  self.hold_until, self.hold_failure = false, nil
  update_is_clear(self)
end

-- The earliest slot that was given back and has not passed; forgets those that have.
local function earliest(returned, now)
  local first
  for slot in pairs(returned) do
    if slot < now then
      returned[slot] = nil
    elseif not first or slot < first then
      first = slot
    end
  end
  return first
end

--- Takes the next slot, the time of one request, under `interval`: the seconds between two requests that `max_rate` asks
--- for. Slots are given out in the order in which they are asked for.
---@param now number seconds
---@param latest number? a slot after that time is of no use, and is not taken
---@return number? seconds until the slot; nil: it would come after `latest`
---@return number? slot to give back if it is not used
function Site:take_slot(now, latest)
  if not self.interval then
    return 0
  end
  local returned = earliest(self.returned, now)
  local slot = returned or math.max(now, self.next_slot or now)
  if latest and slot > latest then
    return nil
  end
  if returned then
    self.returned[returned] = nil
  else
    self.next_slot = slot + self.interval
  end
  return slot - now, slot
end

--- Gives a slot back that was not used: its caller was cancelled.
---@param slot number? as `take_slot` returned it
function Site:return_slot(slot)
  if slot then
    self.returned[slot] = true
  end
end

--- How long the site is still held.
---@param now number seconds
---@return number? seconds_left nil: it is not held
---@return aitoearn.Failure? failure
function Site:held(now)
  if not self.hold_until then
    return nil
  end
  if self.hold_until <= now then
    self:release_hold()
    return nil
  end
  return self.hold_until - now, self.hold_failure
end

--- Whether there is neither a hold nor an `interval` to ask about.
---@return boolean
function Site:is_open()
  return not (self.hold_until or self.interval)
end

local function health_of(endpoint, now)
  local out = endpoint.ejected_until
  local row = { server = endpoint.url, failures = endpoint.failures, state = "ok" }
  if is_probed(endpoint, now) then
    row.state = "probing"
  elseif out then
    row.state, row.retry_in = "ejected", math.max(0, out - now)
  end
  return row
end

--- The endpoints' health, in the listed order.
---@param now number seconds
---@return aitoearn.EndpointHealth[]
function Site:health(now)
  local rows = {}
  for i, endpoint in ipairs(self.endpoints) do
    rows[i] = health_of(endpoint, now)
  end
  return rows
end

--- How a caller sleeps while the site is held: `nap` seconds at a time, after each of which it asks `still_held`. With a
--- store behind the site (`aitoearn.share`) a hold may end before its time; without one it sleeps once.
Site.still_held, Site.nap = Site.held, math.huge

M.Site = Site

return M
