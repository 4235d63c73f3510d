--- Many records: each_record beside a bare curl_multi loop, beside one call after another, and its memory.
-- @module spec.bench.batches
local calls = require "spec.bench.calls"
local measure = require "spec.bench.measure"

local M = {}

local RECORDS = 10000
local CONCURRENCY = 32

-- A source of `count` ids that nobody asked for before, as the baseline's are.
local function ids(first, count)
  local i = first - 1
  return function()
    i = i + 1
    return i < first + count and ("6877a1b2%016x"):format(i) or nil
  end
end

local function slow_ids(ms, tag, count)
  local i = 0
  return function()
    i = i + 1
    return i <= count and ("slow:%d~%s%d"):format(ms, tag, i) or nil
  end
end

local function run_batch(client, source, count)
  local seen = 0
  for id, record, err in client:each_record(source, { concurrency = CONCURRENCY }) do
    if not record then
      error(tostring(err) .. id)
    end
    seen = seen + 1
  end
  assert(seen == count, seen .. " records")
end

local function one_by_one(client, source)
  for id in source do
    assert(client:get_record(id))
  end
end

local function beside_bare(p, baseline, name, server, target, connections)
  local body, opened = calls.body(p, "6877a1b20000000000000000"), nil
  local function bare(mode)
    return function() return (baseline(mode, server, p, RECORDS, 320, CONCURRENCY)) end
  end
  local results = measure.turns({
    poll = bare "poll",
    epoll = bare "epoll",
    cjson = function() return measure.child("cjson", body, RECORDS)[1] end,
    ours = function()
      local seen = measure.child("batch", server, p.cn.key, p.ca_file, RECORDS, 320, CONCURRENCY, connections)
      assert(seen[2] == 0, "it needed another connection")
      opened = seen[3]
      return seen[1]
    end,
  }, math.max(3, math.ceil(measure.rounds / 2)))
  local best = measure.median(results.poll) < measure.median(results.epoll) and "poll" or "epoll"
  measure.row(("each_record, %s, %d connection%s: (bare multi loop + cjson.decode) / ours"):format(name, opened,
      opened == 1 and "" or "s"),
    measure.each_round(results, function(r) return (r[best] + r.cjson) / r.ours end), { least = target })
  for _, who in ipairs { "ours", "epoll", "poll", "cjson" } do
    measure.row("    " .. (who:find "poll" and "bare, by " .. who or who) .. ", a record",
      measure.each_round(results, function(r) return r[who] / RECORDS * 1e6 end), { unit = "us" })
  end
end

--- each_record beside bare C.
function M.beside_bare(p, baseline)
  measure.heading(("%d records by each_record, concurrency %d (processor time, the server on another processor)")
    :format(RECORDS, CONCURRENCY))
  beside_bare(p, baseline, "HTTP/2", p.cn.https, 0.85, 8)
  beside_bare(p, baseline, "http", p.cn.http, nil, CONCURRENCY)
end

-- Wall-clock seconds of both ways, each with a client of its own whose connection is open.
local function race(p, aitoearn, name, server, count, rounds, source, target)
  local now = require "aitoearn.core".monotonic
  local function contender(run)
    local client = aitoearn.new { server = server, api_key = p.cn.key, ca_file = p.ca_file }
    assert(client:get_record("6877a1b20000000000000000"))
    return function()
      local before = now()
      run(client)
      return now() - before
    end
  end
  local results = measure.turns({
    batch = contender(function(client) run_batch(client, source(), count) end),
    single = contender(function(client) one_by_one(client, source()) end),
  }, rounds)
  measure.row(("%d ids, %s: one by one / each_record"):format(count, name),
    measure.each_round(results, function(r) return r.single / r.batch end), { least = target })
  for _, who in ipairs { "batch", "single" } do
    measure.row("    " .. who .. ", a record", measure.each_round(results, function(r) return r[who] / count * 1e6 end),
      { unit = "us" })
  end
end

--- each_record beside the same ids one by one.
function M.beside_single(p)
  local aitoearn = require "aitoearn"
  local tag = 0
  measure.heading "each_record beside the same ids one by one over one HTTPS HTTP/2 connection (wall-clock time)"
  race(p, aitoearn, "answered at once", p.cn.https, RECORDS, 3, function() return ids(0, RECORDS) end, 4)
  race(p, aitoearn, "answered after 5 ms", p.cn.https, 500, 3, function()
    tag = tag + 1
    return slow_ids(5, tag .. "-", 500)
  end)
end

--- The platform killed in the middle of a batch and started again: what becomes of each id, and what it costs.
function M.outage(p)
  local now = require "aitoearn.core".monotonic
  local seen, ended, failed, killed_at, up_again = {}, 0, 0, nil, false
  local client = require "aitoearn".new { server = p.cn.https, api_key = p.cn.key, ca_file = p.ca_file,
    on_event = function(event)
      if killed_at and not up_again and event.type == "attempt" and now() - killed_at > 2 then
        up_again = assert(p:up())
      end
    end }
  measure.heading(("the platform killed in the middle of %d ids and started again 2 s later, HTTP/2"):format(RECORDS))
  for id, record, err in client:each_record(ids(0, RECORDS), { concurrency = CONCURRENCY }) do
    assert(not seen[id], "given twice")
    assert(record and record.id == id or err.record_id == id, "another one's result")
    seen[id], ended, failed = true, ended + 1, failed + (record and 0 or 1)
    if ended == RECORDS / 2 then
      p:kill()
      killed_at = now()
    end
  end
  local stats = client:stats()
  assert(up_again, "it was not down")
  measure.row("ids without an end of their own", RECORDS - ended, { unit = "", most = 0 })
  measure.row("    of them errors", failed, { unit = "" })
  measure.row("retries", stats.retries, { unit = "", most = 50 + (ended - failed) / 10 })
  measure.row("attempts beyond one for each id", stats.attempts - RECORDS, { unit = "" })
end

--- Resident memory over a long each_record.
function M.memory(p)
  local count = tonumber(os.getenv "BENCH_IDS") or 100000
  measure.heading(("each_record over %d ids, HTTP/2%s"):format(count,
    count < 1000000 and " (the full million: BENCH_IDS=1000000)" or ""))
  local seen = measure.child("memory", p.cn.https, p.cn.key, p.ca_file, count)
  measure.row("growth of resident memory after the first 10,000", seen[2] - seen[1], { unit = "MB", most = 5 })
  measure.row("    resident after the first 10,000", seen[1], { unit = "MB" })
end

return M
