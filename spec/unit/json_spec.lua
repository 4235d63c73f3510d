local cjson = require "cjson"
local core = require "aitoearn.core"
local json = require "aitoearn.json"

local function message(value)
  local ok, problem = pcall(json.encode, value, "post")
  assert.is_false(ok)
  return problem
end

describe("JSON", function()
  it("has strings as they are, and escapes only what it must", function()
    assert.equal([["a/b é 😀 \"\\ \n\r\t\u0000\u001f\u007f"]], json.encode("a/b é 😀 \"\\ \n\r\t\0\31\127"))
  end)

  it("has numbers that read back the same", function()
    for _, number in ipairs { 0, 1, -1, 1.5, 0.1, 1 / 3, 123456789012345, 2 ^ 53, -2 ^ 53 + 1, 2 ^ 62, 1e300, 5e-324 } do
      assert.equal(number, tonumber(json.encode(number)))
    end
    assert.same({ "1", "0.1" }, { json.encode(1.0), json.encode(0.1) })
  end)

  it("has 64 bits where Lua has them", function()
    if math.type then
      assert.equal("[9223372036854775807,-9223372036854775808]", json.encode { math.maxinteger, math.mininteger })
    end
    assert.equal("9007199254740992", json.encode(9007199254740992))
  end)

  it("has objects in a fixed order, the named keys first", function()
    assert.equal('{"a":1,"b":{"y":2,"z":1},"c":true}', json.encode { c = true, a = 1, b = { z = 1, y = 2 } })
    local value = { a = cjson.null, status = 1, id = "r1" }
    assert.equal('{"id":"r1","status":1,"a":null}', json.encode(value, nil, core.record_fields))
  end)

  it("has arrays that stay arrays", function()
    assert.equal('[1,[2],{"a":[]}]', (json.encode { 1, { 2 }, { a = {} } }:gsub("{}", "[]")))
    assert.equal('{"imgUrlList":[],"linkMeta":{}}', json.encode { imgUrlList = {}, linkMeta = {} })
    local post = { content = { media = {} }, items = { { option = {} } } }
    assert.equal('{"content":{"media":[]},"items":[{"option":{}}]}', json.encode(post))
  end)

  it("has a record as the API wrote it", function()
    local text = '{"id":"r1","accountType":"xhs","type":"video","status":-1,"title":"a/b",'
      .. '"publishTime":"2026-07-02T12:00:00.000Z","linkMeta":{"big":123456789012345,"list":[1,2.5,null]},"imgUrlList":[],'
      .. '"errorData":{"code":"","message":"m","type":"auth"},"later":"x"}'
    local record = assert(core.decode('{"code":0,"data":' .. text .. "}"))
    assert.equal(text, json.encode(record, "record", core.record_fields))
  end)

  it("says where it cannot be", function()
    assert.equal("post.a[2]: JSON has no function", message { a = { 1, print } })
    assert.equal("post: JSON has no nil", message(nil))
    assert.equal("post.n: JSON has neither NaN nor infinities", message { n = 0 / 0 })
    assert.equal("post.n: JSON has neither NaN nor infinities", message { n = -math.huge })
    assert.equal("post.c: JSON has no thread", message { c = coroutine.create(function() end) })
    assert.equal("post.f: JSON has no userdata", message { f = io.stdout })
    local shape = "neither an array without holes nor an object whose keys are strings"
    assert.equal("post.items: " .. shape, message { items = { 1, nil, 3 } })
    assert.equal("post: " .. shape, message { 1, x = 2 })
    assert.equal("post: " .. shape, message { [1.5] = 1 })
    assert.equal("post: " .. shape, message { [0] = 1 })
    local cycle = {}
    cycle.a = { cycle }
    assert.equal("post: nests deeper than 100 levels, or in itself", message(cycle))
  end)

  it("asks no metatable of what it writes", function()
    local asked = setmetatable({ 1, 2 }, { __index = error, __len = error, __pairs = error, __tostring = error })
    assert.equal("[1,2]", json.encode(asked))
  end)
end)
