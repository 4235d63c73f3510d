--- Writes take effect once, whatever happens to a request or its answer, and what a call reports is what was done. The
-- platform counts.
local helper = require "spec.helper"
local socket = require "socket"

local WHEN = { "before", "middle", "after" }
local HOW = { "reset", "close", "truncate", "html", "crash", "502", "504", "envelope:500", "envelope:502",
  "envelope:504", "envelope:15056", "envelope:19001" }
-- After these nothing was done: they are repeated as a read is.
local NOTHING_DONE = { "envelope:429", "envelope:15053", "envelope:15071", "envelope:15094", "envelope:503" }

local WORK_AFTER = 0.03 -- seconds from a fault in the middle to the work

local function iso(at) return os.date("!%Y-%m-%dT%H:%M:%S.000Z", at) end

local now = math.floor(socket.gettime())

-- Each action: its route, what the platform counts, a record that it fits, and its further argument.
local ACTIONS = {
  publish_now = { route = "POST /tasks/{id}/publish-now", effect = "publish_now", record = { status = 6,
    publishTime = now + 3600 } },
  retry = { route = "POST /tasks/{id}/retry", effect = "retry", record = { status = -1, publishTime = now - 100 } },
  reschedule = { route = "PATCH /tasks/{id}/publish-at", effect = "reschedule", record = { status = 6,
    publishTime = now + 3600 }, time = now + 7200 },
  cancel = { route = "DELETE /tasks/{id}", effect = "cancel", record = { status = 6, publishTime = now + 3600 } },
  delete_record = { route = "DELETE /records/{id}", effect = "delete", record = { status = 1 } },
}

local function copy(record)
  local made = {}
  for name, value in pairs(record) do made[name] = value end
  return made
end

