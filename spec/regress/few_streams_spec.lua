--- What a server allows at once, or on one connection, is no failure of a call: the attempt's time-out ran while libcurl
--- had no stream for it, and the budget paid for what the server put off.
local core = require "aitoearn.core"
local helper = require "spec.helper"

-- Before 7.80 libcurl does not report when a request gets its stream, and an attempt's time-out covers the wait too.
local major, minor = core.curl_version:match "libcurl/(%d+)%.(%d+)"
local reports_streams = major * 100 + minor >= 780

describe("over HTTP/2, a batch at once", function()
  local p
  setup(function() p = helper.start() end)
  before_each(function() p:forget() end)
  after_each(helper.close)
  teardown(helper.stop)

  local function all_of(client, count, step)
    local ids = {}
    for i = 1, count do ids[i] = helper.fresh(step) end
    local records, errors = client:get_records(ids, { concurrency = count })
    local _, first = next(errors)
    assert.is_nil(first, tostring(first))
    local seen = 0
    for _ in pairs(records) do seen = seen + 1 end
    assert.equal(count, seen)
    assert.equal(0, client:stats().retries)
    return p:requests()
  end

  it("of 400 where the server allows 10 streams fails none"
    .. (reports_streams and "" or ", if the time-out covers the wait for a stream"), function()
    local timeout = reports_streams and 1 or 30
    local requests = all_of(helper.client { server = p.few_streams, timeout = timeout }, 400, "slow:300:ok")
    assert.equal("HTTP/2.0", requests[1].protocol)
  end)

  it("of 128 where the server ends a connection after 10 requests fails none", function()
    for _ = 1, 3 do
      all_of(helper.client { server = p.few_requests, timeout = 5 }, 128, "slow:20:ok")
    end
  end)
end)
