--- Runs each example as a user would, from another folder, and checks what it prints and how it ends.
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
    for _, name in ipairs { "publish", "frame_loop" } do
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
        local _, code, errors = run(name .. ".lua " .. (name == "publish" and "/dev/null" or "ok"))
        assert.equal(2, code)
        has(errors, "AITOEARN_API_KEY", "--local")
        has_not(errors, "traceback")
      end)
    end

    it("name the package where argparse is missing", function()
      local suffix = _VERSION:match "%d%.%d":gsub("%.", "_")
      local _, code, errors = sh(("env -u LUA_PATH_%s LUA_PATH='/nowhere/?.lua' LUA EX/frame_loop.lua ok"):format(suffix))
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
      local call = ("AITOEARN_SERVER=%s AITOEARN_API_KEY=%s LUA %s/examples/frame_loop.lua ok"):format(
        p.cn.http, p.cn.key, folder)
      local output, code, errors = sh(table.concat({ unset, paths, call }, " "))
      assert.same({ 0, "" }, { code, errors })
      has(output, "1 records")
      output, code, errors = sh(("%s LUA_PATH='/nowhere/?.lua' LUA_CPATH='/nowhere/?.so' %s"):format(unset, call))
      assert.same({ "", 2 }, { output, code })
      has(errors, "neither built nor installed", "make LUA_VERSION=" .. version)
      shell.run("rm -rf " .. quote(folder))
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

    it("ends with 130 on Ctrl-C", function()
      local output, code = on_terminal("frame_loop.lua --local --seconds 30", nil, "{ sleep 3; printf '\\003'; sleep 1; }")
      assert.equal(130, code)
      has_not(output, "traceback")
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

  describe("the testing kit's README", function()
    it("begins with a spec that runs as it is written there", function()
      local readme = assert(shell.read(root .. "/lua/aitoearn/testing/README.md"))
      local block, command = readme:match "```lua\n(.-)```", readme:match '`(lua5.4 "%$%(command %-v busted%)") my_spec.lua`'
      local folder = assert(shell.run "mktemp -d")
      shell.write(folder .. "/my_spec.lua", block)
      local paths = ("--lpath=%s/lua/?.lua --lpath=%s/lua/?/init.lua --cpath=%s/build/%s/?.so"):format(root, root, root,
        _VERSION:match "%d%.%d") -- what is installed would be found without them
      local output, code, errors = sh(("cd %s && timeout 60 %s %s --output=plainTerminal my_spec.lua"):format(quote(folder),
        command:gsub("^lua5.4", "LUA"), paths))
      shell.run("rm -rf " .. quote(folder))
      assert.same({ 0, "" }, { code, errors })
      has(output, "1 success / 0 failures / 0 errors / 0 pending")
    end)
  end)

  describe("demo", function()
    it("says all of it in Chinese where the locale is, and every text has a translation", function()
      local output, code, errors = sh "LC_ALL=zh_CN.UTF-8 timeout 60 LUA EX/demo.lua </dev/null"
      assert.same({ 0, "" }, { code, errors })
      has(output, "每种状态一条记录", "✗ 不存在的记录：15000", "✗ 另一个站点的密钥：401", "提示：", "20,000 条记录", "已发布到 3 个账号")
      for line in output:gmatch "[^\n]+" do -- what is left are names, numbers, links and code
        assert.falsy(line:find "%f[%a]the%f[%A]" or line:find "%f[%a]a%f[%A]" or line:find "attempt", line)
      end
      local texts, source = dofile(EXAMPLES .. "demo.zh-CN.lua"), shell.read(EXAMPLES .. "demo.lua")
      for text in pairs(texts) do has(source, '"' .. text .. '"') end
      for text in source:gmatch '%f[%w]t[%( ]"([^"]+)"' do assert.truthy(texts[text], text) end
    end)

    it("shows every state, each kind of trouble, a batch, a wait, and a post published, followed and acted on", function()
      local output, code, errors = run "demo.lua"
      assert.same({ 0, "" }, { code, errors })
      for name in pairs(require("aitoearn.core").status) do has(output, " " .. name) end
      has(output, "✗ a record that is not there: 15000 PublishRecordNotFound",
        "✗ a key of the other site: 401 Unauthorized", "hint:", "a key of aitoearn.cn does not work on aitoearn.ai",
        "the server says 429: again in 2.00 s", "✓ a rate limit, waited out: PUBLISHED", "refuses connections",
        "✓ a failover to the backup: PUBLISHED", "✓ 19,980 records, 20 not found", "over 1 connection",
        "→  ", "https://work.aitoearn.cn/w/7391846520173645928", "aitoearn watch ID",
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
