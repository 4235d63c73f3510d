--- Specs of a program that uses aitoearn: no server, no key, no sleeping. In this folder: `lua5.4 "$(command -v busted)" .`
local newsroom = require "newsroom"
local testing = require "aitoearn.testing"

local post = {
  items = { { platform = "douyin", accountId = "ours" }, { platform = "xhs", accountId = "ours" } },
  content = { title = "Breaking" },
}

-- How many requests of a kind were sent.
local function count(client, method, path)
  local found = 0
  for _, request in ipairs(client.requests) do
    if request.method == method and request.path == path then
      found = found + 1
    end
  end
  return found
end

describe("the newsroom", function()
  it("publishes a post and says where it can be seen", function()
    local client = testing.client()
    local ok, line = newsroom.publish(client, post)
    assert.is_true(ok)
    assert.truthy(line:find "^live: douyin https://example.com/%x+, xhs https://example.com/%x+$")
    assert.equal("Breaking", client.requests[1].body.content.title)
  end)

  it("publishes once, though the gateway's answer comes too late", function()
    local client = testing.client { answers = { ["POST /flows"] = { { delay = 30 }, {} } } }
    assert.is_true((newsroom.publish(client, post)))
    assert.equal(2, count(client, "POST", "/flows")) -- with the same flow id: the second one does nothing
    assert.equal(2, #client:list_records())
  end)

  it("says which flow to look at where nobody knows what happened", function()
    local client = testing.client { answers = { ["POST /flows"] = { { kind = "timeout" } } } }
    local ok, line = newsroom.publish(client, post)
    assert.is_false(ok)
    assert.equal("nobody knows whether it was published: look at flow " .. client.requests[1].flow_id, line)
  end)

  it("says why the platform refused", function()
    local client = testing.client { answers = { ["POST /flows"] = { { code = 15021, message = "no such account" } } } }
    local _, line = newsroom.publish(client, post)
    assert.equal("not published: no such account", line)
  end)

  it("says what failed, half an hour later", function()
    local client
    client = testing.client { answers = {
      ["GET /flows/noon"] = { {}, function() -- from the second look on, one of them has failed
        for _, record in pairs(client.records) do
          if record.accountType == "xhs" then
            record.status, record.errorMsg = -1, "the video is too long"
          end
        end
      end },
    } }
    local noon = { items = post.items, content = post.content, flowId = "noon", publishAt = testing.now(client) + 1800 }
    local ok, line = newsroom.publish(client, noon)
    assert.is_false(ok)
    assert.truthy(line:find("1 of 2 tasks missed the goal", 1, true) and line:find("the video is too long", 1, true))
  end)
end)

describe("the sign", function()
  it("shows what its task has found", function()
    local client = testing.client {
      answers = { a = { { record = { status = 2 } }, { http_status = 503 }, { record = { status = 1 } } } },
    }
    local task = client:start("wait", "a")
    assert.equal("waiting", newsroom.sign(task))
    testing.advance(client, 60)
    assert.equal("PUBLISHED", newsroom.sign(task))
  end)

  it("shows trouble, without any client", function()
    local task = {
      done = function() return true end,
      result = function() return nil, testing.error { code = 401 } end,
    }
    assert.equal("trouble: api", newsroom.sign(task))
    function task.result() return testing.record { status = 9 } end
    assert.equal("CANCELED", newsroom.sign(task))
  end)
end)
