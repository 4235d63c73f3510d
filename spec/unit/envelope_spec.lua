local cjson = require "cjson"
local core = require "aitoearn.core"

local decode = core.decode

-- An envelope around a record; `more` is JSON text of further fields.
local function body(more)
  return '{"code":0,"message":"ok","data":{"id":"r1","accountType":"xhs","type":"video","status":1,'
    .. '"publishTime":"2026-07-02T12:00:00.000Z"' .. (more and "," .. more or "") .. "}}"
end

-- The message of what is refused, and the whole failure.
local function refused(text, kind)
  local value, failure = decode(text)
  assert.is_nil(value)
  assert.equal(kind or "protocol", failure.kind)
  return failure.message, failure
end

describe("an envelope", function()
  it("with another code is an api failure with what it says", function()
    local message, failure = refused('{"code":15000,"message":"gone","data":{},"requestId":"q1","timestamp":1}', "api")
    assert.equal("gone", message)
    assert.same({ 15000, "PublishRecordNotFound", "q1", nil },
      { failure.code, failure.name, failure.request_id, failure.ttl })
    assert.equal(30, select(2, refused('{"code":429,"message":"m","data":{"ttl":30}}', "api")).ttl)
    assert.equal(0.5, select(2, refused('{"code":429,"message":"m","data":{"ttl":0.5}}', "api")).ttl)
    assert.is_nil(select(2, refused('{"code":429,"message":"m","data":{"ttl":"30"}}', "api")).ttl)
    assert.is_nil(select(2, refused('{"code":429,"message":"m","data":[30]}', "api")).ttl)
  end)

  it("names each code that the platform lists", function()
    for constant, code in pairs(core.code) do
      if code ~= 0 then
        local _, failure = refused(('{"code":%d,"message":"m"}'):format(code), "api")
        assert.equal(constant, failure.name:gsub("(%l)(%u)", "%1_%2"):upper())
      end
    end
    assert.is_nil(select(2, refused('{"code":12345,"message":"m"}', "api")).name)
  end)

  it("does without a message", function()
    assert.equal("PublishRecordNotFound", (refused('{"code":15000}', "api")))
    assert.equal("error without a message", (refused('{"code":-7,"message":null}', "api")))
    assert.equal("error without a message", (refused('{"code":5,"message":""}', "api")))
    assert.equal("r1", assert(decode((body():gsub('"message":"ok",', "")))).id)
  end)

  it("with code 0 needs its data", function()
    assert.equal("data: object expected, got nothing", (refused '{"code":0}'))
    assert.equal("data: object expected, got null", (refused '{"code":0,"data":null}'))
    assert.equal("data: object expected, got string", (refused '{"code":0,"data":"x"}'))
    assert.truthy(refused('{"code":0,"data":{}}'):find "^data%.%a+: %a+ expected, got nothing$")
    assert.truthy(refused('{"code":0,"data":[1]}'):find "^data%.%a+: %a+ expected, got nothing$")
  end)

  it("needs a whole number as its code", function()
    for got, text in pairs {
      nothing = "{}", null = '{"code":null}', string = '{"code":"0"}', boolean = '{"code":true}',
      object = '{"code":{}}', number = '{"code":0.5}',
    } do
      assert.equal("not an envelope: code: integer expected, got " .. got, (refused(text)))
    end
    assert.equal("not an envelope: code: integer expected, got number", (refused '{"code":1e400}'))
    for got, text in pairs { array = "[1,2]", string = '"x"', number = "7", boolean = "true", null = "null" } do
      local expected = got == "array" and "code: integer expected, got nothing" or "object expected, got " .. got
      assert.equal("not an envelope: " .. expected, (refused(text)))
    end
  end)
end)

describe("a body", function()
  it("that is not JSON is refused with its first bytes kept", function()
    for _, text in ipairs {
      "", " ", "<html>", "{", '{"code":0', '{"code":0,}', "{'code':0}", "nonsense", '{"code":NaN}', '{"code":0x0}',
      '{"code":Infinity}', '{"code":0} trailing', "\1\2\3",
    } do
      local message, failure = refused(text)
      assert.equal("the answer is not JSON: ", message:sub(1, 24))
      assert.is_true(failure.not_json)
      assert.equal(text, failure.body)
    end
  end)

  it("that holds a NUL byte is refused, wherever it stands", function()
    assert.equal("the answer is not JSON: it holds a NUL byte", (refused(body() .. "\0")))
    assert.equal("the answer is not JSON: it holds a NUL byte", (refused(body() .. "\0junk")))
    assert.equal("the answer is not JSON: it holds a NUL byte", (refused("\0" .. body())))
    assert.equal("the answer is not JSON: it holds a NUL byte", (refused(body '"title":"a\0b"')))
  end)

  it("may nest 100 levels deep below data, and no deeper", function()
    local function nested(levels, open, close)
      return body('"linkMeta":{"a":' .. open:rep(levels - 2) .. "1" .. close:rep(levels - 2) .. "}")
    end
    for _, pair in ipairs { { '{"a":', "}" }, { "[", "]" } } do
      assert.is_table(decode(nested(100, pair[1], pair[2])))
      local message, failure = refused(nested(101, pair[1], pair[2]))
      assert.equal("the answer nests deeper than 100 levels", message)
      assert.is_nil(failure.not_json)
    end
    assert.equal("the answer nests deeper than 100 levels", (refused(("["):rep(200000))))
  end)

  it("is decoded apart from the program's own settings of lua-cjson", function()
    local before = cjson.decode_max_depth()
    cjson.decode_max_depth(2)
    local ok, r = pcall(decode, body '"linkMeta":{"a":{"b":{}}}')
    cjson.decode_max_depth(before)
    assert.is_true(ok)
    assert.is_table(r)
    assert.equal(1000, cjson.new().decode_max_depth())
    assert.is_table(cjson.decode(("["):rep(500) .. ("]"):rep(500)))
  end)

  it("has to be a string", function()
    assert.has_error(function() decode() end)
    assert.has_error(function() decode {} end)
    assert.has_error(function() decode(7) end)
  end)

  it("gives records no metatable, least of all one of a server's choice", function()
    assert.is_nil(getmetatable(decode(body '"__index":{"is_final":1},"__metatable":"x","__gc":"x"')))
  end)
end)
