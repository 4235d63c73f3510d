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

-- Posts that are published within an hour, a day from now.
local function hour(count, more)
  local posts = {}
  for i = 1, count do
    local at = 86400 + (i * 2654435761 % 3600)
    posts[("p%04d"):format(i)] = { at = at, starts = at + 5 + i % 26, ends = at + 60 + i * 7919 % 120 }
  end
  for id, life in pairs(more or {}) do posts[id] = life end
  return posts
end

-- The pace's bound on how late the end of a post is noticed: 15 % of its time in PUBLISHING, or 5 s, or 30 s at most.
-- A post that was never seen PUBLISHING is looked at as one that is due: at least every 30 s.
local function bound(life)
  return math.max(5, math.min(30, 0.15 * (life.ends - life.at))) + 5
end

local function assert_in_time(posts, noticed, slack)
  local latest = 0
  for id, life in pairs(posts) do
    assert(noticed[id], id .. " was not noticed")
    local late = noticed[id] - life.ends
    assert(late >= 0 and late <= bound(life) + (slack or 0), ("%s was noticed %g s after its end"):format(id, late))
    latest = math.max(latest, late)
  end
  return latest
end

describe("following 1,000 records that are published within one hour", function()
  local posts = hour(1000)
  local with, without

  it("costs at most a thirtieth of the looks after the first, and none is noticed later than the pace allows", function()
    local client = world(posts, { http2 = true })
    local noticed, errors, counts = follow(client, sorted(posts))
    assert.is_nil(next(errors))
    local latest = assert_in_time(posts, noticed)
    with = { requests = counts.later + counts.lists, latest = latest }
    client:close()

    client = world(posts)
    noticed, errors, counts = follow(client, sorted(posts), { survey = false })
    assert.is_nil(next(errors))
    assert.equal(0, counts.lists)
    without = { requests = counts.later, latest = assert_in_time(posts, noticed) }
    client:close()
    print(with.requests, without.requests, with.latest, without.latest)
    assert(with.requests * 30 <= without.requests, ("%d requests with lists, %d without"):format(with.requests,
      without.requests))
    assert(with.latest <= without.latest + 0.5, ("%g s late with lists, %g s without"):format(with.latest, without.latest))
  end)
end)
