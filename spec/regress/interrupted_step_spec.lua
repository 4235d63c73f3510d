--- A Ctrl-C raises wherever the main program is (lua sets a debug hook). Between a poll and the resume that it leads to, it
--- left a task without an end.
local core = require "aitoearn.core"
local helper = require "spec.helper"

describe("a step that is interrupted", function()
  setup(helper.start)
  after_each(helper.close)
  teardown(helper.stop)

  -- Raises after so many instructions of the main program.
  local function interrupt_after(count, fn)
    local running = true
    local function interrupt()
      debug.sethook()
      if running then error "interrupted!" end
    end
    local ok, message = pcall(function()
      debug.sethook(interrupt, "", count)
      fn()
      running = false
    end)
    debug.sethook()
    return ok, message
  end

  it("leaves no task without an end, wherever that is", function()
    local jit = rawget(_G, "jit")
    if jit then
      jit.off() -- compiled code runs no hooks
      jit.flush()
      finally(function() jit.on() end)
    end
    for count = 1, 150 do
      local client = helper.client()
      local tasks = {}
      for i = 1, 3 do tasks[i] = client:start("get_record", "ok") end
      interrupt_after(count, function()
        local limit = core.monotonic() + 5
        while client:poll(0.05) > 0 do assert(core.monotonic() < limit) end
      end)
      local limit = core.monotonic() + 5
      while client:poll(0.05) > 0 do assert(core.monotonic() < limit, count .. ": tasks do not end") end
      for _, task in ipairs(tasks) do assert.is_true(task:done()) end
      client:close()
    end
  end)

  it("raises on without this library's lines in the message, and gives back what the call held", function()
    local client, interrupted = helper.client(), 0
    for count = 10, 250, 10 do
      local ok, message = interrupt_after(count, function() client:get_record(helper.fresh "slow:20") end)
      if not ok then -- before the call has begun, the message names a line of this file
        interrupted = interrupted + (message == "interrupted!" and 1 or 0)
        assert.truthy(message:find "^[^:]*interrupted!$" or message:find "^spec/[^:]*:%d+: interrupted!$", message)
      end
      local limit = core.monotonic() + 5 -- between the start of a request and its first note, it runs to its own end
      while client:stats().in_flight > 0 do
        client:poll(0)
        assert(core.monotonic() < limit)
      end
      assert.equal(1, client:get_record("ok").status)
    end
    assert.is_true(interrupted > 5, interrupted)
  end)
end)
