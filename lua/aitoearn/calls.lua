--- What the client's calls do. Each is prepared, where mistakes in the program raise, and then run, in the caller's
-- own coroutine or in a task's.
-- @module aitoearn.calls

local batch = require "aitoearn.batch"
local check = require "aitoearn.check"
local errors = require "aitoearn.error"
local fetch = require "aitoearn.fetch"
local heap = require "aitoearn.heap"
local locate = require "aitoearn.locate"
local options = require "aitoearn.options"
local wait = require "aitoearn.wait"

local CONCURRENCY = 32

-- `prepare.NAME(client, ...)` checks the arguments, raising plain text, and returns a function that makes the call:
-- `run(call)`.
local calls = { prepare = {} }
local prepare = calls.prepare

local function site_of(self, name)
  local site = self.sites[name]
  if not site then
    error(("site: %q is none of the client's sites"):format(name), 0)
  end
  return site
end

local function done(self, method, started, record_id, record, err)
  if self.on_event then
    self:emit { type = "done", method = method, record_id = record_id, elapsed = self.now() - started,
      status = record and record.status, kind = err and err.kind, code = err and err.code,
      site = err and err.site, attempts = err and #err.attempts }
  end
  return record, err
end

function prepare.get_record(self, id, opts)
  local given = options.read_call(opts, self.defaults, nil)
  local site = site_of(self, given.site)
  return function(call)
    local started = self.on_event and self.now()
    self.calls = self.calls + 1
    local record, err = fetch.record(call, site, id, given)
    if record then
      err = nil
    end
    return done(self, "get_record", started, id, record, err)
  end
end

function prepare.locate(self, id, opts)
  if type(opts) == "table" and opts.site ~= nil then
    error("site: locate asks every site", 0)
  end
  local given = options.read_call(opts, self.defaults, nil)
  return function(call)
    local started = self.on_event and self.now()
    self.calls = self.calls + 1
    local record, extra = locate.record(call, id, given)
    done(self, "locate", started, id, record, not record and extra or nil)
    return record, extra
  end
end

--- The ids one after another.
local function each(ids)
  local next_id, expected = check.ids(ids)
  return next_id or error("ids: " .. expected, 0)
end

--- Each id once.
local function unique(next_id)
  local seen = {}
  return function()
    local id = next_id()
    while id ~= nil and seen[id] do
      id = next_id()
    end
    if id ~= id then -- no table has a place for it
      error("ids: strings expected, got NaN", 0)
    elseif id ~= nil then
      seen[id] = true
    end
    return id
  end
end

local batch_rules = { concurrency = { check = check.whole(1), default = CONCURRENCY } }
local collect_rules = { concurrency = batch_rules.concurrency, on_record = { check = check.func } }

--- Hands a batch's result to its consumer.
local function deliver(self, running, method, started, id, record, err)
  if self.on_event and not running.closed then
    done(self, method, started, id, record, err)
  end
  running:deliver(id, record, err)
end

local function record_batch(self, call, method, next_id, given, site)
  local running
  running = batch.new(call, given.concurrency, next_id, function(child, id)
    local started = self.on_event and self.now()
    self.calls = self.calls + 1
    local record, err = running:fetch(child, site, id, given)
    if record then
      err = nil
    end
    deliver(self, running, method, started, id, record, err)
  end)
  return running
end

--- Runs a batch to its end.
-- @treturn table records by id
-- @treturn table errors by id
local function collect(self, call, running, ids, on_record)
  local records, failures = {}, {}
  local id, record, err = running:next() -- PUC Lua 5.1 cannot yield in a generic for
  while id ~= nil do
    records[id], failures[id] = record, err
    if on_record then
      self:run_hook(on_record, id, record, err)
    end
    id, record, err = running:next()
  end
  if call.cancelled and type(ids) == "table" then -- an iterator's rest was never asked for
    for _, left in ipairs(ids) do
      if not records[left] and not failures[left] then
        failures[left] = errors.new({ kind = "cancelled", message = "the call was cancelled" }, { record_id = left })
      end
    end
  end
  return records, failures
end

function prepare.get_records(self, ids, opts)
  local given = options.read_call(opts, self.defaults, collect_rules)
  local site = site_of(self, given.site)
  local next_id = unique(each(ids))
  return function(call)
    return collect(self, call, record_batch(self, call, "get_records", next_id, given, site), ids, given.on_record)
  end
end

local function read_goal(value)
  if type(value) == "function" then
    return function(record) -- a string of our own goals means "out of reach"; one of the caller's is true
      return value(record) and true or nil
    end
  elseif type(value) == "string" and wait.goals[value] then
    return wait.goals[value]
  end
  return nil, '"settled", "published", "link" or a function expected'
end

local wait_rules = {
  goal = { check = read_goal, default = wait.goals.settled },
  timeout = { check = check.seconds_or_false, default = 600 },
  on_change = { check = check.func },
  pace = { check = check.func },
}
-- As an iterator, and as a task.
local wait_each_rules, wait_all_rules = { concurrency = batch_rules.concurrency }, { on_record = collect_rules.on_record }
for name, rule in pairs(wait_rules) do
  wait_each_rules[name] = rule
end
for name, rule in pairs(wait_each_rules) do
  wait_all_rules[name] = rule
end

local function read_wait(self, opts, rules)
  local given = options.read_call(opts, self.defaults, rules)
  given.attempt_timeout = self.defaults.timeout
  return given, site_of(self, given.site)
end

function prepare.wait(self, id, opts)
  local given, site = read_wait(self, opts, wait_rules)
  return function(call)
    local started = self.on_event and self.now()
    local watch = wait.watch(self, site, id, given)
    local function ask(look)
      return fetch.record(call, site, id, look)
    end
    self.calls = self.calls + 1
    local seconds, record, err, raised = watch:look(ask)
    while seconds do
      call:sleep(seconds)
      seconds, record, err, raised = watch:look(ask)
    end
    if raised then
      error(raised, 0)
    end
    return done(self, "wait", started, id, record, err)
  end
end

--- The watches of a `wait_all`: those not looked at yet come from the input, the others from a heap by their time.
local function wait_batch(self, call, next_id, given, site)
  local due = heap.new()
  local input_ended, unfinished, turn_of_due = false, 0, false
  local running
  local function source(now)
    local is_due = due.count > 0 and (self.closed or due:first_due() <= now) -- after close all end at once
    turn_of_due = is_due and not turn_of_due -- in turns, lest either keep the other waiting for ever
    local id
    if not (turn_of_due or input_ended) then
      id = next_id() -- false is an id, if a bad one
    end
    if id ~= nil then
      unfinished = unfinished + 1
      return wait.watch(self, site, id, given)
    end
    input_ended = input_ended or not turn_of_due
    if is_due then
      return due:pop()
    end
    if due.count > 0 then
      return nil, due:first_due() - now
    end
    return nil, unfinished > 0 and math.huge or nil
  end
  running = batch.new(call, given.concurrency, source, function(child, watch)
    self.calls = self.calls + (watch.looks == 0 and 1 or 0)
    local seconds, record, err, raised = watch:look(function(look)
      return running:fetch(child, site, watch.id, look)
    end)
    if raised then
      running:raise(raised)
    elseif seconds then
      due:push(self.now() + seconds, watch)
      running:wake()
    else
      unfinished = unfinished - 1
      deliver(self, running, "wait_all", watch.started, watch.id, record, err)
    end
  end)
  return running
end

function prepare.wait_all(self, ids, opts)
  local given, site = read_wait(self, opts, wait_all_rules)
  local next_id = unique(each(ids))
  return function(call)
    return collect(self, call, wait_batch(self, call, next_id, given, site), ids, given.on_record)
  end
end

--- A batch for `each_record`.
-- @treturn aitoearn.Batch
function calls.each_record(self, call, ids, opts)
  local given = options.read_call(opts, self.defaults, batch_rules)
  return record_batch(self, call, "each_record", each(ids), given, site_of(self, given.site))
end

--- A batch for `wait_all`.
-- @treturn aitoearn.Batch
function calls.wait_all(self, call, ids, opts)
  local given, site = read_wait(self, opts, wait_each_rules)
  return wait_batch(self, call, unique(each(ids)), given, site)
end

return calls
