--- `now`, `reschedule`, `retry`, `cancel`, `delete`, `action`: what can be done with a record.
local cjson = require "cjson"
local program = require "spec.command.program"

local run, on_terminal, has, has_not = program.run, program.on_terminal, program.has, program.has_not

describe("the actions", function()
  local p
  local count = 0
  setup(function() p = program.start() end)
  before_each(function() p:reset() end)
  teardown(program.stop)

  local function seed(fields)
    count = count + 1
    fields.id = ("c%023x"):format(count)
    p:seed { fields }
    return fields.id
  end

  it("publish now what waits for its time", function()
    local id = seed { status = 6, publishTime = os.time() + 3600 }
    local output, status, errors = run("now " .. id)
    assert.same({ 0, "" }, { status, errors })
    has(output, id .. "\t")
    assert.equal(1, p:count("publish_now", id))
  end)

  it("publish at another time, local unless it has an offset", function()
    local id = seed { status = 6, publishTime = os.time() + 3600 }
    local output, status = run("reschedule " .. id .. " '2030-01-02 18:30' --fields publishTime")
    assert.same({ "2030-01-02T10:30:00.000Z\n", 0 }, { output, status })
    output, status = run("reschedule " .. id .. " 2030-01-02T18:30:00Z --fields publishTime")
    assert.same({ "2030-01-02T18:30:00.000Z\n", 0 }, { output, status })
  end)

  it("publish again what failed, several at once", function()
    local a, b = seed { status = -1 }, seed { status = -1 }
    local output, status = run(("retry %s %s --fields id"):format(a, b))
    assert.same({ a .. "\n" .. b .. "\n", 0 }, { output, status })
    assert.same({ 1, 1 }, { p:count("retry", a), p:count("retry", b) })
  end)

  it("cancel what is not published yet", function()
    local id = seed { status = 6, publishTime = os.time() + 3600 }
    local output, status = run("cancel " .. id .. " --fields id,status")
    assert.same({ id .. "\tCANCELED\n", 0 }, { output, status })
  end)

  it("end with 1 where they did nothing or were refused", function()
    local _, status, errors = run("cancel " .. seed { status = 6, cancel = "silent", publishTime = os.time() + 3600 })
    assert.equal(1, status)
    has(errors, "aitoearn: goal: ")
    _, status, errors = run("now " .. seed { status = 1 })
    assert.equal(1, status)
    has(errors, "15058")
    assert.equal(1, select(2, run("retry " .. seed { status = 1 })))
    assert.equal(1, select(2, run("reschedule " .. seed { status = 1 } .. " +1h")))
  end)

  it("delete records", function()
    local id = seed { status = 1 }
    local output, status = run("delete " .. id)
    assert.same({ id .. "\ttrue\n", 0 }, { output, status })
    assert.equal(1, p:count("delete", id))
    output, status = run("delete " .. seed { status = 1 } .. " --json")
    assert.equal(0, status)
    assert.equal(true, cjson.decode(output).deleted)
  end)

  it("end with 3 where there is no such record", function()
    local _, status, errors = run "delete e0000000000000000000ffff"
    assert.equal(3, status)
    has(errors, "15000")
  end)

  describe("on a terminal", function()
    for _, command in ipairs { "cancel", "delete" } do
      local function record()
        return seed(command == "cancel" and { status = 6, publishTime = os.time() + 3600 } or { status = 1 })
      end

      it("ask before they " .. command .. ", and take everything but yes for no", function()
        for answer, status in pairs { y = 0, Yes = 0, n = 1, [""] = 1 } do
          local id = record()
          local output, ended = on_terminal(command .. " " .. id, nil,
            { input = ("{ sleep 1; echo '%s'; sleep 2; }"):format(answer) })
          assert.equal(status, ended)
          has(output, id .. "?", "[y/N]")
          assert.equal(1 - status, p:count(command, id))
        end
      end)

      it("ask nothing with --yes before they " .. command, function()
        local id = record()
        local output, status = on_terminal(command .. " " .. id .. " --yes")
        assert.equal(0, status)
        has_not(output, "[y/N]")
        assert.equal(1, p:count(command, id))
      end)
    end

    it("show what a person must do, with a QR code", function()
      local id = seed { status = 8, accountType = "douyin" }
      local output, status = on_terminal("action " .. id .. " --color never")
      assert.equal(0, status)
      has(output, "shortLink", "https://", "█")
    end)
  end)

  it("show what a person must do, one line in a pipe", function()
    local id = seed { status = 8, accountType = "douyin" }
    local output, status, errors = run("action " .. id)
    assert.same({ 0, "" }, { status, errors })
    has(output, id .. "\tdouyin\t")
    assert.equal(id, cjson.decode((run("action " .. id .. " --json"))).recordId)
    assert.equal(1, select(2, run("action " .. seed { status = 1, accountType = "douyin" })))
  end)

  it("say what may have happened", function()
    local id = seed { status = -1 }
    p:fault { route = "POST /tasks/{id}/retry", when = "after", how = "reset", times = 100 }
    p:fault { route = "GET /records/{id}", how = "503", times = 100 }
    local _, status, errors = run("retry " .. id .. " --deadline 3")
    p:heal()
    assert.equal(1, status)
    has(errors, "may have happened", "aitoearn get " .. id)
  end)
end)
