local aitoearn = require "aitoearn"
local helper = require "spec.helper"

local failure = helper.failure

describe("the API key", function()
  local p, key, client, seen

  setup(function()
    p = helper.start()
    key = p.cn.key
  end)
  teardown(helper.stop)
  after_each(helper.close)

  local function hook(event) seen[#seen + 1] = event end

  before_each(function()
    p:forget()
    seen = {}
    client = helper.clocked { on_event = hook }
  end)

  -- Fails where the key, or a good part of it, can be found.
  local function is_nowhere_in(...)
    for _, value in ipairs { ... } do
      for _, text in ipairs { key, key:sub(1, 16), key:sub(-16) } do
        assert.is_nil(helper.find_text(value, text))
        assert.is_nil(tostring(value):find(text, 1, true))
      end
    end
  end

  -- The error of a call whose answer is `text`, looked through.
  local function error_for(text, http)
    p:answer("answer", text)
    p:raw("answer", text)
    local _, err = client:get_record((http and "raw:" or "file:") .. "answer", { retry = false })
    is_nowhere_in(err, seen, client)
    return err
  end

  it("is found by this spec's own search", function()
    local found = { a = { setmetatable({}, { __index = { "x" .. key .. "y" } }) } }
    assert.is_string(helper.find_text(found, key))
    assert.is_string(helper.find_text({ [key] = 1 }, key))
    assert.equal(key, p:requests()[1] and p:requests()[1].api_key or key)
  end)

  it("was sent", function()
    helper.record(client:get_record "ok")
    assert.equal(key, p:requests()[1].api_key)
  end)

  it("is in no error of any kind, no event, no client", function()
    for _, id in ipairs {
      "code:401", "code:500", "code:429", "http:502", "html", "redirect", "close", "garbage", "truncate", "keyecho",
      "keyhtml", "queued", "deep:200", "headers:80000",
    } do
      local _, err = client:get_record(id)
      assert.is_true(aitoearn.is_error(err))
      is_nowhere_in(err, err.attempts)
    end
    for _, server in ipairs { p.closed, helper.NOWHERE, p.tls.expired } do
      is_nowhere_in(select(2, helper.clocked({ server = server, on_event = hook }):get_record "ok"))
    end
    is_nowhere_in(select(2, client:get_record("silent", { timeout = 0.1, retry = false })))
    is_nowhere_in(seen, client, client:stats())
    assert.is_true(#seen > 20)
    client:close()
    is_nowhere_in(select(2, client:get_record "ok"), client)
  end)

  it("is blotted out in a message and in a request id that hold it", function()
    local err = failure("api", client:get_record "keyecho")
    assert.equal("the key *** is not welcome", err.message)
    err = error_for(('{"code":400,"message":"m","requestId":"id-%s-%s"}'):format(key, key))
    assert.equal("id-***-***", err.request_id)
    err = error_for("HTTP/1.1 503 Busy\r\nx-request-id: a-" .. key .. "\r\nConnection: close\r\n\r\n<p>", true)
    assert.equal("a-***", err.request_id)
  end)

  it("is blotted out in a body", function()
    local err = failure("http", client:get_record("keyhtml", { retry = false }))
    assert.equal("<html><body>upstream refused X-Api-Key: ***</body></html>", err.body)
    assert.equal("*** is no JSON", error_for(key .. " is no JSON").body)
    assert.equal('{"no":"***"}', error_for(('{"no":"%s"}'):format(key)).body)
    error_for(('{"code":0,"data":{"id":{"%s":1}}}'):format(key))
    error_for(('{"code":"%s"}'):format(key))
    error_for(("HTTP/1.1 403 %s\r\nConnection: close\r\n\r\n%s"):format(key, key), true)
    error_for(("HTTP/1.1 302 Found\r\nLocation: http://x.example/?k=%s\r\nConnection: close\r\n\r\n"):format(key), true)
  end)

  it("is blotted out in the forms in which JSON, HTML and URLs write it", function()
    local function written(form)
      return (key:gsub(".", function(byte) return (form:format(byte:byte())) end))
    end
    for _, form in ipairs {
      written "\\u%04x", written "\\u%04X", written "&#%d;", written "&#x%X;", written "%%%02X", written "%%%02x",
      written "%%25%02X",
      key:sub(1, 4) .. written("\\u%04x"):sub(4 * 6 + 1),
    } do
      local body = ('{"code":401,"message":"bad %s","requestId":"%s"}'):format(form, form)
      p:raw("form", ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(#body, body))
      local _, err = client:get_record("raw:form", { retry = false })
      assert.same({ "bad ***", "***" }, { err.message, err.request_id }, form)
      p:raw("form", "HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n<p>" .. form .. "</p>")
      _, err = client:get_record("raw:form", { retry = false })
      assert.equal("<p>***</p>", err.body)
    end
  end)

  it("is sent, and blotted out, without the blanks around it", function()
    client = helper.clocked { api_key = "  " .. key .. " " }
    local err = failure("api", client:get_record "keyecho")
    assert.equal("the key *** is not welcome", err.message)
    is_nowhere_in(err)
    assert.equal(key, p:requests()[1].api_key)
    helper.record(helper.clocked({ api_key = function() return key .. " " end }):get_record "ok")
  end)

  it("leaves no part of itself where the body is cut", function()
    for before = 512 - #key - 1, 513 do
      local err = error_for(("x"):rep(before) .. key .. ("y"):rep(600))
      assert.equal(("x"):rep(math.min(before, 512)), err.body:match "^x+")
    end
  end)

  it("is not in what a later call is told about a hold", function()
    p:answer("held", ('{"code":429,"message":"too many for %s","data":{"ttl":60},"requestId":"%s"}'):format(key, key))
    is_nowhere_in(failure("api", client:get_record("file:held", { deadline = 1 })))
    is_nowhere_in(failure("api", client:get_record("ok", { deadline = 1 })))
  end)

  it("is not kept in the client while a hold lasts", function()
    p:answer("held", ('{"code":429,"message":"too many for %s","data":{"ttl":60},"requestId":"%s"}'):format(key, key))
    failure("api", client:get_record("file:held", { deadline = 1 }))
    is_nowhere_in(client, client:stats(), seen)
  end)

  it("is not in what a key function's failure is told by", function()
    for _, fn in ipairs {
      function() error("the vault said " .. key) end,
      function() error { secret = key } end,
      function() return key .. "\n" end,
      function() return nil, key end,
      function() return { key } end,
      function() return "" end,
    } do
      local err = failure("argument", helper.clocked({ api_key = fn, on_event = hook }):get_record "ok")
      assert.truthy(err.message:find "^api_key: ")
      is_nowhere_in(err, seen)
    end
    assert.same({}, p:requests())
  end)

  it("from a function is blotted out as well, the one that was sent", function()
    local count = 0
    local rotated = helper.clocked {
      api_key = function()
        count = count + 1
        return count == 1 and key or p.cn.limited_key
      end,
    }
    local err = failure("api", rotated:get_record(helper.fresh "http:502;keyecho"))
    assert.same({ key, p.cn.limited_key }, helper.column(p:requests(), "api_key"))
    assert.equal("the key *** is not welcome", err.message)
    is_nowhere_in(err)
  end)

  it("is in no text that shows a client, a site, or what they are made of", function()
    helper.record(client:get_record "ok")
    assert.equal("aitoearn.client (default)", tostring(client))
    is_nowhere_in(client, client.engine, client.site_list[1], client.sites.default)
  end)
end)
