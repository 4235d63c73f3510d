local aitoearn = require "aitoearn"
local helper = require "spec.helper"

local record, failure = helper.record, helper.failure

local MANY = 1000

describe("a client", function()
  local p

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  after_each(helper.close)

  local function new(more)
    return aitoearn.new(helper.options(more))
  end

  local function collect()
    collectgarbage()
    collectgarbage()
  end

  -- Runs `use` many times and fails if descriptors or memory are left. The first runs fill what is kept for good. What leaks
  -- grows in every round; malloc's own pieces, of which a long-lived process has many, do not.
  local function leaves_nothing(use)
    for i = 1, MANY / 4 do use(i) end
    local rounds, more = 0
    repeat
      collect()
      local descriptors, memory, lua = helper.descriptors(), helper.resident(), collectgarbage "count"
      for i = 1, MANY do use(i) end
      collect()
      assert.equal(descriptors, helper.descriptors())
      assert.is_true(collectgarbage "count" - lua < 200)
      more, rounds = helper.resident() - memory, rounds + 1
    until more < 4096 or rounds == 3
    assert.is_true(more < 4096, ("%d KiB more"):format(more))
  end

  it("that is made and never used opens nothing", function()
    local before = helper.descriptors()
    local clients = {}
    for i = 1, 20 do clients[i] = new() end
    assert.equal(before, helper.descriptors())
    for _, client in ipairs(clients) do client:close() end
  end)

  it("that was used and closed leaves nothing: 1,000 of them", function()
    leaves_nothing(function()
      local client = new()
      record(client:get_record "ok")
      client:close()
    end)
  end)

  it("that was used and dropped leaves nothing: 1,000 of them", function()
    leaves_nothing(function(i)
      record(new():get_record "ok")
      if i % 20 == 0 then collect() end
    end)
  end)

  it("that was dropped in the middle of calls leaves nothing: 1,000 of them", function()
    leaves_nothing(function(i)
      local client = new()
      for _ = 1, 3 do client:start("get_record", "silent") end
      client:poll(0)
      if i % 20 == 0 then collect() end
    end)
  end)

  it("over https leaves nothing", function()
    local server = { server = p.cn.https }
    local function use()
      local client = new(server)
      record(client:get_record "ok")
      client:close()
    end
    use()
    collect()
    local before = helper.descriptors()
    for _ = 1, 30 do use() end
    assert.equal(before, helper.descriptors())
  end)

  it("that makes thousands of calls of all kinds keeps its memory", function()
    local client = helper.clocked { max_response_bytes = 100000 }
    local ids = {
      "ok", "full", "code:15000", "http:502", "html", "big:90000", "big:200000", "bomb:300000", "truncate", "gzip",
      "deep:90", "queued", "keyhtml",
    }
    leaves_nothing(function(i) client:get_record(ids[i % #ids + 1], { retry = i % 3 ~= 0 and {} or false }) end)
  end)

  -- In a process of its own: how much freed memory malloc keeps depends on what a process freed before.
  it("keeps no large answer", function()
    local output = assert(helper.script(([[
      local helper = require "spec.helper"
      local client = require("aitoearn").new { server = %q, api_key = %q, proxy = "", max_response_bytes = 2 ^ 26 }
      local function ask() -- 5.1 keeps what a running function's registers hold
        for _ = 1, 3 do assert(client:get_record "big:40000000") end -- more than malloc keeps for itself
      end
      local before = helper.resident()
      ask()
      collectgarbage()
      collectgarbage()
      print(helper.resident() - before)
    ]]):format(p.cn.http, p.cn.key)))
    assert.is_true(tonumber(output) < 16 * 1024, output .. " KiB")
  end)

  it("can be closed again and again", function()
    local client = new()
    record(client:get_record "ok")
    for _ = 1, 3 do client:close() end
    new():close()
  end)

  it("answers closed to every call after it was closed", function()
    local client = new()
    client:close()
    for _, method in ipairs { "get_record", "locate" } do
      assert.equal("the client was closed", failure("closed", client[method](client, "ok")).message)
    end
    assert.equal("aitoearn.client (default)", tostring(client))
    assert.equal(0, client:poll())
  end)

  it("closed by a hook in the middle of a call ends that call", function()
    local client
    client = new {
      on_event = function(event) if event.type == "retry" then client:close() end end,
    }
    local err = failure("closed", client:get_record "http:502")
    assert.equal(1, #err.attempts)
  end)

  it("closed by the key function ends the call", function()
    local client
    client = new {
      api_key = function()
        client:close()
        return p.cn.key
      end,
    }
    failure("closed", client:get_record "ok")
  end)

  if _VERSION >= "Lua 5.4" then
    it("is closed at the end of its scope", function()
      local run = assert(load [[
        local new, keep = ...
        local client <close> = new()
        keep(client)
        return client:get_record "ok"
      ]])
      local kept
      assert.equal("ok", run(new, function(client) kept = client end).id)
      failure("closed", kept:get_record "ok")
    end)
  end

  it("leaves errors and records usable after it was closed and collected", function()
    local client = new()
    local r, err = record(client:get_record "full"), failure("api", client:get_record "code:15000")
    client:close()
    client = nil -- luacheck: ignore 311
    collect()
    assert.is_true(r:is_final())
    assert.truthy(tostring(err):find "15000")
  end)

  it("lives beside others with options of their own", function()
    local clients = {}
    for i = 1, 50 do clients[i] = helper.client { user_agent = "agent-" .. i } end
    p:forget()
    for _ = 1, 2 do
      for _, client in ipairs(clients) do record(client:get_record "ok") end
    end
    local agents = {}
    for _, request in ipairs(p:requests()) do agents[request.user_agent] = (agents[request.user_agent] or 0) + 1 end
    for i = 1, 50 do assert.equal(2, agents["agent-" .. i]) end
    assert.equal(50, p:connections())
  end)

  it("ends well at the end of a program, whatever it was doing", function()
    for _, ending in ipairs { "", "os.exit(0)", "client:close()", "client = nil collectgarbage()" } do
      local output, err = helper.script(([[
        client = require("aitoearn").new { server = %q, api_key = %q, proxy = "" }
        assert(client:get_record "ok")
        task = client:start("get_record", "silent")
        client:poll(0)
        io.stdout:write "done\n"
        io.stdout:flush()
      ]]):format(p.cn.http, p.cn.key) .. ending)
      assert.equal("done", output, err)
    end
  end)
end)
