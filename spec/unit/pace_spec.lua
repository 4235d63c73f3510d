local pace = require "aitoearn.pace"

local MINUTE, HOUR, DAY = 60, 3600, 86400
-- Some publish time; Unix seconds.
local T = 1750000000

-- The same numbers under every Lua: Park and Miller's generator, its first numbers dropped since they follow the seed.
local function generator(seed)
  local function random()
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  end
  for _ = 1, 5 do
    random()
  end
  return random
end

local function always(value)
  return function() return value end
end

local written = {}

local function iso(at)
  local whole = math.floor(at)
  written[at] = written[at] or os.date("!%Y-%m-%dT%H:%M:%S", whole) .. (".%03dZ"):format(math.floor((at - whole) * 1000))
  return written[at]
end

-- What a pacer says to a record with these times, in Unix seconds.
local function delay(pacer, fields, now, publish_at, updated_at)
  local record = { publishTime = publish_at and iso(publish_at), updatedAt = updated_at and iso(updated_at) }
  for name, value in pairs(fields) do
    record[name] = value
  end
  return pacer:delay(record, now)
end

-- Many seeds, and the two ends that no seed reaches.
local function each_random(seeds, visit)
  visit(always(0))
  visit(always(0.999999))
  for seed = 1, seeds do
    visit(generator(seed))
  end
end

