--- The testing kit: a real client over an engine, a clock and a platform of its own.
local aitoearn = require "aitoearn"
local cjson = require "cjson"
local helper = require "spec.helper"
local loop = require "aitoearn.host.loop"
local socket = require "socket"
local testing = require "aitoearn.testing"

local EPOCH = 1767225600 -- 2026-01-01T00:00:00Z
local POST = { items = { { platform = "douyin", accountId = "me" }, { platform = "xhs", accountId = "me" } },
  content = { title = "hello", body = "world" } }

local function raised(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(message)
end

local function has(text, part) assert.truthy(text:find(part, 1, true), ("%q expected in: %s"):format(part, text)) end

describe("testing.client", function()
  local client
  local function make(given)
    given.now = given.now or EPOCH
    client = testing.client(given)
    return client
  end
  local function passed() return testing.now(client) - EPOCH end
  local function kind_of(id, opts)
    local record, err = client:get_record(id, opts)
    return record and "record" or err.kind, err
  end
  after_each(function()
    if client then client:close() end
    client = nil
  end)

  describe("has records:", function()
    it("they come with what they lack, with their id, and are records", function()
      make { records = { a = { title = "x" } } }
      local record = assert(client:get_record "a")
      assert.same({ "a", "x", 1, "douyin", "video", "2026-01-01T00:00:00.000Z" },
        { record.id, record.title, record.status, record.accountType, record.type, record.publishTime })
      assert.is_true(record:is_final())
    end)

    it("an unknown id is 15000", function()
      local record, err = make({}):get_record "a"
      assert.is_nil(record)
      assert.same({ "api", 15000, "PublishRecordNotFound", "a" }, { err.kind, err.code, err.name, err.record_id })
      assert.is_nil((testing.client():get_record "a"))
    end)

    it("those given are copied; what the platform has can be looked at and changed", function()
      local given = { a = { status = 6, publishTime = "2026-02-01T00:00:00.000Z" } }
      make { records = given }
      assert.equal(2, client:publish_now("a").status)
      assert.same({ 6, 2 }, { given.a.status, client.records.a.status })
      client.records.a.status = -1
      assert.equal(-1, client:get_record("a").status)
      client.records.b = { status = 8 }
      assert.equal(8, client:get_record("b").status)
    end)

    it("a bad one is judged as on the wire", function()
      make { records = { a = { status = "1" }, b = { status = cjson.null } } }
      has(select(2, client:get_record "a").message, "data.status: integer expected, got string")
      has(select(2, client:get_record "b").message, "data.status: integer expected, got null")
    end)
  end)

  describe("gives answers:", function()
    it("one after the other, the last one again and again", function()
      make { retry = false, answers = { a = { { code = 500 }, { record = { status = 2 } }, { record = { status = 1 } } } } }
      assert.equal(500, select(2, client:get_record "a").code)
      assert.equal(2, client:get_record("a").status)
      for _ = 1, 3 do assert.equal(1, client:get_record("a").status) end
    end)

    it("an envelope with a code, its message and its data", function()
      make { retry = false, answers = { a = { { code = 15000, message = "gone" } },
        b = { { code = 429, data = { ttl = 30 } } } } }
      local err = select(2, client:get_record "a")
      assert.same({ "gone", 200 }, { err.message, err.http_status })
      err = select(2, client:get_record "b")
      assert.same({ 429, EPOCH + 30 }, { err.code, err.retry_at })
    end)

    it("an HTTP status with a gateway's page, a body, or an envelope", function()
      make { retry = false, answers = { a = { { http_status = 503 } }, b = { { http_status = 502, body = "no" } },
        c = { { http_status = 500, code = 401 } }, d = { { body = "<html>" } }, e = { { http_status = 201, record = {} } } } }
      local _, err = kind_of "a"
      assert.same({ "http", 503 }, { err.kind, err.http_status })
      has(err.body, "503")
      assert.same({ "http", "no" }, { kind_of "b", select(2, kind_of "b").body })
      assert.same({ "api", 401 }, { kind_of "c", select(2, kind_of "c").code })
      has(tostring(select(2, kind_of "d")), "it answered a web page")
      assert.equal("record", (kind_of "e"))
    end)

    for _, kind in ipairs { "dns", "connect", "tls", "timeout", "transport" } do
      it("a failure of the network: " .. kind, function()
        make { retry = false, answers = { a = { { kind = kind } }, b = { { kind = kind, message = "my words" } } } }
        local is, err = kind_of "a"
        assert.same({ kind, 1 }, { is, #err.attempts })
        has(select(2, kind_of "b").message, "my words")
      end)
    end

    it("a time-out after the attempt's time, and the deadline after its own", function()
      make { answers = { a = { { kind = "timeout" } } } }
      local is, err = kind_of "a"
      assert.same({ "timeout", 3, true }, { is, #err.attempts, passed() >= 45 and passed() < 50 })
      local from = passed()
      is, err = kind_of("a", { deadline = 20 })
      assert.same({ "timeout", 2, 20 }, { is, #err.attempts, passed() - from })
      has(err.message, "the deadline of 20 s passed")
    end)

    it("late, and too late for the attempt", function()
      make { retry = false, answers = { a = { { delay = 10, record = {} } }, b = { { delay = 16, record = {} } } } }
      assert.equal("record", (kind_of "a"))
      assert.equal(10, passed())
      assert.equal("timeout", (kind_of "b"))
      assert.equal(25, passed())
    end)

    it("by a function of the request; nothing, or only a delay, leaves it to the platform", function()
      local seen
      make {
        records = { a = {} },
        answers = { a = {
          function(request)
            seen = request
            return { code = 401 }
          end,
          function() end, { delay = 3 },
        } },
      }
      assert.equal("api", (kind_of("a", { request_id = "me" })))
      assert.same({ "GET", "/records/a", "a", "https://aitoearn.cn", "cn", "me", EPOCH },
        { seen.method, seen.path, seen.id, seen.server, seen.site, seen.request_id, seen.at })
      assert.equal("record", (kind_of "a"))
      assert.equal("record", (kind_of "a"))
      assert.equal(3, passed())
    end)

    it("can be changed in the middle", function()
      make { records = { a = {} } }
      assert.equal("record", (kind_of "a"))
      client.answers.a = { { code = 401 } }
      assert.equal("api", (kind_of "a"))
      client.answers = {}
      assert.equal("record", (kind_of "a"))
      client.records, client.requests = {}, {}
      assert.same({ "api", 1 }, { (kind_of "a"), #client.requests })
    end)

    it("of an answer that is too long", function()
      make { records = { a = { title = ("x"):rep(1000) } }, max_response_bytes = 500 }
      assert.equal("protocol", (kind_of "a"))
    end)
  end)

  describe("is a real client:", function()
    it("it repeats, as often and as late as it is told to", function()
      make { records = { a = {} }, answers = { a = { { http_status = 503, retry_after = 20 }, { kind = "connect" }, {} } } }
      assert.equal("record", (kind_of "a"))
      assert.same({ 3, 2, true }, { #client.requests, client:stats().retries, passed() >= 20 and passed() < 21 })
    end)

    it("a 429 holds its site, until released", function()
      make { records = { b = {} }, answers = { a = { { code = 429, data = { ttl = 3600 } } } } }
      local _, err = kind_of "a"
      assert.same({ 429, EPOCH + 3600 }, { err.code, err.retry_at })
      _, err = kind_of "b"
      has(err.hint, "asked for a pause")
      client:release()
      assert.equal("record", (kind_of "b"))
      assert.equal(0, passed())
    end)

    it("it goes to the next server, and ejects one that fails", function()
      local events = {}
      make { server = { "https://a.example", "https://b.example" },
        on_event = function(event) events[#events + 1] = event.type == "eject" and event.server or nil end,
        answers = { a = { function(request)
          return request.server == "https://a.example" and { http_status = 502 } or { record = {} }
        end } } }
      for _ = 1, 4 do assert.equal("record", (kind_of "a")) end
      assert.same({ "https://a.example" }, events)
      assert.equal(7, #client.requests)
    end)

    it("max_rate, a batch and its order", function()
      local ids, records = {}, {}
      for i = 1, 50 do
        ids[i] = "r" .. i
        records[ids[i]] = {}
      end
      make { records = records, max_rate = 10 }
      local count = 0
      local following = client:each_record(ids, { ordered = true })
      local id = following()
      while id do
        count = count + 1
        assert.equal(ids[count], id)
        id = following()
      end
      assert.same({ 50, 50 }, { count, #client.requests })
      assert.near(4.9, passed(), 0.01)
      local found, errors = client:get_records { "r1", "none" }
      assert.same({ "r1", 15000 }, { found.r1.id, errors.none.code })
    end)

    it("answers that come at the same time come in the order of the requests", function()
      make { answers = { c = { { delay = 1, record = {} } } } }
      local arrived = {}
      local following = client:each_record { "a", "b", "c", "d", "e" }
      local id = following()
      while id do
        arrived[#arrived + 1] = id
        id = following()
      end
      assert.equal("a b d e c", table.concat(arrived, " "))
    end)

    it("it waits, at once", function()
      local changes = {}
      make { answers = { a = { { record = { status = 6 } }, { http_status = 502 }, { record = { status = 2 } },
        { record = {} } } } }
      local record = assert(client:wait("a", { on_change = function(is) changes[#changes + 1] = is.status end }))
      assert.same({ 1, { 6, 2, 1 } }, { record.status, changes })
      assert.is_true(passed() > 5)
      client.answers.a = { { record = { status = 2 } } }
      local _, err = client:wait("a", { timeout = 600 })
      assert.same({ "timeout", 2 }, { err.kind, err.record.status })
      has(raised(client.wait, client, "a", { goal = function() error "mine" end }), "mine")
    end)

    it("locate asks each site; a function knows which is asked", function()
      make { sites = { cn = {}, intl = {}, mine = {} }, site = "cn", answers = { a = { function(request)
        return request.site == "mine" and { record = {} } or { code = 15000 }
      end } } }
      local record, name = client:locate "a"
      assert.same({ "a", "mine", "https://mine.example" }, { record.id, name, client.requests[3].server })
    end)

    it("numbers are the same in every run, and no environment counts", function()
      local function run()
        make { answers = { a = { { http_status = 502 } } } }
        kind_of "a"
        local at = passed()
        client:close()
        return at
      end
      assert.equal(run(), run())
      assert.equal("1", (helper.script([[
        local client = require("aitoearn.testing").client { records = { a = {} } }
        print(client:get_record("a").status)]],
        "AITOEARN_SERVER=nonsense AITOEARN_API_KEY=' ' https_proxy=x:y:z SSL_CERT_FILE=/nowhere")))
    end)

    it("close ends what is under way", function()
      make { answers = { a = { { delay = 5, record = {} } } } }
      local task = client:start("get_record", "a")
      client:close()
      assert.equal("closed", select(2, task:result()).kind)
      assert.equal("closed", (kind_of "a"))
    end)

    it("a wait for something that will never happen raises", function()
      make { timeout = false, deadline = false, answers = { a = { { delay = math.huge } } } }
      has(raised(client.get_record, client, "a"), "nothing will ever happen")
    end)
  end)

  describe("has the other routes:", function()
    it("publish makes records that are published at their time", function()
      make {}
      local flow = assert(client:publish { items = POST.items, content = POST.content, publishAt = EPOCH + 3600 })
      assert.same({ 2, 6, "me" }, { #flow.tasks, flow.tasks[1].status, flow.tasks[1].accountId })
      local record = assert(client:get_record(flow.tasks[1].id))
      assert.same({ flow.flowId, "hello", "world", "2026-01-01T01:00:00.000Z" },
        { record.flowId, record.title, record.desc, record.publishTime })
      local ended = assert(client:wait_flow(flow.flowId, { goal = "link", timeout = 7200 }))
      assert.same({ 1, 1 }, { ended.tasks[1].status, ended.tasks[2].status })
      assert.is_true(passed() >= 3610 and passed() < 3640)
      assert.same({ "POST", "/flows", flow.flowId, "hello" }, { client.requests[1].method, client.requests[1].path,
        client.requests[1].flow_id, client.requests[1].body.content.title })
    end)

    it("a post more than a day ahead waits; a flow id is taken once", function()
      make {}
      local post = { items = POST.items, content = POST.content, publishAt = EPOCH + 86400 * 2, flowId = "mine" }
      assert.equal(0, client:publish(post).tasks[1].status)
      local _, err = client:publish(post)
      assert.same({ 15025, "mine" }, { err.code, err.flowId })
      assert.equal("mine", client:get_flow("mine").flowId)
      assert.equal(15050, select(2, client:get_flow "other").code)
    end)

    it("a publish whose answer is late took place; one that timed out did not; each is published once", function()
      make { answers = { ["POST /flows"] = { { delay = 20 }, {} } } }
      local flow = assert(client:publish(POST))
      assert.same({ 2, 3 }, { #flow.tasks, #client.requests }) -- 15025 to the second, then the flow
      make { answers = { ["POST /flows"] = { { kind = "timeout" }, {} } } }
      flow = assert(client:publish(POST))
      assert.same({ 2, 2 }, { #flow.tasks, #client.requests })
      make { answers = { ["POST /flows"] = { { kind = "timeout" } } } }
      local _, err = client:publish(POST)
      assert.same({ true, false, 3 }, { err.may_have_happened, err.retryable, #client.requests })
    end)

    it("an action whose outcome is unclear is looked up", function()
      make { records = { a = { status = 6, publishTime = "2026-02-01T00:00:00.000Z" } },
        answers = { ["POST /tasks/a/publish-now"] = { { delay = 20 } } } }
      local record = assert(client:publish_now "a")
      assert.same({ 1, 2 }, { record.status, #client.requests })
    end)

    it("lists by filter, newest first", function()
      make { records = {
        a = { createdAt = "2026-01-01T00:00:00.000Z", accountId = "x" },
        b = { createdAt = "2026-01-02T00:00:00.000Z", status = 6, publishTime = "2026-01-05T00:00:00.000Z" },
        c = { createdAt = "2026-01-03T00:00:00.000Z", source = "task_link" },
      } }
      local function ids(filter)
        local list = {}
        for i, record in ipairs(assert(client:list_records(filter))) do list[i] = record.id end
        return table.concat(list, " ")
      end
      assert.equal("b a", ids())
      assert.equal("b", ids { list = "queued" })
      assert.equal("a", ids { list = "published" })
      assert.equal("a", ids { accountId = "x" })
      assert.equal("b", ids { status = 6 })
      assert.equal("", ids { accountType = "xhs" })
      assert.equal("b", ids { from = EPOCH + 86400, to = EPOCH + 86400 * 5 })
      assert.same({ "/records", "2026-01-02T00:00:00.000Z,2026-01-06T00:00:00.000Z" },
        { client.requests[7].path, client.requests[7].query.time })
    end)

    it("actions go by the record's state", function()
      local states = { a = 6, b = -1, c = 1, d = 8, e = 2 }
      local records = {}
      for id, status in pairs(states) do records[id] = { status = status, publishTime = "2026-01-01T12:00:00.000Z" } end
      make { records = records }
      local function code(method, ...) return select(2, client[method](client, ...)).code end
      assert.equal("2026-01-01T20:00:00.000Z", client:reschedule("a", "2026-01-01T20:00:00Z").publishTime)
      assert.equal(9, client:cancel("a").status)
      assert.equal(2, client:retry("b").status)
      assert.same({ 15058, 15057, 15095, 15018, 15018 }, { code("publish_now", "c"), code("reschedule", "c", EPOCH),
        code("retry", "c"), code("user_action", "c"), code("delete_record", "e") })
      assert.equal("goal", select(2, client:cancel "e").kind)
      assert.equal("d", client:user_action("d").recordId)
      assert.is_true(client:delete_record "c")
      assert.same({ 15000, 15004, 15000 }, { code("get_record", "c"), code("retry", "c"), code("delete_record", "c") })
    end)

    it("answers of one's own for each, by method and path", function()
      make { records = { a = { status = 8 } }, answers = {
        ["GET /records/queued"] = { { data = { { id = "q", accountType = "x", type = "y", status = 0, publishTime = "z" } } } },
        ["GET /flows/f"] = { { data = { flowId = "f", tasks = {} } } },
        ["DELETE /tasks/a"] = { { code = 15055 } },
        ["GET /records/a/user-action"] = { { code = 15062 } },
      } }
      assert.equal("q", client:list_records({ list = "queued" })[1].id)
      assert.same({ flowId = "f", tasks = {} }, client:get_flow "f")
      assert.equal(15055, select(2, client:cancel "a").code)
      assert.equal(15062, select(2, client:user_action "a").code)
      assert.equal(8, client:get_record("a").status)
    end)
  end)

  describe("in a frame loop", function()
    it("time passes by advance alone", function()
      make { answers = { a = { { delay = 5, record = {} } } } }
      local task = client:start("get_record", "a")
      assert.equal(1, client:poll())
      testing.advance(client, 4.5)
      assert.is_false(task:done())
      testing.advance(client, 0.5)
      assert.is_true(task:done())
      assert.same({ "a", 5, 0 }, { task:result().id, passed(), client:poll() })
    end)

    it("whatever is due in between happens at its time", function()
      make {}
      local flow = client:publish(POST)
      client.records[flow.tasks[2].id] = nil
      local seen = {}
      local task = client:start("wait", flow.tasks[1].id, { on_change = function(record)
        seen[#seen + 1] = { record.status, passed() }
      end })
      testing.advance(client, 3600)
      assert.equal(1, task:result().status)
      assert.same({ 2, 1 }, { seen[1][1], seen[2][1] })
      assert.is_true(seen[2][2] >= 10 and seen[2][2] < 20)
      assert.equal(3600, passed())
    end)

    it("a poll with a time waits for it", function()
      make { answers = { a = { { delay = 5, record = {} } } } }
      local task = client:start("get_record", "a")
      assert.equal(1, client:poll(3))
      assert.equal(3, passed())
      client:poll(3)
      assert.same({ true, 5 }, { task:done(), passed() })
    end)

    it("a poll hands out all that came, however long that takes", function()
      make {}
      for i = 1, 20 do
        client:start("get_record", "r" .. i):on_done(function() socket.sleep(0.001) end)
      end
      assert.equal(0, client:poll())
    end)

    it("time passes so for a host with an event loop too, which has no descriptor to watch", function()
      local watched, step
      make {
        host = function(engine)
          return loop.new(engine, {
            watch = function(fd, step_host) watched, step = fd == nil, step_host end,
            unwatch = function() step = nil end,
          })
        end,
        answers = { a = { { delay = 5, record = {} } } },
      }
      local task = client:start("get_record", "a")
      step()
      assert.same({ true, false }, { watched, task:done() })
      testing.advance(client, 5)
      step()
      assert.same({ true, "a" }, { task:done(), task:result().id })
      assert.is_nil(step)
    end)

    it("a task can be cancelled", function()
      make { answers = { a = { { delay = 5, record = {} } } } }
      local task = client:start("get_record", "a")
      task:cancel()
      assert.equal("cancelled", select(2, task:result()).kind)
      testing.advance(client, 60)
    end)
  end)

  it("takes every option, and names what is wrong where it is made", function()
    local cases = {
      { { timeot = 1 }, "timeot: unknown option; did you mean timeout?" },
      { { timeout = "1" }, "timeout: " },
      { { records = 1 }, "records: table expected, got number" },
      { { records = { a = 1 } }, "records.a: a record" },
      { { records = { a = { title = print } } }, "records.a.title: JSON has no function" },
      { { answers = 1 }, "answers: table expected" },
      { { answers = { a = { record = {} } } }, "answers.a: an array of answers expected" },
      { { answers = { a = { 1 } } }, "answers.a[1]: a table or a function expected" },
      { { answers = { a = { {}, { recrod = {} } } } }, "answers.a[2].recrod: unknown field; did you mean record?" },
      { { answers = { a = { { code = "1" } } } }, "answers.a[1].code: number expected" },
      { { answers = { a = { { kind = "http" } } } }, "answers.a[1].kind: dns, connect, tls, timeout or transport" },
      { { answers = { a = { { delay = -1 } } } }, "answers.a[1].delay" },
      { { now = "now" }, "now: Unix seconds expected" },
    }
    for _, case in ipairs(cases) do
      local message = raised(function() testing.client(case[1]) end)
      has(message, "testing_spec.lua:")
      has(message, case[2])
    end
    make { answers = { a = { function() return { recrod = {} } end } } }
    has(raised(client.get_record, client, "a"), "answers.a[1]().recrod: unknown field")
    has(raised(function() testing.client(1) end), "options: table expected")
    has(raised(function() testing.advance({}, 1) end), "testing_spec.lua:")
    has(raised(function() testing.advance(client, -1) end), "advance: number of seconds expected")
    has(raised(function() testing.now(aitoearn.new { api_key = "k" }) end), "now: a client of aitoearn.testing expected")
  end)
end)

describe("the engine in Lua", function()
  local function methods_of(object)
    local names = {}
    for name, value in pairs(debug.getmetatable(object).__index) do
      if type(value) == "function" and name ~= "first_due" then names[#names + 1] = name end
    end
    table.sort(names)
    return names
  end

  it("has the methods of the C part's, and so have its transfers", function()
    local real, own = aitoearn.new({ api_key = "k" }).engine, testing.client().engine
    assert.same(methods_of(real), methods_of(own))
    assert.same(methods_of(real:timer(0)), methods_of(own:timer(0)))
  end)
end)

describe("testing.record", function()
  it("makes a record of what is given", function()
    local record = testing.record { status = 2, publishTime = "2026-01-01T00:00:00Z" }
    assert.is_false(record:is_final())
    assert.same({ 24, "PUBLISHING", EPOCH }, { #record.id, record:status_name(), record:published_at() })
    assert.is_true(testing.record():is_live())
    assert.same({ "a", "b" }, testing.record({ imgUrlList = { "a", "b" } }).imgUrlList)
  end)

  it("raises on what is none", function()
    has(raised(function() testing.record { status = "x" } end), "record: status: integer expected, got string")
    has(raised(function() testing.record { title = print } end), "JSON has no function")
    has(raised(function() testing.record(1) end), "testing_spec.lua:")
  end)
end)

describe("testing.error", function()
  it("makes an error of what is given", function()
    local err = testing.error { kind = "timeout", site = "cn" }
    assert.is_true(aitoearn.is_error(err))
    assert.same({ "timeout", "timeout", true, 0 }, { err.kind, err.message, err.retryable, #err.attempts })
    err = testing.error { code = 15000 }
    assert.same({ "api", 15000, "PublishRecordNotFound", false }, { err.kind, err.code, err.name, err.retryable })
    err = testing.error { http_status = 503, retryable = false, hint = "look again" }
    assert.same({ "http", "HTTP status 503", false, "look again" }, { err.kind, err.message, err.retryable, err.hint })
    local record = testing.record()
    err = testing.error { kind = "goal", message = "no", record = record, may_have_happened = true }
    assert.equal(record, err.record)
    has(tostring(err), "goal: no")
  end)

  it("raises on what is none", function()
    has(raised(function() testing.error { kind = "nonsense" } end), "testing_spec.lua:")
    has(raised(function() testing.error { kind = "api", cod = 1 } end), "error.cod: unknown field; did you mean code?")
    has(raised(function() testing.error() end), "error: table expected")
  end)
end)
