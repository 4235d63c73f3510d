--- Methods that run by themselves: what `client:start` returns.
---@module "aitoearn.task"

local calls = require "aitoearn.call"
local hooks = require "aitoearn.hooks"
local protected = require "aitoearn.protected"

local M = {}

---@class aitoearn.Task
---@field private call aitoearn.Call
---@field private run fun(call: aitoearn.Call): any, any
---@field private cancelled fun(call: aitoearn.Call): any, any what the method returns if it is cancelled
---@field private hooks function[] of `on_done`
---@field private ended boolean
---@field private failed boolean whether one of the caller's functions raised
---@field private first any what the method returned, or what was raised
---@field private second any
local Task = {}
Task.__index = Task
Task.__name = "aitoearn.task"

-- What the method returned, without a nil behind a record; nothing if one of the caller's functions raised.
local function values(self)
  if self.failed then
    return
  elseif self.second == nil then
    return self.first
  end
  return self.first, self.second
end

-- Marks the task done before anything is allocated, so that it ends even without memory.
local function conclude(self, ok, first, second)
  local client = self.call.client
  self.ended, self.failed, self.first, self.second = true, not ok, first, second
  client.tasks_running = client.tasks_running - 1
  if not ok then -- a hook gets nothing of it, and perhaps nobody asks for the result
    pcall(hooks.report_error, client, "a task", first)
  end
  for _, hook in ipairs(self.hooks) do
    hooks.run(client, "on_done", hook, values(self))
  end
end

-- Every method returns two values at most.
local function finish(self, _, ok, first, second)
  if not self.ended then
    conclude(self, ok, first, second)
  end
end

local function run_task(self, call)
  return self.run(call)
end

--- Starts `run(owner, call)` in a coroutine of the host's, and calls `finish_run(owner, call, ok, ...)` with the
--- results or the error.
---@param owner table
---@param call aitoearn.Call
---@param run function
---@param finish_run function
function M.spawn(owner, call, run, finish_run)
  call.client.host.spawn(protected.run, owner, call, run, finish_run)
end

--- Runs `run(call)` as a task of the client's.
---@param client aitoearn.Client
---@param run fun(call: aitoearn.Call): any, any
---@param cancelled fun(call: aitoearn.Call): any, any what it returns if it is cancelled
---@return aitoearn.Task
function M.start(client, run, cancelled)
  local self = setmetatable({ call = calls.new(client), run = run, cancelled = cancelled, hooks = {}, ended = false,
    failed = false, first = false, second = false }, Task)
  client.tasks_running = client.tasks_running + 1
  local ok, message = pcall(M.spawn, self, self.call, run_task, finish)
  if not (ok or self.ended) then
    client.tasks_running = client.tasks_running - 1
    error(message, 0)
  end
  return self
end

--- Whether it has ended.
---@return boolean
function Task:done()
  return self.ended
end

--- What the method returns; nothing while it runs. An error that one of the caller's functions raised in it (a goal, a
--- pace) was reported when it happened, and is raised again here.
---@return any ...
function Task:result()
  if not self.ended then
    return
  elseif self.failed then
    error(hooks.text(self.call.client, self.first), 2)
  end
  return values(self)
end

--- Ends it, whatever it is doing: when this returns it is done, its result is `nil, err` with `err.kind == "cancelled"`,
--- and its hooks have run. A batch keeps what came; each id that is left has that error. Harmless on one that is done.
function Task:cancel()
  local call = self.call
  if self.ended or call.cancelled then
    return
  end
  call:cancel()
  call:finish()
  local first, second = self.cancelled(call)
  conclude(self, true, first, second)
end

--- Calls `hook` with what the method returned, at once if the task is done; with nothing if it raised an error.
---@param hook fun(...: any) see aitoearn.hooks for what it may do
---@return aitoearn.Task self
function Task:on_done(hook)
  if type(hook) ~= "function" then
    error("on_done: function expected, got " .. type(hook), 2)
  end
  if self.ended then
    hooks.run(self.call.client, "on_done", hook, values(self))
  else
    self.hooks[#self.hooks + 1] = hook
  end
  return self
end

return M
