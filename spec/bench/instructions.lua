--- `make instructions`: how many instructions a call costs, under callgrind, beside the numbers in instructions.txt.
--
--    lua5.4 spec/bench/instructions.lua [--update]
--
-- Unlike times, these are the same in every run, so that 3 % more is a regression and fails; 3 % less fails too, since
-- the number in the file then lets as much slip in again: --update writes what was measured. Each is the difference
-- between a longer and a shorter run, so that what starting costs cancels out.
--
-- "ours" is what core.so, Lua and lua-cjson execute, "all" has libcurl, OpenSSL and libc in it. The numbers hold for one
-- machine's versions; elsewhere they are printed and nothing is checked.

local callgrind = require "spec.bench.callgrind"
local measure = require "spec.bench.measure"
local platform = require "spec.platform"
local calls = require "spec.bench.calls"
local shell = require "spec.platform.shell"

local FILE = "spec/bench/instructions.txt"
local CHILD = "spec/bench/child.lua"
local SLACK = 0.03
-- Of equal length, since the arguments' addresses count. Both are beyond the first collections of garbage.
local FEW, MANY = "0200", "1200"
local WARM_UP = "0100"
-- How many a batch's runs make, so that making them is no part of the difference.
local IDS = MANY

local ID = "6877a1b20000000000000000"

-- Answered after 4 ms, so that libcurl always has to wait. Other answers it sometimes finds there right after it has sent
-- the request, which saves it one to two per cent, of what is not ours. Its colon has to be percent-encoded.
local LATE_ID = "slow:4~instructions"

-- What each feeds child.lua with. `all` is checked where neither encryption nor the order of arrival is in it.
local function measures(p)
  local body = calls.body(p, ID):gsub('"requestId":"%x*"', '"requestId":"' .. ("0"):rep(32) .. '"')
  local http, https, key, ca = p.cn.http, p.cn.https, p.cn.key, p.ca_file
  return {
    { name = "get_record, http", run = function(n) return "calls", http, key, ca, n, WARM_UP, ID end },
    { name = "get_record, https, HTTP/2", run = function(n) return "calls", https, key, ca, n, WARM_UP, ID end },
    { name = "get_record, late answer", all = true,
      run = function(n) return "calls", http, key, ca, n, WARM_UP, LATE_ID end },
    { name = "each_record, http", run = function(n) return "batch", http, key, ca, n, WARM_UP, "32", "8", IDS end },
    { name = "each_record, https, HTTP/2",
      run = function(n) return "batch", https, key, ca, n, WARM_UP, "32", "8", IDS end },
    { name = "decode", all = true, run = function(n) return "decode", body, n end },
    { name = "poll(0), nothing in flight", all = true, run = function(n) return "polls", http, key, ca, n, "0" end },
    { name = "poll(0), 100 in flight", all = true, run = function(n) return "polls", http, key, ca, n, "100" end },
  }
end

--- What the numbers depend on: versions, the processor, and the hash seed, by which Lua's strings collide.
local function machine(count)
  local _, seed = count(CHILD, "seed")
  local versions = assert(shell.run(measure.lua .. " -v")):match "^%S+ %S+"
  local processor = assert(shell.run "uname -m; grep -qw avx2 /proc/cpuinfo && echo avx2 || :"):gsub("%s+", " ")
  return ("%s, libcurl %s, lua-cjson %s, %s, %s, hash order %s"):format(versions, shell.run "pkg-config --modversion libcurl",
    require "cjson"._VERSION, assert(shell.run "valgrind --version"), processor, seed)
end

local function count_all(count, p)
  local rows = {}
  for i, case in ipairs(measures(p)) do
    local few, many = count(CHILD, case.run(FEW)), count(CHILD, case.run(MANY))
    local calls_between = tonumber(MANY) - tonumber(FEW)
    rows[i] = { name = case.name, ours = (many.ours - few.ours) / calls_between, checks_all = case.all,
      all = (many.total - few.total) / calls_between }
  end
  return rows
end

--- The numbers to hold the measured ones against.
---@return table<string, number> by name and column; empty where there is no file
---@return string? machine that they were measured on
local function read_references()
  local references = {}
  local text = shell.read(FILE) or ""
  for name, ours, all in text:gmatch "\n(%S[^\n]-)  +(%d+) +(%S+)" do
    references[name .. " ours"], references[name .. " all"] = tonumber(ours), tonumber(all)
  end
  return references, text:match "\non: ([^\n]*)"
end

local function write_references(rows, on)
  local lines = { "# Instructions a call: ours, and all where that is checked too.", "on: " .. on }
  for _, row in ipairs(rows) do
    lines[#lines + 1] = ("%-28s %7.0f %7s"):format(row.name, row.ours,
      row.checks_all and ("%.0f"):format(row.all) or "-")
  end
  shell.write(FILE, table.concat(lines, "\n") .. "\n")
end

--- Prints a number; whether it is within the slack of its reference, nil where it has none.
local function show(row, column, reference)
  local value = row[column]
  local ok, verdict
  if reference then
    local change = value / reference - 1
    ok = math.abs(change) <= SLACK
    verdict = ("%7.0f  %+5.1f %%  %s"):format(reference, change * 100,
      ok and "ok" or change > 0 and "MORE" or "LESS: lower the number with --update")
  end
  print(("  %-28s %-4s %7.0f  %s"):format(row.name, column, value, verdict or "-"))
  return ok
end

local function compare(rows, references)
  local passed, failed = 0, 0
  for _, row in ipairs(rows) do
    for _, column in ipairs { "ours", "all" } do
      local ok = show(row, column, references[row.name .. " " .. column])
      passed, failed = passed + (ok and 1 or 0), failed + (ok == false and 1 or 0)
    end
  end
  return passed, failed
end

local function run(count)
  local p = assert(platform.start { log = false })
  local ok, rows = xpcall(count_all, debug.traceback, count, p)
  p:stop()
  assert(ok, rows)
  local on = machine(count)
  local references, known = read_references()
  print("instructions a call, on: " .. on)
  if arg[1] == "--update" then
    write_references(rows, on)
    references = read_references()
  elseif known ~= on then
    print(("NOTHING IS CHECKED: the numbers in %s hold for another machine:\n  %s"):format(FILE, known or "none"))
    references = {}
  end
  return compare(rows, references)
end

local count, folder = callgrind.new(measure.lua)
local ok, passed, failed = pcall(run, count)
shell.run("rm -rf " .. shell.quote(folder))
if not ok then
  error(passed, 0)
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1)
