--- A store in Redis (6.2 or later), for processes on any number of hosts.
---
---     local redis = require "redis" -- lua-redis; in nginx lua-resty-redis
---     local function connect()
---       local connection = redis.connect("127.0.0.1", 6379)
---       connection.network.socket:settimeout(0.1)
---       return connection
---     end
---     local client = aitoearn.new { max_rate = 10, share = require("aitoearn.share.redis").new(connect) }
---
--- One script does everything, since Redis runs a script as a whole. Its times are whole microseconds of the Redis
--- server's clock, as strings: numbers would lose their fractions on the way out.
---@module "aitoearn.share.redis"

local core = require "aitoearn.core"

local M = {}

local AHEAD = require("aitoearn.share.site").AHEAD

-- KEYS: hold, turn, back, out, probe. ARGV: what to do, and its values.
-- "acquire": interval and how far ahead a slot (its "turn") may be, in microseconds; "1" to become the prober of a place.
M.SCRIPT = [[
local hold, turn, back, out, probe = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local what, a, b, c = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local function whole(number) return string.format("%.0f", number) end
local function ms_until(time) return whole(math.max(1, math.ceil((time - now) / 1000))) end
local function ends_of(text) return tonumber((string.match(text or "", "^%d+"))) or 0 end

if what == "acquire" then
  local held = ends_of(redis.call("GET", hold))
  local interval, wait, taken, prober = tonumber(a), "", "", ""
  if interval > 0 and held <= now then
    local returned = redis.call("ZRANGEBYSCORE", back, whole(now), "+inf", "LIMIT", 0, 1)[1]
    local at = tonumber(returned) or math.max(now, ends_of(redis.call("GET", turn)))
    wait = whole(at - now)
    if at - now <= tonumber(b) then
      taken = whole(at)
      if returned then
        redis.call("ZREM", back, returned)
      else
        redis.call("SET", turn, whole(at + interval), "PX", ms_until(at + interval))
      end
    end
  end
  if c ~= "" then
    local ends = ends_of(redis.call("HGET", out, c))
    prober = ends > 0 and ends <= now and redis.call("SET", probe, "1", "NX", "PX", 60000) and "1" or "0"
  end
  return { whole(now), whole(held), wait, taken, prober, redis.call("HGETALL", out) }
elseif what == "give_back" then
  local at = tonumber(a)
  if at > now then
    redis.call("ZREMRANGEBYSCORE", back, "-inf", whole(now))
    redis.call("ZADD", back, a, a)
    redis.call("PEXPIRE", back, 2000)
  end
elseif what == "hold" then
  local ends = now + tonumber(a)
  if ends == now then
    redis.call("DEL", hold)
  elseif ends > ends_of(redis.call("GET", hold)) then
    redis.call("SET", hold, whole(ends), "PX", ms_until(ends))
  end
elseif what == "eject" then
  local ends = now + tonumber(b)
  redis.call("DEL", probe)
  if ends > ends_of(redis.call("HGET", out, a)) then
    redis.call("HSET", out, a, whole(ends) .. " " .. c)
    redis.call("PEXPIRE", out, 3600000)
  end
elseif what == "restore" then
  redis.call("DEL", probe)
  redis.call("HDEL", out, a)
elseif what == "release" then
  redis.call("DEL", probe)
end
return { whole(now) }
]]

-- What EVALSHA calls the script; a wrong one only costs the way back by EVAL.
M.SHA1 = "c61c2c4879c6d09bf158dbe9c51aec9a365d37e4"

-- In nginx a connection goes back into the worker's pool, for this many milliseconds.
local KEEP_MS, POOL = 60000, 16
-- Elsewhere idle ones are kept, for several in use at the same time (`yields`).
local IDLE = 16

-- The phases in which nginx lets a connection be used.
local CAN_WAIT = { rewrite = true, server_rewrite = true, access = true, content = true, timer = true, ssl_cert = true }

---@class aitoearn.RedisStore: aitoearn.Store
---@field private connect fun(): table?, string?
---@field private prefix string
---@field private idle table[] connections that nobody uses
---@field private pid integer? whose they are
local Store = {}
Store.__index = Store

