local aitoearn = require "aitoearn"
local blocking = require "aitoearn.host.blocking"
local helper = require "spec.helper"
local socket = require "socket"

local HERE = "spec/integration/wait_spec.lua"
local status = aitoearn.status

describe("wait", function()
  local p, client, clock, events
  local fresh = helper.fresh

  local function pace() return 0.02 end

  local function polls()
    local found = {}
    for _, event in ipairs(events) do
      if event.type == "poll" then found[#found + 1] = event end
    end
    return found
  end

  -- A response as it is on the wire, from a server whose clock is `ahead` of ours: a post that is due in `due` seconds.
  local function from_clock(name, ahead, due)
    local now = os.time() + ahead
    local body = ('{"code":0,"message":"ok","data":{"id":"x","accountType":"douyin","type":"video","status":0,'
      .. '"publishTime":"%s"}}'):format(os.date("!%Y-%m-%dT%H:%M:%S.000Z", now + due))
    p:raw(name, ("HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
      .. "Connection: close\r\n\r\n%s"):format(os.date("!%a, %d %b %Y %H:%M:%S GMT", now), #body, body))
    return "raw:" .. name
  end

  setup(function() p = helper.start() end)
  before_each(function()
    events = {}
    client, clock = helper.clocked { on_event = function(event) events[#events + 1] = event end }
    p:forget()
  end)
  after_each(helper.close)
  teardown(helper.stop)

  describe("for a goal", function()
    -- status -> what each goal makes of it: true, it holds; "goal", it cannot hold any more; "timeout", not yet
    local never, not_yet = "goal", "timeout"
    local table_of = {
      [status.FAILED] = { settled = true, published = never, link = never },
      [status.WAITING_FOR_PUBLISH] = { settled = not_yet, published = not_yet, link = not_yet },
      [status.PUBLISHED] = { settled = true, published = true, link = true },
      [status.PUBLISHING] = { settled = not_yet, published = not_yet, link = not_yet },
      [status.WAITING_FOR_UPDATE] = { settled = not_yet, published = true, link = true },
      [status.UPDATING] = { settled = not_yet, published = true, link = true },
      [status.UPDATE_FAILED] = { settled = true, published = true, link = true },
      [status.QUEUED] = { settled = not_yet, published = not_yet, link = not_yet },
      [status.PLATFORM_SCHEDULED] = { settled = not_yet, published = not_yet, link = not_yet },
      [status.WAITING_FOR_USER_ACTION] = { settled = true, published = not_yet, link = not_yet },
      [status.CANCELED] = { settled = true, published = never, link = never },
      [42] = { settled = not_yet, published = not_yet, link = not_yet },
    }
    for number, goals in pairs(table_of) do
      it("knows what status " .. number .. " means", function()
        for goal, expected in pairs(goals) do
          local record, err = client:wait("status:" .. number, { goal = goal, timeout = 60 })
          if expected == true then
            assert.equal(number, helper.record(record, err).status)
          else
            helper.failure(expected, record, err)
            assert.equal(number, err.record.status)
            assert.equal(expected == "timeout", err.retryable)
          end
        end
      end)
    end

    it("is settled unless told otherwise", function()
      assert.equal(8, helper.record(client:wait "status:8").status)
    end)

    it("link takes a link whatever linkStatus says, waits while it is pending, and gives up where it failed", function()
      local link = { goal = "link", timeout = 60 }
      assert.truthy(helper.record(client:wait("link:early", link)).workLink)
      assert.truthy(helper.record(client:wait(fresh "link:pending;link:pending;link:ready", link)).workLink)
      assert.equal("pending", helper.failure("timeout", client:wait("link:pending", link)).record.linkStatus)
      assert.equal("failed", helper.failure("goal", client:wait("link:failed", link)).record.linkStatus)
      assert.equal(1, helper.failure("goal", client:wait("link:none", link)).record.status)
    end)

    it("can be a function of the record, whose result counts as true or false", function()
      local seen = {}
      local record = helper.record(client:wait(fresh "status:0;status:2;status:2;status:4", { timeout = false,
        goal = function(record)
          seen[#seen + 1] = record.status
          return record.status == 4
        end }))
      assert.equal(4, record.status)
      assert.same({ 0, 2, 2, 4 }, seen)
      local function has_link(each) return each.workLink end
      record = helper.record(client:wait(fresh "link:none;link:ready", { goal = has_link }))
      assert.equal("ready", record.linkStatus)
      local function no_goal() return false end
      local err = helper.failure("timeout", client:wait("status:9", { timeout = 60, goal = no_goal }))
      assert.equal(9, err.record.status)
    end)

    it("raises what the function raises", function()
      local message = helper.raised(function() client:wait("ok", { goal = function() error "no such goal" end }) end)
      assert.truthy(message:find("no such goal", 1, true))
      assert.equal(1, client:get_record("ok").status)
    end)
  end)

  describe("options", function()
    it("raise where they are wrong, at the line that made the mistake", function()
      for expected, opts in pairs {
        ["goal: "] = { goal = "glory" }, ["timeout: "] = { timeout = -1 }, ["on_change: "] = { on_change = {} },
        ["pace: "] = { pace = 3 }, ["concurrency: unknown"] = { concurrency = 3 }, ["site: "] = { site = "mars" },
      } do
        local message = helper.raised(function() client:wait("ok", opts) end)
        assert.truthy(message:find(HERE, 1, true), message)
        assert.truthy(message:find(expected, 1, true), message)
      end
      assert.same({}, p:requests())
    end)

    it("say how long to wait in all; what was seen last is in the error", function()
      local err = helper.failure("timeout", client:wait(fresh "status:0;status:2", { timeout = 120 }))
      assert.equal(2, err.record.status)
      assert.truthy(tostring(err):find "PUBLISHING")
      assert.is_true(clock.time - 1000 >= 120 and clock.time - 1000 < 121)
    end)

    it("leave nothing to see where nothing was", function()
      local err = helper.failure("timeout", client:wait(fresh "http:502", { timeout = 30, retry = false }))
      assert.is_nil(err.record)
      assert.is_true(err.retryable and #err.attempts > 0)
    end)

    it("may say that it never ends", function()
      local id = fresh(("stalled;"):rep(25) .. "ok")
      assert.equal(1, helper.record(client:wait(id, { timeout = false })).status)
      assert.equal(26, #p:requests())
      assert.is_true(clock.time - 1000 > 3600)
    end)

    it("end a look that hangs at the end of the wait", function()
      local own, started = helper.client { timeout = 20, deadline = 20 }, socket.gettime()
      local err = helper.failure("timeout", own:wait(fresh "status:2;silent", { timeout = 0.5, pace = pace }))
      assert.equal(2, err.record.status)
      local took = socket.gettime() - started
      assert.is_true(took >= 0.49 and took < 5, took .. " s")
    end)
  end)

  describe("through bad answers", function()
    local passing = {
      "http:502", "http:503", "http:504:empty", "code:500", "codehttp:500:500", "code:502", "code:15071", "code:15094",
      "code:19001", "code:429", "code:429:ttl=40", "close", "reset", "truncate", "garbage",
    }
    for _, step in ipairs(passing) do
      it("goes on after " .. step .. ", the first look included", function()
        for _, steps in ipairs { "status:2;%s;%s;%s;%s;ok", "%s;%s;%s;%s;ok" } do
          local id = fresh((steps:gsub("%%s", step)))
          assert.equal(1, helper.record(client:wait(id)).status)
        end
      end)
    end

    it("goes on after looks that time out", function()
      local own = helper.clocked { timeout = 0.1, retry = false }
      assert.equal(1, helper.record(own:wait(fresh "status:2;silent;stall;ok")).status)
    end)

    for _, code in ipairs { 401, 19000, 404, 400, 10002, 12345 } do
      it("ends at once with code " .. code .. " and the last good record", function()
        local err = helper.failure("api", client:wait(fresh("status:2;code:" .. code .. ";ok")))
        assert.same({ code, 2, false }, { err.code, err.record.status, err.retryable })
        assert.equal(2, #p:requests())
      end)
    end

    it("ends with a record that was never there, and asks once more for one that was", function()
      local err = helper.failure("api", client:wait(fresh "code:15000;ok"))
      assert.same({ 15000, nil, 1 }, { err.code, err.record, #p:requests() })
      p:forget()
      err = helper.failure("api", client:wait(fresh "status:2;code:15000;code:15000;ok"))
      assert.same({ 15000, 2, 3 }, { err.code, err.record.status, #p:requests() })
      assert.equal(1, helper.record(client:wait(fresh "status:2;code:15000;status:2;code:15000;ok")).status)
    end)

    it("ends with an id that cannot be one, without a request", function()
      helper.failure("argument", client:wait "")
      assert.same({}, p:requests())
    end)

    it("rests longer from failure to failure, and as long as a server asks it to", function()
      helper.record(client:wait(fresh "http:502;http:502;http:502;http:502;ok", { retry = false }))
      local sleeps = clock.sleeps
      assert.equal(4, #sleeps)
      for i, most in ipairs { 2, 4, 8, 16 } do assert.is_true(sleeps[i] <= most and sleeps[i] >= most * 0.8) end
      local before = clock.time
      helper.record(client:wait(fresh "code:429:ttl=300;ok", { retry = false }))
      assert.is_true(clock.time - before >= 299)
    end)
  end)

  describe("tells", function()
    it("on_change of the first record and of each that is another", function()
      p:answer("same", '{"code":0,"message":"","data":{"id":"s","accountType":"xhs","type":"video","status":2,'
        .. '"publishTime":"2026-01-01T00:00:00.000Z"}}')
      local changes = {}
      helper.record(client:wait(fresh "file:same;file:same;http:502;file:same;status:4;ok", {
        timeout = false, goal = function(record) return record.status == 1 end,
        on_change = function(record, previous)
          changes[#changes + 1] = { record.status, previous and previous.status }
        end,
      }))
      assert.same({ { 2 }, { 4, 2 }, { 1, 4 } }, changes)
    end)

    it("on_change of a part of the record that came or went", function()
      local form = '{"code":0,"message":"","data":{"id":"s","accountType":"xhs","type":"video","status":2,'
        .. '"publishTime":"2026-01-01T00:00:00.000Z"%s}}'
      local changes = 0
      p:answer("bare", form:format "")
      p:answer("error", form:format ',"errorData":{"type":"quota","code":"1","message":"m"}')
      p:answer("other", form:format ',"errorData":{"type":"auth","code":"2","message":"m"}')
      helper.record(client:wait(fresh "file:bare;file:error;file:error;file:other;ok", {
        timeout = false,
        on_change = function() changes = changes + 1 end,
      }))
      assert.equal(4, changes)
    end)

    it("of an error in on_change and goes on", function()
      assert.equal(1, helper.record(client:wait(fresh "status:2;ok", { on_change = function() error "oh" end })).status)
      assert.equal(2, #clock.reports)
      assert.truthy(clock.reports[1]:find "oh")
    end)

    it("the pace function what was seen, and sleeps as long as it says", function()
      local seen = {}
      helper.record(client:wait(fresh "status:0;status:2;status:4;ok", { pace = function(record, previous)
        seen[#seen + 1] = { record.status, previous and previous.status }
        return 7 * #seen
      end }))
      assert.same({ { 0 }, { 2, 0 }, { 4, 2 } }, seen)
      assert.same({ 7, 14, 21 }, clock.sleeps)
    end)

    it("a pace function that answers nonsense so", function()
      for _, nonsense in ipairs { -1, 0 / 0, "soon" } do
        local message = helper.raised(function() client:wait("status:2", { pace = function() return nonsense end }) end)
        assert.truthy(message:find("pace: number of seconds expected", 1, true), message)
      end
    end)

    it("on_event of each look", function()
      local id = fresh "status:2;http:502;stalled;ok"
      helper.record(client:wait(id, { retry = false }))
      local looks = polls()
      assert.same({ 1, 2, 3, 4 }, helper.column(looks, "look"))
      for _, event in ipairs(looks) do assert.same({ id, "default" }, { event.record_id, event.site }) end
      assert.same({ 2, nil, 2, 1 }, { looks[1].status, looks[2].status, looks[3].status, looks[4].status })
      assert.same({ false, true, false }, { looks[1].stalled, looks[3].stalled, looks[4].stalled })
      assert.same({ "http", 502 }, { looks[2].kind, looks[2].http_status })
      assert.same(clock.sleeps, { looks[1].next_in, looks[2].next_in, looks[3].next_in })
      assert.is_nil(looks[4].next_in)
      assert.equal("done", events[#events].type)
    end)
  end)

  describe("paces itself", function()
    it("by the status: seldom far ahead of the publish time, every 5 to 30 s while publishing", function()
      helper.failure("timeout", client:wait("status:0", { timeout = 1200 }))
      for i = 1, #clock.sleeps - 2 do assert.is_true(clock.sleeps[i] >= 300, clock.sleeps[i] .. " s") end
      clock.sleeps = {}
      helper.failure("timeout", client:wait("status:2", { timeout = 1200 }))
      assert.is_true(clock.sleeps[1] >= 4 and clock.sleeps[1] <= 5)
      for i = 1, #clock.sleeps - 2 do assert.is_true(clock.sleeps[i] >= 4 and clock.sleeps[i] <= 30) end
    end)

    it("by the server's clock, not ours", function()
      for name, ahead in pairs { future = 5 * 365 * 86400, past = -5 * 365 * 86400, now = 0 } do
        local own, own_clock = helper.clocked()
        helper.record(own:wait(fresh(from_clock(name, ahead, 1000) .. ";ok")))
        assert.equal(1, #own_clock.sleeps)
        local slept = own_clock.sleeps[1]
        assert.is_true(slept >= 0.8 * 490 and slept <= 510, ("%s: slept %g s"):format(name, slept))
      end
    end)
  end)

  it("ends at once when it is cancelled, in the middle of a sleep, with what it saw", function()
    local own = helper.client { host = blocking.new }
    local task = own:start("wait", fresh "status:0", { timeout = 5000 })
    local ends = socket.gettime() + 5
    while own:stats().attempts < 1 or own:stats().in_flight > 0 do assert(socket.gettime() < ends) own:poll(0.02) end
    task:cancel()
    local started = socket.gettime()
    while own:poll(0.1) > 0 do assert(socket.gettime() < started + 3) end
    assert.equal(0, helper.failure("cancelled", task:result()).record.status)
    assert.equal(1, #p:requests())
  end)
end)
