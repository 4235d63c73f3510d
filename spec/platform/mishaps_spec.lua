--- Checks that faults happen around the local platform's work where they were asked for, and nowhere else.
local curl = require "spec.platform.curl"
local http = require "spec.platform.http"
local platform = require "spec.platform"
local shell = require "spec.platform.shell"
local socket = require "socket"

local CLOSED_EMPTY, OPERATION_TIMEDOUT, RECV_ERROR, PARTIAL, H2_STREAM = 52, 28, 56, 18, 92

describe("the local platform's faults", function()
  local p, send, ask

  setup(function()
    p = assert(platform.start { workers = 2 })
    send, ask = curl.sender(p), http.sender(p)
  end)
  teardown(function() p:stop() end)
  before_each(function()
    p:reset()
    p:forget()
  end)

  local function publish(flow_id, options)
    return send("POST /flows", {
      items = { { platform = "xhs", accountId = "life:60:60" } }, publishAt = "2026-01-01T00:00:00Z",
      content = { title = "A walk", media = {} }, flowId = flow_id,
    }, options)
  end

  -- What a client sees of an answer: curl's exit code, the HTTP status, the envelope's code.
  local function seen(code, _, got) return { got.exit, got.status, code } end

  local hows = {
    { "reset", { RECV_ERROR, 0 } }, { "close", { CLOSED_EMPTY, 0 } }, { "truncate", { PARTIAL, 200 } },
    { "502", { 0, 502 } }, { "504", { 0, 504 } }, { "html", { 0, 200 } }, { "timeout", { OPERATION_TIMEDOUT, 0 } },
    { "envelope:500", { 0, 200, 500 } }, { "envelope:15056", { 0, 200, 15056 } }, { "envelope:19001:503", { 0, 503, 19001 } },
  }

  it("happen before the work, which is not done then", function()
    for _, how in ipairs(hows) do
      p:fault { route = "POST /flows", how = how[1] }
      assert.same(how[2], seen(publish("before " .. how[1], { timeout = 0.5 })), how[1])
      assert.equal(0, p:count "publish", how[1])
    end
    assert.equal(0, (publish "at last"))
    assert.equal(1, p:count "publish")
  end)

  it("happen after the work, which is done then, once", function()
    for i, how in ipairs(hows) do
      p:fault { route = "POST /flows", when = "after", how = how[1] }
      assert.same(how[2], seen(publish("after " .. how[1], { timeout = 0.5 })), how[1])
      assert.equal(i, p:count "publish")
      assert.equal(15025, (publish("after " .. how[1])), how[1])
      assert.equal(1, p:count("publish", "after " .. how[1]))
    end
  end)

  it("happen in the middle of the work, which is done a little later", function()
    p:fault { route = "POST /flows", when = "middle", how = "reset", work_after = 0.5 }
    assert.same({ RECV_ERROR, 0 }, seen(publish "late"))
    assert.same({ 0, 15050 }, { p:count "publish", (send "GET /flows/late") })
    assert.is_true(shell.wait_until(3, function() return p:count "publish" == 1 end))
    assert.equal(0, (send "GET /flows/late"))
    p:fault { route = "POST /flows", when = "middle", how = "504", work_after = 0.5 }
    assert.equal(504, select(3, publish "raced").status)
    assert.equal(0, (publish "raced"))
    socket.sleep(0.8)
    assert.same({ 2, 1 }, { p:count "publish", p:count("publish", "raced") })
  end)

  -- nginx 1.18, of Debian 11, resets no stream whose request had a body: its client waits until it times out.
  local minor = tonumber(shell.run("nginx -v 2>&1"):match "nginx/1%.(%d+)")
  local ended = minor and minor < 22 and { [H2_STREAM] = true, [OPERATION_TIMEDOUT] = true } or { [H2_STREAM] = true }

  it("reset or end a stream on HTTP/2" .. (ended[OPERATION_TIMEDOUT] and ", or leave it unanswered" or ""), function()
    for _, how in ipairs { "reset", "close", "truncate" } do
      p:fault { route = "POST /flows", when = "after", how = how }
      local exit = seen(publish("h2 " .. how, { base = p.cn.https, timeout = 2 }))[1]
      assert.is_true(ended[exit], how .. ": " .. exit)
    end
    assert.equal(3, p:count "publish")
  end)

  it("kill a worker before or after its work; the others know what was done", function()
    p:fault { route = "POST /flows", when = "after", how = "crash" }
    local exit = seen(publish "crash")[1]
    assert.is_true(exit == CLOSED_EMPTY or exit == RECV_ERROR)
    assert.equal(15025, (publish "crash"))
    assert.equal(1, p:count "publish")
    p:fault { route = "POST /flows", how = "crash" }
    assert.is_true(seen(publish "crash 2")[1] ~= 0)
    assert.equal(0, (publish "crash 2"))
  end)

  it("are late alone, on either side of the work, which a client that leaves does not keep from being done", function()
    p:fault { route = "POST /flows", delay = 0.6 }
    local from = socket.gettime()
    assert.same({ OPERATION_TIMEDOUT, 0 }, seen(publish("slow", { timeout = 0.2 })))
    assert.equal(0, p:count "publish")
    assert.is_true(shell.wait_until(3, function() return p:count "publish" == 1 end))
    assert.is_true(socket.gettime() - from >= 0.6)
    p:fault { route = "POST /flows", when = "after", delay = 0.4 }
    from = socket.gettime()
    assert.equal(0, (publish "slow 2"))
    assert.is_true(socket.gettime() - from >= 0.4)
  end)

  it("happen to one route, id, or site, to the nth request, and so many times", function()
    local ids = p:seed { { status = -1 }, { status = -1 } }
    p:fault { route = "POST /tasks/{recordId}/retry", id = ids[2], nth = 2, times = 2, how = "502" }
    local function status_of(...) return select(3, ask(...)).status end
    local function retry(i) return status_of("POST /tasks/" .. ids[i] .. "/retry") end
    local statuses = { retry(1), retry(2), retry(1), retry(1), retry(2), retry(2), retry(2) }
    assert.same({ 200, 200, 200, 200, 502, 502, 200 }, statuses)
    p:fault { route = "GET /records/{id}", site = "intl", how = "503" }
    assert.equal(200, status_of "GET /records/ok")
    local intl = { base = p.intl.http, key = p.intl.key }
    assert.equal(503, status_of("GET /records/ok", nil, intl))
    assert.equal(200, status_of("GET /records/ok", nil, intl))
    p:fault { route = "writes", times = 2, how = "envelope:503" }
    assert.equal(0, (send "GET /records"))
    assert.equal(503, (send("DELETE /records/" .. ids[1])))
    assert.equal(503, (publish "x"))
    p:fault { route = "*", times = 100, how = "envelope:504" }
    assert.equal(504, (send "GET /records/queued"))
    p:heal()
    assert.equal(0, (send "GET /records/queued"))
  end)

  it("happen to reads that lag behind a publish", function()
    p:fault { route = "GET /flows/{flowId}", id = "f", times = 2, how = "envelope:15050" }
    publish "f"
    assert.same({ 15050, 15050, 0 }, { (send "GET /flows/f"), (send "GET /flows/f"), (send "GET /flows/f") })
  end)

  it("happen by chance, the same with the same seed", function()
    local function draw(seed)
      p:reset()
      p:fault {
        route = "GET /records", rate = 0.4, seed = seed, when = { "before", "after" }, how = { "502", "envelope:500", "reset" },
      }
      local drawn = {}
      for i = 1, 40 do
        local code, _, got = ask "GET /records"
        drawn[i] = got.status .. " " .. tostring(code)
      end
      return drawn
    end
    local first, again, other = draw(7), draw(7), draw(8)
    assert.same(first, again)
    assert.not_same(first, other)
    local counts = {}
    for _, text in ipairs(first) do counts[text] = (counts[text] or 0) + 1 end
    assert.is_true(counts["200 0"] > 12 and counts["200 0"] < 36)
    assert.truthy(counts["502 nil"] and counts["200 500"] and counts["0 nil"])
  end)

  it("at every point of many posts leave one flow for each flow id, and doubles where there is none", function()
    local function repeat_posts(with_id)
      p:reset()
      p:fault {
        route = "POST /flows", rate = 0.4, seed = 1, when = { "before", "middle", "after" }, work_after = 0.02,
        how = { "reset", "close", "truncate", "502", "504", "envelope:500", "envelope:15056", "envelope:19001", "html" },
      }
      for i = 1, 150 do
        local code
        repeat
          code = ask("POST /flows", {
            items = { { platform = "xhs", accountId = "ok" } }, publishAt = "2026-01-01T00:00:00Z",
            content = { title = "A walk", media = {} }, flowId = with_id and "post " .. i or nil,
          })
        until code == 0 or code == 15025
      end
      socket.sleep(0.2)
      return p:count "publish"
    end
    assert.equal(150, repeat_posts(true))
    assert.equal(150, #select(2, ask "GET /records"))
    for _, flow in ipairs(p:flows()) do assert.equal(1, flow.count) end
    assert.is_true(repeat_posts(false) > 170)
  end)

  it("are refused where they make no sense", function()
    for text, fault in pairs {
      ["fault: nht"] = { route = "*", how = "reset", nht = 2 }, ["how: unknown explode"] = { route = "*", how = "explode" },
      ["when: unknown never"] = { route = "*", how = "reset", when = "never" }, ["how or delay"] = { route = "*" },
    } do
      assert.error_matches(function() p:fault(fault) end, text, 1, true)
    end
    assert.error_matches(function() p:settings { sped = 2 } end, "settings: sped", 1, true)
  end)
end)
