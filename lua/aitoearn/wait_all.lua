--- Waiting for many records: a batch whose items are watches, each of which comes back when its next look is due.
-- @module aitoearn.wait_all

local batches = require "aitoearn.batch"
local heap = require "aitoearn.heap"
local wait = require "aitoearn.wait"

local M = {}

-- The watches that were not looked at yet come from the input, the others from a heap by their time.
---@class aitoearn.WaitAll
---@field client aitoearn.Client
---@field site aitoearn.Site
---@field opts table
---@field next_id fun(): any, any
---@field report_end fun(watch: aitoearn.Watch, record: aitoearn.Record?, err: aitoearn.Error?)
---@field private batch aitoearn.Batch
---@field private due aitoearn.Heap
---@field private unfinished integer watches that have not ended
---@field private input_ended boolean
---@field private prefer_due boolean whether the heap has the next turn
local WaitAll = {}
WaitAll.__index = WaitAll

-- Input and heap take turns, so that neither keeps the other waiting for ever.
local function source(self, now)
  local due, client = self.due, self.client
  local is_due = due.count > 0 and (client.closed or due:first_due() <= now) -- after close all end at once
  self.prefer_due = is_due and not self.prefer_due
  if not (self.prefer_due or self.input_ended) then
    local id, raised = self.next_id() -- false is an id, if a bad one
    if id ~= nil then
      self.unfinished = self.unfinished + 1
      return wait.watch(client, self.site, id, self.opts)
    elseif raised then
      return nil, nil, raised
    end
    self.input_ended = true
  end
  if is_due then
    return due:pop()
  elseif due.count > 0 then
    return nil, due:first_due() - now
  end
  return nil, self.unfinished > 0 and math.huge or nil
end

local function work(self, child, watch)
  local client, batch = self.client, self.batch
  client.calls = client.calls + (watch.looks == 0 and 1 or 0)
  local seconds, record, err, raised = watch:look(function(look)
    return batch:fetch(child, self.site, watch.id, look)
  end)
  if raised then
    batch:raise(raised)
  elseif seconds then
    self.due:push(client.now() + seconds, watch)
    batch:wake()
  else
    self.unfinished = self.unfinished - 1
    if not batch.closed then
      self.report_end(watch, record, err)
    end
    return watch.id, record, err
  end
end

--- Makes the batch.
---@param call aitoearn.Call the consumer's
---@param site aitoearn.Site
---@param next_id fun(): any, any the next id; nil at the end; nil and what a function of the caller's raised
---@param opts table those of a watch, and `concurrency`
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
    unfinished = 0,
    input_ended = false,
    prefer_due = false,
  }, WaitAll)
  self.batch = batches.new(call, { concurrency = opts.concurrency }, function(now)
    return source(self, now)
  end, function(child, watch)
    return work(self, child, watch)
  end)
  return self.batch
end

return M
