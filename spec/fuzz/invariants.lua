--- What holds for every answer, whatever its bytes: the decoder's fuzzer and its specs ask this.
-- @module spec.fuzz.invariants
local core = require "aitoearn.core"
local json = require "aitoearn.json"

local number_type = math.type or function() return "integer" end -- 5.1 has one kind

local KINDS = { api = true, protocol = true }

local function check_failure(failure)
  assert(type(failure) == "table", "no failure")
  assert(KINDS[failure.kind], "kind: " .. tostring(failure.kind))
  assert(type(failure.message) == "string" and failure.message ~= "", "no message")
  assert(failure.kind ~= "api" or (failure.code ~= 0 and failure.code % 1 == 0), "code: " .. tostring(failure.code))
  assert(failure.body == nil or #failure.body <= 8192, "a long body")
end

-- JSON has no infinities, which lua-cjson makes of 1e400.
local function encodable(value)
  if type(value) == "number" then
    return value > -math.huge and value < math.huge
  elseif type(value) == "table" then
    for _, member in next, value do
      if not encodable(member) then return false end
    end
  end
  return true
end

local function same(a, b)
  if type(a) == "number" and type(b) == "number" then
    return a == b and number_type(a) == number_type(b)
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

local function check_integer(value, name)
  assert(type(value) == "number" and number_type(value) == "integer", name .. " is no integer")
end

local function check_strings(value, names)
  for _, name in ipairs(names) do assert(type(value[name]) == "string", "required: " .. name) end
end

local function check_record(record)
  assert(getmetatable(record) == nil, "a metatable")
  check_strings(record, { "id", "accountType", "type", "publishTime" })
  check_integer(record.status, "status")
  local date = core.parse_datetime(record.publishTime)
  assert(date == nil or date == date, "a time that is none")
end

local function each_of(check)
  return function(list)
    local count = 0
    for _ in next, list do count = count + 1 end
    assert(count == #list, "no array")
    for _, value in ipairs(list) do check(value) end
  end
end

local check_tasks = each_of(function(task)
  check_strings(task, { "id", "accountId", "platform" })
  if task.status then check_integer(task.status, "status") end
end)

local CHECKS = {
  record = check_record,
  records = each_of(check_record),
  flow = function(flow)
    check_strings(flow, { "flowId" })
    check_tasks(flow.tasks)
  end,
  action = function(action) check_strings(action, { "recordId", "platform", "shareId", "schemeUrl", "shortLink" }) end,
  task = function(task) check_strings(task, { "taskId" }) end,
  nothing = function(value) assert(value == true, "not true") end,
}

local function check_again(value, kind)
  if not encodable(value) then return end
  local again, failure = core.decode('{"code":0,"message":"","data":' .. json.encode(value) .. "}", kind)
  assert(again, failure and failure.message)
  assert(same(value, again), "encoded and decoded it is another value")
end

--- Raises where an invariant does not hold for the answer `body`, of whatever kind.
return function(body)
  for kind, check in pairs(CHECKS) do
    local value, failure = core.decode(body, kind)
    if value then
      check(value)
      if kind ~= "nothing" then check_again(value, kind) end
    else
      check_failure(failure)
    end
  end
end
