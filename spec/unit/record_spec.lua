local aitoearn = require "aitoearn"
local cjson = require "cjson"
local core = require "aitoearn.core"

local verdicts = aitoearn.verdicts

-- status, name, final, live, needs action
local statuses = {
  { -1, "FAILED", true, false, false },
  { 0, "WAITING_FOR_PUBLISH", false, false, false },
  { 1, "PUBLISHED", true, true, false },
  { 2, "PUBLISHING", false, false, false },
  { 3, "WAITING_FOR_UPDATE", false, true, false },
  { 4, "UPDATING", false, true, false },
  { 5, "UPDATE_FAILED", true, true, false },
  { 6, "QUEUED", false, false, false },
  { 7, "PLATFORM_SCHEDULED", false, false, false },
  { 8, "WAITING_FOR_USER_ACTION", false, false, true },
  { 9, "CANCELED", true, false, false },
  { 42, "UNKNOWN", false, false, false },
  { -2, "UNKNOWN", false, false, false },
}

local function record(fields)
  fields.status = fields.status or 1
  return aitoearn.record(fields)
end

describe("the verdicts on a record", function()
  for _, row in ipairs(statuses) do
    it(("in status %d %s follow the platform's table"):format(row[1], row[2]), function()
      local r = record { status = row[1] }
      assert.same({ row[2], row[3], row[4], row[5] }, { r:status_name(), r:is_final(), r:is_live(), r:needs_action() })
    end)
  end

  it("know a link that can be used", function()
    assert.is_true(record({ workLink = "https://x.example/1" }):has_link())
    assert.is_true(record({ workLink = "https://x.example/1", linkStatus = "pending" }):has_link())
    assert.is_false(record({ workLink = "" }):has_link())
    assert.is_false(record({ linkStatus = "ready" }):has_link())
    assert.is_false(record({ workLink = cjson.null }):has_link())
  end)

  it("give times that os.date takes where they are whole", function()
    local r = record { publishTime = "2026-07-02T12:00:00.000Z", createdAt = "2026-07-02T12:00:00Z" }
    assert.equal("2026-07-02", os.date("!%Y-%m-%d", r:published_at()))
    assert.equal("2026-07-02", os.date("!%Y-%m-%d", r:created_at()))
  end)

  it("tell an automatic retry from a delayed job", function()
    assert.is_true(record({ status = 6, errorMsg = "busy" }):will_retry())
    assert.is_false(record({ status = 6, errorMsg = "" }):will_retry())
    assert.is_false(record({ status = 6 }):will_retry())
    assert.is_false(record({ status = -1, errorMsg = "busy" }):will_retry())
  end)

  it("give times as Unix seconds with fraction, or nil", function()
    local r = record {
      publishTime = "2026-07-02T12:00:00.250Z", createdAt = "1970-01-01T00:00:01Z", updatedAt = "yesterday",
    }
    assert.equal(1782993600.25, r:published_at())
    assert.equal(1, r:created_at())
    assert.is_nil(r:updated_at())
    assert.is_nil(record({}):created_at())
  end)
end)

describe("is_stalled", function()
  local NOW = 1782993600
  local function stalled(fields)
    fields.status = fields.status or 2
    return record(fields):is_stalled(NOW)
  end

  it("holds for PUBLISHING without a work id that did not move for more than 30 minutes", function()
    assert.is_true(stalled { updatedAt = "2026-07-02T11:29:59.999Z" })
    assert.is_false(stalled { updatedAt = "2026-07-02T11:30:00.000Z" })
    assert.is_true(stalled { updatedAt = "2026-07-02T11:00:00Z", platformWorkId = "" })
    assert.is_false(stalled { updatedAt = "2026-07-02T11:00:00Z", platformWorkId = "7" })
  end)

  it("looks at publishTime where updatedAt is not there", function()
    assert.is_true(stalled { publishTime = "2026-07-02T11:00:00Z" })
    assert.is_false(stalled { publishTime = "2026-07-02T11:59:00Z" })
    assert.is_false(stalled { publishTime = "2026-07-02T11:00:00Z", updatedAt = "2026-07-02T11:59:00Z" })
    assert.is_false(stalled {})
  end)

  it("never holds in another status", function()
    for status = -1, 9 do
      assert.equal(status == 2, stalled { status = status, updatedAt = "2026-07-01T12:00:00Z" })
    end
  end)

  it("takes the system's clock unless told the time", function()
    local function updated(seconds_ago)
      return record { status = 2, updatedAt = os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() - seconds_ago) }
    end
    assert.is_true(updated(3600):is_stalled())
    assert.is_false(updated(60):is_stalled())
  end)
