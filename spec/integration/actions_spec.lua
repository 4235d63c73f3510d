--- What acts on a record, and what a person has to do, against the local platform.
local helper = require "spec.helper"
local socket = require "socket"

describe("an action", function()
  local p, client
  local now = math.floor(socket.gettime())

  setup(function() p = helper.start() end)
  before_each(function()
    p:reset()
    p:settings { publishing = 600 }
    p:forget()
    client = helper.client { retry = { base = 0.02 } }
  end)
  after_each(helper.close)
  teardown(helper.stop)

  local function seed(record) return p:seed({ record })[1] end

  it("returns the record as it is read back", function()
    local id = seed { status = 6, publishTime = now + 3600 }
    local record = assert(client:publish_now(id))
    assert.same({ id, 2, 1 }, { record.id, record.status, p:count("publish_now", id) })
    assert(record:published_at() < now + 60)
    assert.same({ "POST", "GET" }, helper.column(p:requests(), "method"))

    id = seed { status = -1, errorMsg = "no" }
    assert.equal(2, assert(client:retry(id)).status)

    id = seed { status = 6, publishTime = now + 3600 }
    assert.equal(now + 7200, assert(client:reschedule(id, now + 7200)):published_at())
    record = assert(client:reschedule(id, os.date("!%Y-%m-%dT%H:%M:%S", now + 9000) .. "+00:00"))
    assert.equal(now + 9000, record:published_at())

    id = seed { status = 8, accountType = "douyin" }
    assert.equal(9, assert(client:cancel(id)).status)

    id = seed { status = 1 }
    assert.is_true(client:delete_record(id))
    assert.equal(15000, helper.failure("api", client:get_record(id)).code)
  end)

  it("takes a record, or a flow's task, in the place of an id, and never its taskId", function()
    local flow = assert(client:publish { items = { { platform = "xhs", accountId = "ok" } }, content = { title = "t" },
      publishAt = now + 3600, context = { taskId = "e877a1b2c3d4e5f60123abcd" } })
    local record = assert(client:reschedule(flow.tasks[1], now + 1800))
    assert.equal("e877a1b2c3d4e5f60123abcd", record.taskId)
    assert.equal(9, assert(client:cancel(record)).status)
    local err = helper.failure("api", client:retry(record.taskId))
    assert.equal(15004, err.code)
    assert.truthy(err.hint:find("not its taskId", 1, true), err.hint)
    client = helper.client { accept_language = "zh-CN" }
    err = helper.failure("api", client:retry(record.taskId))
    assert.truthy(err.hint:find("taskId", 1, true) and err.hint:find("记录", 1, true), err.hint)
    helper.failure("argument", client:retry { taskId = record.taskId })
    helper.failure("argument", client:cancel "")
  end)

  it("cancel that the server accepted and that did nothing says so", function()
    for _, record in ipairs { { status = 1 }, { status = 6, cancel = "silent", publishTime = now + 3600 } } do
      local id = seed(record)
      local err = helper.failure("goal", client:cancel(id))
      assert.same({ record.status, id, false, 0 }, { err.record.status, err.record_id, err.retryable, p:count("cancel", id) })
      assert.is_nil(err.may_have_happened)
      assert.truthy(err.message:find(err.record:status_name(), 1, true))
    end
    local err = helper.failure("api", client:cancel(seed { status = 8, accountType = "douyin", cancel = 15055 }))
    assert.equal(15055, err.code)
  end)

  it("waits for a job that is running", function()
    client = helper.client { retry = { base = 0.3, max_attempts = 10 } }
    local id = seed { status = 6, publishTime = now + 3600, busy = 0.4 }
    assert(client:publish_now(id))
    assert.equal(1, p:count("publish_now", id))
  end)

  it("is refused before anything is sent where its time is none", function()
    for _, time in ipairs { "2026-01-01T00:00:00", "soon", 0 / 0 } do
      local message = helper.raised(function() client:reschedule(("a"):rep(24), time) end)
      assert.truthy(message:find "actions_spec.lua:%d+: time: ", message)
    end
    local message = helper.raised(function() client:reschedule(("a"):rep(24)) end)
    assert.truthy(message:find "actions_spec.lua:%d+: time: ", message)
    assert.equal(0, #p:requests())
  end)

  it("user_action says what a person has to do", function()
    local id = seed { status = 8, accountType = "douyin" }
    local action = assert(client:user_action(id))
    assert.same({ id, "douyin" }, { action.recordId, action.platform })
    for _, name in ipairs { "shareId", "schemeUrl", "shortLink" } do assert.equal("string", type(action[name])) end
    assert.equal(15018, helper.failure("api", client:user_action(seed { status = 1, accountType = "douyin" })).code)
    assert.equal(10002, helper.failure("api", client:user_action "odd").code)
  end)

  it("that a platform cannot do says so in both languages", function()
    local post = { items = { { platform = "orkut", accountId = "ok" } }, content = { title = "t" } }
    local err = helper.failure("api", client:publish(post))
    assert.equal(15062, err.code)
    assert.truthy(err.hint:find("this platform cannot", 1, true), err.hint)
    err = helper.failure("api", helper.client({ accept_language = "zh-CN" }):publish(post))
    assert.truthy(err.hint:find("该平台不支持", 1, true), err.hint)
  end)

  it("publishing what does not fit says what is wrong, without the key", function()
    local err = helper.failure("api", client:publish { items = { { platform = "xhs", accountId = "ok" } }, content = {} })
    assert.equal(15051, err.code)
    assert.same({ "xhs", "ok", "content is empty" }, { err.issues.platform, err.issues.accountId,
      err.issues.issues[1].message })
    local testing = require "aitoearn.testing"
    local key = "a-secret-of-ours-0123"
    client = testing.client { api_key = key, answers = { ["POST /flows"] = { { code = 15051,
      data = { platform = "xhs", accountId = "a", issues = { { message = "key " .. key, [key] = key } } } } } } }
    err = helper.failure("api", client:publish { items = { { platform = "xhs", accountId = "a" } }, content = {} })
    assert.truthy(err.issues.issues[1].message:find("key ***", 1, true))
    assert.is_nil(helper.find_text(err, key))
  end)

  it("runs as a task", function()
    local id = seed { status = -1 }
    local task = client:start("retry", id)
    while not task:done() do client:poll(1) end
    assert.equal(2, assert(task:result()).status)
    local second = client:start("delete_record", seed { status = 1 })
    while not second:done() do client:poll(1) end
    assert.is_true(second:result())
  end)
end)
