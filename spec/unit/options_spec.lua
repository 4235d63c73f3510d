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
    bad = { "", "us", 1, true, {}, { "cn" }, { 1 }, "http://example.com", "https://example.com/api", nothing,
      "example.com", "https:/example.com", "https:///example.com", "https:example.com", "ftp://example.com",
      "https://例え.jp", "https://u:p@example.com", "https://example.com?", "https://example.com#/x",
      "https://exa mple.com" },
  },
  api_key = {
    good = { "k", ("k"):rep(4096), nothing, " k ", "a b" },
    bad = { "", " ", "    ", "a\nb", "a\0", "\127", ("k"):rep(4097), 7, true, {} },
  },
  sites = { good = { { cn = { api_key = "k" } } }, bad = { {}, "cn", 7, true } },
  site = { good = {}, bad = { "cn", 7, {} } },
  connect_timeout = seconds,
  timeout = seconds,
  deadline = seconds,
  retry = { good = { false, {}, { max_attempts = 1, base = 0, max_delay = 0 } }, bad = { true, 3, "no" } },
  max_connections = { good = { 1, 100 }, bad = { 0, -1, 1.5, 1 / 0, 0 / 0, "8", false } },
  max_response_bytes = { good = { 1, 2 ^ 40 }, bad = { 0, -1, 0.5, "1", false } },
  http2 = { good = { true, false }, bad = { 1, "yes", 2 } },
  ca_file = { good = { "/etc/passwd" }, bad = { "/no/such/file", "/etc", "", 7, true } },
  cert_file = { good = { "/etc/passwd" }, bad = { "/no/such/file", "/etc", "", 7, true } },
  key_file = { good = {}, bad = { "/no/such/file", "/etc/passwd", 7 } },
  headers = {
    good = { {}, { ["X-Env"] = "a" }, { Cookie = "a=b; c=d", ["X-Tenant"] = " t " } },
    bad = {
      7, "A: b", { "a" }, { ["A:"] = "b" }, { ["A b"] = "c" }, { [""] = "b" }, { A = "" }, { A = " " }, { A = 7 },
      { A = "b\r\nC: d" }, { ["X-Api-Key"] = "k" }, { ["x-api-key"] = "k" }, { ["X-Request-ID"] = "r" }, { HOST = "h" },
      { Accept = "a" }, { ["Accept-Encoding"] = "gzip" }, { ["Accept-Language"] = "de" }, { ["User-Agent"] = "me" },
      { ["Content-Type"] = "a/b" }, { ["Content-Length"] = "1" }, { ["Transfer-Encoding"] = "chunked" },
      { Connection = "close" }, { Expect = "100-continue" }, { ["Proxy-Authorization"] = "a" },
    },
  },
  proxy = {
    good = { "", "http://127.0.0.1:3128", "socks5h://127.0.0.1:1080", "proxy.example:3128", "HTTP://u:p%23@[::1]:1" },
    bad = { 7, true, {}, "htp://proxy.example", "http://u:pa#ss@proxy.example:3128", "http://", "http://p:99999", " ",
      "http://p.example x", "http://p\n", "http://u:1234#x@p.example", "http://p.example?x" },
  },
  user_agent = { good = { "me/1 (x)" }, bad = { "", " ", "a\r\nX: y", "a\0", 7, false } },
  accept_language = { good = { "en-US" }, bad = { "", "  ", "en\nUS", 7, false } },
  allow_http = { good = { true, false }, bad = { 1, "yes" } },
  max_rate = { good = { 0.01, 1, 1000 }, bad = { 0, -1, 1 / 0, 0 / 0, "1", false } },
  share = {
    good = { { acquire = nothing, give_back = nothing, report = nothing } },
    bad = { "", "no_dict_outside_nginx", 7, true, nothing, {}, { acquire = nothing, report = nothing } },
  },
  log = { good = { "info", "debug" }, bad = { "", "trace", "INFO", 7, true } },
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
    assert.equal("1: unknown option", refused { "k" })
    assert.equal("retry.tries: unknown option", refused { api_key = "k", retry = { tries = 3 } })
    assert.equal("sites.cn.key: unknown option", refused { sites = { cn = { key = "k" } } })
    assert.equal("TIMEOUT: unknown option", refused { api_key = "k", TIMEOUT = 3 })
  end)

  it("says which option was meant", function()
    local meant = ": unknown option; did you mean "
    assert.equal("time_out" .. meant .. "timeout?", refused { api_key = "k", time_out = 3 })
    assert.equal("apikey" .. meant .. "api_key?", refused { apikey = "k" })
    assert.equal("retry.max_atempts" .. meant .. "max_attempts?", refused { api_key = "k", retry = { max_atempts = 3 } })
    assert.equal("sites.cn.sever" .. meant .. "server?", refused { sites = { cn = { sever = "k" } } })
  end)

  it("says that it is called with a dot", function()
    assert.equal("new: call it with a dot, aitoearn.new { … }, not with a colon",
      helper.raised(function() aitoearn:new { api_key = "k" } end):match "^.-:%d+: (.*)$")
  end)

  it("takes a certificate's key together with the certificate alone", function()
    assert.equal("key_file: goes with cert_file", refused { api_key = "k", key_file = "/etc/passwd" })
    aitoearn.new({ api_key = "k", cert_file = "/etc/passwd", key_file = "/etc/passwd" }):close()
    assert.equal("sites.cn.key_file: goes with cert_file",
      refused { sites = { cn = { api_key = "k", key_file = "/etc/passwd" } }, cert_file = "/etc/passwd" })
  end)

  it("refuses plain http through a proxy, which would see the key", function()
    local given = { server = "http://127.0.0.1:80", api_key = "k", proxy = "http://proxy.example" }
    assert.truthy(refused(given):find "^proxy: http:// would show the key to the proxy")
    given.allow_http = true
    aitoearn.new(given):close()
    aitoearn.new({ server = "http://127.0.0.1:80", api_key = "k", proxy = "" }):close()
    aitoearn.new({ server = "https://127.0.0.1:80", api_key = "k", proxy = "http://proxy.example" }):close()
  end)

  it("shows no password of a proxy that it refuses", function()
    for _, proxy in ipairs { "htp://user:SECRET@proxy.example", "http://user:SEC#RET@proxy.example" } do
      assert.is_nil(refused({ api_key = "k", proxy = proxy }):find "SEC")
    end
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
      ["one with a control character (is there a line break at its end?)"] = "k\n", ["one of blanks"] = "  ",
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

-- The base URLs that a server's name or URL stands for.
local function urls_of(server)
  return options.read({ server = server, api_key = "k" }).sites[1].urls
end

describe("the option server", function()
  it("takes a public site by its name or its host, in any case", function()
    for given, expected in pairs {
      cn = "https://aitoearn.cn", CN = "https://aitoearn.cn", Intl = "https://aitoearn.ai",
      ["aitoearn.cn"] = "https://aitoearn.cn", ["AiToEarn.ai"] = "https://aitoearn.ai",
      ["HTTPS://AITOEARN.CN/"] = "https://aitoearn.cn", ["https://aitoearn.ai:443"] = "https://aitoearn.ai",
    } do
      assert.same({ expected }, urls_of(given))
    end
    assert.equal("cn", options.read({ server = "CN", api_key = "k" }).site)
    assert.equal("intl", options.read({ server = "aitoearn.ai", api_key = "k" }).site)
    assert.equal("default", options.read({ server = "https://example.com", api_key = "k" }).site)
  end)

  it("says what to write in the place of a page's URL", function()
    for page, name in pairs {
      ["https://aitoearn.cn/console/api-keys"] = "cn", ["https://AITOEARN.ai/zh-CN/accounts"] = "intl",
      ["https://aitoearn.cn:443/x/"] = "cn",
    } do
      assert.equal(('server: that is a page of the platform, not its API: write "%s"'):format(name),
        refused { server = page, api_key = "k" })
    end
  end)

  it("keeps schemes and hosts in lower case, without a default port, and paths as they are", function()
    assert.same({ "https://example.com/Prefix" }, urls_of "HTTPS://Example.COM:443/Prefix//")
    assert.same({ "http://localhost" }, urls_of "http://LOCALHOST:80")
    assert.same({ "http://[::1]:8080" }, urls_of "http://[::1]:8080/")
    assert.equal("server[2]: https://a.example is there twice",
      refused { server = { "https://a.example", "https://A.example:443/" }, api_key = "k" })
  end)

  it("takes addresses alone for this machine's", function()
    for _, url in ipairs {
      "http://127.0.0.1", "http://127.255.255.255", "http://localhost", "http://[::1]:1", "HTTP://LocalHost",
    } do
      urls_of(url)
    end
    for _, url in ipairs {
      "http://127.0.0.256", "http://127.0.0.1.example", "http://127.0.0.1000", "http://128.0.0.1", "http://localhost.example",
      "http://[::2]", "http://127.0.0", "http://x127.0.0.1",
    } do
      assert.truthy(url == "http://127.0.0" or refused({ server = url, api_key = "k" }):find("allow_http", 1, true), url)
    end
  end)

  it("says what is missing of a URL", function()
    assert.equal("server: two slashes and a host expected after https:",
      refused { server = "https:/example.com", api_key = "k" })
    assert.truthy(refused({ server = "https://例え.jp", api_key = "k" }):find("xn--", 1, true))
  end)
end)

describe("what a site is made of", function()
  it("holds the client's headers and the site's own, and the secrets in both", function()
    local read = options.read {
      site = "cn", headers = { ["X-Env"] = "staging", Cookie = "session=1" },
      sites = {
        cn = { api_key = "k" },
        intl = { api_key = "k", headers = { cookie = "b", Authorization = "Bearer TOKEN-123" } },
      },
      proxy = "http://user:pass%23word@proxy.example",
    }
    assert.same({ "Cookie: session=1", "X-Env: staging" }, read.sites[1].headers)
    assert.same({ "Authorization: Bearer TOKEN-123", "X-Env: staging", "cookie: b" }, read.sites[2].headers)
    local secrets = {}
    for _, secret in ipairs(read.sites[2].secrets) do secrets[secret] = true end
    assert.same({ ["staging"] = true, ["Bearer TOKEN-123"] = true, ["TOKEN-123"] = true, ["pass%23word"] = true,
      ["pass#word"] = true }, secrets)
  end)

  it("holds its own certificate, else the client's", function()
    local read = options.read {
      site = "cn", cert_file = "/etc/passwd", key_file = "/etc/group",
      sites = { cn = { api_key = "k" }, intl = { api_key = "k", cert_file = "/etc/hosts" } },
    }
    assert.same({ "/etc/passwd", "/etc/group" }, { read.sites[1].cert_file, read.sites[1].key_file })
    assert.equal("/etc/hosts", read.sites[2].cert_file)
    assert.is_nil(read.sites[2].key_file)
  end)

  it("holds the key without the blanks around it, from a function too", function()
    assert.equal("a b", options.read({ api_key = "  a b " }).sites[1].api_key())
    assert.equal("k", options.read({ api_key = function() return " k" end }).sites[1].api_key())
    local key, problem = options.read({ api_key = function() return "  " end }).sites[1].api_key()
    assert.is_nil(key)
    assert.truthy(problem:find("one of blanks", 1, true))
  end)

  it("says whether its key comes from a function", function()
    assert.is_true(options.read({ api_key = nothing }).sites[1].calls_back)
    assert.is_false(options.read({ api_key = "k" }).sites[1].calls_back)
  end)
end)

describe("the sizes of answers", function()
  it("are 1 MiB, for lists 8, until the option is set", function()
    local read = options.read { api_key = "k" }
    assert.same({ 2 ^ 20, 2 ^ 23 }, { read.max_response_bytes, read.max_list_bytes })
    read = options.read { api_key = "k", max_response_bytes = 1000 }
    assert.same({ 1000, 1000 }, { read.max_response_bytes, read.max_list_bytes })
  end)
end)

describe("the options of a call", function()
  local defaults = options.read { api_key = "k" }

  it("take response where there is one answer, and not in batches and waits", function()
    local response = {}
    assert.equal(response, options.read_call({ response = response }, defaults).response)
    local ok, message = pcall(options.read_call, { response = {} }, defaults, {})
    assert.same({ false, "response: unknown option" }, { ok, message })
    assert.truthy(options.read_call({ response = response }, defaults, { response = options.response_rule }).response)
  end)

  it("say which one was meant", function()
    local ok, message = pcall(options.read_call, { dedline = 3 }, defaults, {})
    assert.same({ false, "dedline: unknown option; did you mean deadline?" }, { ok, message })
  end)

  it("take a request id that a header can carry", function()
    assert.equal("a b", options.read_call({ request_id = " a b " }, defaults).request_id)
    for _, bad in ipairs { "", "  ", "a\n", ("r"):rep(129), 7 } do
      local ok, message = pcall(options.read_call, { request_id = bad }, defaults)
      assert.is_false(ok)
      assert.equal(1, (message:find("request_id: string of 1 to 128 bytes", 1, true)))
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

  it("is named where the key is missing or empty", function()
    assert.truthy(run("{}", ""):find("AITOEARN_API_KEY", 1, true))
    assert.truthy(run("{}", "AITOEARN_API_KEY="):find("AITOEARN_API_KEY", 1, true))
  end)

  -- The error of a call made in this environment.
  local function error_in(environment, given)
    local source = ([[
      local client = require("aitoearn").new(GIVEN)
      local _, err = client:get_record "6877a1b2c3d4e5f601234567"
      print(err.kind, err.message, #err.attempts, err.hint)
    ]]):gsub("GIVEN", given or "{retry=false}")
    local unset = "-u AITOEARN_API_KEY -u AITOEARN_SERVER -u CURL_CA_BUNDLE -u SSL_CERT_FILE -u no_proxy -u NO_PROXY "
      .. "-u http_proxy -u https_proxy -u HTTPS_PROXY -u all_proxy -u ALL_PROXY "
    return (assert(helper.script(source, unset .. environment)))
  end

  it("that is wrong ends each call, and is named", function()
    local message = error_in("AITOEARN_API_KEY=" .. shell.quote "ak_secret\n")
    assert.truthy(message:find("^argument\tAITOEARN_API_KEY: a key expected, got one with a control character"))
    assert.is_nil(message:find("ak_secret", 1, true))
    message = error_in "AITOEARN_API_KEY=k AITOEARN_SERVER=us"
    assert.truthy(message:find('^argument\tAITOEARN_SERVER: "cn", "intl", or a base URL'), message)
  end)

  it("names a CA file; one that cannot be read ends the calls over https", function()
    local local_https = "{server='https://127.0.0.1:1', api_key='k', retry=false}"
    local local_http = local_https:gsub("https", "http")
    for _, name in ipairs { "AITOEARN_CA_FILE", "SSL_CERT_FILE", "CURL_CA_BUNDLE" } do
      local message = error_in(name .. "=/no/such/file", local_https)
      assert.equal(1, (message:find("tls\t" .. name .. ": the CA file cannot be read: /no/such/file", 1, true)), message)
      assert.truthy(error_in(name .. "=/etc", local_https):find(name .. ": the CA file cannot be read: /etc", 1, true))
      assert.truthy(error_in(name .. "=/no/such/file", local_http):find "^connect")
      assert.truthy(error_in(name .. "=/no/such/file", "{server='https://127.0.0.1:1', api_key='k', retry=false, "
        .. "ca_file='/etc/ssl/certs/ca-certificates.crt'}"):find "^connect")
    end
    assert.truthy(error_in("AITOEARN_CA_FILE=/etc/passwd SSL_CERT_FILE=/no/such/file", local_https):find "^connect")
  end)

  it("names a proxy; one that cannot be read ends the calls that would go through it, without its password", function()
    local bad = "http://user:pa#SECRET@proxy.example:3128"
    local local_https = "{server='https://127.0.0.1:1', api_key='k'}"
    for _, name in ipairs { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" } do
      local message = error_in(name .. "=" .. shell.quote(bad), local_https)
      assert.equal(1, (message:find("connect\t" .. name .. ": URL of a proxy", 1, true)), message)
      local hint = "expected\t0\tthis is about the proxy that the environment names (" .. name
      assert.truthy(message:find(hint, 1, true), message)
      assert.is_nil(message:find("SECRET", 1, true))
    end
    local function says(text, environment, given)
      local message = error_in(environment .. "=" .. shell.quote(bad), "{api_key='k', retry=false, " .. given .. "}")
      assert.equal(1, (message:find("connect\t" .. text, 1, true)), message)
    end
    says("http_proxy: URL of a proxy", "http_proxy", "server='http://127.0.0.1:1', allow_http=true")
    says("Failed to connect to 127", "http_proxy", "server='http://127.0.0.1:1'")
    says("Failed to connect to 127", "https_proxy", "server='http://127.0.0.1:1', allow_http=true")
    says("Failed to connect to 127", "https_proxy", "server='https://127.0.0.1:1', proxy=''")
  end)

  it("names a level of logging, and is ignored where it names none", function()
    local function level(environment, given)
      local source = ("print(require('aitoearn.options').read(%s).log)"):format(given or "{api_key='k'}")
      return (assert(helper.script(source, environment)):gsub("%s", ""))
    end
    assert.equal("info", level "AITOEARN_LOG=info")
    assert.equal("debug", level "AITOEARN_LOG=debug")
    assert.equal("nil", level "AITOEARN_LOG=everything")
    assert.equal("debug", level("AITOEARN_LOG=info", "{api_key='k', log='debug'}"))
  end)

  it("is not asked for the sites", function()
    local message = run("{sites={cn={}}}", "AITOEARN_API_KEY=k")
    assert.truthy(message:find "sites%.cn%.api_key: missing%s*$", message)
  end)
end)
