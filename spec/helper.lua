--- What the specs share: the local platform, clients with short time-outs, and looks at this process.
--
--    setup(function() p = helper.start() end)
--    before_each(function() p:forget() end)
--    after_each(helper.close)
--    teardown(helper.stop)
-- @module spec.helper
local aitoearn = require "aitoearn"
local clocks = require "spec.clock"
local platform = require "spec.platform"
local shell = require "spec.platform.shell"

local M = {}

--- What stands between a base URL and an id.
M.PATH = "/api/v2/channels/publish/records/"

--- A base URL whose name resolves nowhere, and no resolver needs to be asked: a part of a name has 63 bytes at most.
M.NOWHERE = "https://" .. ("x"):rep(64) .. ".invalid"

local running
local clients, nonces = {}, 0

--- The platform of this spec file: started at the first call, the same one afterwards.
---@return spec.platform.Platform
function M.start()
  running = running or assert(platform.start())
  return running
end

--- Ends the platform and every client.
function M.stop()
  M.close()
  if running then running:stop() end
  running = nil
end

--- Options of a client for site cn of the platform, with time-outs that end a spec soon and no proxy of the
-- environment. `given` overrides single ones.
---@param given? table
---@return table
function M.options(given)
  local options = { connect_timeout = 5, timeout = 10, deadline = 20, proxy = "" }
  for name, value in pairs(given or {}) do options[name] = value end
  if running and not options.sites then
    options.server = options.server or running.cn.http
    options.api_key = options.api_key or running.cn.key
  end
  if options.server and type(options.server) == "string" and options.server:find "^https:" then
    options.ca_file = options.ca_file or running.ca_file
  end
  return options
end

--- A client that `close` closes.
---@param given? table options beside those of `M.options`
---@return aitoearn.Client
function M.client(given)
  local client = aitoearn.new(M.options(given))
  clients[#clients + 1] = client
  return client
end

--- A client whose sleeps take no time.
---@param given? table
---@return aitoearn.Client
---@return {time: number, sleeps: number[]} clock
function M.clocked(given)
  local clock = clocks.new()
  local options = { host = clock.host }
  for name, value in pairs(given or {}) do options[name] = value end
  return M.client(options), clock
end

--- Closes all clients.
function M.close()
  for _, client in ipairs(clients) do client:close() end
  clients = {}
end

--- An id that was never asked before: its steps begin with the first one.
---@param steps string
---@return string
function M.fresh(steps)
  nonces = nonces + 1
  return ("%s~%d"):format(steps, nonces)
end

--- Fails unless a call brought a record.
---@return aitoearn.Record
function M.record(record, err)
  if not record then error(tostring(err), 2) end
  return record
end

--- Fails unless a call ended with an error of this kind.
---@param kind string
---@return aitoearn.Error
function M.failure(kind, record, err)
  if record or not aitoearn.is_error(err) or err.kind ~= kind then
    error(("%s expected, got %s, %s"):format(kind, tostring(record), tostring(err)), 2)
  end
  return err
end

--- The message of the error that a function raises, with its position.
---@return string
function M.raised(fn, ...)
  local ok, message = pcall(fn, ...)
  if ok then error("an error expected", 2) end
  return tostring(message)
end

--- One field of every row.
---@param rows table[]
---@param name string
---@return table
function M.column(rows, name)
  local values = {}
  for i, row in ipairs(rows) do values[i] = row[name] end
  return values
end

--- How many descriptors this process has open.
---@return integer
function M.descriptors()
  local count = 0
  for number = 0, 4095 do
    local info = io.open("/proc/self/fdinfo/" .. number)
    if info then
      info:close()
      count = count + 1
    end
  end
  return count
end

--- Memory that this process keeps in RAM.
---@return integer KiB
function M.resident()
  return tonumber(shell.read("/proc/self/status"):match "VmRSS:%s*(%d+)")
end

--- Runs a program under the same Lua, with the same modules.
---@param source string
---@param environment? string shell words such as "NAME=value -u OTHER"
---@return string? output nil where it failed
---@return string? err
function M.script(source, environment)
  local path = os.tmpname()
  shell.write(path, ("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath) .. source)
  local lua = arg and arg[-1] or "lua"
  local output, err = shell.run(("env %s %s %s"):format(environment or "", shell.quote(lua), path))
  os.remove(path)
  return output, err
end

local function company_of(value)
  if type(value) == "userdata" and debug.getuservalue then
    return debug.getmetatable(value), (debug.getuservalue(value))
  end
  return debug.getmetatable(value)
end

--- Looks for a text in every string that can be reached from a value, metatables and user values included, functions'
-- upvalues excepted.
---@param value any
---@param text string
---@return string? path where it is
function M.find_text(value, text, path, seen)
  path, seen = path or "value", seen or {}
  if type(value) == "string" then
    return value:find(text, 1, true) and path or nil
  elseif value == nil or seen[value] or (type(value) ~= "table" and type(value) ~= "userdata") then
    return nil
  end
  seen[value] = true
  for i, company in ipairs { company_of(value) } do
    local found = company ~= string and M.find_text(company, text, path .. "<" .. i .. ">", seen)
    if found then return found end
  end
  if type(value) == "table" then
    for name, member in next, value do
      local place = path .. "." .. tostring(name)
      local found = M.find_text(name, text, place, seen) or M.find_text(member, text, place, seen)
      if found then return found end
    end
  end
  return nil
end

return M
