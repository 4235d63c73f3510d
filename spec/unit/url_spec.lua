local base_url = require "aitoearn.base_url"
local core = require "aitoearn.core"

local function refused(server, allow_http)
  local urls, problem, place = base_url.read(server, allow_http)
  assert.is_nil(urls)
  return problem, place
end

describe("parse_url", function()
  it("takes a URL apart", function()
    assert.same({
      scheme = "https", user = "u", password = "p", host = "example.com", port = "8443", path = "/a/b", query = "q=1",
      fragment = "f",
    }, core.parse_url "https://u:p@example.com:8443/a/b?q=1#f")
    assert.same({ scheme = "http", host = "[::1]", path = "/" }, core.parse_url "http://[::1]")
  end)

  it("answers nil for what is no URL", function()
    for _, text in ipairs { "", "aitoearn.cn", "https://", "http://a b/", "https://[::1", "https://x:99999999/" } do
      local url, problem = core.parse_url(text)
      assert.is_nil(url, text)
      assert.equal("not a URL", problem)
    end
  end)
end)

describe("a server", function()
  it("can be one of the two public sites", function()
    assert.same({ "https://aitoearn.cn" }, base_url.read "cn")
    assert.same({ "https://aitoearn.ai" }, base_url.read "intl")
    assert.same({ "https://aitoearn.cn" }, base_url.read "CN")
    assert.same({ "https://aitoearn.ai" }, base_url.read "AiToEarn.ai")
  end)

  it("can be a base URL, which loses its slashes at the end", function()
    for given, url in pairs {
      ["https://example.com"] = "https://example.com",
      ["https://example.com/"] = "https://example.com",
      ["https://example.com:8443//"] = "https://example.com:8443",
      ["https://example.com/prefix/"] = "https://example.com/prefix",
      ["https://example.com/api-gateway"] = "https://example.com/api-gateway",
      ["HTTPS://Example.com:443/X"] = "https://example.com/X",
      ["https://[2001:db8::1]:8443"] = "https://[2001:db8::1]:8443",
    } do
      assert.same({ url }, base_url.read(given))
    end
  end)

  it("can be a list of base URLs of one site, which keeps its order", function()
    local urls = base_url.read { "https://b.example/", "https://a.example/x" }
    assert.same({ "https://b.example", "https://a.example/x" }, urls)
  end)

  it("can be http on this machine", function()
    for _, url in ipairs {
      "http://127.0.0.1", "http://127.0.0.1:8080", "http://127.255.0.9:1", "http://localhost:3000", "http://[::1]:81",
      "http://[::1]",
    } do
      assert.same({ url }, base_url.read(url))
    end
  end)

  it("cannot be http anywhere else unless that is allowed", function()
    for _, url in ipairs {
      "http://example.com", "http://10.0.0.1", "http://localhost.example.com", "http://127.0.0.1.example.com",
      "http://example.com/127.0.0.1", "http://[::2]", "http://0.0.0.0", "http://1270.0.0.1.de",
      "http://127.0.0.256", "http://127.0.0.1.5",
    } do
      assert.truthy(refused(url):find("allow_http", 1, true), url)
      assert.same({ url }, base_url.read(url, true))
    end
  end)

  it("cannot hold a user, a query, or a fragment", function()
    for _, url in ipairs {
      "https://user@example.com", "https://user:word@example.com", "https://:word@example.com",
      "http://127.0.0.1@example.com",
    } do
      assert.equal("a base URL holds no user name or password", refused(url))
    end
    for _, url in ipairs { "https://example.com?x", "https://example.com/?x=1", "https://example.com#x" } do
      assert.equal("a base URL holds no query or fragment", refused(url))
    end
  end)

  it("cannot hold an empty query or fragment either", function()
    for _, url in ipairs { "https://example.com/?", "https://example.com/#" } do
      assert.is_nil((base_url.read(url)), url)
    end
  end)

  it("ends before /api, and says so", function()
    for _, url in ipairs { "https://example.com/api", "https://example.com/api/", "https://example.com/x/api//" } do
      assert.equal("a base URL ends before /api: leave it out", refused(url))
    end
  end)

  it("cannot be what is no URL", function()
    for _, text in ipairs { "", "us", "example.com", "ftp://example.com", "file:///etc/passwd", "xhttps://example.com" } do
      assert.equal('"cn", "intl", or a base URL with http:// or https:// expected', refused(text))
    end
    for _, text in ipairs { "https://", "https:/example.com", "https:///example.com", "HTTPS:example.com" } do
      assert.equal("two slashes and a host expected after https:", refused(text))
    end
    assert.equal("a base URL (https://host:port) expected", refused "https://example.com:99999")
    for _, text in ipairs {
      "https://example.com/a b", "https://example.com\r\nX: y", " https://example.com", "https://x\0",
    } do
      assert.equal("a base URL holds no spaces or control characters", refused(text))
    end
  end)

  it("cannot be a list that mixes sites, has a URL twice, or something else in it", function()
    local problem, place = refused { "https://aitoearn.cn", "https://aitoearn.ai" }
    assert.truthy(problem:find("use the option sites", 1, true))
    assert.equal(2, place)
    problem, place = refused { "https://a.example", "https://aitoearn.ai/" }
    assert.truthy(problem:find("https://aitoearn.ai is intl", 1, true))
    assert.equal(2, place)
    problem, place = refused { "https://a.example", "https://a.example/" }
    assert.equal("https://a.example is there twice", problem)
    assert.equal(2, place)
    problem, place = refused { "https://a.example", 7 }
    assert.equal("base URL expected, got number", problem)
    assert.equal(2, place)
    problem, place = refused { "https://a.example", "cn" }
    assert.equal('"cn", "intl", or a base URL with http:// or https:// expected', problem)
    assert.equal(2, place)
  end)
end)

describe("a segment", function()
  local encode = core.encode_segment

  it("keeps what RFC 3986 does not reserve, and encodes all else", function()
    assert.equal("azAZ09-._~", encode "azAZ09-._~")
    assert.equal("2026-07-02T12%3A00%3A00.000Z%2B%2C%2F%3F%23%25%26%3D%20", encode "2026-07-02T12:00:00.000Z+,/?#%&= ")
    assert.equal("%00%7F%C3%A9", encode "\0\127é")
    assert.equal("", encode "")
    assert.equal(("%2F"):rep(100000), encode(("/"):rep(100000)))
    assert.has_error(function() encode() end)
  end)
end)
