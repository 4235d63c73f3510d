--- What a client counts of the calls that ended.
-- @module aitoearn.stats

local M = {}

-- Upper bounds of the latency histogram's buckets, in seconds; one bucket more has the rest.
local BOUNDS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 }

---@class aitoearn.Latency
---@field bounds number[] seconds
---@field counts integer[] calls that took at most `bounds[i]` and more than `bounds[i - 1]`; the last: longer than all
---@field sum number seconds
---@field count integer

---@class aitoearn.Counts
---@field outcomes table<string, integer> calls by their error's kind, "ok" without one
---@field latency aitoearn.Latency of all but waits, which take as long as their record does
local Counts = {}
Counts.__index = Counts

---@return aitoearn.Counts
function M.new()
  local counts = {}
  for i = 1, #BOUNDS + 1 do
    counts[i] = 0
  end
  return setmetatable({ outcomes = {}, latency = { counts = counts, sum = 0, count = 0 } }, Counts)
end

--- Counts the outcome of a call.
---@param err? aitoearn.Error
function Counts:add_outcome(err)
  local outcomes, kind = self.outcomes, err and err.kind or "ok"
  outcomes[kind] = (outcomes[kind] or 0) + 1
end

--- Counts how long a call took.
---@param seconds number
function Counts:add_latency(seconds)
  local latency, i = self.latency, 1
  while i <= #BOUNDS and seconds > BOUNDS[i] do
    i = i + 1
  end
  latency.counts[i] = latency.counts[i] + 1
  latency.sum, latency.count = latency.sum + seconds, latency.count + 1
end

local function copy(list)
  local copied = {}
  for name, value in pairs(list) do
    copied[name] = value
  end
  return copied
end

--- A copy of the counts, the caller's own.
---@return table<string, integer> outcomes
---@return aitoearn.Latency latency
function Counts:copy()
  local latency = copy(self.latency)
  latency.bounds, latency.counts = copy(BOUNDS), copy(latency.counts)
  return copy(self.outcomes), latency
end

return M
