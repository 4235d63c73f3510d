--- What holds for every answer, whatever its bytes: the decoder's fuzzer and its specs ask this.
-- @module spec.fuzz.invariants
local cjson = require("cjson").new()
local core = require "aitoearn.core"

local number_type = math.type or function() return "integer" end -- 5.1 has one kind

cjson.encode_max_depth(200)
cjson.encode_sparse_array(true)

local KINDS = { api = true, protocol = true }
local REQUIRED = { id = "string", accountType = "string", type = "string", publishTime = "string", status = "number" }

local function check_failure(failure)
  assert(type(failure) == "table", "no failure")
  assert(KINDS[failure.kind], "kind: " .. tostring(failure.kind))
  assert(type(failure.message) == "string" and failure.message ~= "", "no message")
  assert(failure.kind ~= "api" or (failure.code ~= 0 and failure.code % 1 == 0), "code: " .. tostring(failure.code))
  assert(failure.body == nil or #failure.body <= 8192, "a long body")
end

-- lua-cjson writes infinities as nothing that JSON knows, numbers with 14 digits, and an empty array as an object. What
-- it cannot write is no matter of the decoder's.
local function encodable(value)
  if type(value) == "number" then
    return value == value and value > -1e300 and value < 1e300
  elseif type(value) == "table" then
    for name, member in next, value do
      if not encodable(name) or not encodable(member) then return false end
    end
  end
  return true
end

-- Whole numbers stay what they are; 14 digits may turn a fraction into one, and a large one into a float.
local function same_number(a, b)
  local may_change = a % 1 ~= 0 or math.abs(a) >= 1e13
  return (a == b or math.abs(a - b) <= 1e-13 * math.abs(a)) and (may_change or number_type(a) == number_type(b))
end

local function same(a, b)
  if type(a) == "number" and type(b) == "number" then
    return same_number(a, b)
  elseif type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for name, value in next, a do
    if not same(value, b[name]) then return false end
  end
  for name in next, b do
    if a[name] == nil then return false end
  end
  return true
end

local function check_record(record)
  assert(getmetatable(record) == nil, "a metatable")
  for name, kind in pairs(REQUIRED) do assert(type(record[name]) == kind, "required: " .. name) end
  assert(number_type(record.status) == "integer", "status is no integer")
  local date = core.parse_datetime(record.publishTime)
  assert(date == nil or date == date, "a time that is none")
end

--- Raises where an invariant does not hold for the answer `body`.
return function(body)
  local record, failure = core.decode(body)
  if not record then return check_failure(failure) end
  check_record(record)
  if not encodable(record) then return end
  local again = core.decode(('{"code":0,"message":"","data":%s}'):format(cjson.encode(record)))
  assert(again and same(record, again), "encoded and decoded it is another record")
end
