--- What the sibling routes take, checked and brought into the API's form.
local cjson = require "cjson"
local helper = require "spec.helper"
local post = require "aitoearn.post"

local NOW = 1767225600.5 -- 2026-01-01T00:00:00.500Z

local function flow_id() return "made" end

local function encode(given)
  local body, id = post.encode(given, flow_id, NOW)
  return cjson.decode(body), id, body
end

local function raises(text, fn, ...)
  local message = helper.raised(fn, ...)
  assert.truthy(message:find(text, 1, true), message)
end

local function item() return { platform = "xhs", accountId = "a" } end
local function smallest() return { items = { item() }, content = {} } end

describe("a post", function()
  it("gets a flow id, a time and an array of media where it has none, and is not changed itself", function()
    local given = smallest()
    local body, id, text = encode(given)
    assert.same({ "made", "made", "2026-01-01T00:00:00.500Z" }, { id, body.flowId, body.publishAt })
    assert.truthy(text:find('"media":[]', 1, true), text)
    assert.same(smallest(), given)
  end)

  it("keeps what it has, unknown fields too", function()
    local given = smallest()
    given.flowId, given.publishAt, given.later = "mine/é", "2026-02-03T04:05:06+08:00", { deep = { 1, 2 } }
    given.content = { title = "t", media = { { url = "https://example.com/a.mp4" } }, cover = "c" }
    given.items[1].option = { private = true }
    local body, id = encode(given)
    assert.same({ "mine/é", "mine/é", "2026-02-02T20:05:06.000Z" }, { id, body.flowId, body.publishAt })
    assert.same({ given.later, given.content, given.items }, { body.later, body.content, body.items })
  end)

  it("raises with the path to what is no post", function()
    local bad = {
      { "post: table expected", nil },
      { "post: table expected", "text" },
      { "post.items: non-empty array", { content = {} } },
      { "post.items: non-empty array", { items = {}, content = {} } },
      { "post.items: non-empty array", { items = "a", content = {} } },
      { "post.items[1]: table expected", { items = { "a" }, content = {} } },
      { "post.items[2].accountId: non-empty string", { items = { item(), { platform = "xhs" } }, content = {} } },
      { "post.items[1].platform: non-empty string", { items = { { accountId = "a", platform = "" } }, content = {} } },
      { "post.content: table expected", { items = { item() } } },
    }
    for _, case in ipairs(bad) do raises(case[1], encode, case[2]) end
    for _, id in ipairs { "", ".", "..", "a\nb", 7, false } do
      local given = smallest()
      given.flowId = id
      raises("post.flowId: ", encode, given)
    end
    for _, time in ipairs { "2026-01-01T00:00:00", "tomorrow", 0 / 0, 1e18, false, {} } do
      local given = smallest()
      given.publishAt = time
      raises("post.publishAt: ", encode, given)
    end
  end)

  it("raises on what JSON cannot hold, with the path to it", function()
    local cycle, hole = {}, { item(), nil, item() }
    cycle.again = cycle
    for _, case in ipairs { { "post.extra", print }, { "post.extra", 0 / 0 }, { "in itself", cycle } } do
      local given = smallest()
      given.extra = case[2]
      raises(case[1], encode, given)
    end
    raises("post.items", encode, { items = hole, content = {} })
  end)

  it("gets flow ids that are UUIDs of version 4, all different", function()
    local seen = {}
    for _ = 1, 1000 do
      local id = post.new_flow_id(math.random)
      assert.truthy(id:find "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$", id)
      assert.is_nil(seen[id])
      seen[id] = true
    end
  end)
end)

describe("a time", function()
  it("is Unix seconds, or a date-time with Z or an offset, and goes out in UTC", function()
    assert.equal("2026-01-01T00:00:00.500Z", post.time(NOW, "t"))
    assert.equal("2026-01-01T00:00:00.000Z", post.time("2026-01-01T00:00:00Z", "t"))
    assert.equal("2025-12-31T22:30:00.000Z", post.time("2026-01-01T00:00:00+01:30", "t"))
    for _, bad in ipairs { "2026-01-01T00:00:00", "2026-01-01", "", 0 / 0, 1 / 0, true } do
      raises("t: Unix seconds, or a date-time with Z or an offset, expected", post.time, bad, "t")
    end
    raises("t: ", post.time, nil, "t")
  end)
end)

describe("a filter of a list", function()
  it("becomes a path and a query, percent-encoded", function()
    assert.equal("", post.list_path())
    assert.equal("", post.list_path {})
    assert.equal("/queued", post.list_path { list = "queued" })
    assert.equal("/published?accountType=xhs", post.list_path { list = "published", accountType = "xhs" })
    assert.equal("?accountId=a%26b%2F%3D&status=-1", post.list_path { accountId = "a&b/=", status = -1 })
    assert.equal("?time=2026-01-01T00%3A00%3A00.500Z,2026-01-01T00%3A00%3A01.000Z",
      post.list_path { from = NOW, to = "2026-01-01T01:00:01+01:00" })
  end)

  it("raises with the name of what is wrong", function()
    raises("filter: table expected", post.list_path, "queued")
    raises("filter.acountId: unknown field; did you mean accountId?", post.list_path, { acountId = "a" })
    raises('filter.list: "history", "queued" or "published" expected', post.list_path, { list = "all" })
    raises("filter.accountId: non-empty string", post.list_path, { accountId = "" })
    raises("filter.accountType: non-empty string", post.list_path, { accountType = 1 })
    for _, status in ipairs { "1", 1.5, 0 / 0 } do
      raises("filter.status: whole number", post.list_path, { status = status })
    end
    raises("filter.status: ", post.list_path, { list = "queued", status = 0 })
    raises("filter.from: goes with filter.to", post.list_path, { from = 1 })
    raises("filter.to: goes with filter.from", post.list_path, { to = 1 })
    raises("filter.to: Unix seconds", post.list_path, { from = 1, to = "2026-01-01T00:00:00" })
  end)
end)