-- Looks at a world until `over(record, now)`; world(now) → record, publish_at, updated_at. Returns the times of looks.
local function watch(random, world, start, over)
  local pacer, now, looks = pace.new(random), start, {}
  for _ = 1, 20000 do
    local record, publish_at, updated_at = world(now)
    looks[#looks + 1] = now
    if over(record, now) then return looks end
    local seconds = delay(pacer, record, now, publish_at, updated_at)
    assert(seconds > 0 and seconds <= HOUR, "not a delay: " .. tostring(seconds))
    now = now + seconds
  end
  error("watched for ever")
end

-- A post that waits for the scheduler after its publish time, runs, and is live.
local function post(publish_at, waiting, publishing)
  local started = publish_at + waiting
  return function(now)
    if now < started then return { status = 0 }, publish_at, publish_at - DAY end
    local status = now < started + publishing and 2 or 1
    return { status = status, platformWorkId = "w" }, publish_at, started
  end
end

local function is_live(record) return record.status == 1 end

-- The intervals of a record that stays as it is, from the first look on, for so long.
local function intervals(random, record, span, publish_at, updated_at)
  local looks = watch(
    random,
    function() return record, publish_at, updated_at end,
    T,
    function(_, now) return now >= T + span end
  )
  local list = {}
  for i = 2, #looks do
    list[i - 1] = looks[i] - looks[i - 1]
  end
  return list
end

describe("a pacer", function()
  -- status, name, first and slowest interval without jitter, when the slowest is reached; publish time is over
  local statuses = {
    { -1, "FAILED", 5, 300, HOUR },
    { 0, "WAITING_FOR_PUBLISH", 5, 30, 25 * MINUTE },
    { 1, "PUBLISHED", 5, 300, HOUR },
    { 2, "PUBLISHING", 5, 30, 5 * MINUTE },
    { 3, "WAITING_FOR_UPDATE", 5, 30, 5 * MINUTE },
    { 4, "UPDATING", 5, 30, 5 * MINUTE },
    { 5, "UPDATE_FAILED", 5, 300, HOUR },
    { 6, "QUEUED", 5, 30, 25 * MINUTE },
    { 7, "PLATFORM_SCHEDULED", 5, 30, 25 * MINUTE },
    { 8, "WAITING_FOR_USER_ACTION", 15, 30, 15 * MINUTE },
    { 9, "CANCELED", 5, 300, HOUR },
    { 77, "unknown", 30, 300, HOUR },
  }

  for _, row in ipairs(statuses) do
    local status, name, first, slowest, reached = row[1], row[2], row[3], row[4], row[5]
    local record = { status = status, platformWorkId = "w" }

    it(("asks about %s every %d s and later every %d s"):format(name, first, slowest), function()
      local steady = intervals(always(0), record, 3 * HOUR, T, T)
      assert.near(first, steady[1], 1e-6)
      assert.near(slowest, steady[#steady], 1e-6)
      for i = 2, #steady do
        assert.is_true(steady[i] >= steady[i - 1] - 1e-6)
      end
      local early = intervals(always(0), record, reached, T, T)
      assert.is_true(early[#early] >= slowest * 0.999)
    end)

    it(("asks about %s no earlier than at 80 %% of that, and no later"):format(name), function()
      each_random(100, function(random)
        for _, seconds in ipairs(intervals(random, record, 2 * HOUR, T, T)) do
          assert.is_true(seconds >= 0.8 * first - 1e-6 and seconds <= slowest + 1e-6)
        end
      end)
    end)

    it(("asks about %s alike without any date"):format(name), function()
      local dateless = { status = status }
      local steady = intervals(always(0), dateless, 3 * HOUR, nil, nil)
      assert.near(first, steady[1], 1e-6)
      assert.near(slowest, steady[#steady], 1e-6)
    end)
  end

  it("asks every five seconds for minutes after the publish time", function()
    local list = intervals(always(0), { status = 0 }, 3 * MINUTE, T)
    for _, seconds in ipairs(list) do
      assert.near(5, seconds, 1e-6)
    end
  end)

  it("begins anew when the status changes", function()
    local pacer = pace.new(always(0))
    delay(pacer, { status = 2 }, T)
    assert.equal(30, delay(pacer, { status = 2 }, T + HOUR))
    assert.equal(5, delay(pacer, { status = 4 }, T + HOUR + 30))
    assert.equal(5, delay(pacer, { status = 2 }, T + HOUR + 35))
  end)

  it("spends fewer than 150 requests on the hour that a person has to confirm", function()
    local looks = intervals(always(0), { status = 8 }, HOUR, T - DAY)
    assert.is_true(#looks < 150)
  end)

  it("spreads a crowd that one tick of the scheduler moved, and keeps the distance after it", function()
    local pacer = pace.new(always(0.5))
    assert.near(4.5, delay(pacer, { status = 2 }, T), 1e-9)
    assert.near(5, delay(pacer, { status = 2 }, T + 4.5), 1e-9)
    assert.near(15, delay(pacer, { status = 2 }, T + 100), 1e-9)
    assert.near(27, delay(pacer, { status = 2 }, T + HOUR), 1e-9)
    assert.near(4.5, delay(pacer, { status = 4 }, T + HOUR + 27), 1e-9)
  end)

  it("gets along with a record that has no status", function()
    local pacer = pace.new(always(0))
    assert.equal(30, delay(pacer, {}, T))
    assert.equal(30, delay(pacer, {}, T + 30))
  end)
end)

describe("a pacer and a post scheduled ahead", function()
  for _, status in ipairs { 0, 6, 7 } do
    it(("spends at most 60 requests on the 24 hours before it (status %d)"):format(status), function()
      local most = 0
      each_random(500, function(random)
        local looks = watch(
          random,
          function() return { status = status }, T end,
          T - DAY,
          function(_, now) return now >= T end
        )
        most = math.max(most, #looks)
        local last = looks[#looks]
        assert.is_true(last - T <= 5)
      end)
      assert.is_true(most <= 60, most)
    end)
  end

  it("halves what is left, between an hour and five seconds", function()
    local function first(left) return delay(pace.new(always(0)), { status = 0 }, T - left, T) end
    local lefts = { 30 * DAY, DAY, 2 * HOUR, HOUR, 10 * MINUTE, MINUTE, 12, 10, 9, 2, 0.001 }
    local delays = {}
    for i, left in ipairs(lefts) do
      delays[i] = math.floor(first(left) * 100 + 0.5) / 100
    end
    assert.same({ 3600, 3600, 3600, 1800, 300, 30, 6, 5, 5, 5, 5 }, delays)
  end)

  it("never sleeps past the publish time by more than five seconds", function()
    each_random(200, function(random)
      for left = 0.5, 200, 0.5 do
        local seconds = delay(pace.new(random), { status = 0 }, T - left, T)
        assert.is_true(seconds <= math.max(5, left / 2))
        assert.is_true(seconds >= 4)
      end
    end)
  end)

  it("spreads a crowd that waits for the same moment", function()
    local per_second, crowd = {}, 2000
    for seed = 1, crowd do
      local looks = watch(
        generator(seed),
        function() return { status = 0 }, T end,
        T - DAY,
        function(_, now) return now >= T + 10 end
      )
      for _, at in ipairs(looks) do
        local second = math.floor(at)
        if at > T - DAY then per_second[second] = (per_second[second] or 0) + 1 end
      end
    end
    -- One look in 5 s by each, evenly spread, is a fifth of the crowd each second.
    for _, count in pairs(per_second) do
      assert.is_true(count <= crowd / 5 * 1.5, count)
    end
  end)

  it("follows a publish time that is moved earlier, within the hour", function()
    each_random(200, function(random)
      local moved, earlier = T - 12 * HOUR, T - 10 * HOUR
      local looks = watch(
        random,
        function(now) return { status = 0 }, now < moved and T or earlier end,
        T - DAY,
        function(_, now) return now >= earlier end
      )
      assert.is_true(looks[#looks] - earlier <= 5)
      assert.is_true(#looks <= 60)
    end)
  end)

  it("sees within the hour that a post was published by hand instead", function()
    each_random(200, function(random)
      local published = T - 10.5 * HOUR
      local looks = watch(
        random,
        function(now) return { status = now < published and 0 or 1 }, T end,
        T - DAY,
        is_live
      )
      assert.is_true(looks[#looks] - published <= HOUR)
    end)
  end)

  it("follows a publish time that is moved later, even when it was seconds away", function()
    each_random(200, function(random)
      local moved, later = T - 3, T + DAY
      local looks = watch(
        random,
        function(now) return { status = 0 }, now < moved and T or later end,
        T - DAY,
        function(_, now) return now >= later end
      )
      assert.is_true(looks[#looks] - later <= 5)
      assert.is_true(#looks <= 120)
    end)
  end)

  it("asks at the quick pace again when a publish time that was over is moved and comes back", function()
    local pacer = pace.new(always(0))
    delay(pacer, { status = 0 }, T, T)
    assert.equal(30, delay(pacer, { status = 0 }, T + HOUR, T))
    assert.equal(900, delay(pacer, { status = 0 }, T + HOUR + 30, T + HOUR + 30 + 1800))
    assert.equal(5, delay(pacer, { status = 0 }, T + 2 * HOUR, T + 2 * HOUR - 1))
  end)

  it("starts at the quick pace with a post that was overdue before anybody looked", function()
    assert.equal(5, delay(pace.new(always(0)), { status = 0 }, T + DAY, T))
  end)

  it("does not sleep towards the publish time of a post that runs already", function()
    for _, status in ipairs { 2, 3, 4 } do
      assert.equal(5, delay(pace.new(always(0)), { status = status }, T - DAY, T))
    end
  end)
end)

describe("a pacer and a post on its way", function()
  local function bound(publishing) return math.max(5, 0.15 * publishing) + 1e-6 end

  -- How long each part takes: waiting for the scheduler, publishing.
  local function lives(random)
    local list = {}
    for _, publishing in ipairs { 1, 2, 3, 5, 10, 20, 33, 34, 60, 120, 300, 600, 1800, 1801, 3600, 7200 } do
      list[#list + 1] = { 30 * random(), publishing }
      list[#list + 1] = { 30 * random(), publishing * (0.7 + 0.3 * random()) }
    end
    return list
  end

  it("notices that it is live within 5 s or 15 % of the time in PUBLISHING", function()
    each_random(300, function(random)
      for _, life in ipairs(lives(random)) do
        local waiting, publishing = life[1], life[2]
        local looks = watch(random, post(T, waiting, publishing), T, is_live)
        assert.is_true(looks[#looks] - (T + waiting + publishing) <= bound(publishing))
      end
    end)
  end)

  it("notices as soon when it was watched from the day before", function()
    each_random(100, function(random)
      for _, life in ipairs(lives(random)) do
        local waiting, publishing = life[1], life[2]
        local looks = watch(random, post(T, waiting, publishing), T - DAY, is_live)
        assert.is_true(looks[#looks] - (T + waiting + publishing) <= bound(publishing))
      end
    end)
  end)

  it("notices as soon when it has no dates and no work id", function()
    each_random(100, function(random)
      for _, life in ipairs(lives(random)) do
        local started, ended = T + life[1], T + life[1] + life[2]
        local function world(now) return { status = now < started and 6 or now < ended and 2 or 1 } end
        local looks = watch(random, world, T, is_live)
        assert.is_true(looks[#looks] - ended <= bound(life[2]))
      end
    end)
  end)

  it("notices as soon when it stalled and comes to life after all", function()
    each_random(100, function(random)
      for _, publishing in ipairs { 1795, 1800, 1805, 1900, 2000, 2100, 3000, 7200, DAY } do
        local live = T + publishing * (0.95 + 0.05 * random())
        local function world(now) return { status = now < live and 2 or 1 }, T, T end
        local looks = watch(random, world, T, is_live)
        assert.is_true(looks[#looks] - live <= bound(live - T))
      end
    end)
  end)

  it("spends at most 20 requests on two minutes of PUBLISHING, the one that sees it live included", function()
    local most = 0
    each_random(1000, function(random)
      most = math.max(most, #watch(random, post(T, 0, 120), T, is_live))
    end)
    assert.is_true(most <= 20, most)
  end)

  -- The bound of 5 s leaves no choice: a post that waits may be live in a moment, so 30 s cost 6 requests, and the
  -- 120 s after them 17. With the one jitter each they are 24 at most.
  it("spends at most 24 requests on them with up to 30 s of waiting for the scheduler before", function()
    local most = 0
    each_random(1000, function(random)
      most = math.max(most, #watch(random, post(T, 30 * random(), 120), T, is_live))
    end)
    assert.is_true(most <= 24, most)
  end)

  it("spends 20 requests on average, 22 at most, where the waiting is part of the two minutes", function()
    local most, sum, count = 0, 0, 3000
    for seed = 1, count do
      local random = generator(seed)
      local waiting = 30 * random()
      local requests = #watch(random, post(T, waiting, 120 - waiting), T, is_live)
      most, sum = math.max(most, requests), sum + requests
    end
    assert.is_true(most <= 22, most)
    assert.is_true(sum / count <= 20, sum / count)
  end)

  it("asks a post that an automatic retry has queued as one that is due", function()
    local record = { status = 6, errorMsg = "quota" }
    assert.equal(5, delay(pace.new(always(0)), record, T + 40, T))
    local list = intervals(always(0), record, HOUR, T - 600, T)
    assert.near(30, list[#list], 1e-6)
  end)
end)

describe("a stalled post", function()
  local NOW = T + DAY

  local function first(record, publish_at, updated_at)
    return delay(pace.new(always(0)), record, NOW, publish_at, updated_at)
  end

  it("is asked about every five minutes", function()
    each_random(100, function(random)
      for _, seconds in ipairs(intervals(random, { status = 2 }, DAY, T - DAY, T - HOUR)) do
        assert.is_true(seconds >= 240 and seconds <= 300)
      end
    end)
  end)

  it("is one that nothing has touched for more than 30 minutes", function()
    assert.equal(300, first({ status = 2 }, NOW - DAY, NOW - HOUR))
    assert.near(270, first({ status = 2 }, NOW - DAY, NOW - 1801), 1)
    assert.equal(5, first({ status = 2 }, NOW - DAY, NOW - 1800))
    assert.equal(5, first({ status = 2 }, NOW - DAY, NOW - 10))
  end)

  it("is told by its publish time where it has no updatedAt", function()
    assert.equal(300, first({ status = 2 }, NOW - HOUR, nil))
    assert.equal(5, first({ status = 2 }, NOW - 1800, nil))
    assert.equal(5, first({ status = 2 }, nil, nil))
  end)

  it("has no platformWorkId, and an empty one is none", function()
    assert.equal(300, first({ status = 2, platformWorkId = "" }, NOW - DAY, NOW - HOUR))
    assert.equal(5, first({ status = 2, platformWorkId = "w" }, NOW - DAY, NOW - HOUR))
  end)

  it("is PUBLISHING and nothing else", function()
    for _, status in ipairs { -1, 0, 1, 3, 4, 5, 6, 7, 9 } do
      assert.equal(5, first({ status = status }, NOW - DAY, NOW - HOUR))
    end
  end)

  it("is asked about often again once it moves", function()
    local pacer = pace.new(always(0))
    assert.equal(300, delay(pacer, { status = 2 }, NOW, T, T))
    assert.equal(30, delay(pacer, { status = 2, platformWorkId = "w" }, NOW + 300, T, NOW + 299))
    assert.equal(5, delay(pacer, { status = 4, platformWorkId = "w" }, NOW + 330, T, NOW + 329))
  end)
end)

describe("a pacer's clock", function()
  it("starts the status anew when it goes backwards", function()
    local pacer = pace.new(always(0))
    delay(pacer, { status = 2 }, T)
    assert.equal(30, delay(pacer, { status = 2 }, T + HOUR))
    assert.equal(5, delay(pacer, { status = 2 }, T - HOUR))
    assert.equal(5, delay(pacer, { status = 2 }, T - HOUR + 5))
    assert.equal(30, delay(pacer, { status = 2 }, T - HOUR + 10 * MINUTE))
  end)

  it("always gives a delay between four seconds and an hour, however it jumps", function()
    local statuses = { -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 77 }
    for seed = 1, 200 do
      local random = generator(seed)
      local pacer = pace.new(random)
      for _ = 1, 200 do
        local now = T + (random() - 0.5) * 4 * DAY
        local record = { status = statuses[1 + math.floor(random() * 12)] }
        local publish_at = random() < 0.8 and T + (random() - 0.5) * 4 * DAY or nil
        local updated_at = random() < 0.8 and T + (random() - 0.5) * 4 * DAY or nil
        local seconds = delay(pacer, record, now, publish_at, updated_at)
        assert.is_true(seconds >= 4 and seconds <= HOUR)
      end
    end
  end)

  it("belongs to one pacer", function()
    local one, other = pace.new(always(0)), pace.new(always(0))
    delay(one, { status = 2 }, T)
    assert.equal(30, delay(one, { status = 2 }, T + HOUR))
    assert.equal(5, delay(other, { status = 2 }, T + HOUR))
  end)
end)