--- Makes a store of a Redis server.
---@param connect fun(): table?, string? returns a connected client of lua-redis or lua-resty-redis
---@param opts? {prefix: string?, yields: boolean?} `prefix` ("aitoearn:") begins every key; `yields`: the connection yields
--- to the host's loop
---@return aitoearn.RedisStore
function M.new(connect, opts)
  opts = opts or {}
  if type(connect) ~= "function" then
    error("connect: function expected, got " .. type(connect), 2)
  elseif opts.prefix ~= nil and type(opts.prefix) ~= "string" then
    error("prefix: string expected, got " .. type(opts.prefix), 2)
  end
  local is_nginx = rawget(_G, "ngx") ~= nil and ngx.get_phase ~= nil
  local yields = is_nginx or opts.yields == true
  return setmetatable({
    connect = connect,
    prefix = opts.prefix or "aitoearn:",
    is_nginx = is_nginx,
    yields = yields,
    blocks = not yields,
    idle = {},
  }, Store)
end

-- Calls a method that raises, or returns nil or false and a message.
local function try(fn, ...)
  local ok, value, problem = pcall(fn, ...)
  if ok and value then
    return value
  end
  return nil, tostring(not ok and value or problem)
end

-- A connection for one use.
local function take(self)
  local pid = core.getpid()
  if self.pid ~= pid then -- those that a fork left here are its parent's
    self.pid, self.idle = pid, {}
  end
  local idle = table.remove(self.idle)
  if idle then
    return idle
  end
  return try(self.connect)
end

local function keep(self, connection)
  if connection.set_keepalive then
    connection:set_keepalive(KEEP_MS, POOL)
  elseif #self.idle < IDLE then
    self.idle[#self.idle + 1] = connection
  end
end

-- After any error a connection may be in the middle of an answer.
local function drop(connection)
  local network = connection.network
  pcall(function()
    if network then
      network.socket:close()
    else
      connection:close()
    end
  end)
end

local function run_script(connection, ...)
  if connection.evalsha then
    local reply, problem = try(connection.evalsha, connection, M.SHA1, 5, ...)
    if reply or not problem:find("NOSCRIPT", 1, true) then
      return reply, problem
    end
  end
  return try(connection.eval, connection, M.SCRIPT, 5, ...)
end

local function run(self, site, place, ...)
  if self.is_nginx and not CAN_WAIT[ngx.get_phase()] then
    return nil, false
  end
  local connection, problem = take(self)
  if not connection then
    return nil, problem
  end
  local name = ("%s{%s} "):format(self.prefix, site) -- in a cluster all keys of a site are on one node
  local reply
  reply, problem = run_script(connection, name .. "hold", name .. "turn", name .. "back", name .. "out",
    name .. "probe " .. (place or ""), ...)
  if not reply then
    drop(connection)
    return nil, problem
  end
  keep(self, connection)
  return reply
end

local function micro(seconds)
  return ("%.0f"):format(seconds * 1e6)
end

-- A Redis hash as it came, place and "end count" alternating.
local function read_ejected(fields, now)
  local ejected
  for i = 1, #fields, 2 do
    local ends, count = fields[i + 1]:match "^(%d+) (%d+)$"
    ejected = ejected or {}
    ejected[tonumber(fields[i])] = { left = (tonumber(ends) - now) / 1e6, count = tonumber(count) }
  end
  return ejected
end

function Store:acquire(site, interval, probe)
  local reply, problem = run(self, site, probe, "acquire", micro(interval or 0), micro(AHEAD), probe or "")
  if not reply then
    return nil, problem
  end
  local now, hold = tonumber(reply[1]), tonumber(reply[2])
  return {
    hold = hold > now and (hold - now) / 1e6 or nil,
    wait = reply[3] ~= "" and tonumber(reply[3]) / 1e6 or nil,
    slot = reply[4] ~= "" and reply[4] or nil,
    probe = reply[5] == "1",
    ejected = read_ejected(reply[6], now),
  }
end

function Store:give_back(site, slot)
  local reply, problem = run(self, site, nil, "give_back", slot, "", "")
  return reply and true, problem
end

function Store:report(site, fact, a, b, c)
  local place, seconds = a, b
  if fact == "hold" then
    place, a = nil, micro(a)
  end
  local reply, problem = run(self, site, place, fact, a, seconds and micro(seconds) or "", c or "")
  return reply and true, problem
end

return M
