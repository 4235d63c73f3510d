--- Lists in the place of looks: how few requests they cost, that nobody is noticed later, and what ends them.
local core = require "aitoearn.core"
local survey = require "aitoearn.survey"
local testing = require "aitoearn.testing"

local EPOCH = 1767225600 -- 2026-01-01T00:00:00Z

local function iso(at) return core.format_datetime(EPOCH + at) end

-- Puts a record into the state it has at a time: waiting, from `starts` on publishing, from `ends` on published.
local function show(record, life, now)
  record.publishTime = iso(life.at)
  record.status = now >= life.ends and 1 or now >= life.starts and 2 or now < life.at - 86400 and 0 or 6
  record.platformWorkId = record.status == 2 and "7" or nil
end

-- A client of a platform on which posts live by the clock; `hidden` ones are in no list.
local function world(posts, options)
  local records, answers = {}, {}
  for id, life in pairs(posts) do
    records[id] = { source = life.hidden and "task_link" or nil }
    show(records[id], life, 0)
  end
  local client
  local function update(request)
    for id, life in pairs(posts) do
      if not request.id or request.id == id then show(client.records[id], life, request.at - EPOCH) end
    end
    return {}
  end
  for id in pairs(posts) do answers[id] = { update } end
  options = options or {}
  local list = options.list
  answers["GET /records"] = { function(request)
    update(request)
    return list and list(request) or {}
  end }
  options.list, options.records, options.answers, options.now = nil, records, answers, EPOCH
  client = testing.client(options)
  return client
end

local function now(client) return testing.now(client) - EPOCH end

