--- One call of the client's, from its start to its end: what it waits for, so that it can be cancelled there.
---@module "aitoearn.call"

local fetch = require "aitoearn.fetch"
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
local Call = {}
Call.__index = Call

---@param client aitoearn.Client
---@return aitoearn.Call
function M.new(client)
  -- With what a fetch sets, so that the table need not grow on the way.
  return setmetatable({ client = client, waiting = false, cancelled = false, is_over = false, request = false, site = false,
    id = false, opts = false, started = false, made = false, attempts = false, endpoint = false, transfer = false,
    cut_short = false, give_up_at = false }, Call)
end

--- Waits until a transfer is done. That of a cancelled call is so at once.
---@param transfer aitoearn.Transfer
function Call:await(transfer)
  if self.cancelled then
    transfer:cancel()
    return
  end
  self.waiting = transfer
  if pcall_yields or not is_protected() then
    local client = self.client
    client.host.await(transfer, client.engine, self)
  else
    coroutine.yield(transfer)
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

-- Lua's pcall, but for a coroutine of PUC Lua 5.1, where what waits cannot yield across it.
local function pcall_51(fn, ...)
  if coroutine.running() then
    return true, fn(...)
  end
  return pcall(fn, ...)
end

local pcall_here = pcall_yields and pcall or pcall_51

--- What runs a call in the caller's own coroutine. Where it returns false, raise by `Call:raise`.
M.pcall = pcall_here

--- Raises what was raised in a call, by a Ctrl-C for one, which ends the call. Without this library's frames in the way:
--- lua's own "interrupted!" names a line of ours.
---@param message any
function Call:raise(message)
  if not self.batch then
    self:abandon()
  end
  error(type(message) == "string" and message:match "interrupted!$" or message, 0)
end

--- Runs a function in the caller's own coroutine. What is raised in it ends the call.
---@param fn function of up to four arguments and three results
---@param a any
---@param b? any
---@param c? any
---@param d? any
---@return any, any, any # what the function returns, without the nils at its end
function Call:run(fn, a, b, c, d)
  local ok, first, second, third = pcall_here(fn, a, b, c, d)
  if not ok then
    self:raise(first)
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
  fetch.cancel(self)
  local transfer = self.waiting or self.transfer -- one that was interrupted may not have got to its wait
  if transfer then
    transfer:cancel()
  end
end

--- For a host that finds that the call's coroutine will never run again: cancels, and gives back what that one held.
function Call:abandon()
  self:cancel()
  fetch.abandon(self)
end

--- Its task ends here and now: what its coroutine, and a batch's, would report later is reported now, and then no more.
function Call:finish()
  self.is_over = true
  for child in pairs(self.batch and self.batch.children or {}) do
    child:finish()
  end
  fetch.finish(self)
end

return M
