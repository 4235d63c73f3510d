--- Follows records until they are settled, together with any number of others on any number of hosts.
--
--     FLEET_REDIS=redis.internal:6379 lua5.4 examples/fleet/follower.lua      with AITOEARN_API_KEY set
local folder = arg[0]:match "^(.*/)" or ""
local support = dofile(folder .. "../support.lua")
local fleet = dofile(folder .. "fleet.lua")

local parser = support.parser("Follows the records whose ids stand on a Redis stream, and writes what became of them.", [[
The key comes from AITOEARN_API_KEY, the Redis server (6.2 or later) from FLEET_REDIS (127.0.0.1:6379).
Start as many as you like. One that dies leaves its ids to the others after --idle seconds.]])
parser:option("--name", "this follower's name (default: HOST-PROCESS)")
parser:option("--capacity", "ids to follow at the same time"):convert(support.whole):default "10000"
parser:option("--idle", "seconds after which a silent follower counts as dead"):convert(support.positive):default "30"
parser:option("--max-rate", "requests a second, over all followers"):convert(support.positive)
parser:option("--every", "look this often, in seconds, rather than as the record's state suggests"):convert(support.positive)
parser:flag("--until-empty", "end when nothing is left to follow, for anybody")
local args = parser:parse()

-- Ids that are taken at a time; each lot is followed by a `wait_all` of its own.
local LOT = 500

local cjson = support.require("cjson", "lua-cjson")
local core = require "aitoearn.core"

local function own_name()
  local pipe = io.popen "hostname"
  local host = pipe:read "*l"
  pipe:close()
  return ("%s-%d"):format(host, core.getpid())
end

local name = args.name or own_name()
local counts = { done = 0, failed = 0, lost = 0, lots = 0 }
local lots, in_hand = {}, 0 -- each lot: `entries`, id -> entries of it; `task`
local finished = {} -- results that Redis does not have yet
local redis, client

--- Does something with Redis. Where that fails the connection is made again the next time: what is followed goes on.
---@return any value nil where it failed
local function with_redis(fn, ...)
  local function attempt(...)
    redis = redis or fleet.connect(5)
    return fn(redis, ...)
  end
  local ok, value = pcall(attempt, ...)
  if ok then return value == nil or value end
  if tostring(value):find "interrupted!$" then error(value, 0) end
  io.stderr:write(name, ": ", tostring(value), "\n")
  if redis then pcall(redis.network.socket.close, redis.network.socket) end
  redis = nil
  return nil
end

local function describe(record, err)
  if record then return "record", cjson.encode(record) end
  return "error", cjson.encode { kind = err.kind, code = err.code, message = tostring(err) }
end

local function pace() return args.every end

local function follow(lot)
  local ids = {}
  for id in pairs(lot.entries) do ids[#ids + 1] = id end
  lots[lot], counts.lots = true, counts.lots + 1
  lot.task = client:start("wait_all", ids, {
    timeout = false,
    concurrency = 16,
    pace = args.every and pace or nil,
    on_record = function(id, record, err)
      if lot.is_dropped or (err and err.kind == "closed") then return end
      local kind, json = describe(record, err)
      for _, entry in ipairs(lot.entries[id]) do
        finished[#finished + 1] = { entry = entry, id = id, kind = kind, json = json }
      end
      lot.entries[id] = nil
    end,
  })
  lot.task:on_done(function() lots[lot] = nil end)
end

--- A lot that is filled by `take(entry, id)`.
local function new_lot()
  local lot = { entries = {} }
  return lot, function(entry, id)
    in_hand = in_hand + 1
    lot.entries[id] = lot.entries[id] or {}
    table.insert(lot.entries[id], entry)
  end
end

local function room() return math.min(LOT, args.capacity - in_hand) end

--- Takes ids by a function of fleet's.
local function take(how, ...)
  if room() < 1 then return end
  local lot, add = new_lot()
  local words = { ... }
  words[#words + 1] = add
  with_redis(how, name, room(), (table.unpack or unpack)(words)) -- luacheck: ignore 143
  if next(lot.entries) then follow(lot) end
end

--- Hands over what is finished. What another follower owns by now is its business.
local function write_results()
  while finished[1] do
    local last = finished[#finished]
    local written = with_redis(fleet.finish, name, last.entry, last.id, last.kind, last.json)
    if written == nil then return end
    finished[#finished], in_hand = nil, in_hand - 1
    local counter = not written and "lost" or last.kind == "record" and "done" or "failed"
    counts[counter] = counts[counter] + 1
  end
end

--- Every entry that this follower works on.
local function entries_in_hand()
  local list = {}
  for lot in pairs(lots) do
    for _, entries in pairs(lot.entries) do
      for _, entry in ipairs(entries) do list[#list + 1] = entry end
    end
  end
  for _, row in ipairs(finished) do list[#list + 1] = row.entry end
  return list
end

--- Starts a lot again without what went to others.
local function drop_lost(lot, owned)
  local rest, add = new_lot()
  local lost = 0
  for id, entries in pairs(lot.entries) do
    for _, entry in ipairs(entries) do
      in_hand = in_hand - 1
      if owned[entry] then add(entry, id) else lost = lost + 1 end
    end
  end
  if lost == 0 then return end
  counts.lost = counts.lost + lost
  lot.is_dropped = true
  lot.task:cancel()
  lots[lot] = nil
  if next(rest.entries) then follow(rest) end
end

local function renew()
  local owned = with_redis(fleet.renew, name, entries_in_hand())
  if not owned then return end
  local list = {}
  for lot in pairs(lots) do list[#list + 1] = lot end
  for _, lot in ipairs(list) do drop_lost(lot, owned) end
end

local function note()
  local stats = client:stats()
  with_redis(fleet.note, name, cjson.encode {
    at = os.time(), following = in_hand, done = counts.done, failed = counts.failed, lost = counts.lost,
    requests = stats.attempts, retries = stats.retries, in_flight = stats.in_flight,
    memory_kib = math.floor(collectgarbage "count"),
  })
end

--- Runs a function every so many seconds.
local function every(seconds, fn)
  local due = 0
  return function()
    local now = core.monotonic()
    if now >= due then
      due = now + seconds
      fn()
    end
  end
end

local function is_all_done()
  local state = with_redis(fleet.state)
  return state and state.left == 0
end

support.run(function()
  client = support.client(args, {
    max_rate = args.max_rate,
    share = require("aitoearn.share.redis").new(fleet.connect, { prefix = "fleet:" }),
  })
  while not with_redis(fleet.prepare) do os.execute "sleep 1" end
  local duties = {
    every(args.idle / 3, function()
      renew()
      take(fleet.take_over, args.idle)
    end),
    every(1, note),
    every(0.2, function() take(fleet.take_new, false) end),
  }
  local ok, problem = pcall(function()
    repeat
      for _, duty in ipairs(duties) do duty() end
      if client:poll(0.1) == 0 and not finished[1] then
        take(fleet.take_new, 200) -- nothing to do but wait for the next id
      end
      write_results()
    until args.until_empty and in_hand == 0 and is_all_done()
  end)
  -- On the way out: the others need not wait until this one counts as dead.
  with_redis(fleet.renew, name, entries_in_hand(), 10 * args.idle)
  note()
  if not ok then error(problem, 0) end
  return 0
end)
