--- What every host with an event loop has to do, run inside it. AITOEARN_SPEC_LOOP names the adapter.
--
-- An adapter has `host` (the option; nil: it is detected), `new` (the host's), `spawn(fn)` (a coroutine of the loop's),
-- `run(is_over)` (the loop until it has nothing to do; where it never ends, until `is_over`), `sleep(seconds)` in such a
-- coroutine, and `outside`: tasks can be started where no such coroutine runs.
local aitoearn = require "aitoearn"
local inside = require "spec.host.inside"
local say, id = inside.say, inside.id

local adapter = require("spec.host.loops." .. os.getenv "AITOEARN_SPEC_LOOP")

local function new(options)
  options = options or {}
  options.host = options.host or adapter.host
  return aitoearn.new(options)
end

local function title(record, err)
  return record and record.title or tostring(err)
end

local function kind(record, err)
  return record and "record" or err.kind
end

local function in_loop(fn)
  adapter.spawn(fn)
  adapter.run()
end

local scenarios = {}

function scenarios.call_yields()
  local client, ticks, ended = new(), 0, false
  adapter.spawn(function()
    while not ended do
      adapter.sleep(0.01)
      ticks = ticks + 1
    end
  end)
  in_loop(function()
    local record = client:get_record(id "slow:400:echo:yields")
    ended = true
    say("call_yields.title", title(record))
  end)
  say("call_yields.ticked", ticks >= 5)
  client:close()
end

function scenarios.many_at_once()
  local client, most, count = new { max_connections = 20 }, 0, 0
  for _ = 1, 20 do
    adapter.spawn(function()
      local record = client:get_record(id "slow:300:ok")
      count = count + (record and 1 or 0)
    end)
  end
  in_loop(function()
    adapter.sleep(0.1)
    most = client:stats().in_flight
  end)
  say("many_at_once.count", count)
  say("many_at_once.in_flight", most)
  client:close()
end

function scenarios.one_after_another()
  local client, good = new(), 0
  in_loop(function()
    for _ = 1, 50 do
      good = good + (client:get_record "ok" and 1 or 0)
    end
  end)
  say("one_after_another.count", good)
  say("one_after_another.connections", client:stats().connections)
  client:close()
end

function scenarios.batch_and_wait()
  local client = new()
  in_loop(function()
    local ids = {}
    for i = 1, 100 do
      ids[i] = id "ok"
    end
    ids[101] = id "code:15000"
    local records, errors = client:get_records(ids)
    local count = 0
    for _ in pairs(records) do
      count = count + 1
    end
    say("batch_and_wait.records", count)
    say("batch_and_wait.error", errors[ids[101]].code)
    local record = client:wait(id "status:2;status:2;status:1", { pace = function() return 0.05 end })
    say("batch_and_wait.status", record.status)
    local seen = 0
    local each = client:each_record { id "ok", id "ok", id "ok" }
    local one, record_of_one = each() -- PUC 5.1 cannot yield in a generic for
    while one do
      seen = seen + (record_of_one and 1 or 0)
      one, record_of_one = each()
    end
    say("batch_and_wait.each", seen)
  end)
  client:close()
end

function scenarios.outside_a_coroutine()
  local client = new()
  local record, err = client:get_record(id "echo:never sent")
  say("outside.kind", kind(record, err))
  say("outside.message", err.message)
  say("outside.attempts", client:stats().attempts)
  local ok, _, errors = pcall(client.get_records, client, { "echo:never" })
  say("outside.batch_kind", ok and errors["echo:never"].kind or errors)
  say("outside.batch_attempts", client:stats().attempts)
  local function start()
    client:start("get_record", id "echo:started"):on_done(function(got, failure)
      say("outside.started", title(got, failure))
    end)
    client:start("get_records", { id "ok", id "ok" }, {
      on_record = function(_, got, failure) say("outside.batch", kind(got, failure)) end,
    })
  end
  if adapter.outside then
    start()
    adapter.run(function() return client:stats().tasks == 0 end)
  else
    local task = client:start("get_record", id "echo:never sent")
    say("outside.task", kind(task:result()))
    in_loop(start)
  end
  client:close()
end

function scenarios.cancel_and_close()
  local client = new()
  local open
  in_loop(function()
    local task = client:start("get_record", id "silent")
    local other = client:start("get_record", id "silent")
    adapter.sleep(0.1)
    open = client:stats().in_flight
    task:cancel()
    adapter.sleep(0.02)
    say("cancel.kind", kind(task:result()))
    say("cancel.left", client:stats().in_flight)
    adapter.spawn(function()
      say("close.caller", kind(client:get_record(id "silent")))
    end)
    adapter.sleep(0.1)
    client:close()
    say("close.task", kind(other:result()))
    adapter.sleep(0.02)
    say("close.later", kind(client:get_record(id "ok")))
  end)
  say("cancel.open", open)
end

