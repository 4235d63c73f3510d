--- A function of the caller's that yields hung its call for ever, and a call made in a hook was sent and lost: what it
--- waited for resumed nobody. Each is an error now that names the function.
local helper = require "spec.helper"
local socket = require "socket"

describe("a function of the caller's", function()
  local reports
  setup(helper.start)
  before_each(function() reports = {} end)
  after_each(helper.close)
  teardown(helper.stop)

  local function new(given)
    given = given or {}
    given.host = function(engine)
      local host = require("aitoearn.host.blocking").new(engine)
      host.report = function(message) reports[#reports + 1] = message end
      return host
    end
    return helper.client(given)
  end

  local function finish(client)
    local ends = socket.gettime() + 5
    while client:poll(0.05) > 0 do assert(socket.gettime() < ends, "tasks do not end") end
  end

  local function yield() coroutine.yield() end

  describe("that yields", function()
    it("as api_key is an argument error", function()
      local client = new { api_key = yield }
      local yielded = "^api_key: the function " -- PUC Lua 5.1's pcall says that something was raised
      assert.truthy(helper.failure("argument", client:get_record "ok").message:find(yielded))
      local task = client:start("get_record", "ok")
      finish(client)
      assert.truthy(helper.failure("argument", task:result()).message:find(yielded))
      local _, errors = client:get_records { "ok", "status:2" }
      assert.same({ "argument", "argument" }, { errors.ok.kind, errors["status:2"].kind })
    end)

    for name, call in pairs {
      goal = function(client, how) return how(client, "wait", "ok", { goal = yield }) end,
      pace = function(client, how) return how(client, "wait", "status:2", { pace = yield }) end,
      ids = function(client, how) return how(client, "get_records", yield) end,
    } do
      it("as " .. name .. " raises", function()
        local client = new()
        local expected = name .. ": the function yielded"
        assert.truthy(helper.raised(function()
          call(client, function(_, method, ...) return client[method](client, ...) end)
        end):find(expected, 1, true))
        local task = call(client, client.start)
        finish(client)
        assert.truthy(helper.raised(task.result, task):find(expected, 1, true))
        assert.equal(1, client:get_record("ok").status)
      end)
    end

    it("as a hook is reported", function()
      local client = new { on_event = yield }
      local task = client:start("wait", "ok", { on_change = yield }):on_done(yield)
      client:start("get_records", { "ok" }, { on_record = yield })
      finish(client)
      assert.equal(1, task:result().status)
      local all = table.concat(reports, "\n")
      for _, name in ipairs { "on_event", "on_change", "on_done", "on_record" } do
        assert.truthy(all:find(name .. ": the function yielded", 1, true), name)
      end
    end)
  end)

  describe("that raises nothing", function()
    for value, raise in pairs { ["nil"] = function() error(nil) end, ["false"] = function() error(false) end } do
      it("but " .. value .. " is an error all the same", function()
        local client = new()
        for name, call in pairs {
          goal = function() client:wait("ok", { goal = raise }) end,
          pace = function() client:wait("status:2", { pace = raise }) end,
          ids = function() client:get_records(raise) end,
        } do
          assert.truthy(helper.raised(call):find(name .. ": the function raised " .. value, 1, true))
        end
        assert.truthy(helper.raised(client:wait_all({ "ok" }, { goal = raise })):find "goal: the function raised")
        local task = client:start("wait", "ok", { goal = raise })
        finish(client)
        assert.truthy(helper.raised(task.result, task):find "goal: the function raised")
        helper.failure("argument", new({ api_key = raise }):get_record "ok")
      end)
    end
  end)

  describe("that raises what cannot be shown", function()
    it("breaks neither the call nor the hooks behind it", function()
      local bad = setmetatable({}, { __tostring = function() error "no text" end })
      local client, after = new { on_event = function() error(bad) end }, 0
      local task = client:start("get_record", "ok"):on_done(function() error(bad) end):on_done(function() after = after + 1 end)
      finish(client)
      assert.same({ 1, 1 }, { task:result().status, after })
      assert.truthy(table.concat(reports, "\n"):find("error in on_done: (table that cannot be shown)", 1, true))
      task = client:start("wait", "ok", { goal = function() error(bad) end })
      finish(client)
      assert.truthy(helper.raised(task.result, task):find "cannot be shown")
    end)
  end)

  describe("that makes a call which waits", function()
    local calls = {
      get_record = function(client) client:get_record "ok" end,
      get_records = function(client) client:get_records { "ok" } end,
      wait = function(client) client:wait "ok" end,
      locate = function(client) client:locate "ok" end,
      each_record = function(client) client:each_record { "ok" }() end,
      wait_all = function(client) client:wait_all { "ok" }() end,
      poll = function(client) client:poll(0) end,
    }
    for method, call in pairs(calls) do
      it("raises in there, naming the hook: " .. method, function()
        local client = new()
        local message
        client:start("get_record", "ok"):on_done(function() message = helper.raised(call, client) end)
        finish(client)
        assert.truthy(message:find(method .. ": a call cannot wait inside of on_done", 1, true), message)
        assert.same({}, reports)
      end)
    end

    it("stops nothing where 1,000 tasks' events do it", function()
      local client
      client = new { on_event = function() client:poll(0) end }
      local tasks = {}
      for i = 1, 1000 do tasks[i] = client:start("get_record", helper.fresh "ok") end
      finish(client)
      for _, task in ipairs(tasks) do assert.equal(1, task:result().status) end
      assert.falsy(table.concat(reports, "\n"):find "overflow")
    end)

    it("may start and cancel tasks instead, at any depth", function()
      local client = new()
      local other = client:start("get_record", helper.fresh "silent")
      local started, kind
      other:on_done(function(_, err)
        kind = err.kind
        started = client:start("get_record", "ok")
      end)
      client:start("get_record", "ok"):on_done(function() other:cancel() end)
      finish(client)
      assert.same({ "cancelled", 1 }, { kind, started:result().status })
      assert.same({}, reports)
    end)
  end)
end)
