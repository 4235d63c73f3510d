--- A pcall in which calls can wait, for PUC Lua 5.1, whose own cannot be yielded across.
---
--- The function runs in an inner coroutine, which yields what it waits for to the outer one. So a host sees the outer
--- coroutine.
---@module "aitoearn.protected"

local M = {}

--- Whether Lua's own pcall can be yielded across: LuaJIT's and later ones can.
M.pcall_yields = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

-- The coroutines that take pcall's place.
local inner = setmetatable({}, { __mode = "k" })

--- Whether the running coroutine is one that takes pcall's place: it waits by yielding the transfer.
---@return boolean
function M.is_running()
  local co = coroutine.running()
  return co ~= nil and inner[co] == true
end

local function run_inner(owner, call, run, finish)
  local host, engine = call.client.host, call.client.engine
  local threads, co = host.threads or {}, coroutine.create(run)
  inner[co], threads[co] = true, true
  local function go_on(ok, ...)
    if coroutine.status(co) == "dead" then
      threads[co] = nil
      return finish(owner, call, ok, ...)
    end
    host.await((...), engine)
    return go_on(coroutine.resume(co))
  end
  return go_on(coroutine.resume(co, owner, call))
end

local function run_pcall(owner, call, run, finish)
  return finish(owner, call, pcall(run, owner, call))
end

--- Does what `finish(owner, call, pcall(run, owner, call))` does, on every Lua.
---@type fun(owner: table, call: aitoearn.Call, run: function, finish: function)
M.run = M.pcall_yields and run_pcall or run_inner

return M
