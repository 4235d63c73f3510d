--- What a client counts of the calls that ended.
---@module "aitoearn.stats"

local M = {}

-- Upper bounds of the latency histogram's buckets, in seconds; one bucket more has the rest.
local BOUNDS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 }
local LIMITS = { math.huge }
for i, bound in ipairs(BOUNDS) do
  table.insert(LIMITS, i, bound)
end

---@class aitoearn.Latency
---@field bounds number[] seconds
---@field counts integer[] calls that took at most `bounds[i]` and more than `bounds[i - 1]`; the last: longer than all
---@field sum number seconds
---@field count integer

---@class aitoearn.Counts
---@field outcomes table<string, integer> calls by their error's kind, "ok" without one
---@field counts integer[] of the latency of all but waits, which take as long as their record does
---@field sum number seconds
local Counts = {}
Counts.__index = Counts

---@return aitoearn.Counts
function M.new()
  local counts = {}
  for i = 1, #BOUNDS + 1 do
    counts[i] = 0
  end
  return setmetatable({ outcomes = {}, counts = counts, sum = 0 }, Counts)
end

--- Counts the outcome of a call.
---@param err? aitoearn.Error
---@param seconds? number how long it took; nil for a wait
function Counts:add(err, seconds)
  local outcomes, outcome = self.outcomes, err and err.kind or "ok"
  outcomes[outcome] = (outcomes[outcome] or 0) + 1
  if seconds then
    local i, counts = 1, self.counts
    while seconds > LIMITS[i] do
      i = i + 1
    end
    counts[i] = counts[i] + 1
    self.sum = self.sum + seconds
  end
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
  local count = 0
  for _, n in ipairs(self.counts) do
    count = count + n
  end
  return copy(self.outcomes), { bounds = copy(BOUNDS), counts = copy(self.counts), sum = self.sum, count = count }
end

return M
