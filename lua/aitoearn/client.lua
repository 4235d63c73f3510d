--- The client as a user sees it.
---@module "aitoearn.client"

local calls = require "aitoearn.call"
local check = require "aitoearn.check"
local core = require "aitoearn.core"
local hooks = require "aitoearn.hooks"
local hosts = require "aitoearn.host"
local iterators = require "aitoearn.iterator"
local locate = require "aitoearn.locate"
local methods = require "aitoearn.methods"
local sites = require "aitoearn.site"
local stats = require "aitoearn.stats"
local task = require "aitoearn.task"

local checked, get_record, pcall_here, prepare = check.checked, methods.get_record, calls.pcall, methods.prepare

-- How long a non-waiting poll may spend resuming tasks, in seconds.
local FRAME_SHARE = 0.001

-- The other routes' methods, each loaded at its first use.
for _, name in ipairs { "list_records", "get_flow", "wait_flow", "publish", "user_action", "publish_now", "reschedule", "retry",
  "cancel", "delete_record" } do
  prepare[name] = function(...)
    return require("aitoearn.routes").prepare[name](...)
  end
end

local M = {}

---@class aitoearn.Client
local Client = {}
Client.__index = Client
Client.__name = "aitoearn.client"

local function make_sites(config)
  local list, by_name, origins, are_plain = {}, {}, {}, true
  for i, spec in ipairs(config.sites) do
    list[i] = sites.new(spec, origins)
    by_name[spec.name] = list[i]
    are_plain = are_plain and not (spec.headers or spec.cert_file)
  end
  return list, by_name, are_plain and #origins or origins
end

-- A key function of the caller's must not yield.
local function guard_keys(client, config)
  for i, spec in ipairs(config.sites) do
    if spec.calls_back then
      client.site_list[i].api_key = function()
        local ok, key, problem = hooks.call(client, "api_key", spec.api_key)
        if ok then
          return key, problem
        end
        return nil, key
      end
    end
  end
end

--- What a client sends with, and its clocks: the C part, or the testing kit's.
---@class aitoearn.System
---@field engine fun(options: table): aitoearn.Engine
---@field monotonic fun(): number seconds on a clock that nobody sets
---@field time fun(): number Unix seconds

--- Makes a client of options that aitoearn.options has read.
---@param config table
---@param version string
---@param system? aitoearn.System default: aitoearn.core
---@return aitoearn.Client
function M.new(config, version, system)
  system = system or core
  local list, by_name, origins = make_sites(config)
  local engine = system.engine {
    origins = origins,
    max_connections = config.max_connections,
    max_response_bytes = config.max_response_bytes,
    connect_timeout = config.connect_timeout,
    ca_file = config.ca_file,
    proxy = config.proxy,
    allow_http = config.allow_http,
    user_agent = config.user_agent or "aitoearn-lua/" .. version,
    accept_language = config.accept_language,
    http2 = config.http2,
  }
  local host = hosts.make(config.host, engine)
  local client = setmetatable({
    engine = engine,
    host = host,
    report = host.report or hooks.report,
    now = host.now or system.monotonic,
    time = system.time,
    random = function()
      return engine:random()
    end,
    defaults = { site = config.site, timeout = config.timeout, deadline = config.deadline, retry = config.retry },
    sites = by_name,
    default_site = by_name[config.site],
    site_list = list,
    on_event = config.on_event,
    language = config.accept_language,
    max_list_bytes = config.max_list_bytes,
    log = config.log,
    observed = config.on_event ~= nil or config.log ~= nil,
    homes = locate.memory(),
    held_calls = setmetatable({}, { __mode = "k" }),
    counts = stats.new(),
    calls = 0,
    retries = 0,
    tasks_running = 0,
    idle_call = false, -- one that has ended, to be used again by the next get_record
    hook = false,
    closed = false,
  }, Client)
  guard_keys(client, config)
  if config.share then
    require("aitoearn.share").join(client, config.share)
  end
  return client
end

-- Raises, with the position of the public method's caller, unless that was called with a colon, and outside of the
-- caller's functions.
local function check_place(client, method, may_be_hook)
  if getmetatable(client) ~= Client then
    error(("call it with a colon, client:%s(…), not with a dot"):format(method), 3)
  elseif client.hook and not may_be_hook then
    checked(3, hooks.refuse_wait, method)
  end
end

