--- What calls have in common: their options, what they return, and what a client counts of them.
local helper = require "spec.helper"
local socket = require "socket"

local fresh, record, failure = helper.fresh, helper.record, helper.failure

describe("a call", function()
  local p, client
  setup(function() p = helper.start() end)
  before_each(function() client = helper.client() end)
  after_each(helper.close)
  teardown(helper.stop)

  it("returns one value where it succeeds, in a task too", function()
    assert.equal(1, select("#", client:get_record "ok"))
    assert.equal(1, select("#", client:wait "ok"))
    local list = {}
    table.insert(list, client:get_record "ok")
    local task = client:start("get_record", "ok")
    while client:poll(0.05) > 0 do end -- luacheck: ignore 542
    table.insert(list, task:result())
    assert.same({ 1, 1 }, { list[1].status, list[2].status })
  end)

  it("knows nothing of the one before it", function()
    local response = {}
    record(client:get_record(fresh "http:502;ok"))
    failure("api", client:get_record(fresh "http:502;code:15000"))
    local err = failure("argument", client:get_record("", { response = response }))
    assert.same({ {}, 0 }, { err.attempts, response.attempts })
    assert.same({}, { err.server, response.server, response.http_status, response.date, response.request_id })
    record(client:get_record("ok", { response = response }))
    assert.equal(1, response.attempts)
  end)

  it("that its host cancelled leaves the next one alone", function()
    local waits = 0
    local hosted = helper.client({ host = function(engine)
      return {
        await = function(transfer, _, call)
          waits = waits + 1
          if waits == 1 then call:abandon() end
          while not transfer:is_done() do engine:poll(-1) end
          while engine:next() do end -- luacheck: ignore 542
        end,
        spawn = function(fn, ...) fn(...) end,
      }
    end })
    failure("cancelled", hosted:get_record "ok")
    record(hosted:get_record "ok")
  end)

  it("keeps nothing of the caller's alive when it is over", function()
    local kept = setmetatable({ {} }, { __mode = "v" })
    record(client:get_record("ok", { response = kept[1] }))
    collectgarbage()
    collectgarbage()
    assert.is_nil(kept[1])
  end)

  it("on a closed client is closed, whatever else is wrong, and names no server", function()
    local wrong = helper.client { server = p.cn.https, api_key = p.cn.key }
    wrong.sites.default.endpoints[1].problem = { kind = "tls", message = "m" }
    failure("tls", wrong:get_record "ok")
    wrong:close()
    assert.is_nil(failure("closed", wrong:get_record "ok").server)
  end)

  it("with a dot says so, at the line that made it", function()
    for _, method in ipairs { "get_record", "get_records", "each_record", "wait", "wait_all", "locate", "start" } do
      local message = helper.raised(function() client[method]("ok") end)
      assert.truthy(message:find("calls_spec.lua:%d+: call it with a colon, client:" .. method), message)
    end
  end)

  describe("with the option response", function()
    it("fills it on success", function()
      local response = { stale = true }
      record(client:get_record(fresh "http:502;ok", { response = response }))
      assert.same({ 2, "default", p.cn.http }, { response.attempts, response.site, response.server })
      assert.is_true(response.elapsed > 0 and response.elapsed < 5)
      assert.is_true(math.abs(response.date - os.time()) < 60)
      assert.truthy(response.request_id)
      assert.is_nil(response.stale)
    end)

    it("fills it on failure, of a wait, and of a task that is cancelled", function()
      local response = {}
      local err = failure("api", client:get_record("code:15000", { response = response }))
      assert.same({ 200, 1, err.request_id }, { response.http_status, response.attempts, response.request_id })
      failure("argument", client:get_record("", { response = response }))
      assert.same({ 0, nil }, { response.attempts, response.http_status })
      record(client:wait("ok", { response = response }))
      assert.equal(1, response.attempts)
      local task = client:start("get_record", fresh "silent", { response = response })
      task:cancel()
      assert.equal("default", response.site)
    end)
  end)

  it("is counted by its outcome, and how long it took", function()
    record(client:get_record "ok")
    record(client:get_record(fresh "slow:60"))
    failure("api", client:get_record "code:15000")
    failure("argument", client:get_record "")
    record(client:wait "ok")
    local stats = client:stats()
    assert.same({ ok = 3, api = 1, argument = 1 }, stats.outcomes)
    local latency, sum = stats.latency, 0
    assert.equal(#latency.bounds + 1, #latency.counts)
    for _, count in ipairs(latency.counts) do sum = sum + count end
    assert.same({ 4, 4 }, { latency.count, sum })
    assert.is_true(latency.sum >= 0.06 and latency.sum < 5)
    stats.latency.counts[1] = 1000 -- a copy
    assert.is_true(client:stats().latency.counts[1] < 1000)
  end)

  it("is written to the log, a line for each event, without the key", function()
    local output = assert(helper.script(([[
      local client = require("aitoearn").new { server = %q, api_key = %q, log = "%s" }
      client:get_record "ok"
      client:get_record "code:15000"]]):format(p.cn.http, p.cn.key, "debug")))
    assert.truthy(output:find "aitoearn: attempt .*record_id=ok")
    assert.truthy(output:find "aitoearn: done .*code=15000")
    assert.falsy(output:find(p.cn.key, 1, true))
    output = assert(helper.script(([[
      local client = require("aitoearn").new { server = %q, api_key = %q, log = "info" }
      client:get_record "ok"]]):format(p.cn.http, p.cn.key)))
    assert.falsy(output:find "attempt ")
    assert.truthy(output:find "aitoearn: done ")
  end)

  it("that waits for the end of a hold goes on when that is released", function()
    failure("api", client:get_record(fresh "code:429:ttl=3600", { retry = false }))
    local started = socket.gettime()
    local waiting = client:start("get_record", "ok", { deadline = false })
    local batch = client:start("get_records", { "ok", "status:2" }, { deadline = false })
    client:poll(0.05)
    assert.is_false(waiting:done())
    assert.is_true(client:stats().sites.default.held_for > 3000)
    client:release()
    while client:poll(0.05) > 0 do assert(socket.gettime() < started + 5) end
    assert.equal(1, waiting:result().status)
    assert.equal(2, batch:result()["status:2"].status)
    assert.is_nil(client:stats().sites.default.held_for)
    assert.truthy(helper.raised(client.release, client, "mars"):find "site: ")
  end)

  describe("of many ids", function()
    local function numbers(count, slow_first)
      local ids = {}
      for i = 1, count do ids[i] = fresh(i == 1 and slow_first or "ok") end
      return ids
    end

    it("gives results in the ids' order where that is asked for, never far ahead of the slowest", function()
      local ids, asked, ahead = numbers(200, "slow:400"), 0, 0
      local given = 0
      local iterator = client:each_record(function()
        asked = asked + 1
        ahead = math.max(ahead, asked - given)
        return ids[asked]
      end, { ordered = true, concurrency = 8 })
      local id, got = iterator()
      while id do
        given = given + 1
        assert.same({ ids[given], 1 }, { id, got.status })
        id, got = iterator()
      end
      assert.equal(200, given)
      assert.is_true(ahead <= 4 * 8 + 1, ahead .. " ahead")
    end)

    it("ends at the first nil of an array, whoever has met it, and reads no further", function()
      local ids, seen = { fresh "ok", fresh "slow:30", nil, fresh "ok", 0 / 0 }, {}
      for id in client:each_record(ids, { concurrency = 4 }) do seen[#seen + 1] = id end
      table.sort(seen)
      local wanted = { ids[1], ids[2] }
      table.sort(wanted)
      assert.same(wanted, seen)
      local records, errs = client:get_records(ids)
      assert.same({ 1, 1, nil }, { records[ids[1]].status, records[ids[2]].status, next(errs) })
      assert.is_nil(records[ids[4]])
    end)

    -- PUC Lua 5.1 cannot yield across a metamethod.
    local yields_anywhere = rawget(_G, "jit") or _VERSION ~= "Lua 5.1"
    local it_where_it_can = yields_anywhere and it or function() end
    it_where_it_can("reads an array with a metatable where its consumer runs, which may yield", function()
      local ids, asked = { fresh "ok", fresh "ok" }, {}
      local lazy = setmetatable({}, { __index = function(_, i)
        return coroutine.yield(i)
      end })
      local seen = {}
      local co = coroutine.create(function()
        for id in client:each_record(lazy) do seen[#seen + 1] = id end
      end)
      local ok, wanted = coroutine.resume(co)
      while ok and wanted do
        asked[#asked + 1] = wanted
        ok, wanted = coroutine.resume(co, ids[wanted])
      end
      assert.same({ true, { 1, 2, 3 }, 2 }, { ok, asked, #seen })
    end)

    it("takes what can be called for an iterator", function()
      local i, ids = 0, { "ok", "status:2" }
      local callable = setmetatable({}, { __call = function()
        i = i + 1
        return ids[i]
      end })
      local records = client:get_records(callable)
      assert.same({ 1, 2 }, { records.ok.status, records["status:2"].status })
    end)

    it("cancels what is in flight where the ids raise", function()
      local asked = 0
      local iterator = client:each_record(function()
        asked = asked + 1
        if asked > 3 then error "no more" end
        return fresh "silent"
      end)
      assert.truthy(helper.raised(iterator):find "no more")
      assert.equal(0, client:stats().in_flight)
    end)
  end)

  it("of wait tells on_change of any field but updatedAt", function()
    local form = '{"code":0,"message":"","data":{"id":"s","accountType":"xhs","type":"video","status":2,'
      .. '"publishTime":"2026-01-01T00:00:00.000Z","updatedAt":"2026-01-01T00:00:%s.000Z","title":"%s"}}'
    p:answer("u1", form:format("01", "a"))
    p:answer("u2", form:format("02", "a"))
    p:answer("u3", form:format("03", "b"))
    local titles, waited = {}, fresh "file:u1;file:u2;file:u3;ok"
    record(client:wait(waited, {
      pace = function() return 0.01 end,
      on_change = function(got, _, id) titles[#titles + 1] = id == waited and got.title or "-" end,
    }))
    assert.equal("ab", table.concat(titles, "", 1, 2))
    assert.equal(3, #titles)
  end)

  it("of wait says why a goal is out of reach", function()
    local err = failure("goal", client:wait("status:-1", { goal = "published" }))
    assert.truthy(err.message:find "^it ended as FAILED: .")
  end)
end)
