--- What the fleet's programs share: Redis, its keys, and what has to happen as a whole.
--
-- `ids` is a stream; a consumer group hands each entry to one follower, which owns it until the entry has been idle for
-- too long. A follower renews what it owns; what a dead one owned goes to the others. A finished entry is taken off
-- the stream in the same step that writes its result, and only by its owner.
local fleet = {}

local IDS, RESULTS, FOLLOWERS, GROUP = "fleet:ids", "fleet:results", "fleet:followers", "followers"

-- Results are forgotten after about so many more.
local KEEP = 1000000

-- Debian has lua-redis, which is plain Lua, for 5.1 to 5.3.
local function load_redis()
  local found, redis = pcall(require, "redis")
  if not found then
    package.path = package.path .. ";/usr/share/lua/5.3/?.lua"
    found, redis = pcall(require, "redis")
  end
  assert(found, "needs lua-redis: apt install lua-redis, or luarocks install redis-lua")
  for _, name in ipairs { "xadd", "xlen", "xrange", "xgroup", "xreadgroup", "xautoclaim", "xpending", "xinfo" } do
    redis.commands[name] = redis.command(name:upper())
  end
  return redis
end

local lua_redis = load_redis()

--- Connects to the Redis server of FLEET_REDIS ("host:port", 127.0.0.1:6379 unless set).
---@param seconds? number time-out of connecting, of a read and of a write; 0.1 unless given
function fleet.connect(seconds)
  local host, port = (os.getenv "FLEET_REDIS" or "127.0.0.1:6379"):match "^(.*):(%d+)$"
  seconds = seconds or 0.1
  local connection = lua_redis.connect { host = host or "127.0.0.1", port = tonumber(port) or 6379, timeout = seconds }
  connection.network.socket:settimeout(seconds)
  return connection
end

--- Makes the group, unless it exists.
function fleet.prepare(redis)
  local made, problem = pcall(redis.xgroup, redis, "CREATE", IDS, GROUP, "0", "MKSTREAM")
  if not made and not tostring(problem):find("BUSYGROUP", 1, true) then error(problem, 0) end
end

--- Adds an id to follow.
function fleet.add(redis, id) redis:xadd(IDS, "*", "id", id) end

-- Redis's pairs of entry and fields, as `take(entry, id)`.
local function each_entry(entries, take)
  for _, pair in ipairs(entries or {}) do
    local fields = pair[2]
    if type(fields) == "table" then take(pair[1], fields[2]) end -- a deleted entry has none
  end
end

--- Takes new ids: calls `take(entry, id)` for up to `count`.
---@param ms integer|false how long to wait for one
function fleet.take_new(redis, name, count, ms, take)
  local words = { "GROUP", GROUP, name, "COUNT", count }
  if ms then
    words[#words + 1], words[#words + 2] = "BLOCK", ms
  end
  for _, word in ipairs { "STREAMS", IDS, ">" } do words[#words + 1] = word end
  local streams = redis:xreadgroup((table.unpack or unpack)(words)) -- luacheck: ignore 143
  each_entry(streams and streams[1] and streams[1][2], take)
end

--- Takes ids whose owner has been silent for `idle` seconds.
function fleet.take_over(redis, name, count, idle, take)
  local reply = redis:xautoclaim(IDS, GROUP, name, ("%.0f"):format(idle * 1000), "0-0", "COUNT", count)
  each_entry(reply[2], take)
end

-- KEYS: ids. ARGV: group, follower, idle in ms, entries. Returns those that are still the follower's.
local RENEW = [[
local owned = {}
for entry in string.gmatch(ARGV[4], "%S+") do
  local row = redis.call("XPENDING", KEYS[1], ARGV[1], entry, entry, 1)[1]
  if row and row[2] == ARGV[2] then
    redis.call("XCLAIM", KEYS[1], ARGV[1], ARGV[2], 0, entry, "IDLE", ARGV[3], "JUSTID")
    owned[#owned + 1] = entry
  end
end
return owned
]]

--- Says that a follower is at work on these entries.
---@param idle? number seconds; 0 unless given. A long time hands them over to whoever comes
---@return table<string, boolean> owned those that are still its own
function fleet.renew(redis, name, entries, idle)
  local owned = {}
  for first = 1, #entries, 1000 do -- a script of a few milliseconds each
    local some = table.concat(entries, " ", first, math.min(#entries, first + 999))
    for _, entry in ipairs(redis:eval(RENEW, 1, IDS, GROUP, name, ("%.0f"):format((idle or 0) * 1000), some)) do
      owned[entry] = true
    end
  end
  return owned
end

-- KEYS: ids, results. ARGV: group, follower, entry, how many results to keep, id, "record" or "error", JSON.
local FINISH = [[
local row = redis.call("XPENDING", KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if not row or row[2] ~= ARGV[2] then return 0 end
redis.call("XADD", KEYS[2], "MAXLEN", "~", ARGV[4], "*", "id", ARGV[5], ARGV[6], ARGV[7], "follower", ARGV[2])
redis.call("XACK", KEYS[1], ARGV[1], ARGV[3])
redis.call("XDEL", KEYS[1], ARGV[3])
return 1
]]

--- Writes a result, unless the entry has another owner by now, who will.
---@return boolean written
function fleet.finish(redis, name, entry, id, kind, json)
  return redis:eval(FINISH, 2, IDS, RESULTS, GROUP, name, entry, KEEP, id, kind, json) == 1
end

--- Notes how a follower does.
function fleet.note(redis, name, json) redis:hset(FOLLOWERS, name, json) end

--- Takes a follower that is gone off the list.
function fleet.forget(redis, name)
  redis:hdel(FOLLOWERS, name)
  redis:xgroup("DELCONSUMER", IDS, GROUP, name)
end

--- How it goes: what is left, owned and done, and each follower's note.
---@return {left: integer, owned: integer, results: integer, followers: table<string, string>}
function fleet.state(redis)
  local pending = redis:xpending(IDS, GROUP)
  return {
    left = redis:xlen(IDS),
    owned = tonumber(pending[1]),
    results = redis:xlen(RESULTS),
    followers = redis:hgetall(FOLLOWERS),
  }
end

--- How many entries each follower owns.
---@return table<string, {owned: integer, idle: number}>
function fleet.owners(redis)
  local owners = {}
  for _, row in ipairs(redis:xinfo("CONSUMERS", IDS, GROUP)) do
    local fields = {}
    for i = 1, #row, 2 do fields[row[i]] = row[i + 1] end
    owners[fields.name] = { owned = fields.pending, idle = fields.idle / 1000 }
  end
  return owners
end

--- Results after a place: an array of `{id, follower, record or error (JSON)}`, and the place to go on from.
function fleet.results(redis, after, count)
  local list = {}
  for i, pair in ipairs(redis:xrange(RESULTS, after and "(" .. after or "-", "+", "COUNT", count or 1000)) do
    local row = {}
    for k = 1, #pair[2], 2 do row[pair[2][k]] = pair[2][k + 1] end
    list[i], after = row, pair[1]
  end
  return list, after
end

return fleet
