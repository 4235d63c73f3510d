--- A thousand posts, and hundreds of each action, under random faults at every point of every request: as many flows as
-- posts, each effect once, and no report that what was done contradicts.
local helper = require "spec.helper"
local socket = require "socket"

local SEED = tonumber(os.getenv "PROPERTIES_SEED") or os.time() % 100000
local POSTS = tonumber(os.getenv "POSTS") or 1000
local ACTIONS = tonumber(os.getenv "ACTIONS") or 60

local WORK_AFTER = 0.03

describe("under random faults", function()
  local p, client

  setup(function() p = helper.start() end)
  before_each(function()
    p:reset()
    p:forget()
    p:settings { publishing = 600 }
    p:fault { route = "*", rate = 0.3, seed = SEED, work_after = WORK_AFTER, when = { "before", "middle", "after" },
      how = { "reset", "close", "truncate", "html", "502", "504", "envelope:500", "envelope:502", "envelope:504",
        "envelope:15056", "envelope:19001" } }
    p:fault { route = "*", rate = 0.1, seed = SEED, how = { "envelope:15053", "envelope:15094", "envelope:503" } }
    client = helper.client { deadline = 20, timeout = 5, retry = { base = 0.01, max_delay = 0.05 } }
  end)
  after_each(helper.close)
  teardown(helper.stop)

  local function blame(what, err)
    return ("%s; PROPERTIES_SEED=%d: %s"):format(what, SEED, tostring(err))
  end

  -- Goes on after a publish whose outcome was unknown, as the README says.
  local function go_on(post, err)
    post.flowId = err.flowId
    for _ = 1, 50 do
      local flow, failure = client:get_flow(err.flowId)
      if not flow and failure.code == 15050 then
        flow, failure = client:publish(post)
      end
      if flow or failure.code == 15025 then return true end
    end
    error(blame("never published", err))
  end

  it("1,000 posts are 1,000 flows", function()
    local outcomes, posts = { flow = 0, unknown = 0, refused = 0 }, {}
    local function publish(i)
      local post = { items = { { platform = "xhs", accountId = "ok" } }, content = { title = "t" .. i } }
      local flow, err = client:publish(post)
      if flow then
        assert(#flow.tasks == 1 or flow.incomplete, blame("no task", flow.flowId))
        outcomes.flow = outcomes.flow + 1
        posts[i] = flow.flowId
        return
      end
      assert(type(err.flowId) == "string" and #err.flowId > 0, blame("no flow id", err))
      if err.may_have_happened then
        assert(not err.retryable, blame("retryable", err))
        outcomes.unknown = outcomes.unknown + 1
      else
        outcomes.refused = outcomes.refused + 1
        assert(p:count("publish", err.flowId) == 0, blame("done, and the error denies it", err))
      end
      go_on(post, err)
      posts[i] = err.flowId
    end
    for i = 1, POSTS do publish(i) end
    p:heal()
    socket.sleep(4 * WORK_AFTER)
    local flows, titles = p:flows(), {}
    assert.same({ POSTS, POSTS }, { #flows, p:count "publish" }, blame("flows", ""))
    for _, flow in ipairs(flows) do
      local title = flow.post:match '"title":"t(%d+)"'
      assert(not titles[title], blame("twice", title))
      titles[title] = true
      assert.same({ 1, posts[tonumber(title)] }, { flow.count, flow.flowId })
    end
    assert(outcomes.flow > POSTS / 2 and outcomes.unknown > 0, blame("a spec of too few faults, or too many",
      ("%d %d %d"):format(outcomes.flow, outcomes.unknown, outcomes.refused)))
  end)

  local now = math.floor(socket.gettime())
  local cases = {
    { name = "retry", effect = "retry", record = { status = -1, publishTime = now - 100 } },
    { name = "publish_now", effect = "publish_now", record = { status = 6, publishTime = now + 3600 } },
    -- The same time, set again while earlier requests are still under way, is the one effect that may come again.
    { name = "reschedule", effect = "reschedule", record = { status = 6, publishTime = now + 3600 }, time = now + 7200,
      most = 3 },
    { name = "cancel", effect = "cancel", record = { status = 6, publishTime = now + 3600 } },
    { name = "delete_record", effect = "delete", record = { status = 1, publishTime = now - 100 } },
  }

  for _, case in ipairs(cases) do
    it(case.name .. " is done once, or reported as what it is", function()
      local seeds = {}
      for i = 1, ACTIONS do
        seeds[i] = { status = case.record.status, publishTime = case.record.publishTime }
      end
      local ids, results = p:seed(seeds), {}
      for i, id in ipairs(ids) do
        local record = i % 3 ~= 0 and { id = id, status = case.record.status,
          publishTime = os.date("!%Y-%m-%dT%H:%M:%S.000Z", case.record.publishTime) } or id
        local result, err
        if case.time then
          result, err = client[case.name](client, record, case.time)
        else
          result, err = client[case.name](client, record)
        end
        results[id] = { result, err }
      end
      p:heal()
      socket.sleep(4 * WORK_AFTER)
      for id, outcome in pairs(results) do
        local count, err = p:count(case.effect, id), outcome[2]
        assert(count <= (case.most or 1), blame("done twice", id))
        if outcome[1] then
          assert(count > 0, blame("reported, not done", id))
        elseif not err.may_have_happened then
          assert(count == 0, blame("done, and the error denies it", err))
        end
      end
    end)
  end
end)
