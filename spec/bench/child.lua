--- Measures that need a process of their own; each prints numbers.
--
--    lua spec/bench/child.lua NAME ARGUMENT…

local measures = {}

local unpack = table.unpack or unpack -- luacheck: ignore 143

-- Processor seconds of a function.
local function processor_time(fn, ...)
  local before = os.clock()
  fn(...)
  return os.clock() - before
end

local function decode_loop(decode, body, count)
  for _ = 1, count do
    decode(body)
  end
end

--- Processor seconds of lua-cjson alone over so many bodies.
function measures.cjson(body, count)
  local decode = require "cjson".new().decode
  decode_loop(decode, body, 1000)
  return processor_time(decode_loop, decode, body, tonumber(count))
end

--- The same of our decode.
function measures.decode(body, count)
  local decode = require "aitoearn.core".decode
  assert(decode(body), body)
  decode_loop(decode, body, 1000)
  return processor_time(decode_loop, decode, body, tonumber(count))
end

local function call_loop(client, count, id)
  for _ = 1, count do
    assert(client:get_record(id))
  end
end

--- Processor seconds of calls one after another, and the connections that they opened after the warm-up.
function measures.calls(server, key, ca_file, count, warm_up, id)
  local client = require "aitoearn".new { server = server, api_key = key, ca_file = ca_file }
  id = id or "6877a1b20000000000000000"
  call_loop(client, tonumber(warm_up), id)
  local opened = client:stats().connections
  local seconds = processor_time(call_loop, client, tonumber(count), id)
  return seconds, client:stats().connections - opened
end

local function ids_from(first, count)
  local ids = {}
  for i = 1, count do
    ids[i] = ("6877a1b2%016x"):format(first + i - 1)
  end
  return ids
end

local function batch_loop(client, ids, concurrency)
  local seen = 0
  for id, record, err in client:each_record(ids, { concurrency = concurrency }) do
    if not record then
      error(tostring(err) .. id)
    end
    seen = seen + 1
  end
  assert(seen == #ids, seen .. " records")
end

--- Processor seconds of a batch, the connections that it opened after the warm-up, and those of the warm-up. `most`: how many
--- ids to make, `count` or more, where two runs shall differ by nothing else.
function measures.batch(server, key, ca_file, count, warm_up, concurrency, connections, most)
  local client = require "aitoearn".new { server = server, api_key = key, ca_file = ca_file,
    max_connections = tonumber(connections) }
  local first, ids = ids_from(0, tonumber(warm_up)), ids_from(tonumber(warm_up), tonumber(most or count))
  if most then
    ids = { unpack(ids, 1, tonumber(count)) }
  end
  batch_loop(client, first, tonumber(concurrency))
  local opened = client:stats().connections
  local seconds = processor_time(batch_loop, client, ids, tonumber(concurrency))
  return seconds, client:stats().connections - opened, opened
end

--- Milliseconds to load a module.
function measures.require(name)
  local now = require "socket".gettime
  local before = now()
  require(name)
  return (now() - before) * 1e3
end

--- Polls with so many records in flight, or with nothing to do.
function measures.polls(server, key, ca_file, count, in_flight)
  local client = require "aitoearn".new { server = server, api_key = key, ca_file = ca_file, timeout = false,
    deadline = false }
  assert(client:get_record "6877a1b20000000000000000")
  for i = 1, tonumber(in_flight) do
    client:start("get_record", "silent~" .. i)
  end
  for _ = 1, tonumber(in_flight) > 0 and 50 or 0 do -- until all are sent
    client:poll(0.02)
  end
  for _ = 1, tonumber(count) do
    client:poll(0)
  end
  return client:poll(0)
end

--- Letters in the order that Lua's hash seed gives them.
function measures.seed()
  local letters, order = {}, {}
  for letter in ("abcdefghijklmnopqrstuvwxyz"):gmatch "." do
    letters[letter] = true
  end
  for letter in pairs(letters) do
    order[#order + 1] = letter
  end
  return table.concat(order)
end

local function resident_megabytes()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmRSS:%s*(%d+)"
    if kilobytes then
      return tonumber(kilobytes) / 1024
    end
  end
end

--- Resident memory after the first 10,000 records, and after all.
function measures.memory(server, key, ca_file, count)
  count = tonumber(count)
  local client = require "aitoearn".new { server = server, api_key = key, ca_file = ca_file }
  local i, seen, first = 0, 0, nil
  local function next_id()
    i = i + 1
    return i <= count and ("6877a1b2%016x"):format(i) or nil
  end
  for id, record, err in client:each_record(next_id) do
    assert(record, tostring(err) .. id)
    seen = seen + 1
    if seen == 10000 then
      first = resident_megabytes()
    end
  end
  assert(seen == count)
  return first, resident_megabytes()
end

--- A 60 Hz loop for three seconds: the worst poll in milliseconds of wall-clock and of processor time, the
-- milliseconds that starting took, and the records that came.
function measures.frames(server, key, ca_file, in_flight, run)
  local socket = require "socket"
  local now = require "aitoearn.core".monotonic
  local client = require "aitoearn".new { server = server, api_key = key, ca_file = ca_file }
  local worst_wall, worst_cpu, records, asked = 0, 0, 0, 0
  local function start()
    asked = asked + 1
    client:start("get_record", ("slow:%d~%s-%d"):format(20 + asked % 7 * 10, run, asked)):on_done(function(record, err)
      assert(record, tostring(err))
      records = records + 1
    end)
  end
  local began = now()
  for _ = 1, tonumber(in_flight) do
    start()
  end
  local starting = (now() - began) * 1e3
  for frame = 1, 180 do
    local wall, cpu = now(), os.clock()
    local running = client:poll(0)
    worst_wall, worst_cpu = math.max(worst_wall, now() - wall), math.max(worst_cpu, os.clock() - cpu)
    for _ = running + 1, tonumber(in_flight) do
      start()
    end
    socket.sleep(math.max(0, began + frame / 60 - now()))
  end
  assert(records > 0)
  return worst_wall * 1e3, worst_cpu * 1e3, starting, records
end

print(measures[arg[1]](unpack(arg, 2)))
