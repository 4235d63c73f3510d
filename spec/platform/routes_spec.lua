--- Checks that the local platform's routes beside GET of one record behave as the real server's.
local aitoearn = require "aitoearn"
local clocks = require "spec.clock"
local curl = require "spec.platform.curl"
local http = require "spec.platform.http"
local platform = require "spec.platform"
local shell = require "spec.platform.shell"
local socket = require "socket"

local NOBODY = "e877a1b2c3d4e5f601234567"   -- lives on the other site

local function iso(at) return os.date("!%Y-%m-%dT%H:%M:%S", at) .. ".000Z" end

local function column(rows, name)
  local values = {}
  for i, row in ipairs(rows) do values[i] = row[name] end
  return values
end

describe("the local platform's routes", function()
  local p, send, now

  setup(function()
    p = assert(platform.start { workers = 2 })
    send = http.sender(p)
  end)
  teardown(function() p:stop() end)
  before_each(function()
    p:reset()
    p:forget()
    now = math.floor(socket.gettime())
  end)

  local function post_of(items, more)
    local post = { items = items, publishAt = iso(now), content = { title = "A walk", media = {} } }
    for name, value in pairs(more or {}) do post[name] = value end
    return post
  end

  local function record_of(id)
    local code, data = send("GET /records/" .. id)
    return data, code
  end

  local function status_of(id) return record_of(id).status end

  local function codes_by_status(route, body)
    local codes = {}
    for status = -1, 9 do
      local id = p:seed({ { status = status } })[1]
      codes[status] = send(route:gsub("ID", id), body)
    end
    return codes
  end

  describe("lists", function()
    it("are bare arrays without paging, newest first, without what came as task links", function()
      local seeds = {}
      for i = 1, 1200 do seeds[i] = { status = 1, title = "t" .. i, createdAt = now - 5000 + i } end
      seeds[1201] = { status = 1, source = "task_link" }
      seeds[1202] = { status = 1, source = "offline_qr" }
      p:seed(seeds)
      local code, data, got = send "GET /records?limit=10&page=2"
      assert.same({ 0, 1200, "t1200", "t1" }, { code, #data, data[1].title, data[1200].title })
      assert.truthy(got.body:find '"data":%[{')
      assert.truthy(select(3, send "GET /records?status=9").body:find('"data":[]', 1, true))
      assert.equal(1200, #select(2, send "GET /records/"))
    end)

    it("show some states alone, by their name", function()
      for status = -1, 9 do p:seed { { status = status } } end
      local function statuses(route)
        local found = column(select(2, send(route)), "status")
        table.sort(found)
        return found
      end
      assert.same({ 0, 6 }, statuses "GET /records/queued")
      assert.same({ 1 }, statuses "GET /records/published")
      assert.same({ 0, 6 }, statuses "GET /records/queued?status=9")
      assert.same({ 9 }, statuses "GET /records?status=9")
      assert.same({ -1 }, statuses "GET /records?status=-1")
      assert.equal(11, #statuses "GET /records")
    end)

    it("take exactly two dates, both included, on the publish time", function()
      for i = 0, 4 do p:seed { { status = 1, publishTime = now + i * 60, title = tostring(i) } } end
      local function titles(from, to)
        local found = column(select(2, send(("GET /records?time=%s,%s"):format(from, to))), "title")
        table.sort(found)
        return table.concat(found)
      end
      assert.equal("123", titles(iso(now + 60), iso(now + 180)))
      assert.equal("123", titles(iso(now + 60):gsub(":", "%%3A"), iso(now + 180):gsub(":", "%%3A")))
      assert.equal("12", titles(iso(now + 60), iso(now + 179)))
      local zone = os.date("!%Y-%m-%dT%H:%M:%S", now + 60 + 28800) .. "%2B08:00"
      assert.equal("1", titles(zone, zone))
      assert.equal("", titles(iso(now + 180), iso(now + 60)))
      for _, wrong in ipairs {
        iso(now), iso(now) .. "," .. iso(now) .. "," .. iso(now), "yesterday," .. iso(now), iso(now) .. ",", "",
        iso(now) .. "," .. "2026-11-26T10:00:00+08:00", iso(now) .. "," .. iso(now) .. "&time=" .. iso(now),
        "2026-13-01," .. iso(now),
      } do
        assert.equal(400, (send("GET /records?time=" .. wrong)), wrong)
      end
    end)

    it("filter by account and social platform, refuse what their schema does not have, ignore what it does not know", function()
      p:seed { { status = 1, accountId = "a", accountType = "xhs" }, { status = 1, accountId = "ab", accountType = "douyin" } }
      assert.equal(1, #select(2, send "GET /records?accountId=a"))
      assert.equal(0, #select(2, send "GET /records?accountId=A"))
      assert.same({ "douyin" }, column(select(2, send "GET /records?accountType=douyin"), "accountType"))
      assert.equal(2, #select(2, send "GET /records?from=x&to=y&accounttype=z&ids=1"))
      assert.equal(400, (send "GET /records?accountType=toutiao"))
      for _, wrong in ipairs { "10", "-2", "PUBLISHED", "1,6", "", "1&status=6" } do
        assert.equal(400, (send("GET /records?status=" .. wrong)), wrong)
      end
    end)

    it("are code 500 for one odd record among them", function()
      local ids = p:seed { { status = 1 }, { status = 6, odd = true } }
      assert.equal(500, (send "GET /records"))
      assert.equal(500, (send "GET /records/queued"))
      assert.equal(500, select(2, record_of(ids[2])))
      assert.equal(0, (send "GET /records?status=1"))
      assert.equal(0, (send "GET /records/published"))
    end)

    it("hold the array under a name, as other versions do", function()
      p:seed { { status = 1 } }
      for _, name in ipairs { "records", "list", "items", "rows" } do
        p:settings { list_key = name }
        assert.equal(1, #select(2, send "GET /records")[name])
      end
    end)

    it("belong to a site", function()
      p:seed({ { status = 1 } }, "intl")
      assert.equal(0, #select(2, send "GET /records"))
      assert.equal(1, #select(2, send("GET /records", nil, { base = p.intl.backup, key = p.intl.key })))
    end)

    it("show odd values as they were seeded", function()
      p:seed { { status = "soon", publishTime = "never", shiny = { 1, 2 }, linkMeta = { a = 1 } } }
      local record = select(2, send "GET /records")[1]
      assert.same({ "soon", "never", { 1, 2 }, { a = 1 } },
        { record.status, record.publishTime, record.shiny, record.linkMeta })
    end)
  end)

  describe("POST /flows", function()
    it("makes a record for each item, and answers with their states", function()
      local code, flow = send("POST /flows", post_of({
        { platform = "xhs", accountId = "6877a1b2c3d4e5f6a0000009", option = { a = 1 } },
        { platform = "youtube", accountId = "ok" },
      }, {
        flowId = "my flow/7", context = { taskId = "task-7", source = "mcp" },
        content = { title = "T", body = "B", cover = "https://c.example/c.jpg",
          media = { { url = "https://m.example/a.mp4" }, { url = "https://m.example/b.jpg", options = { x = 1 } } } },
      }))
      assert.equal(0, code)
      assert.equal("my flow/7", flow.flowId)
      assert.equal(2, #flow.tasks)
      for _, task in ipairs(flow.tasks) do
        assert.truthy(task.id:find "^%x+$" and #task.id == 24)
        assert.truthy(task.status == 6 or task.status == 2)
        assert.equal(iso(now), task.publishTime)
        assert.is_nil(task.accountType)
        assert.is_nil(task.title)
      end
      assert.same({ "xhs", "youtube" }, column(flow.tasks, "platform"))
      local record = record_of(flow.tasks[1].id)
      assert.same({ "my flow/7", "task-7", "6877a1b2c3d4e5f6a0000009", "xhs", "video", "T", "B", "mcp",
        "https://m.example/a.mp4", "https://c.example/c.jpg", { "https://m.example/b.jpg" } },
        { record.flowId, record.taskId, record.accountId, record.accountType, record.type, record.title, record.desc,
          record.source, record.videoUrl, record.coverUrl, record.imgUrlList })
      assert.equal(2, #select(2, send "GET /records"))
    end)

    it("makes a flow once only", function()
      local post = post_of({ { platform = "xhs", accountId = "ok" } }, { flowId = "once" })
      assert.equal(0, (send("POST /flows", post)))
      local code, data = send("POST /flows", post)
      assert.same({ 15025, { flowId = "once" } }, { code, data })
      assert.equal(15025, (send("POST /flows", post, { base = p.cn.backup })))
      assert.equal(0, (send("POST /flows", post, { base = p.intl.http, key = p.intl.key })))
      assert.equal(0, (send("POST /flows", post_of { { platform = "xhs", accountId = "ok" } })))
      assert.equal(0, (send("POST /flows", post_of { { platform = "xhs", accountId = "ok" } })))
      assert.same({ 4, 2 }, { p:count "publish", p:count("publish", "once") })
      local flows = p:flows()
      assert.same({ "cn", "cn", "cn", "intl" }, column(flows, "site"))
      assert.same({ "once", 1, 2 }, { flows[1].flowId, #flows[1].ids, flows[1].count })
      assert.truthy(flows[1].post:find('"flowId":"once"', 1, true))
      assert.not_equal(flows[2].flowId, flows[3].flowId)
    end)

    it("makes a flow once only for many at the same time", function()
      shell.write(p.dir .. "/sent", '{"items":[{"platform":"xhs","accountId":"ok"}],"publishAt":"' .. iso(now)
        .. '","content":{"title":"x","media":[]},"flowId":"race"}')
      shell.run(("for i in $(seq 20); do curl -sS -g -o /dev/null -H 'X-Api-Key: %s' -H 'Content-Type: application/json'"
        .. " --data-binary @%s/sent %s%s/flows & done; wait"):format(p.cn.key, p.dir, p.cn.http, http.ROOT))
      assert.same({ 1, 20 }, { p:count "publish", #p:requests() })
      assert.equal(1, #select(2, send "GET /records"))
    end)

    it("refuses with 400 what is no post", function()
      local item = { platform = "xhs", accountId = "ok" }
      local wrong = {
        "", "null", "[]", "{", '"text"', post_of {}, post_of { { platform = "xhs" } }, post_of { { accountId = "ok" } },
        post_of { { platform = "xhs", accountId = 7 } }, post_of({ item }, { publishAt = "soon" }),
        post_of({ item }, { publishAt = now }), post_of({ item }, { content = { title = "no media" } }),
        post_of({ item }, { content = { media = { { path = "x" } } } }),
        post_of({ item }, { content = { title = 1, media = {} } }),
        post_of({ item }, { flowId = 7 }), post_of({ item }, { context = "x" }),
        '{"items":[{"platform":"xhs","accountId":"ok"}],"publishAt":"2026-01-01T00:00:00Z","content":{"title":"x","media":{}}}',
        '{"items":{},"publishAt":"2026-01-01T00:00:00Z","content":{"title":"x","media":[]}}',
      }
      for i, body in ipairs(wrong) do assert.equal(400, (send("POST /flows", body)), i) end
      assert.equal(400, (send "POST /flows"))
      assert.equal(400, (send("POST /flows", post_of { item }, { type = "text/plain" })))
      assert.equal(0, (send("POST /flows", post_of({ item }, { unknown = { 1 } }))))
      assert.equal(1, p:count "publish")
    end)

    it("publishes all or nothing", function()
      local good = { platform = "xhs", accountId = "ok" }
      local refused = {
        [15021] = { { platform = "xhs", accountId = "nobody" }, { platform = "xhs", accountId = NOBODY } },
        [15062] = { { platform = "toutiao", accountId = "ok" } },
        [15052] = { good },
        [15087] = { { platform = "douyin", accountId = "relay" } },
        [15060] = { { platform = "xhs", accountId = "code:15060" } },
        [15063] = { { platform = "xhs", accountId = "code:15063" } },
        [15093] = { { platform = "xhs", accountId = "code:15093~2" } },
        [19001] = { { platform = "xhs", accountId = "code:19001" } },
      }
      for code, items in pairs(refused) do
        for _, item in ipairs(items) do
          assert.equal(code, (send("POST /flows", post_of({ good, item }, { flowId = "flow" }))), item.accountId)
        end
      end
      local code, data = send("POST /flows", post_of({ good, { platform = "KWAI", accountId = "code:15051" } }))
      assert.same({ 15051, "KWAI", "code:15051", 1 }, { code, data.platform, data.accountId, #data.issues })
      assert.equal(15051, (send("POST /flows", post_of({ good }, { content = { media = {} } }))))
      assert.same({ 0, 0 }, { p:count "publish", #select(2, send "GET /records") })
      assert.equal(0, (send("POST /flows", post_of({ good }, { flowId = "flow" }))))
    end)
  end)

  describe("GET /flows/{flowId}", function()
    it("shows what can be seen of each record, by publish time", function()
      local ids = p:seed {
        { status = -1, publishTime = now + 20, flowId = "a flow/é" },
        { status = 1, publishTime = now + 10, flowId = "a flow/é" },
      }
      local code, flow = send "GET /flows/a%20flow%2F%C3%A9"
      assert.same({ 0, "a flow/é", { ids[2], ids[1] } }, { code, flow.flowId, column(flow.tasks, "id") })
      local live, failed = flow.tasks[1], flow.tasks[2]
      assert.same({ 1, "ready", true, iso(now + 10) },
        { live.status, live.linkStatus, live.workLink ~= nil, live.publishTime })
      assert.same({ -1, true, nil }, { failed.status, failed.errorMsg ~= nil, failed.errorData })
      local names = {
        id = true, accountId = true, platform = true, status = true, publishTime = true, platformWorkId = true, workLink = true,
        linkStatus = true, errorMsg = true,
      }
      for _, task in ipairs(flow.tasks) do
        for name in pairs(task) do assert.truthy(names[name], name) end
      end
      send("DELETE /records/" .. ids[1])
      assert.equal(1, #select(2, send "GET /flows/a%20flow%2F%C3%A9").tasks)
    end)

    it("does not find strangers' flows, relays' flows, nor those of another site", function()
      p:seed { { status = 1, flowId = "relayed", relay = true } }
      p:seed({ { status = 1, flowId = "far" } }, "intl")
      for _, id in ipairs { "none", "relayed", "far", "6877a1b2c3d4e5f6a0000001" } do
        assert.equal(15050, (send("GET /flows/" .. id)), id)
      end
      assert.equal(0, (send("POST /flows", post_of({ { platform = "xhs", accountId = "relay" } }, { flowId = "r" }))))
      assert.equal(15050, (send "GET /flows/r"))
      assert.equal(0, (send("GET /flows/far", nil, { base = p.intl.http, key = p.intl.key })))
    end)
  end)

  describe("actions", function()
    it("answer the id that was asked for, which is the record's and not its taskId", function()
      local id = p:seed({ { status = 6 } })[1]
      local task_id = record_of(id).taskId
      assert.truthy(task_id and task_id ~= id)
      assert.equal(15004, (send("POST /tasks/" .. task_id .. "/publish-now")))
      local code, data = send("POST /tasks/" .. id .. "/publish-now")
      assert.same({ 0, { taskId = id } }, { code, data })
    end)

    it("refuse ids that are none: 500 on task routes, 10002 where a route looks", function()
      local at = { publishAt = iso(now) }
      for _, id in ipairs { "status:6", "6877a1b2c3d4e5f60123456", "6877a1b2c3d4e5f60123456g" } do
        assert.equal(500, (send("POST /tasks/" .. id .. "/publish-now")))
        assert.equal(500, (send("POST /tasks/" .. id .. "/retry")))
        assert.equal(500, (send("PATCH /tasks/" .. id .. "/publish-at", at)))
        assert.equal(500, (send("DELETE /tasks/" .. id)))
        assert.equal(10002, (send("DELETE /records/" .. id)))
        assert.equal(10002, (send("GET /records/" .. id .. "/user-action")))
      end
      assert.equal(15004, (send("POST /tasks/" .. NOBODY .. "/publish-now")))
      assert.equal(15004, (send("POST /tasks/" .. NOBODY .. "/retry")))
      assert.equal(15004, (send("PATCH /tasks/" .. NOBODY .. "/publish-at", at)))
      assert.equal(15004, (send("DELETE /tasks/" .. NOBODY)))
      assert.equal(15000, (send("DELETE /records/" .. NOBODY)))
      assert.equal(15000, (send("GET /records/" .. NOBODY .. "/user-action")))
    end)

    it("refuse by state", function()
      local function row(code, others)
        local codes = {}
        for status = -1, 9 do codes[status] = code end
        for status, other in pairs(others) do codes[status] = other end
        return codes
      end
      assert.same(row(15058, { [0] = 0, [6] = 0 }), codes_by_status "POST /tasks/ID/publish-now")
      assert.same(row(15095, { [-1] = 0 }), codes_by_status "POST /tasks/ID/retry")
      assert.same(row(15057, { [0] = 0, [6] = 0 }),
        codes_by_status("PATCH /tasks/ID/publish-at", { publishAt = iso(now + 60) }))
      assert.same(row(0, {}), codes_by_status "DELETE /tasks/ID")
      assert.same(row(15018, { [-1] = 0, [1] = 0, [5] = 0, [9] = 0 }), codes_by_status "DELETE /records/ID")
      assert.same(row(15018, { [8] = 15062 }), codes_by_status "GET /records/ID/user-action")
      assert.same({ 2, 1, 2, 4, 4 },
        { p:count "publish_now", p:count "retry", p:count "reschedule", p:count "cancel", p:count "delete" })
    end)

    it("act: publish now, retry, another time", function()
      local later = now + 1000
      p:settings { publishing = 60 }
      local ids = p:seed { { status = 0, publishTime = later }, { status = -1, publishTime = now - 50 }, { status = 6 } }
      assert.equal(0, (send("POST /tasks/" .. ids[1] .. "/publish-now")))
      assert.equal(0, (send("POST /tasks/" .. ids[2] .. "/retry")))
      assert.equal(0, (send("PATCH /tasks/" .. ids[3] .. "/publish-at", { publishAt = iso(later) })))
      for i = 1, 2 do
        local record = record_of(ids[i])
        assert.same({ 2, nil, nil }, { record.status, record.errorMsg, record.errorData })
        assert.is_true(record.publishTime >= iso(now) and record.publishTime < iso(later))
      end
      local moved = record_of(ids[3])
      assert.same({ 6, iso(later) }, { moved.status, moved.publishTime })
      assert.equal(0, (send("PATCH /tasks/" .. ids[3] .. "/publish-at", { publishAt = iso(now + 200000) })))
      assert.equal(0, status_of(ids[3]))
      for _, wrong in ipairs { {}, { publishAt = "soon" }, { publishAt = now } } do
        assert.equal(400, (send("PATCH /tasks/" .. ids[3] .. "/publish-at", wrong)))
      end
      assert.equal(400, (send("PATCH /tasks/" .. ids[3] .. "/publish-at")))
      assert.same({ 1, 2 }, { p:count("retry", ids[2]), p:count("reschedule", ids[3]) })
    end)

    it("cancel, or say so falsely", function()
      local ids = p:seed {
        { status = 6 }, { status = 2 }, { status = 8, cancel = 15055 }, { status = 7, cancel = 15054 },
        { status = 8, cancel = "silent" }, { status = 6, busy = 3 }, { status = 8, cancel = 15096 },
      }
      local codes = {}
      for i, id in ipairs(ids) do codes[i] = send("DELETE /tasks/" .. id) end
      assert.same({ 0, 0, 15055, 15054, 0, 15053, 15096 }, codes)
      local statuses = {}
      for i, id in ipairs(ids) do statuses[i] = status_of(id) end
      assert.same({ 9, 2, 8, 7, 8, 6, 8 }, statuses)
      assert.same({ 1, 1, 0 }, { p:count "cancel", p:count("cancel", ids[1]), p:count("cancel", ids[2]) })
      assert.is_true(shell.wait_until(5, function() return send("DELETE /tasks/" .. ids[6]) == 0 end))
      assert.equal(9, status_of(ids[6]))
    end)

    it("are held up while a job runs", function()
      local id = p:seed({ { status = 6, busy = 60 } })[1]
      assert.equal(15053, (send("POST /tasks/" .. id .. "/publish-now")))
      assert.equal(15053, (send("PATCH /tasks/" .. id .. "/publish-at", { publishAt = iso(now) })))
    end)

    it("delete a record, without data", function()
      local id = p:seed({ { status = 1, flowId = "f" } })[1]
      local code, data, got = send("DELETE /records/" .. id)
      assert.same({ 0, nil, nil }, { code, data, got.body:find '"data"' })
      assert.equal(15000, select(2, record_of(id)))
      assert.equal(15000, (send("DELETE /records/" .. id)))
      assert.equal(15004, (send("POST /tasks/" .. id .. "/retry")))
      assert.equal(0, #select(2, send "GET /records"))
      local plain = "6877a1b2c3d4e5f601234567"
      assert.equal(0, (send("DELETE /records/" .. plain)))
      assert.equal(15000, select(2, record_of(plain)))
    end)

    it("say how a person hands over to Douyin", function()
      local id = p:seed({ { status = 8, accountType = "douyin" } })[1]
      local code, data = send("GET /records/" .. id .. "/user-action")
      assert.same({ 0, id, "douyin" }, { code, data.recordId, data.platform })
      for _, name in ipairs { "shareId", "schemeUrl", "shortLink", "expiresAt" } do assert.equal("string", type(data[name])) end
      assert.equal(data.shareId, record_of(id).platformWorkId)
      assert.is_true(p:confirm(id))
      assert.equal(1, status_of(id))
      assert.is_false(p:confirm(id))
    end)
  end)

  describe("time", function()
    it("moves a post on, and rewrites its publish time", function()
      local _, flow = send("POST /flows", post_of({
        { platform = "xhs", accountId = "life:10:20:1:link=30~a" },
        { platform = "bilibili", accountId = "life:10:20:-1;life:0:20:1~b" },
        { platform = "douyin", accountId = "6877a1b2c3d4e5f6a0000009" },
        { platform = "KWAI", accountId = "life:10:20:-1:error=quota" },
      }, { publishAt = iso(now + 90000), flowId = "f" }))
      local function statuses()
        local found = {}
        for _, task in ipairs(select(2, send "GET /flows/f").tasks) do found[task.platform] = task.status end
        return { found.xhs, found.bilibili, found.douyin, found.KWAI }
      end
      assert.same({ 0, 0, 0, 0 }, statuses())
      p:advance(4000)
      assert.same({ 6, 6, 6, 6 }, statuses())
      p:advance(86005)
      assert.same({ 6, 6, 8, 6 }, statuses())
      p:advance(10)
      assert.same({ 2, 2, 8, 2 }, statuses())
      p:advance(30)
      assert.same({ 1, -1, 8, -1 }, statuses())
      local ids = column(flow.tasks, "id")
      local live = record_of(ids[1])
      assert.same({ "pending", nil, iso(now + 90030) }, { live.linkStatus, live.workLink, live.publishTime })
      assert.same({ "permission", "quota" }, { record_of(ids[2]).errorData.type, record_of(ids[4]).errorData.type })
      assert.equal(0, (send("POST /tasks/" .. ids[2] .. "/retry")))
      p:advance(30)
      assert.equal(1, status_of(ids[2]))
      assert.same({ "ready", 1 }, { record_of(ids[1]).linkStatus, status_of(ids[1]) })
      p:advance(3600)
      local late = record_of(ids[3])
      assert.same({ -1, "timeout" }, { late.status, late.errorData.type })
    end)

    it("passes as the clock does, and faster", function()
      p:settings { speed = 4 }
      local id = p:seed({ { life = "life:8:6", publishTime = now - 100 } })[1]
      assert.equal(1, status_of(id))
      id = p:seed({ { life = "life:8:6" } })[1]
      assert.equal(6, status_of(id))
      assert.is_true(shell.wait_until(3, function() return status_of(id) == 2 end))
      assert.is_true(shell.wait_until(3, function() return status_of(id) == 1 end))
    end)

    it("is also the Date of an answer", function()
      p:advance(86400)
      for _, base in ipairs { p.cn.http, p.cn.https } do
        local _, _, got = curl.sender(p)("GET /records", nil, { base = base })
        local _, count = got.head:gsub("date:", "")
        assert.equal(1, count)
        assert.truthy(got.head:find("date: " .. os.date("!%a, %d %b %Y", now + 86400):lower(), 1, true))
      end
    end)

    it("moves on with the sleeps of a client that has a clock of its own", function()
      local id = p:seed({ { life = "life:0:60", publishTime = now + 7200 } })[1]
      local clock, started = p:follow(clocks.new()), socket.gettime()
      local client = aitoearn.new { server = p.cn.http, api_key = p.cn.key, host = clock.host, proxy = "" }
      local record, err = client:wait(id, { timeout = 14400 })
      client:close()
      assert.equal(1, record and record.status, tostring(err))
      assert.is_true(clock.time > 1000 + 7250 and socket.gettime() - started < 20)
    end)

    it("lets a person confirm by itself", function()
      p:settings { confirm = 5, publishing = 1 }
      local id = p:seed({ { accountType = "douyin" } })[1]
      p:advance(3)
      assert.equal(8, status_of(id))
      p:advance(4)
      assert.equal(1, status_of(id))
    end)

    it("passes before a change can be read", function()
      p:settings { lag = 0.4 }
      local code, flow = send("POST /flows", post_of({ { platform = "xhs", accountId = "life:9:9" } }, { flowId = "f" }))
      assert.same({ 0, 1 }, { code, #flow.tasks })
      local id = flow.tasks[1].id
      assert.same({ 15050, 15000, 0 }, { send "GET /flows/f", (select(2, record_of(id))), #select(2, send "GET /records") })
      assert.equal(15025, (send("POST /flows", post_of({ { platform = "xhs", accountId = "ok" } }, { flowId = "f" }))))
      assert.is_true(shell.wait_until(2, function() return send "GET /flows/f" == 0 end))
      assert.equal(6, status_of(id))
      assert.equal(0, (send("DELETE /tasks/" .. id)))
      assert.equal(6, status_of(id))
      assert.is_true(shell.wait_until(2, function() return status_of(id) == 9 end))
    end)
  end)

  describe("life", function()
    it("outlasts a reload and a kill", function()
      local ids = p:seed { { status = 6 }, { status = -1 } }
      local post = post_of({ { platform = "xhs", accountId = "ok" } }, { flowId = "tab\tand \"quote\"" })
      send("POST /flows", post)
      send("DELETE /records/" .. ids[2])
      p:fault { route = "GET /records", how = "502", nth = 2 }
      assert.equal(0, (send "GET /records"))
      for _, restart in ipairs { function() p:reload() end, function() p:kill() assert(p:up()) end } do
        restart()
        assert.is_true(shell.wait_until(3, function() return send("GET /flows/none") == 15050 end))
        assert.same({ 6, 15000 }, { status_of(ids[1]), (select(2, record_of(ids[2]))) })
        assert.equal(15025, (send("POST /flows", post)))
        assert.same({ 1, 1, 1, 1 }, { p:count "publish", p:count("publish", post.flowId), #p:flows(), p:count "delete" })
      end
      assert.equal(502, select(3, send "GET /records").status)
      local id = p:seed({ { status = 1 } })[1]
      assert.truthy(id ~= ids[1] and id ~= ids[2])
      assert.equal(3, #select(2, send "GET /records"))
      p:reset()
      assert.same({ 0, 0, 0 }, { #select(2, send "GET /records"), p:count "publish", #p:flows() })
    end)

    it("lists what was sent", function()
      send("PATCH /tasks/" .. NOBODY .. "/publish-at?x=%20y", '{"publishAt":"\\"é"}')
      send "GET /records"
      local requests = p:requests()
      local sent = requests[1]
      assert.same({ "PATCH", http.ROOT .. "/tasks/" .. NOBODY .. "/publish-at", "x=%20y", '{"publishAt":"\\"é"}' },
        { sent.method, sent.path, sent.query, sent.body })
      assert.equal("application/json", sent.content_type)
      assert.same({ "GET", http.ROOT .. "/records", nil, nil },
        { requests[2].method, requests[2].path, requests[2].query, requests[2].body })
    end)

    it("refuses keys, routes and methods that are none", function()
      assert.equal(401, (send("POST /flows", {}, { key = "" })))
      assert.equal(401, (send("GET /records", nil, { key = p.intl.key })))
      for _, route in ipairs { "PUT /records", "POST /records", "GET /flows", "GET /tasks/" .. NOBODY, "POST /flows/x",
        "GET /records/a/b", "GET /records//user-action", "POST /tasks/" .. NOBODY .. "/publish-at" } do
        assert.equal(404, (send(route)), route)
      end
    end)
  end)
end)
