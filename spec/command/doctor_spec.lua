--- `doctor`: each thing that can be wrong between here and the platform, what it says of it, and its exit status.
local cjson = require "cjson"
local program = require "spec.command.program"
local shell = require "spec.platform.shell"

local run, on_terminal, has, has_not = program.run, program.on_terminal, program.has, program.has_not

describe("aitoearn doctor", function()
  local p
  setup(function() p = program.start() end)
  before_each(function() p:forget() end)
  teardown(program.stop)

  --- What it found, by step.
  local function examine(words, environment)
    local output, status, errors = run("doctor " .. (words or ""), environment)
    assert.equal("", errors)
    local steps = {}
    for line in output:gmatch "[^\n]+" do
      local mark, name, found, advice = line:match "^(%a+)\t([^\t]+)\t([^\t]*)\t([^\t]*)$"
      assert.truthy(mark, line)
      steps[name] = { ok = mark == "ok", found = found, advice = advice }
    end
    has_not(output, p.cn.key, p.intl.key)
    return steps, status, output
  end

  local function wrong(steps, name, found, advice)
    assert.truthy(steps[name] and not steps[name].ok, name)
    if found then has(steps[name].found, found) end
    has(steps[name].advice, advice or "")
    assert.truthy(steps[name].advice ~= "")
  end

  it("finds everything well over https, with one harmless request", function()
    local steps, status = examine(nil, { AITOEARN_SERVER = p.cn.https, AITOEARN_CA_FILE = p.ca_file })
    assert.equal(0, status)
    for _, name in ipairs { "versions", "configuration", "proxy", "name", "connect", "TLS", "answer", "clock", "key" } do
      assert.truthy(steps[name] and steps[name].ok, name)
    end
    has(steps.versions.found, "aitoearn ", "libcurl/")
    has(steps.TLS.found, p.ca_file)
    has(steps.key.found, ("%d characters, the last %s"):format(#p.cn.key, p.cn.key:sub(-3)), "accepted")
    local requests = p:requests()
    assert.equal(1, #requests)
    has(requests[1].uri, "/records?time=")
  end)

  it("is green and red on a terminal, and JSON where it is asked to", function()
    local output, status = on_terminal "doctor"
    assert.equal(0, status)
    has(output, "\27[1;32m✓\27[0m", "versions", "accepted")
    output = on_terminal("doctor", { AITOEARN_API_KEY = p.intl.key })
    has(output, "\27[1;31m✗\27[0m", "→ ")
    for line in run("doctor --json"):gmatch "[^\n]+" do assert.truthy(cjson.decode(line).step) end
    has(on_terminal("doctor", { LANG = "zh_CN.UTF-8" }), "版本", "密钥")
  end)

  it("says that there is no key", function()
    local steps, status = examine(nil, { AITOEARN_API_KEY = false })
    assert.equal(4, status)
    wrong(steps, "configuration", "no key", "AITOEARN_API_KEY")
  end)

  it("says that a configuration is refused", function()
    local folder = program.folder { ["aitoearn/config.lua"] = "return { api_key = 'ak_0123456789' }" }
    shell.run("chmod 644 " .. folder .. "/aitoearn/config.lua")
    local steps, status = examine(nil, { XDG_CONFIG_HOME = folder })
    assert.equal(2, status)
    wrong(steps, "configuration", "others may read it", "config.lua")
    shell.run("rm -rf " .. folder)
  end)

  it("says that a name is unknown", function()
    local steps, status = examine("--server https://" .. ("x"):rep(64) .. ".invalid")
    assert.equal(5, status)
    wrong(steps, "name", "dns", "getent hosts xxx")
    assert.is_nil(steps.connect)
  end)

  it("says that nobody answers", function()
    local steps, status = examine("--server " .. p.closed)
    assert.equal(5, status)
    assert.truthy(steps.name.ok)
    wrong(steps, "connect", "connect", "curl -v " .. p.closed)
  end)

  it("says that a certificate does not verify", function()
    for _, url in pairs { p.cn.https, p.tls.self_signed } do
      local steps, status = examine("--server " .. url)
      assert.equal(5, status)
      assert.truthy(steps.connect.ok)
      wrong(steps, "TLS", "tls", "AITOEARN_CA_FILE")
    end
  end)

  it("says that a CA file cannot be read", function()
    local steps, status = examine("--server " .. p.cn.https, { AITOEARN_CA_FILE = "/nonexistent.pem" })
    assert.equal(5, status)
    wrong(steps, "TLS", "AITOEARN_CA_FILE", "AITOEARN_CA_FILE")
  end)

  it("says that a server is no API", function()
    local steps, status = examine("--server " .. p.web)
    assert.equal(5, status)
    assert.truthy(steps.connect.ok)
    wrong(steps, "answer", "protocol", "web page")
  end)

  it("says that no answer came in time", function()
    p:fault { route = "GET /records", how = "timeout" }
    local steps, status = examine "--timeout 1"
    p:heal()
    assert.equal(5, status)
    wrong(steps, "answer", "timeout", "--timeout")
  end)

  it("says that a key is not accepted, and shows no more of it than its end", function()
    local steps, status, output = examine(nil, { AITOEARN_API_KEY = p.intl.key })
    assert.equal(4, status)
    assert.truthy(steps.answer.ok)
    wrong(steps, "key", "401", "does not work on aitoearn.ai")
    has_not(output, p.intl.key:sub(-4))
    steps, status, output = examine(nil, { AITOEARN_API_KEY = "short" })
    assert.equal(4, status)
    has(steps.key.found, "5 characters")
    has_not(output, "ort:", "last")
  end)

  it("says that the clock is wrong", function()
    p:advance(3600)
    local steps, status = examine()
    p:reset()
    assert.equal(5, status)
    wrong(steps, "clock", " s against the server's", "timedatectl")
    assert.truthy(math.abs(steps.clock.found:match "^-(%d+)" - 3600) < 10)
    assert.truthy(steps.key.ok)
  end)

  it("shows the proxy that is used, without its password", function()
    local steps = examine("--server " .. p.cn.https,
      { https_proxy = "http://user:secret@127.0.0.1:1", AITOEARN_CA_FILE = p.ca_file })
    has(steps.proxy.found, "https_proxy=http://…@127.0.0.1:1")
    has_not(steps.proxy.found, "secret")
    wrong(steps, "connect")
  end)

  it("asks each site of the configuration", function()
    local folder = program.folder { ["aitoearn/config.lua"] = ([[
      return { site = "a", sites = { a = { server = %q, api_key = %q }, b = { server = %q, api_key = %q } } }
    ]]):format(p.cn.http, p.cn.key, p.intl.http, p.cn.key) }
    shell.run("chmod 600 " .. folder .. "/aitoearn/config.lua")
    local output, status = run("doctor", { AITOEARN_SERVER = false, AITOEARN_API_KEY = false, XDG_CONFIG_HOME = folder })
    assert.equal(4, status)
    has(output, "ok\tsite\ta, " .. p.cn.http, "ok\tkey\t", "ok\tsite\tb, ", "wrong\tkey\t")
    assert.equal(2, #p:requests())
    shell.run("rm -rf " .. folder)
  end)
end)
