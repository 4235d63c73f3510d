--- A site whose holds, slots and server health are kept in a store, for all clients: the methods of `aitoearn.site`.
---
--- The site's own fields always hold what this client knows. It goes by those alone while the store fails, and between
--- two answers of the store. Only `take_slot`, `choose` and `still_held` ask the store, since they may wait; nothing waits
--- for what is reported to it.
---@module "aitoearn.share.site"

local core = require "aitoearn.core"
local sites = require "aitoearn.site"

local M = { AHEAD = 1 }

-- If nothing limits, an answer counts for this long, in seconds; and after a longer sleep a caller asks again.
local FRESH = 0.01
-- While all slots of the second ahead are taken, a client asks again after this many seconds: from, to.
local BACKLOG_FIRST, BACKLOG_LAST = 0.25, 0.75
-- Questions under way at a time, and seconds until a caller above that tries again: a store that many ask at once looks slow.
local MAX_ASKING, ASK_SOON = 4, 0.02
-- A question without an answer for this long, in seconds, is lost: nginx kills the coroutine of an aborted request.
local LOST = 1
-- Seconds between two callers that wait for the same: they ask in the order in which they were refused.
local BEHIND = 1e-5
-- Two clients' ideas of the same time differ by less, in seconds.
local SAME = 0.1
-- A failure in a row for each ejection that others made: a success restores the endpoint.
local FAILURES = 3
-- How often a sleeping caller asks whether the hold has ended before its time, in seconds.
local NAP = 1

local HELD = {
  kind = "api",
  code = core.code.TOO_MANY_REQUESTS,
  name = "TooManyRequests",
  message = "Too many requests",
}

local Site = sites.Site

--- A site over a store.
---@class aitoearn.SharedSite: aitoearn.Site
---@field nap number how long to sleep at a time while the site is held
---@field private client aitoearn.Client
---@field private link aitoearn.ShareLink
---@field private key string how the store calls it
---@field private open_until number? nothing limits before that time
---@field private learned_at number when the store last answered
---@field private unsettled integer reports that are under way
---@field private reported_at number when the last one arrived
---@field private is_hold_unsent boolean? whether the store does not know of this client's hold yet
---@field private full_until number? all slots of the second ahead are taken
---@field private next_known number? when the first slot after those comes
---@field private refused integer callers that wait for that
---@field private asking integer questions under way
---@field private asked_at number when the last one began
local Shared = setmetatable({ nap = NAP }, { __index = Site })
Shared.__index = Shared
Shared.__tostring = Site.__tostring

--- Makes a site of a client's a shared one.
---@param site aitoearn.Site
---@param link aitoearn.ShareLink
---@return aitoearn.SharedSite
function M.share(site, link)
  local urls = {}
  for i, endpoint in ipairs(site.endpoints) do
    urls[i] = endpoint.url
  end
  site.client, site.link, site.key = link.client, link, table.concat(urls, " ")
  site.learned_at, site.reported_at, site.unsettled = -math.huge, -math.huge, 0
  site.refused, site.asking, site.is_clear = 0, 0, false
  return setmetatable(site, Shared)
end

-- Calls one of the store's functions while nothing waits for the result.
local function deliver(self, ...)
  local done = self.link:call(...)
  self.unsettled, self.reported_at = self.unsettled - 1, self.client.now()
  return done
end

local function run(self, fn, ...)
  self.unsettled = self.unsettled + 1
  if not self.link:run_apart(fn, self, ...) then
    self.unsettled = self.unsettled - 1
  end
end

-- Sends the store a fact, or a slot back, without waiting for it.
local function send(self, method, ...)
  if not self.link:is_down() then
    run(self, deliver, method, self.key, ...)
  end
end

local function deliver_hold(self)
  local left = (self.hold_until or 0) - self.client.now()
  if deliver(self, "report", self.key, "hold", math.max(left, 0.001)) then
    self.is_hold_unsent = nil
  end
