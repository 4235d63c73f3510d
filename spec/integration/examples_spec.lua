--- Runs each example as a user would, from another folder, and checks what it prints and how it ends.
local cjson = require "cjson"
local platform = require "spec.platform"
local shell = require "spec.platform.shell"

local quote = shell.quote
local lua = jit and "luajit" or "lua" .. _VERSION:match "%d%.%d"
local root = assert(shell.run("cd " .. quote(platform.root) .. " && pwd"))
local EXAMPLES = root .. "/examples/"

--- Runs a shell command line, `LUA` and `EX` standing for the interpreter and the folder of examples.
-- @treturn string what it wrote on standard output
-- @treturn integer its exit code
-- @treturn string what it wrote on standard error
local function sh(command)
  local errors = os.tmpname()
  command = command:gsub("%f[%w]LUA%f[^%w_]", lua):gsub("%f[%w]EX/", EXAMPLES)
  local pipe = assert(io.popen(("cd / && unset AITOEARN_API_KEY AITOEARN_SERVER NO_COLOR; export TERM=xterm LANG=C.UTF-8\n"
    .. "{ %s\n} 2>%s; printf '\\n%%d' $?"):format(command, errors)))
  local output, code = pipe:read("*a"):match "^(.*)\n(%d+)$"
  pipe:close()
  local written = shell.read(errors)
  os.remove(errors)
  return output, tonumber(code), written
end

local function run(words) return sh("timeout 60 LUA EX/" .. words .. " </dev/null") end

--- Runs an example on a pseudo-terminal.
local function on_terminal(words, environment, input)
  local command = ("%s timeout --foreground 60 LUA EX/%s"):format(environment or "", words)
  return sh(("%s | script -qec %s /dev/null"):format(input or "sleep 0", quote((command:gsub("LUA", lua)
    :gsub("EX/", EXAMPLES)))))
end

