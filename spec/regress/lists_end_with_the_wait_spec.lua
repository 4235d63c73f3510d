--- Records whose wait was over were looked at by one list after another for ever, since a list's look did not ask for the
-- end of the wait.
local testing = require "aitoearn.testing"

describe("wait_all over records that lists look at", function()
  it("ends at its timeout, with one list just before", function()
    local records, ids = {}, {}
    for i = 1, 50 do
      ids[i] = "p" .. i
      records[ids[i]] = { status = 0, publishTime = "2026-01-02T00:00:00Z" }
    end
    local lists = 0
    local client = testing.client {
      now = 1767225600,
      records = records,
      answers = { ["GET /records"] = { function()
        lists = lists + 1
        assert(lists < 20, "too many lists")
        return { delay = 0.05 }
      end } },
    }
    local following, ended = client:wait_all(ids, { timeout = 300 }), 0
    local id, _, err = following()
    while id do
      assert.same({ "timeout", 0 }, { err.kind, err.record.status })
      ended = ended + 1
      id, _, err = following()
    end
    assert.same({ 50, 1, 51 }, { ended, lists, #client.requests })
  end)
end)
