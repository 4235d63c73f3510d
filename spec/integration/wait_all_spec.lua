local helper = require "spec.helper"
local socket = require "socket"

local HERE = "spec/integration/wait_all_spec.lua"

describe("wait_all", function()
  local p, client
  local fresh = helper.fresh

  local function pace() return 0.1 end

  local function many(count, steps)
    local ids = {}
    for i = 1, count do ids[i] = fresh(type(steps) == "function" and steps(i) or steps) end
    return ids
  end

  -- Takes everything; each id may come once.
  local function collect(iterator)
    local records, errors, count = {}, {}, 0
    local id, record, err = iterator()
    while id ~= nil do
      assert(records[id] == nil and errors[id] == nil, "given twice: " .. tostring(id))
      assert((record == nil) ~= (err == nil))
      records[id], errors[id], count = record, err, count + 1
      id, record, err = iterator()
    end
    return records, errors, count
  end

  -- The times of the requests for each id, by the path they had.
  local function times_by_id()
    local times = {}
    for _, request in ipairs(p:requests()) do
      times[request.uri] = times[request.uri] or {}
      table.insert(times[request.uri], request.at)
    end
    return times
  end

  setup(function() p = helper.start() end)
  before_each(function()
    client = helper.client()
    p:forget()
  end)
  after_each(helper.close)
  teardown(helper.stop)

  it("gives each of 200 records once, when its goal is reached, and asks none twice within its interval", function()
    local ids = many(200, function(i) return ("life:%g:%g"):format(i % 10 / 10, 0.2 + i % 7 / 10) end)
    local started = socket.gettime()
    local records, errors, count = collect(client:wait_all(ids, { pace = pace, timeout = 60, survey = false }))
    assert.is_true(socket.gettime() - started >= 0.8)
    assert.same({ 200, {} }, { count, errors })
    for _, id in ipairs(ids) do assert.equal(1, records[id].status) end
    local asked = 0
    for _, times in pairs(times_by_id()) do
      asked = asked + 1
      for i = 2, #times do
        local gap = times[i] - times[i - 1]
        assert.is_true(gap >= 0.095, ("asked again after %g s"):format(gap)) -- the log knows milliseconds
      end
    end
    assert.equal(200, asked)
  end)

  it("gives them in the order in which they end, not in that of the input", function()
    local late, early, at_once = fresh "life:0:1.5", fresh "life:0:0.5", fresh "status:9"
    local order = {}
    for id in client:wait_all({ late, early, at_once }, { pace = pace, timeout = 60 }) do order[#order + 1] = id end
    assert.same({ at_once, early, late }, order)
  end)

  it("gives each its own end: reached, out of reach, not found, no id at all", function()
    local dead, gone = fresh "status:2;status:-1", fresh "status:2;code:15000;code:15000"
    local revoked, goes_on = fresh "status:2;code:401", fresh "status:2;http:502;code:500;ok"
    local records, errors, count = collect(client:wait_all({ "ok", dead, gone, revoked, goes_on, "", 42, false,
      "code:15000" }, { goal = "published", pace = pace, timeout = 60, retry = { base = 0.01 } }))
    assert.equal(9, count)
    assert.same({ 1, 1 }, { records.ok.status, records[goes_on].status })
    assert.same({ "goal", -1 }, { errors[dead].kind, errors[dead].record.status })
    assert.same({ 15000, 2 }, { errors[gone].code, errors[gone].record.status })
    assert.same({ 401, 2 }, { errors[revoked].code, errors[revoked].record.status })
    assert.same({ 15000, nil }, { errors["code:15000"].code, errors["code:15000"].record })
    for _, id in ipairs { "", 42, false } do assert.equal("argument", errors[id].kind) end
  end)

  it("takes an iterator, follows an id that is given twice once, and needs none at all", function()
    local ids, i = many(100, "status:2;ok"), 0
    local records, errors, count = collect(client:wait_all(function()
      i = i + 1
      return ids[(i + 1) / 2 - (i + 1) % 2 / 2]
    end, { pace = pace, timeout = 60, survey = false }))
    assert.same({ 100, {}, 1 }, { count, errors, records[ids[100]].status })
    assert.equal(200, #p:requests())
    assert.is_nil((client:wait_all({})()))
    assert.is_nil((client:wait_all(function() end)()))
  end)

  it("ends each by its own timeout with the last record, while others go on", function()
    local stuck, fine = many(20, "status:2"), many(20, "life:0:0.3")
    local ids = {}
    for i = 1, 20 do ids[2 * i - 1], ids[2 * i] = stuck[i], fine[i] end
    local started = socket.gettime()
    local records, errors, count = collect(client:wait_all(ids, { pace = pace, timeout = 1.5 }))
    local took = socket.gettime() - started
    assert.equal(40, count)
    for i = 1, 20 do
      assert.equal(1, records[fine[i]].status)
      local err = errors[stuck[i]]
      assert.same({ "timeout", 2, stuck[i] }, { err.kind, err.record.status, err.record_id })
    end
    assert.is_true(took >= 1.49 and took < 6, took .. " s")
  end)

  it("keeps to max_rate over all records", function()
    local own = helper.client { max_rate = 50 }
    local records, errors, count = collect(own:wait_all(many(60, "status:2;ok"), { pace = pace, timeout = 60, survey = false }))
    assert.same({ 60, {} }, { count, errors })
    assert.is_truthy(next(records))
    local at = helper.column(p:requests(), "at")
    assert.equal(120, #at)
    -- A request may come late, never early: the first n take at least (n - 1) / 50 s.
    for n = 10, 120, 10 do assert.is_true(at[n] - at[1] >= (n - 1) / 50 - 0.1, n .. " in " .. at[n] - at[1] .. " s") end
  end)

  it("keeps no more than `concurrency` in flight", function()
    local own, most
    own = helper.client { max_connections = 40, on_event = function() most = math.max(most, own:stats().in_flight) end }
    most = 0
    local _, _, count = collect(own:wait_all(many(60, "slow:20:status:1"), { concurrency = 6, timeout = 60 }))
    assert.equal(60, count)
    assert.is_true(most >= 5 and most <= 6, most .. " in flight")
  end)

  it("holds all of them back at a 429 that names a time", function()
    local ids = many(30, "status:2;ok")
    table.insert(ids, 1, fresh "code:429:ttl=1;ok")
    local _, errors, count = collect(client:wait_all(ids, { pace = pace, timeout = 60, concurrency = 4 }))
    assert.same({ 31, {} }, { count, errors })
    local from = p:requests()[1].at
    for _, request in ipairs(p:requests()) do
      assert.is_false(request.at > from + 0.15 and request.at < from + 0.95)
    end
  end)

  it("tells on_change of each record, and on_event of each look", function()
    local changes, looks = {}, 0
    local own = helper.client { on_event = function(event) looks = looks + (event.type == "poll" and 1 or 0) end }
    local function on_change(record, previous)
      local change = (previous and previous.status or "none") .. " to " .. record.status
      changes[change] = (changes[change] or 0) + 1
    end
    collect(own:wait_all(many(10, "status:2;status:4;ok"), { pace = pace, timeout = 60, on_change = on_change }))
    assert.same({ ["none to 2"] = 10, ["2 to 4"] = 10, ["4 to 1"] = 10 }, changes)
    assert.equal(30, looks)
  end)

  it("raises what the caller's goal or pace raises, and leaves nothing in flight", function()
    for _, name in ipairs { "goal", "pace" } do
      local opts = { [name] = function() error "no such thing" end }
      local iterator = client:wait_all({ "status:2", fresh "silent" }, opts)
      assert.truthy(helper.raised(iterator):find("no such thing", 1, true))
      assert.equal(0, client:stats().in_flight)
    end
    assert.equal(1, client:get_record("ok").status)
  end)

  it("raises mistakes in the program at the line that made them", function()
    for expected, call in pairs {
      ["ids: "] = { true }, ["goal: "] = { {}, { goal = 1 } }, ["timeout: "] = { {}, { timeout = 0 } },
      ["concurrency: "] = { {}, { concurrency = "many" } }, ["request: unknown"] = { {}, { request = 1 } },
    } do
      local message = helper.raised(function() client:wait_all(call[1], call[2]) end)
      assert.truthy(message:find(HERE, 1, true), message)
      assert.truthy(message:find(expected, 1, true), message)
    end
  end)

  it("stops at close, whether looks are in flight or everybody sleeps", function()
    local iterator = client:wait_all({ "ok", fresh "silent", fresh "status:0" })
    assert.equal("ok", (iterator()))
    iterator:close()
    assert.equal(0, client:stats().in_flight)
    assert.is_nil((iterator()))
    local sleeping
    local own = helper.client()
    own:start("get_record", fresh "slow:300"):on_done(function() sleeping:close() end)
    sleeping = own:wait_all(many(3, "status:0"), { timeout = 5000, pace = function() return 5 end })
    local started = socket.gettime()
    assert.is_nil((sleeping()))
    assert.is_true(socket.gettime() - started < 4)
  end)

  it("ends every id as closed when the client is closed, with what it saw", function()
    local own = helper.client()
    own:start("get_record", fresh "slow:500"):on_done(function() own:close() end)
    local started = socket.gettime()
    local following = own:wait_all(many(80, "status:0"), { timeout = 5000, pace = function() return 5 end })
    local records, errors, count = collect(following)
    assert.is_true(socket.gettime() - started < 4)
    assert.same({ {}, 80 }, { records, count })
    for _, err in pairs(errors) do assert.same({ "closed", 0 }, { err.kind, err.record.status }) end
  end)

  it("streams into a frame loop", function()
    local ids, seen = many(20, "life:0:0.3"), {}
    local task = client:start("wait_all", ids, { pace = pace, timeout = 60, on_record = function(id, record)
      assert(not seen[id])
      seen[id] = record.status
    end })
    local ends, frames = socket.gettime() + 10, 0
    while client:poll() > 0 do
      assert(socket.gettime() < ends)
      socket.sleep(0.005)
      frames = frames + 1
    end
    assert.is_true(frames > 10)
    local records = task:result()
    for _, id in ipairs(ids) do assert.same({ 1, 1 }, { seen[id], records[id].status }) end
  end)
end)
