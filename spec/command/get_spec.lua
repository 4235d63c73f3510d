--- `get` and `locate`: what they print on a terminal, in a pipe and as JSON; ids from standard input; how they end.
local cjson = require "cjson"
local program = require "spec.command.program"
local shell = require "spec.platform.shell"

local run, on_terminal, has, has_not = program.run, program.on_terminal, program.has, program.has_not

local function lines(text)
  local list = {}
  for one in text:gmatch "[^\n]+" do list[#list + 1] = one end
  return list
end

describe("aitoearn get", function()
  local p
  setup(function() p = program.start() end)
  before_each(function() p:forget() end)
  teardown(program.stop)

  describe("in a pipe", function()
    it("prints a line with tabs for each record, in the order of the ids", function()
      local output, status, errors = run "get slow:300:ok status:2 status:-1"
      assert.same({ 0, "" }, { status, errors })
      local rows = lines(output)
      assert.equal(3, #rows)
      assert.truthy(rows[1]:find "^slow:300:ok\tPUBLISHED\t%a+\t%d+%-%d%d%-%d%dT[%d:.]+Z\thttps://[^\t]+\t[^\t]+$", rows[1])
      assert.truthy(rows[2]:find "^status:2\tPUBLISHING\t%a+\t[^\t]+Z\t\t", rows[2])
      assert.truthy(rows[3]:find "^status:%-1\tFAILED\t", rows[3])
      has_not(output, "\27")
    end)

    it("prints the fields that --fields names, members of objects included", function()
      local output = run "get full status:-1 --fields id,status,errorData.type,absent,linkMeta.play"
      local rows = lines(output)
      assert.truthy(rows[1]:find '^full\tPUBLISHED\tunknown\t\t{"', rows[1])
      assert.equal("status:-1\tFAILED\tpermission\t\t", rows[2])
    end)

    it("keeps a record on its line, whatever a title holds", function()
      p:answer("odd", '{"code":0,"message":"","data":{"id":"x","accountType":"xhs","type":"video","status":42,'
        .. '"publishTime":"2026-01-01T00:00:00.000Z","title":"a\\tb\\nc\\u001b[31md\\u0085"}}')
      local output = run "get file:odd --fields status,title"
      assert.equal("42\ta b c [31md \n", output)
    end)

    it("prints JSON in the API's order, nulls, empty lists and large numbers as they came", function()
      p:answer("exact", '{"code":0,"message":"","data":{"id":"x","flowId":"f","accountType":"xhs","type":"video","status":1,'
        .. '"title":"a/b","publishTime":"2026-01-01T00:00:00.000Z","linkMeta":{"note":null,"count":9007199254740991},'
        .. '"imgUrlList":[],"new":{"deep":[1,null]}}}')
      local output, status = run "get file:exact --json"
      assert.equal(0, status)
      has(output, '{"id":"x","flowId":"f","accountType":"xhs","type":"video","status":1,"title":"a/b",', '"note":null',
        '"count":9007199254740991', '"imgUrlList":[]', '"deep":[1,null]')
      has_not(output, "\\/")
      assert.equal(1, #lines(output))
    end)

    it("prints JSON of single fields, in the order that was asked for", function()
      local output = run "get status:2 --json --fields status,id,workLink"
      assert.equal('{"status":2,"id":"status:2"}\n', output)
    end)

    it("writes errors to standard error, one a line, as JSON too", function()
      local output, status, errors = run "get ok code:15000 http:418"
      assert.equal(1, #lines(output))
      assert.equal(2, #lines(errors))
      has(errors, "aitoearn: api 15000 PublishRecordNotFound", "record code:15000", "aitoearn locate", "http")
      assert.equal(5, status)
      output, status, errors = run "get ok code:15000 --json"
      assert.same({ 1, 3 }, { #lines(output), status })
      local err = cjson.decode(errors).error
      assert.same({ "code:15000", "api", 15000, "PublishRecordNotFound", false },
        { err.record_id, err.kind, err.code, err.name, err.retryable })
      has(err.hint, "aitoearn locate")
    end)

    it("never shows the key", function()
      local output, _, errors = run "get keyecho keyhtml code:401 --json"
      has_not(output .. errors, p.cn.key)
    end)
  end)

  describe("with ids from standard input", function()
    it("takes one a line, whatever the line ends, blank ones left out", function()
      local output, status = program.shell [[
        printf '\357\273\277ok\r\n\n  status:2  \r\n\nfull' | AITOEARN get - --fields id]]
      assert.same({ "ok\nstatus:2\nfull\n", 0 }, { output, status })
      output = program.shell "printf 'ok\\n' | AITOEARN get --fields id"
      assert.equal("ok\n", output)
    end)

    it("is content with none", function()
      local output, status, errors = run "get -"
      assert.same({ "", 0, "" }, { output, status, errors })
    end)

    it("prints what it has while more is still to come", function()
      local output = program.shell [[
        { echo ok; sleep 3; echo status:2; sleep 1; } | AITOEARN get - --fields id | while read -r id; do
          echo "$id $(date +%s)"; done]]
      local first, second = output:match "ok (%d+)\nstatus:2 (%d+)"
      assert.truthy(second and tonumber(second) > tonumber(first), output)
    end)

    it("takes 5,000 in bounded memory", function()
      local output, status, errors = program.shell [[
        seq -f 'ok~%.0f' 5000 | /usr/bin/env sh -c 'AITOEARN get - --fields id; s=$?; exit $s' | tail -n 1]]
      assert.same({ "ok~5000\n", 0, "" }, { output, status, errors })
    end)

    it("refuses an endless line", function()
      local _, status, errors = program.shell "head -c 200000 /dev/zero | tr '\\0' x | AITOEARN get -"
      assert.equal(2, status)
      has(errors, "64 KiB")
    end)

    -- A shell cannot undo that its parent ignores SIGPIPE; env can.
    for name, how in pairs { ["killed by it"] = "--default-signal=PIPE", ["told of it"] = "--ignore-signal=PIPE" } do
      it("ends at once and quietly when nobody reads on, " .. name, function()
        local started = os.time()
        local output, _, errors = program.shell("seq -f 'ok~%.0f' 100000 2>&- | { timeout 60 env " .. how
          .. " AITOEARN get - --json; echo $? >&2; } | head -n 1")
        assert.equal(1, #lines(output))
        assert.truthy(errors == "0\n" or errors == "141\n", errors)
        assert.truthy(os.time() - started < 20)
      end)
    end

    it("ends when nobody reads on, though all that comes is errors", function()
      local started = os.time()
      local output = program.shell "{ echo ok; seq 100000 2>&-; } | timeout 60 AITOEARN get - --json 2>&- | head -n 1"
      assert.equal(1, #lines(output))
      assert.truthy(os.time() - started < 20)
    end)

    it("says that a disk is full", function()
      local _, status, errors = program.shell "AITOEARN get ok </dev/null >/dev/full"
      assert.equal(5, status)
      has(errors, "aitoearn: standard output: ")
    end)
  end)

  describe("on a terminal", function()
    it("shows one record at length, in colour and local time", function()
      local output, status = on_terminal "get full"
      assert.equal(0, status)
      has(output, "\27[1;32mPUBLISHED\27[0m", "final, live", "三分钟看懂春日穿搭 🌸", "douyin",
        "https://work.aitoearn.cn/w/7391846520173645928")
      has(output, os.date("!%Y-%m-%d ", os.time() + 8 * 3600 - 60))
    end)

    it("says what a state means", function()
      for id, text in pairs {
        ["status:-1"] = "final, not live", ["status:8"] = "aitoearn action", stalled = "seems to hang",
        retrying = "the server will try again", ["link:pending"] = "none yet", min = "account",
      } do
        has(on_terminal("get " .. id), text)
      end
    end)

    it("is without colour where NO_COLOR is set, --color never says so, or the terminal has none", function()
      has_not(on_terminal("get ok", { NO_COLOR = "1" }), "\27[")
      has_not(on_terminal "get ok --color never", "\27[")
      has_not(on_terminal("get ok", { TERM = "dumb" }), "\27[")
      has(run "get ok --color always", "\27[1;32mPUBLISHED")
    end)

    it("makes a table that keeps to the terminal's width, wide characters aligned", function()
      local text = require "aitoearn.command.text"
      for _, columns in ipairs { 60, 80, 132 } do
        local output = on_terminal("get ok status:2 unicode status:8 --color never", nil, { columns = columns })
        local rows = lines(output)
        assert.equal(5, #rows)
        local at = rows[1]:find "publishTime" or rows[1]:find "publish"
        for i, row in ipairs(rows) do
          assert.truthy(text.width(row) <= columns, row)
          if i > 1 and i < 5 then assert.truthy(row:sub(at - 2):find "^  %d", row) end
        end
      end
    end)

    it("says what it waits for where nobody gave an id, and answers each line at once", function()
      local output, status = on_terminal("get", nil, { input = "{ sleep 1; echo ok; sleep 1; printf '\\004'; sleep 1; }" })
      assert.equal(0, status)
      has(output, "reading ids, one a line; Ctrl-D ends", "PUBLISHED")
    end)

    it("shows a bar with rate and time left for long work", function()
      local output = shell.run "echo" and program.shell([[
        seq -f 'slow:40:ok~%.0f' 3000 >]] .. p.dir .. [[/ids
        script -qec "timeout --foreground 60 AITOEARN get - --fields id <]] .. p.dir .. [[/ids >/dev/null" /dev/null]])
      has(output, "█", "/s", " left")
    end)

    it("ends with 130 on Ctrl-C, with what came before", function()
      local output, status = on_terminal("get ok silent", nil, { input = "{ sleep 2; printf '\\003'; sleep 1; }" })
      assert.equal(130, status)
      has(output, "ok ")
      has_not(output, "traceback", "closed", "interrupted")
    end)
  end)

  it("ends with 130 on an interrupt in a pipe, with what came before", function()
    local output, status, errors = program.shell "timeout -s INT --preserve-status 2 AITOEARN get ok silent"
    assert.same({ 130, "" }, { status, errors })
    has(output, "ok\tPUBLISHED")
    output, status, errors = program.shell "sleep 3 | timeout -s INT --preserve-status 1 AITOEARN get -"
    assert.same({ "", 130, "" }, { output, status, errors })
  end)
end)

describe("aitoearn locate", function()
  local p, folder
  setup(function()
    p = program.start()
    folder = program.folder { ["aitoearn/config.lua"] = ([[
      return { site = "cn", sites = { cn = { server = %q, api_key = %q }, intl = { server = %q, api_key = %q } } }
    ]]):format(p.cn.http, p.cn.key, p.intl.http, p.intl.key) }
    shell.run("chmod 600 " .. folder .. "/aitoearn/config.lua")
  end)
  teardown(function()
    program.stop()
    shell.run("rm -rf " .. folder)
  end)

  local function locate(words)
    return run("locate " .. words, { AITOEARN_SERVER = false, AITOEARN_API_KEY = false, XDG_CONFIG_HOME = folder })
  end

  it("names the site of a record", function()
    local id = "e877a1b2c3d4e5f601234567"
    local output, status, errors = locate(id)
    assert.same({ 0, "" }, { status, errors })
    has(output, "intl\t" .. id .. "\tPUBLISHED\t")
    output = locate(id .. " --json")
    local found = cjson.decode(output)
    assert.same({ "intl", id }, { found.site, found.record.id })
    has(locate("c877a1b2c3d4e5f601234567 --fields site"), "cn\n")
  end)

  it("ends with 3 where no site has it", function()
    local output, status, errors = locate "code:15000"
    assert.same({ "", 3 }, { output, status })
    has(errors, "15000 PublishRecordNotFound")
  end)
end)
