--- One call of the client's, from its start to its end: what it waits for, so that it can be cancelled there.
---@module "aitoearn.call"

local protected = require "aitoearn.protected"

local M = {}

local pcall_yields, is_protected = protected.pcall_yields, protected.is_running

--- What a fetch keeps in its call is documented in aitoearn.fetch.
---@class aitoearn.Call
---@field client aitoearn.Client
---@field waiting aitoearn.Transfer|false the transfer or timer that it waits for
---@field cancelled boolean
---@field is_over boolean its task has ended before it: nobody hears of its end any more
---@field batch aitoearn.Batch? the one whose consumer it is
---@field step aitoearn.CallStep|false what it is doing
local Call = {}
Call.__index = Call

--- What a call has to undo where it is ended from outside, by those who run in it.
---@class aitoearn.CallStep
---@field cancel fun(call: aitoearn.Call) gives back what it took and will not use
---@field abandon fun(call: aitoearn.Call) gives back what its coroutine would, had it not died
---@field finish fun(call: aitoearn.Call) reports now what its coroutine would report later

---@param client aitoearn.Client
---@return aitoearn.Call
function M.new(client)
  -- With what a fetch will set, so that the table need not grow on the way.
  return setmetatable({ client = client, waiting = false, cancelled = false, is_over = false, step = false, made = false,
    started = false, give_up_at = false, site = nil }, Call)
end

--- Waits until a transfer is done. That of a cancelled call is so at once.
---@param transfer aitoearn.Transfer
function Call:await(transfer)
  if self.cancelled then
    transfer:cancel()
    return
  end
  self.waiting = transfer
  if not pcall_yields and is_protected() then
    coroutine.yield(transfer)
  else
    local client = self.client
    client.host.await(transfer, client.engine, self)
  end
  self.waiting = false
end

--- Sleeps.
---@param seconds number
---@return "cancelled"|"closed"|nil ending why the call has to end instead
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

-- Without this library's frames in the way: lua's own "interrupted!", of a Ctrl-C, names a line of ours.
local function after_error(call, message)
  if not call.batch then
    call:abandon()
  end
  error(type(message) == "string" and message:match "interrupted!$" or message, 0)
end

--- Runs a function in the caller's own coroutine. What is raised in it, by a Ctrl-C for one, ends the call.
---@param fn function of up to four arguments and three results
---@param a any
---@param b? any
---@param c? any
---@param d? any
---@return any, any, any # what the function returns, without the nils at its end
function Call:run(fn, a, b, c, d)
  if not pcall_yields and coroutine.running() then
    return fn(a, b, c, d)
  end
  local ok, first, second, third = pcall(fn, a, b, c, d)
  if not ok then
    after_error(self, first)
  elseif third ~= nil then
    return first, second, third
  elseif second ~= nil then
    return first, second
  end
  return first
end

---@return "cancelled"|"closed"|nil ending why the call has to end
function Call:ended()
  return self.cancelled and "cancelled" or self.client.closed and "closed" or nil
end

--- Ends what it waits for. Its coroutine finds that out when it is resumed.
function Call:cancel()
  self.cancelled = true
  if self.batch then
    self.batch:close()
  end
  if self.step then
    self.step.cancel(self)
  end
  if self.waiting then
    self.waiting:cancel()
  end
end

--- For a host that finds that the call's coroutine will never run again: cancels, and gives back what that one held.
function Call:abandon()
  self:cancel()
  if self.step then
    self.step.abandon(self)
  end
end

--- Its task ends here and now: what its coroutine, and a batch's, would report later is reported now, and then no more.
function Call:finish()
  self.is_over = true
  for child in pairs(self.batch and self.batch.children or {}) do
    child:finish()
  end
  if self.step then
    self.step.finish(self)
  end
end

return M
