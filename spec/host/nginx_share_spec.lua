--- Eight nginx workers that share a lua_shared_dict.
local platform = require "spec.platform"
local server = require "spec.host.nginx.server"
local shell = require "spec.platform.shell"
local socket = require "socket"

local WORKERS = 8

describe("nginx workers with share", function()
  local p, n

  local function start(client, size)
    client.share = "common"
    n = server.start(p, { workers = WORKERS, client = client, http = "lua_shared_dict common " .. (size or "1m") .. ";" })
  end

  --- Runs a chunk once in each worker, in a timer, with what `tools` in app.lua offers.
  local function in_each_worker(chunk)
    local claims = 0
    assert(shell.wait_until(20, function()
      for _ = 1, WORKERS do
        claims = claims + n:run(([[
          if not ngx.shared.notes:add("claim-" .. ngx.worker.id(), true) then return 0 end
          ngx.timer.at(0, function() %s end)
          return 1
        ]]):format(chunk))
      end
      return claims == WORKERS
    end), "not every worker could be reached")
    for id = 0, WORKERS - 1 do n:run(("ngx.shared.notes:delete 'claim-%d'"):format(id)) end
  end

  -- A loop of calls in each worker for some seconds: as many at once as `loops`.
  local LOAD = [[
    local ends = ngx.now() + %g
    for loop = 1, %d do
      ngx.thread.spawn(function()
        while ngx.now() < ends do client:get_record "ok" end
      end)
    end
  ]]

  setup(function() p = assert(platform.start()) end)
  teardown(function() p:stop() end)
  before_each(function() p:forget() end)
  after_each(function()
    if n then n:stop() end
    n = nil
  end)

  it("keep max_rate together: within 5 % of 50 a second over 10 s, and with no burst", function()
    start { max_rate = 50 }
    in_each_worker(LOAD:format(14, 4))
    socket.sleep(13)
    local first, count, seconds = nil, 0, {}
    for _, request in ipairs(p:requests()) do
      first = first or request.at
      local age = request.at - first
      if age >= 1 and age < 11 then
        count = count + 1
        local second = math.floor(age)
        seconds[second] = (seconds[second] or 0) + 1
      end
    end
    assert.is_true(count >= 475 and count <= 525, "500 expected, got " .. count)
    for second, in_it in pairs(seconds) do
      assert.is_true(in_it >= 40 and in_it <= 50 + WORKERS + 2, ("second %d: %d"):format(second, in_it))
    end
    assert.equal("", n:complaints())
  end)

  it("are all held by a 429 in one, and all go on after client:release or its end", function()
    start {}
    in_each_worker(LOAD:format(5, 1))
    socket.sleep(1)
    local id = "code:429:ttl=2;ok~held"
    assert.equal("record", n:run(("return kind(client:get_record %q)"):format(id)))
    local held_at, after, late = nil, 0, 0
    local requests = p:requests()
    for _, request in ipairs(requests) do
      if server.id_of(request) == id then held_at = held_at or request.at end
    end
    for _, request in ipairs(requests) do
      local age = request.at - held_at
      if age > 0.03 and age < 1.9 then late = late + 1 end -- 10 ms, and what a busy machine adds
      if age > 2 then after = after + 1 end
    end
    assert.is_true(#requests > 100)
    assert.equal(0, late)
    assert.is_true(after > 8)
    assert.equal("", n:complaints())
  end)

  it("fail a call that cannot wait for the end of a hold that another got, with when to try again", function()
    start {}
    n:run [[ return kind(client:get_record("code:429:ttl=60~x", { deadline = 2 })) ]]
    for _ = 1, 2 * WORKERS do
      local err = n:run [[
        local _, err = client:get_record("ok", { deadline = 2 })
        return { kind = err.kind, code = err.code, retry_in = err.retry_at - ngx.now(), request_id = err.request_id }
      ]]
      assert.same({ "api", 429 }, { err.kind, err.code })
      assert.near(60, err.retry_in, 3)
    end
    assert.equal(1, #p:requests())
  end)

  it("ask no endpoint that another ejected, and probe it one at a time", function()
    start { server = { p.closed, p.cn.http }, retry = { max_attempts = 4, base = 0.001 } }
    in_each_worker(LOAD:format(1, 2))
    socket.sleep(1.2)
    local states = {}
    for _ = 1, 4 * WORKERS do
      local row = n:run [[
        client:get_record "ok"
        return { id = ngx.worker.id(), state = client:stats().sites.default.endpoints[1].state }
      ]]
      states[row.id] = row.state
    end
    for _, state in pairs(states) do assert.equal("ejected", state) end
    socket.sleep(4.5)
    n:run [[ ngx.shared.notes:set("probes", 0) ]]
    in_each_worker [[
      local probes = 0
      local watched = new { on_event = function(event)
        if event.type == "attempt" and event.kind == "connect" then ngx.shared.notes:incr("probes", 1) end
      end }
      local ends = ngx.now() + 2
      while ngx.now() < ends do watched:get_record "ok" end
    ]]
    socket.sleep(2.5)
    assert.equal(1, n:run [[ return ngx.shared.notes:get "probes" ]])
  end)

  it("go on where a worker dies with slots taken", function()
    start { max_rate = 50 }
    in_each_worker(LOAD:format(6, 4))
    socket.sleep(1)
    for i = 1, 4 do shell.run("kill -s KILL " .. n:workers()[i]) end
    socket.sleep(3)
    local requests, count = p:requests(), 0
    local last = requests[#requests].at
    for _, request in ipairs(requests) do
      if request.at > last - 2 then count = count + 1 end
    end
    assert.is_true(count >= 80 and count <= 110, count .. " in the last two seconds")
  end)

  it("live with a dict that is full, and with one that is wiped", function()
    start({ max_rate = 50 }, "12k")
    n:run [[
      local dict = ngx.shared.common
      for i = 1, 2000 do dict:safe_set("filling " .. i, ("x"):rep(100)) end
    ]]
    in_each_worker(LOAD:format(5, 2))
    for _ = 1, 20 do
      socket.sleep(0.1)
      n:run [[ ngx.shared.common:flush_all() ]]
    end
    socket.sleep(2)
    local requests = p:requests()
    assert.is_true(#requests > 100 and #requests < 500, tostring(#requests))
    assert.equal("", n:complaints())
  end)

  it("are refused by a name that is no dict", function()
    start {}
    assert.truthy(n:run([[ return select(2, pcall(new, { share = "nowhere" })) ]])
      :find('share: there is no lua_shared_dict "nowhere"', 1, true))
  end)
end)