describe("nothing twice:", function()
  local p, client

  setup(function() p = helper.start() end)
  before_each(function()
    p:reset()
    p:settings { publishing = 600 }
    p:forget()
    client = helper.client { retry = { base = 0.02, max_delay = 0.1 }, timeout = 5, deadline = 10 }
  end)
  after_each(helper.close)
  teardown(helper.stop)

  local function post(given)
    given = given or {}
    given.items = { { platform = "xhs", accountId = "ok" } }
    given.content = { title = "t" }
    return given
  end

  -- An action on a fresh record; `known`: the record is given, not its id alone.
  local function act(name, known, opts)
    local action = ACTIONS[name]
    local id = p:seed({ copy(action.record) })[1]
    local subject = id
    if known then
      subject = copy(action.record)
      subject.id, subject.publishTime = id, action.record.publishTime and iso(action.record.publishTime)
    end
    local result, err
    if action.time then
      result, err = client[name](client, subject, action.time, opts)
    else
      result, err = client[name](client, subject, opts)
    end
    return id, result, err
  end

  -- What was reported is what was counted, once the late work is done.
  local function agrees(what, count, result, err, most)
    assert.is_true(count <= (most or 1), what .. ": done " .. count .. " times")
    if result then
      assert.is_true(count >= 1, what .. ": reported, not done")
    else
      assert.equal(err.may_have_happened or nil, err.may_have_happened, what)
      if count > 0 then
        assert.is_true(err.may_have_happened, ("%s: done, and the error denies it: %s"):format(what, tostring(err)))
      end
      assert.is_true(not (err.may_have_happened and err.retryable), what)
    end
  end

  describe("publish", function()
    for _, when in ipairs(WHEN) do
      it("makes one flow with a fault " .. when .. " its work, whatever the fault", function()
        for _, how in ipairs(HOW) do
          local before = p:count "publish"
          p:fault { route = "POST /flows", when = when, how = how, work_after = WORK_AFTER }
          local flow, err = client:publish(post())
          assert(flow, how .. ": " .. tostring(err))
          assert.equal(1, #flow.tasks, how)
          socket.sleep(when == "middle" and 2 * WORK_AFTER or 0)
          assert.same({ 1, 1 }, { p:count("publish", flow.flowId), p:count "publish" - before }, how)
        end
      end)
    end

    it("says that it may have happened where it is not repeated, with the flow id to go on with", function()
      for _, when in ipairs(WHEN) do
        for _, how in ipairs(HOW) do
          p:fault { route = "POST /flows", when = when, how = how, work_after = WORK_AFTER }
          local flow, err = client:publish(post(), { retry = false })
          assert.is_nil(flow)
          assert.same({ true, false, 1 }, { err.may_have_happened, err.retryable, #err.attempts }, how)
          assert.truthy(tostring(err):find("it may have happened", 1, true))
          socket.sleep(when == "middle" and 2 * WORK_AFTER or 0)
          local is_done = when == "after" or when == "middle" and how ~= "crash" -- a worker that died does no late work
          assert.equal(is_done and 1 or 0, p:count("publish", err.flowId), how)
          local found, none = client:get_flow(err.flowId)
          if not found then
            assert.equal(15050, none.code)
            found = assert(client:publish(post { flowId = err.flowId }))
          end
          assert.equal(1, p:count("publish", found.flowId))
        end
      end
    end)

    it("repeats what certainly did nothing with the same flow id", function()
      for _, how in ipairs(NOTHING_DONE) do
        p:forget()
        p:fault { route = "POST /flows", how = how }
        local flow = assert(client:publish(post()))
        assert.equal(1, p:count("publish", flow.flowId), how)
        local requests = p:requests()
        assert.equal(2, #requests, how)
        assert.equal(requests[1].body:match '"flowId":"[^"]+"', requests[2].body:match '"flowId":"[^"]+"')
      end
    end)

    it("is not repeated after a refusal, which says that nothing happened", function()
      local flow, err = client:publish { items = { { platform = "xhs", accountId = "code:15051" } }, content = { title = "t" } }
      assert.is_nil(flow)
      assert.same({ "api", 15051, 1 }, { err.kind, err.code, #p:requests() })
      assert.is_nil(err.may_have_happened)
    end)

    it("takes a flow id that is in use already for the caller's error", function()
      local first = assert(client:publish(post()))
      local flow, err = client:publish(post { flowId = first.flowId })
      assert.is_nil(flow)
      assert.same({ 15025, first.flowId }, { err.code, err.flowId })
      assert.is_nil(err.may_have_happened)
      assert.equal(1, p:count("publish", first.flowId))
    end)

    it("takes the flow id that it made itself, when it is in use, for its own work", function()
      p:fault { route = "POST /flows", when = "after", how = "envelope:503" } -- against all rules
      local flow = assert(client:publish(post()))
      assert.equal(1, p:count("publish", flow.flowId))
    end)

    it("waits for a flow that cannot be seen yet, and gives it as incomplete where the deadline comes first", function()
      p:settings { lag = 0.7 }
      p:fault { route = "POST /flows", when = "after", how = "502" }
      local flow = assert(client:publish(post()))
      assert.same({ 1, nil }, { #flow.tasks, flow.incomplete })
      p:settings { lag = 30 }
      p:fault { route = "POST /flows", when = "after", how = "502" }
      flow = assert(client:publish(post(), { deadline = 1.5 }))
      assert.same({ {}, true, 1 }, { flow.tasks, flow.incomplete, p:count("publish", flow.flowId) })
    end)

    it("goes on looking for its flow where a look fails", function()
      p:fault { route = "POST /flows", when = "after", how = "reset" }
      p:fault { route = "GET /flows/{flowId}", how = "502", times = 4 }
      local flow = assert(client:publish(post(), { retry = { base = 0.01, max_attempts = 2 } }))
      assert.same({ 1, nil }, { #flow.tasks, flow.incomplete })
    end)

    it("says that it may have happened where a later attempt is refused", function()
      p:fault { route = "POST /flows", when = "before", how = "502" }
      p:fault { route = "POST /flows", how = "envelope:401", nth = 2 }
      local flow, err = client:publish(post())
      assert.is_nil(flow)
      assert.same({ 401, true, false, 2 }, { err.code, err.may_have_happened, err.retryable, #err.attempts })
    end)

    it("prefers another endpoint for the repetition", function()
      client = helper.client { server = { p.cn.http, p.cn.backup }, retry = { base = 0.01 } }
      p:fault { route = "POST /flows", when = "after", how = "502" }
      assert(client:publish(post()))
      local requests = p:requests()
      assert.same({ "cn_http", "cn_backup" }, { requests[1].server, requests[2].server })
      assert.equal(1, client:stats().retries)
    end)

    it("gives a 500 in an envelope one retry", function()
      p:fault { route = "POST /flows", how = "envelope:500", times = 5 }
      local _, err = client:publish(post())
      assert.same({ 500, true, 2, 2 }, { err.code, err.may_have_happened, #err.attempts, #p:requests() })
    end)

    it("survives a restart of the server in between", function()
      p:fault { route = "POST /flows", when = "after", how = "crash" }
      local task = client:start("publish", post(), { retry = { max_attempts = 20, base = 0.05, max_delay = 0.1 } })
      client:poll(0.05)
      p:kill()
      client:poll(0.05)
      assert(p:up())
      local limit = socket.gettime() + 8
      while not task:done() and socket.gettime() < limit do client:poll(0.05) end
      local flow, err = task:result()
      assert(flow, tostring(err))
      assert.same({ 1, 1 }, { p:count("publish", flow.flowId), p:count "publish" })
    end)
  end)

  for name, action in pairs(ACTIONS) do
    describe(name, function()
      for _, when in ipairs(WHEN) do
        for _, known in ipairs { false, true } do
          it(("takes effect once with a fault %s its work, whatever the fault, %s"):format(when,
            known and "on a record" or "on an id"), function()
            for _, how in ipairs(HOW) do
              p:fault { route = action.route, when = when, how = how, work_after = WORK_AFTER }
              local id, result, err = act(name, known)
              socket.sleep(when == "middle" and 2 * WORK_AFTER or 0)
              -- Another time, sent again while the first request is under way, is set twice, to the same moment.
              local most = name == "reschedule" and when == "middle" and known and 2 or 1
              agrees(how, p:count(action.effect, id), result, err, most)
              if when == "after" or known and when == "before" then
                assert(result, ("%s: %s"):format(how, tostring(err)))
              end
            end
          end)
        end
      end

      it("is repeated after what certainly did nothing", function()
        for i = 2, #NOTHING_DONE do -- without 429, after which a second passes
          local how = NOTHING_DONE[i]
          p:fault { route = action.route, how = how }
          local id, result, err = act(name, false)
          assert(result, how .. ": " .. tostring(err))
          assert.equal(1, p:count(action.effect, id), how)
        end
      end)

      it("says that it may have happened where reading fails, too", function()
        p:fault { route = action.route, when = "after", how = "504" }
        p:fault { route = "GET /records/{id}", how = "502", times = 100 }
        local id, result, err = act(name, true)
        assert.is_nil(result)
        assert.same({ true, false, 1 }, { err.may_have_happened, err.retryable, p:count(action.effect, id) })
      end)

      if name ~= "delete_record" then
        it("says that it may have happened where it was accepted and only reading back failed", function()
          p:fault { route = "GET /records/{id}", how = "502", times = 100 }
          local id, result, err = act(name, true)
          assert.is_nil(result)
          assert.same({ true, false, 1, 3 }, { err.may_have_happened, err.retryable, p:count(action.effect, id),
            #err.attempts })
          assert.truthy(err.message:find(name .. " was accepted, but reading the record back failed", 1, true), err.message)
        end)

        it("is not repeated on an id whose record did not move", function()
          p:fault { route = action.route, when = "before", how = "504" }
          local id, result, err = act(name, false)
          assert.is_nil(result)
          assert.same({ true, false, 0, 2 }, { err.may_have_happened, err.retryable, p:count(action.effect, id),
            #p:requests() })
        end)
      end
    end)
  end

  it("a record that has moved since it was read is no evidence", function()
    local id = p:seed({ { status = -1, publishTime = now - 100 } })[1]
    p:fault { route = ACTIONS.retry.route, when = "before", how = "504" }
    local result, err = client:retry { id = id, status = 2, publishTime = iso(now - 100) }
    assert.is_nil(result)
    assert.same({ true, 0 }, { err.may_have_happened, p:count("retry", id) })

    id = p:seed({ { status = 6, publishTime = now + 3600 } })[1]
    p:fault { route = ACTIONS.publish_now.route, when = "before", how = "504" }
    result, err = client:publish_now { id = id, status = 0, publishTime = iso(now + 3600) }
    assert.is_nil(result)
    assert.same({ true, 0 }, { err.may_have_happened, p:count("publish_now", id) })
  end)

  it("a publish time within the second before is no evidence where the one before is known", function()
    local id = p:seed({ { status = -1, publishTime = socket.gettime() } })[1]
    local record = assert(client:get_record(id))
    p:fault { route = ACTIONS.retry.route, when = "before", how = "504" }
    assert(client:retry(record))
    assert.equal(1, p:count("retry", id))
  end)

  it("a record that stays queued is not started twice", function()
    p:settings { queued = 600 }
    p:fault { route = ACTIONS.publish_now.route, when = "after", how = "504" }
    local id, result = act("publish_now", true)
    assert.same({ 6, 1 }, { result.status, p:count("publish_now", id) })
    p:fault { route = ACTIONS.publish_now.route, when = "middle", how = "504", work_after = WORK_AFTER }
    local other, none, err = act("publish_now", false)
    socket.sleep(2 * WORK_AFTER)
    assert.is_nil(none)
    assert.same({ true, 1 }, { err.may_have_happened, p:count("publish_now", other) })
  end)

  it("a refusal of a first attempt says that nothing happened", function()
    local cases = {
      { "publish_now", { status = 1 }, 15058 }, { "retry", { status = 1 }, 15095 },
      { "reschedule", { status = 1 }, 15057 }, { "delete_record", { status = 2 }, 15018 },
    }
    for _, case in ipairs(cases) do
      local id = p:seed({ case[2] })[1]
      local result, err = client[case[1]](client, id, case[1] == "reschedule" and now or nil)
      assert.is_nil(result)
      assert.same({ case[3], false }, { err.code, err.retryable })
      assert.is_nil(err.may_have_happened)
    end
  end)

  describe("in mid-air,", function()
    -- The work is done although the client goes away.
    local function slowly(route)
      p:fault { route = route, delay = 0.3, when = "before" }
    end

    local function start(name, ...)
      local task = client:start(name, ...)
      socket.sleep(0.02)
      client:poll(0.1)
      assert.is_false(task:done())
      return task
    end

    it("a cancel says that it may have happened", function()
      for _, name in ipairs { "publish", "retry" } do
        local action = ACTIONS[name]
        slowly(action and action.route or "POST /flows")
        local id = action and p:seed({ copy(action.record) })[1]
        local task = start(name, id or post())
        task:cancel()
        local result, err = task:result()
        assert.is_nil(result)
        assert.same({ "cancelled", true, false }, { err.kind, err.may_have_happened, err.retryable })
        socket.sleep(0.5)
        assert.equal(1, p:count(name, id or err.flowId))
      end
    end)

    it("a close says that it may have happened", function()
      slowly "POST /flows"
      local task = start("publish", post())
      client:close()
      local _, err = task:result()
      assert.same({ "closed", true, false }, { err.kind, err.may_have_happened, err.retryable })
      socket.sleep(0.5)
      assert.equal(1, p:count("publish", err.flowId))
    end)

    it("a time-out and a deadline say that it may have happened", function()
      slowly "POST /flows"
      local _, err = client:publish(post(), { timeout = 0.1, retry = false })
      assert.same({ "timeout", true, false }, { err.kind, err.may_have_happened, err.retryable })
      slowly "POST /flows"
      local _, late = client:publish(post(), { deadline = 0.1 })
      assert.same({ "timeout", true, false }, { late.kind, late.may_have_happened, late.retryable })
      slowly(ACTIONS.retry.route)
      local id, _, of_retry = act("retry", true, { deadline = 0.1 })
      assert.same({ "timeout", true, false }, { of_retry.kind, of_retry.may_have_happened, of_retry.retryable })
      socket.sleep(0.5)
      assert.same({ 1, 1, 1 }, { p:count("publish", err.flowId), p:count("publish", late.flowId), p:count("retry", id) })
    end)

    it("a cancel while a write is being followed up, or read back, says so as well", function()
      p:fault { route = ACTIONS.retry.route, when = "after", how = "504" }
      p:fault { route = "GET /records/{id}", delay = 0.5, times = 9 }
      local record = copy(ACTIONS.retry.record)
      record.id, record.publishTime = p:seed({ copy(record) })[1], iso(record.publishTime)
      local function running(reads)
        local task = client:start("retry", record)
        local limit = socket.gettime() + 0.3
        while socket.gettime() < limit do client:poll(0.05) end
        assert.is_false(task:done(), reads)
        return task
      end
      local task = running "followed up"
      task:cancel()
      local _, err = task:result()
      assert.same({ "cancelled", true }, { err.kind, err.may_have_happened })
      record.id = p:seed({ copy(ACTIONS.retry.record) })[1]
      task = running "read back"
      client:close()
      local _, closed = task:result()
      assert.same({ "closed", true }, { closed.kind, closed.may_have_happened })
    end)

    it("a cancel before anything was sent says nothing of the kind", function()
      client = helper.client { max_rate = 1 }
      assert(client:list_records())
      local task = client:start("publish", post { flowId = "never" })
      client:poll(0)
      task:cancel()
      local _, err = task:result()
      assert.same({ "cancelled", "never" }, { err.kind, err.flowId })
      assert.is_nil(err.may_have_happened)
      assert.equal(0, p:count "publish")
    end)
  end)

  it("over HTTP/2 as well", function()
    client = helper.client { server = p.cn.https, retry = { base = 0.02 }, timeout = 5, deadline = 10 }
    for _, when in ipairs(WHEN) do
      for _, how in ipairs { "reset", "close", "truncate", "504", "envelope:500", "crash" } do
        p:fault { route = "POST /flows", when = when, how = how, work_after = WORK_AFTER }
        local flow = assert(client:publish(post()))
        socket.sleep(when == "middle" and 2 * WORK_AFTER or 0)
        assert.equal(1, p:count("publish", flow.flowId), how)
      end
    end
  end)

  it("a connection that the server closes meanwhile does not repeat a write by itself", function()
    client = helper.client { server = p.impatient, retry = false }
    assert(client:list_records())
    for _ = 1, 3 do
      socket.sleep(0.25)
      local flow = assert(client:publish(post()))
      assert.equal(1, p:count("publish", flow.flowId))
    end
    p:forget()
    for _ = 1, 3 do
      assert(client:list_records())
      p:fault { route = "POST /flows", when = "after", how = "close" }
      assert.is_nil((client:publish(post())))
    end
    local posts = 0
    for _, request in ipairs(p:requests()) do posts = posts + (request.method == "POST" and 1 or 0) end
    assert.equal(3, posts)
  end)
end)
