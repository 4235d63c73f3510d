--- What each option does on the wire. `retry`, `deadline`: attempts_spec and pauses_spec; `proxy`: proxy_spec;
-- `max_response_bytes`: limits_spec; `on_event`: events_stats_spec; what is refused: unit/options_spec.
local aitoearn = require "aitoearn"
local helper = require "spec.helper"
local socket = require "socket"

local record, failure = helper.record, helper.failure

describe("the option", function()
  local p

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  before_each(function() p:forget() end)
  after_each(helper.close)

  local function sent(options, opts)
    helper.client(options):get_record("ok", opts)
    return p:requests()[1]
  end

  -- Runs as many calls at once as there are ids, and returns how long that took.
  local function together(client, count, id)
    local began, tasks = socket.gettime(), {}
    for i = 1, count do tasks[i] = client:start("get_record", id) end
    while client:poll(0.05) > 0 do assert(socket.gettime() - began < 15, "tasks do not end") end
    for _, task in ipairs(tasks) do record(task:result()) end
    return socket.gettime() - began
  end

  it("server is the host that is asked, without a slash too many", function()
    for given, server in pairs {
      [p.cn.backup] = "cn_backup", [p.cn.http .. "/"] = "cn_http", [p.intl.http .. "///"] = "intl_http",
    } do
      p:forget()
      local request = sent { server = given }
      assert.same({ server, helper.PATH .. "ok" }, { request.server, request.uri })
    end
  end)

  it("server may have a path in front of /api", function()
    local err = failure("protocol", helper.client({ server = p.cn.http .. "/prefix/" }):get_record "ok")
    assert.equal("/prefix" .. helper.PATH .. "ok", p:requests()[1].uri)
    assert.truthy(err.hint:find "is this base URL the API?")
  end)

  it("server may be cn, intl, or taken from the environment", function()
    for name, url in pairs { cn = "https://aitoearn.cn", intl = "https://aitoearn.ai" } do
      local client = aitoearn.new { server = name, api_key = "k" }
      assert.equal(url, client:stats().sites[name].endpoints[1].server)
      assert.equal(("aitoearn.client (%s)"):format(name), tostring(client))
    end
    local output = helper.script([[
      print((require("aitoearn").new():get_record "ok").id)
    ]], ("AITOEARN_SERVER=%s AITOEARN_API_KEY=%s no_proxy='*'"):format(p.cn.http, p.cn.key))
    assert.equal("ok", output)
  end)

  it("api_key is sent as it is", function()
    assert.equal(p.cn.key, sent({}).api_key)
    p:forget()
    assert.equal("a key: with = odd; \\ bytes \"é", sent({ api_key = "a key: with = odd; \\ bytes \"é" }).api_key)
  end)

  it("api_key may be a function, called once an attempt", function()
    local calls, keys = 0, { p.cn.limited_key, p.cn.key }
    local client = helper.clocked {
      api_key = function()
        calls = calls + 1
        return keys[calls]
      end,
    }
    record(client:get_record(helper.fresh "http:502;ok"))
    assert.equal(2, calls)
    assert.same(keys, helper.column(p:requests(), "api_key"))
    local err = failure("argument", client:get_record "ok")
    assert.truthy(err.message:find "api_key: the function returned a value that is no key: nil")
    assert.equal(2, #p:requests())
    keys[4] = ("k"):rep(4097)
    err = failure("argument", client:get_record "ok")
    assert.equal("api_key: the function returned a value that is no key: one of 4097 bytes (4096 at most)", err.message)
  end)

  it("api_key is asked for no call that has ended", function()
    local calls = 0
    local client = helper.client { api_key = function()
      calls = calls + 1
      return p.cn.key
    end }
    for _ in client:each_record({ "ok~1", "ok~2", "ok~3", "ok~4" }, { concurrency = 1 }) do client:close() end
    failure("closed", client:get_record "ok")
    assert.equal(2, calls) -- the second one was under way when the first one's record came
  end)

  it("sites gives each site its own key and server", function()
    local client = helper.client {
      sites = {
        cn = { server = p.cn.http, api_key = p.cn.key },
        mine = { server = { p.intl.http, p.intl.backup }, api_key = function() return p.intl.key end },
      },
      site = "mine",
    }
    assert.equal("code:15000", failure("api", client:get_record "code:15000").record_id)
    record(client:get_record("ok", { site = "cn" }))
    local requests = p:requests()
    assert.same({ "intl_http", "cn_http" }, helper.column(requests, "server"))
    assert.same({ p.intl.key, p.cn.key }, helper.column(requests, "api_key"))
  end)

  it("connect_timeout bounds connecting", function()
    local listener = assert(socket.bind("127.0.0.1", 0, 0))
    local url = ("http://127.0.0.1:%d"):format(select(2, listener:getsockname()))
    local waiting = {}
    for i = 1, 4 do -- more than its queue takes: the next one is not answered at all
      waiting[i] = socket.tcp4()
      waiting[i]:settimeout(0)
      waiting[i]:connect(url:match "//(.*):", url:match ":(%d+)$")
    end
    local client = helper.client { server = url, connect_timeout = 0.2, timeout = 10, retry = false }
    local began = socket.gettime()
    failure("timeout", client:get_record "ok")
    assert.is_true(socket.gettime() - began < 5)
    for _, one in ipairs(waiting) do one:close() end
    listener:close()
  end)

  it("timeout bounds one attempt", function()
    local began = socket.gettime()
    local err = failure("timeout", helper.client({ timeout = 0.2, retry = false }):get_record "silent")
    assert.is_true(socket.gettime() - began < 5 and err.attempts[1].elapsed >= 0.19)
  end)

  it("timeout false lets an attempt take what the deadline leaves", function()
    record(helper.client({ timeout = false }):get_record "slow:300")
    failure("timeout", helper.client({ timeout = false, deadline = 0.2 }):get_record "silent")
  end)

  it("max_connections counts base URLs on one host together, and their requests queue with us", function()
    local sites = {
      one = { server = p.cn.http, api_key = p.cn.key },
      two = { server = p.cn.http .. "/", api_key = p.cn.key },
    }
    local client = helper.client { sites = sites, site = "one", max_connections = 1, timeout = 0.8, retry = false }
    local first = client:start("get_record", "slow:500~one")
    local second = client:start("get_record", "slow:500~two", { site = "two" })
    while client:poll(1) > 0 do end
    assert(first:result())
    assert(second:result()) -- 0.8 s from when it had the connection
    assert.equal(1, client:stats().connections)
  end)

  it("max_connections bounds the connections to an endpoint", function()
    local one, three = helper.client { max_connections = 1 }, helper.client { max_connections = 3 }
    assert.is_true(together(one, 4, "slow:60") >= 0.24)
    assert.equal(1, p:connections())
    p:forget()
    together(three, 9, "slow:60")
    assert.equal(3, p:connections())
    p:forget()
    together(helper.client(), 20, "slow:60")
    assert.equal(8, p:connections())
  end)

  it("timeout does not run while a call waits for a free connection", function()
    together(helper.client { max_connections = 1, timeout = 1.2, retry = false }, 5, "slow:300")
  end)

  it("ca_file is what https is verified with", function()
    record(helper.client({ server = p.cn.https, ca_file = p.ca_file }):get_record "ok")
    failure("tls", helper.client({ server = p.cn.https, ca_file = p.dir .. "/certs/self_signed.pem" }):get_record "ok")
  end)

  it("user_agent is sent, the library's name and version without it", function()
    assert.equal("aitoearn-lua/" .. aitoearn.version, sent({}).user_agent)
    p:forget()
    assert.equal("my app/1.0 (中)", sent({ user_agent = "my app/1.0 (中)" }).user_agent)
  end)

  it("accept_language is sent, and nothing without it; it chooses the language of messages", function()
    assert.is_nil(sent({}).accept_language)
    p:forget()
    assert.equal("en-US", sent({ accept_language = "en-US" }).accept_language)
    local function message(language)
      return failure("api", helper.client({ accept_language = language }):get_record "code:15000").message
    end
    assert.equal("Publish record not found", message "en-US")
    assert.equal("发布记录未找到", message "zh-CN")
    assert.equal("发布记录未找到", message())
  end)

  it("allow_http lets the key go over http to a host that is not this one", function()
    local anywhere = p.cn.http:gsub("127%.0%.0%.1", "0.0.0.0")
    assert.truthy(helper.raised(function() helper.client { server = anywhere } end):find("allow_http", 1, true))
    record(helper.client({ server = anywhere, allow_http = true }):get_record "ok")
  end)

  it("max_rate spreads the requests of a site, retries included", function()
    local client, clock = helper.clocked { max_rate = 10, retry = { base = 0 } }
    for _ = 1, 3 do record(client:get_record "ok") end
    record(client:get_record(helper.fresh "http:502;ok"))
    local waited = 0
    for _, seconds in ipairs(clock.sleeps) do waited = waited + seconds end
    assert.is_true(math.abs(waited - 0.4) < 1e-6)
    failure("timeout", client:get_record("ok", { deadline = 0.05 }))
    assert.equal(5, #p:requests())
  end)

  it("max_rate holds in real time too", function()
    local client = helper.client { max_rate = 20 }
    local began = socket.gettime()
    for _ = 1, 7 do record(client:get_record "ok") end
    assert.is_true(socket.gettime() - began >= 0.295)
  end)

  it("host may be a table, or a function of the engine, and does the waiting", function()
    local awaited, slept = 0, 0
    local function host(engine)
      return {
        spawn = function(fn, ...) return coroutine.wrap(fn)(...) end,
        sleep = function() slept = slept + 1 end,
        report = error,
        await = function(transfer)
          awaited = awaited + 1
          while not transfer:is_done() do
            engine:poll(-1)
            while engine:next() do end -- luacheck: ignore 542
          end
        end,
      }
    end
    record(helper.client({ host = host }):get_record(helper.fresh "truncate;ok"))
    assert.same({ 2, 1 }, { awaited, slept })
    record(helper.client({ host = "blocking" }):get_record "ok")
  end)

  it("request_id of a call is sent, echoed, and told", function()
    local err = failure("api", helper.client():get_record("code:15000", { request_id = "my-id-1" }))
    assert.same({ "my-id-1", "my-id-1" }, { err.request_id, p:requests()[1].request_id })
  end)
end)
