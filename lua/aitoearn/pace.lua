--- When to look at a record again: often while something is about to happen, seldom otherwise.
-- Pure: the random source and the times come in as arguments. A pacer belongs to one record that somebody waits for.
-- @module aitoearn.pace

local M = {}

-- Before its publish time a record is looked at after half the time that is left, since the time can be moved: at
-- most an hour apart, and no closer than when it is due.
local LONGEST_APPROACH = 3600

-- Up to a fifth off a sleep. Jitter only ever shortens, so that a rule's bound holds for each look.
local JITTER = 0.2

-- PUBLISHING without a platformWorkId that nothing has touched for so long may hang for ever (seconds).
local STALLED_AFTER = 30 * 60

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
  [-1] = FINAL, -- FAILED
  [0] = DUE, -- WAITING_FOR_PUBLISH
  [1] = FINAL, -- PUBLISHED
  [2] = RUNNING, -- PUBLISHING
  [3] = RUNNING, -- WAITING_FOR_UPDATE
  [4] = RUNNING, -- UPDATING
  [5] = FINAL, -- UPDATE_FAILED
  [6] = DUE, -- QUEUED: a delayed job, or an automatic retry when its publish time is over
  [7] = DUE, -- PLATFORM_SCHEDULED
  [8] = WITH_USER, -- WAITING_FOR_USER_ACTION
  [9] = FINAL, -- CANCELED
}

local function clamp(value, least, most)
  return math.max(least, math.min(most, value))
end

-- How long a PUBLISHING record has hung by now, in seconds; nil where it has not.
local function stalled_for(record, now, publish_at, updated_at)
  if record.status ~= 2 or (record.platformWorkId or "") ~= "" then return nil end
  local touched = updated_at or publish_at
  if touched and now - touched > STALLED_AFTER then return now - touched end
  return nil
end

-- Waits for one record.
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

-- Takes note of what a look found; true if the status is new. A clock that was put back starts it anew: better to
-- ask too often than to sleep through the end.
local function remember(self, status, now)
  if self.since and status == self.status and now >= self.since then return false end
  self.status, self.since = status, now
  return true
end

-- The interval by the rules, before jitter, and whether it is one of the slow ones.
local function interval_for(record, now, since, publish_at, updated_at)
  local rule, elapsed = RULES[record.status] or UNKNOWN, now - since
  if rule == DUE and publish_at then
    if now < publish_at then return clamp((publish_at - now) / 2, DUE.first, LONGEST_APPROACH), true end
    elapsed = math.min(elapsed, now - publish_at)
  end
  local hung = stalled_for(record, now, publish_at, updated_at)
  if hung then
    rule, elapsed = STALLED, hung
  end
  local interval = clamp(rule.share * elapsed, rule.first, rule.last)
  return interval, interval == rule.last
end

--- How long to sleep before the next look at the record.
-- Jitter stands where a crowd would move in step: before the publish time (posts are scheduled for round hours), on the
-- first look at a new status (one tick of the server's scheduler moves many), and at the slowest pace. In between
-- the looks keep the distance they have, and a fifth off each would only be a fifth more requests.
---@param record table the record as just read, with the API's field names
---@param now number Unix seconds by the server's clock
---@param publish_at number? Unix seconds, `publishTime`
---@param updated_at number? Unix seconds, `updatedAt`
---@return number seconds from 4 to 3600
function Pacer:delay(record, now, publish_at, updated_at)
  local is_new = remember(self, record.status, now)
  local interval, is_slow = interval_for(record, now, self.since, publish_at, updated_at)
  if is_new or is_slow then interval = interval * (1 - JITTER * self.random()) end
  return interval
end

return M
