local aitoearn = require "aitoearn"
local cjson = require "cjson"
local core = require "aitoearn.core"

-- A call gives a record its methods, after the decoder.
local function decode(text)
  local value, failure = core.decode(text)
  return value and aitoearn.record(value), failure
end

local required = {
  id = '"r1"', accountType = '"xhs"', type = '"video"', status = "1", publishTime = '"2026-07-02T12:00:00.000Z"',
}

-- An envelope around a record; `fields` are JSON texts that override the required ones, false takes one out.
local function body(fields)
  local all, parts = {}, {}
  for name, text in pairs(required) do all[name] = text end
  for name, text in pairs(fields or {}) do all[name] = text end
  for name, text in pairs(all) do
    if text then parts[#parts + 1] = '"' .. name .. '":' .. text end
  end
  return '{"code":0,"message":"ok","data":{' .. table.concat(parts, ",") .. "}}"
end

local function record(fields) return assert(decode(body(fields))) end

-- The message with which one field is refused.
local function message_for(name, text)
  local value, failure = decode(body { [name] = text })
  assert.is_nil(value)
  assert.equal("protocol", failure.kind)
  return failure.message
end

describe("a record", function()
  it("needs its five required fields and no more", function()
    local r = record()
    assert.same({
      id = "r1", accountType = "xhs", type = "video", status = 1, publishTime = "2026-07-02T12:00:00.000Z",
    }, setmetatable(r, nil))
    for name in pairs(required) do
      local expected = name == "status" and "integer" or "string"
      assert.equal(("data.%s: %s expected, got nothing"):format(name, expected), message_for(name, false))
      assert.equal(("data.%s: %s expected, got null"):format(name, expected), message_for(name, "null"))
    end
  end)

  it("has the record's methods and is a plain table otherwise", function()
    local r = record()
    assert.is_nil(getmetatable(core.decode(body())))
    assert.is_true(r:is_final())
    assert.is_true(r:is_live())
  end)

  -- every optional field of the API page, with a good value, and what else is refused
  local strings = {
    "flowId", "taskId", "userTaskId", "accountId", "title", "desc", "platformWorkId", "workLink", "linkStatus",
    "linkError", "videoUrl", "coverUrl", "source", "errorMsg", "createdAt", "updatedAt",
  }
  for _, name in ipairs(strings) do
    it("takes a string or null as " .. name .. " and nothing else", function()
      assert.equal("text", record({ [name] = '"text"' })[name])
      assert.equal("", record({ [name] = '""' })[name])
      assert.is_nil(record({ [name] = "null" })[name])
      for got, text in pairs { number = "7", boolean = "false", object = "{}", array = "[1]" } do
        assert.equal(("data.%s: string expected, got %s"):format(name, got), message_for(name, text))
      end
    end)
  end

  it("names an ill-typed required field", function()
    assert.equal("data.status: integer expected, got string", message_for("status", '"1"'))
    assert.equal("data.status: integer expected, got boolean", message_for("status", "true"))
    for _, text in ipairs { "1.5", "1e400", "-1e400", "9007199254740992", "1e300" } do
      assert.equal("data.status: integer expected, got number", message_for("status", text))
    end
    assert.equal("data.id: string expected, got number", message_for("id", "7"))
    assert.equal("data.type: string expected, got object", message_for("type", "{}"))
    assert.equal("data.accountType: string expected, got array", message_for("accountType", '["xhs"]'))
    assert.equal("data.publishTime: string expected, got number", message_for("publishTime", "1782993600000"))
  end)

  it("takes an array of strings as imgUrlList and nothing else", function()
    assert.same({ "a", "b" }, record({ imgUrlList = '["a","b"]' }).imgUrlList)
    assert.same({}, record({ imgUrlList = "[]" }).imgUrlList)
    assert.is_nil(record({ imgUrlList = "null" }).imgUrlList)
    assert.equal("data.imgUrlList: array expected, got string", message_for("imgUrlList", '"a"'))
    assert.equal("data.imgUrlList: array expected, got object", message_for("imgUrlList", '{"a":"b"}'))
    assert.equal("data.imgUrlList[2]: string expected, got number", message_for("imgUrlList", '["a",7]'))
    assert.equal("data.imgUrlList[1]: string expected, got null", message_for("imgUrlList", '[null,"a"]'))
    assert.equal("data.imgUrlList[3]: string expected, got array", message_for("imgUrlList", '["a","b",["c"]]'))
    local many = {}
    for i = 1, 10000 do many[i] = '"u"' end
    assert.equal(10000, #record({ imgUrlList = "[" .. table.concat(many, ",") .. "]" }).imgUrlList)
  end)

  it("takes an object as linkMeta and nothing else", function()
    assert.same({ a = 1 }, record({ linkMeta = '{"a":1}' }).linkMeta)
    assert.same({}, record({ linkMeta = "{}" }).linkMeta)
    assert.is_nil(record({ linkMeta = "null" }).linkMeta)
    assert.equal("data.linkMeta: object expected, got string", message_for("linkMeta", '"a"'))
    assert.equal("data.linkMeta: object expected, got array", message_for("linkMeta", "[1]"))
  end)

  it("takes errorData with its three strings and nothing else", function()
    local good = '{"type":"auth","code":"","message":"m","more":{"n":null}}'
    local expected = { type = "auth", code = "", message = "m", more = { n = cjson.null } }
    assert.same(expected, record({ errorData = good }).errorData)
    assert.is_nil(record({ errorData = "null" }).errorData)
    assert.equal("data.errorData: object expected, got string", message_for("errorData", '"a"'))
    for _, name in ipairs { "type", "code", "message" } do
      local path = "data.errorData." .. name .. ": string expected, got "
      assert.equal(path .. "nothing", message_for("errorData", (good:gsub('"' .. name .. '":"%w*",?', ""))))
      assert.equal(path .. "null", message_for("errorData", (good:gsub('("' .. name .. '":)"%w*"', "%1null"))))
      assert.equal(path .. "number", message_for("errorData", (good:gsub('("' .. name .. '":)"%w*"', "%17"))))
    end
  end)

  it("keeps unknown fields and unknown enum values", function()
    local r = record {
      accountType = '"mastodon"', type = '"story"', status = "42", linkStatus = '"moved"', source = '"cli"',
      future = '{"a":[1,null]}', flag = "false", nothing = "null",
    }
    assert.same({ "mastodon", "story", 42, "moved", "cli" },
      { r.accountType, r.type, r.status, r.linkStatus, r.source })
    assert.same({ a = { 1, cjson.null } }, r.future)
    assert.is_false(r.flag)
    assert.equal(cjson.null, r.nothing)
    assert.equal("UNKNOWN", r:status_name())
    assert.is_false(r:is_final())
  end)

  it("keeps nulls inside of linkMeta", function()
    local meta = record({ linkMeta = '{"a":null,"b":[null,{"c":null}]}' }).linkMeta
    assert.equal(cjson.null, meta.a)
    assert.equal(cjson.null, meta.b[1])
    assert.equal(cjson.null, meta.b[2].c)
  end)

  it("has exactly the text that was sent", function()
    local r = record { title = [["中文 \ud83d\ude00 \u0000 \" \\ \/ \u2028 é"]] }
    assert.equal("中文 😀 \0 \" \\ / \226\128\168 é", r.title)
  end)

  it("encodes with lua-cjson and decodes to itself", function()
    local r = record {
      linkMeta = '{"a":[1,2.5,{"b":null}],"big":123456789012,"s":"ü"}', imgUrlList = '["a"]',
      errorData = '{"type":"auth","code":"1","message":"m"}', later = '[true,false,"x"]',
    }
    local again = assert(decode('{"code":0,"data":' .. cjson.encode(r) .. "}"))
    assert.same(r, again)
  end)

  if math.type then
    it("has integers for whole numbers at any depth, and floats for others", function()
      local r = record {
        status = "1.0", future = "[3, 4.5, 1e3, -0.0, [[9007199254740991]], {\"n\": 7}]",
        linkMeta = '{"count":1024,"ratio":0.5,"list":[1,{"deep":-5}],"big":1e300}', top = "12",
      }
      local function types(...)
        local found = {}
        for i, value in ipairs { ... } do found[i] = math.type(value) end
        return found
      end
      local meta = r.linkMeta
      assert.same({ "integer", "integer", "integer", "integer" },
        types(r.status, r.top, meta.count, meta.list[2].deep))
      assert.same({ "integer", "float", "integer" }, types(r.future[1], r.future[2], r.future[3]))
      assert.same({ "integer", "integer", "float", "float" },
        types(r.future[5][1][1], r.future[6].n, meta.ratio, meta.big))
      assert.equal(9007199254740991, r.future[5][1][1])
      assert.equal("1", tostring(r.status))
    end)
  end
end)
