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

  it("can show an id of any type", function()
    has(errors.new({ kind = "argument", message = "m" }, { record_id = 42 }), "record 42")
    has(errors.new({ kind = "argument", message = "m" }, { record_id = false }), "argument: m")
  end)
end)

describe("a hint", function()
  local function hint(failure)
    failure.message = "m"
    return errors.new(failure).hint
  end

  it("says what a person can do", function()
    for part, failure in pairs {
      ["belong to the other site"] = { kind = "api", code = 401 },
      ["may be wrong"] = { kind = "api", code = 19000 },
      ["web page"] = { kind = "protocol", not_json = true, body = " \n<!doctype html>", http_status = 200 },
      ["is this base URL the API?"] = { kind = "api", code = 404 },
      ["does not know the path"] = { kind = "http", http_status = 404 },
      ["client:locate"] = { kind = "api", code = 15000 },
      ["malformed record id"] = { kind = "api", code = 500 },
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

  it("can come with the failure", function()
    assert.equal("do this", hint { kind = "api", code = 401, hint = "do this" })
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
end)
