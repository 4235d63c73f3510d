--- A client for the specs of programs that use the library: no network, no key, and no sleeping.
---
---     local testing = require "aitoearn.testing"
---     local client = testing.client {
---       records = { a = { status = 1, workLink = "https://example.com/1" } },
---       answers = { b = { { http_status = 503 }, { record = { status = 2 } }, { record = { status = 1 } } } },
---     }
---     local record = client:wait "b"          -- three requests, and minutes of a clock of its own, at once
---     assert(#client.requests == 3)
---
--- All but the engine under it is what `aitoearn.new` makes: every option, call, retry, batch, wait and task is the real
--- thing, and answers are judged as they are on the wire.
---@module "aitoearn.testing"

local aitoearn = require "aitoearn"
local answers = require "aitoearn.testing.answer"
local check = require "aitoearn.check"
local clients = require "aitoearn.client"
local engines = require "aitoearn.testing.engine"
local options = require "aitoearn.testing.options"
local platforms = require "aitoearn.testing.platform"
local values = require "aitoearn.testing.values"

local M = {}

---What is answered to a request: one answer, or a function of the request that returns one.
---@alias aitoearn.testing.Reaction aitoearn.testing.Answer|fun(request: aitoearn.testing.Request): aitoearn.testing.Answer?

---@class aitoearn.testing.Options: aitoearn.Options
---@field records table<string, table>? by id: what the platform has; absent required fields are filled in
---@field answers table<string, aitoearn.testing.Reaction[]>? by a record's id for its own route, by `METHOD /path` for the
---others: the first for the first request, and so on; the last one repeats
---@field now number? Unix seconds at which the client's clock begins; default: the system's

---@class aitoearn.testing.Client: aitoearn.Client
---@field requests aitoearn.testing.Request[] what was sent
---@field records table<string, table> by id: what the platform has now. This, and `answers`, may be changed at any time
---@field answers table<string, aitoearn.testing.Reaction[]>

local copy = values.copy

-- The names of sites by their base URLs.
local function names_of(sites)
  local names = {}
  for _, site in ipairs(sites) do
    for _, url in ipairs(site.urls) do
      names[url] = site.name
    end
  end
  return names
end

-- What stands behind a client.
---@class aitoearn.testing.Kit
---@field client aitoearn.testing.Client
---@field platform aitoearn.testing.Platform
---@field site_names table<string, string> by base URL
---@field taken table<aitoearn.testing.Reaction[], integer> how many of a list's answers were given

-- What the spec says to a request, the next in its list; an empty answer where it says nothing.
local function next_answer(self, request)
  local key = platforms.key(request)
  local list = self.client.answers[key]
  if not list then
    return {}
  end
  local path = "answers." .. key
  options.check_list(list, path)
  local number = math.min((self.taken[list] or 0) + 1, #list)
  self.taken[list] = number
  local answer = list[number]
  if type(answer) == "function" then
    answer = answer(request) or {}
    answers.check(answer, ("%s[%d]()"):format(path, number))
  end
  return answer
end

-- An answer with what it leaves open.
local function completed(self, answer, request)
  local whole = {}
  for name, value in pairs(answers.is_open(answer) and self.platform:answer(request) or {}) do
    whole[name] = value
  end
  for name, value in pairs(answer) do
    whole[name] = value
  end
  whole.record = whole.record and values.complete(copy(whole.record), request.id, request.at)
  return whole
end

local function respond(self, sent)
  local request, client = platforms.read(sent), self.client
  request.site = self.site_names[request.server]
  client.requests[#client.requests + 1] = request
  self.platform.records = client.records
  return answers.reply(completed(self, next_answer(self, request), request))
end

-- What gives a client its engine and its clocks.
local function make_system(kit, clock)
  return {
    engine = function(engine_options)
      return engines.new(engine_options, clock, function(sent)
        return respond(kit, sent)
      end)
    end,
    monotonic = function()
      return clock.now
    end,
    time = function()
      return clock.epoch + clock.now
    end,
  }
end

local function make_client(given)
  given = given == nil and {} or given
  local config = options.read(given)
  local kit = { platform = platforms.new(), site_names = names_of(config.sites), taken = {} }
  local client = clients.new(config, aitoearn.version, make_system(kit, { now = 0, epoch = given.now or os.time() }))
  kit.client = client
  client.requests, client.records, client.answers = {}, copy(given.records or {}), {}
  for key, list in pairs(given.answers or {}) do
    client.answers[key] = list
  end
  return client
end

--- Makes a client.
---@param given? aitoearn.testing.Options beside `records`, `answers` and `now` every option of `aitoearn.new`
---@return aitoearn.testing.Client
function M.client(given)
  return (check.checked(2, make_client, given))
end

local function clock_of(client, name)
  if type(client) ~= "table" or not engines.is(client.engine) then
    error(name .. ": a client of aitoearn.testing expected, got " .. check.describe(client), 0)
  end
  return client.engine.clock
end

local function check_advance(client, seconds)
  local clock = clock_of(client, "advance")
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < math.huge) then
    error("advance: number of seconds expected, got " .. check.describe(seconds), 0)
  end
  return clock
end

--- Lets time pass for the tasks of a client: whatever is due in between happens at its time. (Under a host with an event
--- loop, which polls by itself, it happens when that polls next.)
---@param client aitoearn.testing.Client
---@param seconds number
function M.advance(client, seconds)
  local clock, engine = check.checked(2, check_advance, client, seconds), client.engine
  local till = clock.now + seconds
  client:poll()
  local due = client.host.step and engine:first_due()
  while due and due <= till do
    clock.now = math.max(clock.now, due)
    client:poll()
    due = engine:first_due()
  end
  clock.now = till
  client:poll()
end

--- What a client's clock says.
---@param client aitoearn.testing.Client
---@return number # Unix seconds
function M.now(client)
  local clock = check.checked(2, clock_of, client, "now")
  return clock.epoch + clock.now
end

--- Makes a record, as a call returns it.
---@param given? table its fields; absent required ones are filled in
---@return aitoearn.Record
function M.record(given)
  return (check.checked(2, values.record, given))
end

--- Makes an error, as a call returns it.
---@param given table its fields: `kind` at least, or `code` (of kind `api`), or `http_status` (of kind `http`)
---@return aitoearn.Error
function M.error(given)
  return (check.checked(2, values.error, given))
end

return M
