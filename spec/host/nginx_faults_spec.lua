--- What the client in an nginx worker survives: aborted requests, reloads, no timers, no threads, no code cache.
local cjson = require "cjson"
local platform = require "spec.platform"
local server = require "spec.host.nginx.server"
local shell = require "spec.platform.shell"
local socket = require "socket"

describe("in nginx, when things go wrong,", function()
  local p, running

  -- An nginx that is gone after the spec.
  local function start(options)
    running = server.start(p, options)
    return running
  end

  setup(function() p = assert(platform.start()) end)
  teardown(function() p:stop() end)
  before_each(function() p:forget() end)
  after_each(function()
    if running then running:stop() end
    running = nil
  end)

  describe("a request that ends before its call", function()
    -- What a worker has open and in use. The collector runs, and the pump has had time to look around.
    local measure = [[
      ngx.sleep(1)
      local kilobytes = collect()
      return { descriptors = descriptors(), kilobytes = kilobytes, memory = memory(), in_flight = client:stats().in_flight }
    ]]

    -- nginx notices a client that leaves while the request waits (and not one that left before that).
    local function abort(n, count, steps)
      for first = 1, count, 50 do
        local connections = {}
        for i = first, math.min(count, first + 49) do
          connections[#connections + 1] = n:send(("/record?id=%s~abort-%d"):format(steps, i))
        end
        n:run "ngx.sleep(0.02)"
        for _, connection in ipairs(connections) do connection:close() end
      end
    end

    -- Pools and tables of nginx and LuaJIT grow up to some size: at least one round of 1,000 must leave nothing.
    local function check_aborts(client, steps)
      local n = start { client = client }
      abort(n, 1000, steps)
      local rounds, kept = { n:run(measure) }
      repeat
        abort(n, 1000, steps)
        rounds[#rounds + 1] = n:run(measure)
        local before, after = rounds[#rounds - 1], rounds[#rounds]
        assert.equal(0, after.in_flight)
        assert.truthy(after.descriptors <= before.descriptors + 8, "descriptors: " .. cjson.encode(rounds))
        assert.truthy(after.memory < before.memory + 4e6, "memory: " .. cjson.encode(rounds))
        kept = after.kilobytes - before.kilobytes
      until kept < 100 or #rounds == 5
      assert.truthy(kept < 100, "Lua memory: " .. cjson.encode(rounds))
      assert.equal("", n:complaints())
      return n
    end

    it("frees its transfer at once, not at its time-out: 1,000 aborted over HTTP/1.1", function()
      check_aborts({ timeout = 60, deadline = 60, max_connections = 64 }, "silent")
    end)

    it("frees its transfer at once: 1,000 aborted over HTTP/2", function()
      check_aborts({ server = p.cn.https, timeout = 60, deadline = 60, max_connections = 2 }, "slow:30000")
    end)

    it("frees what waits in a queue, and what sleeps", function()
      local n = check_aborts({ timeout = 60, deadline = 60, max_connections = 1 }, "silent")
      abort(n, 50, "http:503:retry-after=50")
      assert.equal(0, n:run(measure).in_flight)
      assert.equal("record", n:run [[ return kind(new():get_record "ok~after-all") ]])
    end)

    it("frees the transfer of a light thread that was killed, and lets the program's own on_abort be", function()
      local n = start()
      local got = n:run [[
        local thread = ngx.thread.spawn(function() return client:get_record "silent~killed" end)
        ngx.sleep(0.05)
        local before = client:stats().in_flight
        ngx.thread.kill(thread)
        ngx.sleep(1)
        return { before, client:stats().in_flight, ngx.on_abort(function() end) == 1 }
      ]]
      assert.same({ 1, 0, true }, got)
    end)
  end)

  describe("at a reload", function()
    it("brings the answers that are on their way, and the old worker leaves", function()
      for _, threads in ipairs { true, false } do
        local n = start { threads = threads }
        local old = n:workers()[1]
        local calls = {}
        for i = 1, 5 do calls[i] = n:start(("return kind(client:get_record 'slow:800~%s-%d')"):format(threads, i)) end
        n:run(("in_timer('late', function() return kind(client:get_record 'slow:1000~late-%s') end)"):format(threads))
        socket.sleep(0.2)
        n:signal "HUP"
        assert.is_true(shell.wait_until(5, function() return n:errors():find("gracefully shutting down", 1, true) end))
        for i = 1, 5 do assert.equal("record", server.finish(calls[i])) end
        assert.equal("record", n:timed "late")
        assert.is_true(server.is_gone(old, 5), "the old worker is still there")
        assert.equal("record", n:run [[ return kind(client:get_record "ok~new") ]])
        assert.equal("", n:complaints())
        n:stop()
      end
    end)

    it("makes calls that begin only then: retries, and a batch that is half done", function()
      local n = start { client = { retry = { base = 0.3 } } }
      local old = n:workers()[1]
      local call = n:start [[
        local count = 0
        local ids = { "slow:200~r1", "slow:200~r2", "slow:200~r3", "http:503;slow:200~r4", "slow:200~r5" }
        for _, record in client:each_record(ids, { concurrency = 1 }) do
          count = count + (record and 1 or 0)
        end
        return { count, ngx.worker.exiting() }
      ]]
      server.wait_for_request(p, "slow:200~r1")
      n:signal "HUP"
      assert.same({ 5, true }, server.finish(call))
      assert.is_true(server.is_gone(old, 5))
      assert.equal("", n:complaints())
    end)

    it("lets a long wait in a timer end by closing its client, as a timer does that is run before its time", function()
      local n = start()
      local old = n:workers()[1]
      n:run [[
        in_timer("waited", function()
          local own = new()
          ngx.timer.at(3600, function(premature) if premature then own:close() end end)
          return kind(own:wait("status:0~long", { timeout = 3000 }))
        end)
      ]]
      server.wait_for_request(p, "status:0~long")
      n:signal "HUP"
      assert.equal("closed", n:timed "waited")
      assert.is_true(server.is_gone(old, 5))
    end)
  end)

  describe("with lua_code_cache off", function()
    it("leaves nothing behind", function()
      local n = start { code_cache = false }
      local chunk = "collect() return { kind(client:get_record 'ok~%d'), descriptors(), memory() }"
      local first
      for i = 1, 60 do
        local got = n:run(chunk:format(i))
        assert.equal("record", got[1])
        if i == 20 then first = got end
        if i == 60 then
          assert.truthy(got[2] <= first[2] + 3, "descriptors")
          assert.truthy(got[3] < first[3] + 8e6, "memory")
        end
      end
    end)
  end)

  describe("where no timer is to be had", function()
    local chunk = [[
      local threads, kinds = {}, {}
      for i = 1, 5 do
        threads[i] = ngx.thread.spawn(function() kinds[i] = kind(client:get_record("slow:50~%s-" .. i)) end)
      end
      for i = 1, 5 do ngx.thread.wait(threads[i]) end
      return kinds
    ]]
    local records = { "record", "record", "record", "record", "record" }

    it("the calls poll by themselves", function()
      local n = start { http = "lua_max_pending_timers 1;" } -- the spec's watchdog has it
      assert.same(records, n:run(chunk:format "pending"))
      assert.truthy(n:complaints():find "%[warn%].*no timer")
      assert.falsy(n:complaints():find "%[error%]")
    end)

    it("a pump that never began is given up", function()
      local n = start { http = "lua_max_running_timers 1;" }
      n:run [[ ngx.timer.at(0, function() ngx.sleep(4) end) ]]
      assert.same(records, n:run(chunk:format "running"))
      assert.falsy(n:complaints():find "%[error%]")
    end)
  end)

  it("goes on where the thread pool is stuck", function()
    local n = start { main = "thread_pool default threads=1;", threads = false }
    local got = n:run [[
      package.loaded.stuck = nil
      local thread = ngx.thread.spawn(function()
        return ngx.run_worker_thread("default", "aitoearn.core", "wait_fd", -1, 8000) -- poll ignores a negative descriptor
      end)
      local began = ngx.now()
      local outcome = kind(client:get_record "slow:50~stuck")
      ngx.update_time()
      return { outcome, ngx.now() - began < 7 }
    ]]
    assert.same({ "record", true }, got)
    assert.equal("", n:complaints())
  end)

  it("keeps no others waiting while the thread pool is busy", function()
    local n = start()
    local late = n:run [[
      assert(client:get_record("ok~busy"))
      for i = 1, 8 do
        ngx.thread.spawn(function() ngx.run_worker_thread("default", "aitoearn.core", "wait_fd", -1, 1000) end)
      end
      ngx.sleep(0.05)
      local late, calls = 0, {}
      for i = 1, 60 do
        calls[i] = ngx.thread.spawn(function()
          ngx.update_time()
          local began = ngx.now()
          assert(client:get_record("ok~busy-" .. i))
          ngx.update_time()
          if ngx.now() - began > 0.5 then late = late + 1 end
        end)
        ngx.sleep(0.02)
      end
      for i = 1, 60 do ngx.thread.wait(calls[i]) end
      return late
    ]]
    assert.truthy(late <= 2, late .. " of 60 calls had to wait for a thread") -- the last one has nobody after it
    assert.equal("", n:complaints())
  end)

  for _, mode in ipairs { "with", "without" } do
    it(mode .. " threads, calls that end where they begin leave nothing behind", function()
      local n = start { threads = mode == "with" }
      local got = n:run [[
        local bad = { server = "https://255.255.255.255", api_key = "k" } -- connect() refuses it at once
        local sites = { good = { server = settings.platform.http, api_key = settings.client.api_key }, bad = bad }
        local own = aitoearn.new { sites = sites, site = "good", retry = false, proxy = "" }
        assert(own:get_record "slow:50~begin")
        ngx.sleep(0.1)
        local before, kinds = collect(), {}
        for i = 1, 2000 do kinds[kind(own:get_record("x" .. i, { site = "bad" }))] = true end
        return { kinds = kinds, kilobytes = collect() - before, left = own.engine:poll(0) }
      ]]
      assert.same({ connect = true }, got.kinds)
      assert.equal(0, got.left)
      assert.truthy(got.kilobytes < 300, got.kilobytes .. " kB")
      assert.equal("", n:complaints())
    end)

    it(mode .. " threads, a client that is closed while a key is asked for ends its batch, and the log stays empty", function()
      local n = start { threads = mode == "with" }
      local got = n:run [[
        local slow = false
        local own = new { api_key = function()
          if slow then ngx.sleep(0.3) end
          return settings.client.api_key
        end }
        assert(own:get_record "ok")
        slow = true
        local kinds = {}
        local batch = ngx.thread.spawn(function()
          for id, record, err in own:each_record({ "a", "b", "slow:500", "d" }, { concurrency = 2 }) do
            kinds[#kinds + 1] = kind(record, err)
          end
        end)
        ngx.sleep(0.1)
        own:close()
        ngx.thread.wait(batch)
        return kinds
      ]]
      assert.same({ "closed", "closed", "closed", "closed" }, got)
      assert.equal("", n:complaints())
    end)
  end

  it("a call that is killed while it probes an endpoint does not keep others from probing it", function()
    local n = start { client = { server = { p.closed, p.cn.http }, retry = { base = 0.001 } } }
    local got = n:run [[
      local site = client.sites.default
      local first = site.endpoints[1]
      for i = 1, 3 do assert(client:get_record("ok~probe-" .. i)) end
      local ejected = first.ejected_until ~= nil
      first.ejected_until = client.now() -- its time is over
      local ids = { "silent~p1", "ok~p2" }
      first.prefix = site.endpoints[2].prefix -- it is back
      local thread = ngx.thread.spawn(function() return client:get_record(ids[1]) end)
      ngx.sleep(0.05)
      local probing = first.probing
      ngx.thread.kill(thread)
      ngx.sleep(1)
      assert(client:get_record(ids[2]))
      return { ejected, probing ~= false, first.probing == false and first.ejected_until == nil }
    ]]
    assert.same({ true, true, true }, got)
  end)
end)
