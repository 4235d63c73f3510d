--- Hosts: how a client waits. The only place that knows an event loop.
---@module "aitoearn.host"

local check = require "aitoearn.check"

local M = {}

--- A custom host is such a table, or a function that makes one of an engine: `aitoearn.host.loop` does so for any
--- event loop that can watch a descriptor.
---@class aitoearn.Host
---@field await fun(transfer: aitoearn.Transfer, engine: aitoearn.Engine, call: aitoearn.Call?) returns when the transfer is
--- done. Meanwhile the host lets the engine work: `engine:poll`, then `engine:next` until it has no more
---@field spawn fun(fn: function, ...: any) runs a function, up to its first `await` at least, in a new coroutine
---@field step? fun(ms: number, seconds: number?) lets everything advance: what `client:poll` does. `ms`: how long to wait for
--- something to happen; `seconds`: for how long to hand out results
---@field wait_any? fun(seconds: number?): boolean waits until anything is done, for so long at most; false where the caller is
--- in one of the coroutines of `spawn`, and has to await
---@field close? fun() ends every wait and closes the engine; without it the client closes the engine
---@field sleep? fun(seconds: number) sleeps; without it a timer of the engine's is awaited
---@field now? fun(): number seconds on a clock that never goes back; default: the system's monotonic one
---@field report? fun(message: string) writes errors that nobody can catch; default: aitoearn.hooks.report
---@field problem? fun(): string? why a call that is made here and now cannot wait
---@field threads? table<thread, boolean> the coroutines of `spawn`, for PUC Lua 5.1: a call may wait in one that was made
--- in the place of one of them, which is noted here
---@field schedules_hooks? boolean whether the caller's functions may wait by themselves: nginx schedules what they run in
---@field name? string

-- nginx and Neovim are known by their globals; for other loops there is the option `host`.
local function detect()
  local ngx, vim = rawget(_G, "ngx"), rawget(_G, "vim")
  if ngx and ngx.get_phase then
    return "nginx"
  elseif vim and (vim.uv or vim.loop) then
    return "luv"
  end
  return "blocking"
end

--- Makes the host of a client.
---@param given? string|aitoearn.Host|fun(engine: aitoearn.Engine): aitoearn.Host the option `host`
---@param engine aitoearn.Engine
---@return aitoearn.Host
function M.make(given, engine)
  if type(given) == "function" then
    given = given(engine)
    local host, expected = check.host(given)
    if type(host) ~= "table" then
      error("host: the function returned no host: " .. (expected or "a table expected"), 0)
    end
  end
  if type(given) == "table" then
    return given
  end
  return require("aitoearn.host." .. (given or detect())).new(engine)
end

return M