function scenarios.hooks()
  local client = new()
  in_loop(function()
    client:start("get_record", id "ok"):on_done(function()
      local ok, message = pcall(client.get_record, client, id "ok")
      say("hooks.refused", not ok and message:find("get_record: a call cannot wait inside of on_done", 1, true) ~= nil)
      client:start("get_record", id "ok"):on_done(function(record, err) say("hooks.started", kind(record, err)) end)
    end)
    local ok, message = pcall(client.start, client, "wait", id "ok", { goal = "glory" })
    say("hooks.raises", not ok and message:find("goal: ", 1, true) ~= nil)
    adapter.sleep(0.3)
    local keys = new { api_key = function() coroutine.yield() return "k" end }
    local _, err = keys:get_record(id "ok")
    say("hooks.yields", err and err.message:find("api_key: the function ", 1, true) ~= nil)
    keys:close()
    local task, hooked = client:start("get_record", id "silent"), nil
    task:on_done(function(record, failure) hooked = kind(record, failure) end)
    adapter.sleep(0.05)
    task:cancel()
    say("hooks.cancelled", task:done() and kind(task:result()) .. " " .. hooked)
  end)
  client:close()
end

-- Where the coroutine cannot yield, since a C function called what runs in it, the call is refused and its next wait is
-- left alone.
function scenarios.no_yield()
  local client = new()
  in_loop(function()
    local refused
    ("x"):gsub("x", function()
      local ok, record, err = pcall(client.get_record, client, id "slow:50:ok")
      refused = ok and kind(record, err) or "raised"
    end)
    say("no_yield.refused", refused)
    say("no_yield.next", title(client:get_record(id "slow:200:echo:whole")))
  end)
  client:close()
end

function scenarios.error_is_told()
  local told = {}
  local client = new()
  local report = client.host.report
  say("error.has_report", type(report))
  in_loop(function()
    local task = client:start("wait", id "ok", { goal = function() error "a goal that fails" end })
    adapter.sleep(0.3)
    local ok, message = pcall(task.result, task)
    say("error.raised", not ok and message:find "a goal that fails" ~= nil)
    task:on_done(function() told[#told + 1] = "done" end)
    say("error.done", #told)
  end)
  client:close()
end

function scenarios.descriptors()
  local function use()
    in_loop(function()
      for _ = 1, 5 do
        local client = new()
        client:get_record "ok"
        client:close()
      end
    end)
  end
  use()
  collectgarbage()
  local before = inside.descriptors()
  for _ = 1, 10 do
    use()
  end
  collectgarbage()
  collectgarbage()
  adapter.run()
  local after = inside.descriptors()
  say("descriptors.grown", after - before)
end

-- A client that nobody closed gives its descriptor back, and the next owner of the number is left alone.
function scenarios.dropped()
  local good = 0
  for _ = 1, 20 do
    in_loop(function()
      good = good + (new():get_record "ok" and 1 or 0)
      collectgarbage()
      collectgarbage()
      good = good + (new():get_record(id "slow:20:ok") and 1 or 0)
    end)
    collectgarbage()
  end
  say("dropped.count", good)
end

function scenarios.without_descriptor()
  local client = new {
    host = function(engine)
      return adapter.new(inside.without_descriptor(engine))
    end,
  }
  in_loop(function()
    say("without_descriptor.title", title(client:get_record(id "slow:50:echo:on a timer")))
    client:close()
    say("without_descriptor.closed", kind(client:get_record "ok"))
  end)
end

function scenarios.https()
  local client = new { server = os.getenv "AITOEARN_SPEC_HTTPS", ca_file = os.getenv "AITOEARN_SPEC_CA" }
  in_loop(function()
    say("https.title", title(client:get_record(id "echo:over TLS")))
  end)
  client:close()
end

-- A post whose first answer is lost, as a task, and then its flow in the caller's coroutine.
function scenarios.publish()
  local client = new()
  in_loop(function()
    local task = client:start("publish", { flowId = id "flow", items = { { platform = "xhs", accountId = "life:0:0.1" } },
      content = { title = "spring" } })
    task:on_done(function(flow, err) say("publish.done", flow and #flow.tasks or tostring(err)) end)
    while not task:done() do adapter.sleep(0.01) end
    local flow, err = task:result()
    if flow then
      flow, err = client:wait_flow(flow.flowId, { pace = function() return 0.05 end })
    end
    say("publish.status", flow and flow.tasks[1].status or tostring(err))
    say("publish.flow_id", flow and flow.flowId)
  end)
  client:close()
end

for _, scenario in ipairs {
  "call_yields", "many_at_once", "one_after_another", "batch_and_wait", "outside_a_coroutine", "cancel_and_close",
  "hooks", "no_yield", "error_is_told", "descriptors", "dropped", "without_descriptor", "https", "publish",
} do
  scenarios[scenario]()
end
say("finished", "yes")
