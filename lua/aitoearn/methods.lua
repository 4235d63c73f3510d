--- What each method of a client checks and runs.
---
--- `prepare.NAME(client, ...)` checks the arguments: a mistake in the program raises plain text, to which the public method
--- adds the caller's position. It returns `run(call)`, which makes the call, in the caller's coroutine or in a task's, and
--- `cancelled(call)`: what a task that is cancelled has for its result.
---@module "aitoearn.methods"

local batches = require "aitoearn.batch"
local check = require "aitoearn.check"
local fetch = require "aitoearn.fetch"
local hooks = require "aitoearn.hooks"
local locate = require "aitoearn.locate"
local options = require "aitoearn.options"
local wait = require "aitoearn.wait"
local wait_all = require "aitoearn.wait_all"

local CONCURRENCY = 32

local M = { prepare = {} }
local prepare = M.prepare

local on_record = { check = check.func }
local concurrency = { check = check.whole(1), default = CONCURRENCY }

-- The options of each method beside those that all have.
M.RULES = {
  each_record = { concurrency = concurrency, ordered = { check = check.boolean } },
  get_records = { concurrency = concurrency, on_record = on_record },
}

--- Reads a call's options.
---@param client aitoearn.Client
---@param opts? table
---@param rules table of the method's own options
---@return table given
---@return aitoearn.Site site
function M.read(client, opts, rules)
  local given = options.read_call(opts, client.defaults, rules)
  local site = client.sites[given.site]
  if not site then
    error(("site: %q is none of the client's sites"):format(given.site), 0)
  end
  return given, site
end

-- The methods that take as long as their records do.
local IS_WAIT = { wait = true, wait_all = true, wait_flow = true }

