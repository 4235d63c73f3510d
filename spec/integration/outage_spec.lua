--- Batches and waits against a site that goes away, asks for a pause, is slow, or fails all the time.
local helper = require "spec.helper"
local socket = require "socket"

local FIRST = { ttl = "code:429:ttl=1;ok", header = "http:429:retry-after=1;ok" }

describe("a batch", function()
  local p
  local fresh = helper.fresh

  local function many(count, steps)
    local ids = {}
    for i = 1, count do ids[i] = fresh(steps) end
    return ids
  end

  -- Takes everything; each id may come once. Errors have to be each id's own.
  local function collect(iterator, each)
    local records, errors, seen = {}, {}, {}
    local id, record, err = iterator()
    while id ~= nil do
      assert(not seen[id], "given twice: " .. tostring(id))
      seen[id] = true
      if record then
        records[#records + 1] = record
      else
        assert(err.record_id == id, "another one's error")
        errors[#errors + 1] = err
      end
      if each then each(#records, #errors) end
      id, record, err = iterator()
    end
    return records, errors
  end

  local function kinds(errors)
    local counts = {}
    for _, err in ipairs(errors) do counts[err.kind] = (counts[err.kind] or 0) + 1 end
    return counts
  end

  setup(function() p = helper.start() end)
  before_each(function() p:forget() end)
  after_each(helper.close)
  teardown(helper.stop)

  describe("whose site asks for a pause", function()
    -- One 429 at the start; the requests that came while it held.
    local function requests_in_hold(client, first, concurrency)
      local ids = many(60, "ok")
      table.insert(ids, 1, fresh(first))
      local records, errors = collect(client:each_record(ids, { concurrency = concurrency }))
      assert.same({ 61, 0 }, { #records, #errors })
      local requests, held = p:requests(), 0
      assert.equal(62, #requests)
      local from = requests[1].at
      for _, request in ipairs(requests) do
        if request.at > from + 0.15 and request.at < from + 0.95 then held = held + 1 end
      end
      assert.is_true(requests[62].at > from + 0.95)
      return held
    end

    it("is held back as a whole by one 429, however it names the time", function()
      for how, first in pairs(FIRST) do
        p:forget()
        assert.equal(0, requests_in_hold(helper.client(), first, 4), how)
      end
    end)

    it("is held back under max_rate too, where turns were given out before", function()
      assert.equal(0, requests_in_hold(helper.client { max_rate = 40 }, FIRST.ttl, 16))
    end)

    it("holds every other call of its client", function()
      local client = helper.client()
      local started = socket.gettime()
      local held = client:start("get_record", fresh "code:429:ttl=1;ok")
      while not client:stats().sites.default.held_for do client:poll(0.02) end
      assert.equal(1, client:get_record(fresh "ok").status)
      assert.is_true(socket.gettime() - started >= 0.95)
      while not held:done() do client:poll(0.02) end
      assert.equal(1, held:result().status)
      assert.is_nil(client:stats().sites.default.held_for)
    end)

    it("takes no retry budget for it", function()
      local client = helper.client()
      collect(client:each_record(many(20, "code:429:ttl=0.3;ok"), { concurrency = 20 }))
      assert.equal(100, client:stats().sites.default.retry_budget)
    end)
  end)

  describe("whose site is slow", function()
    it("starts an id's deadline when it may first be sent: nobody times out in the queue", function()
      local client = helper.client { max_connections = 1, timeout = 1, deadline = 1 }
      local records, errors = collect(client:each_record(many(15, "slow:150")))
      assert.same({ 15, 0 }, { #records, #errors })
    end)

    it("holds each id to its own deadline", function()
      local client = helper.client { timeout = false, deadline = 0.3, max_connections = 20, retry = false }
      local started = socket.gettime()
      local records, errors = collect(client:each_record(many(20, "silent")))
      assert.same({ 0, { timeout = 20 } }, { #records, kinds(errors) })
      local took = socket.gettime() - started
      assert.is_true(took >= 0.29 and took < 3, took .. " s")
    end)

    it("ends an id whose retries do not fit in its deadline", function()
      local client = helper.client { deadline = 0.5, retry = { base = 0.2, max_attempts = 1000 } }
      local started = socket.gettime()
      local _, errors = collect(client:each_record(many(5, "http:503")))
      -- A retry that just fits has a few milliseconds, and may time out in them.
      local ended = kinds(errors)
      assert.equal(5, (ended.http or 0) + (ended.timeout or 0))
      assert.is_true(socket.gettime() - started < 3)
    end)
  end)

  describe("whose site fails", function()
    it("shares one retry budget: 300 ids cost at most 50 retries", function()
      local client = helper.client { retry = { base = 0.001 } }
      local records, errors = collect(client:each_record(many(300, "http:503")))
      assert.same({ 0, 300 }, { #records, #errors })
      local stats = client:stats()
      assert.same({ 50, 350, 350 }, { stats.retries, stats.attempts, #p:requests() })
    end)

    it("gives every id attempts of its own", function()
      local client = helper.client { retry = { base = 0.001 } }
      local records, errors = collect(client:each_record {
        fresh "http:503;ok", fresh "close;reset;ok", fresh "code:500;code:500;ok", fresh "code:400;ok",
      })
      assert.equal(2, #records)
      table.sort(errors, function(a, b) return a.code < b.code end)
      assert.same({ 400, 1, 500, 2 }, { errors[1].code, #errors[1].attempts, errors[2].code, #errors[2].attempts })
    end)
  end)

  describe("whose site goes away", function()
    it("in the middle of 2,000 ids and comes back a second later ends every id once, with few attempts", function()
      local killed_at, up_again, client
      client = helper.client { retry = { base = 0.05 }, on_event = function(event)
        if killed_at and not up_again and event.type == "attempt" and socket.gettime() - killed_at > 1 then
          up_again = assert(p:up())
        end
      end }
      local records, errors = collect(client:each_record(many(2000, "ok")), function(got)
        if got == 500 then
          p:kill()
          killed_at = socket.gettime()
        end
      end)
      assert.is_true(up_again)
      assert.equal(2000, #records + #errors)
      assert.is_true(#errors <= 64, #errors .. " errors")
      local stats = client:stats()
      assert.is_true(stats.retries <= 50 + #records / 10, stats.retries .. " retries")
      assert.is_true(stats.attempts <= 2000 + 200, stats.attempts .. " attempts")
    end)

    it("for longer than the deadline ends all that are left at once, each with its own error", function()
      local client = helper.client { server = p.closed, deadline = 1, retry = { base = 0.02 } }
      local started = socket.gettime()
      local records, errors = collect(client:each_record(many(500, "ok")))
      local took = socket.gettime() - started
      assert.same({ 0, { connect = 500 } }, { #records, kinds(errors) })
      assert.is_true(took >= 0.9 and took < 5, took .. " s")
      for _, err in ipairs(errors) do assert.is_true(err.retryable) end
      assert.is_true(client:stats().attempts <= 300, client:stats().attempts .. " attempts")
    end)

    it("for longer than the deadline ends a batch with bad ids in it, too", function()
      local client = helper.client { server = p.closed, deadline = 1, retry = { base = 0.02 } }
      local ids = many(150, "ok")
      for i = 150, 1, -1 do table.insert(ids, i, ("x"):rep(300) .. i) end
      local started = socket.gettime()
      local records, errors = collect(client:each_record(ids, { concurrency = 8 }))
      local took = socket.gettime() - started
      assert.same({ 0, { connect = 150, argument = 150 } }, { #records, kinds(errors) })
      assert.is_true(took < 5, took .. " s")
      assert.is_true(client:stats().attempts <= 200, client:stats().attempts .. " attempts")
    end)

    it("ends each id by itself, after one attempt, where there are no retries", function()
      local client = helper.client { server = p.closed, retry = false }
      local records, errors = collect(client:each_record(many(200, "ok")))
      assert.same({ 0, { connect = 200 } }, { #records, kinds(errors) })
      assert.equal(200, client:stats().attempts)
      for _, err in ipairs(errors) do assert.equal(1, #err.attempts) end
    end)

    it("goes on over another endpoint of the same site", function()
      local client = helper.client { server = { p.closed, p.cn.backup }, retry = { base = 0.001 } }
      local records, errors = collect(client:each_record(many(200, "ok")))
      assert.same({ 200, 0 }, { #records, #errors })
      assert.is_true(client:stats().attempts <= 300)
    end)

    it("ends every id that waits for it when the client is closed", function()
      local client
      local probes = 0
      client = helper.client { server = p.closed, retry = { base = 0.01 }, on_event = function(event)
        if event.type == "attempt" then probes = probes + 1 end
        if probes == 60 then client:close() end
      end }
      local _, errors = collect(client:each_record(many(100, "ok")), function() end)
      local counts = kinds(errors)
      assert.equal(100, (counts.connect or 0) + (counts.closed or 0))
      assert.is_true((counts.closed or 0) > 50)
    end)

    it("does not end a wait, nor lose one of a wait_all", function()
      local client = helper.client { retry = { base = 0.01 }, deadline = 2 }
      local function pace() return 0.2 end
      local one = client:start("wait", fresh "status:2;status:2;ok", { pace = pace, timeout = 30 })
      local all = client:start("wait_all", many(20, "life:0.5:0.5"), { pace = pace, timeout = 30 })
      client:poll(0.1)
      p:kill()
      local ends = socket.gettime() + 0.7
      while socket.gettime() < ends do client:poll(0.05) end
      assert.is_false(one:done() or all:done())
      assert(p:up())
      ends = socket.gettime() + 20
      while client:poll(0.1) > 0 do assert(socket.gettime() < ends, "a wait was lost") end
      assert.equal(1, helper.record(one:result()).status)
      local records, errors = all:result()
      local count = 0
      for _, record in pairs(records) do count = count + record.status end
      assert.equal(20, count)
      assert.is_nil(next(errors))
    end)
  end)

  describe("whose client is closed by a hook", function()
    it("ends as closed, whatever the event is", function()
      for _, type in ipairs { "attempt", "retry", "poll", "done" } do
        local client
        client = helper.client { retry = { base = 0.001 }, on_event = function(event)
          if event.type == type then client:close() end
        end }
        local tasks = {
          client:start("get_record", fresh "http:502;ok"), client:start("wait", fresh "status:2"),
          client:start("wait", fresh "http:502;http:502;http:502;status:2", { timeout = 20 }),
          client:start("get_records", many(50, "slow:5")), client:start("wait_all", many(50, "status:2")),
        }
        local ends = socket.gettime() + 5
        while client:poll(0.05) > 0 do assert(socket.gettime() < ends, type .. ": tasks do not end") end
        for i, task in ipairs(tasks) do
          local ok, record, err = pcall(task.result, task)
          assert.is_true(ok, ("%s %d: %s"):format(type, i, tostring(record)))
          if i >= 4 then
            local count = 0
            for _ in pairs(record) do count = count + 1 end
            for _, each in pairs(err) do
              assert.equal("closed", each.kind)
              count = count + 1
            end
            assert.equal(50, count)
          elseif not record then
            helper.failure("closed", record, err)
          end
        end
      end
    end)

    it("hears of it in the iterator, in every coroutine", function()
      for _, method in ipairs { "each_record", "wait_all" } do
        local client, events = nil, 0
        client = helper.client { on_event = function()
          events = events + 1
          if events == 20 then client:close() end
        end }
        local records, errors = collect(client[method](client, many(100, "slow:5:status:1")))
        assert.equal(100, #records + #errors)
        assert.same({ closed = #errors }, kinds(errors))
      end
    end)
  end)
end)
