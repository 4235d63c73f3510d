--- The whole way from `wait` and `wait_all` to the requests, on a clock of its own: days pass in a second.
local core = require "aitoearn.core"
local heap = require "aitoearn.heap"
local pace = require "aitoearn.pace"
local site = require "aitoearn.site"
local testing = require "aitoearn.testing"

local MINUTE, HOUR, DAY = 60, 3600, 86400

-- Unix time at which each clock begins: a whole hour. The times in here are seconds from then.
local EPOCH = 1767225600

-- A post that is due at `at`, starts up to 30 s later and is published after `takes` seconds more.
local function post(at, takes)
  return { at = at, starts = at + 15, ends = at + 15 + takes }
end

local function iso(at) return core.format_datetime(EPOCH + at) end

local function record_of(id, life, now)
  local status, touched = 0, -60
  if now >= life.ends then
    status, touched = life.final or 1, life.ends
  elseif now >= life.starts then
    status, touched = 2, life.starts
  end
  return { id = id, status = status, publishTime = iso(life.at), updatedAt = iso(touched),
    platformWorkId = status == 2 and "7" or nil }
end

-- A client of a platform with posts by id; `latency` of each answer.
local function client_of(posts, options, latency)
  local client
  local answers = {}
  local function answer(request)
    for id, life in pairs(posts) do
      if not request.id or request.id == id then client.records[id] = record_of(id, life, request.at - EPOCH) end
    end
    return { delay = latency or 0.05 }
  end
  for id in pairs(posts) do answers[id] = { answer } end
  answers["GET /records"] = { answer }
  options = options or {}
  options.answers, options.now = answers, EPOCH
  client = testing.client(options)
  return client
end

local function elapsed(client) return testing.now(client) - EPOCH end

-- The times at which each id was asked for, and those of all requests, lists included.
local function times_of(client)
  local asked, times = {}, {}
  for i, request in ipairs(client.requests) do
    times[i] = request.at - EPOCH
    if request.id then
      asked[request.id] = asked[request.id] or {}
      table.insert(asked[request.id], times[i])
    end
  end
  return asked, times
end

-- The most requests that were under way at once, each for `latency` seconds.
local function most_in_flight(client, latency)
  local _, times = times_of(client)
  local most, first = 0, 1
  for last = 1, #times do
    while times[last] - times[first] >= latency - 1e-6 do first = first + 1 end
    most = math.max(most, last - first + 1)
  end
  return most
end

local function shortest_gap(times)
  local shortest = math.huge
  for i = 2, #times do shortest = math.min(shortest, times[i] - times[i - 1]) end
  return shortest
end

-- The most requests in any second.
local function busiest_second(times)
  local most, first = 0, 1
  for last = 1, #times do
    while times[last] - times[first] >= 1 - 1e-6 do first = first + 1 end
    most = math.max(most, last - first + 1)
  end
  return most
end

