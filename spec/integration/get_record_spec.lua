local aitoearn = require "aitoearn"
local cjson = require "cjson"
local helper = require "spec.helper"

local record = helper.record

describe("client:get_record", function()
  local p, client

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  before_each(function()
    p:forget()
    client = helper.client()
  end)
  after_each(helper.close)

  local function uri() return p:requests()[1].uri:sub(#helper.PATH + 1) end

  it("brings a record and nothing else", function()
    local values = { client:get_record "6877a1b2c3d4e5f601234567" }
    assert.equal(1, #values)
    assert.equal("6877a1b2c3d4e5f601234567", values[1].id)
    assert.is_nil(select(2, client:get_record "ok"))
  end)

  it("asks once, with the key, an id of its own, and what the API answers with", function()
    record(client:get_record "ok")
    local requests = p:requests()
    assert.equal(1, #requests)
    local request = requests[1]
    assert.same({ "GET", helper.PATH .. "ok", p.cn.key, "cn_http", 200 },
      { request.method, request.uri, request.api_key, request.server, request.status })
    assert.truthy(request.request_id:find "^%x+%-%x+%-%x+%-%x+%-%x+$")
    assert.truthy(request.accept_encoding:find "gzip")
  end)

  -- status, name, final, live, needs action
  for _, row in ipairs {
    { -1, "FAILED", true, false, false }, { 0, "WAITING_FOR_PUBLISH", false, false, false },
    { 1, "PUBLISHED", true, true, false }, { 2, "PUBLISHING", false, false, false },
    { 3, "WAITING_FOR_UPDATE", false, true, false }, { 4, "UPDATING", false, true, false },
    { 5, "UPDATE_FAILED", true, true, false }, { 6, "QUEUED", false, false, false },
    { 7, "PLATFORM_SCHEDULED", false, false, false }, { 8, "WAITING_FOR_USER_ACTION", false, false, true },
    { 9, "CANCELED", true, false, false }, { 42, "UNKNOWN", false, false, false },
  } do
    it(("brings a record in status %d %s with its verdicts"):format(row[1], row[2]), function()
      local r = record(client:get_record("status:" .. row[1]))
      assert.equal(row[1], r.status)
      assert.equal(aitoearn.status[row[2]] or 42, r.status)
      assert.same({ row[2], row[3], row[4], row[5] }, { r:status_name(), r:is_final(), r:is_live(), r:needs_action() })
      assert.equal(row[4], r:has_link())
      assert.equal(r.status == -1 or r.status == 5, r.errorData ~= nil)
    end)
  end

  it("brings every field of the API page with its type", function()
    local r = record(client:get_record "full")
    local count = 0
    for name, value in pairs(r) do
      count = count + 1
      local expected = ({ status = "number", imgUrlList = "table", linkMeta = "table", errorData = "table" })[name]
      assert.equal(expected or "string", type(value), name)
    end
    assert.equal(24, count)
    assert.same({ "https://assets.example/img/1.jpg", "https://assets.example/img/2.jpg" }, r.imgUrlList)
    assert.same({ type = "unknown", code = "", message = "" }, r.errorData)
    assert.same({
      shortLink = "https://s.example/7Qk", play = { count = 1024, ratio = 0.5 }, tags = { "a", "b" }, note = cjson.null,
    }, r.linkMeta)
    assert.is_true(math.abs(r:updated_at() - os.time()) < 60)
    assert.is_true(r:created_at() < r:published_at())
  end)

  it("brings a record with the required fields alone", function()
    local r = record(client:get_record "min")
    local names = {}
    for name in pairs(r) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "accountType", "id", "publishTime", "status", "type" }, names)
    assert.is_nil(r:created_at())
    assert.is_false(r:has_link())
  end)

  it("brings titles in any script, unchanged", function()
    assert.equal("中文 العربية עברית e\204\129 😀 👩‍👩‍👧‍👦 \0 \" \\ / \226\128\168",
      record(client:get_record "unicode").title)
  end)

  it("brings each state of the link", function()
    local states = {}
    for i, state in ipairs { "pending", "early", "ready", "failed", "none" } do
      local r = record(client:get_record("link:" .. state))
      states[i] = { r.linkStatus or "absent", r:has_link() }
    end
    assert.same({
      { "pending", false }, { "pending", true }, { "ready", true }, { "failed", false }, { "absent", false },
    }, states)
  end)

  it("brings an automatic retry and a stalled record", function()
    assert.is_true(record(client:get_record "retrying"):will_retry())
    assert.is_false(record(client:get_record "status:6"):will_retry())
    assert.is_true(record(client:get_record "stalled"):is_stalled())
    assert.is_false(record(client:get_record "status:2"):is_stalled())
  end)

  it("brings a record that lua-cjson encodes", function()
    local r = record(client:get_record "full")
    local again = aitoearn.record(cjson.decode(cjson.encode(r)))
    assert.same(r, again)
    assert.is_true(again:is_final())
  end)

  it("does not compare the record's id with the one that was asked for", function()
    p:answer("other-id", '{"code":0,"message":"","data":{"id":"another","accountType":"xhs","type":"video","status":1,'
      .. '"publishTime":"2026-07-02T12:00:00.000Z"}}')
    assert.equal("another", record(client:get_record "file:other-id").id)
  end)

  describe("with an id", function()
    -- an id and its path segment
    local segments = {
      { "a b", "a%20b" }, { "a/b", "a%2Fb" }, { "../secret", "..%2Fsecret" }, { "a?b=c", "a%3Fb%3Dc" },
      { "a#b", "a%23b" },
      { "100%", "100%25" }, { "%2F", "%252F" }, { "a;b", "a%3Bb" }, { "a+b&c", "a%2Bb%26c" }, { "...", "..." },
      { "中文", "%E4%B8%AD%E6%96%87" }, { "\255\128", "%FF%80" }, { "a\\b", "a%5Cb" }, { "[1]{2}", "%5B1%5D%7B2%7D" },
      { "A-z_0.9~", "A-z_0.9~" }, { "http://x.example/", "http%3A%2F%2Fx.example%2F" }, { "a@b:c", "a%40b%3Ac" },
      { " ", "%20" }, { "...queued", "...queued" }, { "'\"<>", "%27%22%3C%3E" },
      { ("中"):rep(85) .. "x", ("%E4%B8%AD"):rep(85) .. "x" },
    }
    for _, pair in ipairs(segments) do
      it("sends " .. ("%q"):format(pair[1]:sub(1, 20)) .. " as one path segment", function()
        client:get_record(pair[1], { retry = false })
        assert.equal(pair[2], uri())
      end)
    end

    it("gets the record of an odd id", function()
      assert.equal("echo:a/b?c #d", record(client:get_record "echo:a/b?c #d").id)
    end)

    it("that cannot be a record's asks nobody", function()
      for _, id in ipairs {
        "", ".", "..", "queued", "published", "public", ("x"):rep(257), "a\nb", "a\0b", "a\127", "\t", 42, true, {},
        print,
      } do
        local err = helper.failure("argument", client:get_record(id))
        assert.equal("record id: ", err.message:sub(1, 11))
        assert.equal(id, err.record_id)
        assert.same({}, err.attempts)
        assert.is_false(err.retryable)
        assert.is_nil(tostring(err):find "%c")
      end
      helper.failure("argument", client:get_record(nil))
      helper.failure("argument", client:get_record())
      assert.same({}, p:requests())
      assert.equal(0, client:stats().attempts)
    end)

    it("of 256 bytes is asked for", function()
      helper.failure("api", client:get_record(("x"):rep(256)))
      assert.equal(256, #uri())
    end)
  end)

  describe("with options of its own", function()
    it("raises for a mistake in them and asks nobody", function()
      for message, opts in pairs {
        ["time_out: unknown option"] = { time_out = 1 },
        ["timeout: number of seconds above 0"] = { timeout = 0 },
        ["deadline: number of seconds above 0"] = { deadline = "5" },
        ["retry: table or false expected, got boolean"] = { retry = true },
        ["retry.max_attempts: "] = { retry = { max_attempts = 0 } },
        ["request_id: "] = { request_id = "" },
        ['site: "intl" is none of the client\'s sites'] = { site = "intl" },
        ["server: unknown option"] = { server = p.cn.backup },
      } do
        local raised = helper.raised(function() client:get_record("ok", opts) end)
        assert.truthy(raised:find("get_record_spec.lua:%d+: "), raised)
        assert.truthy(raised:find(message, 1, true), raised)
      end
      for _, id in ipairs { ("x"):rep(129), "a\r\nX: y", 7 } do
        assert.has_error(function() client:get_record("ok", { request_id = id }) end)
      end
      assert.has_error(function() client:get_record("ok", "cn") end)
      assert.same({}, p:requests())
    end)

    it("sends a request id of the caller's with every attempt", function()
      helper.clocked():get_record(helper.fresh "http:502;ok", { request_id = ("r"):rep(128) })
      assert.same({ ("r"):rep(128), ("r"):rep(128) }, helper.column(p:requests(), "request_id"))
    end)

    it("sends a new request id with every attempt otherwise", function()
      helper.clocked():get_record(helper.fresh "http:502;ok")
      local first, second = (table.unpack or unpack)(helper.column(p:requests(), "request_id"))
      assert.is_string(second)
      assert.not_equal(first, second)
    end)

    it("takes the site, the time-outs and the retries from them", function()
      local both = helper.client {
        sites = {
          cn = { server = p.cn.http, api_key = p.cn.key },
          intl = { server = p.intl.http, api_key = p.intl.key },
        },
        site = "cn",
      }
      record(both:get_record "c877a1b2c3d4e5f601234567")
      record(both:get_record("e877a1b2c3d4e5f601234567", { site = "intl" }))
      assert.same({ p.cn.key, p.intl.key }, helper.column(p:requests(), "api_key"))
      local err = helper.failure("timeout", client:get_record("silent", { timeout = 0.1, retry = false }))
      assert.equal(1, #err.attempts)
      err = helper.failure("timeout", client:get_record("silent", { deadline = 0.1 }))
      assert.equal(1, #err.attempts)
    end)
  end)
end)
