--- The specs of what `scenarios.lua` does in one host.
-- @module spec.host.loops.check
local outside = require "spec.host.outside"
local platform = require "spec.platform"

--- @tparam table options `command`, `abi`, `loop` (the adapter), `tasks_need_loop`
-- @tparam table busted `it`, `setup`, `teardown`, `assert`, which busted gives to the spec's own file alone
return function(options, busted)
  local it, setup, teardown, assert = busted.it, busted.setup, busted.teardown, busted.assert
  local p, said
  setup(function()
    p = assert(platform.start())
    p:fault { route = "POST /flows", when = "after", how = "reset" }
    said = outside.run {
      command = options.command, abi = options.abi, platform = p, env = { AITOEARN_SPEC_LOOP = options.loop },
    }
  end)
  teardown(function() p:stop() end)

  it("comes to its end, and keeps the loop from nothing", function()
    assert.same({ "ok", "yes" }, { said.status, said.finished }, said.output)
    local told, times = said.output:gsub("aitoearn: error in a task: %S+: a goal that fails", "")
    assert.equal(1, times) -- of the scenario error_is_told; Neovim puts words of its own before it
    assert.equal("", (told:gsub("^Error detected while processing command line:", ""):gsub("%s", "")))
  end)

  it("lets others run while a call waits", function()
    assert.equal("yields", said["call_yields.title"])
    assert.equal("true", said["call_yields.ticked"])
  end)

  it("has many calls in flight at once", function()
    assert.equal("20", said["many_at_once.in_flight"])
    assert.equal("20", said["many_at_once.count"])
  end)

  it("makes one call after another over one connection", function()
    assert.equal("50", said["one_after_another.count"])
    assert.equal("1", said["one_after_another.connections"])
  end)

  it("fetches batches and waits for a record", function()
    assert.equal("100", said["batch_and_wait.records"])
    assert.equal("15000", said["batch_and_wait.error"])
    assert.equal("1", said["batch_and_wait.status"])
    assert.equal("3", said["batch_and_wait.each"])
  end)

  it("returns an argument error outside a coroutine of the loop's, before anything is sent", function()
    assert.equal("argument", said["outside.kind"])
    assert.truthy(said["outside.message"]:find "cannot wait")
    assert.equal("0", said["outside.attempts"])
    assert.equal("argument", said["outside.batch_kind"])
    assert.equal("0", said["outside.batch_attempts"])
    for _, request in ipairs(p:requests()) do
      assert.falsy(request.uri:find "never")
    end
  end)

  it(options.tasks_need_loop and "runs tasks that were started in the loop" or "runs tasks started anywhere", function()
    if options.tasks_need_loop then
      assert.equal("argument", said["outside.task"])
    end
    assert.equal("started", said["outside.started"])
    assert.equal("record", said["outside.batch"])
  end)

  it("cancels a task, and frees its transfer", function()
    assert.equal("2", said["cancel.open"])
    assert.equal("cancelled", said["cancel.kind"])
    assert.equal("1", said["cancel.left"])
  end)

  it("ends all calls when the client is closed", function()
    assert.equal("closed", said["close.caller"])
    assert.equal("closed", said["close.task"])
    assert.equal("closed", said["close.later"])
  end)

  it("lets hooks start and cancel, refuses calls that wait in them, and names a function that yields", function()
    assert.equal("true", said["hooks.refused"])
    assert.equal("record", said["hooks.started"])
    assert.equal("true", said["hooks.raises"])
    assert.equal("true", said["hooks.yields"])
    assert.equal("cancelled cancelled", said["hooks.cancelled"])
  end)

  it("refuses a call where the coroutine cannot yield, and lets the next one wait to its end", function()
    assert.equal("argument", said["no_yield.refused"])
    assert.equal("whole", said["no_yield.next"])
  end)

  it("raises an error of the caller's function from task:result", function()
    assert.equal("true", said["error.raised"])
    assert.equal("1", said["error.done"])
  end)

  it("leaves no descriptor of closed clients, and none of dropped ones in another's way", function()
    assert.is_true(tonumber(said["descriptors.grown"]) <= 5, said["descriptors.grown"]) -- of 50 clients
    assert.equal("40", said["dropped.count"])
  end)

  it("steps an engine without a descriptor on a timer", function()
    assert.equal("on a timer", said["without_descriptor.title"])
    assert.equal("closed", said["without_descriptor.closed"])
  end)

  it("publishes as a task, once, though the first answer is lost", function()
    assert.equal("1", said["publish.done"])
    assert.equal("1", said["publish.status"])
    assert.equal(1, p:count("publish", said["publish.flow_id"]))
  end)

  it("speaks TLS", function()
    assert.equal("over TLS", said["https.title"])
  end)
end
