--- Clocks for specs in which only time is at stake: nobody sleeps in them.
--
-- `clock()` runs the real client over the real engine against a real server; its sleeps alone take no time.
-- `world()` replaces the engine as well: whole days with thousands of records pass in a second, and everything in
-- Lua (calls, batch, wait, pace, fetch, site, retry) is the real thing.
-- @module spec.fake_host
local blocking = require "aitoearn.host.blocking"
local core = require "aitoearn.core"
local heap = require "aitoearn.heap"

local M = {}

--- A clock that a client's sleeps move on.
---@return {time: number, sleeps: number[], reports: string[], host: function}
function M.clock()
  local clock = { time = 1000, sleeps = {}, reports = {} }
  function clock.host(engine)
    local host = blocking.new(engine)
    function host.now() return clock.time end
    function host.sleep(seconds)
      clock.sleeps[#clock.sleeps + 1] = seconds
      clock.time = clock.time + seconds
    end
    function host.report(message) clock.reports[#clock.reports + 1] = message end
    return host
  end
  return clock
end

-- The server's Unix time when a world begins: a whole hour.
M.EPOCH = 1767225600

--- A time as the API writes it.
---@param at number seconds of a world's clock
---@return string
function M.iso(at)
  return os.date("!%Y-%m-%dT%H:%M:%S", M.EPOCH + math.floor(at)) .. (".%03dZ"):format(math.floor(at % 1 * 1000))
end

local Transfer = {}
Transfer.__index = Transfer

local function finish(transfer, ending)
  if transfer.done then return end
  local world = transfer.world
  transfer.done, transfer.how = true, ending
  transfer.finished = world.time
  world.done[#world.done + 1] = transfer
  if transfer.id then world.in_flight = world.in_flight - 1 end
end

function Transfer:is_done() return self.done or false end
function Transfer:cancel() finish(self, "cancelled") end
function Transfer:fire() finish(self) end
function Transfer:ending() return self.how end
function Transfer:started_at() return self.started end
function Transfer:elapsed() return self.finished - self.started end
function Transfer:date() return self.id and math.floor(M.EPOCH + self.finished) end
function Transfer.request_id() return "fake" end

function Transfer:result()
  assert(self.done and not self.read, "read before it was done, or twice")
  self.read = true
  if self.how then return nil, { kind = self.how, message = self.how } end
  return self.world.answer(self.id, self.finished)
end

local Engine = {}
Engine.__index = Engine

local function start(world, seconds, id)
  local transfer = setmetatable({ world = world, id = id, started = world.time }, Transfer)
  if seconds and seconds < math.huge then world.due:push(world.time + seconds, transfer) end
  return transfer
end

function Engine:timer(seconds) return start(self.world, seconds) end

function Engine:get(_, _, id)
  local world = self.world
  world.in_flight = world.in_flight + 1
  world.most_in_flight = math.max(world.most_in_flight, world.in_flight)
  world.on_request(id, world.time)
  return start(world, world.latency, id)
end

function Engine:poll(ms)
  local world = self.world
  while ms ~= 0 and #world.done == 0 do
    local at = assert(world.due:first_due(), "everybody waits and nothing will ever happen")
    local transfer = world.due:pop()
    if not transfer.done then
      world.time = at
      finish(transfer)
    end
  end
  return #world.done
end

function Engine:next() return table.remove(self.world.done, 1) end
function Engine:random() return self.world.random() end
function Engine.stats() return {} end
function Engine.close() end

--- A server, a network and a clock in one; the clock moves only while somebody waits.
---@param given {answer: fun(id: string, at: number), latency?: number, on_request?: fun(id: string, at: number)}
---@return table world `time` (seconds from 0), `most_in_flight`, `client(options)`
function M.world(given)
  local seed = 42
  local world = { time = 0, due = heap.new(), done = {}, in_flight = 0, most_in_flight = 0, answer = given.answer,
    latency = given.latency or 0.05, on_request = given.on_request or function() end }
  function world.random()
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  end
  function world.client(options)
    local real, engine = core.engine, setmetatable({ world = world }, Engine)
    options.server, options.api_key = "http://127.0.0.1:1", "fake"
    options.host = function()
      local host = blocking.new(engine)
      function host.now() return world.time end
      return host
    end
    core.engine = function() return engine end
    local ok, client = pcall(require("aitoearn").new, options)
    core.engine = real
    return assert(ok and client, client)
  end
  return world
end

return M
