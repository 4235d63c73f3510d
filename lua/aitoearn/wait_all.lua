--- Waiting for many records: a batch whose items are watches, each of which comes back when its next look is due, and
--- lists that look at many at once.
---@module "aitoearn.wait_all"

local batches = require "aitoearn.batch"
local core = require "aitoearn.core"
local fetch = require "aitoearn.fetch"
local heap = require "aitoearn.heap"
local records = require "aitoearn.record"
local wait = require "aitoearn.wait"

local M = {}

-- A list that takes longer, in seconds, would make what is due late: then each is looked at by its own id. Under max_rate
-- it may wait for its turn for longer, as each look would.
local LIST_TIMEOUT, LONGEST_TURN = 5, 60

--- The watches that were not looked at yet come from the input, the others from a heap by their time.
---@class aitoearn.WaitAll
---@field client aitoearn.Client
---@field site aitoearn.Site
---@field opts table
---@field next_id fun(): any, any
---@field report_end fun(watch: aitoearn.Watch, record: aitoearn.Record?, err: aitoearn.Error?)
---@field private batch aitoearn.Batch
---@field private due aitoearn.Heap of entries: a table with the watch, whose `entry` is its latest one
---@field private survey aitoearn.Survey? nil: no lists
---@field private unfinished integer watches that have not ended
---@field private input_ended boolean
---@field private prefer_due boolean whether the heap has the next turn
local WaitAll = {}
WaitAll.__index = WaitAll

-- What is due: a watch, or a window of them that one list looks at. Entries that a list made needless are dropped.
local function next_due(self, now)
  local due, survey = self.due, self.survey
  while due.count > 0 and (self.client.closed or due:first_due() <= now) do -- after close all end at once
    local entry = due:pop()
    local watch = entry.watch
    if watch.entry == entry then
      watch.entry = nil
      if not watch.survey then
        local by_itself = watch.is_unlisted or now >= watch.ends_at or self.client.closed
        local window = survey and not by_itself and survey:plan(watch, now)
        if survey and not window then
          survey:remove(watch)
        end
        return window or watch
      end
    end
  end
end

local function next_new(self)
  local id, raised = self.next_id() -- false is an id, if a bad one
  if id == nil then
    self.input_ended = not raised
    return nil, raised
  end
  self.unfinished = self.unfinished + 1
  local given
  if type(id) == "table" and type(id.id) == "string" then
    id, given = id.id, id.accountType and id or nil -- a flow's task has no such field, and is no record
  end
  local watch = wait.watch(self.client, self.site, id, self.opts)
  watch.given = given -- a record needs no first look
  return watch
end

-- Input and heap take turns, so that neither keeps the other waiting for ever.
local function source(self, now)
  self.prefer_due = not self.prefer_due
  local item = self.prefer_due and next_due(self, now)
  if item then
    return item
  end
  if not self.input_ended then
    local watch, raised = next_new(self)
    if watch or raised then
      return watch, nil, raised
    end
  end
  item = next_due(self, now)
  if item then
    return item
  elseif self.due.count > 0 then
    return nil, math.max(0, self.due:first_due() - now)
  end
  return nil, self.unfinished > 0 and math.huge or nil
end

local function push(self, watch, due_at)
  watch.due_at, watch.entry = due_at, { watch = watch }
  self.due:push(due_at, watch.entry)
end

-- Acts on what a look brought: returns the result of a watch that is over.
local function settle(self, watch, seconds, record, err, raised)
  local batch, survey = self.batch, self.survey
  local publish_at = survey and watch.record and records.verdicts.published_at(watch.record) or nil
  if raised then
    batch:raise(raised)
  elseif seconds then
    local now = self.client.now()
    watch.looked_at, watch.is_unlisted = now, nil
    push(self, watch, now + seconds)
    if publish_at then
      survey:place(watch, publish_at)
    end
    batch:wake()
  else
    self.unfinished, watch.entry = self.unfinished - 1, nil
    if survey then
      survey:finish(watch, publish_at)
    end
    if not batch.closed then
      self.report_end(watch, record, err)
    end
    return watch.id, record, err
  end
end

local function look(self, child, watch)
  local given = watch.given
  if watch.looks == 0 then
    self.client.calls = self.client.calls + 1
  end
  if given then
    watch.given = nil
    return settle(self, watch, watch:see(given))
  end
  return settle(self, watch, watch:look(function(opts)
    return self.batch:fetch(child, self.site, watch.id, opts)
  end))
end

-- The list's records by id, their publish times, and how many of the window's watches are among them.
local function read_list(list, window)
  local found, times, count = {}, {}, 0
  for _, record in ipairs(list) do
    found[record.id] = record
    times[#times + 1] = records.verdicts.published_at(record)
  end
  for _, watch in ipairs(window.watches) do
    count = count + (found[watch.id] and 1 or 0)
  end
  return found, times, count
end

-- For how long a list may wait for its turn: no watch may miss its own end.
local function patience(window, now)
  local seconds = LONGEST_TURN
  for _, watch in ipairs(window.watches) do
    seconds = math.min(seconds, watch.ends_at - now)
  end
  return math.max(seconds, 0.001)
end

-- Looks at all of a window at once. What the list does not show is looked at by its own id if it is due.
local function look_at_list(self, child, window)
  local client, batch, survey = self.client, self.batch, self.survey
  local request = require("aitoearn.post").list_request({ from = window.from, to = window.to }, client.max_list_bytes)
  local timeout = math.min(self.opts.attempt_timeout or LIST_TIMEOUT, LIST_TIMEOUT)
  local list, err, transfer = fetch.request(child, self.site, request, { timeout = timeout,
    deadline = patience(window, client.now()), retry = { max_attempts = 1, base = 0, max_delay = 0 } })
  local found, times, count = read_list(list or {}, window)
  local now = client.now()
  if list then
    survey:succeed(window, times, count, now)
  else
    survey:fail(not err.retryable or err.code == core.code.INTERNAL_SERVER_ERROR, now)
  end
  for _, watch in ipairs(window.watches) do
    watch.survey = nil
    local record = found[watch.id]
    if batch.closed then
      return
    elseif record then
      local id, result, failure = settle(self, watch, watch:see(record, transfer))
      if id ~= nil then
        batch:deliver(id, result, failure)
      end
    elseif not watch.entry then -- its own time has come
      watch.is_unlisted = true
      push(self, watch, now)
    end
  end
  batch:wake()
end

local function work(self, child, item)
  if item.watches then
    return look_at_list(self, child, item)
  end
  return look(self, child, item)
end

--- Makes the batch.
---@param call aitoearn.Call the consumer's
---@param site aitoearn.Site
---@param next_id fun(): any, any the next id, or a record; nil at the end; nil and what a function of the caller's raised
---@param opts table those of a watch, `concurrency`, and `survey`
---@param report_end fun(watch: aitoearn.Watch, record: aitoearn.Record?, err: aitoearn.Error?)
---@return aitoearn.Batch
function M.new(call, site, next_id, opts, report_end)
  local self = setmetatable({
    client = call.client,
    site = site,
    opts = opts,
    next_id = next_id,
    report_end = report_end,
    due = heap.new(),
    survey = opts.survey and require("aitoearn.survey").new() or nil,
    unfinished = 0,
    input_ended = false,
    prefer_due = false,
  }, WaitAll)
  self.batch = batches.new(call, { concurrency = opts.concurrency }, function(now)
    return source(self, now)
  end, function(child, item)
    return work(self, child, item)
  end)
  return self.batch
end

return M
