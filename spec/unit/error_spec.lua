local aitoearn = require "aitoearn"
local errors = require "aitoearn.error"

local KEY = "ak_cn_0123456789abcdef"

-- What a call makes of a server's answer.
local function heard(failure, context, key)
  errors.redact(failure, key)
  return errors.new(failure, context)
end

local function has(text, part)
  assert.truthy(tostring(text):find(part, 1, true), tostring(text))
end

describe("an error", function()
  it("takes the failure's facts and the call's", function()
    local err = errors.new({
      kind = "api", message = "Publish record not found", code = 15000, name = "PublishRecordNotFound",
      http_status = 200, request_id = "r1",
    }, { server = "https://aitoearn.cn", site = "cn", record_id = "x", attempts = { { kind = "api" } } })
    assert.equal("api", err.kind)
    assert.equal(15000, err.code)
    assert.equal("PublishRecordNotFound", err.name)
    assert.equal(200, err.http_status)
    assert.equal("r1", err.request_id)
    assert.equal("https://aitoearn.cn", err.server)
    assert.equal("cn", err.site)
    assert.equal("x", err.record_id)
    assert.is_false(err.retryable)
    assert.is_nil(err.retry_at)
    assert.same({ { kind = "api" } }, err.attempts)
  end)

  it("has attempts and retryable where nothing is known of them", function()
    local err = errors.new { kind = "argument", message = "m" }
    assert.same({}, err.attempts)
    assert.is_false(err.retryable)
  end)

  it("is told from other tables", function()
    assert.is_true(aitoearn.is_error(errors.new { kind = "dns", message = "m" }))
    for _, value in ipairs { "dns", 7, true, {}, print } do assert.is_false(aitoearn.is_error(value)) end
    assert.is_false(aitoearn.is_error(nil))
  end)
end)