-- Tells of a call that ended.
local function tell_end(call, method, elapsed, id, given, record, err, flow_id)
  local client = call.client
  if client.observed then
    hooks.emit(client, { type = "done", method = method, record_id = id, flow_id = flow_id, elapsed = elapsed,
      status = type(record) == "table" and record.status or nil, kind = err and err.kind, code = err and err.code,
      site = err and err.site, attempts = err and #err.attempts })
  end
  if given and given.response then
    fetch.describe_response(given.response, call, err)
  end
end

-- Counts a call that ended, and tells of it.
local function report_end(call, method, started, id, given, record, err, flow_id)
  local client = call.client
  local elapsed = client.now() - started
  client.counts:add(err, not IS_WAIT[method] and elapsed or nil)
  tell_end(call, method, elapsed, id, given, record, err, flow_id)
end

--- Ends a call that has one result: returns that one value, or `nil, err`.
---@param call aitoearn.Call
---@param method string
---@param started number on the host's clock
---@param id any the record's
---@param given table the call's options
---@param record any
---@param err? aitoearn.Error
---@param flow_id? any
---@return any record
---@return aitoearn.Error? err
function M.answer(call, method, started, id, given, record, err, flow_id)
  if not call.is_over then
    report_end(call, method, started, id, given, record, err, flow_id)
  end
  if record then
    return record
  end
  return nil, err
end

--- What a task that is cancelled returns of a method that has one result.
---@param call aitoearn.Call
---@param method string
---@param started? number on the host's clock
---@param id any the record's
---@param given? table the call's options
---@param record? aitoearn.Record the last good one
---@param flow_id? any
---@return nil
---@return aitoearn.Error err
function M.cancel_single(call, method, started, id, given, record, flow_id)
  local err = fetch.cancelled(call, call.site, id)
  err.record = record
  report_end(call, method, started or call.client.now(), id, given, nil, err, flow_id)
  return nil, err
end

local function cancel_get_record(call)
  return M.cancel_single(call, "get_record", call.started, call.id, call.opts)
end

--- Makes the call `get_record`.
---@param call aitoearn.Call
---@param site aitoearn.Site
---@param id string
---@param given table the call's options
---@return aitoearn.Record? record
---@return aitoearn.Error? err
function M.get_record(call, site, id, given)
  local client = call.client
  client.calls = client.calls + 1
  local record, err = fetch.record(call, site, id, given)
  if not call.is_over then -- as `report_end` does, with fewer calls
    local elapsed = client.now() - call.started
    client.counts:add(err, elapsed)
    if client.observed or given.response then
      tell_end(call, "get_record", elapsed, id, given, record, err)
    end
  end
  return record, err
end

function prepare.get_record(client, id, opts)
  local given, site = M.read(client, opts)
  return function(call)
    return M.get_record(call, site, id, given)
  end, cancel_get_record
end

function prepare.locate(client, id, opts)
  if type(opts) == "table" and opts.site ~= nil then
    error("site: locate asks every site", 0)
  end
  local given = M.read(client, opts)
  local started
  return function(call)
    started = client.now()
    client.calls = client.calls + 1
    local record, extra = locate.record(call, id, given)
    if record then
      return M.answer(call, "locate", started, id, given, record), extra
    end
    return M.answer(call, "locate", started, id, given, nil, extra)
  end, function(call)
    return M.cancel_single(call, "locate", started, id, given)
  end
end

local function is_array(ids)
  local metatable = getmetatable(ids)
  return type(ids) == "table" and not (type(metatable) == "table" and metatable.__call)
end

-- A function that returns the next id; nil at the end; nil and an error that the caller's function raised.
local function each(client, ids)
  local next_id, expected = check.ids(ids)
  if not next_id then
    error("ids: " .. expected, 0)
  elseif is_array(ids) then
    return next_id
  end
  return function()
    local ok, id = hooks.call(client, "ids", next_id)
    if ok then
      return id
    end
    return nil, id
  end
end

--- The id of a record that is given as that, as a record, or as a flow's task. (A `taskId` is the creator's own and never
--- it.)
---@param value any
---@return any id
---@return table? given the record or task
function M.id_of(value)
  if type(value) == "table" and type(value.id) == "string" then
    return value.id, value
  end
  return value
end

-- Each id once.
local function unique(next_id)
  local seen = {}
  return function()
    local given, raised = next_id()
    local id = M.id_of(given)
    while id ~= nil and seen[id] do
      given, raised = next_id()
      id = M.id_of(given)
    end
    if id ~= id then -- no table has a place for it
      return nil, "ids: strings expected, got NaN"
    elseif id ~= nil then
      seen[id] = true
    end
    return given, raised
  end
end

local fetch_in_batch = batches.fetch

-- `is_direct`: workers may call `next_id` themselves.
local function record_batch(call, method, next_id, given, site, is_direct)
  local client, batch = call.client, nil
  local counts, count = client.counts, client.counts.add
  local function source()
    local id, raised = next_id()
    return id, nil, raised
  end
  batch = batches.new(call, given, source, function(child, id)
    local started = client.now()
    client.calls = client.calls + 1
    local record, err = fetch_in_batch(batch, child, site, id, given, started)
    if not batch.closed then -- as `report_end` does, with fewer calls
      local elapsed = client.now() - started
      count(counts, err, elapsed)
      if client.observed then
        tell_end(child, method, elapsed, id, nil, record, err)
      end
    end
    return id, record, err
  end, is_direct and next_id)
  return batch
end

local function wait_batch(call, next_id, given, site)
  return wait_all.new(call, site, next_id, given, function(watch, record, err)
    report_end(call, "wait_all", watch.started, watch.id, nil, record, err)
  end)
end

-- Runs a batch to its end: records and errors by id.
local function collect(client, ids, given, make_batch)
  local records, failures, batch = {}, {}, nil
  local function keep(id, record, err)
    records[id], failures[id] = record, err
    if given.on_record then
      hooks.run(client, "on_record", given.on_record, id, record, err)
    end
  end
  local function run(call)
    batch = make_batch(call)
    local id, record, err = batch:next() -- PUC Lua 5.1 cannot yield in a generic for
    while id ~= nil do
      keep(id, record, err)
      id, record, err = batch:next()
    end
    return records, failures
  end
  local function cancelled(call)
    local id, record, err = nil, nil, nil
    if batch then
      id, record, err = batch:take()
    end
    while id ~= nil do
      keep(id, record, err)
      id, record, err = batch:take()
    end
    for _, item in ipairs(is_array(ids) and ids or {}) do -- an iterator's rest was never asked for
      local left = M.id_of(item)
      if not records[left] and not failures[left] then
        failures[left] = fetch.cancelled(call, nil, left)
      end
    end
    return records, failures
  end
  return run, cancelled
end

function prepare.get_records(client, ids, opts)
  local given, site = M.read(client, opts, M.RULES.get_records)
  local next_id = unique(each(client, ids))
  return collect(client, ids, given, function(call)
    return record_batch(call, "get_records", next_id, given, site)
  end)
end

local function goal(value)
  if type(value) == "function" then
    return value
  elseif type(value) == "string" and wait.goals[value] then
    return wait.goals[value]
  end
  return nil, '"settled", "published", "link" or a function expected'
end

local function extended(rules, more)
  local all = {}
  for _, each_of in ipairs { rules, more } do
    for name, rule in pairs(each_of) do
      all[name] = rule
    end
  end
  return all
end

local wait_rules = {
  goal = { check = goal, default = wait.goals.settled },
  timeout = { check = check.seconds_or_false, default = 600 },
  on_change = { check = check.func },
  pace = { check = check.func },
}
M.RULES.wait = extended(wait_rules, { response = options.response_rule })
M.RULES.wait_each = extended(wait_rules, { concurrency = concurrency, survey = { check = check.boolean, default = true } })
M.RULES.wait_all = extended(M.RULES.wait_each, { on_record = on_record }) -- as a task

--- Reads the options of a wait, whose `timeout` is the whole wait's.
---@param client aitoearn.Client
---@param opts? aitoearn.WaitOptions
---@param rules table
---@return table given
---@return aitoearn.Site site
function M.read_wait(client, opts, rules)
  local given, site = M.read(client, opts, rules)
  given.attempt_timeout = client.defaults.timeout
  return given, site
end

--- Looks until a watch is over.
---@param call aitoearn.Call
---@param watch aitoearn.Watch
---@param ask fun(opts: table): any, aitoearn.Error?, any as `watch:look` takes it
---@return any record
---@return aitoearn.Error? err
function M.wait(call, watch, ask)
  local seconds, record, err, raised = watch:look(ask)
  while seconds do
    call:sleep(seconds)
    seconds, record, err, raised = watch:look(ask)
  end
  if raised then
    error(raised, 0)
  end
  return record, err
end

function prepare.wait(client, id, opts)
  id = M.id_of(id)
  local given, site = M.read_wait(client, opts, M.RULES.wait)
  local watch
  return function(call)
    watch = wait.watch(client, site, id, given)
    local function ask(look)
      return fetch.record(call, site, id, look)
    end
    client.calls = client.calls + 1
    local record, err = M.wait(call, watch, ask)
    return M.answer(call, "wait", watch.started, id, given, record, err)
  end, function(call)
    return M.cancel_single(call, "wait", watch and watch.started, id, given, watch and watch.record)
  end
end

function prepare.wait_all(client, ids, opts)
  local given, site = M.read_wait(client, opts, M.RULES.wait_all)
  local next_id = unique(each(client, ids))
  return collect(client, ids, given, function(call)
    return wait_batch(call, next_id, given, site)
  end)
end

--- The batch behind `client:each_record`.
---@param client aitoearn.Client
---@param call aitoearn.Call
---@param ids any
---@param opts? aitoearn.BatchOptions
---@return aitoearn.Batch
function M.each_record(client, call, ids, opts)
  local given, site = M.read(client, opts, M.RULES.each_record)
  local is_plain = type(ids) == "table" and not getmetatable(ids) -- reading it calls no function of the caller's
  return record_batch(call, "each_record", each(client, ids), given, site, is_plain)
end

--- The batch behind `client:wait_all`.
---@param client aitoearn.Client
---@param call aitoearn.Call
---@param ids any
---@param opts? aitoearn.WaitOptions
---@return aitoearn.Batch
function M.wait_all(client, call, ids, opts)
  local given, site = M.read_wait(client, opts, M.RULES.wait_each)
  return wait_batch(call, unique(each(client, ids)), given, site)
end

return M
