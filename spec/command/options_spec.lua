--- The command line itself: help, usage errors, languages, completion, and how soon the command starts.
local parser = require "aitoearn.command.parser"
local program = require "spec.command.program"
local shell = require "spec.platform.shell"
local text = require "aitoearn.command.text"

local run, has, has_not = program.run, program.has, program.has_not

local ZH = { LANG = "zh_CN.UTF-8" }

local function lines(output)
  local list = {}
  for one in (output .. "\n"):gmatch "(.-)\n" do list[#list + 1] = one end
  return list
end

describe("aitoearn --help", function()
  it("fits a screen, in both languages, and names every command", function()
    for _, environment in ipairs { {}, ZH } do
      local output, status, errors = run("--help", environment)
      assert.same({ 0, "" }, { status, errors })
      local shown = lines((output:gsub("\n$", "")))
      assert.truthy(#shown <= 24, #shown)
      for _, line in ipairs(shown) do assert.truthy(text.width(line) <= 80, line) end
      for _, command in ipairs(parser.commands) do has(output, "\n  " .. command.name .. " ") end
      for _, option in ipairs(parser.options) do has(output, option[1]) end
    end
  end)

  for _, command in ipairs(parser.commands) do
    it("explains " .. command.name .. " on a screen, with an example that the parser takes", function()
      for _, environment in ipairs { {}, ZH } do
        local output, status = run(command.name .. " --help", environment)
        assert.equal(0, status)
        assert.truthy(#lines(output) <= 25, output)
        has(output, "aitoearn " .. command.name .. " ", command.example:match "[^\n]*")
      end
      for line in command.example:gmatch "[^\n]+" do
        local words = {}
        local own = line:match("aitoearn (" .. command.name .. ".*)"):gsub("%s*[)|<>].*", "")
        for word in own:gsub('"(.-) (.-)"', "%1T%2"):gmatch "%S+" do words[#words + 1] = word end
        local args, problem = parser.parse(words)
        assert.truthy(args, problem)
      end
    end)
  end

  it("is asked for by -h too, and goes before whatever else is wrong", function()
    assert.equal(run "--help", run "-h")
    has(run "get -h --nonsense", "Usage: aitoearn get")
  end)
end)

describe("a usage error", function()
  for words, problem in pairs {
    [""] = "Usage: aitoearn COMMAND", ["--json"] = "a command is missing", nonsense = "unknown command nonsense",
    ["get --nonsense"] = "unknown option --nonsense", flow = "missing: id", ["locate a b"] = "too many arguments",
    ["list --status"] = "option --status needs a value", ["list --status nonsense"] = 'no status: "nonsense"',
    ["list --status faild"] = 'no status: "faild"', ["publish /nowhere.json"] = "aitoearn: /nowhere.json: No such file",
    ["list --list nonsense"] = "--list: one of 'history', 'queued', 'published' expected",
    ["list --from nonsense"] = 'no time: "nonsense"', ["list --from 2026-02-30"] = 'no time: "2026-02-30"',
    ["get x --timeout 0"] = 'no length of time: "0"', ["get x --deadline soon"] = 'no length of time: "soon"',
    ["get x --json=1"] = "option --json takes no value", ["get x --fields ,"] = "names of fields expected",
    ["wait x --for nonsense"] = "--for: one of 'published', 'settled', 'link' expected",
    ["get x --site a --server cn"] = "--server and --site exclude each other",
    ["completion tcsh"] = "shell: one of 'bash', 'zsh', 'fish' expected",
    ["get x --server nonsense"] = 'server: "cn", "intl", or a base URL',
    ["get x --site a"] = "--site: the configuration has no sites",
    ["get x --key-file /nonexistent"] = "--key-file: /nonexistent",
  } do
    it("ends with 2: " .. words, function()
      local output, status, errors = run(words, { AITOEARN_API_KEY = "ak_0123456789" })
      assert.same({ "", 2 }, { output, status })
      has(errors, problem)
      has_not(errors, "traceback", ".lua:")
    end)
  end

  it("points to the help of its command", function()
    has(select(3, run "list --nonsense"), "aitoearn: unknown option --nonsense; aitoearn list --help says more")
  end)

  it("is Chinese where the locale's language is", function()
    local _, status, errors = run("list --nonsense", ZH)
    assert.equal(2, status)
    has(errors, "未知选项 --nonsense")
  end)
end)

describe("the command line", function()
  it("takes -1 as a status, a name in any case, and the options before or after the command", function()
    for _, words in ipairs { "list --status -1", "list --status=-1", "list --status failed", "--json list --status FAILED" } do
      local given = {}
      for word in words:gmatch "%S+" do given[#given + 1] = word end
      assert.equal(-1, (parser.parse(given) or {}).status, words)
    end
  end)

  it("reads times: local ones without an offset, a day's end where a range ends", function()
    local script = [[
      local parser = require "aitoearn.command.parser"
      for _, text in ipairs { "2026-07-02", "2026-07-02 18:30", "2026-07-02T18:30:15", "2026-07-02T18:30:00+02:00",
        "2026-07-02T18:30:00Z" } do
        local args = assert(parser.parse { "list", "--from", text, "--to", text })
        print(("%d %d"):format(args.from, args.to))
      end]]
    local path = os.tmpname()
    shell.write(path, script)
    local output = program.shell(program.command:match "^%S+" .. " " .. path)
    os.remove(path)
    assert.equal([[
1782921600 1783007999
1782988200 1782988200
1782988215 1782988215
1783009800 1783009800
1783017000 1783017000
]], output)
  end)

  it("reads lengths of time", function()
    for word, seconds in pairs { ["30"] = 30, ["1.5"] = 1.5, ["90s"] = 90, ["10m"] = 600, ["2h"] = 7200, ["1d"] = 86400 } do
      assert.equal(seconds, parser.parse({ "get", "x", "--timeout", word }).timeout)
    end
  end)

  it("prints its version", function()
    local output, status = run "--version"
    assert.same({ "aitoearn " .. require("aitoearn").version .. "\n", 0 }, { output, status })
  end)
end)

-- argparse writes the scripts, from 0.7 on.
local writes_scripts = require "argparse"().get_bash_complete ~= nil
describe("aitoearn completion", function()
  if not writes_scripts then
    it("names the argparse that it needs where there is an older one", function()
      local output, status, errors = run "completion bash"
      assert.same({ "", 2 }, { output, status })
      has(errors, "aitoearn: completion needs argparse 0.7 or later")
    end)
    return
  end

  for _, name in ipairs { "bash", "zsh", "fish" } do
    it("prints a script for " .. name, function()
      local output, status, errors = run("completion " .. name)
      assert.same({ 0, "" }, { status, errors })
      has(output, "aitoearn", "reschedule", "flow-id", "queued")
      local checked = name ~= "bash" or shell.run("printf %s " .. shell.quote(output) .. " | bash -n")
      assert.truthy(checked)
    end)
  end

  it("completes commands and options in bash", function()
    local output = program.shell([[bash -c 'eval "$(AITOEARN completion bash)"; COMP_WORDS=(aitoearn re); COMP_CWORD=1
      _aitoearn; echo "${COMPREPLY[@]}"; COMP_WORDS=(aitoearn list --st); COMP_CWORD=2; _aitoearn; echo "${COMPREPLY[@]}"']])
    has(output, "reschedule retry", "--status")
  end)
end)

describe("the language", function()
  it("is that of LC_ALL, LC_MESSAGES, LANG, the first that is set", function()
    has(run("--help", { LC_ALL = "zh_TW.UTF-8", LANG = "en_US.UTF-8" }), "用法")
    has(run("--help", { LC_MESSAGES = "zh_CN", LANG = "en_US.UTF-8" }), "用法")
    has(run("--help", { LC_ALL = "C.UTF-8", LC_MESSAGES = "zh_CN", LANG = "zh_CN" }), "Usage:")
  end)

  it("has every text of the command in its table", function()
    local chinese = require("aitoearn.command.language").chinese
    local missing = {}
    local function look(file, form)
      for found in shell.read(file):gmatch(form) do
        if not chinese[found] and found:find "%a" then missing[#missing + 1] = file .. ": " .. found end
      end
    end
    for file in assert(shell.run "ls lua/aitoearn/command/*.lua"):gmatch "%S+" do
      look(file, '%f[%w_]t%(?%s*"([^"\n]-)"[%s,)]')
      look(file, "%f[%w_]t%(?%s*'(.-)'[%s,)]")
    end
    for form in shell.read("lua/aitoearn/command/problems.lua"):gmatch '%$",%s*"([^"]+)" }' do
      if not chinese[form] then missing[#missing + 1] = form end
    end
    for advice in shell.read("lua/aitoearn/command/doctor.lua"):match("ADVICE = (%b{})"):gmatch '"(.-)"' do
      if not chinese[advice] then missing[#missing + 1] = advice end
    end
    local core = require "aitoearn.core"
    for name in pairs(core.status) do if not chinese[name] then missing[#missing + 1] = name end end
    assert.same({}, missing)
  end)

  it("has as many values in a translation as in its text, in the same order", function()
    for english, translated in pairs(require("aitoearn.command.language").chinese) do
      local function forms(words)
        local list = {}
        for form in words:gmatch "%%[+]?%a" do list[#list + 1] = form end
        return list
      end
      assert.same(forms(english), forms(translated))
    end
  end)
end)

-- The least of many runs. Where the machine is busy, or slow, the bare interpreter's start says how much: it takes 3 ms
-- where the command's has to take less than 40.
it("the command starts in under 40 ms", function()
  local function least(words, so_far)
    local output = program.shell("bash -c 'TIMEFORMAT=\"%U %S\"; time " .. words .. " </dev/null 2>/dev/null' 2>&1")
    local user, system = output:match "([%d.]+) ([%d.]+)"
    return math.min(so_far, user + system)
  end
  local command, bare = math.huge, math.huge
  for _ = 1, 30 do
    command, bare = least("AITOEARN get x", command), least(program.command:match "^%S+" .. " -v", bare)
    if command < 0.04 then break end
  end
  assert.truthy(command < 0.04 or command / bare < 40 / 3, ("%g s, the interpreter alone %g s"):format(command, bare))
end)

it("the command says what to install where argparse is missing", function()
  local suffix = _VERSION:match "%d%.%d":gsub("%.", "_")
  local path = program.folder {}
  shell.run("ln -s $(pwd)/lua/aitoearn " .. path .. "/aitoearn")
  local _, status, errors = program.shell(("env -u LUA_PATH_%s LUA_PATH='%s/?.lua;%s/?/init.lua' AITOEARN get x"):format(
    suffix, path, path))
  shell.run("rm -rf " .. path)
  assert.equal(2, status)
  has(errors, "apt install lua-argparse", "luarocks install argparse")
end)
