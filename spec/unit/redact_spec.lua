local redact = require "aitoearn.redact"

local ODD = 'sk/a+b=&<"\'\\ \\\\d c\195\164\228\184\173\240\159\152\128%z'

-- What a text with this form of a secret in it becomes.
local function cleaned(form, secret) return redact.redact("<" .. form .. ">", { secret or ODD }, 10000) end

local function each_byte(text, form)
  return (text:gsub(".", function(byte) return form:format(byte:byte()) end))
end

-- Each character of UTF-8, by its code.
local function each_code(text, form)
  return (text:gsub("[%z\1-\127\194-\244][\128-\191]*", function(char)
    local code = char:byte()
    if #char > 1 then code = code % (#char == 2 and 0x20 or #char == 3 and 0x10 or 0x08) end
    for i = 2, #char do code = code * 64 + char:byte(i) % 64 end
    return form(code)
  end))
end

local function json(code)
  if code <= 0xFFFF then return ("\\u%04x"):format(code) end
  code = code - 0x10000
  return ("\\u%04x\\u%04X"):format(0xD800 + math.floor(code / 0x400), 0xDC00 + code % 0x400)
end

local HTML = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

describe("a secret is taken out", function()
  local forms = {
    ["as it is"] = ODD,
    ["with JSON's escapes"] = ODD:gsub('[/"\\]', "\\%0"),
    ["with JSON's escapes twice"] = ODD:gsub('[/"\\]', "\\%0"):gsub('[/"\\]', "\\%0"),
    ["with each character as JSON's code"] = each_code(ODD, json),
    ["with each character as JSON's code in capitals"] = each_code(ODD, json):gsub("%x%x%x%x", string.upper),
    ["with HTML's entities"] = ODD:gsub("[&<>\"']", HTML),
    ["with HTML's entities twice"] = ODD:gsub("[&<>\"']", HTML):gsub("&", "&amp;"),
    ["with HTML's numbers"] = each_code(ODD, function(code) return ("&#%d;"):format(code) end),
    ["with HTML's hexadecimal numbers"] = each_code(ODD, function(code) return ("&#x%x;"):format(code) end),
    ["percent-encoded"] = each_byte(ODD, "%%%02X"),
    ["percent-encoded in small letters"] = each_byte(ODD, "%%%02x"),
    ["percent-encoded as far as it has to be"] = ODD:gsub("[^A-Za-z0-9]", function(c) return ("%%%02X"):format(c:byte()) end),
    ["as a form"] = ODD:gsub("[^A-Za-z0-9 ]", function(c) return ("%%%02X"):format(c:byte()) end):gsub(" ", "+"),
  }
  for name, form in pairs(forms) do
    it(name, function() assert.equal("<***>", cleaned(form)) end)
  end

  it("percent-encoded twice", function() assert.equal("<***>", cleaned("%252F%252525C3%25A4", "/\195\164")) end)

  it("where its bytes are no UTF-8, and a server read them as Latin-1", function()
    assert.equal("<***>", cleaned("k\\u00e4y", "k\228y"))
    assert.equal("<***>", cleaned("k%E4y", "k\228y"))
  end)

  it("each time, and of several the longest", function()
    assert.equal("*** ***, ***", redact.redact("ab a%62, abc", { "ab", "abc" }, 100))
  end)

  it("whole where the text is cut behind it, or within it", function()
    local secret = "0123456789abcdef"
    assert.equal("x***", redact.redact("x" .. secret .. "yz", { secret }, 2))
    assert.equal("%***", redact.redact("%" .. secret:sub(1, 12), { secret }, 100))
    assert.equal("***", redact.redact("%30%31%32%33%34%35%36%37%38%3", { secret }, 100))
    assert.equal("%0123", redact.redact("%0123", { secret }, 100))
  end)
end)

describe("redact", function()
  it("leaves all else as it is", function()
    for _, text in ipairs {
      "", "100 % of \\ and & and &amp; and %41 and \\u0041", "sk/a+b=", "a&#47;b", "%", "\\", "&", "%zz",
    } do
      assert.equal(text, redact.redact(text, { ODD }, 10000))
    end
  end)

  it("reads no more than the limit", function()
    assert.equal("abc", redact.redact("abcdef", {}, 3))
    assert.equal("a%c", redact.redact("a%cdef", { "x" }, 3))
  end)

  it("is quick with a text made to be slow", function()
    local started = os.clock()
    for _, part in ipairs { "\\", "%25", "&amp;", "%", "&", "&#0000", "\\u" } do
      redact.redact(part:rep(8192), { ODD, part:rep(100) .. "x" }, 1024)
    end
    assert.is_true(os.clock() - started < 5)
  end)

  it("takes user names and passwords out of URLs", function()
    assert.equal("'http://***@h:1/p' and socks5://***@h", redact.urls "'http://u:p#@h:1/p' and socks5://u@h")
    assert.equal("https://h/a@b me@example.com", redact.urls "https://h/a@b me@example.com")
  end)
end)
