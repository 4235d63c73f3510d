--- What specs do to the posts of a platform and ask of it, beside the API: methods of the platform.
-- @module spec.platform.control
local shell = require "spec.platform.shell"
local socket = require "socket"

local M = {}

local json

-- A private lua-cjson. Loaded at the first use: who only reads records needs it not.
local function cjson()
  json = json or require("cjson").new()
  return json
end

-- Runs a command of spec/platform/server/control.lua.
local function command(p, ...)
  local body = cjson().encode { ... }
  local client = assert(socket.tcp4())
  client:settimeout(30)
  assert(client:connect("127.0.0.1", p.ports.web))
  assert(client:send(("POST /-/control HTTP/1.0\r\nContent-Length: %d\r\n\r\n"):format(#body)))
  assert(client:send(body))
  local text = assert(client:receive "*a")
  client:close()
  local answer = text:match "^HTTP/1%.%d 200 .-\r\n\r\n(.*)$"
  if not answer then error("the platform refuses: " .. text:sub(1, 200) .. p:errors():sub(-500), 3) end
  answer = cjson().decode(answer)
  if answer.err then error(answer.err, 3) end
  return answer.result
end

local function whole(number) return math.floor(number) end

--- Puts records on a site, as many at once as one likes. Each is a table with any of the API's fields (times as Unix
-- seconds or as the API writes them) and any of these: `life` (how it goes on, in the place of a fixed `status`), `odd` (the
-- server's schema refuses it), `busy` (seconds in which its job runs), `cancel` (a code, or "silent"), `relay`.
-- One whose `id` is there already takes its place.
---@param records table[]
---@param site? "cn"|"intl" cn unless given
---@return string[] ids in the same order
function M:seed(records, site) return command(self, "seed", site or "cn", records) end

--- The flows that POST /flows really made, cn's first, in their order.
---@return {site: string, flowId: string, ids: string[], at: number, post: string, count: integer}[]
function M:flows()
  local flows = command(self, "flows")
  for _, flow in ipairs(flows) do flow.count = whole(flow.count) end
  return flows
end

--- How many times something was really done: "publish" (one a flow), "publish_now", "retry", "reschedule", "cancel",
-- "delete", "confirm".
---@param effect string
---@param name? string to this flow's, or record's, id alone
---@return integer
function M:count(effect, name) return whole(command(self, "count", effect, name)) end

local fault_fields = {
  route = "string", when = "string|table", how = "string|table", nth = "number", times = "number", rate = "number",
  seed = "number", delay = "number", work_after = "number", id = "string", site = "string",
}
local whens = { before = true, middle = true, after = true }

local function check_each(value, name, is_known)
  for _, one in ipairs(type(value) == "table" and value or { value }) do
    if not is_known(one) then error(("%s: unknown %s"):format(name, tostring(one)), 3) end
  end
end

local hows = {
  reset = true, close = true, garbage = true, timeout = true, truncate = true, html = true, crash = true,
}

local function is_how(how)
  return hows[how] or how:find "^%d%d%d$" or how:find "^envelope:%-?%d+$" or how:find "^envelope:%-?%d+:%d%d%d$"
end

---@class spec.platform.Fault
---@field route string "POST /flows", "GET /records/{id}", …; "*" for all, "writes" for all but GET
---@field when? string|string[] "before" the work (default), in its "middle", or "after" it; of several chance picks one
---@field how? string|string[] reset close truncate garbage timeout crash html, 502 (any HTTP status), envelope:CODE[:STATUS]
---@field delay? number seconds before it happens; without `how` the answer is only late
---@field work_after? number "middle": seconds until the work is done after all (0.1)
---@field nth? integer the first request that gets it, counted from now on (1)
---@field times? integer how many get it (1; with `rate` all)
---@field rate? number of those, the share that gets it, which chance picks
---@field seed? number what chance depends on
---@field id? string for this record or flow alone
---@field site? "cn"|"intl"

--- Lets requests fail around the server's work. The first fault that is due wins; all count.
---@param fault spec.platform.Fault
function M:fault(fault)
  for name, value in pairs(fault) do
    if not (fault_fields[name] or ""):find(type(value), 1, true) then error("fault: " .. name, 2) end
  end
  assert(fault.route, "fault: route expected")
  check_each(fault.when, "when", function(when) return whens[when] end)
  check_each(fault.how, "how", is_how)
  assert(fault.how or fault.delay, "fault: how or delay expected")
  local copy = {}
  for name, value in pairs(fault) do copy[name] = value end
  copy.route = fault.route:gsub("{%a+}", "{id}")
  command(self, "fault", copy)
end

--- Ends all faults.
function M:heal() command(self, "heal") end

local settings = {
  speed = true, queued = true, publishing = true, link = true, day = true, action = true, confirm = true, lag = true,
  clock = true, list_key = true,
}

--- Changes settings; spec/platform/README.md lists them. `false` puts one back.
---@param changes table
function M:settings(changes)
  for name in pairs(changes) do assert(settings[name], "settings: " .. name) end
  command(self, "settings", changes)
end

--- Moves the clock of the posts on.
---@param seconds number
function M:advance(seconds)
  self.clock = (self.clock or 0) + seconds
  self:settings { clock = self.clock }
end

--- Lets the posts' clock move on with a spec's own (spec.clock), so that a wait of hours takes no time.
---@param clock table made by `clock.new()`; give its `host` to a client afterwards
---@return table clock the same
function M:follow(clock)
  local make = clock.host
  function clock.host(engine)
    local host = make(engine)
    local sleep = host.sleep
    function host.sleep(seconds)
      self:advance(seconds)
      return sleep(seconds)
    end
    return host
  end
  return clock
end

--- Does what a person does where state 8 waits for it.
---@param id string
---@param site? "cn"|"intl"
---@return boolean waited
function M:confirm(id, site) return command(self, "confirm", site or "cn", id) == 0 end

--- Forgets all records, flows, counts, faults and settings.
function M:reset()
  self.clock = nil
  command(self, "reset")
end

--- Lets nginx start its workers anew; what they hold stays.
function M:reload()
  assert(shell.run("kill -s HUP " .. shell.read(self.dir .. "/nginx.pid")))
end

return M
