--- When to look at a record again: often while something is about to happen, seldom otherwise.
--- Pure: the random source and the times come in as arguments. A pacer belongs to one record that is waited for.
---@module "aitoearn.pace"

local core = require "aitoearn.core"
local records = require "aitoearn.record"

local status = core.status

local M = {}

-- Before its publish time a record is looked at after half the time that is left, since the time can be moved: at
-- most an hour apart, and no closer than when it is due.
local LONGEST_APPROACH = 3600

-- Up to a fifth off a sleep. Jitter only ever shortens, so that a rule's bound holds for each look.
local JITTER = 0.2

-- An interval is a share of the time the record has been in its state, kept between the first and the last (seconds).
-- Due: the server's scheduler starts posts every 30 s, and a quick one is PUBLISHED before we see it PUBLISHING, so
-- 5 s it is until 200 s after the publish time; 20 minutes after it something is wrong, and 30 s are enough.
local DUE = { first = 5, share = 0.025, last = 30 }
-- Under way: a share of 15 % notices the end within 15 % of what the whole took, or 5 s. No longer sleep could, so
-- this is also the fewest requests: 17 for 2 minutes.
local RUNNING = { first = 5, share = 0.15, last = 30 }
-- Its age is more than 30 min, so the 15 % are 4.5 minutes and soon 5.
local STALLED = { first = 5, share = 0.15, last = 300 }
-- A person confirms within minutes, or the server ends it after 60.
local WITH_USER = { first = 15, share = 0.05, last = 30 }
-- Final, but for a link that may still come, or a retry by hand.
local FINAL = { first = 5, share = 0.15, last = 300 }
-- A newer server's status.
local UNKNOWN = { first = 30, share = 0.15, last = 300 }

local RULES = {
  [status.FAILED] = FINAL,
  [status.WAITING_FOR_PUBLISH] = DUE,
  [status.PUBLISHED] = FINAL,
  [status.PUBLISHING] = RUNNING,
  [status.WAITING_FOR_UPDATE] = RUNNING,
  [status.UPDATING] = RUNNING,
  [status.UPDATE_FAILED] = FINAL,
  [status.QUEUED] = DUE, -- a delayed job, or an automatic retry when its publish time is over
  [status.PLATFORM_SCHEDULED] = DUE,
  [status.WAITING_FOR_USER_ACTION] = WITH_USER,
  [status.CANCELED] = FINAL,
}

local function clamp(value, low, high)
  return math.max(low, math.min(high, value))
end

--- Waits for one record.
---@class aitoearn.Pacer
---@field private random fun():number
---@field private status integer? what the last look found
---@field private since number? Unix seconds, when that status was first seen
local Pacer = {}
Pacer.__index = Pacer

--- Makes a pacer for one record.
---@param random fun():number at least 0 and below 1
---@return aitoearn.Pacer
function M.new(random)
  return setmetatable({ random = random }, Pacer)
end

-- Keeps what a look found; true if the status is new. A clock that was put back counts as a new status: better to
-- ask too often than to sleep through the end.
local function remember(self, found, now)
  if self.since and found == self.status and now >= self.since then
    return false
  end
  self.status, self.since = found, now
  return true
end

-- The interval by the rules, before jitter, and whether it is one of the slow ones.
local function interval_for(record, now, since)
  local rule, elapsed = RULES[record.status] or UNKNOWN, now - since
  local publish_at = rule == DUE and records.published_at(record)
  if publish_at and now < publish_at then
    return clamp((publish_at - now) / 2, DUE.first, LONGEST_APPROACH), true
  elseif publish_at then
    elapsed = math.min(elapsed, now - publish_at)
  end
  local stalled = records.stalled_for(record, now)
  if stalled then
    rule, elapsed = STALLED, stalled
  end
  local interval = clamp(rule.share * elapsed, rule.first, rule.last)
  return interval, interval == rule.last
end

--- How long to sleep before the next look at the record.
--- Jitter is added when many clients would act in step: before the publish time (posts are scheduled for round hours), on the
--- first look at a new status (one tick of the server's scheduler moves many), and at the slowest pace. In between
--- the looks keep the distance they have, and a fifth off each would only be a fifth more requests.
---@param record table the record as just read, with the API's field names
---@param now number Unix seconds by the server's clock
---@return number seconds from 4 to 3600
function Pacer:delay(record, now)
  local is_new = remember(self, record.status, now)
  local interval, is_slow = interval_for(record, now, self.since)
  if is_new or is_slow then
    interval = interval * (1 - JITTER * self.random())
  end
  return interval
end

return M
