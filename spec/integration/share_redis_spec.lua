--- Clients that share a Redis server, in this process and in several. (In nginx, and after a fork: spec/host.)
local helper = require "spec.helper"
local redis_server = require "spec.redis_server"
local redis_store = require "aitoearn.share.redis"
local shell = require "spec.platform.shell"
local socket = require "socket"

local missing = redis_server.missing()
if missing then
  describe("clients that share Redis", function()
    pending(missing)
  end)
  return
end

describe("clients that share Redis", function()
  local p, r, connections

  local function connect()
    connections = connections + 1
    return r:connect()
  end

  local function client(given)
    local options = { share = redis_store.new(connect) }
    for name, value in pairs(given or {}) do options[name] = value end
    return helper.client(options)
  end

  setup(function()
    p, r = helper.start(), redis_server.start()
  end)
  teardown(function()
    r:stop()
    helper.stop()
  end)
  before_each(function()
    connections = 0
    p:forget()
    r:connect():flushall()
  end)
  after_each(helper.close)

  local function timed(fn)
    local began = socket.gettime()
    fn()
    return socket.gettime() - began
  end

  it("run a script whose name is right", function()
    assert.equal(redis_store.SHA1, r:connect():script("load", redis_store.SCRIPT))
  end)

  it("hold each other, with when to try again, until one of them ends it", function()
    local a, b = client(), client()
    helper.failure("api", a:get_record(helper.fresh "code:429:ttl=3000", { deadline = 2 }))
    local err = helper.failure("api", b:get_record("ok", { deadline = 2 }))
    assert.equal(429, err.code)
    assert.near(os.time() + 3000, err.retry_at, 5)
    assert.equal(1, #p:requests())
    a.site_list[1]:release_hold()
    socket.sleep(0.011)
    helper.record(b:get_record "ok")
  end)

  it("take slots from one clock, in batches too, and leave no key behind", function()
    local a, b = client { max_rate = 40 }, client { max_rate = 40 }
    local ids = {}
    for i = 1, 40 do ids[i] = "ok~" .. i end
    local elapsed = timed(function()
      local first, second = a:start("get_records", ids), b:start("get_records", ids)
      while not (first:done() and second:done()) do
        a:poll(0.002)
        b:poll(0.002)
      end
      assert.is_nil((next(select(2, first:result()))))
    end)
    assert.is_true(elapsed > 1.9 and elapsed < 2.3, tostring(elapsed))
    assert.equal(2, connections)
    assert.is_true(shell.wait_until(4, function() return #r:connect():keys "*" == 0 end))
  end)

  it("give back the slot of a call that is cancelled", function()
    local a, b = client { max_rate = 2 }, client { max_rate = 2 }
    helper.record(a:get_record "ok")
    local task = a:start("get_record", "ok~never")
    task:cancel()
    assert.is_true(timed(function() helper.record(b:get_record "ok") end) < 0.6)
  end)

  it("share ejections and one prober", function()
    local servers = { p.closed, p.cn.http }
    local a, b = client { server = servers, retry = { base = 0.001, max_attempts = 4 } }, client { server = servers }
    for _ = 1, 3 do helper.record(a:get_record "ok") end
    local store, site = redis_store.new(connect), table.concat(servers, " ")
    assert.truthy(store:acquire(site).ejected[1])
    helper.record(b:get_record "ok")
    assert.equal(0, b:stats().retries)
    assert.equal("ejected", b:stats().sites.default.endpoints[1].state)
    assert.is_false(store:acquire(site, nil, 1).probe)
    store:report(site, "restore", 1)
    socket.sleep(0.011)
    helper.record(b:get_record "ok")
    assert.equal(1, b:stats().retries)
  end)

  it("connect once, and again after an error", function()
    local c = client()
    for _ = 1, 3 do
      helper.record(c:get_record "ok")
      socket.sleep(0.011)
    end
    assert.equal(1, connections)
    r:connect():client("kill", "type", "normal", "skipme", "no")
    helper.record(c:get_record "ok")
    socket.sleep(1.1)
    helper.record(c:get_record "ok")
    assert.equal(2, connections)
  end)

  describe("over a server that fails", function()
    local events

    before_each(function() events = {} end)

    local function noting(given)
      given = given or {}
      given.on_event = function(event) events[#events + 1] = event.type == "share" and event or nil end
      return client(given)
    end

    it("go on alone, say so once, and share again when it is back", function()
      local c = noting { max_rate = 50 }
      helper.record(c:get_record "ok")
      r:kill()
      assert.is_true(timed(function()
        for _ = 1, 20 do helper.record(c:get_record "ok") end
      end) < 1)
      assert.equal(1, #events)
      socket.sleep(1.1)
      helper.record(c:get_record "ok")
      assert.equal(1, #events)
      r:up()
      socket.sleep(1.1)
      helper.record(c:get_record "ok")
      local d = client()
      helper.failure("api", c:get_record(helper.fresh "code:429:ttl=300", { deadline = 2 }))
      helper.failure("api", d:get_record("ok", { deadline = 2 }))
    end)

    it("do so where there never was one", function()
      local c = helper.client { share = redis_store.new(function() error "no route" end) }
      helper.record(c:get_record "ok")
      c = helper.client { share = redis_store.new(function() return nil, "no route" end) }
      helper.record(c:get_record "ok")
    end)

    it("wait no longer for a slow one than the time-out that connect sets, and then leave it alone for 5 s", function()
      -- A little more than 100 ms: LuaSocket counts them in whole ones, and may end one early.
      local c = noting { share = redis_store.new(function() return r:connect(0.11) end) }
      helper.record(c:get_record "ok")
      r:signal "STOP"
      socket.sleep(0.02)
      local slow = timed(function() helper.record(c:get_record "ok") end)
      local alone = timed(function()
        for _ = 1, 10 do helper.record(c:get_record "ok") end
      end)
      r:signal "CONT"
      assert.is_true(slow >= 0.1 and slow < 0.3, tostring(slow))
      assert.is_true(alone < 0.1, tostring(alone))
      assert.equal(1, #events)
    end)

    it("leave one that answers late alone for 5 s as well", function()
      local c = noting { share = redis_store.new(function() return r:connect(5) end) }
      helper.record(c:get_record "ok")
      for _ = 1, 2 do
        socket.sleep(0.02)
        r:signal "STOP"
        shell.run(("(sleep 0.5; kill -s CONT %s) >/dev/null 2>&1 &"):format(r.pid))
        helper.record(c:get_record "ok")
      end
      assert.truthy(events[1].message:find "the store took 0%.%d+ s")
    end)

    it("go on where it is full, and where it is wiped", function()
      local admin = r:connect()
      admin:config("set", "maxmemory", "1mb")
      admin:config("set", "maxmemory-policy", "noeviction")
      local c = noting { max_rate = 100 }
      for _ = 1, 3 do helper.record(c:get_record "ok") end
      assert.truthy(events[1].message:find "OOM")
      admin:config("set", "maxmemory", "0")
      socket.sleep(1.1)
      helper.record(c:get_record "ok")
      admin:flushall()
      admin:script "flush"
      helper.record(c:get_record "ok")
      assert.equal(1, #events)
    end)
  end)

  it("keep max_rate in three processes: within 5 % of 50 a second over 10 s", function()
    local program = ([[
      local aitoearn = require "aitoearn"
      local client = aitoearn.new {
        server = %q, api_key = %q, proxy = "", max_rate = 50, share = require("aitoearn.share.redis").new(connect),
      }
      local ends = aitoearn.now and 0 or require("socket").gettime() + 13
      for _ in client:each_record(function() return require("socket").gettime() < ends and "ok" or nil end) do end
    ]]):format(p.cn.http, p.cn.key)
    local paths = {}
    for i = 1, 3 do
      paths[i] = os.tmpname()
      shell.write(paths[i], ("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath)
        .. r:source() .. program)
    end
    local lua = shell.quote(arg and arg[-1] or "lua")
    assert(shell.run(("for path in %s; do %s $path & done; wait"):format(table.concat(paths, " "), lua)))
    for _, path in ipairs(paths) do os.remove(path) end
    local first, count = nil, 0
    for _, request in ipairs(p:requests()) do
      first = first or request.at
      local age = request.at - first
      if age >= 1 and age < 11 then count = count + 1 end
    end
    assert.is_true(count >= 475 and count <= 525, "500 expected, got " .. count)
  end)
end)