local function lines(text)
  local list = {}
  for one in text:gmatch "[^\n]+" do list[#list + 1] = one end
  return list
end

local function has(text, ...)
  for _, part in ipairs { ... } do
    assert.truthy(text:find(part, 1, true), ("%q expected in:\n%s"):format(part, text))
  end
end

local function has_not(text, part)
  assert.falsy(text:find(part, 1, true), ("%q not expected in:\n%s"):format(part, text))
end

describe("the examples", function()
  local p

  setup(function()
    assert(pcall(require, "argparse"), "the examples need argparse: apt install lua-argparse")
    p = assert(platform.start { log = false })
  end)
  teardown(function() p:stop() end)

  describe("all of them", function()
    for _, name in ipairs { "get_record", "wait", "batch", "publish", "frame_loop" } do
      it("explain themselves: " .. name, function()
        local output, code, errors = run(name .. ".lua --help")
        assert.same({ 0, "" }, { code, errors })
        has(output, "Usage:", name .. ".lua", "AITOEARN_API_KEY", "--local", "--server", "Exit codes:")
      end)

      it("end with 2 and say what is wrong with the command line: " .. name, function()
        local output, code, errors = run(name .. ".lua --nonsense")
        assert.same({ "", 2 }, { output, code })
        has(errors, "Usage:", name .. ".lua: unknown option '--nonsense'")
      end)

      it("end with 2 without a key, and name the ways to go on: " .. name, function()
        local _, code, errors = run(name .. ".lua " .. (name == "batch" and "" or "ok"))
        assert.equal(2, code)
        has(errors, "AITOEARN_API_KEY", "--local")
        has_not(errors, "traceback")
      end)
    end

    it("name the package where argparse is missing", function()
      local suffix = _VERSION:match "%d%.%d":gsub("%.", "_")
      local _, code, errors = sh(("env -u LUA_PATH_%s LUA_PATH='/nowhere/?.lua' LUA EX/get_record.lua ok"):format(suffix))
      assert.equal(2, code)
      has(errors, "apt install lua-argparse", "luarocks install argparse")
    end)

    it("use the installed library where they are not in a checkout, and say so where there is none", function()
      local folder = assert(shell.run "mktemp -d")
      local version = _VERSION:match "%d%.%d"
      shell.run(("mkdir %s/examples && cp %s*.lua %s/examples"):format(folder, EXAMPLES, folder))
      local suffix = version:gsub("%.", "_")
      local unset = ("env -u LUA_PATH_%s -u LUA_CPATH_%s"):format(suffix, suffix)
      local paths = ("LUA_PATH='%s/lua/?.lua;%s/lua/?/init.lua;;' LUA_CPATH='%s/build/%s/?.so;;'"):format(
        root, root, root, version)
      local call = ("AITOEARN_SERVER=%s AITOEARN_API_KEY=%s LUA %s/examples/get_record.lua ok"):format(
        p.cn.http, p.cn.key, folder)
      local output, code, errors = sh(table.concat({ unset, paths, call }, " "))
      assert.same({ 0, "" }, { code, errors })
      has(output, "PUBLISHED")
      output, code, errors = sh(("%s LUA_PATH='/nowhere/?.lua' LUA_CPATH='/nowhere/?.so' %s"):format(unset, call))
      assert.same({ "", 2 }, { output, code })
      has(errors, "neither built nor installed", "make LUA_VERSION=" .. version)
      shell.run("rm -rf " .. quote(folder))
    end)
  end)

  describe("get_record", function()
    local function ask(words, key)
      return sh(("AITOEARN_SERVER=%s AITOEARN_API_KEY=%s timeout 60 LUA EX/get_record.lua %s"):format(
        p.cn.http, key or p.cn.key, words))
    end

    it("asks the server of the environment with the key of the environment", function()
      local output, code, errors = ask "6877a1b2c3d4e5f601234567"
      assert.same({ 0, "" }, { code, errors })
      has(output, "PUBLISHED · final, live", "https://work.aitoearn.cn/w/7391846520173645928  ready",
        "6877a1b2c3d4e5f601234567", "1 attempt, ")
      has_not(output, "\27")
    end)

    it("ends with 1 where the record could not be had, with the hint and without the key", function()
      local output, code, errors = ask("ok", p.intl.key)
      assert.same({ "", 1 }, { output, code })
      has(errors, "error: api 401 Unauthorized", "a key of aitoearn.cn does not work on aitoearn.ai")
      has_not(errors, p.intl.key)
      output, code, errors = ask "nonsense"
      assert.same({ "", 1 }, { output, code })
      has(errors, "15000 PublishRecordNotFound")
    end)

    it("ends with 2 where the server is none", function()
      local _, code, errors = sh "AITOEARN_API_KEY=x LUA EX/get_record.lua --server nonsense ok"
      assert.equal(2, code)
      has(errors, 'server: "cn", "intl", or a base URL')
    end)

    it("tells each verdict of the local platform's records", function()
      for id, text in pairs {
        ["status:-1"] = "FAILED · final, not live", ["status:8"] = "a person must confirm it", stalled = "seems to hang",
        retrying = "the server will try again", ["link:pending"] = "none yet  pending", ["'http:503;ok'"] = "2 attempts",
        min = "account  ",
      } do
        local output, code = run("get_record.lua --local " .. id)
        assert.equal(0, code)
        has(output, text)
      end
    end)

    it("prints a line of JSON", function()
      local output, code = run "get_record.lua --local --json full"
      assert.equal(0, code)
      local record = cjson.decode(output)
      assert.same({ "full", 1, 1024 }, { record.id, record.status, record.linkMeta.play.count })
      has_not(output, "\\/")
    end)

    it("is in colour on a terminal, and not where NO_COLOR is set", function()
      local output, code = on_terminal "get_record.lua --local ok"
      assert.equal(0, code)
      has(output, "\27[1;32mPUBLISHED\27[0m")
      has_not(on_terminal("get_record.lua --local ok", "NO_COLOR=1"), "\27[")
    end)

    it("lets no control character of a title through", function()
      p:answer("escape", '{"code":0,"message":"","data":{"id":"x","accountType":"xhs","type":"video","status":1,'
        .. '"publishTime":"2026-01-01T00:00:00.000Z","title":"a\\u001b[31mb"}}')
      has(ask "file:escape", "a [31mb")
    end)
  end)

  describe("wait", function()
    it("prints a line for each change, and 0 where all reached their goals", function()
      local output, code, errors = run "wait.lua --local --every 0.2 --goal published life:0.5:1 ok ok"
      assert.same({ 0, "" }, { code, errors })
      has(output, "life:0.5:1  WAITING_FOR_PUBLISH\n", "WAITING_FOR_PUBLISH → PUBLISHING\n",
        "PUBLISHING → PUBLISHED  https://work.aitoearn.cn/w/", "  life:0.5:1  published\n", "  ok  published\n", "2 records, ")
      has_not(output, "\27")
      has_not(output, "next look")
    end)

    it("ends with 1 where one did not", function()
      local output, code = run "wait.lua --local --every 0.2 --goal published life:0.2:0.4:-1 ok nonsense"
      assert.equal(1, code)
      has(output, "✗", "goal: it ended as FAILED: 账号没有发布权限 (record life:0.2:0.4:-1)", "15000 PublishRecordNotFound",
        "  ok  published")
    end)

    it("goes on after a look that failed, and gives up when its time is over", function()
      local output, code = run "wait.lua --local --every 0.2 --timeout 4 'ok;http:502;ok' 'code:500;status:8' status:2"
      assert.equal(1, code)
      has(output, "  status:2  timeout: not reached within 4 s, last seen as PUBLISHING")
      has(output, "  code:500;status:8  settled")
    end)

    it("shows a line of progress on a terminal", function()
      local output, code = on_terminal "wait.lua --local --every 0.5 life:0.5:1 life:0.2:0.2"
      assert.equal(0, code)
      has(output, "next look in", "2 of 2 left", "\27[?7l")
    end)

    it("ends with 130 on Ctrl-C", function()
      local output, code = on_terminal("wait.lua --local life:60:60", nil, "{ sleep 3; printf '\\003'; sleep 1; }")
      assert.equal(130, code)
      has_not(output, "traceback")
      has_not(output, "closed")
    end)
  end)

  describe("batch", function()
    --- What comes out, by id; each line has to be JSON, and each id there once.
    local function read(output)
      local by_id, count = {}, 0
      for _, text in ipairs(lines(output)) do
        local object = cjson.decode(text)
        assert.is_nil(by_id[object.id])
        by_id[object.id], count = object, count + 1
      end
      return by_id, count
    end

    it("makes a line of JSON of each id, and counts on standard error", function()
      local output, code, errors = sh("printf '%s\\n' ok '' '  status:2 ' code:15000 'http:503;ok' 'echo:a/b' http:418 "
        .. "| timeout 60 LUA EX/batch.lua --local")
      assert.equal(1, code)
      local by_id, count = read(output)
      assert.equal(6, count)
      assert.same({ 1, 2 }, { by_id.ok.record.status, by_id["status:2"].record.status })
      assert.equal("a/b", by_id["echo:a/b"].record.title)
      assert.equal(1, by_id["http:503;ok"].record.status)
      assert.same({ kind = "api", code = 15000, message = "Publish record not found", retryable = false },
        by_id["code:15000"].error)
      assert.same({ "http", false }, { by_id["http:418"].error.kind, by_id["http:418"].error.retryable })
      has(errors, "4 records, 2 failed (1 PublishRecordNotFound, 1 http 418); 7 requests, 1 of them again")
    end)

    it("takes any number of ids, and ends with 0 where all came", function()
      local output, code, errors = sh "seq -f 'ok~%.0f' 5000 | timeout 60 LUA EX/batch.lua --local --concurrency 50"
      assert.equal(0, code)
      local by_id, count = read(output)
      assert.equal(5000, count)
      assert.equal("ok~5000", by_id["ok~5000"].record.id)
      has(errors, "5000 records, 0 failed", "over 1 connection")
    end)

    it("is content with no ids at all", function()
      local output, code, errors = run "batch.lua --local"
      assert.same({ "", 0 }, { output, code })
      has(errors, "0 records, 0 failed")
    end)

    -- A shell cannot undo that its parent ignores SIGPIPE; env can.
    for name, how in pairs { ["killed by it"] = "--default-signal=PIPE", ["told of it"] = "--ignore-signal=PIPE" } do
      it("ends quietly when nobody reads on, " .. name, function()
        local output, _, errors = sh("seq -f 'ok~%.0f' 20000 2>&- | { timeout 30 env " .. how
          .. " LUA EX/batch.lua --local; echo $? >&2; } | head -n 3")
        assert.equal(3, #lines(output))
        -- LuaSocket, which the local platform needs, has SIGPIPE ignored: then a write fails and it ends with 1.
        assert.truthy(errors == "1\n" or errors == "141\n", errors)
      end)
    end

    it("wants a whole number of requests at once", function()
      local _, code, errors = run "batch.lua --concurrency 1.5"
      assert.equal(2, code)
      has(errors, 'a whole number above 0 expected, got "1.5"')
    end)
  end)

  describe("publish", function()
    it("publishes a post, retries what failed, says what a person has to do, and ends with the links", function()
      local output, code, errors = run "publish.lua --local --flow-id spring-7"
      assert.same({ 0, "" }, { code, errors })
      has(output, "flow            spring-7\n", "bilibili        FAILED", "↻ bilibili        retried",
        "☞ douyin          confirm it here: https://v.example/")
      for _, name in ipairs { "xhs", "bilibili", "douyin" } do
        has(output, ("✓ %-15s https://work.aitoearn.cn/w/"):format(name))
      end
      has_not(output, "\27")
    end)

    it("publishes once under one flow id, however often it is run", function()
      local post = p.dir .. "/post.json"
      shell.write(post, '{"items":[{"platform":"xhs","accountId":"life:0:0.2"}],"content":{"title":"x"}}')
      local command = ("AITOEARN_SERVER=%s AITOEARN_API_KEY=%s timeout 60 LUA EX/publish.lua --every 0.1 --flow-id once %s")
        :format(p.cn.http, p.cn.key, post)
      for _ = 1, 2 do
        local output, code, errors = sh(command)
        assert.same({ 0, "" }, { code, errors })
        has(output, "✓ xhs")
      end
      assert.equal(1, p:count("publish", "once"))
    end)

    it("ends with 1 where a part cannot be published, and gives up retrying", function()
      local post = p.dir .. "/post.json"
      shell.write(post, '{"items":[{"platform":"xhs","accountId":"life:0:0.1:-1"}],"content":{"title":"x"}}')
      local command = ("AITOEARN_SERVER=%s AITOEARN_API_KEY=%s timeout 60 LUA EX/publish.lua --every 0.1 %s")
        :format(p.cn.http, p.cn.key, post)
      local output, code = sh(command)
      assert.equal(1, code)
      assert.equal(2, select(2, output:gsub("retried", "")))
      has(output, "✗ xhs             FAILED")
      shell.write(post, '{"items":[{"platform":"xhs","accountId":"nobody"}],"content":{"title":"x"}}')
      output, code = sh(command)
      assert.equal(1, code)
      has(output, "15021")
    end)

    it("ends with 2 where there is no post", function()
      local post = p.dir .. "/post.json"
      for text, message in pairs { ["{"] = "is no JSON", ["{}"] = "items", ["7"] = "table expected" } do
        shell.write(post, text)
        local _, code, errors = sh("AITOEARN_API_KEY=x timeout 60 LUA EX/publish.lua " .. post)
        assert.equal(2, code)
        has(errors, message)
        has_not(errors, "traceback")
      end
      local _, code, errors = sh "AITOEARN_API_KEY=x LUA EX/publish.lua"
      assert.equal(2, code)
      has(errors, "--local")
    end)
  end)

  describe("frame_loop", function()
    it("runs 60 frames a second with records in flight, and prints its worst ones", function()
      local output, code, errors = run "frame_loop.lua --local --seconds 2"
      assert.same({ 0, "" }, { code, errors })
      local frames, records = output:match "^(%d+) frames, .-; (%d+) records, up to 100 in flight"
      assert.truthy(tonumber(frames) <= 121 and tonumber(frames) > 20 and tonumber(records) > 100, output)
      assert.truthy(output:find "worst frame +%d+%.%d+ ms" and output:find "worst poll +%d+%.%d+ ms", output)
    end)

    it("fetches given ids once, and ends with 1 where one did not come", function()
      local output, code = run "frame_loop.lua --local ok status:2"
      assert.equal(0, code)
      has(output, "2 records, up to 2 in flight")
      output, code = run "frame_loop.lua --local ok nonsense"
      assert.equal(1, code)
      has(output, "1 failed, the last one with: api 15000")
      output, code = run "frame_loop.lua --local --seconds 0.5 silent"
      assert.equal(1, code)
      has(output, "1 still under way after 0.5 s")
    end)

    it("animates on a terminal", function()
      local output, code = on_terminal "frame_loop.lua --local --seconds 1"
      assert.equal(0, code)
      has(output, "●", "in flight", "worst poll")
    end)
  end)

  describe("testing", function()
    it("is a program's own specs, which run in its folder without a server", function()
      local output, code, errors = sh "cd EX/testing && timeout 60 LUA $(command -v busted) --output=plainTerminal"
      assert.same({ 0, "" }, { code, errors })
      has(output, "7 successes / 0 failures / 0 errors / 0 pending")
    end)
  end)

  describe("demo", function()
    it("shows every state, each kind of trouble, a batch, a wait, and a post published, followed and acted on", function()
      local output, code, errors = run "demo.lua"
      assert.same({ 0, "" }, { code, errors })
      for name in pairs(require("aitoearn.core").status) do has(output, " " .. name) end
      has(output, "✗ a record that is not there: 15000 PublishRecordNotFound",
        "✗ a key of the other site: 401 Unauthorized", "hint:", "a key of aitoearn.cn does not work on aitoearn.ai",
        "the server says 429: again in 2.00 s", "✓ a rate limit, waited out: PUBLISHED", "refuses connections",
        "✓ a failover to the backup: PUBLISHED", "✓ 19,980 records, 20 not found", "over 1 connection",
        "→  ", "https://work.aitoearn.cn/w/7391846520173645928", "examples/wait.lua --local",
        "✓ published to 3 accounts", ": 1 flow all the same", "☞ douyin: a person confirms it at https://v.example/",
        "↻ bilibili: failed, so it is retried", "✓ bilibili  https://work.aitoearn.cn/w/")
      has_not(output, "\27")
    end)

    it("is in colour on a terminal", function()
      local output, code = on_terminal "demo.lua"
      assert.equal(0, code)
      has(output, "\27[1;32m", "█", "⠋")
    end)
  end)
end)
