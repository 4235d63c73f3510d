--- A client's calls of a store: one that fails or is slow is left alone for a while, and never fails a request.
---@module "aitoearn.share.link"

local hooks = require "aitoearn.hooks"

local M = {}

-- In seconds: a store that takes longer is slow; for how long it is left alone then, and after a failure. One late answer
-- may be the fault of the program, which was busy elsewhere: two in a row are the store's.
local SLOW, REST_SLOW, REST_FAILED = 0.1, 5, 1

---@class aitoearn.ShareLink
---@field client aitoearn.Client
---@field store aitoearn.Store
---@field private rests_until number? the store is left alone before that time
---@field private late_at number? when the last answer came, if that was late
---@field private is_reported boolean? whether `on_event` knows that it fails
local Link = {}
Link.__index = Link

---@param client aitoearn.Client
---@param store aitoearn.Store
---@return aitoearn.ShareLink
function M.new(client, store)
  return setmetatable({ client = client, store = store }, Link)
end

--- Whether the client goes on alone, since the store failed or was slow.
---@return boolean
function Link:is_down()
  return self.rests_until ~= nil and self.client.now() < self.rests_until
end

-- Leaves the store alone for some seconds, and says so once.
local function rest(self, seconds, message)
  self.rests_until = self.client.now() + seconds
  if not self.is_reported then
    self.is_reported = true
    hooks.emit(self.client, { type = "share", message = message })
  end
end

--- Calls one of the store's functions. Yields if the store does; never raises.
---@param method "acquire"|"give_back"|"report"
---@param ... any its arguments
---@return any value nil: go on alone
function Link:call(method, ...)
  local client, store = self.client, self.store
  local started = client.now()
  if self.rests_until then -- one call tries whether it is back; others go on alone meanwhile
    self.rests_until = started + REST_SLOW
  end
  local ok, value, problem = pcall(store[method], store, ...)
  if not ok then
    value, problem = nil, value
  end
  local now = client.now()
  local is_late = now - started > SLOW
  if is_late and value and not (self.late_at and started >= self.late_at) then
    self.late_at = self.late_at or now
  elseif is_late then
    rest(self, REST_SLOW, ("the store took %.3f s: %s"):format(now - started, tostring(value and "too long" or problem)))
  elseif not value and problem ~= false then
    rest(self, REST_FAILED, "the store failed: " .. tostring(problem))
  elseif value then
    self.rests_until, self.is_reported, self.late_at = nil, nil, nil
  end
  return value or nil
end

-- In one of nginx's timers; there is none in init_by_lua, nor beyond lua_max_pending_timers.
local function run_in_timer(fn, ...)
  local ok, timer = pcall(rawget(_G, "ngx").timer.at, 0, function(_, ...)
    fn(...)
  end, ...)
  return ok and timer
end

--- Runs a function that calls the store although its caller must not wait: a finalizer, a hook, some phases of nginx.
---@param fn function must not raise
---@param ... any its arguments
---@return boolean whether it runs
function Link:run_apart(fn, ...)
  if not self.store.yields then
    fn(...)
  elseif self.client.host.name == "nginx" then
    return run_in_timer(fn, ...) and true or false
  else
    self.client.host.spawn(fn, ...)
  end
  return true
end

return M
