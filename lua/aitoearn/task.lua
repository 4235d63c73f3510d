--- Calls, and coroutines that make them: what `client:start` and batches run on.
-- @module aitoearn.task

local task = {}

-- PUC Lua 5.1 cannot yield across pcall; LuaJIT and later ones can.
local pcall_yields = _VERSION ~= "Lua 5.1" or jit ~= nil

-- The coroutines that take pcall's place there; what they wait for is awaited by whoever resumes them.
local protected = setmetatable({}, { __mode = "k" })

local function is_protected()
  local co = coroutine.running()
  return co and protected[co]
end

-- One call of the client's, from its start to its end: what it waits for right now, so that it can be cancelled
-- there, and what the fetch that it is at knows of itself.
---@class aitoearn.Call
---@field client table
---@field waiting userdata? the transfer or timer it waits for
---@field cancelled boolean?
---@field batch aitoearn.Batch? the one whose consumer it is
---@field site aitoearn.Site
---@field id string
---@field opts table
---@field made integer attempts so far
---@field attempts table[]? the rows of `err.attempts`
---@field give_up_at number? seconds on the host's clock
---@field endpoint aitoearn.Endpoint? who is asked
---@field probing boolean? whether that is a probe
---@field avoid aitoearn.Endpoint? who failed before
---@field cut_short boolean? whether the attempt has less time than `timeout`
---@field turn number? under `max_rate`, not used yet
local Call = {}
Call.__index = Call

--- @treturn aitoearn.Call
function task.call(client)
  -- The nils make the table as large as it will get, lest it grow on the way.
  return setmetatable({ client = client, waiting = nil, site = nil, id = nil, opts = nil, made = nil, give_up_at = nil,
    endpoint = nil, cut_short = nil }, Call)
end

--- Waits until a transfer is done. That of a cancelled call is so at once.
function Call:await(transfer)
  if self.cancelled then
    transfer:cancel()
  end
  self.waiting = transfer
  if not pcall_yields and is_protected() then
    coroutine.yield(transfer)
  else
    self.client.host.await(transfer, self.client.engine, self)
  end
  self.waiting = nil
end

--- Sleeps.
-- @tparam number seconds
-- @treturn nil|string "cancelled" or "closed" where the call has to end instead
function Call:sleep(seconds)
  local host, ended = self.client.host, self:ended()
  if ended then
    return ended
  end
  if host.sleep and (pcall_yields or not is_protected()) then
    host.sleep(seconds)
    return self:ended()
  end
  local timer = self.client.engine:timer(seconds)
  self:await(timer)
  return timer:ending()
end

--- @treturn nil|string why the call has to end
function Call:ended()
  return self.cancelled and "cancelled" or self.client.closed and "closed" or nil
end

function Call:cancel()
  self.cancelled = true
  if self.batch then
    self.batch:close()
  end
  if self.turn then
    self.site:return_turn(self.turn)
    self.turn = nil
  end
  if self.waiting then
    self.waiting:cancel()
  end
end

--- For a host that finds out that whoever made the call will never run again: gives back what it holds.
function Call:abandon()
  self:cancel()
  if self.probing then
    self.site:release(self.endpoint)
  end
end

-- One method that runs by itself: what `client:start` returns.
---@class aitoearn.Task
local Task = {}
Task.__index = Task

--- What the method returned; nothing where it raised an error.
local function values(self)
  if not self.failed then
    return self.first, self.second
  end
end

local function report_failure(client, message)
  client.report("error in a task: " .. tostring(message))
end

-- Every method returns two values at most. Nothing is allocated before the task is done: it is, memory or not.
local function finish(self, call, ok, first, second)
  local client = call.client
  self.ended, self.failed, self.first, self.second = true, not ok, first, second
  client.running = client.running - 1
  if not ok then -- a hook gets nothing of it, and perhaps nobody asks for the result
    pcall(report_failure, client, first)
  end
  for _, hook in ipairs(self.hooks) do
    client:run_hook(hook, values(self))
  end
end

--- Does what `finish(owner, call, pcall(run, owner, call))` would, in PUC Lua 5.1.
local function run_protected(owner, call, run, finish_run)
  local host, engine = call.client.host, call.client.engine
  local threads, co = host.threads or {}, coroutine.create(run)
  protected[co], threads[co] = true, true
  local function go_on(ok, ...)
    if coroutine.status(co) == "dead" then
      threads[co] = nil
      return finish_run(owner, call, ok, ...)
    end
    host.await((...), engine)
    return go_on(coroutine.resume(co))
  end
  return go_on(coroutine.resume(co, owner, call))
end

local function run_pcall(owner, call, run, finish_run)
  return finish_run(owner, call, pcall(run, owner, call))
end

--- Starts `run(owner, call)` in a coroutine of the host's, and calls `finish_run(owner, call, ok, ...)` with what comes
-- of it, an error included: whoever waits for its end must not wait for ever.
function task.spawn(owner, call, run, finish_run)
  call.client.host.spawn(pcall_yields and run_pcall or run_protected, owner, call, run, finish_run)
end

local function run_task(self, call)
  return self.run(call)
end

--- Runs `run(call)` as a task of the client's.
-- @treturn aitoearn.Task
function task.start(client, run)
  local self = setmetatable({ call = task.call(client), run = run, hooks = {}, ended = false, failed = false,
    first = false, second = false }, Task)
  client.running = client.running + 1
  local ok, message = pcall(task.spawn, self, self.call, run_task, finish)
  if not (ok or self.ended) then
    client.running = client.running - 1
    error(message, 0)
  end
  return self
end

--- @treturn boolean whether it has ended
function Task:done()
  return self.ended
end

--- What the method returns; nothing while it runs. An error that a function of the caller's raised in it (a goal, a
-- pace) was reported when it happened, and is raised again here.
function Task:result()
  if self.failed then
    error(tostring(self.first), 2)
  elseif self.ended then
    return self.first, self.second
  end
end

--- Ends it at once, with `err.kind == "cancelled"`, whatever it is doing. Harmless on one that is done.
function Task:cancel()
  if not self.ended then
    self.call:cancel()
  end
end

--- Calls `hook` with what the method returned, at once where the task is done; with nothing where it raised an error.
-- It must not yield; an error in it is reported and stops nothing else.
-- @tparam function hook
-- @treturn aitoearn.Task
function Task:on_done(hook)
  if type(hook) ~= "function" then
    error("on_done: function expected, got " .. type(hook), 2)
  end
  if self.ended then
    self.call.client:run_hook(hook, values(self))
  else
    self.hooks[#self.hooks + 1] = hook
  end
  return self
end

return task