end

-- Sends the store the hold, now or once it works again.
local function send_hold(self)
  self.is_hold_unsent = true
  if not self.link:is_down() then
    run(self, deliver_hold)
  end
end

-- One endpoint is in service at any time: if all were ejected at the same time, the one whose ejection ends last.
local function keep_one_in_service(endpoints)
  local last = endpoints[1]
  for _, endpoint in ipairs(endpoints) do
    if not endpoint.ejected_until then
      return
    elseif endpoint.ejected_until > last.ejected_until then
      last = endpoint
    end
  end
  last.ejected_until, last.probing = nil, false
end

local function learn_health(self, ejected, now, is_newest)
  for i, endpoint in ipairs(self.endpoints) do
    local out, known = ejected and ejected[i], endpoint.ejected_until
    if out then
      local ends = now + out.left
      if known and ends > known + SAME then
        endpoint.probing = false -- somebody's probe failed
      end
      endpoint.ejected_until, endpoint.ejections = ends, out.count
      endpoint.failures = math.max(endpoint.failures, FAILURES)
    elseif known and is_newest then -- somebody restored it
      endpoint.failures, endpoint.ejections = 0, 0
      endpoint.ejected_until, endpoint.probing = nil, false
    end
  end
  keep_one_in_service(self.endpoints)
end

-- Takes over what the store says, except for what was reported to it and it may not have known yet.
local function learn(self, answer, asked_at, now)
  local is_newest = self.unsettled == 0 and asked_at >= self.reported_at and not self.is_hold_unsent
  local hold = answer.hold and now + answer.hold or nil
  if not is_newest and self.hold_until and self.hold_until > (hold or now) then
    hold = self.hold_until
  end
  self.learned_at, self.hold_until, self.hold_failure = now, hold, hold and HELD or nil
  if self.is_hold_unsent and self.unsettled == 0 then
    send_hold(self)
  end
  if self.endpoints[2] then
    learn_health(self, answer.ejected, now, is_newest)
  end
  self.open_until = not hold and not self.interval and now + FRESH or nil
end

--- Asks the store, unless it is left alone.
---@return aitoearn.ShareAnswer? answer nil: go on alone
local function ask(self, interval, probe)
  if self.link:is_down() then
    return nil
  end
  local asked_at = self.client.now()
  self.open_until, self.asking, self.asked_at = nil, self.asking + 1, asked_at
  local answer = self.link:call("acquire", self.key, interval, probe)
  self.asking = math.max(0, self.asking - 1)
  if answer then
    learn(self, answer, asked_at, self.client.now())
  end
  return answer
end

--- Whether a request may be sent without asking: the store did not limit anything just now.
---@return boolean
function Shared:is_open()
  if self.open_until and self.client.now() < self.open_until then
    return true
  end
  return self.link:is_down() and Site.is_open(self)
end

-- All slots of the second ahead are taken: until when to ask no more, one behind the other.
local function wait_in_line(self, now, latest)
  if latest and self.next_known > latest then
    return nil
  end
  self.refused = self.refused + 1
  return self.full_until - now + self.refused * BEHIND, nil, true
end

-- Takes a slot while the store is left alone. It is not one of the store's.
local function take_slot_alone(self, now, latest)
  local seconds, slot = Site.take_slot(self, now, latest)
  return seconds, slot and { alone = slot }
end

