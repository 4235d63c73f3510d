--- The caller's functions, and the one place that writes what nobody can catch.
---
--- The caller's functions are the hooks (`on_event`, `on_done`, `on_change`, `on_record`) and what an option takes as a
--- function (`api_key`, `goal`, `pace`, the ids). The rule for all of them:
---
--- * They may call `start`, `release`, `stats`, `close` and a task's `cancel`. A call that waits (`poll` too) raises in
---   there, in every host.
--- * They must not yield: one that does fails with an error that names it. (In nginx, which schedules its light threads
---   itself, nginx's own waits work in there.)
--- * Whatever a hook raises is reported and stops nothing. What the others raise, the call raises.
---@module "aitoearn.hooks"

local M = {}

local create, resume, running, status, yield =
  coroutine.create, coroutine.resume, coroutine.running, coroutine.status, coroutine.yield

--- Which of the caller's functions a coroutine runs.
---@type table<thread, string>
local names = setmetatable({}, { __mode = "k" })

-- What a runner yields between two functions.
local DONE = {}

-- A runner is a coroutine that runs one of the caller's functions after another: what a function yields, ends here.
local function serve(fn, ...)
  return serve(yield(DONE, fn(...)))
end

-- `error(nil)` and `error(false)` are errors like others.
local function raised(name, value)
  return value or ("%s: the function raised %s"):format(name, tostring(value))
end

local function after_runner(client, runner, outer, ok, first, ...)
  local name = client.hook
  client.hook = outer
  if ok and first == DONE then
    client.runner = runner
    return true, ...
  elseif ok then
    return false, name .. ": the function yielded, which it must not"
  end
  return false, raised(name, first)
end

local function after_pcall(co, outer, name, ok, ...)
  if co then
    names[co] = outer
  end
  if ok then
    return true, ...
  end
  return false, raised(name, (...))
end

-- In nginx's own coroutine, in which making another for each function would cost memory until the request ends.
local function call_here(client, name, fn, ...)
  client.hook = name -- from now on it is looked at closely
  local co = running()
  local outer = co and names[co]
  if co then
    names[co] = name
  end
  return after_pcall(co, outer, name, pcall(fn, ...))
end

--- Calls one of the caller's functions, as `pcall` does. What it raised is never nil or false.
---@param client aitoearn.Client
---@param name string of the option or hook, for messages
---@param fn function
---@param ... any
---@return boolean ok
---@return any ... what it returned, or raised
function M.call(client, name, fn, ...)
  if client.host.schedules_hooks then
    return call_here(client, name, fn, ...)
  end
  local runner = client.runner
  client.runner = nil -- a hook in a hook gets another
  if not runner or status(runner) ~= "suspended" then
    runner = create(serve)
  end
  local outer = client.hook
  names[runner], client.hook = name, name
  return after_runner(client, runner, outer, resume(runner, fn, ...))
end

--- Raises if one of the caller's functions runs: no call may wait in there.
---@param method string
function M.refuse_wait(method)
  local name = names[running()]
  if name then
    error(("%s: a call cannot wait inside of %s: use client:start"):format(method, name), 0)
  end
end

--- A value as text, whatever its `__tostring` does.
---@param client aitoearn.Client
---@param value any
---@return string
function M.text(client, value)
  if type(value) == "string" then
    return value
  end
  local ok, text = M.call(client, "__tostring", tostring, value)
  return ok and text or ("(%s that cannot be shown)"):format(type(value))
end

--- Writes a message where people look for it: nginx's error log, Neovim's messages, else stderr.
---@param message string
function M.report(message)
  local ngx, vim = rawget(_G, "ngx"), rawget(_G, "vim")
  if ngx and ngx.log then
    ngx.log(ngx.ERR, "aitoearn: ", message)
  elseif vim and vim.schedule then
    vim.schedule(function() -- the API must not be called in libuv's callbacks
      vim.notify("aitoearn: " .. message, vim.log.levels.ERROR)
    end)
  else
    io.stderr:write("aitoearn: ", message, "\n")
  end
end

--- Reports an error that nobody can catch.
---@param client aitoearn.Client
---@param place string "a task", or the hook's name
---@param value any what was raised
function M.report_error(client, place, value)
  M.call(client, "report", client.report, ("error in %s: %s"):format(place, M.text(client, value)))
end

--- Calls a hook.
---@param client aitoearn.Client
---@param name string
---@param hook function
---@param ... any
function M.run(client, name, hook, ...)
  local ok, value = M.call(client, name, hook, ...)
  if not ok then
    M.report_error(client, name, value)
  end
end

-- Which events the option `log = "info"` writes; "debug" writes all.
local IS_INFO = { retry = true, eject = true, restore = true, share = true, done = true }

-- An event on one line: its type, then its fields by name.
local function line_of(client, event)
  local fields = {}
  for name, value in pairs(event) do
    if name ~= "type" then
      value = type(value) == "number" and ("%.6g"):format(value) or M.text(client, value)
      fields[#fields + 1] = ("%s=%s"):format(name, value)
    end
  end
  table.sort(fields)
  return (("%s %s"):format(tostring(event.type), table.concat(fields, " ")):gsub("%c", " "))
end

-- Neovim's screen belongs to its user: there the lines go to a file.
local function append_in_neovim(vim, line)
  vim.schedule(function()
    local ok, folder = pcall(vim.fn.stdpath, "log") -- Neovim 0.8
    local file = io.open((ok and folder or vim.fn.stdpath "cache") .. "/aitoearn.log", "a")
    if file then
      file:write(os.date "%Y-%m-%d %H:%M:%S ", line, "\n")
      file:close()
    end
  end)
end

local function write_line(line)
  local ngx, vim = rawget(_G, "ngx"), rawget(_G, "vim")
  if ngx and ngx.log then
    ngx.log(ngx.NOTICE, "aitoearn: ", line)
  elseif vim and vim.schedule then
    append_in_neovim(vim, line)
  else
    io.stderr:write("aitoearn: ", line, "\n")
  end
end

--- Reports an event to `on_event` and the log. Ask `client.observed` first: an event is a table.
---@param client aitoearn.Client
---@param event aitoearn.Event
function M.emit(client, event)
  local log = client.log
  if log and (log == "debug" or IS_INFO[event.type]) then
    pcall(write_line, line_of(client, event))
  end
  if client.on_event then
    M.run(client, "on_event", client.on_event, event)
  end
end

return M
