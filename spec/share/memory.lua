--- A store in this process's memory, on a clock of the spec's: what `share` documents, as a user could write it.
-- @module spec.share.memory

local M = {}

---@class spec.share.Memory: aitoearn.Store
---@field calls string[] what was asked and reported: "acquire", "give_back", "hold", …
---@field fail? "raises"|"returns"|"silent" how each function fails
---@field delay? number seconds that each function takes
local Memory = {}
Memory.__index = Memory

---@param clock {time: number}
---@return spec.share.Memory
function M.new(clock)
  return setmetatable({ clock = clock, sites = {}, calls = {}, said = {} }, Memory)
end

local function enter(self, what, ...)
  self.calls[#self.calls + 1] = what
  for _, value in ipairs { ... } do self.said[#self.said + 1] = tostring(value) end
  self.clock.time = self.clock.time + (self.delay or 0)
  if self.fail == "raises" then error "no route to the store" end
  return self.fail == "returns" and "connection refused" or nil
end

local function site_of(self, key)
  self.sites[key] = self.sites[key] or { hold = 0, next = 0, returned = {}, out = {}, probe = {} }
  return self.sites[key]
end

function Memory:acquire(key, interval, probe)
  local problem = enter(self, "acquire", key, interval, probe)
  if self.fail then return nil, problem or self.fail ~= "silent" end
  local site, now = site_of(self, key), self.clock.time
  local answer = { hold = site.hold > now and site.hold - now or nil }
  if interval and not answer.hold then
    local returned = table.remove(site.returned, 1)
    local at = returned or math.max(now, site.next)
    answer.wait = at - now
    if answer.wait <= 1 then
      answer.slot = at
      if not returned then site.next = at + interval end
    end
  end
  for place, row in pairs(site.out) do
    answer.ejected = answer.ejected or {}
    answer.ejected[place] = { left = row.ends - now, count = row.count }
  end
  if probe then
    local row = site.out[probe]
    answer.probe = row ~= nil and row.ends <= now and not site.probe[probe]
    site.probe[probe] = answer.probe or site.probe[probe]
  end
  return answer
end

function Memory:give_back(key, slot)
  local problem = enter(self, "give_back", key, slot)
  if self.fail then return nil, problem end
  table.insert(site_of(self, key).returned, slot)
  return true
end

function Memory:report(key, fact, a, b, c)
  local problem = enter(self, fact, key, a, b, c)
  if self.fail then return nil, problem end
  local site, now = site_of(self, key), self.clock.time
  if fact == "hold" then
    site.hold = a > 0 and math.max(site.hold, now + a) or 0
  elseif fact == "eject" then
    site.out[a], site.probe[a] = { ends = now + b, count = c }, nil
  elseif fact == "restore" then
    site.out[a], site.probe[a] = nil, nil
  elseif fact == "release" then
    site.probe[a] = nil
  end
  return true
end

--- How often a function was called since the last time this was asked.
---@return integer
function Memory:count(what)
  local count, left = 0, {}
  for _, call in ipairs(self.calls) do
    if call == what then count = count + 1 else left[#left + 1] = call end
  end
  self.calls = left
  return count
end

return M