local function sorted(posts)
  local ids = {}
  for id in pairs(posts) do ids[#ids + 1] = id end
  table.sort(ids)
  return ids
end

-- Follows posts to their end: when each was noticed, and the requests: first looks, later ones, lists.
local function follow(client, ids, opts)
  opts = opts or {}
  opts.timeout, opts.goal = opts.timeout or false, opts.goal or "published"
  local noticed, errors, seen = {}, {}, {}
  local following = client:wait_all(ids, opts)
  local id, record, err = following()
  while id ~= nil do
    assert(not seen[id], "given twice")
    seen[id], noticed[id], errors[id] = true, record and now(client), err
    id, record, err = following()
  end
  local asked, later, lists = {}, 0, 0
  for _, request in ipairs(client.requests) do
    if not request.id then
      lists = lists + 1
    elseif asked[request.id] then
      later = later + 1
    else
      asked[request.id] = true
    end
  end
  return noticed, errors, { later = later, lists = lists }
end

-- Posts that are published within the second hour from now.
local function hour(count)
  local posts = {}
  for i = 1, count do
    local at = 3600 + (i * 7919 % 3600)
    posts[("p%04d"):format(i)] = { at = at, starts = at + 5 + i % 26, ends = at + 60 + i * 7919 % 120 }
  end
  return posts
end

-- The pace's bound on how late the end of a post is noticed: 15 % of what its publishing took so far, 5 s at least and 30 s
-- at most; one never seen PUBLISHING counts as due.
local function bound(life)
  return math.max(5, math.min(30, 0.15 * (life.ends - life.at) / 0.85)) + 1
end

local function assert_in_time(posts, noticed, slack)
  for id, life in pairs(posts) do
    assert(noticed[id], id .. " was not noticed")
    local late = noticed[id] - life.ends
    assert(late >= 0 and late <= bound(life) + (slack or 0), ("%s: %g s late, %g allowed"):format(id, late, bound(life)))
  end
end

describe("following 1,000 records that are published within one hour", function()
  it("costs a thirtieth of the looks after the first at most, and none is noticed later", function()
    local posts = hour(1000)
    local client = world(posts)
    local noticed, errors, counts = follow(client, sorted(posts))
    assert.is_nil(next(errors))
    assert_in_time(posts, noticed)

    -- Without lists each goes by itself, so a tenth of them says what all would cost.
    local some = {}
    for i = 1, 1000, 10 do
      local id = ("p%04d"):format(i)
      some[id] = posts[id]
    end
    client = world(some)
    local alone, problems, without = follow(client, sorted(some), { survey = false })
    assert.is_nil(next(problems))
    assert_in_time(some, alone)
    assert.equal(0, without.lists)
    local requests = counts.later + counts.lists
    assert(requests * 30 <= without.later * 10, ("%d requests with lists, %d without"):format(requests, without.later * 10))
  end)
end)

describe("a survey", function()
  it("takes records in the place of ids, which need no first look, but a flow's task does", function()
    local posts = hour(200)
    local client = world(posts)
    local records = client:list_records()
    assert.equal(200, #records)
    local noticed, errors, counts = follow(client, records)
    assert.is_nil(next(errors))
    assert_in_time(posts, noticed)
    assert(counts.lists > counts.later)
    for _, request in ipairs(client.requests) do
      assert(not request.id or request.at > EPOCH + 100, "looked at at once")
    end

    client = testing.client { records = { a = { status = 1 } } }
    local _, record = client:wait_all({ { id = "a", status = 1, platform = "xhs" } })()
    assert.same({ "douyin", 1 }, { record.accountType, #client.requests })
    client = testing.client {}
    _, record = client:wait_all({ testing.record { id = "a", status = 1 } })()
    assert.same({ "a", 0 }, { record.id, #client.requests })
  end)

  it("is a look like any other: events, on_change and pace", function()
    local posts = hour(50)
    local polls, changes, paces = {}, {}, 0
    local client = world(posts, { on_event = function(event)
      if event.type == "poll" then polls[event.record_id] = (polls[event.record_id] or 0) + 1 end
    end })
    local noticed = follow(client, sorted(posts), {
      on_change = function(record, _, id)
        assert.equal(id, record.id)
        changes[id] = (changes[id] or "") .. record.status
      end,
      pace = function(record)
        paces = paces + 1
        return record.status == 2 and 5 or 60
      end,
    })
    for id in pairs(posts) do
      assert(noticed[id] and polls[id] > 10, id)
      assert.truthy(changes[id]:find "^6+2*1$", changes[id]) -- 60 s may miss PUBLISHING
    end
    assert(paces > 500 and #client.requests < paces / 10, ("%d looks in %d requests"):format(paces, #client.requests))
  end)

  it("is turned off by survey = false, and is not worth it for two", function()
    for count, opts in pairs { [40] = { survey = false }, [2] = {} } do
      local posts = hour(count)
      local client = world(posts)
      local _, _, counts = follow(client, sorted(posts), opts)
      assert.equal(0, counts.lists)
    end
  end)

  it("leaves stragglers that would stretch the window to their own ids", function()
    local posts = hour(100)
    for i = 1, 3 do
      local at = 40 * 86400 * i
      posts["far" .. i] = { at = at, starts = at + 5, ends = at + 60 }
    end
    local client = world(posts, { list = function(request)
      local from, to = request.query.time:match "^(.*),(.*)$"
      local span = core.parse_datetime(to) - core.parse_datetime(from)
      assert(span <= 5 * 3600, ("a window of %g s"):format(span))
      return {}
    end })
    local noticed = follow(client, sorted(posts))
    assert_in_time(posts, noticed)
  end)

  it("looks at what lists leave out, and what has moved, by its own id, as soon as without", function()
    local posts = hour(200)
    for i = 1, 200, 20 do posts[("p%04d"):format(i)].hidden = true end
    local moved = 0
    for i = 11, 200, 20 do
      local life = posts[("p%04d"):format(i)]
      local earlier = { at = life.at - 3000, starts = life.starts - 3000, ends = life.ends - 3000 }
      posts[("p%04d"):format(i)] = earlier -- what the list of its old window no longer holds
      moved = moved + 1
    end
    local given, client = {}, world(posts)
    for i, record in ipairs(client:list_records()) do
      local life = posts[record.id]
      if life.at < 3600 then record.publishTime = iso(life.at + 3000) end -- read before it was moved
      given[i] = record
    end
    for id, life in pairs(posts) do
      if life.hidden then given[#given + 1] = assert(client:get_record(id)) end
    end
    local noticed, errors = follow(client, given)
    assert.is_nil(next(errors))
    local in_time = {}
    for id, life in pairs(posts) do
      if life.at >= 3600 then in_time[id] = life end
      assert(noticed[id], id)
    end
    assert.equal(10, moved)
    assert_in_time(in_time, noticed)
  end)

  it("is given up for a while where lists fail, as for one odd record, and nobody is noticed later", function()
    local posts = hour(60)
    for _, answer in ipairs { { code = 500 }, { http_status = 502 }, { kind = "timeout" }, { code = 401 }, { body = "{}" } } do
      local lists = {}
      local client = world(posts, { list = function(request)
        lists[#lists + 1] = request.at
        return answer
      end })
      local noticed, errors, counts = follow(client, sorted(posts))
      assert.is_nil(next(errors))
      assert_in_time(posts, noticed, answer.kind and 5 or 0) -- a list that hangs is waited for, for so long
      assert(counts.lists >= 1 and counts.lists <= 9, counts.lists .. " lists")
      for i = 2, #lists do -- some may have been under way together
        local gap = lists[i] - lists[i - 1]
        assert(gap <= 5 or gap >= 30, gap .. " s between two lists")
      end
    end
  end)

  it("is given up for a while where a window is full of strangers", function()
    local posts, strangers = hour(60), {}
    for i = 1, 2000 do
      strangers[i] = { id = "s" .. i, status = 1, publishTime = iso(3600 + i % 3600), accountType = "xhs", type = "video" }
    end
    local client = world(posts, { list = function() return { data = strangers } end })
    local noticed, errors, counts = follow(client, sorted(posts))
    assert.is_nil(next(errors))
    assert_in_time(posts, noticed)
    assert(counts.lists >= 1 and counts.lists <= 9, counts.lists .. " lists")
  end)

  it("is not asked for again where the list is over the size limit", function()
    local posts = hour(100)
    local client = world(posts, { max_response_bytes = 2000 })
    local noticed, errors, counts = follow(client, sorted(posts))
    assert.is_nil(next(errors))
    assert_in_time(posts, noticed)
    assert(counts.lists >= 1 and counts.lists <= 9, counts.lists .. " lists")
  end)

  it("keeps to max_rate with everything else, and is asked for where turns are scarce", function()
    local posts = hour(300)
    local client = world(posts, { max_rate = 2 })
    local noticed, errors, counts = follow(client, sorted(posts))
    assert.is_nil(next(errors))
    for id in pairs(posts) do assert(noticed[id], id) end
    assert(counts.lists > 100 and counts.later < counts.lists, ("%d lists, %d looks"):format(counts.lists, counts.later))
    for i = 2, #client.requests do
      local gap = client.requests[i].at - client.requests[i - 1].at
      assert(gap >= 0.499, ("sent %g s after the one before"):format(gap))
    end
  end)

  it("holds the site for all after a 429, and waits for a hold as the looks do", function()
    local posts, held_until = hour(100), nil
    local client = world(posts, { list = function(request)
      if not held_until then
        held_until = request.at + 20
        return { code = 429, data = { ttl = 20 } }
      end
    end })
    local noticed, errors = follow(client, sorted(posts))
    assert.is_nil(next(errors))
    assert_in_time(posts, noticed, 20)
    for _, request in ipairs(client.requests) do
      assert(not (request.at > held_until - 20 and request.at < held_until - 0.001), "sent while the site was held")
    end
  end)
end)

describe("planning", function()
  local function watch(looked_at, due_at) return { looked_at = looked_at, due_at = due_at } end

  it("takes all of a window once half of what a list would hold is due", function()
    local plan, watches = survey.new(), {}
    for i = 1, 10 do
      watches[i] = watch(0, i <= 5 and 10 or 100)
      plan:place(watches[i], 1000 + i)
    end
    local window = assert(plan:plan(watches[1], 10))
    assert.same({ 10, 1001, 1010 }, { #window.watches, window.from, window.to })
    for i = 1, 10 do assert.is_true(watches[i].survey) end
  end)

  it("asks by id where fewer than half, or fewer than three, are due", function()
    local plan, watches = survey.new(), {}
    for i = 1, 10 do
      watches[i] = watch(0, i <= 4 and 10 or 100)
      plan:place(watches[i], 1000)
    end
    assert.is_nil(plan:plan(watches[1], 10))
    plan = survey.new()
    for i = 1, 2 do plan:place(watches[i], 1000 + i) end
    assert.is_nil(plan:plan(watches[1], 10))
  end)

  it("counts what has ended, since a list still holds it", function()
    local plan, watches = survey.new(), {}
    for i = 1, 4 do
      watches[i] = watch(0, 10)
      plan:place(watches[i], 1000)
    end
    for _ = 1, 5 do
      local over = watch(0, 10)
      plan:place(over, 1000)
      plan:finish(over, 1000)
    end
    assert.is_nil(plan:plan(watches[1], 10))
  end)

  it("pauses after a failure, longer after each, and for good reasons for longer at once", function()
    local plan, watches = survey.new(), {}
    for i = 1, 3 do
      watches[i] = watch(0, 10)
      plan:place(watches[i], 1000)
    end
    local function free_at(at)
      for _, each in ipairs(watches) do each.survey = nil end
      return plan:plan(watches[1], at) ~= nil
    end
    plan:fail(false, 10)
    assert.same({ false, true }, { free_at(39), free_at(40) })
    plan:fail(false, 40)
    assert.same({ false, true }, { free_at(99), free_at(100) })
    plan:fail(true, 100)
    assert.same({ false, true }, { free_at(100 + 2399), free_at(100 + 2400) })
  end)
end)
