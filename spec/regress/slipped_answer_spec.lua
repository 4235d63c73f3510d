--- A connection that had slipped by one answer handed out the record before, and then each one behind it. Where a site's
--- records have matched the ids, one that differs is asked for again over a new connection, and that answer is believed.
local helper = require "spec.helper"

describe("a record of another id", function()
  local p
  setup(function() p = helper.start() end)
  before_each(function() p:forget() end)
  after_each(helper.close)
  teardown(helper.stop)

  local function answer(name, id)
    p:answer(name, ('{"code":0,"message":"","data":{"id":"%s","accountType":"xhs","type":"video","status":1,'
      .. '"publishTime":"2026-01-01T00:00:00.000Z"}}'):format(id))
    return "file:" .. name
  end

  it("is believed over a new connection, as the API's own example is", function()
    local client = helper.client()
    assert.equal("other", client:get_record(answer("first", "other")).id)
    assert.equal(1, #p:requests())
    assert.equal("other", client:get_record(answer("first", "other")).id) -- none has matched yet
    assert.equal(2, #p:requests())
  end)

  it("over a used one, after others matched, is asked for again over a new one", function()
    local client = helper.client()
    local matching = answer("match", "file:match")
    assert.equal(matching, client:get_record(matching).id)
    local events = {}
    client.on_event, client.observed = function(event) events[#events + 1] = event.type end, true
    assert.equal("other", client:get_record(answer("second", "other")).id)
    local requests = p:requests()
    assert.equal(3, #requests)
    assert.equal(requests[1].connection, requests[2].connection)
    assert.truthy(requests[3].connection ~= requests[2].connection)
    assert.same({ "attempt", "retry", "attempt", "done" }, events)
  end)
end)
