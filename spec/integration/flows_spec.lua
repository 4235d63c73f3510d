--- Flows against the local platform: reading one, and following it to its end.
local helper = require "spec.helper"
local socket = require "socket"

describe("a flow", function()
  local p, client

  setup(function() p = helper.start() end)
  before_each(function()
    p:reset()
    p:forget()
    client = helper.client { retry = { base = 0.02 } }
  end)
  after_each(helper.close)
  teardown(helper.stop)

  local function pace() return 0.1 end

  local function publish(...)
    local items = {}
    for i, life in ipairs { ... } do
      items[i] = { platform = ({ "xhs", "KWAI", "bilibili", "youtube" })[i], accountId = life }
    end
    return assert(client:publish { items = items, content = { title = "t" } })
  end

  it("has tasks with the verdicts of records", function()
    local made = publish("life:0:600", "life:600:1")
    local flow = assert(client:get_flow(made.flowId))
    assert.equal(2, #flow.tasks)
    for _, task in ipairs(flow.tasks) do
      assert.same({ false, false, nil }, { task:is_final(), task:is_live(), task.type })
      assert(task.platform and task:status_name() and task:published_at())
    end
  end)

  it("may have any id but an empty one, a dot, two, and control characters", function()
    for _, id in ipairs { "a/b c", "ü?&#%", "..." } do
      local flow = assert(client:publish { items = { { platform = "xhs", accountId = "ok" } }, content = { title = "t" },
        flowId = id })
      assert.equal(id, flow.flowId)
      assert.equal(id, assert(client:get_flow(id)).flowId)
    end
    p:forget()
    for _, id in ipairs { "", ".", "..", "a\nb", 7 } do
      local err = helper.failure("argument", client:get_flow(id))
      assert.equal(id, err.flowId)
      helper.failure("argument", client:wait_flow(id))
    end
    assert.equal(0, #p:requests())
    local err = helper.failure("api", client:get_flow "none")
    assert.same({ 15050, "none", false }, { err.code, err.flowId, err.retryable })
    assert.truthy(tostring(err):find("flow none", 1, true))
  end)

  it("that was made through a relay is not found", function()
    local flow = assert(client:publish { items = { { platform = "xhs", accountId = "relay" } }, content = { title = "t" } })
    assert.equal(15050, helper.failure("api", client:get_flow(flow.flowId)).code)
  end)

  it("is followed until every task has reached the goal, with one request a look", function()
    local made = publish("life:0:0.3", "life:0:0.6", "life:0.2:0.7")
    p:forget()
    local changes = {}
    local flow = assert(client:wait_flow(made.flowId, { goal = "published", pace = pace, on_change = function(task, previous)
      assert(not previous or previous.id == task.id)
      changes[task.id] = (changes[task.id] or "") .. task.status
    end }))
    assert.equal(3, #flow.tasks)
    for _, task in ipairs(flow.tasks) do
      assert.equal(1, task.status)
      assert.truthy(changes[task.id]:find "21$")
    end
    local requests = p:requests()
    assert(#requests >= 5 and #requests <= 16, #requests .. " requests")
    for _, request in ipairs(requests) do assert.truthy(request.path:find("/flows/", 1, true)) end
  end)

  it("that some tasks missed is an error once all have reached the goal or missed it", function()
    local made = publish("life:0:0.1:-1", "life:0:0.6", "life:0:0.2:-1")
    local started = socket.gettime()
    local err = helper.failure("goal", client:wait_flow(made.flowId, { goal = "published", pace = pace }))
    assert(socket.gettime() - started >= 0.5)
    assert.same({ made.flowId, 3, nil }, { err.flowId, #err.flow.tasks, err.record })
    assert.truthy(err.message:find("2 of 3 tasks missed the goal", 1, true), err.message)
    for _, task in ipairs(err.flow.tasks) do
      assert.equal(task.status == -1, err.message:find(task.id, 1, true) ~= nil)
    end
  end)

  it("takes a goal and a pace of the caller's, of which the soonest counts", function()
    local made, paced = publish("life:0:0.2", "life:0:0.4"), 0
    local flow = assert(client:wait_flow(made.flowId, {
      goal = function(task) return task:has_link() end,
      pace = function(task)
        assert(task.platform)
        paced = paced + 1
        return task.platform == "xhs" and 60 or 0.1
      end,
    }))
    assert(flow.tasks[1]:has_link() and flow.tasks[2]:has_link() and paced > 3)
  end)

  it("ends at its timeout with the last flow, and goes on over passing failures", function()
    local made = publish "life:0:600"
    p:fault { route = "GET /flows/{flowId}", how = "502", nth = 2, times = 1 }
    local err = helper.failure("timeout", client:wait_flow(made.flowId, { timeout = 0.8, pace = pace }))
    assert.same({ made.flowId, 2, true }, { err.flowId, err.flow.tasks[1].status, err.retryable })
    assert.truthy(err.message:find("PUBLISHING", 1, true), err.message)
    assert.equal(15050, helper.failure("api", client:wait_flow("none", { pace = pace })).code)
  end)

  it("is followed as a task, which a cancel ends with the last flow", function()
    local made = publish "life:0:600"
    local task = client:start("wait_flow", made.flowId, { pace = pace })
    local limit = socket.gettime() + 0.4
    while socket.gettime() < limit do client:poll(0.05) end
    task:cancel()
    local err = helper.failure("cancelled", task:result())
    assert.same({ made.flowId, made.flowId }, { err.flowId, err.flow.flowId })
    assert.is_nil(err.may_have_happened)
  end)

  it("with a task that has no status, which is not final", function()
    local testing = require "aitoearn.testing"
    local looks = 0
    client = testing.client { answers = { ["GET /flows/f"] = { function()
      looks = looks + 1
      local task = { id = "a", accountId = "x", platform = "xhs", status = looks > 3 and 1 or nil }
      return { data = { flowId = "f", tasks = { task } } }
    end } } }
    local flow = assert(client:wait_flow("f", { timeout = 3600 }))
    assert.same({ 4, 1 }, { looks, flow.tasks[1].status })
  end)
end)
