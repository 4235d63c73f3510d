--- `make soak CALLS=1000000`: so many calls, one in twenty of them to a server that misbehaves, in every way that a
-- program makes calls and gives them up; now and then the server dies and comes back. Then: every call accounted for,
-- each ended as its id says, the server's own count agrees, and descriptors and resident memory stayed flat.
--
-- From the environment: CALLS (100,000), SEED (printed; the same seed makes the same calls, though not the same timing).
local aitoearn = require "aitoearn"
local platform = require "spec.platform"
local shell = require "spec.platform.shell"
local account = require "spec.soak.account"
local ways = require "spec.soak.ways"

local CALLS = tonumber(os.getenv "CALLS") or 100000
local SEED = tonumber(os.getenv "SEED") or os.time()
local CALLS_A_ROUND = math.max(500, math.min(2500, math.floor(CALLS / 60)))
local ROUNDS_A_KILL = 10

local function resident()
  return tonumber(shell.read("/proc/self/status"):match "VmRSS:%s*(%d+)")
end

local function descriptors()
  return tonumber(shell.run "ls /proc/$PPID/fd | wc -l")
end

local function settle()
  collectgarbage()
  collectgarbage()
end

--- The requests that the server saw since it was asked last.
local function served(p)
  local count = tonumber((assert(shell.run("wc -l <" .. shell.quote(p.dir .. "/access.log")))))
  shell.write(p.dir .. "/access.log", "")
  return count
end

local function new_client(p, round)
  return aitoearn.new {
    server = ({ p.cn.http, p.cn.https, p.https1 })[round % 3 + 1],
    api_key = p.cn.key, ca_file = p.ca_file, proxy = "", max_connections = 8,
    connect_timeout = 5, timeout = 2, deadline = 30, retry = { max_attempts = 2, base = 0.002 },
  }
end

--- One client's life.
local function run_round(p, round, books)
  local client = new_client(p, round)
  local until_call = books.started + CALLS_A_ROUND
  if round % ROUNDS_A_KILL == 0 then
    ways.kill(client, books, p)
  end
  while books.started < until_call do
    ways.any(client, books)
  end
  if round % 2 == 0 then
    ways.close(client, books)
  end
  local attempts = client:stats().attempts
  client:close()
  return attempts
end

local function median(list, from, to)
  local part = {}
  for i = math.floor(from) + 1, math.floor(to) do
    part[#part + 1] = list[i]
  end
  table.sort(part)
  return part[math.floor(#part / 2) + 1]
end

--- What is to be said against memory and descriptors: the first quarter is warm-up.
local function growth(samples)
  local n = #samples.memory
  local early, late = median(samples.memory, n / 4, n / 2), median(samples.memory, 3 * n / 4, n)
  local most = 1024 + 0.03 * early -- KiB; fragmentation moves by as much
  return early, late, late - early > most, samples.descriptors[n] > samples.descriptors[math.ceil(n / 4)]
end

local function main()
  local p = assert(platform.start())
  local books, samples = account.new(SEED), { memory = {}, descriptors = {} }
  local began, round = os.time(), 0
  io.write(("soak: %d calls, SEED=%d, %s\n"):format(CALLS, SEED, jit and jit.version or _VERSION))
  while books.started < CALLS do
    round = round + 1
    p:settle()
    served(p)
    books:open_round()
    local attempts = run_round(p, round, books)
    p:settle()
    books:close_round(round, attempts, served(p))
    settle()
    samples.memory[round], samples.descriptors[round] = resident(), descriptors()
    if round % 10 == 0 then
      io.write(("  %8d calls  %6d KiB  %3d descriptors  %5d s\n"):format(books.started, samples.memory[round],
        samples.descriptors[round], os.time() - began))
      io.flush()
    end
  end
  p:stop()
  return books, samples, os.time() - began
end

local books, samples, seconds = main()
local early, late, grew, leaked = growth(samples)
books:report()
io.write(("resident memory, medians: %d KiB in the second quarter, %d KiB in the last: %s\n"):format(early, late,
  grew and "GREW" or "flat"))
io.write(("descriptors after each client: %d, %d at the end: %s\n"):format(samples.descriptors[math.ceil(
  #samples.descriptors / 4)], samples.descriptors[#samples.descriptors], leaked and "LEAKED" or "flat"))
io.write(("%d calls in %d s\n"):format(books.started, seconds))
if grew or leaked or #books.problems > 0 then
  io.write(("soak failed: SEED=%d\n"):format(SEED))
  os.exit(1)
end
io.write "soak passed\n"
