--- `make bench`: what the library costs, beside bare libcurl and lua-cjson, all in one run on the local platform.
--
-- Numbers of one run are compared with each other, never with those of another day: contenders take turns, and a
-- result is the median of each round's ratio, with the least and the most beside it. A missed target is told, and
-- fails nothing: machines are noisy. From the environment: BENCH_ROUNDS (9), BENCH_CALLS (2000 a round), BENCH_IDS
-- (100,000, of the memory measure), BENCH_ONLY (the names of some measures below), BENCH_README (the file that gets the
-- table of the peers).

local measure = require "spec.bench.measure"
local platform = require "spec.platform"
local batches = require "spec.bench.batches"
local calls = require "spec.bench.calls"
local frames = require "spec.bench.frames"
local peers = require "spec.bench.peers"
local shell = require "spec.platform.shell"

-- These are measured with us and the server on one processor, which is where other programs disturb least, the others as
-- it comes.
local on_one_processor = {
  { "get_record", calls.get_record },
  { "decode", calls.decode },
  { "poll", frames.poll },
  { "peers", peers.run },
}
local others = {
  { "require", calls.require },
  { "batch", batches.beside_bare },
  { "single", batches.beside_single },
  { "frames", frames.loop },
  { "memory", batches.memory },
  { "outage", batches.outage },
}

local function is_wanted(name)
  local only = os.getenv "BENCH_ONLY"
  return not only or (" " .. only:gsub(",", " ") .. " "):find(" " .. name .. " ", 1, true) ~= nil
end

local baseline, folder = measure.baseline()

local function run(measures)
  local p = assert(platform.start { log = false })
  local ok, message = xpcall(function()
    for _, case in ipairs(measures) do
      if is_wanted(case[1]) then
        case[2](p, baseline)
      end
    end
  end, debug.traceback)
  p:stop()
  assert(ok, message)
end

local ok, message = pcall(function()
  local free, pinned = measure.pin()
  io.write(jit and jit.version or _VERSION, "; median (least .. most) of several rounds; x: ratio in one run\n")
  io.write(pinned and "Client and server on one processor, where nothing else is said.\n" or "No taskset: expect noise.\n")
  run(on_one_processor)
  free()
  run(others)
end)
shell.run("rm -rf " .. shell.quote(folder))
if not ok then
  error(message, 0)
end
io.write(("\n%d targets missed\n"):format(measure.missed()))