end)

describe("aitoearn.record", function()
  it("gives a table its methods and returns the same table", function()
    local plain = { status = 1 }
    local r = aitoearn.record(plain)
    assert.equal(plain, r)
    assert.is_true(r:is_final())
  end)

  it("raises for anything else", function()
    local ok, message = pcall(function() aitoearn.record "x" end)
    assert.is_false(ok)
    assert.truthy(message:find("record_spec.lua:%d+: record: table expected, got string"))
    assert.has_error(function() aitoearn.record() end)
  end)

  it("brings the methods back after a way through JSON", function()
    local body = '{"code":0,"message":"","data":{"id":"1","accountType":"xhs","type":"video","status":8,'
      .. '"publishTime":"2026-07-02T12:00:00.000Z","linkMeta":{"a":[1,2,{"b":null}]},"imgUrlList":["x"]}}'
    local first = core.decode(body)
    local second = cjson.decode(cjson.encode(first))
    assert.is_nil(getmetatable(second))
    assert.same(first, setmetatable(second, nil))
    aitoearn.record(second)
    assert.is_true(second:needs_action())
    assert.equal("WAITING_FOR_USER_ACTION", second:status_name())
    assert.equal(1782993600, second:published_at())
  end)

  it("takes a table whose numbers became floats", function()
    assert.is_true(record({ status = 1.0 }):is_final())
    assert.equal("PUBLISHED", record({ status = 1.0 }):status_name())
  end)

  it("makes integers of whole numbers again, at any depth", function()
    local r = aitoearn.record {
      status = 1.0, linkMeta = { views = 3.0, rate = 0.5, list = { 1.0, { n = -2.0 } }, big = 2 ^ 53, null = cjson.null },
    }
    if math.type then
      assert.equal("integer", math.type(r.status))
      local meta = r.linkMeta
      assert.same({ "integer", "float", "integer", "integer", "float" }, { math.type(meta.views), math.type(meta.rate),
        math.type(meta.list[1]), math.type(meta.list[2].n), math.type(meta.big) })
    end
    assert.equal("1 3 -2", ("%s %s %s"):format(r.status, r.linkMeta.views, r.linkMeta.list[2].n))
    assert.equal(cjson.null, r.linkMeta.null)
  end)

  it("takes a table that holds itself", function()
    local t = { status = 1.0 }
    t.linkMeta = { record = t, list = { t, t } }
    t.linkMeta.linkMeta = t.linkMeta
    assert.equal("PUBLISHED", aitoearn.record(t):status_name())
  end)

  it("makes no method of a table without a status raise", function()
    local r = aitoearn.record {}
    for name in pairs(verdicts) do assert.is_true(pcall(r[name], r), name) end
    assert.equal("UNKNOWN", r:status_name())
  end)
end)

describe("tostring of a record", function()
  it("is one line with what matters", function()
    assert.equal("record 1: PUBLISHED douyin video 2026-07-02T12:00:00.000Z https://x.example/1", tostring(record {
      id = "1", accountType = "douyin", type = "video", publishTime = "2026-07-02T12:00:00.000Z",
      workLink = "https://x.example/1", errorMsg = "",
    }))
    assert.equal("record 1: FAILED douyin quota exceeded", tostring(record {
      id = "1", status = -1, accountType = "douyin", errorMsg = "quota\nexceeded",
    }))
    assert.equal("record nil: UNKNOWN", tostring(aitoearn.record {}))
  end)

  it("stays one, whatever the fields hold", function()
    local line = tostring(record { id = {}, accountType = 7, errorMsg = ("\226\128\168\n\194\133"):rep(1000) })
    assert.is_nil(line:find "[\n\194\226]")
    assert.is_true(#line <= 512)
  end)
end)

describe("aitoearn.verdicts", function()
  it("judge a record whose field hides a method", function()
    local r = record { status = 9, is_final = "a server's field", has_link = true }
    assert.equal("a server's field", r.is_final)
    assert.is_true(verdicts.is_final(r))
    assert.is_false(verdicts.has_link(r))
  end)

  it("judge plain tables", function()
    assert.is_true(verdicts.is_live { status = 3 })
    assert.equal("QUEUED", verdicts.status_name { status = 6 })
  end)
end)
