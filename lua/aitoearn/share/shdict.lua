--- A store in nginx's shared memory, for all workers: `share = "NAME"`, with `lua_shared_dict NAME 1m;` in nginx.conf.
---
--- A slot is taken by one `incr`, without a lock. The dict forgets by nginx's cached clock, which may be late; so every
--- time is a value of our own clock, and expiry only tidies up.
---@module "aitoearn.share.shdict"

local core = require "aitoearn.core"

local M = {}

local AHEAD = require("aitoearn.share.site").AHEAD
-- Seconds: a prober's time; how long an ejection that has run out is remembered; how late nginx's clock may be.
local LEASE, REMEMBERED, SLACK = 60, 3600, 0.1
-- Seconds after which a lock is that of a dead worker, and how often others try to get it before they do without.
local LOCK, TRIES = 0.1, 1000

---@class aitoearn.SharedDict: aitoearn.Store
---@field private dict table
---@field private prefix string
---@field private names table<string, table<string, string>> the dict's keys by site
local Store = {}
Store.__index = Store

--- Makes a store of a `lua_shared_dict`.
---@param name string
---@param opts? {prefix: string?} `prefix` ("aitoearn:") tells apart what shares a dict and a site, but not a key
---@return aitoearn.SharedDict
function M.new(name, opts)
  local dict = ngx.shared[name]
  if not dict then
    error(("share: there is no lua_shared_dict %q in nginx.conf"):format(tostring(name)), 2)
  end
  return setmetatable({ dict = dict, prefix = opts and opts.prefix or "aitoearn:", names = {} }, Store)
end

local function names_of(self, site)
  local names = self.names[site]
  if not names then
    local prefix = self.prefix .. site
    names = {
      hold = prefix .. " hold",
      slot = prefix .. " slot",
      back = prefix .. " back",
      out = prefix .. " out",
      lock = prefix .. " lock",
      probe = prefix .. " probe ",
    }
    self.names[site] = names
  end
  return names
end

-- The earliest slot that was given back and has not passed.
local function pop_returned(dict, back, now)
  local slot
  repeat
    slot = dict:lpop(back)
  until not slot or slot >= now
  return slot
end

--- Takes the next slot. `slot` holds when the one after the last comes, so adding an interval takes one. After a pause it
--- lies behind: then it is moved up to now as well. Whatever workers do at the same time, the sums are at least an
--- interval apart, and so are the slots.
---@return number? slot
---@return number|string next when a slot will come, where none was taken; a message where the dict fails
local function take_slot(dict, names, interval, now)
  local slot = pop_returned(dict, names.back, now)
  if slot then
    return slot, slot
  end
  local next_slot = dict:get(names.slot)
  if next_slot and next_slot - now > AHEAD then
    return nil, next_slot
  end
  local sum, problem = dict:incr(names.slot, interval, now, AHEAD)
  if not sum then
    return nil, problem
  end
  if sum < now then
    sum = dict:incr(names.slot, now + interval - sum, now) or now + interval
  end
  slot = sum - interval
  if slot - now > AHEAD then -- others were quicker
    dict:incr(names.slot, -interval)
    return nil, slot
  end
  dict:expire(names.slot, sum - now + 2 * interval + SLACK)
  return slot, slot
end

-- Ejections as a text: "place:end:count place:end:count".
local function read_ejected(text)
  local ejected
  for place, ends, count in (text or ""):gmatch "(%d+):([%d.]+):(%d+)" do
    ejected = ejected or {}
    ejected[tonumber(place)] = { ends = tonumber(ends), count = tonumber(count) }
  end
  return ejected
end

local function write_ejected(ejected)
  local parts = {}
  for place, row in pairs(ejected) do
    parts[#parts + 1] = ("%d:%.6f:%d"):format(place, row.ends, row.count)
  end
  return table.concat(parts, " ")
end

local function leave(lock_held, dict, names, ...)
  if lock_held then
    dict:delete(names.lock)
  end
  return ...
end

-- Runs `fn` while no other worker does: what is read and written again. Workers do not wait in it, so the lock is free
-- within microseconds, unless its owner was killed.
local function locked(dict, names, fn, ...)
  local held
  for _ = 1, TRIES do
    held = dict:add(names.lock, true, LOCK)
    if held then
      break
    end
  end
  return leave(held, dict, names, fn(dict, names, ...))
end

function Store:acquire(site, interval, probe)
  local dict, names, now = self.dict, names_of(self, site), core.monotonic()
  local answer = { ejected = read_ejected(dict:get(names.out)) }
  local hold = dict:get(names.hold)
  if hold and hold > now then
    answer.hold = hold - now
  elseif interval then
    local slot, next_slot = take_slot(dict, names, interval, now)
    if type(next_slot) ~= "number" then
      return nil, next_slot
    end
    answer.slot, answer.wait = slot, math.max(0, next_slot - now)
  end
  for _, row in pairs(answer.ejected or {}) do
    row.left = row.ends - now
  end
  if probe then
    local row = answer.ejected and answer.ejected[probe]
    answer.probe = row and row.left <= 0 and dict:add(names.probe .. probe, true, LEASE) or false
  end
  return answer
end

function Store:give_back(site, slot)
  local dict, names, left = self.dict, names_of(self, site), slot - core.monotonic()
  if left > 0 then
    dict:rpush(names.back, slot)
    dict:expire(names.back, left + SLACK)
  end
  return true
end

local facts = {}

function facts.hold(dict, names, seconds)
  if seconds <= 0 then
    return dict:delete(names.hold)
  end
  local ends, known = core.monotonic() + seconds, dict:get(names.hold)
  if not known or known < ends then
    return dict:set(names.hold, ends, seconds + SLACK)
  end
  return true
end

function facts.eject(dict, names, place, seconds, count)
  local ejected, ends = read_ejected(dict:get(names.out)) or {}, core.monotonic() + seconds
  local known = ejected[place]
  dict:delete(names.probe .. place)
  if not known or known.ends < ends then
    ejected[place] = { ends = ends, count = count }
    return dict:set(names.out, write_ejected(ejected), REMEMBERED)
  end
  return true
end

function facts.restore(dict, names, place)
  local ejected = read_ejected(dict:get(names.out)) or {}
  ejected[place] = nil
  dict:delete(names.probe .. place)
  if next(ejected) == nil then
    return dict:delete(names.out)
  end
  return dict:set(names.out, write_ejected(ejected), REMEMBERED)
end

function facts.release(dict, names, place)
  return dict:delete(names.probe .. place)
end

function Store:report(site, fact, ...)
  local ok, problem = locked(self.dict, names_of(self, site), facts[fact], ...)
  if not ok then
    return nil, problem
  end
  return true
end

return M
