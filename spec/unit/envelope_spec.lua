local cjson = require "cjson"
local core = require "aitoearn.core"
local helper = require "spec.helper"
local shell = require "spec.platform.shell"

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

  it("keeps what its data says beside", function()
    local _, failure = refused('{"code":15025,"message":"m","data":{"flowId":"f1","ttl":"x","retryable":1}}', "api")
    assert.same({ "f1", nil, nil, nil }, { failure.flowId, failure.ttl, failure.data_retryable, failure.issues })
    assert.is_false(select(2, refused('{"code":15071,"data":{"retryable":false}}', "api")).data_retryable)
    assert.is_true(select(2, refused('{"code":15094,"data":{"retryable":true}}', "api")).data_retryable)
    _, failure = refused('{"code":15051,"data":{"platform":"xhs","accountId":"a1","issues":["too long",{"n":1}]}}', "api")
    assert.same({ platform = "xhs", accountId = "a1", issues = { "too long", { n = 1 } } }, failure.issues)
    for _, data in ipairs { "null", "[]", '"x"', '{"issues":"x"}', '{"flowId":7}' } do
      _, failure = refused('{"code":15051,"data":' .. data .. "}", "api")
      assert.same({ nil, nil }, { failure.issues, failure.flowId })
    end
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

  it("may hold half a surrogate pair, which becomes U+FFFD", function()
    local mark = "\239\191\189"
    local cases = {
      [ [[\ud83c]] ] = mark, [ [[a\udf08b]] ] = "a" .. mark .. "b", [ [[\ud83d\ude00\ud83d]] ] = "😀" .. mark,
      [ [[\uD83Dx\uDE00]] ] = mark .. "x" .. mark, [ [[\ud83c\ud83d\ude00]] ] = mark .. "😀",
      [ [[\ud83c\n]] ] = mark .. "\n", [ [[\\ud83c\udc00\\]] ] = "\\ud83c" .. mark .. "\\",
    }
    for escaped, text in pairs(cases) do
      assert.equal(text, assert(decode(body('"title":"' .. escaped .. '"'))).title)
      assert.equal(1, assert(decode(body('"linkMeta":{"' .. escaped .. '":1}'))).linkMeta[text])
    end
    for _, escaped in ipairs { "\\ud83c\\u12", "\\ud83c\\", "\\u", "\\ud8", "\\ud83g" } do
      assert.is_true(select(2, refused(body('"title":"' .. escaped .. '"'))).not_json)
      assert.is_true(select(2, refused('{"title":"' .. escaped)).not_json)
    end
  end)

  it("holds a million values at most, or one for 8 bytes, a table counting as four", function()
    local function list(element, count) return body('"later":[' .. (element .. ","):rep(count - 1) .. element .. "]") end
    assert.is_table(decode(list("[]", 199000)))
    assert.is_table(decode(list("1", 999000)))
    assert.is_table(decode(list('"[[,,[[\\\\\\"[,"', 100000))) -- in strings they count for nothing
    for _, text in ipairs { list("[]", 201000), list("{}", 201000), list("1", 1001000) } do
      local message, failure = refused(text)
      assert.equal("the answer holds too many values", message)
      assert.is_nil(failure.not_json)
    end
    assert.is_table(decode(list('"' .. ("x"):rep(40) .. '"', 1001000)))
  end)

  it("holds ten thousand long names at most: they can be made to collide", function()
    local function names(count, length)
      local parts = {}
      for i = 1, count do parts[i] = ('"%s%06d":1'):format(("x"):rep(length - 6), i) end
      return body('"linkMeta":{' .. table.concat(parts, ",") .. "}")
    end
    assert.is_table(decode(names(9800, 32)))
    assert.is_table(decode(names(20000, 31)))
    assert.equal("the answer holds too many values", (refused(names(10000, 40))))
    assert.equal("the answer holds too many values", (refused((names(10000, 32):gsub(":1", " :1")))))
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

describe("lua-cjson", function()
  -- Lets a debug hook raise a value at the `at`-th event within the decoder; whether there were so many, and what pcall
  -- says.
  local function interrupted(text, at, value)
    local count, inside = 0, false
    debug.sethook(function()
      count = inside and count + 1 or count
      if inside and count == at then
        inside = false
        error(value, 0)
      end
    end, "cr")
    local results = { pcall(function()
      inside = true
      local record, failure = decode(text)
      inside = false
      return record, failure
    end) }
    debug.sethook()
    return count >= at, results
  end

  it("is not blamed for what a debug hook raises", function()
    local like_cjson = "Expected patience but found none"
    for _, value in ipairs { "interrupted!", {}, 7, false, like_cjson, "at character 7", "Expected x at character 7!",
      "Expected x but found y at character 99999999999" } do
      local raised = 0
      for at = 1, 12 do
        local fired, results = interrupted(body(), at, value)
        if fired then
          assert.same({ false, value }, results)
          raised = raised + 1
        elseif results[1] then
          assert.equal("r1", results[2].id)
        end
      end
      assert.is_true(raised > 0)
    end
  end)

  it("is asked for, by name, where it is missing", function()
    local output = helper.script [[
      package.preload.cjson = nil
      for path in pairs(package.loaded) do if path:find "cjson" then package.loaded[path] = nil end end
      package.cpath = package.cpath:match "[^;]*build[^;]*"
      local ok, message = pcall(require, "aitoearn")
      print(ok, message)
    ]]
    assert.truthy(output:find "^false%s.*aitoearn needs lua%-cjson: install it with `luarocks install lua%-cjson`", output)
  end)

  local locales -- a folder with a locale that has a decimal comma

  lazy_setup(function()
    locales = os.tmpname()
    os.remove(locales)
    shell.run(("mkdir %s && localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8"):format(locales, locales))
  end)

  lazy_teardown(function() shell.run("rm -r " .. locales) end)

  local function with_comma(program)
    return assert(helper.script(([[
      local core = require "aitoearn.core"
      local text = '{"data":{"id":"r1","accountType":"a","type":"v","publishTime":"t","linkMeta":{"l":[1,2,1.5]},"status":1},'
        .. '"code":0}'
      local function try()
        local record, failure = core.decode(text)
        print(record and table.concat(record.linkMeta.l, " "):gsub(",", ".") or failure.message)
      end
      local comma = function() assert(os.setlocale "de_DE.UTF-8", "no such locale") end
      %s
    ]]):format(program), "ASAN_OPTIONS=detect_leaks=0 LOCPATH=" .. locales)) -- setlocale leaks
  end

  it("reads numbers after the program has set a locale with a decimal comma", function()
    assert.equal("1 2 1.5\n1 2 1.5\n1 2 1.5", with_comma "try() comma() try() os.setlocale 'C' try()")
  end)

  it("has no say in how numbers are written", function()
    assert.equal("[1.5,1e+300,0.1]", with_comma [[comma() print(require("aitoearn.json").encode { 1.5, 1e300, 0.1 })]])
  end)

  it("reads numbers whenever the program makes instances of its own", function()
    assert.equal("1 2 1.5\n1 2 1.5\n1 2 1.5", with_comma [[
      local new = require("cjson").new
      comma() new() os.setlocale "C" try()
      new() comma() try()
      os.setlocale "C" new() comma() new() try()
    ]])
  end)

  -- AddressSanitizer itself needs terabytes of addresses.
  local it_without_asan = os.getenv "ASAN_OPTIONS" and function() end or it

  it_without_asan("does not end the process where there is no memory", function()
    local output = helper.script([[
      local core = require "aitoearn.core"
      local long = '{"code":0,"message":"' .. ("x"):rep(5000000) .. '"}'
      local many = '{"code":0,"message":[' .. ("1,"):rep(900000) .. "1]}"
      local ballast = {}
      pcall(function()
        while true do ballast[#ballast + 1] = ("y"):rep(100000) .. #ballast end
      end)
      for _ = 1, 10 do ballast[#ballast] = nil end
      collectgarbage()
      for _, text in ipairs { long, many } do
        local ok, record, failure = pcall(core.decode, text, "nothing")
        print(ok, record, failure and failure.kind, failure and failure.no_memory)
      end
      print(core.decode('{"code":0}', "nothing"))
    ]], "sh -c 'ulimit -v 80000; exec \"$0\" \"$@\"'")
    local failed = "true\tnil\ttransport\ttrue\n"
    assert.equal(failed .. failed .. "true", output)
  end)

end)
