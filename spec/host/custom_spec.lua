--- A host of one's own, over aitoearn.host.loop and as a plain table. Debian: lua-socket lua-cjson.
local aitoearn = require "aitoearn"
local platform = require "spec.platform"

describe("a host of one's own", function()
  local p, own
  setup(function()
    p = assert(platform.start())
    local new = aitoearn.new
    aitoearn.new = function(options) -- the program takes server and key from the environment
      options.server, options.api_key = options.server or p.cn.http, options.api_key or p.cn.key
      return new(options)
    end
    own = dofile "spec/host/custom/loop.lua"
    aitoearn.new = new
  end)
  teardown(function()
    own.client:close()
    p:stop()
  end)

  it("runs calls in plain coroutines", function()
    local titles = {}
    for i = 1, 10 do
      coroutine.wrap(function()
        titles[i] = own.client:get_record(("slow:%d:echo:number %d"):format(200 - 10 * i, i)).title
      end)()
    end
    assert.is_nil(titles[1])
    own.run()
    for i = 1, 10 do
      assert.equal("number " .. i, titles[i])
    end
  end)

  it("runs tasks and batches, and is left alone when nothing is in flight", function()
    local got
    own.client:start("get_records", { "ok~a", "ok~b", "code:15000" }):on_done(function(records, errors)
      got = { records["ok~a"].status, records["ok~b"].status, errors["code:15000"].code }
    end)
    own.run()
    assert.same({ 1, 1, 15000 }, got)
    own.run() -- returns at once
  end)

  it("ends calls in flight when the client is closed", function()
    local client = aitoearn.new { server = p.cn.http, api_key = p.cn.key, host = own.host }
    local err
    coroutine.wrap(function()
      err = select(2, client:get_record "silent")
    end)()
    client:close()
    assert.equal("closed", err.kind)
    own.run()
  end)

  it("returns an argument error outside a coroutine", function()
    local record, err = own.client:get_record "ok"
    assert.is_nil(record)
    assert.equal("argument", err.kind)
  end)

  it("reports errors of its coroutines to the driver's report", function()
    local loop, told, step = require "aitoearn.host.loop", nil, nil
    local client = aitoearn.new {
      server = p.cn.http, api_key = p.cn.key,
      host = function(engine)
        return loop.new(engine, {
          watch = function(_, on_readable) step = on_readable end,
          unwatch = function() step = nil end,
          report = function(message) told = message end,
        })
      end,
    }
    coroutine.wrap(function()
      client:get_record "ok"
      error "a mistake"
    end)()
    while step do
      step()
    end
    client:close()
    assert.truthy(told:find "a mistake")
  end)

  it("may be a plain table: await and spawn are enough", function()
    local polls = 0
    local client = aitoearn.new {
      server = p.cn.http, api_key = p.cn.key,
      host = {
        await = function(transfer, engine)
          repeat
            polls = polls + 1
            engine:poll(1)
            while engine:next() do end
          until transfer:is_done()
        end,
        spawn = function(fn, ...) return coroutine.wrap(fn)(...) end,
        report = print,
      },
    }
    assert.equal("by hand", client:get_record("slow:30:echo:by hand").title)
    assert.is_true(polls > 1)
    client:close()
  end)
end)
