--- Which records one list request can look at, in the place of a request each: those of a site that are due close
--- together and whose publish times lie in a window that holds little else.
--- Pure: the times come in as arguments.
---@module "aitoearn.survey"

local M = {}

-- Publish times are counted in slots of so many seconds.
local SLOT = 15
-- How far a window reaches from the record it is planned around, in slots, either way (2.5 h).
local LONGEST_REACH = 600
-- A list costs the server more than a record does: fewer looks than these are not worth one.
local FEWEST_LOOKS = 3
-- How many records a list may be expected to hold: the API has no paging, and a frame loop decodes it at once.
local MOST_RECORDS = 250
-- A record may be looked at early once so much of its pause is over.
local EARLY = 0.34
-- Seconds without lists after one that failed, doubled by each further failure: from the first to the longest.
local FIRST_PAUSE, LONGEST_PAUSE = 30, 3600
-- After a list that will not do better soon: an odd record makes every list a 500, a long one stays long.
local PERMANENT_PAUSE = 600

---@class aitoearn.Surveyed what a survey knows of something that waits for its next look
---@field publish_at number? Unix seconds
---@field looked_at number seconds on the client's clock
---@field due_at number seconds on the client's clock
---@field survey boolean? whether a list that is under way will look at it

---@class aitoearn.Window
---@field from number Unix seconds, the earliest publish time
---@field to number Unix seconds, the latest
---@field watches aitoearn.Surveyed[] what is looked at

---@class aitoearn.Survey
---@field slots table<integer, table<aitoearn.Surveyed, boolean>> what waits, by its publish time
---@field ended table<integer, integer> how many ended there: a list still holds them
---@field strangers table<integer, integer> how many records of others a list showed there
local Survey = {}
Survey.__index = Survey

---@return aitoearn.Survey
function M.new()
  return setmetatable({ slots = {}, ended = {}, strangers = {}, paused_until = -math.huge, failures = 0 }, Survey)
end

local function slot_of(publish_at)
  return math.floor(publish_at / SLOT)
end

--- Takes in a watch that waits for its next look.
---@param watch aitoearn.Surveyed
---@param publish_at number? Unix seconds
function Survey:place(watch, publish_at)
  if watch.publish_at == publish_at then
    return
  end
  self:remove(watch)
  watch.publish_at = publish_at
  if publish_at then
    local slot = slot_of(publish_at)
    local members = self.slots[slot]
    if not members then
      members = {}
      self.slots[slot] = members
    end
    members[watch] = true
  end
end

--- Takes a watch out: it is looked at by its own id, or over.
---@param watch aitoearn.Surveyed
function Survey:remove(watch)
  local slot = watch.publish_at and slot_of(watch.publish_at)
  local members = slot and self.slots[slot]
  if members then
    members[watch] = nil
    if next(members) == nil then
      self.slots[slot] = nil
    end
  end
  watch.publish_at = nil
end

--- A watch is over. Its record stays where it is on the server.
---@param watch aitoearn.Surveyed
---@param publish_at number? Unix seconds
function Survey:finish(watch, publish_at)
  self:remove(watch)
  if publish_at then
    local slot = slot_of(publish_at)
    self.ended[slot] = (self.ended[slot] or 0) + 1
  end
end

local function is_due(watch, now)
  return not watch.survey and watch.due_at - now <= (1 - EARLY) * (watch.due_at - watch.looked_at)
end

-- How many records a list of one slot is expected to hold, and how many looks it would replace.
local function count_slot(self, slot, now)
  local held, due = (self.ended[slot] or 0) + (self.strangers[slot] or 0), 0
  local members = self.slots[slot]
  if members then
    for watch in pairs(members) do
      held = held + 1
      due = due + (is_due(watch, now) and 1 or 0)
    end
  end
  return held, due
end

-- Widens a window from `slot` in one direction as long as at least half of what it holds is due.
-- Returns the last slot with something that waits, and the counts up to it.
local function widen(self, slot, step, held, due, now)
  local best, best_held, best_due = slot, held, due
  for i = 1, LONGEST_REACH do
    local more_held, more_due = count_slot(self, slot + i * step, now)
    held, due = held + more_held, due + more_due
    if held > MOST_RECORDS or held > 2 * due then
      break
    elseif self.slots[slot + i * step] then
      best, best_held, best_due = slot + i * step, held, due
    end
  end
  return best, best_held, best_due
end

-- A list shows those that are not due as well: a look at them costs nothing.
local function window_of(self, first, last)
  local window = { from = math.huge, to = -math.huge, watches = {} }
  for slot = first, last do
    for watch in pairs(self.slots[slot] or {}) do
      if not watch.survey then
        window.watches[#window.watches + 1] = watch
        window.from = math.min(window.from, watch.publish_at)
        window.to = math.max(window.to, watch.publish_at)
      end
    end
  end
  return window
end

--- The list that looks at a watch that is due, and at others with it; nil: a request of its own is better.
---@param watch aitoearn.Surveyed
---@param now number seconds on the client's clock
---@return aitoearn.Window?
function Survey:plan(watch, now)
  if not watch.publish_at or now < self.paused_until then
    return nil
  end
  local slot = slot_of(watch.publish_at)
  local held, due = count_slot(self, slot, now)
  if held > 2 * due then
    return nil
  end
  local first, last, _
  first, held, due = widen(self, slot, -1, held, due, now)
  last, _, due = widen(self, slot, 1, held, due, now)
  if due < FEWEST_LOOKS then
    return nil
  end
  local window = window_of(self, first, last)
  for _, member in ipairs(window.watches) do
    member.survey = true
  end
  return window
end

--- A list came: what it held of others is counted, so that a window full of them is not asked for again. One that held
--- mostly others, or few of those that it was asked for, counts as a failure.
---@param window aitoearn.Window
---@param times number[] publish times, Unix seconds, of all records that it held
---@param found integer how many of the window's watches it held
---@param now number seconds on the client's clock
function Survey:succeed(window, times, found, now)
  if 2 * found < #window.watches or #times > MOST_RECORDS and 2 * found < #times then
    return self:fail(true, now)
  end
  self.failures = 0
  local shown = {}
  for _, publish_at in ipairs(times) do
    local slot = slot_of(publish_at)
    shown[slot] = (shown[slot] or 0) + 1
  end
  for slot = slot_of(window.from), slot_of(window.to) do
    local others = (shown[slot] or 0) - (self.ended[slot] or 0)
    for _ in pairs(self.slots[slot] or {}) do
      others = others - 1
    end
    self.strangers[slot] = others > 0 and others or nil
  end
end

--- A list failed: no other is asked for in a while.
---@param is_permanent boolean whether the next one would most likely fail as well
---@param now number seconds on the client's clock
function Survey:fail(is_permanent, now)
  local pause = math.min(LONGEST_PAUSE, (is_permanent and PERMANENT_PAUSE or FIRST_PAUSE) * 2 ^ math.min(self.failures, 16))
  self.failures = self.failures + 1
  self.paused_until = now + pause
end

return M
