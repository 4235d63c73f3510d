local blocking = require "aitoearn.host.blocking"
local helper = require "spec.helper"
local socket = require "socket"

local HERE = "spec/integration/batches_spec.lua"

describe("batches", function()
  local p, client
  local fresh = helper.fresh

  local function many(count, steps)
    local ids = {}
    for i = 1, count do ids[i] = fresh(steps) end
    return ids
  end

  -- An iterator over `count` ids, and how many it has given.
  local function generator(count, steps)
    local made = { count = 0 }
    return function()
      if made.count == count then return nil end
      made.count = made.count + 1
      return fresh(steps)
    end, made
  end

  -- Takes everything; each id may come once. Calls the iterator directly, as PUC Lua 5.1 needs it in a coroutine.
  local function collect(iterator)
    local records, errors, order = {}, {}, {}
    local id, record, err = iterator()
    while id ~= nil do
      assert(records[id] == nil and errors[id] == nil, "given twice: " .. tostring(id))
      assert((record == nil) ~= (err == nil))
      records[id], errors[id], order[#order + 1] = record, err, id
      id, record, err = iterator()
    end
    return records, errors, order
  end

  local function count(t)
    local n = 0
    for _ in pairs(t) do n = n + 1 end
    return n
  end

  setup(function() p = helper.start() end)
  before_each(function()
    client = helper.client()
    p:forget()
  end)
  after_each(helper.close)
  teardown(helper.stop)

  describe("get_records", function()
    it("gives records and errors by id, bad ids among good ones", function()
      local records, errors = client:get_records {
        "ok", "code:15000", "", "status:2", "..", "queued", "http:404", "a b",
      }
      assert.same({ 1, 2 }, { records.ok.status, records["status:2"].status })
      assert.same({ 15000, 404, 15000 }, { errors["code:15000"].code, errors["http:404"].http_status,
        errors["a b"].code })
      for _, id in ipairs { "", "..", "queued" } do
        assert.same({ "argument", id }, { errors[id].kind, errors[id].record_id })
      end
      assert.same({ 2, 6 }, { count(records), count(errors) })
      assert.equal(5, #p:requests())
      assert.equal(8, client:stats().calls)
    end)

    it("asks once for an id that is given twice", function()
      local a, b = fresh "ok", fresh "code:15000"
      local records, errors = client:get_records({ a, b, a, a, b, a })
      assert.same({ 1, 15000 }, { records[a].status, errors[b].code })
      assert.equal(2, #p:requests())
    end)

    it("takes values that are no ids at all as bad ids", function()
      local records, errors = client:get_records { "ok", 42, false, "ok" }
      assert.same({ 1, 1, 2 }, { records.ok.status, count(records), count(errors) })
      assert.same({ "argument", "argument" }, { errors[42].kind, errors[false].kind })
    end)

    it("refuses NaN among the ids, which no table can have as a key", function()
      for _, ids in ipairs { { "ok", 0 / 0 }, (function() return 0 / 0 end) } do
        assert.equal("ids: strings expected, got NaN", helper.raised(client.get_records, client, ids))
        assert.equal("ids: strings expected, got NaN", helper.raised(client:wait_all(ids)))
      end
      local id, record, err = client:each_record { 0 / 0 }()
      assert.is_true(id ~= id and record == nil)
      assert.equal("argument", err.kind)
    end)

    it("takes an iterator, and none, one or many ids", function()
      assert.same({ {}, {} }, { client:get_records {} })
      assert.same({ {}, {} }, { client:get_records(function() end) })
      local records, errors = client:get_records((generator(300, "ok")))
      assert.same({ 300, 0 }, { count(records), count(errors) })
    end)

    it("tells on_record of each as it comes, in a task too", function()
      local order = {}
      local ids = { fresh "slow:200", fresh "ok", fresh "code:15000" }
      local function note(id, record, err) order[#order + 1] = { id, record and record.status, err and err.code } end
      client:get_records(ids, { on_record = note })
      assert.equal(3, #order)
      assert.same({ ids[1], 1 }, order[3])
      order = {}
      local task = client:start("get_records", ids, { on_record = note })
      local ends = socket.gettime() + 5
      while #order < 2 do
        assert(socket.gettime() < ends)
        client:poll(0.02)
      end
      assert.is_false(task:done())
      while client:poll(0.02) > 0 do assert(socket.gettime() < ends) end
      assert.equal(ids[1], order[3][1])
    end)
  end)

  describe("each_record", function()
    it("gives each id once, in the order of arrival", function()
      local slow, middle, quick = fresh "slow:500", fresh "slow:200", fresh "ok"
      local records, errors, order = collect(client:each_record { slow, middle, quick })
      assert.same({ quick, middle, slow }, order)
      assert.same({ 3, 0 }, { count(records), count(errors) })
    end)

    it("stands in a for loop", function()
      local seen = {}
      for id, record, err in client:each_record { "ok", "code:15000" } do
        seen[id] = record and record.status or err.code
      end
      assert.same({ ok = 1, ["code:15000"] = 15000 }, seen)
    end)

    it("asks as often as an id is given", function()
      local id, given = fresh "ok", 0
      for got in client:each_record { id, id, id } do
        assert.equal(id, got)
        given = given + 1
      end
      assert.same({ 3, 3 }, { given, #p:requests() })
    end)

    it("keeps no more than `concurrency` in flight, and no fewer while there is work", function()
      local own, most
      local function on_event() most = math.max(most, own:stats().in_flight) end
      own = helper.client { max_connections = 50, on_event = on_event }
      most = 0
      local records = collect(own:each_record(many(40, "slow:50"), { concurrency = 5 }))
      assert.same({ 40, true }, { count(records), most == 5 or most == 4 })
      -- Each answer takes 50 ms, so that a sixth request within 40 ms of the first means six in flight.
      local at = helper.column(p:requests(), "at")
      assert.equal(40, #at)
      for i = 6, 40 do assert.is_true(at[i] - at[i - 5] >= 0.04, ("%g s"):format(at[i] - at[i - 5])) end
      assert.is_true(p:connections() >= 5 and p:connections() <= 6)
    end)

    it("keeps no more than `max_connections` connections, whatever the concurrency", function()
      local own = helper.client { max_connections = 3 }
      collect(own:each_record(many(60, "slow:5"), { concurrency = 50 }))
      assert.equal(3, p:connections())
    end)

    it("takes 20,000 ids from an iterator in bounded memory, never far ahead of its consumer", function()
      if jit then -- what it compiles is counted as memory too
        jit.off()
        jit.flush() -- compiled code that is left would still grow new branches
        finally(function() jit.on() end)
      end
      local ids, made = generator(20000, "ok")
      local taken, early, ahead = 0, nil, 0
      local iterator = client:each_record(ids)
      while iterator() do
        taken = taken + 1
        ahead = math.max(ahead, made.count - taken)
        if taken == 4000 then
          collectgarbage()
          collectgarbage()
          early = collectgarbage "count"
        end
      end
      collectgarbage()
      collectgarbage()
      assert.equal(20000, taken)
      assert.is_true(ahead <= 4 * 32, ahead .. " ahead")
      local growth = collectgarbage "count" - early
      assert.is_true(growth < 200, growth .. " KiB more")
    end)

    -- An iterator that takes its time for each id, as one over a database does.
    local function slow_generator(length)
      local ids, made = generator(length, "ok")
      return function()
        socket.sleep(0.03)
        return ids()
      end, made
    end

    it("gives what has come while an iterator is slow to give the next id", function()
      local ids, made = slow_generator(20)
      local iterator = client:each_record(ids)
      assert.truthy((iterator()))
      assert.is_true(made.count <= 10, made.count .. " ids taken before the first result")
      local records, errors = collect(iterator)
      assert.same({ 19, 0 }, { count(records), count(errors) })
    end)

    it("streams into on_record while an iterator is slow, tasks beside each other too", function()
      local first, mades = {}, {}
      for i = 1, 3 do
        local ids
        ids, mades[i] = slow_generator(12)
        client:start("get_records", ids, { on_record = function() first[i] = first[i] or mades[i].count end })
      end
      local ends = socket.gettime() + 10
      while client:poll(0.02) > 0 do assert(socket.gettime() < ends, "tasks do not end") end
      for i = 1, 3 do assert.is_true(first[i] < 12, first[i] .. " ids taken before the first result") end
    end)

    it("pauses for a consumer that is slow", function()
      local ids, made = generator(1000, "ok")
      local iterator = client:each_record(ids, { concurrency = 4 })
      iterator()
      local keep = client:start("get_record", fresh "slow:300")
      while not keep:done() do client:poll(0.05) end
      assert.is_true(made.count <= 16, made.count .. " ids taken for one result")
      iterator:close()
    end)

    it("raises mistakes in the program at the line that made them", function()
      for expected, call in pairs {
        ["ids: "] = { 42 }, ["ids: array"] = {}, ["concurrency: "] = { {}, { concurrency = 1.5 } },
        ["goal: unknown"] = { {}, { goal = "link" } }, ["site: "] = { {}, { site = "x" } },
        ["options: table expected, got boolean"] = { {}, false },
      } do
        local message = helper.raised(function() client:each_record(call[1], call[2]) end)
        assert.truthy(message:find(HERE, 1, true), message)
        assert.truthy(message:find(expected, 1, true), message)
      end
    end)

    it("raises where options are no table, whatever the method", function()
      for _, call in ipairs {
        function() client:get_records({}, false) end, function() client:wait_all({}, false) end,
        function() client:wait("ok", false) end, function() client:get_record("ok", false) end,
        function() client:locate("ok", false) end, function() client:start("get_records", {}, false) end,
      } do
        local message = helper.raised(call)
        assert.truthy(message:find(HERE .. ":%d+: options: table expected, got boolean"), message)
      end
    end)

    it("hands on an error that the ids' iterator raises", function()
      local calls = 0
      local iterator = client:each_record(function()
        calls = calls + 1
        if calls == 3 then error "end of the tape" end
        return fresh "ok"
      end, { concurrency = 1 })
      assert.truthy(helper.raised(function() collect(iterator) end):find("end of the tape", 1, true))
      assert.equal(1, client:get_record("ok").status)
    end)
  end)

  describe("that are left", function()
    it("cancel what is in flight at close, ask no further and are at their end", function()
      local own = helper.client { max_connections = 20 }
      local ids, made = generator(1000, "slow:5000")
      local first = true
      local iterator = own:each_record(function()
        if first then
          first = false
          return "ok"
        end
        return ids()
      end, { concurrency = 10 })
      assert.equal("ok", (iterator()))
      assert.is_true(own:stats().in_flight >= 9)
      local before = made.count
      iterator:close()
      assert.equal(0, own:stats().in_flight)
      assert.is_nil((iterator()))
      iterator:close()
      assert.equal(1, own:get_record("ok").status)
      assert.equal(before, made.count)
      assert.equal(0, own:stats().in_flight)
    end)

    if _VERSION == "Lua 5.4" then
      it("cancel what is in flight at a break", function()
        for id in client:each_record { "ok", fresh "silent", fresh "silent" } do -- luacheck: ignore 512
          assert.equal("ok", id)
          assert.equal(2, client:stats().in_flight)
          break
        end
        assert.equal(0, client:stats().in_flight)
        pcall(function()
          for _ in client:each_record { "ok", fresh "silent" } do error "out of here" end
        end)
        assert.equal(0, client:stats().in_flight)
      end)
    end

    it("cancel what is in flight when the collector finds them", function()
      local function leave()
        for _ in client:each_record { "ok", fresh "silent", fresh "silent" } do return end -- luacheck: ignore 512
      end
      leave()
      collectgarbage()
      collectgarbage()
      assert.equal(0, client:stats().in_flight)
      assert.equal(1, client:get_record("ok").status)
    end)

    it("give back the turns under max_rate that nobody used", function()
      local own = helper.client { max_rate = 4 }
      local iterator = own:each_record(many(40, "ok"))
      iterator()
      iterator:close()
      local started = socket.gettime()
      assert.equal(1, own:get_record("ok").status)
      assert.is_true(socket.gettime() - started < 4) -- 32 workers had taken the turns of 8 s
    end)

    it("survive being collected with their client, at run time and at the end of the program", function()
      local source = [[
        local aitoearn = require "aitoearn"
        local function batch(method)
          local client = aitoearn.new { server = %q, api_key = %q }
          local iterator = client[method](client, { "ok", "silent~1", "silent~2", "silent~3" })
          iterator()
          return iterator, client
        end
        for _, method in ipairs { "each_record", "wait_all" } do
          batch(method)
          collectgarbage()
          collectgarbage()
          collectgarbage()
          kept, client = batch(method)
        end
        another = batch "each_record"
        print "all is well"]]
      for _ = 1, 2 do
        assert.equal("all is well", assert(helper.script(source:format(p.cn.http, p.cn.key))))
      end
    end)

    it("end every id that is left as closed when the client is closed", function()
      for _, given in ipairs { many(300, "slow:20"), (generator(300, "slow:20")) } do
        local own = helper.client()
        local iterator, seen, closed, got = own:each_record(given), {}, 0, 0
        local id, record, err = iterator()
        while id do
          assert.is_nil(seen[id])
          seen[id] = true
          if record then got = got + 1 end
          if err then
            assert.same({ "closed", id }, { err.kind, err.record_id })
            closed = closed + 1
          end
          if got == 10 then own:close() end
          id, record, err = iterator()
        end
        assert.equal(300, got + closed)
        assert.is_true(closed >= 200)
      end
    end)
  end)

  describe("beside each other", function()
    it("run two at once, one inside the other", function()
      local inner_count, outer_count = 0, 0
      for _ in client:each_record(many(20, "slow:5"), { concurrency = 4 }) do
        outer_count = outer_count + 1
        for _ in client:each_record(many(5, "ok")) do inner_count = inner_count + 1 end
      end
      assert.same({ 20, 100 }, { outer_count, inner_count })
    end)

    it("run by turns", function()
      local a, b, counts = client:each_record(many(50, "ok")), client:each_record(many(30, "slow:2")), { 0, 0 }
      local id_a, id_b
      repeat
        id_a, id_b = a(), b()
        counts[1], counts[2] = counts[1] + (id_a and 1 or 0), counts[2] + (id_b and 1 or 0)
      until not id_a and not id_b
      assert.same({ 50, 30 }, counts)
    end)

    it("run in a coroutine of the caller's that yields what comes", function()
      local next_status = coroutine.wrap(function()
        for _, record in client:each_record(many(20, "status:2")) do coroutine.yield(record.status) end
      end)
      local sum = 0
      for status in next_status do sum = sum + status end
      assert.equal(40, sum)
    end)

    it("serve several consumers, and wake each at the end", function()
      local host
      local own = helper.client { host = function(engine)
        host = blocking.new(engine)
        return host
      end }
      local iterator, seen, ended = own:each_record(many(10, "slow:50"), { concurrency = 3 }), 0, 0
      for _ = 1, 3 do
        host.spawn(function()
          while iterator() do seen = seen + 1 end
          ended = ended + 1
        end)
      end
      local ends = socket.gettime() + 3
      while ended < 3 and socket.gettime() < ends do own:get_record(fresh "slow:50") end
      assert.same({ 10, 3 }, { seen, ended })
    end)

    it("run in coroutines of the host's, several at once", function()
      local host
      local own = helper.client { host = function(engine)
        host = blocking.new(engine)
        return host
      end }
      local ended = {}
      for i = 1, 3 do
        host.spawn(function(name)
          local records = collect(own:each_record(many(20, "slow:10"), { concurrency = 5 }))
          ended[#ended + 1] = name .. count(records)
        end, "batch " .. i .. ": ")
      end
      assert.same({}, ended)
      local ends = socket.gettime() + 5
      while #ended < 3 and socket.gettime() < ends do own:get_record(fresh "slow:20") end
      table.sort(ended)
      assert.same({ "batch 1: 20", "batch 2: 20", "batch 3: 20" }, ended)
    end)
  end)
end)
