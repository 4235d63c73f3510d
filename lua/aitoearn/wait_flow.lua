--- Waiting for a flow: one request a look, however many tasks it has.
---@module "aitoearn.wait_flow"

local pace = require "aitoearn.pace"
local records = require "aitoearn.record"
local wait = require "aitoearn.wait"

local M = {}

-- Seconds until the next look at a flow that has no tasks yet.
local NO_TASKS = 2

--- The flow takes the place of a watch's record.
---@class aitoearn.FlowWatch: aitoearn.Watch
---@field pacers table<string, aitoearn.Pacer> by the task's id
---@field missed aitoearn.FlowTask[] the tasks that the last look found to have missed the goal
local FlowWatch = setmetatable({}, { __index = wait.Watch })
FlowWatch.__index = FlowWatch

local function tasks_by_id(flow)
  local by_id = {}
  for _, task in ipairs(flow and flow.tasks or {}) do
    by_id[task.id] = task
  end
  return by_id
end

function FlowWatch:describe(err)
  err.flowId, err.flow = self.id, self.record
end

function FlowWatch:last_seen()
  local names = {}
  for i, task in ipairs(self.record.tasks) do
    names[i] = ("%s %s"):format(task.id, records.status_name(task))
  end
  return names[1] and table.concat(names, ", ") or "a flow without tasks"
end

local function missed_message(missed, count)
  local parts = {}
  for i, row in ipairs(missed) do
    parts[i] = ("%s (%s): %s"):format(row.task.id, row.task.platform, row.reason)
  end
  return ("%d of %d tasks missed the goal: %s"):format(#missed, count, table.concat(parts, "; "))
end

--- The flow is at its end once no task can still reach the goal; the soonest pace counts until then.
function FlowWatch:judge(flow, now)
  local previous, missed, pending, soonest = tasks_by_id(self.previous), {}, false, math.huge
  for _, task in ipairs(flow.tasks) do
    local verdict = self:verdict(task)
    if type(verdict) == "string" then
      missed[#missed + 1] = { task = task, reason = verdict }
    elseif not verdict then
      local pacer = self.pacers and (self.pacers[task.id] or pace.new(self.client.random))
      if pacer then
        self.pacers[task.id] = pacer
      end
      pending = true
      soonest = math.min(soonest, self:pause(task, previous[task.id], pacer, now))
    end
  end
  if not flow.tasks[1] then
    return nil, NO_TASKS
  elseif pending then
    return nil, soonest
  end
  return missed[1] and missed_message(missed, #flow.tasks) or true
end

function FlowWatch:report_change(flow, previous)
  local before = tasks_by_id(previous)
  for _, task in ipairs(flow.tasks) do
    wait.Watch.report_change(self, task, before[task.id])
  end
end

function FlowWatch:poll_event()
  return { flow_id = self.id }
end

--- Begins to wait for a flow.
---@param client aitoearn.Client
---@param site aitoearn.Site
---@param id string
---@param opts table as for `wait.watch`; `goal`, `pace` and `on_change` get tasks
---@return aitoearn.FlowWatch
function M.watch(client, site, id, opts)
  local watch = wait.watch(client, site, id, opts, FlowWatch)
  watch.pacers = not opts.pace and {} or nil
  return watch
end

return M
