local core = require "aitoearn.core"
local blocking = require "aitoearn.host.blocking"
local helper = require "spec.helper"
local shell = require "spec.platform.shell"
local socket = require "socket"

local HERE = "spec/integration/tasks_spec.lua"

describe("tasks", function()
  local p, client, reports
  local fresh = helper.fresh

  -- A client with long time-outs whose reports are caught.
  local function new(given)
    local options = { timeout = 30, deadline = 60 }
    for name, value in pairs(given or {}) do options[name] = value end
    options.host = function(engine)
      local host = blocking.new(engine)
      host.report = function(message) reports[#reports + 1] = message end
      return host
    end
    return helper.client(options)
  end

  local function finish(of, seconds)
    local ends = socket.gettime() + (seconds or 5)
    while of:poll(0.05) > 0 do assert(socket.gettime() < ends, "tasks do not end") end
  end

  -- Polls until something holds.
  local function poll_until(of, condition)
    local ends = socket.gettime() + 5
    while not condition() do
      assert(socket.gettime() < ends, "it never comes")
      of:poll(0.02)
    end
  end

  local function poll_for(of, seconds)
    local ends = socket.gettime() + seconds
    while socket.gettime() < ends do of:poll(0.02) end
  end

  setup(function() p = helper.start() end)
  before_each(function()
    reports = {}
    client = new()
  end)
  after_each(helper.close)
  teardown(helper.stop)

  describe("that run", function()
    it("that are many are sent over several polls, so that none holds a frame up", function()
      local many = helper.client { server = p.cn.https }
      helper.record(many:get_record "ok") -- from now on it is known to be HTTP/2
      for _ = 1, 150 do many:start("get_record", "silent") end
      many:poll(0)
      assert.is_true(many:stats().in_flight <= 16)
      local limit = core.monotonic() + 5 -- beyond the streams of one connection another one has to be made first
      while many:stats().in_flight < 150 and core.monotonic() < limit do many:poll(0) end
      assert.equal(150, many:stats().in_flight)
      many:close()
    end)

    it("bring what their method returns, once the client was polled", function()
      local task = client:start("get_record", "6877a1b2c3d4e5f601234567")
      assert.is_false(task:done())
      assert.equal(0, select("#", task:result()))
      assert.equal(1, client:stats().tasks)
      finish(client)
      assert.is_true(task:done())
      local record, err = task:result()
      assert.same({ "6877a1b2c3d4e5f601234567", nil }, { record.id, err })
      assert.equal(0, client:stats().tasks)
    end)

    it("can be any method that sends something", function()
      local one = client:start("get_record", "code:15000")
      local many = client:start("get_records", { "ok", "code:15000", "status:2" }, { concurrency = 2 })
      local home = client:start("locate", "6877a1b2c3d4e5f601234567")
      local waiting = client:start("wait", fresh "status:2;ok", { pace = function() return 0.02 end })
      local all = client:start("wait_all", { "status:1", "status:9" }, { goal = "published" })
      finish(client)
      local record, err = one:result()
      assert.same({ nil, 15000 }, { record, err.code })
      local records, errors = many:result()
      assert.same({ 1, 2, 15000 }, { records.ok.status, records["status:2"].status, errors["code:15000"].code })
      local found, site_name = home:result()
      assert.same({ "6877a1b2c3d4e5f601234567", "default" }, { found.id, site_name })
      assert.equal(1, waiting:result().status)
      records, errors = all:result()
      assert.same({ 1, "goal" }, { records["status:1"].status, errors["status:9"].kind })
    end)

    it("are counted by poll until they end", function()
      for _ = 1, 3 do client:start("get_record", fresh "slow:40") end
      assert.equal(3, client:poll())
      assert.equal(3, client:poll(0))
      finish(client)
      assert.equal(0, client:poll(1))
    end)

    it("move on while a blocking call waits", function()
      local quick = { client:start("get_record", fresh "slow:20"), client:start("wait", fresh "status:2;status:2;ok", {
        pace = function() return 0.02 end }) }
      assert(client:get_record(fresh "slow:400"))
      assert.is_true(quick[1]:done())
      assert.is_true(quick[2]:done())
      local another = client:start("get_record", fresh "slow:20")
      local next_result = client:each_record { fresh "slow:400" }
      assert.truthy((next_result()))
      assert.is_true(another:done())
    end)

    it("raise a mistake in the program at start, at the line that made it", function()
      local mistakes = {
        ["start: "] = { "get_everything", "ok" },
        ["timeot: unknown option"] = { "get_record", "ok", { timeot = 1 } },
        ["site: "] = { "get_record", "ok", { site = "mars" } },
        ["ids: "] = { "get_records", 42 },
        ["concurrency: "] = { "get_records", {}, { concurrency = 0 } },
        ["goal: "] = { "wait", "ok", { goal = "glory" } },
        ["on_change: "] = { "wait", "ok", { on_change = "x" } },
        ["pace: "] = { "wait_all", {}, { pace = 5 } },
        ["deadline: "] = { "locate", "ok", { deadline = "soon" } },
      }
      for expected, call in pairs(mistakes) do
        local ok, message = pcall(function() client:start(call[1], call[2], call[3]) end)
        assert.is_false(ok)
        assert.truthy(message:find(HERE, 1, true), message)
        assert.truthy(message:find(expected, 1, true), message)
      end
      assert.equal(0, client:stats().tasks)
      assert.equal(0, client:poll())
    end)

    it("keep an error that a function of the caller's raised for whoever asks for the result", function()
      local hooked = 0
      local failing = client:start("wait", "ok", { goal = function() error "no goal of mine" end })
      failing:on_done(function() hooked = hooked + 1 end)
      local all = client:start("wait_all", { "ok" }, { goal = function() error "no goal of ours" end })
      local other = client:start("get_record", "ok")
      finish(client)
      assert.truthy(select(2, pcall(failing.result, failing)):find "no goal of mine")
      assert.truthy(select(2, pcall(all.result, all)):find "no goal of ours")
      assert.equal(1, hooked)
      assert.equal(1, other:result().status)
    end)

    it("report such an error when it happens, once, and give on_done nothing", function()
      local seen = {}
      local function hook(...) seen[#seen + 1] = { select("#", ...), #reports > 0 } end
      local given = { goal = function() error "no goal of mine" end }
      client:start("wait", "ok", given):on_done(hook):on_done(hook)
      client:start("wait_all", { "ok" }, { goal = function() error { "a table" } end })
      client:start("wait", "status:2", { pace = function() return "soon" end })
      local early = client:start("get_records", function() error "no ids" end)
      finish(client)
      assert.same({ { 0, true }, { 0, true } }, seen)
      assert.equal(4, #reports)
      local all = table.concat(reports, "\n")
      for _, text in ipairs { "no goal of mine", "table: ", "pace: number of seconds expected", "no ids" } do
        assert.truthy(all:find(text, 1, true), text)
      end
      for _, report in ipairs(reports) do assert.truthy(report:find "^error in a task: ") end
      assert.has_error(function() early:result() end)
      assert.equal(4, #reports)
    end)

    it("end though their host's report fails", function()
      local own = helper.client { host = function(engine)
        local host = blocking.new(engine)
        host.report = function() error "no report" end
        return host
      end }
      local hooked = 0
      local task = own:start("wait", "ok", { goal = function() error "boom" end })
      task:on_done(function() hooked = hooked + 1 end)
      finish(own)
      assert.same({ true, 1, 0 }, { task:done(), hooked, own:stats().tasks })
    end)

    it("keep an error that was raised before the task waited for anything", function()
      local task = client:start("get_records", function() error "no ids" end)
      finish(client, 1)
      assert.is_true(task:done())
      assert.truthy(select(2, pcall(task.result, task)):find "no ids")
      assert.equal(0, client:stats().tasks)
    end)
  end)

  describe("with hooks", function()
    it("call each on_done once with what the method returned, at once where it has ended", function()
      local seen = {}
      local function hook(record, err) seen[#seen + 1] = { record and record.status, err and err.code } end
      local task = client:start("get_record", "status:2"):on_done(hook):on_done(hook)
      client:start("get_record", "code:15000"):on_done(hook)
      finish(client)
      table.sort(seen, function(a) return a[2] == nil end)
      assert.same({ { 2 }, { 2 }, { nil, 15000 } }, seen)
      task:on_done(hook)
      assert.same({ 2 }, seen[4])
      assert.has_error(function() task:on_done "x" end)
    end)

    it("report an error in one, which stops nothing else", function()
      local after, others = 0, 0
      local function boom() error "boom" end
      local task = client:start("get_record", "ok")
      task:on_done(boom):on_done(function() after = after + 1 end)
      client:start("get_records", { "ok", "status:2", "status:0" }, { on_record = boom }):on_done(function(records)
        for _ in pairs(records) do others = others + 1 end
      end)
      finish(client)
      assert.same({ 1, 3, 4 }, { after, others, #reports })
      for _, message in ipairs(reports) do assert.truthy(message:find "boom") end
      assert.equal(1, task:result().status)
      task:on_done(boom)
      assert.equal(5, #reports)
    end)

    it("are reported on the standard error of a script", function()
      local output = assert(helper.script(([[
        local client = require("aitoearn").new { server = %q, api_key = "k" }
        client:start("get_record", ""):on_done(function() error "heard of" end)
        print("went on", client:poll(1))]]):format(p.cn.http)))
      assert.truthy(output:find "aitoearn: .*heard of")
      assert.truthy(output:find "went on%s+0")
    end)

    it("are called and reported under a host that has but await and spawn", function()
      local output = assert(helper.script(([[
        local blocking = require "aitoearn.host.blocking"
        local step
        local client = require("aitoearn").new { server = %q, api_key = "k", host = function(engine)
          local host = blocking.new(engine)
          step = host.step
          return { await = host.await, spawn = host.spawn }
        end }
        client:start("get_record", "a"):on_done(function() error "heard of" end):on_done(function() print "next" end)
        while client:poll() > 0 do step(100) end
        print "went on"]]):format(p.cn.http)))
      assert.truthy(output:find "heard of")
      assert.truthy(output:find "next%s+went on")
    end)

    it("may start other tasks", function()
      local chain = {}
      local function go_on(record)
        chain[#chain + 1] = record.status
        if #chain < 5 then client:start("get_record", "status:" .. #chain):on_done(go_on) end
      end
      client:start("get_record", "status:0"):on_done(go_on)
      finish(client)
      assert.same({ 0, 1, 2, 3, 4 }, chain)
    end)

    it("may cancel their own task or another, or close the client", function()
      local task, other
      other = client:start("get_record", fresh "silent")
      task = client:start("wait", fresh "status:2", { on_change = function()
        task:cancel()
        other:cancel()
      end })
      finish(client)
      assert.equal("cancelled", select(2, task:result()).kind)
      assert.equal("cancelled", select(2, other:result()).kind)
      other = client:start("get_record", fresh "silent")
      task = client:start("wait", fresh "status:2", { on_change = function() client:close() end })
      finish(client)
      assert.equal("closed", select(2, task:result()).kind)
      assert.equal("closed", select(2, other:result()).kind)
    end)
  end)

  describe("at rest", function()
    -- The least that a hundred polls allocate: what a just-in-time compiler or a late answer adds comes once.
    local function growth(of)
      local least = math.huge
      for _ = 1, 20 do of:poll(0) end
      collectgarbage()
      collectgarbage "stop"
      for _ = 1, 10 do
        local before = collectgarbage "count"
        for _ = 1, 100 do of:poll(0) end
        least = math.min(least, collectgarbage "count" - before)
      end
      collectgarbage "restart"
      return least
    end

    it("cost poll(0) no memory, idle or with 100 in flight", function()
      local own = new { max_connections = 100 }
      assert.equal(0, growth(own))
      local tasks = {}
      for i = 1, 100 do tasks[i] = own:start("get_record", "silent") end
      poll_for(own, 0.5)
      assert.equal(100, own:stats().in_flight)
      assert.equal(0, growth(own))
      own:close()
      finish(own)
      for i = 1, 100 do assert.equal("closed", select(2, tasks[i]:result()).kind) end
    end)
  end)

  describe("that are cancelled", function()
    local function sockets()
      return tonumber((shell.run("ls -l /proc/" .. p.owner .. "/fd 2>/dev/null | grep -c socket: || true")))
    end

    -- A port that lets nobody in: the queue of those who want to connect is full.
    local function black_hole()
      local hole = assert(socket.bind("127.0.0.1", 0, 0))
      local _, port = hole:getsockname()
      local held = { hole }
      for i = 2, 4 do
        held[i] = socket.tcp4()
        held[i]:settimeout(0)
        held[i]:connect("127.0.0.1", port)
      end
      return "http://127.0.0.1:" .. port, held
    end

    -- How to get a task into each state: {method, id, options of the client, attempts, in flight, first tasks' ids}
    local hole_url, hole
    local states = {
      ["connecting"] = { "get_record", "ok", function() return { server = hole_url } end, 1, 1 },
      ["resolving a name"] = { "get_record", "ok", function()
        return { server = "http://host.invalid", allow_http = true, retry = { base = 10 } }
      end, 1 },
      ["reading, before the answer"] = { "get_record", "silent", nil, 1, 1 },
      ["reading, in the middle of it"] = { "get_record", "stall", nil, 1, 1 },
      ["queued"] = { "get_record", "ok", function() return { max_connections = 1 } end, 1, 1, "silent" },
      ["sleeping before a retry"] = { "get_record", "code:429:ttl=30", nil, 1, 0 },
      ["held with its site"] = { "get_record", "ok", nil, 0, 0, "code:429:ttl=30" },
      ["waiting for its turn"] = { "get_record", "ok", function() return { max_rate = 0.05 } end, 0, 0 },
      ["locating"] = { "locate", "silent", nil, 1, 1 },
      ["waiting for a goal"] = { "wait", "status:0", nil, 1, 0 },
      ["looking, while it waits"] = { "wait", "status:2;silent", nil, 2, 1, nil, 0.01 },
    }

    setup(function() hole_url, hole = black_hole() end)
    teardown(function() for _, held in ipairs(hole) do held:close() end end)

    for name, state in pairs(states) do
      local method, id, options, attempts, in_flight, first, pause = state[1], state[2], state[3], state[4], state[5],
        state[6], state[7]
      it("end at once while " .. name, function()
        local own, kinds = new(options and options() or nil), {}
        own:start("get_record", fresh "silent"):cancel() -- what an engine opens for itself is open now
        own:poll(0)
        local earlier = first and own:start("get_record", fresh(first))
        poll_for(own, first and 0.15 or 0)
        local before, made = sockets(), own:stats().attempts
        local task = own:start(method, fresh(id), pause and { pace = function() return pause end } or nil)
        task:on_done(function(record, err) kinds[#kinds + 1] = err and err.kind or record.status end)
        poll_until(own, function()
          local stats = own:stats()
          return stats.attempts - made >= attempts and stats.in_flight == (in_flight or stats.in_flight)
        end)
        poll_for(own, 0.05) -- and it is sent, or libcurl at work on it
        task:cancel()
        assert.equal(first == "silent" and 1 or 0, own:stats().in_flight)
        local limit = before + (in_flight == 0 and 1 or 0) -- one that is kept alive
        if name == "resolving a name" then -- libcurl's thread closes its pair of sockets when it ends
          poll_until(own, function() return sockets() <= limit end)
        end
        assert.is_true(sockets() <= limit)
        local cancelled_at = socket.gettime()
        poll_until(own, function() return task:done() end)
        task:cancel()
        assert.is_true(socket.gettime() - cancelled_at < 2)
        assert.same({ "cancelled" }, kinds)
        assert.is_nil((task:result()))
        if earlier then earlier:cancel() end
        finish(own)
        assert.same({ "cancelled" }, kinds)
        if method == "wait" then assert.truthy(select(2, task:result()).record) end
      end)
    end

    it("let the next in the queue go ahead", function()
      local own = new { max_connections = 1 }
      local first, second = own:start("get_record", fresh "silent"), own:start("get_record", fresh "ok")
      own:poll(0.05)
      first:cancel()
      finish(own)
      assert.equal(1, second:result().status)
    end)

    it("take a whole batch out of the engine", function()
      for _, method in ipairs { "get_records", "wait_all" } do
        local task = client:start(method, { fresh "silent", fresh "silent", fresh "silent", fresh "ok" })
        poll_until(client, function() return client:stats().in_flight == 3 end)
        task:cancel()
        assert.equal(0, client:stats().in_flight)
        finish(client, 1)
        local records, errors = task:result()
        local found, missing = 0, 0
        for _ in pairs(records) do found = found + 1 end
        for _, err in pairs(errors) do
          assert.equal("cancelled", err.kind)
          missing = missing + 1
        end
        assert.same({ 1, 3 }, { found, missing })
      end
    end)

    it("keep what they brought where they had ended before", function()
      local task = client:start("get_record", "ok")
      finish(client)
      task:cancel()
      client:poll()
      assert.equal(1, task:result().status)
    end)
  end)
end)
