--- The client in real nginx workers: every phase, many calls at once, batches, closing, one client for all workers.
local cjson = require "cjson"
local platform = require "spec.platform"
local server = require "spec.host.nginx.server"
local shell = require "spec.platform.shell"
local socket = require "socket"

describe("in nginx", function()
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

  describe("every phase", function()
    local n, outcomes, requested
    local phases = {
      server_rewrite = "record", rewrite = "record", access = "record", content = "record", timer = "record",
      ssl_cert = "record", init = "argument", init_worker = "argument", set = "argument", header_filter = "argument",
      body_filter = "argument", log = "argument", balancer = "argument", ssl_client_hello = "argument",
      ssl_session_fetch = "argument", ssl_session_store = "argument", exit_worker = "argument",
    }

    -- Two TLS connections, of which the second one takes up the session of the first.
    local function shake_hands(port)
      local dir = shell.quote(n.dir)
      local command = "cd " .. dir .. " && (sleep 0.3; echo) | timeout 10 openssl s_client -tls1_2 -connect 127.0.0.1:"
        .. port .. " %s 2>&1 | grep -q %s"
      assert(shell.run(command:format("-sess_out session.pem", "New,")), "no TLS connection")
      assert(shell.run(command:format("-sess_in session.pem", "New,")), "no second TLS connection")
    end

    setup(function()
      p:forget()
      n = server.start(p)
      for phase in pairs(phases) do
        if not phase:find "^ssl" and not phase:find "init" and phase ~= "exit_worker" and phase ~= "server_rewrite" then
          n:get("/phase/" .. phase)
        end
      end
      assert(shell.run("curl -s http://127.0.0.1:" .. n.ports.port_server_rewrite))
      shake_hands(n.ports.port_tls)
      local old = n:workers()[1]
      n:signal "HUP" -- the old worker goes through exit_worker
      assert(server.is_gone(old, 5))
      assert(n:noted "timer")
      outcomes = n:run [[
        local all = {}
        for _, phase in ipairs(ngx.shared.notes:get_keys(0)) do all[phase] = ngx.shared.notes:get(phase) end
        return all
      ]]
      requested = {}
      for _, request in ipairs(p:requests()) do requested[server.id_of(request)] = true end
    end)
    teardown(function() n:stop() end)

    for phase, expected in pairs(phases) do
      it(expected == "record" and "gets a record in " .. phase or "is refused in " .. phase .. ", and nothing is sent",
        function()
          local outcome = outcomes[phase]
          assert.equal("string", type(outcome), "the phase was not reached")
          assert.equal(expected, outcome:match "^%w+")
          assert.equal(expected == "record", requested["ok~phase-" .. phase] == true)
          if expected == "argument" then assert.truthy(outcome:find("phase " .. phase, 1, true)) end
        end)
    end

    it("refuses the other calls as well", function()
      p:forget()
      n:get "/refused"
      local a = "argument"
      assert.same({
        each = { ["a~1"] = a, ["b~1"] = a, ["c~1"] = a }, all = { ["a~3"] = a, ["b~3"] = a },
        wait = a, locate = a, get = { true, a, a }, task = { true, a },
      }, cjson.decode(n:noted "refused"))
      assert.same({}, p:requests())
    end)
  end)

  it("makes 50 calls at once, and answers others meanwhile", function()
    local n = start()
    n:run [[ return kind(client:get_record "ok~warm") ]]
    local calls, worst = {}, 0
    local began = socket.gettime()
    for i = 1, 50 do calls[i] = n:start(("return kind(client:get_record 'slow:50~%d')"):format(i)) end
    for _ = 1, 10 do
      local at = socket.gettime()
      assert.equal("ok", (n:get "/trivial"))
      worst = math.max(worst, socket.gettime() - at)
    end
    for i = 1, 50 do assert.equal("record", server.finish(calls[i])) end
    assert.truthy(socket.gettime() - began < 2) -- one after the other would take 2.5 s at least, on any machine
    assert.truthy(worst < 0.5)
    assert.equal("", n:complaints())
  end)

  describe("a batch and a wait", function()
    local chunk = [[
      local function work()
        local seen, statuses, ids = {}, {}, {}
        for i = 1, 200 do ids[i] = "ok~batch-" .. i .. "-%s" end
        for id, record, err in client:each_record(ids, { concurrency = 20 }) do
          seen[#seen + 1] = kind(record, err)
        end
        local records, errors = client:get_records { "ok", "code:15000", "status:6" }
        local function pace() return 0.05 end
        for id in client:wait_all({ "status:0;status:1~1-%s", "status:2;status:1~2-%s" }, { pace = pace }) do
          statuses[#statuses + 1] = id
        end
        local record = client:wait("status:2;status:1~3-%s", { pace = pace })
        local task = client:start("get_record", "slow:20")
        local before = task:done()
        while not task:done() do ngx.sleep(0.005) end
        return {
          count = #seen, first = seen[1], last = seen[200], ok = records.ok ~= nil, queued = records["status:6"].status,
          missing = errors["code:15000"].code, all = #statuses, wait = record.status, task = { before, kind(task:result()) },
        }
      end
    ]]
    local expected = { count = 200, first = "record", last = "record", ok = true, queued = 6, missing = 15000, all = 2,
      wait = 1, task = { false, "record" } }

    it("work in a request", function()
      local n = start()
      assert.same(expected, n:run((chunk:gsub("%%s", "request")) .. " return work()"))
      assert.equal("", n:complaints())
    end)

    it("work in a timer", function()
      local n = start()
      n:run((chunk:gsub("%%s", "timer")) .. " in_timer('batch', work)")
      assert.same(expected, n:timed("batch", 20))
      assert.equal("", n:complaints())
    end)

    it("work without a thread pool", function()
      local n = start { threads = false }
      assert.same(expected, n:run((chunk:gsub("%%s", "sleeping")) .. " return work()"))
      assert.equal("", n:complaints())
    end)

    it("work with lua_code_cache off", function()
      local n = start { code_cache = false }
      assert.same(expected, n:run((chunk:gsub("%%s", "uncached")) .. " return work()"))
    end)
  end)

  it("lets hooks start and cancel, and refuses calls that wait in them", function()
    local n = start()
    assert.same({ true, "record", "cancelled", "cancelled", true }, n:run [[
      local got = {}
      client:start("get_record", "ok~hook-1"):on_done(function()
        local ok, message = pcall(client.get_record, client, "ok")
        got[1] = not ok and message:find("get_record: a call cannot wait inside of on_done", 1, true) ~= nil
        client:start("get_record", "ok~hook-2"):on_done(function(...) got[2] = kind(...) end)
      end)
      ngx.sleep(0.2)
      local task = client:start("get_record", "silent~hook-3"):on_done(function(...) got[3] = kind(...) end)
      ngx.sleep(0.05)
      task:cancel()
      got[4] = task:done() and kind(task:result())
      local own = new { api_key = function() ngx.sleep(0.01) return "k" end }
      got[5] = own:get_record "ok~hook-4" == nil or true -- nginx's own waits work in there
      return got
    ]])
    assert.equal("", n:complaints())
  end)

  it("publishes as a task, once, though the first answer is lost", function()
    local n = start()
    p:fault { route = "POST /flows", when = "after", how = "reset" }
    local got = n:run [[
      local task = client:start("publish", { flowId = "spec-nginx", items = { { platform = "xhs", accountId = "life:0:0.1" } },
        content = { title = "spring" } })
      local started, flow = task:done(), nil
      task:on_done(function(made) flow = made end)
      while not task:done() do ngx.sleep(0.005) end
      local ended = assert(client:wait_flow("spec-nginx", { pace = function() return 0.05 end }))
      return { started, #flow.tasks, ended.tasks[1].status }
    ]]
    assert.same({ false, 1, 1 }, got)
    assert.equal(1, p:count("publish", "spec-nginx"))
    assert.equal("", n:complaints())
  end)

  it("uses one client of init_by_lua in every worker, each with its own connection", function()
    local n = start { workers = 2 }
    local seen, connections = {}, {}
    assert.is_true(shell.wait_until(20, function()
      local answer = n:run [[
        local outcome = kind(client:get_record "ok~forked")
        return { tostring(ngx.worker.pid()), outcome, client:stats().connections }
      ]]
      assert.equal("record", answer[2])
      assert.equal(1, answer[3])
      seen[answer[1]] = true
      return next(seen, next(seen)) ~= nil
    end), "one worker got all requests")
    for _, request in ipairs(p:requests()) do connections[request.connection] = true end
    assert.truthy(next(connections, next(connections)))
    assert.equal("", n:complaints())
  end)

  describe("closing a client", function()
    it("ends what others wait for", function()
      local n = start()
      assert.same({ "closed", "closed", "closed", 2, "closed" }, n:run [[
        local own, kinds = new { max_connections = 1 }, {}
        local function note(i, ...) kinds[i] = kind(...) end
        local threads = {
          ngx.thread.spawn(function() note(1, own:get_record "silent~1") end),
          ngx.thread.spawn(function() note(2, own:get_record "silent~2") end), -- waits for the connection
          ngx.thread.spawn(function() note(3, own:wait("status:2~close", { pace = function() return 60 end })) end),
          ngx.thread.spawn(function()
            local _, errors = own:get_records({ "silent~4", "silent~5" }, { concurrency = 1 })
            local count = 0
            for _, err in pairs(errors) do count = count + (err.kind == "closed" and 1 or 0) end
            kinds[4] = count
          end),
        }
        ngx.sleep(0.1)
        own:close()
        for i = 1, 4 do ngx.thread.wait(threads[i]) end
        kinds[5] = kind(own:get_record "ok~late")
        return kinds
      ]])
      assert.equal("", n:complaints())
    end)

    it("is done by the collector as well", function()
      local n = start()
      local got = n:run [[
        local before
        for i = 1, 30 do
          local own = new()
          assert(own:get_record("ok~gc-" .. i))
          own = nil
          ngx.sleep(0.01)
          if i == 10 then collect() before = descriptors() end
        end
        ngx.sleep(0.7)
        collect()
        return { before, descriptors() }
      ]]
      assert.truthy(got[2] <= got[1] + 3, cjson.encode(got))
    end)
  end)

  it("hands over to a fresh timer, so that a pump under steady traffic keeps no memory", function()
    local n = start()
    local got = n:run [[
      client:get_records({ "ok~steady" })
      local function round(from)
        local i = from
        for _, _, err in client:each_record(function() i = i + 1 return i <= from + 5000 and "ok~s-" .. i or nil end) do
          if err then error(tostring(err)) end
        end
        collect()
        return memory()
      end
      round(0)
      local first = round(5000)
      return round(10000) - first
    ]]
    assert.truthy(got < 6e6, got)
    assert.equal("", n:complaints())
  end)
end)
