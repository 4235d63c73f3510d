--- What every measure needs: contenders that take turns, medians, other processes, the table of results.
-- @module spec.bench.measure
local shell = require "spec.platform.shell"

local M = {}

--- The interpreter that runs this, for the measures that need a process of their own.
M.lua = arg[-1] or "lua"
for i = -1, -20, -1 do
  M.lua = arg[i] or M.lua
end

--- How often the contenders take turns; the environment's BENCH_ROUNDS.
M.rounds = tonumber(os.getenv "BENCH_ROUNDS") or 9

local failures = 0

--- The middle one of some numbers.
---@param values number[]
---@return number
function M.median(values)
  local sorted = {}
  for i, value in ipairs(values) do
    sorted[i] = value
  end
  table.sort(sorted)
  local n = #sorted
  return n % 2 == 1 and sorted[(n + 1) / 2] or (sorted[n / 2] + sorted[n / 2 + 1]) / 2
end

--- Our own processor time for a function, in seconds; that of other processes, the server's, does not count.
---@param fn function
---@return number cpu
---@return any what it returns
function M.cpu(fn, ...)
  local before = os.clock()
  local value = fn(...)
  return os.clock() - before, value
end

--- Keeps this process, and those that it starts from now on, on one processor: whom the system puts where, and whether
-- waking the server means waking a processor, otherwise decides more about a call's cost than we do.
---@return fun() free lets it run everywhere again
---@return boolean pinned false where there is no taskset
function M.pin()
  local pid = shell.pid()
  local mask = (shell.run("taskset -p " .. pid) or ""):match ": (%x+)$"
  local last = (shell.run("taskset -cp " .. pid) or ""):match "(%d+)$"
  if not (mask and last and shell.run(("taskset -cp %s %s"):format(last, pid))) then
    return function() end, false
  end
  return function()
    assert(shell.run(("taskset -p %s %s"):format(mask, pid)))
  end, true
end

--- Lets contenders take turns: the machine's moods then hit all of them.
---@param contenders table<string, fun(): number> each measures itself once
---@param rounds? integer
---@return table<string, number[]> by name: one number a round
function M.turns(contenders, rounds)
  local names, results = {}, {}
  for name in pairs(contenders) do
    names[#names + 1], results[name] = name, {}
  end
  table.sort(names)
  for round = 1, rounds or M.rounds do
    for i = 1, #names do
      local name = names[(i + round) % #names + 1]
      collectgarbage()
      results[name][round] = contenders[name]()
    end
  end
  return results
end

--- The median, and the spread, of what a function makes of each round's numbers.
---@param results table<string, number[]>
---@param of fun(round: table<string, number>): number
---@return {median: number, least: number, most: number}
function M.each_round(results, of)
  local values = {}
  for i = 1, #results[next(results)] do
    local round = {}
    for name, list in pairs(results) do
      round[name] = list[i]
    end
    values[i] = of(round)
  end
  return { median = M.median(values), least = math.min((table.unpack or unpack)(values)), -- luacheck: ignore 143
    most = math.max((table.unpack or unpack)(values)) } -- luacheck: ignore 143
end

--- Runs a command and reads the numbers that it prints.
---@param ... string words
---@return number[]
function M.numbers(...)
  local words = { ... }
  for i, word in ipairs(words) do
    words[i] = shell.quote(tostring(word))
  end
  local text = assert(shell.run(table.concat(words, " ")))
  local list = {}
  for word in text:gmatch "%S+" do
    list[#list + 1] = tonumber(word) or error(words[1] .. " wrote: " .. text)
  end
  return list
end

--- Runs a measure of spec/bench/child.lua in a fresh process.
---@return number[]
function M.child(...)
  return M.numbers(M.lua, "spec/bench/child.lua", ...)
end

--- Compiles spec/bench/baseline.c.
---@return fun(mode: string, server: string, p: table, count: integer, warm_up: integer, concurrency: integer):
--- number, number runs it; processor and wall-clock seconds
---@return string path
function M.baseline()
  local path = assert(shell.run 'mktemp -d "${TMPDIR:-/tmp}/aitoearn-bench.XXXXXX"')
  local program = path .. "/baseline"
  assert(shell.run("${CC:-cc} -std=c99 -D_GNU_SOURCE -O2 spec/bench/baseline.c -o " .. shell.quote(program) .. " -lcurl"))
  return function(mode, server, p, count, warm_up, concurrency)
    local ca = server:find "^https" and p.ca_file or "-"
    local seen = M.numbers(program, mode, server .. "/api/v2/channels/publish/records/", p.cn.key, ca, count, warm_up,
      concurrency)
    assert(seen[3] == 0, "baseline: not every answer was HTTP 200")
    assert(seen[4] == 0, "baseline: it needed another connection")
    return seen[1], seen[2]
  end, path
end

--- Starts a group of results.
function M.heading(text)
  io.write("\n", text, "\n")
end

local function verdict(value, limit, at_least)
  if not limit then
    return ""
  end
  local ok = (at_least and value >= limit) or (not at_least and value <= limit)
  failures = failures + (ok and 0 or 1)
  return ("%s %g"):format(at_least and ">=" or "<=", limit), ok and "ok" or "OVER"
end

--- Prints a result.
---@param what string
---@param value number|{median: number, least: number, most: number}
---@param row {unit?: string, most?: number, least?: number} the target, where there is one: at most, or at least
function M.row(what, value, row)
  local spread = ""
  if type(value) == "table" then
    spread = ("(%.3g .. %.3g)"):format(value.least, value.most)
    value = value.median
  end
  local target, ok = verdict(value, row.most or row.least, row.least ~= nil)
  local number = ("%.3g %s"):format(value, row.unit or "x")
  io.write(("  %-66s %10s  %-18s %-8s %s\n"):format(what, number, spread, target, ok or ""))
  io.flush()
end

--- How many results missed their targets.
function M.missed()
  return failures
end

return M
