local aitoearn = require "aitoearn"
local core = require "aitoearn.core"

-- What platform.md lists.
local listed = {
  status = {
    FAILED = -1, WAITING_FOR_PUBLISH = 0, PUBLISHED = 1, PUBLISHING = 2, WAITING_FOR_UPDATE = 3, UPDATING = 4,
    UPDATE_FAILED = 5, QUEUED = 6, PLATFORM_SCHEDULED = 7, WAITING_FOR_USER_ACTION = 8, CANCELED = 9,
  },
  code = {
    SUCCESS = 0, BAD_REQUEST = 400, UNAUTHORIZED = 401, NOT_FOUND = 404, TOO_MANY_REQUESTS = 429,
    INTERNAL_SERVER_ERROR = 500, BAD_GATEWAY = 502, SERVICE_UNAVAILABLE = 503, GATEWAY_TIMEOUT = 504,
    VALIDATION_FAILED = 10002, ACCOUNT_NOT_FOUND = 12600, PUBLISH_RECORD_NOT_FOUND = 15000,
    PUBLISH_TASK_NOT_FOUND = 15004, PUBLISH_TASK_STATUS_INVALID = 15018, CHANNEL_ACCOUNT_NOT_FOUND = 15021,
    CHANNEL_PUBLISH_TASK_ALREADY_EXISTS = 15025, PUBLISH_FLOW_NOT_FOUND = 15050,
    CHANNEL_PUBLISH_VALIDATION_FAILED = 15051, CHANNEL_PUBLISH_DUPLICATE_ITEM = 15052,
    CHANNEL_PUBLISH_QUEUE_REMOVE_FAILED = 15053, CHANNEL_PUBLISH_PLATFORM_CANCEL_FAILED = 15054,
    CHANNEL_PUBLISH_CANCEL_NOT_SUPPORTED = 15055, CHANNEL_PUBLISH_QUEUE_FAILED = 15056,
    CHANNEL_PUBLISH_TIME_UPDATE_NOT_ALLOWED = 15057, CHANNEL_PUBLISH_NOW_NOT_ALLOWED = 15058,
    CHANNEL_PUBLISH_PLATFORM_WORK_ID_MISSING = 15060, CHANNEL_PUBLISH_PLATFORM_NOT_SUPPORTED = 15062,
    CHANNEL_PUBLISH_PLATFORM_STATUS_FAILED = 15063, CHANNEL_PLATFORM_RATE_LIMITED = 15071,
    CHANNEL_PLATFORM_RESPONSE_INVALID = 15072, CHANNEL_PUBLISH_MIXED_RELAY_AND_LOCAL_ACCOUNTS = 15087,
    CHANNEL_PUBLISH_PERMALINK_MISSING = 15093, CHANNEL_PLATFORM_SERVICE_UNAVAILABLE = 15094,
    CHANNEL_PUBLISH_RETRY_NOT_ALLOWED = 15095, CHANNEL_ACCOUNT_UNBOUND = 15096, API_KEY_INVALID = 19000,
    RELAY_SERVER_UNAVAILABLE = 19001,
  },
  account_type = {
    DOUYIN = "douyin", XHS = "xhs", WX_SPH = "wxSph", KWAI = "KWAI", YOUTUBE = "youtube", WX_GZH = "wxGzh",
    BILIBILI = "bilibili", TWITTER = "twitter", TIKTOK = "tiktok", FACEBOOK = "facebook", INSTAGRAM = "instagram",
    THREADS = "threads", PINTEREST = "pinterest", LINKEDIN = "linkedin", GOOGLE_BUSINESS = "google_business",
  },
  record_type = { VIDEO = "video", ARTICLE = "article" },
  link_status = { PENDING = "pending", READY = "ready", FAILED = "failed" },
  source = {
    PUBLISH = "publish", TASK_LINK = "task_link", OFFLINE_QR = "offline_qr", BTL = "btl", WEB = "web", API = "api",
    INTERNAL = "internal", MCP = "mcp",
  },
}

describe("the constants", function()
  for name, values in pairs(listed) do
    it("in " .. name .. " are those that the platform lists, and no others", function()
      assert.same(values, core[name])
      for constant, value in pairs(values) do assert.equal(value, aitoearn[name][constant]) end
      assert.is_nil(aitoearn[name].NO_SUCH_CONSTANT)
    end)

    it("in " .. name .. " cannot be changed", function()
      local constant, value = next(values)
      for _, new in ipairs { constant, "SOMETHING_NEW" } do
        local ok, message = pcall(function() aitoearn[name][new] = 77 end)
        assert.is_false(ok)
        assert.truthy(message:find("constants_spec.lua:%d+: aitoearn." .. name .. " is read%-only"), message)
      end
      assert.equal(value, aitoearn[name][constant])
      assert.is_nil(aitoearn[name].SOMETHING_NEW)
      assert.has_error(function() setmetatable(aitoearn[name], {}) end)
    end)
  end

  if math.type then
    it("are integers where Lua has them", function()
      for _, name in ipairs { "status", "code" } do
        for constant in pairs(listed[name]) do assert.equal("integer", math.type(aitoearn[name][constant])) end
      end
    end)
  end

  if _VERSION ~= "Lua 5.1" then
    it("can be gone through with pairs", function()
      local seen = {}
      for constant, value in pairs(aitoearn.status) do seen[constant] = value end
      assert.same(listed.status, seen)
    end)
  end
end)

describe("a constant that does not exist", function()
  it("raises where it is nearly one, with that one's name", function()
    for misspelt, meant in pairs {
      PUBLSHED = "PUBLISHED", PUBLISHD = "PUBLISHED", PUBILSHED = "PUBLISHED", CANCELLED = "CANCELED", QUEUE = "QUEUED",
    } do
      local ok, message = pcall(function() return aitoearn.status[misspelt] end)
      assert.is_false(ok)
      local expected = ("aitoearn.status.%s: there is no such constant; did you mean %s?"):format(misspelt, meant)
      assert.truthy(message:find("constants_spec.lua:%d+: "), message)
      assert.equal(expected, message:match ": (aitoearn.*)$")
    end
    assert.has_error(function() return aitoearn.code.PUBLISH_RECORD_NOTFOUND end)
    assert.has_error(function() return aitoearn.link_status.REDY end)
  end)

  it("is nil otherwise", function()
    for _, key in ipairs { "published", "Publshed", "ARCHIVED", "PUB", "__len", "", 1, true } do
      assert.is_nil(aitoearn.status[key])
    end
    assert.is_nil(aitoearn.status[{}])
    assert.is_nil(aitoearn.status[nil])
  end)
end)

describe("aitoearn.status_name", function()
  it("names each status", function()
    for constant, value in pairs(listed.status) do assert.equal(constant, aitoearn.status_name(value)) end
  end)

  it("says UNKNOWN for a status of a newer platform", function()
    for _, value in ipairs { -2, 10, 42, 1.5, 2 ^ 60, -2 ^ 60, math.huge, 0 / 0 } do
      assert.equal("UNKNOWN", aitoearn.status_name(value))
    end
  end)

  it("raises for what is no number", function()
    assert.has_error(function() aitoearn.status_name "PUBLISHED" end)
    assert.has_error(function() aitoearn.status_name() end)
  end)
end)

describe("aitoearn.version", function()
  it("is three numbers", function()
    assert.truthy(aitoearn.version:find "^%d+%.%d+%.%d+$")
  end)
end)
