--- Clients that share a Redis server, in nginx and after a fork.
local helper = require "spec.helper"
local redis_server = require "spec.redis_server"
local redis_store = require "aitoearn.share.redis"
local server = require "spec.host.nginx.server"
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
  local p, r

  setup(function()
    p, r = helper.start(), redis_server.start()
  end)
  teardown(function()
    r:stop()
    helper.stop()
  end)
  before_each(function()
    p:forget()
    r:connect():flushall()
  end)
  after_each(helper.close)

  local function timed(fn)
    local began = socket.gettime()
    fn()
    return socket.gettime() - began
  end

  it("connect again in a child", function()
    local path = os.tmpname()
    shell.write(path, r:source() .. [[
      local unistd, wait = require "posix.unistd", require "posix.sys.wait"
      local count = 0
      local store = require("aitoearn.share.redis").new(function()
        count = count + 1
        return connect()
      end)
      assert(store:acquire "site")
      local pid = unistd.fork()
      for _ = 1, 200 do assert(store:acquire "site") end
      if pid == 0 then os.exit(count == 2 and 0 or 3) end
      local _, how, status = wait.wait(pid)
      print(count, how, status)
    ]])
    local output, problem = shell.run(("LUA_PATH='./lua/?.lua;./lua/?/init.lua;;' LUA_CPATH='build/5.1/?.so;;' luajit %s")
      :format(path))
    os.remove(path)
    assert.equal("1\texited\t0", output, problem)
  end)

  describe("in nginx", function()
    local n

    before_each(function()
      n = server.start(p, { workers = 3 })
      -- A client of each worker's own, over a connection of nginx's.
      n:run(([[
        ngx.shared.notes:set("redis", %d)
        return true
      ]]):format(r.port))
    end)
    after_each(function() n:stop() end)

    local CLIENT = [[
      if not package.loaded["spec client"] then
        local port = ngx.shared.notes:get "redis"
        local function connect()
          local connection = require("nginx.redis"):new()
          connection:set_timeout(100)
          local ok, problem = connection:connect("127.0.0.1", port)
          if not ok then return nil, problem end
          return connection
        end
        package.loaded["spec client"] = new { share = require("aitoearn.share.redis").new(connect), max_rate = %s,
          on_event = function(event)
            if event.type == "share" then ngx.log(ngx.WARN, event.message) end
          end }
      end
      local client = package.loaded["spec client"]
    ]]

    it("hold each other, and other programs", function()
      local script = CLIENT:format "nil"
      assert.equal("record", n:run(script .. [[ return kind(client:get_record "ok") ]]))
      local other = helper.client { share = redis_store.new(function() return r:connect() end) }
      helper.failure("api", other:get_record(helper.fresh "code:429:ttl=300", { deadline = 2 }))
      for _ = 1, 9 do
        assert.equal("api", n:run(script .. [[ return kind(client:get_record("ok", { deadline = 2 })) ]]))
      end
      assert.equal("", n:complaints())
    end)

    it("keep max_rate together, and give slots back from anywhere", function()
      for _ = 1, 9 do n:run(CLIENT:format "50" .. [[ client:get_record "ok" ]]) end
      local script = CLIENT:format "50" .. [[
        local all = {}
        for i = 1, 34 do all[i] = "ok~" .. i end
        local records, errors = client:get_records(all, { concurrency = 8 })
        local count = 0
        for _ in pairs(records) do count = count + 1 end
        local task = client:start("get_record", "ok~x")
        task:cancel()
        return count
      ]]
      local calls = {}
      local elapsed = timed(function()
        for i = 1, 6 do calls[i] = n:start(script) end
        for i = 1, 6 do assert.equal(34, server.finish(calls[i])) end
      end)
      assert.equal("", n:complaints())
      assert.is_true(elapsed > 3.8 and elapsed < 4.8, tostring(elapsed))
    end)

    it("go on alone where it is gone or slow", function()
      local script = CLIENT:format "nil"
      r:signal "STOP"
      local elapsed = timed(function()
        for _ = 1, 6 do assert.equal("record", n:run(script .. [[ return kind(client:get_record "ok") ]])) end
      end)
      r:signal "CONT"
      assert.is_true(elapsed < 1, tostring(elapsed))
    end)
  end)
end)
