--- What a batch does while its site is held or refuses connections: new ids wait, one of them probes the site.
---@module "aitoearn.outage"

local errors = require "aitoearn.error"
local fetch = require "aitoearn.fetch"

local M = {}

-- Between two probes of a site that refuses connections, in seconds: from the first, doubled, to the longest.
local FIRST_PROBE, LONGEST_PROBE = 0.1, 1

--- One batch has one. It is under way while `since` is set.
---@class aitoearn.Outage
---@field private client aitoearn.Client
---@field since number|false when connections began to be refused
---@field private err aitoearn.Error the last refusal
---@field private prober aitoearn.Call? the one that finds out whether the site is back
---@field private probe_delay number seconds
local Outage = {}
Outage.__index = Outage

---@param client aitoearn.Client
---@return aitoearn.Outage
function M.new(client)
  return setmetatable({ client = client, since = false }, Outage)
end

-- When an id stops waiting for its site: an outage may last as long as a call's deadline, a wait as long as itself.
local function patience(self, opts)
  return opts.ends_at or (self.since and opts.deadline and self.since + opts.deadline) or math.huge
end

--- Holds an id back while its site asked for a pause, or refuses connections and another id is probing it.
---@param child aitoearn.Call
---@param site aitoearn.Site
---@param id string
---@param opts table
---@return aitoearn.Error? err why the id ends here
function Outage:admit(child, site, id, opts)
  while not child:ended() do
    local now = self.client.now()
    local left = site:still_held(now)
    local limit = patience(self, opts)
    if not left and not self.since then
      return nil
    elseif not left and now >= limit then
      return errors.new(self.err, { site = site.name, server = self.err.server, record_id = id, retryable = true })
    elseif not left and not self.prober then
      self.prober = child
      child:sleep(self.probe_delay)
      self.probe_delay = math.min(LONGEST_PROBE, self.probe_delay * 2)
      return nil
    end
    fetch.sleep_held(child, site, math.min(left or self.probe_delay, site.nap, math.max(limit - now, 0)))
    if left and self.client.now() >= limit then
      return nil -- fetch.record says what is to be said of a hold
    end
  end
end

--- Notes what a fetch that failed says about the site.
---@param child aitoearn.Call
---@param err aitoearn.Error
---@param opts table
---@return boolean again whether to ask for the id again: connections are refused, and not for too long yet
function Outage:note(child, err, opts)
  if self.prober == child then
    self.prober = nil
  end
  if err.kind ~= "connect" or opts.retry.max_attempts == 1 then
    self:finish()
    return false
  end
  if not self.since then
    self.since, self.probe_delay, self.prober = self.client.now(), FIRST_PROBE, nil
  end
  self.err = err
  return self.client.now() < patience(self, opts)
end

--- The site answers.
function Outage:finish()
  self.since, self.prober = false, nil
end

return M
