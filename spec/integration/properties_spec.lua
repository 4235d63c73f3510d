local cjson = require "cjson"
local core = require "aitoearn.core"
local helper = require "spec.helper"
local random_record = require "spec.integration.random_record"

-- Integers and floats are equal numbers; tables are equal where all that is in them is.
local function difference(expected, got, path, digits)
  if type(expected) ~= "table" or type(got) ~= "table" then
    if digits and type(expected) == "number" then expected = tonumber(digits:format(expected)) end
    local equal = expected == got and type(expected) == type(got)
    return not equal and ("%s: %s expected, got %s"):format(path, tostring(expected), tostring(got)) or nil
  end
  for name, value in pairs(expected) do
    local problem = difference(value, got[name], path .. "." .. tostring(name), digits)
    if problem then return problem end
  end
  for name in pairs(got) do
    if expected[name] == nil then return path .. "." .. tostring(name) .. ": nothing expected" end
  end
  return nil
end

-- On Lua 5.3 and later whole numbers below 2^53 are integers and all others are floats, at any depth.
local function wrong_number(value, path)
  if type(value) == "table" then
    for name, member in pairs(value) do
      local problem = wrong_number(member, path .. "." .. tostring(name))
      if problem then return problem end
    end
  elseif type(value) == "number" and math.type then
    local whole = value == math.floor(value) and math.abs(value) < 2 ^ 53
    return math.type(value) ~= (whole and "integer" or "float") and path .. ": " .. math.type(value) or nil
  end
  return nil
end

describe("a record generated at random", function()
  local SEED = tonumber(os.getenv "PROPERTIES_SEED") or os.time()
  local COUNT = tonumber(os.getenv "PROPERTIES") or 400
  local p, made

  setup(function()
    p = helper.start()
    made = {}
    for i = 1, COUNT do
      made[i] = random_record.new(SEED + i)
      made[i].id = "file:p" .. i
      p:answer("p" .. i, made[i].text)
    end
  end)
  after_each(helper.close)
  teardown(helper.stop)

  local function blame(i, problem)
    return ("%s; PROPERTIES_SEED=%d, number %d: %s"):format(problem, SEED, i, made[i].text)
  end

  local function check(i, record, err)
    local problem = not record and tostring(err) or difference(made[i].record, record, "record")
      or wrong_number(record, "record")
    if problem then error(blame(i, problem), 0) end
  end

  for _, server in ipairs { "http", "https" } do
    it("comes back equal through the server, " .. server .. " and the decoder", function()
      local client = helper.client { server = p.cn[server] }
      local ids = {}
      for i = 1, COUNT do ids[i] = made[i].id end
      local records, errors = client:get_records(ids)
      for i = 1, COUNT do check(i, records[made[i].id], errors[made[i].id]) end
    end)
  end

  it("decodes alike when it is sent in any order of fields and with any white space", function()
    for i = 1, COUNT do
      local again = random_record.new(SEED + i, { shuffled = true })
      local record, failure = core.decode(again.text)
      if not record then error(blame(i, failure.message), 0) end
      check(i, record)
    end
  end)

  it("encodes and decodes to itself, lua-cjson's known losses aside", function()
    for i = 1, COUNT do
      local record = assert(core.decode(made[i].text))
      if math.abs(record.status) > 1e14 then record.status = 1 end -- more than the 14 digits that lua-cjson writes
      local again, failure = core.decode('{"code":0,"message":"","data":' .. cjson.encode(record) .. "}")
      if not again then error(blame(i, failure.message), 0) end
      local problem = difference(record, again, "record", "%.14g")
      if problem then error(blame(i, problem), 0) end
    end
  end)

  it("ends as a protocol error naming the field where a required one is missing or ill-typed", function()
    local wrong = { "null", "true", "{}", '["a"]' }
    for i = 1, COUNT do
      local name = random_record.required[i % #random_record.required + 1]
      local value = wrong[i % #wrong + 1]
      local broken = random_record.new(SEED + i, { broken = name, value = i % 5 > 0 and value or nil })
      local record, failure = core.decode(broken.text)
      if record or failure.kind ~= "protocol" or not failure.message:find("data." .. name, 1, true) then
        error(blame(i, ("%s for %s: %s"):format(value, name, failure and failure.message or "a record")), 0)
      end
    end
  end)

  it("makes verdicts that hold together", function()
    local aitoearn = require "aitoearn"
    for i = 1, COUNT do
      local record = core.decode(made[i].text)
      local verdicts = aitoearn.verdicts
      assert.equal((record.workLink or "") ~= "", verdicts.has_link(record), blame(i, "has_link"))
      assert.equal("string", type(verdicts.status_name(record)), blame(i, "status_name"))
      local known = verdicts.status_name(record) ~= "UNKNOWN"
      assert.is_false(not known and (verdicts.is_final(record) or verdicts.is_live(record)), blame(i, "unknown"))
      assert.is_false(verdicts.will_retry(record) and verdicts.is_final(record), blame(i, "will_retry"))
    end
  end)
end)
