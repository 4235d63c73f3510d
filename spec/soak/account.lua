--- The books of a soak: calls that began and ended, as what, and what the server saw of them.
-- @module spec.soak.account
local M = {}

-- One id in twenty: the step, and what it ends as. `resent`: libcurl itself may send it again, since a kept connection
-- that ends without an answer may have been dead before; five times, if it finds as many other kept ones.
local FAULTS = {
  { "close", "transport", resent = true }, { "reset", "transport", resent = true }, { "garbage", "transport" },
  { "truncate", "transport" }, { "resetbody", "transport" }, { "http:502:html", "http" }, { "http:404", "http" },
  { "code:15071", "api" }, { "code:15000", "api" }, { "code:401", "api" }, { "html", "protocol" },
  { "headers:98304", "protocol" }, { "close;ok", "record", resent = true }, { "http:503;ok", "record" },
  { "truncate;ok", "record" }, { "silent", "timeout" },
}

-- What a call makes at most, with the options of run.lua.
local ATTEMPTS = 2

---@class spec.soak.Books
local Books = {}
Books.__index = Books

function M.new(seed)
  return setmetatable({ state = seed % 2147483646 + 1, started = 0, ended = 0, kinds = {}, problems = {}, next_id = 0,
    open = {}, faults = 0, served = 0, attempts = 0, unserved = 0 }, Books)
end

--- Park and Miller's generator, so that the same seed makes the same calls on every Lua.
function Books:below(n)
  self.state = self.state * 16807 % 2147483647
  return math.floor(self.state / 2147483647 * n)
end

function Books:problem(form, ...)
  if #self.problems < 20 then
    self.problems[#self.problems + 1] = form:format(...)
    io.write("PROBLEM ", self.problems[#self.problems], "\n")
  end
end

--- A new call's id. `patient`: none that waits for a time-out.
function Books:id(patient)
  self.next_id = self.next_id + 1
  self.started = self.started + 1
  local id, expected = ("6877a1b2%016x"):format(self.next_id), "record"
  if self:below(20) == 0 then
    local fault
    repeat
      fault = FAULTS[self:below(#FAULTS) + 1]
    until fault[2] ~= "timeout" or (not patient and self:below(20) == 0)
    id, expected = fault[1] .. "~" .. self.next_id, fault[2]
    self.faults = self.faults + 1
    self.may_resend = self.may_resend + (fault.resent and ATTEMPTS * 5 or 0)
  end
  self.open[id] = expected
  return id
end

--- A call's end. `also`: kinds that are right as well, because of what was done to it.
function Books:ends(id, record, err, also)
  local expected, kind = self.open[id], record and "record" or err.kind
  if not expected then
    return self:problem("%s ended twice, or never began", id)
  end
  self.open[id] = nil
  self.ended = self.ended + 1
  self.kinds[kind] = (self.kinds[kind] or 0) + 1
  if record and record.id ~= id then
    self:problem("%s brought the record %s", id, record.id)
  elseif kind ~= expected and not (also and also[kind]) then
    self:problem("%s ended as %s: %s", id, kind, tostring(err))
  end
  if also and kind ~= "record" then
    self.interrupted = self.interrupted + 1
  end
end

--- A call that was given up: nobody hears of its end.
function Books:drop(id)
  if self.open[id] then
    self.open[id] = nil
    self.ended = self.ended + 1
    self.kinds["given up"] = (self.kinds["given up"] or 0) + 1
    self.interrupted = self.interrupted + 1
  end
end

function Books:open_round()
  self.may_resend, self.interrupted, self.extra = 0, 0, 0
end

--- Holds the server's count against the client's attempts: an interrupted call's attempts (two at most) need not have
-- reached the server, or its log.
function Books:close_round(round, attempts, served)
  for id in pairs(self.open) do
    self:problem("round %d: %s never ended", round, id)
    self.open[id] = nil
  end
  local least, most = attempts - 2 * self.interrupted, attempts + self.may_resend + self.interrupted
  if served < least or served > most then
    self:problem("round %d: the server saw %d requests, %d to %d expected (%d attempts)", round, served, least, most, attempts)
  end
  self.served, self.attempts = self.served + served, self.attempts + attempts
  self.unserved = self.unserved + self.interrupted
end

function Books:report()
  local kinds = {}
  for kind, count in pairs(self.kinds) do
    kinds[#kinds + 1] = ("%s %d"):format(kind, count)
  end
  table.sort(kinds)
  io.write(("%d calls began, %d ended: %s\n"):format(self.started, self.ended, table.concat(kinds, ", ")))
  io.write(("%d calls met a fault (%.1f %%); %d were interrupted; %d attempts, the server saw %d\n"):format(self.faults,
    100 * self.faults / self.started, self.unserved, self.attempts, self.served))
  if self.started ~= self.ended then
    self:problem("%d calls are missing", self.started - self.ended)
  end
end

return M
