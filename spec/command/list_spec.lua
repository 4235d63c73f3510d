--- `list` and `flow`: many records at once, and the posts of one flow.
local cjson = require "cjson"
local program = require "spec.command.program"

local run, on_terminal, has, has_not = program.run, program.on_terminal, program.has, program.has_not

local DAY = 86400

describe("aitoearn list", function()
  local p, now
  setup(function() p = program.start() end)
  before_each(function()
    p:reset()
    p:forget()
    now = os.time()
    p:seed {
      { id = "c00000000000000000000001", status = 1, accountType = "xhs", accountId = "c0000000000000000000000a",
        title = "one", publishTime = now - DAY },
      { id = "c00000000000000000000002", status = -1, accountType = "douyin", accountId = "c0000000000000000000000b",
        title = "two", publishTime = now - 3600 },
      { id = "c00000000000000000000003", status = 6, accountType = "xhs", accountId = "c0000000000000000000000a",
        title = "three", publishTime = now + 3600 },
    }
  end)
  teardown(program.stop)

  local function ids(words)
    local output, status, errors = run("list --fields id " .. words)
    assert.same({ 0, "" }, { status, errors })
    local found = {}
    for id in output:gmatch "[^\n]+" do found[#found + 1] = id:sub(-1) end
    table.sort(found)
    return table.concat(found)
  end

  it("prints all, or those of a status, an account, a type or a time", function()
    assert.equal("123", ids "")
    assert.equal("2", ids "--status -1")
    assert.equal("2", ids "--status=-1")
    assert.equal("2", ids "--status failed")
    assert.equal("13", ids "--account c0000000000000000000000a")
    assert.equal("2", ids "--type douyin")
    assert.equal("3", ids "--list queued")
    assert.equal("1", ids "--list published")
    assert.equal("23", ids("--from " .. os.date("!%Y-%m-%dT%H:%M:%SZ", now - 7200)))
    assert.equal("12", ids("--to " .. os.date("!%Y-%m-%dT%H:%M:%SZ", now)))
    assert.equal("3", ids "--from +10m --to +2h")
    assert.equal("", ids "--status 9")
  end)

  it("prints a table on a terminal and JSON where it is asked to", function()
    has(on_terminal "list --color never", "id ", "status", "QUEUED", "c00000000000000000000003", "three")
    local output = run "list --json --status 6"
    assert.equal("c00000000000000000000003", cjson.decode(output).id)
    has(output, '{"id":"c00000000000000000000003"')
  end)

  it("ends with 2 on a status of another list", function()
    local output, status, errors = run "list --list queued --status 1"
    assert.same({ "", 2 }, { output, status })
    has(errors, "status")
    has_not(errors, "traceback")
  end)
end)

describe("aitoearn flow", function()
  local p
  setup(function() p = program.start() end)
  teardown(program.stop)

  it("prints a line for each post, the flow's id first", function()
    p:seed {
      { id = "c00000000000000000000011", flowId = "f-1", status = 1, accountType = "xhs" },
      { id = "c00000000000000000000012", flowId = "f-1", status = 6, accountType = "douyin", publishTime = os.time() + 3600 },
    }
    local output, status, errors = run "flow f-1"
    assert.same({ 0, "" }, { status, errors })
    has(output, "f-1\tc00000000000000000000011\txhs\tPUBLISHED\t", "f-1\tc00000000000000000000012\tdouyin\tQUEUED\t")
    local flow = cjson.decode((run "flow f-1 --json"))
    assert.same({ "f-1", 2 }, { flow.flowId, #flow.tasks })
    has(on_terminal "flow f-1 --color never", "flow f-1", "QUEUED")
  end)

  it("ends with 3 where there is none", function()
    local output, status, errors = run "flow nowhere"
    assert.same({ "", 3 }, { output, status })
    has(errors, "15050")
  end)
end)
