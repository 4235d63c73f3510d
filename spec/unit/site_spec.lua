local site = require "aitoearn.site"

local KEY = "sk-not-for-your-eyes"

local function new(count)
  local urls = {}
  for i = 1, count do
    urls[i] = ("https://%d.example"):format(i)
  end
  local made = site.new { name = "cn", urls = urls, api_key = KEY }
  return made, made.endpoints[1], made.endpoints[2], made.endpoints[3]
end

local function fail(made, endpoint, now, times)
  local event, seconds
  for _ = 1, times do
    event, seconds = made:fail(endpoint, now)
  end
  return event, seconds
end

local function in_service(made)
  local count = 0
  for _, endpoint in ipairs(made.endpoints) do
    if not endpoint.ejected_until then count = count + 1 end
  end
  return count
end

describe("site.new", function()
  it("keeps name and key, and lists the endpoints in order", function()
    local made, first, second = new(2)
    assert.equal("cn", made.name)
    assert.equal(KEY, made.api_key)
    assert.equal(100, made.budget.tokens)
    assert.is_nil(made.interval)
    assert.equal(2, #made.endpoints)
    assert.same({
      url = "https://1.example", api = "https://1.example/api/v2/channels/publish", origin = 1,
      prefix = "https://1.example/api/v2/channels/publish/records/", index = 1, failures = 0, ejections = 0,
      probing = false, problem = false,
    }, first)
    assert.equal("https://2.example", second.url)
    assert.equal(2, second.index)
  end)

  it("stores a key function without calling it", function()
    local function key() error("called") end
    assert.equal(key, site.new({ name = "cn", urls = { "https://1.example" }, api_key = key }).api_key)
  end)

  it("keeps the distance that max_rate leaves", function()
    assert.equal(0.1, site.new({ name = "cn", urls = { "https://1.example" }, api_key = KEY, max_rate = 10 }).interval)
  end)

  it("gives endpoints of one host, port, certificate and headers one origin", function()
    local origins = {}
    local function origin_of(spec)
      spec.name, spec.api_key = "cn", KEY
      return site.new(spec, origins).endpoints[1].origin
    end
    assert.equal(1, origin_of { urls = { "https://1.example" } })
    assert.equal(1, origin_of { urls = { "https://1.example/prefix" } })
    assert.equal(2, origin_of { urls = { "https://1.example:8443" } })
    assert.equal(3, origin_of { urls = { "https://1.example" }, headers = { "A: b" } })
    assert.equal(3, origin_of { urls = { "https://1.example" }, headers = { "A: b" } })
    assert.equal(4, origin_of { urls = { "https://1.example" }, headers = { "A: c" } })
    assert.equal(5, origin_of { urls = { "https://1.example" }, cert_file = "c", key_file = "k" })
    assert.equal(5, #origins)
    assert.same({ "A: c" }, origins[4].headers)
    assert.same({ "c", "k" }, { origins[5].cert_file, origins[5].key_file })
  end)

  it("hands the endpoints what is wrong with the environment", function()
    local tls, argument = { kind = "tls", message = "m" }, { kind = "argument", message = "m" }
    local urls = { "https://1.example", "http://127.0.0.1" }
    local made = site.new { name = "cn", urls = urls, api_key = KEY, https_problem = tls }
    assert.equal(tls, made.endpoints[1].problem)
    assert.is_false(made.endpoints[2].problem)
    made = site.new { name = "cn", urls = urls, api_key = KEY, problem = argument, https_problem = tls }
    assert.equal(argument, made.endpoints[1].problem)
    assert.equal(argument, made.endpoints[2].problem)
  end)

  it("prints its name and addresses but never its key", function()
    local text = tostring((new(2)))
    assert.equal("aitoearn.site cn (https://1.example, https://2.example)", text)
    assert.is_nil(text:find(KEY, 1, true))
  end)

  it("shares nothing with another site", function()
    local one, other = new(2), new(2)
    fail(one, one.endpoints[1], 0, 3)
    assert.equal(0, other.endpoints[1].failures)
    assert.equal(other.endpoints[1], other:choose(0))
  end)
end)

describe("site:choose", function()
  it("offers the first endpoint while all are well", function()
    local made, first = new(3)
    for now = 0, 10 do
      local endpoint, probe = made:choose(now)
      assert.equal(first, endpoint)
      assert.is_false(probe)
    end
  end)

  it("offers the next one to who wants to avoid the first", function()
    local made, first, second = new(3)
    assert.equal(second, made:choose(0, first))
    assert.equal(first, made:choose(0, second))
  end)

  it("offers the avoided one where there is no other", function()
    local made, first = new(1)
    assert.equal(first, made:choose(0, first))
  end)

  it("offers the avoided one where all others are ejected", function()
    local made, first, second, third = new(3)
    fail(made, second, 0, 3)
    fail(made, third, 0, 3)
    local endpoint, probe = made:choose(1, first)
    assert.equal(first, endpoint)
    assert.is_false(probe)
  end)

  it("passes over an ejected endpoint", function()
    local made, first, second = new(2)
    fail(made, first, 0, 3)
    assert.equal(second, made:choose(0))
    assert.equal(second, made:choose(4.999))
    assert.equal(second, made:choose(1, second))
  end)

  it("offers an ejected one as a probe as soon as its time has passed, if it stands before the one in use", function()
    local made, first, second = new(2)
    fail(made, first, 0, 3)
    assert.equal(second, made:choose(4.999))
    local endpoint, probe = made:choose(5)
    assert.equal(first, endpoint)
    assert.is_true(probe)
    assert.equal(5, first.probing)
  end)

  it("offers the probe to one caller only", function()
    local made, first, second = new(2)
    fail(made, first, 0, 3)
    assert.equal(first, made:choose(5))
    for now = 5, 64 do
      assert.equal(second, made:choose(now))
    end
    assert.equal(second, made:choose(6, second))
  end)

  it("offers it to another caller after a minute: whoever had it is lost", function()
    local made, first, second = new(2)
    fail(made, first, 0, 3)
    assert.equal(first, made:choose(5))
    assert.equal(second, made:choose(64.999))
    local endpoint, probe = made:choose(65)
    assert.equal(first, endpoint)
    assert.is_true(probe)
    assert.equal(second, made:choose(124))
    assert.equal("restore", made:succeed(first))
    assert.equal(first, made:choose(124))
  end)

  it("does not offer the probe to who wants to avoid that endpoint", function()
    local made, first, second = new(2)
    fail(made, first, 0, 3)
    assert.equal(second, made:choose(6, first))
    assert.is_false(first.probing)
  end)

  it("probes one that stands behind the one in use only for who avoids that", function()
    local made, first, second = new(2)
    fail(made, second, 0, 3)
    assert.equal(first, made:choose(100))
    local endpoint, probe = made:choose(100, first)
    assert.equal(second, endpoint)
    assert.is_true(probe)
  end)

  it("probes in the listed order where several may be probed", function()
    local made, first, second, third = new(3)
    fail(made, first, 0, 3)
    fail(made, second, 0, 3)
    assert.equal(first, made:choose(10))
    assert.equal(second, made:choose(10))
    assert.equal(third, made:choose(10))
  end)
end)

describe("site:fail and site:succeed", function()
  it("ejects after three failures in a row", function()
    local made, first = new(2)
    assert.is_nil(made:fail(first, 0))
    assert.is_nil(made:fail(first, 0))
    local event, seconds = made:fail(first, 10)
    assert.equal("eject", event)
    assert.equal(5, seconds)
    assert.equal(15, first.ejected_until)
  end)

  it("starts counting anew after a success", function()
    local made, first = new(2)
    fail(made, first, 0, 2)
    assert.is_nil(made:succeed(first))
    assert.equal(0, first.failures)
    assert.is_nil(fail(made, first, 0, 2))
    assert.equal("eject", (made:fail(first, 0)))
  end)

  it("counts each endpoint by itself", function()
    local made, first, second = new(2)
    fail(made, first, 0, 2)
    assert.is_nil(fail(made, second, 0, 2))
    assert.equal(first, made:choose(0))
  end)

  it("restores after a probe that succeeded", function()
    local made, first = new(2)
    fail(made, first, 0, 3)
    made:choose(5)
    assert.equal("restore", made:succeed(first))
    assert.is_nil(first.ejected_until)
    assert.is_false(first.probing)
    assert.equal(first, made:choose(5.2))
    assert.is_nil(made:succeed(first))
  end)

  it("ejects at once after a failed probe, twice as long each time, a minute at most", function()
    local made, first = new(2)
    local _, seconds = fail(made, first, 0, 3)
    local seen, now = { seconds }, seconds
    for i = 2, 7 do
      assert.equal(first, made:choose(now))
      local event
      event, seconds = made:fail(first, now)
      assert.equal("eject", event)
      seen[i], now = seconds, now + seconds
    end
    assert.same({ 5, 10, 20, 40, 60, 60, 60 }, seen)
  end)

  it("stays at a minute however often a probe fails", function()
    local made, first = new(2)
    local _, now = fail(made, first, 0, 3)
    for _ = 1, 2000 do
      made:choose(now)
      local _, seconds = made:fail(first, now)
      assert.is_true(seconds <= 60)
      now = now + seconds
    end
  end)

  it("begins at five seconds again after a success in between", function()
    local made, first = new(2)
    fail(made, first, 0, 3)
    made:choose(5)
    made:fail(first, 5)
    made:choose(15)
    made:succeed(first)
    local event, seconds = fail(made, first, 16, 3)
    assert.equal("eject", event)
    assert.equal(5, seconds)
  end)

  it("takes a success under way from before the ejection as good as a probe", function()
    local made, first = new(2)
    fail(made, first, 0, 3)
    assert.equal("restore", made:succeed(first))
    assert.equal(first, made:choose(1))
  end)

  it("does not prolong an ejection for failures that were under way when it began", function()
    local made, first = new(2)
    local ejections = 0
    for _ = 1, 50 do
      if made:fail(first, 0) == "eject" then ejections = ejections + 1 end
    end
    assert.equal(1, ejections)
    assert.is_nil(made:fail(first, 4))
    assert.is_nil(made:fail(first, 6))
    assert.equal(5, first.ejected_until)
    assert.equal(1, first.ejections)
    assert.equal(first, made:choose(6))
  end)

  it("never ejects a single endpoint", function()
    local made, first = new(1)
    for now = 1, 100 do
      assert.is_nil(made:fail(first, now))
      assert.equal(first, made:choose(now, first))
    end
    assert.equal(100, first.failures)
  end)

  it("never ejects the last one in service", function()
    local made, first, second = new(2)
    assert.equal("eject", (fail(made, first, 0, 3)))
    assert.is_nil(fail(made, second, 1, 10))
    assert.equal(second, made:choose(2))
  end)

  it("does not take an ejection that has run out for a service: only a success is one", function()
    local made, first, second = new(2)
    fail(made, first, 0, 3)
    assert.is_nil(fail(made, second, 100, 10))
    assert.equal(1, in_service(made))
  end)

  it("does not take a probe under way for a service", function()
    local made, first, second = new(2)
    fail(made, first, 0, 3)
    made:choose(6)
    assert.is_nil(fail(made, second, 7, 10))
    assert.is_nil(second.ejected_until)
    assert.equal("eject", (made:fail(first, 8)))
    assert.equal(second, made:choose(9))
  end)

  it("ejects the former last one at its next failure once another is back", function()
    local made, first, second = new(2)
    fail(made, first, 0, 3)
    fail(made, second, 1, 5)
    made:choose(6)
    made:succeed(first)
    assert.equal("eject", (made:fail(second, 7)))
  end)
end)

describe("site:release", function()
  it("gives the probe to the next caller", function()
    local made, first, second = new(2)
    fail(made, first, 0, 3)
    assert.equal(first, made:choose(5))
    assert.equal(second, made:choose(5))
    made:release(first)
    assert.equal(first, made:choose(5))
    assert.equal(1, first.ejections)
  end)

  it("changes nothing for an endpoint in service", function()
    local made, first = new(2)
    made:fail(first, 0)
    made:release(first)
    assert.equal(1, first.failures)
    assert.equal(first, made:choose(0))
  end)
end)

describe("site:has_other", function()
  it("is false for a single endpoint", function()
    local made, first = new(1)
    assert.is_false(made:has_other(first, 0))
  end)

  it("is true where another one is in service", function()
    local made, first, second = new(2)
    assert.is_true(made:has_other(first, 0))
    assert.is_true(made:has_other(second, 0))
  end)

  it("is false while all others are ejected or being probed, true when one may be probed", function()
    local made, first, second = new(2)
    fail(made, second, 0, 3)
    assert.is_false(made:has_other(first, 4.9))
    assert.is_true(made:has_other(first, 5))
    made:choose(5, first)
    assert.is_false(made:has_other(first, 5))
  end)

  it("takes no probe", function()
    local made, first, second = new(2)
    fail(made, second, 0, 3)
    made:has_other(first, 5)
    assert.is_false(second.probing)
  end)
end)

describe("site:hold", function()
  local failure, other = { code = 429 }, { code = 429 }

  it("is open where there is neither a hold nor an interval", function()
    local made = new(1)
    assert.is_true(made:is_open())
    made:hold(10, failure)
    assert.is_false(made:is_open())
    made:held(11)
    assert.is_true(made:is_open())
    made.interval = 1
    assert.is_false(made:is_open())
  end)

  it("is clear while it is open and its first endpoint in service", function()
    local made, first = new(2)
    assert.is_true(made.is_clear)
    made:hold(10, failure)
    assert.is_false(made.is_clear)
    made:held(11)
    assert.is_true(made.is_clear)
    made:hold(20, failure)
    made:release_hold()
    assert.is_true(made.is_clear)
    fail(made, first, 0, 3)
    assert.is_false(made.is_clear)
    made:succeed(first)
    assert.is_true(made.is_clear)
    assert.is_false(site.new({ name = "cn", urls = { "https://1.example" }, api_key = KEY, max_rate = 10 }).is_clear)
  end)

  it("holds until its time and hands out the failure that named it", function()
    local made = new(1)
    assert.is_nil(made:held(0))
    made:hold(10, failure)
    local seconds, cause = made:held(4)
    assert.equal(6, seconds)
    assert.equal(failure, cause)
    assert.is_nil(made:held(10))
    assert.is_nil(made:held(11))
  end)

  it("keeps the later of two times, with its failure", function()
    local made = new(1)
    made:hold(10, failure)
    made:hold(5, other)
    local seconds, cause = made:held(0)
    assert.equal(10, seconds)
    assert.equal(failure, cause)
    made:hold(20, other)
    seconds, cause = made:held(0)
    assert.equal(20, seconds)
    assert.equal(other, cause)
  end)

  it("can be held again after it was free", function()
    local made = new(1)
    made:hold(10, failure)
    made:held(11)
    made:hold(15, other)
    local seconds, cause = made:held(12)
    assert.equal(3, seconds)
    assert.equal(other, cause)
  end)

  it("lets go of the failure when the time is over", function()
    local made = new(1)
    local cause = { code = 429 }
    local weak = setmetatable({ cause }, { __mode = "v" })
    made:hold(10, cause)
    made:held(10)
    cause = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)
end)

describe("site:health", function()
  it("tells each endpoint's state in the listed order", function()
    local made, first, second, third = new(3)
    fail(made, first, 0, 3)
    fail(made, second, 1, 3)
    made:fail(third, 2)
    made:choose(5)
    assert.same({
      { server = "https://1.example", state = "probing", failures = 3 },
      { server = "https://2.example", state = "ejected", failures = 3, retry_in = 0.5 },
      { server = "https://3.example", state = "ok", failures = 1 },
    }, made:health(5.5))
    assert.same({ "ejected", 0 }, { made:health(65)[1].state, made:health(65)[1].retry_in }) -- the probe is lost
  end)

  it("says 0 seconds for one that waits for its probe", function()
    local made, first = new(2)
    fail(made, first, 0, 3)
    assert.same({ server = "https://1.example", state = "ejected", failures = 3, retry_in = 0 }, made:health(99)[1])
  end)

  it("shows no key", function()
    for _, row in ipairs((new(2)):health(0)) do
      for _, value in pairs(row) do
        assert.not_equal(KEY, value)
      end
    end
  end)
end)

describe("a site under random outages", function()
  local function generator(seed)
    return function(n)
      seed = (seed * 16807) % 2147483647
      return seed % n + 1
    end
  end

  it("always has an endpoint in service, always offers one, and never two probes at once", function()
    for seed = 1, 60 do
      local pick, made = generator(seed), new(3)
      local running, now = {}, 0
      for _ = 1, 400 do
        now = now + pick(4) / 2
        if #running < 8 and pick(2) == 1 then
          local avoid = made.endpoints[pick(6)]
          local busy = {}
          for _, endpoint in ipairs(made.endpoints) do
            busy[endpoint] = endpoint.probing and now - endpoint.probing < 60
          end
          local endpoint, probe = made:choose(now, avoid)
          assert.is_not_nil(endpoint)
          assert.is_falsy(busy[endpoint])
          assert.equal(probe and now, endpoint.probing)
          running[#running + 1] = endpoint
        elseif #running > 0 then
          local endpoint, end_of_it = table.remove(running, pick(#running)), pick(8)
          if end_of_it == 8 then
            made:release(endpoint)
          else
            made[end_of_it == 7 and "succeed" or "fail"](made, endpoint, now)
          end
        end
        assert.is_true(in_service(made) >= 1)
        assert.equal(3, #made:health(now))
      end
    end
  end)
end)

describe("site:release_hold", function()
  it("ends a hold, however long it is", function()
    local made = new(1)
    made:hold(7 * 86400, { kind = "api" })
    assert.equal(7 * 86400, made:held(0))
    made:release_hold()
    assert.is_nil(made:held(0))
    assert.is_true(made:is_open())
    made:hold(5, { kind = "api" })
    assert.equal(5, made:held(0))
  end)

  it("does nothing without one", function()
    local made = new(1)
    made:release_hold()
    assert.is_nil(made:held(0))
  end)
end)
