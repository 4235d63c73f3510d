--- The client as a user sees it.
-- @module aitoearn.client

local calls = require "aitoearn.calls"
local check = require "aitoearn.check"
local core = require "aitoearn.core"
local locate = require "aitoearn.locate"
local sites = require "aitoearn.site"
local task = require "aitoearn.task"

local prepare = calls.prepare

-- Of a frame, in seconds: for how long a poll that does not wait hands out results.
local FRAME_SHARE = 0.001

local client = {}

---@class aitoearn.Client
local Client = {}
Client.__index = Client
Client.__name = "aitoearn.client"

local function make_sites(config)
  local list, by_name, origins = {}, {}, {}
  for i, spec in ipairs(config.sites) do
    list[i] = sites.new(spec, origins)
    by_name[spec.name] = list[i]
  end
  return list, by_name, origins
end

--- The host of the program that this is: nginx and Neovim tell by their globals. Other loops are named by `host`.
local function detect_host()
  if ngx and ngx.get_phase then
    return "nginx"
  elseif vim and (vim.uv or vim.loop) then
    return "luv"
  end
  return "blocking"
end

local function report_on_stderr(message)
  io.stderr:write("aitoearn: ", message, "\n")
end

--- How the client waits: the given host, or the one of the program it finds itself in.
local function make_host(given, engine)
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
  return require("aitoearn.host." .. (given or detect_host())).new(engine)
end

--- Makes a client of options that aitoearn.options has read.
-- @tparam table config
-- @tparam string version
-- @treturn aitoearn.Client
function client.new(config, version)
  local list, by_name, origins = make_sites(config)
  local engine = core.engine {
    origins = #origins,
    max_connections = config.max_connections,
    max_response_bytes = config.max_response_bytes,
    connect_timeout = config.connect_timeout,
    ca_file = config.ca_file,
    proxy = config.proxy,
    allow_http = config.allow_http,
    user_agent = config.user_agent or "aitoearn-lua/" .. version,
    accept_language = config.accept_language,
  }
  local host = make_host(config.host, engine)
  return setmetatable({
    engine = engine,
    host = host,
    report = host.report or report_on_stderr,
    now = host.now or core.monotonic,
    random = function()
      return engine:random()
    end,
    defaults = { site = config.site, timeout = config.timeout, deadline = config.deadline, retry = config.retry },
    sites = by_name,
    site_list = list,
    on_event = config.on_event,
    language = config.accept_language,
    homes = locate.memory(),
    calls = 0,
    attempts = 0,
    retries = 0,
    running = 0,
  }, Client)
end

--- Tells the hook; a hook that fails breaks nothing.
function Client:emit(event)
  if self.on_event then
    pcall(self.on_event, event)
  end
end

--- Calls a function of the user's that must not yield; an error in it is reported and stops nothing.
function Client:run_hook(hook, ...)
  local ok, message = pcall(hook, ...)
  if not ok then
    self.report("error in a hook: " .. tostring(message))
  end
end

-- What a batch looks like from outside: an iterator that can be closed.
---@class aitoearn.Iterator
local Iterator = {}
Iterator.__index = Iterator
Iterator.__name = "aitoearn.iterator"

function Iterator:__call()
  return self.batch:next()
end

--- Cancels what is in flight; the iterator is at its end then.
function Iterator:close()
  self.batch:close()
end

Iterator.__close = Iterator.close
Iterator.__gc = Iterator.close

local function iterator(running)
  local self = setmetatable({ batch = running }, Iterator)
  if newproxy then -- Lua 5.1 finalizes userdata only
    self.sentinel = newproxy(true)
    getmetatable(self.sentinel).__gc = function()
      running:close()
    end
  end
  return self, nil, nil, self
end

--- Fetches one record.
---@param id string
---@param opts? aitoearn.CallOptions `site`, `timeout`, `deadline`, `retry`, `request_id`
---@return aitoearn.Record? record
---@return aitoearn.Error? err
function Client:get_record(id, opts)
  return check.checked(2, prepare.get_record, self, id, opts)(task.call(self))
end

--- Finds out which of the client's sites a record lives on: asks each with its own key, the one remembered first.
---@param id string
---@param opts? aitoearn.CallOptions without `site`
---@return aitoearn.Record? record
---@return string|aitoearn.Error site_name or, without a record, the error: not found only where every site said so
function Client:locate(id, opts)
  return check.checked(2, prepare.locate, self, id, opts)(task.call(self))
end

--- Fetches many records; an id given twice is asked for once.
---@param ids string[]|fun(): string?
---@param opts? aitoearn.BatchOptions those of a call, and `concurrency` (32), `on_record(id, record, err)`
---@return table<string, aitoearn.Record> records
---@return table<string, aitoearn.Error> errors
function Client:get_records(ids, opts)
  return check.checked(2, prepare.get_records, self, ids, opts)(task.call(self))
end

--- Fetches many records in bounded memory: `for id, record, err in client:each_record(ids) do`.
-- They come in the order of arrival. `iterator:close()` cancels the rest, as leaving the loop does.
---@param ids string[]|fun(): string? an array, or an iterator over any number of ids
---@param opts? aitoearn.BatchOptions
---@return aitoearn.Iterator
function Client:each_record(ids, opts)
  return iterator(check.checked(2, calls.each_record, self, task.call(self), ids, opts))
end

--- Waits until a record reaches a goal.
---@param id string
---@param opts? aitoearn.WaitOptions `goal`, `timeout` (600 s), `on_change(record, previous)`, `pace`
---@return aitoearn.Record? record
---@return aitoearn.Error? err with the last good record as `err.record`
function Client:wait(id, opts)
  return check.checked(2, prepare.wait, self, id, opts)(task.call(self))
end

--- Waits for many records: `for id, record, err in client:wait_all(ids) do`, as each one's goal is reached.
---@param ids string[]|fun(): string?
---@param opts? aitoearn.WaitOptions and `concurrency` (32)
---@return aitoearn.Iterator
function Client:wait_all(ids, opts)
  return iterator(check.checked(2, calls.wait_all, self, task.call(self), ids, opts))
end

--- Runs a method as a task, which `client:poll` moves on, or the host's own loop where it has one.
---@param method "get_record"|"get_records"|"locate"|"wait"|"wait_all"
---@param ... any its arguments
---@return aitoearn.Task
function Client:start(method, ...)
  if not prepare[method] then
    error("start: get_record, get_records, locate, wait or wait_all expected, got " .. tostring(method), 2)
  end
  return task.start(self, check.checked(2, prepare[method], self, ...))
end

--- Moves every task on.
---@param timeout? number seconds to wait for something to happen; 0, the default, never waits, and hands out results for
--- a millisecond: the next poll goes on
---@return integer running how many tasks still run
function Client:poll(timeout)
  local step = self.host.step
  if step then
    local ms = self.running > 0 and timeout and timeout * 1000 or 0
    step(ms, ms == 0 and FRAME_SHARE or nil)
  end
  return self.running
end

--- Counters since the client was made, and the sites' state.
---@return aitoearn.Stats
function Client:stats()
  local engine, now, by_name = self.engine:stats(), self.now(), {}
  for _, site in ipairs(self.site_list) do
    by_name[site.name] = {
      endpoints = site:health(now),
      held_for = site:held(now),
      retry_budget = site.budget.tokens,
    }
  end
  return {
    calls = self.calls,
    attempts = self.attempts,
    retries = self.retries,
    bytes = engine.bytes_received,
    connections = engine.connections_opened,
    in_flight = engine.in_flight,
    tasks = self.running,
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

return client
