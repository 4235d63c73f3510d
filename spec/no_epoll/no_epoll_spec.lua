--- The half of the engine for systems without epoll (macOS), which `make test-no-epoll` builds on Linux too: there is
-- no descriptor to watch, waiting is curl_multi_poll's, and hosts step the engine on a timer.
local aitoearn = require "aitoearn"
local core = require "aitoearn.core"
local loop = require "aitoearn.host.loop"
local platform = require "spec.platform"

describe("without epoll", function()
  local p, client

  setup(function() p = assert(platform.start()) end)
  teardown(function() p:stop() end)
  before_each(function() client = aitoearn.new { server = p.cn.https, api_key = p.cn.key, ca_file = p.ca_file } end)
  after_each(function() client:close() end)

  it("has no descriptor", function() assert.is_nil(client.engine:getfd()) end)

  it("gets a record, many records, and waits for one", function()
    assert.equal("PUBLISHED", assert(client:get_record "ok"):status_name())
    local count = 0
    for _, record in client:each_record(coroutine.wrap(function()
      for i = 1, 200 do coroutine.yield("ok~" .. i) end
    end)) do
      count = count + (record and 1 or 0)
    end
    assert.equal(200, count)
    assert.is_true(assert(client:wait("status:2;status:1~wait", { pace = function() return 0.05 end })):is_live())
  end)

  it("wakes a poll that waits when the answer is there, and never lets poll(0) wait", function()
    client:get_record "ok"
    local task = client:start("get_record", "slow:200")
    local before = core.monotonic()
    client:poll(0)
    assert.is_true(core.monotonic() - before < 0.1)
    while not task:done() do client:poll(5) end
    local elapsed = core.monotonic() - before
    assert.is_true(elapsed > 0.15 and elapsed < 1.5, tostring(elapsed))
  end)

  it("gives a host's driver no descriptor, and lives by its steps", function()
    local step
    local hosted = aitoearn.new {
      server = p.cn.http, api_key = p.cn.key,
      host = function(engine)
        return loop.new(engine, {
          watch = function(fd, call)
            assert.is_nil(fd)
            step = call
          end,
          unwatch = function() step = nil end,
        })
      end,
    }
    local record
    coroutine.wrap(function() record = assert(hosted:get_record "slow:20") end)()
    local late = core.monotonic() + 5
    while step and core.monotonic() < late do step() end
    hosted:close()
    assert.equal("slow:20", record.id)
  end)
end)