local function prepare_task(client, method, ...)
  if not prepare[method] then
    local names = {}
    for name in pairs(prepare) do
      names[#names + 1] = name
    end
    table.sort(names)
    error(("start: one of %s expected, got %s"):format(table.concat(names, ", "), tostring(method)), 0)
  end
  return prepare[method](client, ...)
end

-- Runs what was prepared in the caller's own coroutine.
local function run_here(client, run)
  local call = calls.new(client)
  return call:run(run, call)
end

--- Fetches one record.
---@param id string
---@param opts? aitoearn.CallOptions
---@return aitoearn.Record? record
---@return aitoearn.Error? err
function Client:get_record(id, opts)
  if getmetatable(self) ~= Client or self.hook then -- elsewhere there is nothing to check
    check_place(self, "get_record")
  end
  local given, site = self.defaults, self.default_site
  if opts ~= nil then
    given, site = checked(2, methods.read, self, opts)
  end
  local call = self.idle_call or calls.new(self)
  self.idle_call = false
  local ok, record, err = pcall_here(get_record, call, site, id, given)
  if not ok then
    call:raise(record)
  end
  call.opts = false -- the caller's table
  if not call.cancelled then
    self.idle_call = call
  end
  if record then
    return record
  end
  return nil, err
end

--- Finds out which of the client's sites a record lives on: asks each with its own key, the one remembered first.
---@param id string
---@param opts? aitoearn.CallOptions without `site`
---@return aitoearn.Record? record
---@return string|aitoearn.Error site_name or, without a record, the error: not found only where every site said so
function Client:locate(id, opts)
  check_place(self, "locate")
  return run_here(self, (checked(2, prepare.locate, self, id, opts)))
end

--- Fetches many records; an id given twice is asked for once.
---@param ids string[]|fun(): string?
---@param opts? aitoearn.BatchOptions those of a call, and `concurrency` (32), `on_record(id, record, err)`
---@return table<string, aitoearn.Record> records
---@return table<string, aitoearn.Error> errors
function Client:get_records(ids, opts)
  check_place(self, "get_records")
  return run_here(self, (checked(2, prepare.get_records, self, ids, opts)))
end

--- Fetches many records in bounded memory: `for id, record, err in client:each_record(ids) do`.
---
--- They come in the order of arrival; with `ordered` in that of the ids. `iterator:close()` cancels the rest, as leaving
--- the loop does.
---@param ids string[]|fun(): string? an array, or an iterator over any number of ids
---@param opts? aitoearn.BatchOptions
---@return aitoearn.Iterator
function Client:each_record(ids, opts)
  check_place(self, "each_record", true)
  return iterators.new("each_record", (checked(2, methods.each_record, self, calls.new(self), ids, opts)))
end

--- Waits until a record reaches a goal.
---@param id string
---@param opts? aitoearn.WaitOptions `goal`, `timeout` (600 s), `on_change(record, previous, id)`, `pace`
---@return aitoearn.Record? record
---@return aitoearn.Error? err with the last good record as `err.record`
function Client:wait(id, opts)
  check_place(self, "wait")
  return run_here(self, (checked(2, prepare.wait, self, id, opts)))
end

--- Waits for many records: `for id, record, err in client:wait_all(ids) do`, as each one's goal is reached.
---@param ids (string|aitoearn.Record)[]|fun(): string|aitoearn.Record|nil ids, or records of a list
---@param opts? aitoearn.WaitOptions and `concurrency` (32)
---@return aitoearn.Iterator
function Client:wait_all(ids, opts)
  check_place(self, "wait_all", true)
  return iterators.new("wait_all", (checked(2, methods.wait_all, self, calls.new(self), ids, opts)))
end

--- Fetches a list of records, the newest `createdAt` first. There is no paging: only `from` and `to` bound it.
---@param filter? aitoearn.Filter
---@param opts? aitoearn.CallOptions
---@return aitoearn.Record[]? records
---@return aitoearn.Error? err
function Client:list_records(filter, opts)
  check_place(self, "list_records")
  return run_here(self, (checked(2, prepare.list_records, self, filter, opts)))
end

--- Fetches a flow: what was published by one post.
---@param flow_id string
---@param opts? aitoearn.CallOptions
---@return aitoearn.Flow? flow
---@return aitoearn.Error? err
function Client:get_flow(flow_id, opts)
  check_place(self, "get_flow")
  return run_here(self, (checked(2, prepare.get_flow, self, flow_id, opts)))
end

--- Waits until each task of a flow has reached the goal, or missed it. One request a look.
---@param flow_id string
---@param opts? aitoearn.WaitOptions `goal`, `pace` and `on_change` get tasks
---@return aitoearn.Flow? flow
---@return aitoearn.Error? err with the last flow as `err.flow`; kind `goal` if a task missed the goal
function Client:wait_flow(flow_id, opts)
  check_place(self, "wait_flow")
  return run_here(self, (checked(2, prepare.wait_flow, self, flow_id, opts)))
end

--- Publishes a post, once, whatever happens on the way.
---@param post aitoearn.Post it is not changed
---@param opts? aitoearn.CallOptions
---@return aitoearn.Flow? flow `incomplete` if it was published but cannot be seen yet
---@return aitoearn.Error? err with `flowId`; and `may_have_happened` if the outcome is unknown
function Client:publish(post, opts)
  check_place(self, "publish")
  return run_here(self, (checked(2, prepare.publish, self, post, opts)))
end

--- What a person has to do for a record that waits for one (Douyin in state 8 alone).
---@param id string|aitoearn.Record|aitoearn.FlowTask
---@param opts? aitoearn.CallOptions
---@return aitoearn.UserAction? action
---@return aitoearn.Error? err
function Client:user_action(id, opts)
  check_place(self, "user_action")
  return run_here(self, (checked(2, prepare.user_action, self, id, opts)))
end

--- Publishes a waiting record now.
---@param id string|aitoearn.Record|aitoearn.FlowTask the record's id, never its `taskId`
---@param opts? aitoearn.CallOptions
---@return aitoearn.Record? record as it is afterwards
---@return aitoearn.Error? err with `may_have_happened` if the outcome is unknown
function Client:publish_now(id, opts)
  check_place(self, "publish_now")
  return run_here(self, (checked(2, prepare.publish_now, self, id, opts)))
end

--- Moves the publish time of a waiting record.
---@param id string|aitoearn.Record|aitoearn.FlowTask the record's id, never its `taskId`
---@param time number|string Unix seconds, or a date-time with `Z` or an offset
---@param opts? aitoearn.CallOptions
---@return aitoearn.Record? record as it is afterwards
---@return aitoearn.Error? err with `may_have_happened` if the outcome is unknown
function Client:reschedule(id, time, opts)
  check_place(self, "reschedule")
  return run_here(self, (checked(2, prepare.reschedule, self, id, time, opts)))
end

--- Publishes a failed record again.
---@param id string|aitoearn.Record|aitoearn.FlowTask the record's id, never its `taskId`
---@param opts? aitoearn.CallOptions
---@return aitoearn.Record? record as it is afterwards
---@return aitoearn.Error? err with `may_have_happened` if the outcome is unknown
function Client:retry(id, opts)
  check_place(self, "retry")
  return run_here(self, (checked(2, prepare.retry, self, id, opts)))
end

--- Cancels a record that is not published yet.
---@param id string|aitoearn.Record|aitoearn.FlowTask the record's id, never its `taskId`
---@param opts? aitoearn.CallOptions
---@return aitoearn.Record? record as it is afterwards
---@return aitoearn.Error? err kind `goal`, with `err.record`, if the server accepted it and nothing was cancelled
function Client:cancel(id, opts)
  check_place(self, "cancel")
  return run_here(self, (checked(2, prepare.cancel, self, id, opts)))
end

--- Deletes the platform's record of a post, not the post.
---@param id string|aitoearn.Record|aitoearn.FlowTask
---@param opts? aitoearn.CallOptions
---@return true? deleted
---@return aitoearn.Error? err with `may_have_happened` if the outcome is unknown
function Client:delete_record(id, opts)
  check_place(self, "delete_record")
  return run_here(self, (checked(2, prepare.delete_record, self, id, opts)))
end

--- Runs a method as a task, which `client:poll` advances, or the host's own loop where it has one. The one way to make a
--- call inside of a hook.
---@param method string the name of any method that waits, but `each_record`
---@param ... any its arguments
---@return aitoearn.Task
function Client:start(method, ...)
  check_place(self, "start", true)
  return task.start(self, checked(2, prepare_task, self, method, ...))
end

--- Advances every task.
---@param timeout? number seconds to wait for something to happen; 0, the default, never waits, and hands out results for
--- a millisecond: the next poll goes on
---@return integer running how many tasks still run
function Client:poll(timeout)
  if self.hook then
    check_place(self, "poll")
  end
  local step = self.host.step
  if step then
    local ms = self.tasks_running > 0 and timeout and timeout * 1000 or 0
    step(ms, ms == 0 and FRAME_SHARE or nil)
  end
  return self.tasks_running
end

--- Ends the hold of a site that asked for a pause: the calls that wait for it go on at once.
---@param site? string its name; default: the default site
function Client:release(site)
  local name = site or self.defaults.site
  local held = self.sites[name]
  if not held then
    error(("site: %q is none of the client's sites"):format(tostring(name)), 2)
  end
  held:release_hold()
  for call, of in pairs(self.held_calls) do
    if of == held and call.waiting then
      call.waiting:fire()
    end
  end
end

--- Counters since the client was made, and the sites' state.
---@return aitoearn.Stats
function Client:stats()
  local engine, now, by_name = self.engine:stats(), self.now(), {}
  local outcomes, latency = self.counts:copy()
  for _, site in ipairs(self.site_list) do
    by_name[site.name] = {
      endpoints = site:health(now),
      held_for = site:held(now),
      retry_budget = site.budget.tokens,
    }
  end
  return {
    calls = self.calls,
    attempts = engine.requests,
    retries = self.retries,
    outcomes = outcomes,
    latency = latency,
    bytes = engine.bytes_received,
    connections = engine.connections_opened,
    in_flight = engine.in_flight,
    tasks = self.tasks_running,
    sites = by_name,
  }
end

--- Ends every call in flight with `err.kind == "closed"`, as any later one does, and frees what libcurl holds.
function Client:close()
  if self.closed then
    return
  end
  self.closed = true
  if self.host.close then
    self.host.close()
  else
    self.engine:close()
  end
end

Client.__close = Client.close

function Client:__tostring()
  return ("aitoearn.client (%s)"):format(self.defaults.site)
end

return M
