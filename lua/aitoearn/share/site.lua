--- A site whose holds, turns and server health are kept in a store: what `aitoearn.site` offers, over what all know.
---
--- The site's own fields always hold what this client knows. It goes by those alone while the store fails, and between
--- two answers of the store. Only `turn` and `choose` ask the store, since they may wait; what is reported to it waits
--- nowhere.
---@module "aitoearn.share.site"

local core = require "aitoearn.core"
local sites = require "aitoearn.site"

local M = { AHEAD = 1 }

-- Where nothing limits, an answer holds for so long, in seconds; and so long a sleep makes a caller ask again.
local FRESH = 0.01
-- While all turns of the second ahead are taken, a client asks again after so many seconds.
local BACKLOG_FIRST, BACKLOG_LAST = 0.25, 0.75
-- Questions under way at a time, and seconds until a caller above that tries again: a store that many ask at once looks slow.
local MOST_ASKING, ASK_SOON = 4, 0.02
-- After so many seconds those who ask are lost: nginx kills the caller of a request that is aborted, and nobody is told.
local LOST = 1
-- Between two who wait for either: they ask in the order in which they were refused.
local BEHIND = 1e-5
-- Two clients' ideas of the same time differ by less, in seconds.
local SAME = 0.1
-- A failure in a row for each ejection that others made: a success restores the endpoint.
local FAILURES = 3
-- A sleeper looks so often, in seconds, whether the hold has ended before its time.
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
---@field private untold boolean? whether the store does not know of our own hold yet
---@field private full_until number? all turns of the second ahead are taken
---@field private next_known number? when the first turn after those comes
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
  site.refused, site.asking = 0, 0
  return setmetatable(site, Shared)
end

-- Calls a function of the store's while nothing waits for it.
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

-- Hands the store a fact, or a turn, without waiting for it.
local function tell(self, method, ...)
  if not self.link:is_down() then
    run(self, deliver, method, self.key, ...)
  end
end

local function deliver_hold(self)
  local left = (self.hold_until or 0) - self.client.now()
  if deliver(self, "report", self.key, "hold", math.max(left, 0.001)) then
    self.untold = nil
  end
end

-- Tells the store of a hold, now or once it works again.
local function tell_hold(self)
  self.untold = true
  if not self.link:is_down() then
    run(self, deliver_hold)
  end
end

-- One endpoint is in service at any time: where all were ejected at the same time, the one whose ejection ends last.
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

-- Takes over what the store says, but for what we reported and it may not have known yet.
local function learn(self, answer, asked_at, now)
  local is_newest = self.unsettled == 0 and asked_at >= self.reported_at and not self.untold
  local hold = answer.hold and now + answer.hold or nil
  if not is_newest and self.hold_until and self.hold_until > (hold or now) then
    hold = self.hold_until
  end
  self.learned_at, self.hold_until, self.hold_failure = now, hold, hold and HELD or nil
  if self.untold and self.unsettled == 0 then
    tell_hold(self)
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

-- All turns of the second ahead are taken: until when to ask no more, one behind the other.
local function wait_in_line(self, now, latest)
  if latest and self.next_known > latest then
    return nil
  end
  self.refused = self.refused + 1
  return self.full_until - now + self.refused * BEHIND, nil, true
end

-- Takes a turn while the store is left alone. It is none of the store's.
local function turn_alone(self, now, latest)
  local seconds, turn = Site.turn(self, now, latest)
  return seconds, turn and { alone = turn }
end

--- Takes the next turn under `interval`, and finds out whether the site is held.
---@param now number seconds
---@param latest number? a turn after that time is of no use
---@param taken any? a turn that was slept for: only whether the site is held now
---@return number? seconds to sleep; nil: there is no turn before `latest`
---@return any turn to give back where it is not used
---@return boolean? again whether to call this once more after the sleep, with `turn`
function Shared:turn(now, latest, taken)
  local interval = not taken and self.interval or nil
  if self:is_open() then
    return 0
  elseif interval and self.full_until and now < self.full_until and not self.link:is_down() then
    return wait_in_line(self, now, latest)
  elseif self.asking >= MOST_ASKING then
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
    return turn_alone(self, now, latest)
  end
  now = self.client.now()
  if self:held(now) then
    self:return_turn(answer.turn)
    return 0, nil, true
  elseif not interval then
    return 0
  end
  local turn_at = now + answer.wait
  if not answer.turn then
    local pause = BACKLOG_FIRST + (BACKLOG_LAST - BACKLOG_FIRST) * self.client.random()
    self.full_until, self.next_known, self.refused = turn_at - M.AHEAD + pause, turn_at, 0
    return wait_in_line(self, now, latest)
  elseif latest and turn_at > latest then
    self:return_turn(answer.turn)
    return nil
  end
  self.next_turn = math.max(self.next_turn or 0, turn_at + interval) -- for when the store fails
  return answer.wait, answer.turn, answer.wait > FRESH
end

--- Gives a turn back that was not used.
---@param turn any as `turn` returned it
function Shared:return_turn(turn)
  if type(turn) == "table" and turn.alone then
    Site.return_turn(self, turn.alone)
  elseif turn then
    tell(self, "give_back", turn)
  end
end

--- How long the site is still held, as far as this client knows. Whoever got the 429, it is the same failure for all.
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

--- The same after a nap, for which the store is asked: a hold may have been ended, or begun again.
---@param now number seconds
---@return number? seconds_left
---@return aitoearn.Failure? failure
function Shared:look(now)
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
  tell_hold(self)
end

--- Ends the hold for all.
function Shared:release_hold()
  self.hold_until, self.hold_failure, self.untold = nil, nil, nil
  tell(self, "report", "hold", 0)
end

--- The endpoint to ask. One that may be probed is so by one caller of all clients'.
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
    tell(self, "report", "restore", endpoint.index)
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
    tell(self, "report", "eject", endpoint.index, seconds, endpoint.ejections)
  end
  return event, seconds
end

---@param endpoint aitoearn.Endpoint
function Shared:release(endpoint)
  if endpoint.probing then
    tell(self, "report", "release", endpoint.index)
  end
  Site.release(self, endpoint)
end

return M
