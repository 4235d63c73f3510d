--- The exit status for each thing that can go wrong; of several the greatest.
local program = require "spec.command.program"

local run, has = program.run, program.has

describe("the exit status", function()
  local p
  setup(function() p = program.start() end)
  teardown(program.stop)

  local STATUSES = {
    [0] = { "ok", "status:-1", "status:9", "'http:503;ok'", "'code:500;ok~1'" },
    [1] = { "code:400", "code:10002", "code:12600", "code:15018", "code:15021", "code:15025", "code:15051", "code:15062",
      "code:15072", "code:15096", "code:4711" },
    [2] = { "queued", ".", "''" },
    [3] = { "code:15000", "code:15004", "code:15050", "codehttp:15000:404" },
    [4] = { "code:401", "code:19000", "http:401" },
    [5] = { "code:404", "code:429", "code:500", "code:502", "code:503", "code:504", "code:15053", "code:15056", "code:15071",
      "code:15094", "code:19001", "http:404", "http:418", "http:502:html", "http:503", "html", "redirect", "close", "reset",
      "garbage", "truncate", "silent", "big:2000000" },
  }

  for status, ids in pairs(STATUSES) do
    for _, id in ipairs(ids) do
      it(("is %d for %s"):format(status, id), function()
        local output, ended, errors = run("get --timeout 1 --deadline 2 " .. id)
        assert.equal(status, ended)
        assert.equal(status == 0, output ~= "")
        assert.equal(status == 0, errors == "")
      end)
    end
  end

  it("is 5 where nobody answers, a name is unknown, or a certificate does not verify", function()
    for _, url in ipairs { p.closed, "https://" .. ("x"):rep(64) .. ".invalid", p.tls.self_signed } do
      assert.equal(5, select(2, run("get ok --deadline 1 --server " .. url)))
    end
  end)

  it("is 2 for what the environment says wrongly, whose name it says", function()
    local _, status, errors = run("get ok", { AITOEARN_SERVER = "nonsense" })
    assert.equal(2, status)
    has(errors, "AITOEARN_SERVER")
    _, status, errors = run("get ok", { AITOEARN_API_KEY = "a\nb" })
    assert.equal(2, status)
    has(errors, "AITOEARN_API_KEY")
  end)

  it("is 6 for a wait whose --timeout ran out, and 5 for a call whose did", function()
    assert.equal(6, select(2, run "wait status:2 --timeout 1"))
    assert.equal(5, select(2, run "get silent --timeout 1 --deadline 1"))
  end)

  it("is the greatest of several", function()
    assert.equal(3, select(2, run "get ok code:12600 code:15000"))
    assert.equal(5, select(2, run "get code:404 code:401 ok"))
    assert.equal(6, select(2, run "wait status:-1 status:2 ok --timeout 1"))
  end)
end)
