local aitoearn = require "aitoearn"
local helper = require "spec.helper"
local options = require "aitoearn.options"
local shell = require "spec.platform.shell"

local function nothing() end

-- The message with which `new` refuses options; it blames the line that called it.
local function refused(given)
  local message = helper.raised(function() aitoearn.new(given) end)
  local place, rest = message:match "^(.-:%d+): (.*)$"
  assert.truthy(place and place:find("options_spec.lua", 1, true), message)
  return rest
end

-- Fails unless a value is refused with the option's name in front.
local function refuses(name, value)
  local given = { api_key = "k" }
  if name == "api_key" then given.api_key = nil end
  given[name] = value
  local message = refused(given)
  assert.equal(name, message:match "^[%w_]+", message)
  assert.truthy(message:sub(#name + 1):find "^%[?%d?%]?: ", message)
end

local function accepts(name, value)
  local given = { api_key = "k" }
  given[name] = value
  local client = aitoearn.new(given)
  assert.truthy(client)
  client:close()
end

local seconds = { good = { 0.001, 1, 3600, false }, bad = { 0, -1, 1 / 0, 0 / 0, true, "5", {} } }

-- What every option takes and refuses.
local rules = {
  server = {
    good = { "cn", "intl", "https://example.com", { "https://a.example", "https://b.example" } },
    bad = { "", "us", 1, true, {}, { "cn" }, { 1 }, "http://example.com", "https://example.com/api", nothing },
  },
  api_key = {
    good = { "k", ("k"):rep(4096), nothing },
    bad = { "", "a\nb", "a\0", "\127", ("k"):rep(4097), 7, true, {} },
  },
  sites = { good = { { cn = { api_key = "k" } } }, bad = { {}, "cn", 7, true } },
  site = { good = {}, bad = { "cn", 7, {} } },
  connect_timeout = seconds,
  timeout = seconds,
  deadline = seconds,
  retry = { good = { false, {}, { max_attempts = 1, base = 0, max_delay = 0 } }, bad = { true, 3, "no" } },
  max_connections = { good = { 1, 100 }, bad = { 0, -1, 1.5, 1 / 0, 0 / 0, "8", false } },
  max_response_bytes = { good = { 1, 2 ^ 40 }, bad = { 0, -1, 0.5, "1", false } },
  ca_file = { good = { "/etc/passwd" }, bad = { "/no/such/file", "", 7, true } },
  proxy = { good = { "", "http://127.0.0.1:3128", "socks5h://127.0.0.1:1080" }, bad = { 7, true, {} } },
  user_agent = { good = { "me/1 (x)" }, bad = { "", "a\r\nX: y", "a\0", 7, false } },
  accept_language = { good = { "en-US" }, bad = { "", "en\nUS", 7, false } },
  allow_http = { good = { true, false }, bad = { 1, "yes" } },
  max_rate = { good = { 0.01, 1, 1000 }, bad = { 0, -1, 1 / 0, 0 / 0, "1", false } },
  on_event = { good = { nothing }, bad = { "f", 7, {}, true } },
  host = { good = { "blocking", { await = nothing, spawn = nothing } }, bad = { 7, true, {}, { await = nothing } } },
}

describe("aitoearn.new", function()
  it("has a spec for each of its options", function()
    for _, name in ipairs(options.names) do assert.truthy(rules[name], name) end
    local count = 0
    for _ in pairs(rules) do count = count + 1 end
    assert.equal(#options.names, count)
  end)

  for name, rule in pairs(rules) do
    it("takes good values of " .. name .. " and names it where it refuses one", function()
      for _, value in ipairs(rule.good) do
        if name == "sites" then
          aitoearn.new { sites = value }:close()
        else
          accepts(name, value)
        end
      end
      for _, value in ipairs(rule.bad) do refuses(name, value) end
    end)
  end

  it("refuses an unknown option by its name", function()
    assert.equal("time_out: unknown option", refused { api_key = "k", time_out = 3 })
    assert.equal("1: unknown option", refused { "k" })
    assert.equal("retry.tries: unknown option", refused { api_key = "k", retry = { tries = 3 } })
    assert.equal("sites.cn.key: unknown option", refused { sites = { cn = { key = "k" } } })
  end)

  it("refuses anything but a table", function()
    assert.truthy(refused("cn"):find "table expected, got string")
    assert.equal("options: table expected, got boolean", refused(false))
  end)

  it("says what it expected and what it got", function()
    local expected = "timeout: number of seconds above 0, or false, expected, got "
    assert.equal(expected .. "string", refused { api_key = "k", timeout = "5" })
    assert.equal(expected .. "-1", refused { api_key = "k", timeout = -1 })
    assert.truthy(refused({ api_key = "k\n" }):find("is there a line break at its end?", 1, true))
  end)

  it("says why a value is no key", function()
    local expected = "non-empty string or function expected, got "
    for got, key in pairs {
      number = 7, ["an empty string"] = "", ["one of 4097 bytes (4096 at most)"] = ("k"):rep(4097), table = {},
      ["one with a control character (is there a line break at its end?)"] = "k\n",
    } do
      assert.equal("api_key: " .. expected .. got, refused { api_key = key })
      assert.equal("sites.cn.api_key: " .. expected .. got, refused { sites = { cn = { api_key = key } } })
    end
  end)

  it("names the value of retry that is wrong", function()
    for name, bad in pairs { max_attempts = { 0, 1.5, "3" }, base = { -1, "1", 1 / 0 }, max_delay = { -1, false } } do
      for _, value in ipairs(bad) do
        local message = refused { api_key = "k", retry = { [name] = value } }
        assert.equal(1, (message:find("retry." .. name .. ": ", 1, true)), message)
      end
    end
  end)

  it("names a host that does not exist", function()
    local message = helper.raised(function() aitoearn.new { api_key = "k", host = "no_such_host" } end)
    assert.truthy(message:find "host: ", message)
    assert.truthy(message:find("no_such_host", 1, true))
    assert.is_nil(message:find("\n", 1, true))
  end)

  it("names a host function that returns no host", function()
    local message = helper.raised(function() aitoearn.new { api_key = "k", host = nothing } end)
    assert.truthy(message:find "host: ", message)
  end)

  it("does not call a key function", function()
    local calls = 0
    aitoearn.new({ api_key = function() calls = calls + 1 end }):close()
    assert.equal(0, calls)
  end)

  it("shows no key where it refuses one, or a table that holds it", function()
    local key = "ak_secret_1234"
    for _, given in ipairs {
      { api_key = key .. "\n" }, { api_key = key, timeout = "x" }, { api_key = { key } },
      { server = key, api_key = "k" },
      { sites = { cn = { api_key = key .. "\r" } } }, { sites = { cn = { api_key = key }, intl = {} }, site = "cn" },
      { proxy = { key }, api_key = key },
    } do
      assert.is_nil(refused(given):find("ak_secret", 1, true))
    end
    for _, given in ipairs {
      { api_key = 73519 }, { sites = 73519 }, { sites = { cn = 73519 } }, { sites = { cn = { api_key = 73519 } } }, 73519,
    } do
      assert.is_nil(refused(given):find("73519", 1, true))
    end
  end)
end)

describe("the option sites", function()
  local function two() return { cn = { api_key = "a" }, mine = { server = "https://example.com", api_key = "b" } } end

  it("takes the place of server and api_key", function()
    local message = ": goes inside of sites where that is given"
    assert.equal("api_key" .. message, refused { sites = two(), site = "cn", api_key = "k" })
    assert.equal("server" .. message, refused { sites = two(), site = "cn", server = "cn" })
  end)

  it("needs a default where there are several, and one that exists", function()
    assert.equal("site: the default one of the sites has to be named", refused { sites = two() })
    assert.equal('site: "intl" is none of the sites', refused { sites = two(), site = "intl" })
    assert.equal("aitoearn.client (mine)", tostring(aitoearn.new { sites = two(), site = "mine" }))
    assert.equal("aitoearn.client (intl)", tostring(aitoearn.new { sites = { intl = { api_key = "k" } } }))
  end)

  it("names what is wrong with one of them", function()
    for message, sites in pairs {
      ["sites.cn.api_key: missing"] = { cn = {} },
      ["sites.cn.api_key: "] = { cn = { api_key = "" } },
      ["sites.mine.server: missing"] = { mine = { api_key = "k" } },
      ["sites.mine.server: "] = { mine = { server = "us", api_key = "k" } },
      ["sites.mine.server[2]: "] = { mine = { server = { "https://a.example", 7 }, api_key = "k" } },
      ["sites.cn: table expected"] = { cn = "k" },
      ["sites: names of sites expected"] = { { api_key = "k" } },
    } do
      assert.equal(message, refused({ sites = sites }):sub(1, #message))
    end
    assert.equal("sites.cn.api_key: missing", refused { sites = { cn = {} } }) -- the environment's is not asked here
  end)
end)

describe("the environment", function()
  local program = [[
    local aitoearn = require "aitoearn"
    local ok, client = pcall(aitoearn.new, GIVEN)
    print(ok and client:stats().sites[client.defaults.site].endpoints[1].server or client)
  ]]
  local function run(given, environment)
    local source = program:gsub("GIVEN", given)
    return (assert(helper.script(source, "-u AITOEARN_API_KEY -u AITOEARN_SERVER " .. environment)))
  end

  it("brings the key and the server that are not given", function()
    assert.equal("https://aitoearn.cn", run("{}", "AITOEARN_API_KEY=k"))
    assert.equal("https://aitoearn.ai", run("{}", "AITOEARN_API_KEY=k AITOEARN_SERVER=intl"))
    assert.equal("https://a.example", run("nil", "AITOEARN_API_KEY=k AITOEARN_SERVER=https://a.example/"))
    assert.equal("https://b.example", run("{server='https://b.example', api_key='k'}", "AITOEARN_SERVER=us"))
  end)

  it("is named where the key is missing, empty, or wrong", function()
    assert.truthy(run("{}", ""):find("AITOEARN_API_KEY", 1, true))
    assert.truthy(run("{}", "AITOEARN_API_KEY="):find("AITOEARN_API_KEY", 1, true))
    local message = run("{}", "AITOEARN_API_KEY=" .. shell.quote "ak_secret\n")
    assert.truthy(message:find("AITOEARN_API_KEY: ", 1, true))
    assert.is_nil(message:find("ak_secret", 1, true))
  end)

  it("is not asked for the sites", function()
    local message = run("{sites={cn={}}}", "AITOEARN_API_KEY=k")
    assert.truthy(message:find "sites%.cn%.api_key: missing%s*$", message)
  end)
end)
