--- `task:cancel()` took effect at the next poll: `done()` was false after it, and the hooks of a program that polls no more
--- never ran.
local helper = require "spec.helper"
local socket = require "socket"

describe("task:cancel", function()
  local client, events
  local fresh = helper.fresh
  setup(helper.start)
  before_each(function()
    events = {}
    client = helper.client { on_event = function(event) events[#events + 1] = event end }
  end)
  after_each(helper.close)
  teardown(helper.stop)

  local function seen(type)
    local kinds = {}
    for _, event in ipairs(events) do
      if event.type == type then kinds[#kinds + 1] = event.kind or "ok" end
    end
    return kinds
  end

  for method, id in pairs { get_record = "silent", locate = "silent", wait = "status:0" } do
    it("ends " .. method .. " before it returns, its hooks included", function()
      local task, hooked = client:start(method, fresh(id)), nil
      task:on_done(function(record, err) hooked = { record, err } end)
      local ends = socket.gettime() + 0.3
      while socket.gettime() < ends do client:poll(0.02) end
      task:cancel()
      assert.is_true(task:done())
      local err = helper.failure("cancelled", task:result())
      assert.same({ nil, err }, hooked)
      assert.equal(0, client:stats().tasks)
      assert.same({ "cancelled" }, seen "done")
      assert.equal(method ~= "wait", seen("attempt")[1] == "cancelled")
      assert.equal(method == "wait" and 0 or nil, err.record and err.record.status)
      local count = #events
      client:poll(0.05)
      client:close()
      assert.equal(count, #events) -- it hears of its end once
      assert.same({ cancelled = 1 }, client:stats().outcomes)
    end)
  end

  for _, method in ipairs { "get_records", "wait_all" } do
    it("ends " .. method .. " with what came, and an error for each id that is left", function()
      local ids = { "ok", fresh "silent", fresh "silent" }
      local streamed = {}
      local task = client:start(method, ids, { on_record = function(id) streamed[#streamed + 1] = id end })
      while #streamed < 1 do client:poll(0.02) end
      task:cancel()
      assert.is_true(task:done())
      local records, errors = task:result()
      assert.same({ 1, "cancelled", "cancelled" }, { records.ok.status, errors[ids[2]].kind, errors[ids[3]].kind })
      assert.same({ 0, 0 }, { client:stats().in_flight, client:stats().tasks })
      client:poll(0.05)
      assert.same({ "ok" }, streamed)
    end)
  end

  it("works in a hook of the task's own", function()
    local task, done
    task = client:start("wait", fresh "status:2", { on_change = function()
      task:cancel()
      done = task:done()
    end })
    while client:poll(0.02) > 0 do end -- luacheck: ignore 542
    assert.is_true(done)
    assert.equal(2, helper.failure("cancelled", task:result()).record.status)
  end)
end)
