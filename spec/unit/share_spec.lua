--- Clients that share a store, on a clock that the specs move.
local aitoearn = require "aitoearn"
local clocks = require "spec.clock"
local memory = require "spec.share.memory"

local KEY = "sk-not-for-your-eyes"

describe("a shared site", function()
  local clock, store, events, clients

  --- A client of its own over the store, and its site.
  local function join(given)
    local options = {
      server = { "http://127.0.0.1:1", "http://127.0.0.1:2" },
      api_key = KEY,
      share = store,
      host = clock.host,
      on_event = function(event) events[#events + 1] = event.type == "share" and event or nil end,
    }
    for name, value in pairs(given or {}) do options[name] = value end
    local client = aitoearn.new(options)
    clients[#clients + 1] = client
    return client.site_list[1], client
  end

  local function pass(seconds) clock.time = clock.time + seconds end

  before_each(function()
    clock, events, clients = clocks.new(), {}, {}
    store = memory.new(clock)
  end)
  after_each(function()
    for _, client in ipairs(clients) do client:close() end
  end)

  local function turn(site, latest, taken) return site:take_slot(clock.time, latest, taken) end

  describe("without a limit", function()
    it("asks the store once, and not again within 10 ms", function()
      local site = join()
      assert.is_false(site:is_open())
      assert.same({ 0 }, { turn(site) })
      assert.is_true(site:is_open())
      pass(0.009)
      assert.is_true(site:is_open())
      pass(0.002)
      assert.is_false(site:is_open())
      assert.equal(1, store:count "acquire")
    end)

    it("asks again once its own request was told to wait", function()
      local site = join()
      turn(site)
      site:hold(clock.time + 5, { kind = "api" })
      assert.is_false(site:is_open())
    end)
  end)

  describe("a hold", function()
    it("holds every client, as 429 whatever it was", function()
      local a, b = join(), join()
      a:hold(clock.time + 5, { kind = "http", http_status = 429 })
      assert.same({ 0, nil, true }, { turn(b) })
      local left, failure = b:held(clock.time)
      assert.near(5, left, 1e-9)
      assert.same({ "api", 429 }, { failure.kind, failure.code })
      assert.equal("api", select(2, a:held(clock.time)).kind)
    end)

    it("ends for all where one client ends it, those that sleep included", function()
      local a, b = join(), join()
      a:hold(clock.time + 3600, { kind = "api" })
      turn(b)
      pass(b.nap)
      assert.near(3599, b:still_held(clock.time), 1e-9)
      a:release_hold()
      assert.is_nil(a:held(clock.time))
      pass(b.nap)
      assert.is_nil(b:still_held(clock.time))
    end)

    it("is the later one of two", function()
      local a, b = join(), join()
      a:hold(clock.time + 50, { kind = "api" })
      b:hold(clock.time + 5, { kind = "api" })
      turn(b)
      assert.near(50, b:held(clock.time), 1e-9)
    end)

    it("that the store could not be told of is told once it is back", function()
      local a, b = join(), join()
      store.fail = "returns"
      a:hold(clock.time + 50, { kind = "api" })
      store.fail = nil
      pass(2)
      turn(a)
      assert.near(48, a:held(clock.time), 1e-9)
      turn(b)
      assert.near(48, b:held(clock.time), 1e-9)
    end)

    it("costs one look where many sleepers wake up together", function()
      local site = join()
      site:hold(clock.time + 10, { kind = "api" })
      pass(1)
      store:count "acquire"
      for _ = 1, 10 do site:still_held(clock.time) end
      assert.equal(1, store:count "acquire")
    end)
  end)

  describe("under max_rate", function()
    it("gives all clients turns on one clock, each client's interval after its own", function()
      local a, b = join { max_rate = 10 }, join { max_rate = 5 }
      assert.same({ 0, 0.1, 0.3, 0.4 }, {
        (turn(a)), tonumber(("%.6f"):format((turn(b)))), tonumber(("%.6f"):format((turn(a)))),
        tonumber(("%.6f"):format((turn(b)))),
      })
    end)

    it("has a caller that slept for its turn ask again, and wait where a hold began meanwhile", function()
      local a, b = join { max_rate = 10 }, join()
      turn(a)
      local seconds, taken, again = turn(a)
      assert.is_true(again and seconds > 0.01)
      pass(seconds)
      store:count "acquire"
      assert.same({ 0 }, { turn(a, nil, taken) })
      assert.equal(1, store:count "acquire")
      seconds, taken = turn(a)
      pass(seconds)
      b:hold(clock.time + 5, { kind = "api" })
      assert.same({ 0, nil, true }, { turn(a, nil, taken) })
    end)

    it("takes no turn further than a second ahead, and asks for it later, once for all its callers", function()
      local site = join { max_rate = 8 }
      local waits = {}
      for i = 1, 30 do
        local seconds, taken, again = turn(site)
        waits[i] = seconds
        assert.equal(i <= 9, taken ~= nil)
        assert.equal(i > 1, again == true)
      end
      assert.equal(10, store:count "acquire")
      for i = 11, 30 do
        assert.is_true(waits[i] > waits[i - 1], "in the order in which they came")
      end
      pass(waits[10])
      local seconds, taken = turn(site)
      assert.is_true(taken ~= nil and seconds > 0.2, "no turn of the second ahead went by")
    end)

    it("fails at once where no turn comes in time, and takes none", function()
      local site = join { max_rate = 1 }
      turn(site)
      assert.is_nil((turn(site, clock.time + 0.5)))
      assert.near(1, (turn(site)), 1e-9)
      assert.is_nil((turn(site, clock.time + 1.5)))
    end)

    it("gives a turn back to whichever client comes next", function()
      local a, b = join { max_rate = 10 }, join { max_rate = 10 }
      turn(a)
      local seconds, taken = turn(a)
      a:return_slot(taken)
      assert.equal(seconds, (turn(b)))
    end)
  end)

  describe("with endpoints", function()
    local function eject(site)
      for _ = 1, 3 do site:fail(site.endpoints[1], clock.time) end
    end

    it("asks none that another client ejected", function()
      local a, b = join(), join()
      eject(a)
      turn(b)
      assert.equal(b.endpoints[2], (b:choose(clock.time)))
      assert.equal("ejected", b:health(clock.time)[1].state)
    end)

    it("has one prober over all, and what it finds holds for all", function()
      local a, b, c = join(), join(), join()
      eject(a)
      for _, site in ipairs { b, c } do turn(site) end
      pass(6)
      for _, site in ipairs { a, b, c } do turn(site) end
      local endpoint, is_probe = b:choose(clock.time)
      assert.same({ 1, true }, { endpoint.index, is_probe })
      assert.same({ 2, false }, { c:choose(clock.time).index, (select(2, c:choose(clock.time))) })
      assert.equal(2, a:choose(clock.time).index)
      assert.same({ "eject", 10 }, { b:fail(endpoint, clock.time) })
      pass(6)
      for _, site in ipairs { a, b, c } do turn(site) end
      assert.equal(2, c:choose(clock.time).index)
      pass(5)
      for _, site in ipairs { a, b, c } do turn(site) end
      endpoint, is_probe = c:choose(clock.time)
      assert.same({ 1, true }, { endpoint.index, is_probe })
      assert.equal("restore", c:succeed(endpoint))
      turn(a)
      assert.same({ 1, false }, { a:choose(clock.time).index, (select(2, a:choose(clock.time))) })
    end)

    it("gives a probe without an outcome to another client", function()
      local a, b = join(), join()
      eject(a)
      pass(6)
      turn(b)
      local endpoint = a:choose(clock.time)
      assert.equal(2, b:choose(clock.time).index)
      a:release(endpoint)
      b.endpoints[1].probing = false -- 60 s later
      assert.same({ 1, true }, { b:choose(clock.time).index, b.endpoints[1].probing ~= false })
    end)

    it("keeps one in service where two clients eject both at the same time", function()
      local a, b, c = join(), join(), join()
      eject(a)
      pass(0.001)
      for _ = 1, 3 do b:fail(b.endpoints[2], clock.time) end
      for _, site in ipairs { a, b, c } do
        turn(site)
        local endpoint, is_probe = site:choose(clock.time)
        assert.same({ 2, false }, { endpoint.index, is_probe })
      end
    end)
  end)

  describe("over a store that fails", function()
    for _, how in ipairs { "raises", "returns" } do
      it("goes on alone, says so once, and tries again later: it " .. how, function()
        local site, client = join { max_rate = 10 }
        store.fail = how
        assert.equal(0, (turn(site)))
        assert.near(0.1, (turn(site)), 1e-9)
        site:hold(clock.time + 1, { kind = "api" })
        assert.near(1, site:held(clock.time), 1e-9)
        assert.equal(1, #events)
        assert.truthy(events[1].message:find(how == "raises" and "no route" or "refused", 1, true))
        assert.equal(1, #store.calls)
        pass(1.5)
        turn(site)
        assert.equal(2, #store.calls)
        assert.equal(1, #events)
        store.fail = nil
        pass(1.5)
        store.calls = {}
        turn(site)
        assert.equal(1, store:count "acquire")
        store.fail = how
        turn(site)
        assert.equal(2, #events)
        client:close()
      end)
    end

    it("leaves a slow one alone for 5 s, but goes by its answer", function()
      local site = join()
      join():hold(clock.time + 60, { kind = "api" })
      store.delay = 0.5
      turn(site)
      assert.truthy(site:held(clock.time))
      assert.equal(0, #events)
      site:still_held(clock.time + 1)
      assert.truthy(events[1].message:find("took 0.500 s", 1, true))
      store:count "acquire"
      site:release_hold()
      for _ = 1, 4 do
        turn(site)
        pass(1)
      end
      assert.equal(0, store:count "acquire")
      pass(1.1)
      turn(site)
      assert.equal(1, store:count "acquire")
      assert.equal(1, #events)
    end)

    it("takes one late answer among others for the program's own fault", function()
      local site = join()
      for _ = 1, 3 do
        store.delay = 0.5
        turn(site)
        store.delay = 0
        pass(1)
        turn(site)
        pass(1)
      end
      assert.equal(6, store:count "acquire")
      assert.equal(0, #events)
    end)

    it("says nothing where the store cannot be asked here", function()
      local site = join()
      store.fail = "silent"
      assert.equal(0, (turn(site)))
      assert.equal(0, #events)
      store.fail = nil
      turn(site)
      assert.equal(2, store:count "acquire")
    end)

    if _VERSION ~= "Lua 5.1" or rawget(_G, "jit") then -- PUC Lua 5.1 cannot yield in a store's function
      it("has few callers ask at a time, and goes on where those were killed", function()
        local site = join()
        store.yields, store.acquire = true, coroutine.yield
        for _ = 1, 4 do coroutine.wrap(site.take_slot)(site, clock.time) end
        store.acquire = nil
        local seconds, taken, again = turn(site)
        assert.is_true(seconds > 0 and taken == nil and again)
        pass(2)
        assert.same({ 0 }, { turn(site) })
      end)
    end

    it("returns to the store no turn that is none of its own", function()
      local site = join { max_rate = 10 }
      store.fail = "returns"
      turn(site)
      local seconds, taken = turn(site)
      store.fail = nil
      pass(1.5)
      site:return_slot(taken)
      assert.equal(0, store:count "give_back")
      assert.near(0.1, seconds, 1e-9)
    end)
  end)

  it("tells sites apart by their base URLs, and tells the store nothing made from a key", function()
    local a, b = join(), join { server = "http://127.0.0.1:1" }
    a:hold(clock.time + 5, { kind = "api", message = KEY })
    turn(b)
    assert.is_nil(b:held(clock.time))
    assert.is_nil(table.concat(store.said, "\n"):find(KEY, 1, true))
    assert.truthy(store.said[1] == "http://127.0.0.1:1 http://127.0.0.1:2")
  end)

  it("is refused where the store would block the host's loop", function()
    store.blocks = true
    join()
    local ok, message = pcall(join, {
      host = { name = "luv", await = function() end, spawn = function() end },
    })
    assert.is_false(ok)
    assert.truthy(message:find("share: this store would block the host luv", 1, true))
    store.blocks, store.yields = false, true
    join { host = { name = "luv", await = function() end, spawn = function() end } }
  end)

  it("needs a store, or in nginx the name of a dict", function()
    for _, bad in ipairs { 1, "dict", {}, { acquire = print } } do
      local ok, message = pcall(join, { share = bad })
      assert.is_false(ok)
      assert.truthy(message:find("share: ", 1, true))
    end
  end)
end)
