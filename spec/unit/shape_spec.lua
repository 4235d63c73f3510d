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

local function refused_body(text)
  local value, failure = decode(text)
  assert.is_nil(value)
  assert.equal("protocol", failure.kind)
  return failure.message
end

-- The message with which one field is refused.
local function message_for(name, text) return refused_body(body { [name] = text }) end

describe("a record", function()
  it("is refused for the first in the API's order of several fields that are wrong", function()
    for _, wrong in ipairs {
      { { linkMeta = "1", status = '"x"', errorMsg = "7" }, "data.status: integer expected, got string" },
      { { updatedAt = "{}", publishTime = false, imgUrlList = "true" }, "data.publishTime: string expected, got nothing" },
      { { errorData = '{"type":1,"code":2}', coverUrl = "[]" }, "data.coverUrl: string expected, got object" },
      { { errorData = '{"message":1,"code":2}' }, "data.errorData.type: string expected, got nothing" },
    } do
      assert.equal(wrong[2], refused_body(body(wrong[1])))
    end
    assert.equal("data.id: string expected, got nothing", refused_body '{"code":0,"data":[{"id":"r1"}]}')
  end)

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

  it("takes a name with a NUL in it for what it is: unknown", function()
    local r = record { ["status\\u0000x"] = "null", ["linkMeta\\u0000"] = '"text"', ["title\\u0000"] = "7" }
    assert.same({ cjson.null, "text", 7 }, { r["status\0x"], r["linkMeta\0"], r["title\0"] })
    assert.equal("data.status: integer expected, got nothing",
      refused_body(body { status = false, ["status\\u0000x"] = "1" }))
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

local minimal = '{"id":"r%d","accountType":"xhs","type":"video","status":1,"publishTime":"2026-07-02T12:00:00.000Z"}'

local function envelope(data) return '{"code":0,"message":"ok","data":' .. data .. "}" end

-- What a kind of answer refuses of `data`.
local function refusal(kind, data)
  local value, failure = core.decode(envelope(data), kind)
  assert.is_nil(value)
  assert.equal("protocol", failure.kind)
  return failure.message
end

describe("a list of records", function()
  it("is a bare array, or in an object", function()
    local array = "[" .. minimal:format(1) .. "," .. minimal:format(2) .. "]"
    for _, data in ipairs {
      array, '{"records":' .. array .. "}", '{"total":2,"list":' .. array .. "}", '{"items":' .. array .. "}",
      '{"rows":' .. array .. "}", '{"records":null,"rows":' .. array .. "}",
    } do
      local list = assert(core.decode(envelope(data), "records"))
      assert.same({ "r1", "r2", 2 }, { list[1].id, list[2].id, #list })
      assert.equal("1", tostring(list[2].status))
      assert.is_nil(getmetatable(list[1]))
    end
  end)

  it("may be empty", function()
    for _, data in ipairs { "[]", '{"records":[]}', '{"rows":[]}' } do
      assert.same({}, core.decode(envelope(data), "records"))
    end
  end)

  it("is nothing else", function()
    assert.equal("data: array expected, got null", refusal("records", "null"))
    assert.equal("data: array expected, got string", refusal("records", '"x"'))
    assert.equal("data: array expected, got object", refusal("records", '{"records":null}'))
    assert.equal("data: array expected, got object", refusal("records", minimal:format(1)))
    assert.equal("data.records: array expected, got object", refusal("records", '{"records":{"a":1}}'))
    assert.equal("data: array expected, got nothing", select(2, core.decode('{"code":0}', "records")).message)
  end)

  it("names the path to what is ill-typed, counted from 1", function()
    local function third(text) return ("[%s,%s,%s]"):format(minimal, minimal, text) end
    assert.equal("data[3].status: integer expected, got string",
      refusal("records", third((minimal:gsub('"status":1', '"status":"1"')))))
    assert.equal("data.rows[3].id: string expected, got nothing",
      refusal("records", '{"rows":' .. third((minimal:gsub('"id":"r%%d",', ""))) .. "}"))
    assert.equal("data[3]: object expected, got null", refusal("records", third "null"))
    assert.equal("data[3].imgUrlList[1]: string expected, got number",
      refusal("records", third((minimal:gsub("}$", ',"imgUrlList":[7]}')))))
    assert.equal("data[3].errorData.code: string expected, got nothing",
      refusal("records", third((minimal:gsub("}$", ',"errorData":{"type":"auth"}}')))))
  end)

  it("may be long", function()
    local parts = {}
    for i = 1, 50000 do parts[i] = minimal:format(i) end
    local list = assert(core.decode(envelope("[" .. table.concat(parts, ",") .. "]"), "records"))
    assert.same({ 50000, "r50000" }, { #list, list[50000].id })
  end)
end)

describe("a flow", function()
  local task = '{"id":"r1","accountId":"a1","platform":"xhs"%s}'
  local function flow(more) return '{"flowId":"f1","tasks":[' .. task:format "" .. "," .. task:format(more or "") .. "]}" end

  it("has its id and tasks, whose other fields are optional", function()
    local value = assert(core.decode(envelope(flow ',"status":2,"workLink":null,"linkMeta":{"n":1},"later":[null]'), "flow"))
    assert.same({
      flowId = "f1",
      tasks = {
        { id = "r1", accountId = "a1", platform = "xhs" },
        { id = "r1", accountId = "a1", platform = "xhs", status = 2, linkMeta = { n = 1 }, later = { cjson.null } },
      },
    }, value)
    assert.equal("2", tostring(value.tasks[2].status))
    assert.same({}, core.decode(envelope '{"flowId":"f1","tasks":[]}', "flow").tasks)
  end)

  it("names the path to what is ill-typed", function()
    assert.equal("data.flowId: string expected, got nothing", refusal("flow", '{"tasks":[]}'))
    assert.equal("data.tasks: array expected, got nothing", refusal("flow", '{"flowId":"f1"}'))
    assert.equal("data.tasks: array expected, got null", refusal("flow", '{"flowId":"f1","tasks":null}'))
    assert.equal("data.tasks: array expected, got object", refusal("flow", '{"flowId":"f1","tasks":{"a":1}}'))
    assert.equal("data.tasks[1]: object expected, got string", refusal("flow", '{"flowId":"f1","tasks":["a"]}'))
    assert.equal("data.tasks[2].status: integer expected, got string", refusal("flow", flow ',"status":"1"'))
    assert.equal("data.tasks[1].platform: string expected, got nothing",
      refusal("flow", '{"flowId":"f1","tasks":[{"id":"r1","accountId":"a1"}]}'))
  end)
end)

describe("other answers", function()
  it("are a user action", function()
    local action = '{"recordId":"r1","platform":"douyin","shareId":"s","schemeUrl":"u","shortLink":"l"%s}'
    local fields = { recordId = "r1", platform = "douyin", shareId = "s", schemeUrl = "u", shortLink = "l" }
    assert.same(fields, core.decode(envelope(action:format ',"expiresAt":null'), "action"))
    fields.expiresAt = "2026-07-02T12:00:00.000Z"
    assert.same(fields, core.decode(envelope(action:format ',"expiresAt":"2026-07-02T12:00:00.000Z"'), "action"))
    assert.equal("data.shortLink: string expected, got nothing",
      refusal("action", (action:format "":gsub(',"shortLink":"l"', ""))))
  end)

  it("are a task's id", function()
    assert.same({ taskId = "t1" }, core.decode(envelope '{"taskId":"t1"}', "task"))
    assert.equal("data.taskId: string expected, got nothing", refusal("task", "{}"))
    assert.equal("data: object expected, got nothing", select(2, core.decode('{"code":0}', "task")).message)
  end)

  it("are nothing, with or without data", function()
    for _, text in ipairs { '{"code":0}', envelope "null", envelope "{}", envelope '"x"' } do
      assert.is_true(core.decode(text, "nothing"))
    end
    assert.equal(15018, select(2, core.decode('{"code":15018}', "nothing")).code)
  end)

  it("are of these kinds and no others", function()
    assert.has_error(function() core.decode("{}", "page") end, "no such kind of answer: page")
    assert.has_error(function() core.decode("{}", "") end)
  end)
end)

describe("the fields", function()
  it("are listed in the API's order", function()
    assert.same({ "id", "flowId" }, { core.record_fields[1], core.record_fields[2] })
    assert.same({ 24, "updatedAt" }, { #core.record_fields, core.record_fields[24] })
    assert.same({ 11, "id", "errorMsg" }, { #core.task_fields, core.task_fields[1], core.task_fields[11] })
  end)
end)
