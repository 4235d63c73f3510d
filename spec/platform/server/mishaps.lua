--- Faults around the server's work: which requests get one, and what then happens before, during or after the work.
-- @module spec.platform.server.mishaps
local envelope = require "spec.platform.server.envelope"
local faults = require "spec.platform.server.faults"
local store = require "spec.platform.server.store"
local watch = require "spec.platform.server.watch"

local M = {}

local MEANWHILE = 0.1   -- seconds after a fault "in the middle" until the work is done

--- Adds a fault; `spec.platform.control` says its fields.
---@param fault table
function M.add(fault)
  local list = store.copy "faults" or {}
  fault.number = store.count "faults added"
  list[#list + 1] = fault
  store.write { "faults", list }
end

--- Ends all faults.
---@return nil
function M.clear() store.write { "faults", {} } end

--- Whether any fault was added: without one a request is spared all else.
---@return boolean
function M.exist() return store.has "faults" end

-- A number from 0 up to 1 that is the same for the same words.
local function chance(...)
  return tonumber(ngx.md5(table.concat({ ... }, " ")):sub(1, 8), 16) / 2 ^ 32
end

local function matches(fault, site, route, id)
  return (fault.site or site) == site
    and (fault.route == route or fault.route == "*" or fault.route == "writes" and route:sub(1, 4) ~= "GET ")
    and (fault.id or id) == id
end

local function is_due(fault, number)
  if fault.rate and chance("rate", fault.seed or 0, number) >= fault.rate then return false end
  local first = fault.nth or 1
  return number >= first and number < first + (fault.times or fault.rate and math.huge or 1)
end

-- One of a list; what is no list is itself.
local function pick(value, ...)
  if type(value) ~= "table" then return value end
  return value[math.floor(chance(...) * #value) + 1]
end

--- The fault that a request gets. Each fault counts the requests that it fits; the first that is due wins.
---@param site "cn"|"intl"
---@param route string
---@param id? string
---@return {when: string, how?: string, delay?: number, work_after?: number}?
function M.next(site, route, id)
  local found
  for _, fault in ipairs(store.get "faults" or {}) do
    if matches(fault, site, route, id) then
      local number = store.count("fault/" .. fault.number)
      if not found and is_due(fault, number) then
        found = {
          when = pick(fault.when, "when", fault.seed or 0, number) or "before",
          how = pick(fault.how, "how", fault.seed or 0, number), delay = fault.delay,
          work_after = fault.work_after,
        }
      end
    end
  end
  return found
end

local hows = {}

function hows.reset() return faults.reset() end
function hows.close() return faults.close() end
function hows.garbage() return faults.garbage() end
function hows.timeout() return faults.silent() end
function hows.truncate(site) return faults.truncate(site, "truncate") end
function hows.html() return envelope.send_page() end
function hows.crash() return watch.crash() end

local function happen(how, site)
  if hows[how] then return hows[how](site) end
  if how:find "^%d" then
    ngx.status = tonumber(how)
    return envelope.send_gateway(ngx.status)
  end
  local code, status = how:match "^envelope:(%-?%d+):?(%d*)$"
  ngx.status = tonumber(status) or 200
  return envelope.send(envelope.failure(tonumber(code)))
end

local function pause(fault)
  if fault.delay then ngx.sleep(fault.delay) end
end

--- Lets a fault happen around the work of a request.
---@param fault table what `next` found
---@param site "cn"|"intl"
---@param work fun(): any, any
---@param answer fun(...)
function M.run(fault, site, work, answer)
  if fault.when == "middle" then
    ngx.timer.at(fault.work_after or MEANWHILE, work)
    pause(fault)
    return happen(fault.how, site)
  elseif fault.when == "before" then
    if not fault.how then ngx.on_abort(function() end) end   -- servers do the work although the client went away
    pause(fault)
    if fault.how then return happen(fault.how, site) end
    return answer(work())
  end
  local code, data = work()
  pause(fault)
  if fault.how then return happen(fault.how, site) end
  return answer(code, data)
end

return M
