--- `wait` and `watch`: until a goal is reached, with a display on a terminal and plain lines in a pipe.
local cjson = require "cjson"
local program = require "spec.command.program"

local run, on_terminal, has, has_not = program.run, program.on_terminal, program.has, program.has_not

local fresh
do
  local count = 0
  --- An id that was never asked before.
  function fresh(steps)
    count = count + 1
    return ("'%s~%d'"):format(steps, count)
  end
end

describe("aitoearn wait", function()
  setup(program.start)
  teardown(program.stop)

  it("prints each record once its goal is reached, and nothing else", function()
    local output, status, errors = run("wait " .. fresh "status:2;ok" .. " ok --fields id,status")
    assert.same({ 0, "" }, { status, errors })
    has(output, "ok\tPUBLISHED\n", "status:2;ok~1\tPUBLISHED\n")
    assert.equal(2, select(2, output:gsub("\n", "")))
  end)

  it("waits until published unless --for says otherwise", function()
    assert.equal(6, select(2, run "wait status:8 --timeout 1"))
    assert.equal(0, select(2, run "wait status:8 --for settled"))
    assert.equal(0, select(2, run "wait status:3"))
    assert.equal(1, select(2, run "wait link:failed --for link"))
    assert.equal("https://work.aitoearn.cn/w/7391846520173645928\n", run "wait ok --for link --fields workLink")
  end)

  it("ends with 1 where the goal is out of reach, and with 6 where --timeout ran out", function()
    local output, status, errors = run "wait ok status:-1"
    assert.equal(1, status)
    has(output, "ok\tPUBLISHED")
    has(errors, "aitoearn: goal: it ended as FAILED")
    output, status, errors = run "wait status:2 --timeout 1 --json"
    assert.same({ "", 6 }, { output, status })
    local err = cjson.decode(errors).error
    assert.same({ "timeout", "status:2" }, { err.kind, err.record_id })
  end)

  it("says what went wrong in Chinese where the locale is", function()
    local _, status, errors = run("wait status:-1 code:15000", { LC_ALL = "zh_CN.UTF-8" })
    assert.equal(3, status)
    has(errors, "无法达到目标", "最终状态为“发布失败”", "平台错误 15000 PublishRecordNotFound: 发布记录未找到", "aitoearn locate 会")
    has_not(errors, "it ended as", "client:locate")
  end)

  it("takes ids from standard input, each once", function()
    local output, status = program.shell "printf 'ok\\nok\\nfull\\n' | AITOEARN wait - --fields id | sort"
    assert.same({ "full\nok\n", 0 }, { output, status })
  end)

  it("goes on after a look that failed in passing", function()
    local output, status = run("wait " .. fresh "ok;http:502;ok" .. " " .. fresh "http:503;ok" .. " --fields status")
    assert.same({ "PUBLISHED\nPUBLISHED\n", 0 }, { output, status })
  end)

  it("ends with 130 on an interrupt, with what was found so far", function()
    local output, status, errors = program.shell(
      "timeout -s INT --preserve-status 2 AITOEARN wait ok " .. fresh "life:60:60" .. " --fields id")
    assert.same({ "ok\n", 130, "" }, { output, status, errors })
  end)

  describe("on a terminal", function()
    it("shows a line for each of few, which stays", function()
      local output, status = on_terminal("wait ok " .. fresh "status:2;ok" .. " --color never", nil, { columns = 90 })
      assert.equal(0, status)
      has(output, "looking", "PUBLISHING", "next look in 0:0", "✓ ok ")
      local last = output:match "\27%[1A([^\27]*\27%[K\n[^\27]*\27%[J)\n$"
      assert.truthy(last, output)
      assert.equal(2, select(2, last:gsub("✓", "")))
      has_not(output, "\tPUBLISHED")
    end)

    it("says in the line what went wrong, and the whole of it above", function()
      local output, status = on_terminal "wait ok status:-1 --color never"
      assert.equal(1, status)
      has(output, "aitoearn: goal: it ended as FAILED", "(record status:-1)", "✗ status:-1", "FAILED")
    end)

    it("keeps the lines within the terminal's width", function()
      local text = require "aitoearn.command.text"
      for _, columns in ipairs { 40, 60, 100 } do
        local output = on_terminal("wait ok unicode " .. fresh "status:2;ok" .. " --color never", nil,
          { columns = columns })
        for line in output:gsub("\27%[%d*%a", ""):gsub("\r", "\n"):gmatch "[^\n]+" do
          assert.truthy(text.width(line) <= columns, line)
        end
      end
    end)

    it("prints the records where they go into a pipe, and draws on standard error meanwhile", function()
      local output = program.shell [[
        script -qec "timeout --foreground 60 AITOEARN wait ok --fields id | sed s/^/got:/" /dev/null]]
      has(output, "got:ok", "✓")
    end)

    it("shows a bar for many", function()
      local output, status = program.shell([[
        script -qec "stty cols 80 rows 24; seq -f 'slow:600:ok~%.0f' 300 |
          timeout --foreground 60 AITOEARN wait - --fields id" /dev/null]])
      assert.equal(0, status)
      has(output, "█", " of 300", "/s", " left", "ok~300")
    end)

    it("ends with 130 on Ctrl-C, and leaves the lines", function()
      local output, status = on_terminal("wait ok " .. fresh "life:60:60", nil,
        { input = "{ sleep 2; printf '\\003'; sleep 1; }" })
      assert.equal(130, status)
      has(output, "WAITING_FOR_PUBLISH", "✓")
      has_not(output, "traceback", "closed:", "interrupted")
    end)
  end)
end)

describe("aitoearn watch", function()
  setup(program.start)
  teardown(program.stop)

  it("prints a line for each change in a pipe", function()
    local output, status, errors = run("watch " .. fresh "status:2;ok" .. " --fields status")
    assert.same({ "PUBLISHING\nPUBLISHED\n", 0, "" }, { output, status, errors })
    output = run("watch " .. fresh "status:2;ok" .. " --json")
    assert.equal(2, select(2, output:gsub('"status":[12]', "")))
  end)

  it("redraws one line a record on a terminal", function()
    local output, status = on_terminal("watch " .. fresh "status:2;ok" .. " --color never")
    assert.equal(0, status)
    has(output, "PUBLISHING", "next look in", "✓")
    assert.equal(1, select(2, output:gsub("\n", "")))
  end)

  it("is in Chinese where the locale is", function()
    local output = on_terminal("watch " .. fresh "status:2;ok", { LANG = "zh_CN.UTF-8" })
    has(output, "发布中", "后再查", "已发布")
  end)

  it("ends when nobody reads on", function()
    local started = os.time()
    local output = program.shell("timeout 60 env --ignore-signal=PIPE AITOEARN watch "
      .. fresh "status:2;status:6;status:2;life:1:300" .. " --fields status | head -n 1")
    assert.equal("PUBLISHING\n", output)
    assert.truthy(os.time() - started < 50)
  end)
end)
