--- `publish`: a post from a file, whether it happened, and what becomes of it.
local cjson = require "cjson"
local program = require "spec.command.program"
local shell = require "spec.platform.shell"

local run, on_terminal, has, has_not = program.run, program.on_terminal, program.has, program.has_not

local function post(accounts, more)
  local items = {}
  for i, account in ipairs(accounts) do
    items[i] = ('{"platform":"xhs","accountId":"%s","option":{}}'):format(account)
  end
  return ('{"items":[%s],"content":{"title":"一 / two","media":[{"url":"https://assets.example/a.mp4"}]}%s}'):format(
    table.concat(items, ","), more or "")
end

describe("aitoearn publish", function()
  local p, file
  setup(function()
    p = program.start()
    file = os.tmpname()
  end)
  before_each(function()
    p:reset()
    p:forget()
    shell.write(file, post { "c0000000000000000000000a", "c0000000000000000000000b" })
  end)
  teardown(function()
    os.remove(file)
    program.stop()
  end)

  it("publishes a post from a file or standard input, and prints its flow", function()
    local output, status, errors = run("publish " .. file)
    assert.same({ 0, "" }, { status, errors })
    local flow = p:flows()[1]
    assert.equal(2, #flow.ids)
    for _, id in ipairs(flow.ids) do has(output, flow.flowId .. "\t" .. id .. "\txhs\t") end
    output, status = program.shell("AITOEARN publish - --json <" .. file)
    assert.equal(0, status)
    assert.equal(p:flows()[2].flowId, cjson.decode(output).flowId)
  end)

  it("sends the post as it is in the file: empty objects, numbers, slashes", function()
    shell.write(file, post({ "c0000000000000000000000a" }, ',"context":{"source":"api"}'):gsub('"option":{}',
      '"option":{"empty":{},"count":12345678901234,"half":0.5,"deep":[{}]}'))
    local _, status, errors = run("publish " .. file)
    assert.same({ 0, "" }, { status, errors })
    local sent = p:flows()[1].post
    has(sent, '"empty":{}', '"count":12345678901234', '"half":0.5', '"deep":[{}]', "一")
  end)

  it("takes the flow's id from --flow-id, with which nothing is published twice", function()
    assert.equal(0, select(2, run("publish " .. file .. " --flow-id my-flow")))
    assert.equal(1, p:count("publish", "my-flow"))
    local output, status, errors = run("publish " .. file .. " --flow-id my-flow")
    assert.same({ "", 1 }, { output, status })
    has(errors, "15025")
    assert.equal(1, p:count("publish", "my-flow"))
  end)

  it("waits with --wait, until every post of it is published", function()
    shell.write(file, post { "life:0.2:0.5~1", "life:0.2:0.5~2" })
    local output, status, errors = run("publish " .. file .. " --wait --fields status")
    assert.same({ "PUBLISHED\nPUBLISHED\n", 0, "" }, { output, status, errors })
  end)

  it("ends with 1 where one of them fails, and prints them all", function()
    shell.write(file, post { "life:0.2:0.5~3", "life:0.2:0.5:-1~4" })
    local output, status, errors = run("publish " .. file .. " --wait --fields status")
    assert.equal(1, status)
    has(output, "PUBLISHED\n", "FAILED\n")
    has(errors, "aitoearn: goal: ")
  end)

  it("ends with 6 where --timeout ran out", function()
    shell.write(file, post { "life:0.2:60~5" })
    local _, status = run("publish " .. file .. " --wait --timeout 2")
    assert.equal(6, status)
  end)

  it("takes --timeout for an attempt's without --wait", function()
    p:fault { route = "POST /flows", how = "timeout", times = 100 }
    local started = os.time()
    local _, status, errors = run("publish " .. file .. " --timeout 1 --deadline 2")
    p:heal()
    assert.truthy(status == 1 or status == 5, errors)
    assert.truthy(os.time() - started < 10)
  end)

  it("shows a line for each post on a terminal meanwhile", function()
    shell.write(file, post { "life:0.2:1~6", "life:0.2:1~7" })
    local output, status = on_terminal("publish " .. file .. " --wait --color never", nil, { columns = 100 })
    assert.equal(0, status)
    has(output, "✓", "PUBLISHED", "flow ")
  end)

  it("ends with 1 and names the flow where it may have happened", function()
    p:fault { route = "POST /flows", when = "after", how = "reset", times = 100 }
    p:fault { route = "GET /flows/{flowId}", how = "503", times = 100 }
    local output, status, errors = run("publish " .. file .. " --flow-id unclear --deadline 3")
    p:heal()
    assert.same({ "", 1 }, { output, status })
    has(errors, "aitoearn flow unclear", "--flow-id unclear")
    assert.equal(1, p:count("publish", "unclear"))
  end)

  for what, case in pairs {
    ["no JSON"] = { "{", "no JSON object" }, ["a number"] = { "1", "no JSON object" }, ["no post"] = { "{}", "items" },
    ["no items"] = { '{"items":[],"content":{}}', "items" }, ["nothing"] = { "", "no JSON object" },
  } do
    it("ends with 2 on " .. what, function()
      shell.write(file, case[1])
      local output, status, errors = run("publish " .. file)
      assert.same({ "", 2 }, { output, status })
      has(errors, case[2])
      has_not(errors, "traceback")
      assert.same({}, p:flows())
    end)
  end

  it("ends with 2 where there is no such file", function()
    local _, status, errors = run "publish /nonexistent.json"
    assert.equal(2, status)
    has(errors, "/nonexistent.json: ")
  end)

  it("ends with 1 where the platform refuses it", function()
    shell.write(file, post { "code:15062" })
    local output, status, errors = run("publish " .. file)
    assert.same({ "", 1 }, { output, status })
    has(errors, "15062")
  end)
end)