describe("tostring of an error", function()
  it("is one line with all that helps", function()
    local err = errors.new({
      kind = "api", message = "Unauthorized", code = 401, name = "Unauthorized", http_status = 200, request_id = "r1",
    }, { server = "https://aitoearn.cn", record_id = "x", attempts = { {}, {}, {} } })
    assert.equal("api 401 Unauthorized: Unauthorized (HTTP 200, record x, https://aitoearn.cn, request r1, "
      .. "3 attempts); " .. err.hint, tostring(err))
  end)

  it("leaves out what is not known", function()
    assert.equal("closed: the client was closed", tostring(errors.new {
      kind = "closed", message = "the client was closed",
    }))
    assert.equal("api 42: m", tostring(errors.new { kind = "api", message = "m", code = 42 }))
  end)

  it("stays one line, whatever a server or a caller wrote", function()
    local failure = { kind = "api", code = 42, message = "a\r\nb\0c\td", request_id = "r\n1" }
    local err = heard(failure, { record_id = "x\ny" })
    assert.is_nil(tostring(err):find "%c")
    assert.equal("a b c d", err.message)
    assert.equal("r 1", err.request_id)
  end)

  it("stays one line with the controls beyond ASCII", function()
    local controls = "a\194\128b\194\133c\194\155d\194\159e\226\128\168f\226\128\169g\226\128\174h"
    local err = heard({ kind = "api", code = 42, message = controls, request_id = controls }, { record_id = controls })
    assert.equal("a b c d e f g h", err.message)
    assert.equal("a b c d e f g h", err.request_id)
    has(err, "record a b c d e f g h")
    local kept = "\194\160 \195\132 \226\128\166 \228\184\173 \240\159\152\128"
    assert.equal(kept, heard({ kind = "api", code = 42, message = kept }).message)
  end)

  it("has a message of at most 512 bytes, cut between two characters", function()
    for pad = 0, 3 do
      local message = ("x"):rep(pad) .. ("\228\184\173"):rep(3000)
      local err = heard({ kind = "api", code = 42, message = message })
      assert.is_true(#err.message <= 512 and #err.message > 504)
      assert.truthy(err.message:find "^x*[\228\184\173]+%.%.%.$")
      assert.equal(0, (#err.message - 3 - pad) % 3)
    end
    assert.equal(("y"):rep(512), heard({ kind = "api", code = 42, message = ("y"):rep(512) }).message)
    assert.equal(512, #errors.new({ kind = "goal", message = ("y"):rep(8e6) }).message)
    assert.is_true(#tostring(errors.new({ kind = "argument", message = "m" }, { record_id = ("y"):rep(8e6) })) < 1000)
  end)

  it("says an HTTP status once", function()
    local err = errors.new({ kind = "http", http_status = 503, message = "HTTP status 503" })
    assert.equal("http: HTTP status 503", tostring(err))
  end)

  it("says when to come back", function()
    local err = errors.new({ kind = "api", code = 42, message = "m" }, { retryable = true, retry_at = 1782993600.25 })
    assert.equal("api 42: m (retry at 2026-07-02 12:00:01 UTC)", tostring(err))
    err = errors.new({ kind = "api", code = 42, message = "m" }, { retry_at = 1e300 })
    assert.equal("api 42: m", tostring(err))
  end)

  it("can be joined to a text at either side", function()
    local err = errors.new({ kind = "api", code = 42, message = "m" })
    assert.equal("err: api 42: m", "err: " .. err)
    assert.equal("api 42: m!", err .. "!")
    assert.equal("api 42: mapi 42: m", err .. err)
  end)

  it("can show an id of any type", function()
    has(errors.new({ kind = "argument", message = "m" }, { record_id = 42 }), "record 42")
    has(errors.new({ kind = "argument", message = "m" }, { record_id = false }), "argument: m")
  end)
end)

describe("a hint", function()
  local function hint(failure, id, language)
    failure.message = failure.message or "m"
    return errors.new(failure, { record_id = id, language = language }).hint
  end

  it("says what a person can do", function()
    for part, failure in pairs {
      ["belong to the other site"] = { kind = "api", code = 401 },
      ["may be wrong"] = { kind = "api", code = 19000 },
      ["web page"] = { kind = "protocol", not_json = true, body = " \n<!doctype html>", http_status = 200 },
      ["is this base URL the API?"] = { kind = "api", code = 404 },
      ["does not know the path"] = { kind = "http", http_status = 404 },
      ["client:locate"] = { kind = "api", code = 15000 },
      ["2.4.1"] = { kind = "api", code = 404 },
      ["a cache on the way"] = { kind = "http", http_status = 304 },
      ["the proxy asks for a user name"] = { kind = "http", http_status = 407 },
      ["percent-encoded"] = { kind = "connect", proxy = true, message = "CONNECT tunnel failed, response 407" },
      ["about the proxy"] = { kind = "connect", proxy = true, message = "CONNECT tunnel failed, response 403" },
      ["cannot be read"] = { kind = "tls", bad_ca_file = true },
      ["cert_file and key_file"] = { kind = "tls", bad_cert_file = true },
      ["redirects are not followed"] = { kind = "http", http_status = 302 },
      ["ca_file"] = { kind = "tls" },
    } do
      has(hint(failure), part)
    end
  end)

  it("is not there where nothing helps", function()
    for _, failure in ipairs {
      { kind = "api", code = 42 }, { kind = "http", http_status = 502 }, { kind = "protocol", body = "{}" },
      { kind = "protocol", not_json = true, body = "nonsense" }, { kind = "tls", handshake = true }, { kind = "dns" },
    } do
      assert.is_nil(hint(failure))
    end
  end)

  it("says what is odd about an id, where that may be the cause", function()
    local good = "6877a1b2c3d4e5f601234567"
    for _, failure in ipairs { { kind = "api", code = 500 }, { kind = "api", code = 15000 }, { kind = "argument" },
      { kind = "api", code = 10002 }, { kind = "http", http_status = 404 } } do
      has(hint(failure, "https://aitoearn.cn/records/" .. good), "looks like a URL")
      has(hint(failure, " " .. good), "white space")
      has(hint(failure, good .. "\r\n"), "white space")
    end
    has(hint({ kind = "api", code = 500 }, "abc"), "24 hex digits")
    has(hint({ kind = "api", code = 500 }, good .. "0"), "24 hex digits")
    assert.is_nil(hint({ kind = "api", code = 500 }, good))
    assert.is_nil(hint({ kind = "api", code = 500 }))
    has(hint({ kind = "api", code = 15000 }, good), "client:locate")
    has(hint({ kind = "api", code = 401 }, "abc"), "may be wrong")
    assert.is_nil(hint({ kind = "timeout" }, " abc "))
  end)

  it("is Chinese where the client's language is", function()
    for _, language in ipairs { "zh-CN", "zh", "ZH-TW,en;q=0.5" } do
      has(hint({ kind = "api", code = 401 }, nil, language), "密钥")
    end
    for _, language in ipairs { "en", "de,zh;q=0.5", "" } do
      has(hint({ kind = "api", code = 401 }, nil, language), "the key may be wrong")
    end
    assert.is_nil(errors.new({ kind = "dns", message = "m" }, { language = "zh" }).language)
  end)

  it("can come with the failure", function()
    assert.equal("do this", hint { kind = "api", code = 401, hint = "do this" })
    has(hint { kind = "api", code = 429, hint = "held" }, "asked for a pause")
    has(hint({ kind = "api", code = 429, hint = "held" }, nil, "zh-CN"), "暂停")
  end)
end)

describe("an error of a write", function()
  it("is not retryable where the write may have happened", function()
    local err = errors.new({ kind = "timeout", message = "m" },
      { retryable = true, may_have_happened = true, flowId = "f1", flow = { flowId = "f1", tasks = {} } })
    assert.is_false(err.retryable)
    assert.is_true(err.may_have_happened)
    assert.equal("f1", err.flow.flowId)
    assert.equal("timeout: m (flow f1, it may have happened)", tostring(err))
  end)
end)

describe("errors.reason", function()
  it("is what the platform says of a record", function()
    assert.equal("quota", errors.reason { errorMsg = "quota", errorData = { message = "other" } })
    assert.equal("other", errors.reason { errorMsg = "", errorData = { message = "other", code = "15060" } })
    assert.equal("15060", errors.reason { errorData = { message = "", code = "15060" } })
    assert.equal("no link", errors.reason { linkError = "no link" })
    assert.is_nil(errors.reason { errorMsg = "", linkError = "" })
    assert.is_nil(errors.reason { errorMsg = 7, errorData = "x" })
  end)
end)

describe("the key", function()
  local function scrubbed(failure)
    failure.kind, failure.message = "api", failure.message or "m"
    local err = heard(failure, nil, KEY)
    for _, text in ipairs { err.message, err.request_id or "", err.body or "", tostring(err) } do
      assert.is_nil(text:find(KEY, 1, true))
    end
    return err
  end

  it("is blotted out wherever a server wrote it", function()
    assert.equal("key *** and ***, ***", scrubbed({ message = ("key %s and %s, %s"):format(KEY, KEY, KEY) }).message)
    assert.equal("req-***", scrubbed({ request_id = "req-" .. KEY }).request_id)
    assert.equal("<b>***</b>", scrubbed({ body = "<b>" .. KEY .. "</b>" }).body)
    assert.equal("******", scrubbed({ message = KEY .. KEY }).message)
  end)

  it("leaves no part of itself where the body is cut after 512 bytes", function()
    for before = 512 - #KEY - 2, 514 do
      local body = scrubbed({ body = ("x"):rep(before) .. KEY .. ("y"):rep(600) }).body
      assert.is_nil(body:find("ak", 1, true), before)
      assert.is_true(#body <= 515)
      assert.equal(("x"):rep(math.min(before, 512)), body:match "^x+")
    end
  end)

  it("is not a pattern", function()
    local err = heard({ kind = "api", message = "a.c abc %w%w" }, nil, "a.c")
    assert.equal("*** abc %w%w", err.message)
    assert.equal("% ***", heard({ kind = "api", message = "% %w%w" }, nil, "%w%w").message)
  end)

  it("does not change a text that does not hold it", function()
    local err = heard({ kind = "http", http_status = 502, message = "m", body = ("z"):rep(600) }, nil, KEY)
    assert.equal(("z"):rep(512), err.body)
  end)

  it("that is not known leaves texts as they are, in one line and cut", function()
    local err = heard { kind = "http", http_status = 502, message = "a\nb", body = ("z"):rep(600) }
    assert.same({ "a b", 512 }, { err.message, #err.body })
  end)

  it("takes the site's other secrets with it", function()
    local failure = { kind = "http", message = "a KEY b TOKEN-1 c KEYTOKEN-1", request_id = "TOKEN-1", body = "TOKEN-1KEY" }
    errors.redact(failure, "KEY", { "TOKEN-1" })
    assert.same({ "a *** b *** c ******", "***", "******" }, { failure.message, failure.request_id, failure.body })
  end)

  it("takes the user and the password of a URL with it", function()
    local failure = { kind = "connect", message = "Unsupported proxy scheme for 'htp://user:SECRET@proxy.example'" }
    errors.redact(failure, KEY)
    assert.equal("Unsupported proxy scheme for 'htp://***@proxy.example'", failure.message)
  end)
end)