--- Takes the next slot under `interval`, and finds out whether the site is held.
---@param now number seconds
---@param latest number? a slot after that time is of no use
---@param taken any? a slot that was slept for: only whether the site is held now
---@return number? seconds to sleep; nil: there is no slot before `latest`
---@return any slot to give back if it is not used
---@return boolean? again whether to call this once more after the sleep, with the slot
function Shared:take_slot(now, latest, taken)
  local interval = not taken and self.interval or nil
  if self:is_open() then
    return 0
  elseif interval and self.full_until and now < self.full_until and not self.link:is_down() then
    return wait_in_line(self, now, latest)
  elseif self.asking >= MAX_ASKING then
    if now - self.asked_at < LOST then
      return ASK_SOON, taken, true
    end
    self.asking = 0
  end
  local answer = ask(self, interval)
  if not answer then
    if taken then
      return 0
    end
    return take_slot_alone(self, now, latest)
  end
  now = self.client.now()
  if self:held(now) then
    self:return_slot(answer.slot)
    return 0, nil, true
  elseif not interval then
    return 0
  end
  local slot_at = now + answer.wait
  if not answer.slot then
    local pause = BACKLOG_FIRST + (BACKLOG_LAST - BACKLOG_FIRST) * self.client.random()
    self.full_until, self.next_known, self.refused = slot_at - M.AHEAD + pause, slot_at, 0
    return wait_in_line(self, now, latest)
  elseif latest and slot_at > latest then
    self:return_slot(answer.slot)
    return nil
  end
  self.next_slot = math.max(self.next_slot or 0, slot_at + interval) -- for when the store fails
  return answer.wait, answer.slot, answer.wait > FRESH
end

--- Gives a slot back that was not used.
---@param slot any as `take_slot` returned it
function Shared:return_slot(slot)
  if type(slot) == "table" and slot.alone then
    Site.return_slot(self, slot.alone)
  elseif slot then
    send(self, "give_back", slot)
  end
end

--- How long the site is still held, as far as this client knows. The failure is the same whichever client got the 429.
---@param now number seconds
---@return number? seconds_left
---@return aitoearn.Failure? failure
function Shared:held(now)
  local hold = self.hold_until
  if hold and hold > now then
    return hold - now, HELD
  end
  return nil
end

--- The same after a nap: asks the store, since the hold may have been ended, or begun again.
---@param now number seconds
---@return number? seconds_left
---@return aitoearn.Failure? failure
function Shared:still_held(now)
  if self.hold_until and now - self.learned_at > FRESH then
    ask(self)
  end
  return self:held(self.client.now())
end

--- Nobody asks this site before a time, whichever client it belongs to.
---@param until_time number seconds
---@param failure aitoearn.Failure
function Shared:hold(until_time, failure)
  Site.hold(self, until_time, failure)
  self.open_until = nil
  send_hold(self)
end

--- Ends the hold for all.
function Shared:release_hold()
  self.hold_until, self.hold_failure, self.is_hold_unsent = nil, nil, nil
  send(self, "report", "hold", 0)
end

--- The endpoint to ask. One that may be probed is probed by one caller of all clients.
---@param now number seconds
---@param avoid aitoearn.Endpoint?
---@return aitoearn.Endpoint
---@return boolean probe
function Shared:choose(now, avoid)
  local endpoint, is_probe = Site.choose(self, now, avoid)
  while is_probe do
    local answer = ask(self, nil, endpoint.index)
    if not answer or answer.probe then
      return endpoint, true
    end
    endpoint, is_probe = Site.choose(self, now, avoid) -- `probing` is set: another client does
  end
  return endpoint, false
end

---@param endpoint aitoearn.Endpoint
---@return "restore"|nil event
function Shared:succeed(endpoint)
  local event = Site.succeed(self, endpoint)
  if event then
    send(self, "report", "restore", endpoint.index)
  end
  return event
end

---@param endpoint aitoearn.Endpoint
---@param now number seconds
---@return "eject"|nil event
---@return number? seconds
function Shared:fail(endpoint, now)
  local event, seconds = Site.fail(self, endpoint, now)
  if event then
    send(self, "report", "eject", endpoint.index, seconds, endpoint.ejections)
  end
  return event, seconds
end

---@param endpoint aitoearn.Endpoint
function Shared:release(endpoint)
  if endpoint.probing then
    send(self, "report", "release", endpoint.index)
  end
  Site.release(self, endpoint)
end

return M