describe("wait, on a clock of its own,", function()
  it("asks at most 60 times for a post that is scheduled 24 h ahead, and notices its end", function()
    local client = client_of { a = post(DAY, 60) }
    local record = assert(client:wait("a", { timeout = 2 * DAY }))
    assert.equal(1, record.status)
    local early = 0
    for _, at in ipairs(times_of(client).a) do
      if at < DAY then early = early + 1 end
    end
    assert.is_true(early >= 5 and early <= 60, early .. " requests")
    local late = elapsed(client) - (DAY + 75)
    assert.is_true(late >= 0 and late <= 9 + 1, ("noticed %g s late"):format(late))
  end)

  it("asks at most 20 times while a publish takes two minutes", function()
    local client = client_of { a = post(-15, 120) }
    assert(client:wait "a")
    assert.is_true(#client.requests <= 20, #client.requests .. " requests")
    assert.is_true(elapsed(client) >= 120 and elapsed(client) <= 120 + 18 + 1, "over at " .. elapsed(client))
  end)

  it("follows a publish time that is moved to an earlier hour", function()
    local life = post(20 * HOUR, 30)
    local client = client_of { a = life }
    local moved
    local record = client:wait("a", { timeout = DAY, on_change = function()
      if not moved then
        moved, life.at, life.starts, life.ends = true, 6 * HOUR, 6 * HOUR + 15, 6 * HOUR + 45
      end
    end })
    assert.equal(1, record.status)
    assert.is_true(elapsed(client) < 6 * HOUR + MINUTE, "noticed at " .. elapsed(client))
  end)

  it("looks once more just before its time is over, and then gives up with what it saw", function()
    local client = client_of { a = post(DAY, 60) }
    local record, err = client:wait("a", { timeout = 1000 })
    assert.is_nil(record)
    assert.same({ "timeout", 0, true }, { err.kind, err.record.status, err.retryable })
    assert.is_true(elapsed(client) >= 1000 and elapsed(client) < 1001, "gave up at " .. elapsed(client))
    local last = client.requests[#client.requests].at - EPOCH
    assert.is_true(last > 1000 - 1.2, "last look at " .. last)
  end)
end)

describe("wait_all, on a clock of its own,", function()
  it("gives each of 300 posts once, in the order in which they end, and asks none twice within 4 s", function()
    local posts, ids = {}, {}
    for i = 1, 300 do
      ids[i] = "p" .. i
      posts[ids[i]] = post((i * 7919) % (2 * HOUR), 20 + i % 100)
    end
    local client = client_of(posts)
    local seen, count, last = {}, 0, 0
    local following = client:wait_all(ids, { timeout = DAY })
    local id, record, err = following()
    while id do
      assert.is_nil(err)
      assert.same({ id, 1 }, { record.id, record.status })
      assert.is_nil(seen[id])
      assert.is_true(posts[id].ends >= last - 20)
      local late = elapsed(client) - posts[id].ends
      assert.is_true(late <= math.max(5, 0.15 * (posts[id].ends - posts[id].starts)) + 1, id .. " late by " .. late)
      seen[id], count, last = true, count + 1, posts[id].ends
      id, record, err = following()
    end
    assert.equal(300, count)
    for each, times in pairs((times_of(client))) do
      assert.is_true(shortest_gap(times) >= 4, each .. " was asked twice within " .. shortest_gap(times))
      assert.is_true(#times <= 60, each .. " was asked " .. #times .. " times")
    end
    assert.is_true(most_in_flight(client, 0.05) <= 32)
  end)

  it("stays under max_rate, whatever is due, and still ends every post", function()
    local posts, ids = {}, {}
    for i = 1, 200 do
      ids[i] = "p" .. i
      posts[ids[i]] = post(60, 30)
    end
    local client = client_of(posts, { max_rate = 5 })
    local records, errors = {}, 0
    local following = client:wait_all(ids, { timeout = HOUR })
    local id, record, err = following()
    while id do
      records[id], errors = record, errors + (err and 1 or 0)
      id, record, err = following()
    end
    assert.equal(0, errors)
    for _, each in ipairs(ids) do assert.equal(1, records[each].status) end
    local _, times = times_of(client)
    assert.is_true(busiest_second(times) <= 5, busiest_second(times) .. " requests in a second")
  end)

  it("gets to every id although those it follows are due all the time", function()
    local posts, ids = {}, {}
    for i = 1, 100 do
      ids[i] = "p" .. i
      posts[ids[i]] = post(HOUR, 30)
    end
    local client = client_of(posts, {}, 0.5)
    local following = client:wait_all(ids, { concurrency = 4, timeout = 60, pace = function() return 0 end })
    local ended = 0
    for _ = 1, 100 do
      local id, _, err = following()
      assert.truthy(id)
      assert.equal("timeout", err.kind)
      ended = ended + 1
      if ended == 1 then
        local reached = 0
        for _ in pairs((times_of(client))) do reached = reached + 1 end
        assert.equal(100, reached)
      end
    end
    assert.is_nil((following()))
  end)

  it("tells once how long each took, and counts each as one call", function()
    local function round(seconds) return math.floor(seconds * 1000 + 0.5) end
    local took = {}
    local client = client_of({ a = post(HOUR, 60), b = post(2 * HOUR, 60) }, { on_event = function(event)
      if event.type == "done" then took[#took + 1] = { event.method, event.record_id, round(event.elapsed) } end
    end })
    local following, ended_at = client:wait_all({ "a", "b" }, { timeout = DAY }), {}
    while following() do ended_at[#ended_at + 1] = round(elapsed(client)) end
    assert.same({ { "wait_all", "a", ended_at[1] }, { "wait_all", "b", ended_at[2] } }, took)
    assert.equal(2, client:stats().calls)
  end)

  it("ends each by its own timeout, with its last record", function()
    local posts, ids = {}, {}
    for i = 1, 50 do
      ids[i] = "p" .. i
      posts[ids[i]] = post(i <= 25 and 10 or DAY, 10)
    end
    local client = client_of(posts)
    local following, published, late = client:wait_all(ids, { timeout = 300 }), 0, 0
    local id, record, err = following()
    while id do
      if record then
        published = published + 1
      else
        late = late + 1
        assert.same({ "timeout", 0, id }, { err.kind, err.record.status, err.record_id })
      end
      id, record, err = following()
    end
    assert.same({ 25, 25 }, { published, late })
    assert.is_true(elapsed(client) >= 300 and elapsed(client) < 303, "over at " .. elapsed(client))
  end)
end)

describe("pacer, heap and turns together", function()
  -- What wait_all does with each look, without the looks: 10,000 records whose publish times are spread over a day.
  it("keep 10,000 records over 24 h under max_rate, and notice nearly all in time", function()
    local RECORDS, RATE = 10000, 20
    local seed, due, here = 11, heap.new(), site.new { name = "cn", urls = { "http://x" }, api_key = "key" }
    local function random()
      seed = (seed * 16807) % 2147483647
      return seed / 2147483647
    end
    here.interval = 1 / RATE
    local function date_time(at) return os.date("!%Y-%m-%dT%H:%M:%SZ", at) end
    for i = 1, RECORDS do
      local life = post(math.floor(i * DAY / RECORDS), 40 + i % 80)
      due:push(0, { life = life, pacer = pace.new(random), publish_time = date_time(life.at),
        started = date_time(life.starts) })
    end
    local record, requests, ended, late, now, times = {}, 0, 0, 0, 0, {}
    while due.count > 0 do
      now = math.max(now, due:first_due())
      local each = due:pop()
      now = now + here:take_slot(now)
      requests = requests + 1
      times[#times + 1] = now
      local life = each.life
      if now >= life.ends then
        ended = ended + 1
        if now - life.ends > math.max(5, 0.15 * (life.ends - life.starts)) + 1 then late = late + 1 end
      else
        local runs = now >= life.starts
        record.status, record.platformWorkId = runs and 2 or 0, "7"
        record.publishTime, record.updatedAt = each.publish_time, runs and each.started or nil
        due:push(now + each.pacer:delay(record, now), each)
      end
    end
    assert.equal(RECORDS, ended)
    assert.is_true(busiest_second(times) <= RATE, busiest_second(times) .. " requests in a second")
    assert.is_true(requests <= 60 * RECORDS, requests .. " requests")
    assert.is_true(late <= RECORDS / 20, late .. " were noticed late")
    assert.is_true(now <= DAY + 10 * MINUTE, "over at " .. now)
  end)
end)

local function new_engine()
  return core.engine { origins = 1, max_connections = 1, max_response_bytes = 1000, connect_timeout = 5, user_agent = "x" }
end

describe("engine:await", function()
  it("waits until something is done, forgets all that is, and says whether it is what was waited for", function()
    local engine = new_engine()
    local other, awaited = engine:timer(0.01), engine:timer(0.03)
    assert.is_false(engine:await(awaited))
    assert.is_true(other:is_done())
    assert.is_true(engine:await(awaited))
    assert.is_nil(engine:next())
    assert.is_true(engine:await(awaited)) -- at once
    engine:close()
  end)

  it("takes transfers of its own engine alone", function()
    local engine, stranger = new_engine(), new_engine()
    local ok, message = pcall(engine.await, engine, stranger:timer(1))
    assert.is_false(ok)
    assert.truthy(message:find("transfer of this engine expected", 1, true), message)
    for _, wrong in ipairs { {}, "transfer", io.stdout, engine } do
      assert.is_false((pcall(engine.await, engine, wrong)))
    end
    assert.is_false((pcall(engine.await, engine)))
    engine:close()
    stranger:close()
  end)
end)

describe("an engine's descriptor", function()
  it("is readable while there is something to do, and not when a timer was dealt with", function()
    local engine = new_engine()
    local fd = engine:getfd()
    local for_ever, soon = engine:timer(nil), engine:timer(0.01)
    assert.is_true(core.wait_fd(fd, 2000))
    while engine:poll(0) == 0 do core.wait_fd(fd, 100) end
    assert.equal(soon, engine:next())
    engine:poll(0)
    assert.is_false(core.wait_fd(fd, 50))
    for_ever:fire()
    assert.is_true(core.wait_fd(fd, 50))
    assert.equal(1, engine:poll(0))
    assert.equal(for_ever, engine:next())
    engine:close()
  end)
end)
