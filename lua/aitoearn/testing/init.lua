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
local base_url = require "aitoearn.base_url"
local blocking = require "aitoearn.host.blocking"
local check = require "aitoearn.check"
local clients = require "aitoearn.client"
local engines = require "aitoearn.testing.engine"
local json = require "aitoearn.json"
local options = require "aitoearn.options"
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
---@field records table<string, table> what the platform has now; to be looked at and changed
---@field answers table<string, aitoearn.testing.Reaction[]> to be changed

local copy = values.copy

local function check_records(given)
  if type(given) ~= "table" then
    error("records: table expected, got " .. type(given), 0)
  end
  for id, record in pairs(given) do
    local path = "records." .. tostring(id)
    if type(id) ~= "string" or type(record) ~= "table" then
      error(path .. ": a record by its id expected, got " .. check.describe(record), 0)
    end
    json.encode(record, path) -- raises with the path to what JSON has not
  end
end

local function check_list(list, path)
  if type(list) ~= "table" or list[1] == nil then
    error(path .. ": an array of answers expected, got " .. check.describe(list), 0)
  end
  for i, answer in ipairs(list) do
    if type(answer) ~= "function" then
      answers.check(answer, ("%s[%d]"):format(path, i))
    end
  end
end

local function check_answers(given)
  if type(given) ~= "table" then
    error("answers: table expected, got " .. type(given), 0)
  end
  for key, list in pairs(given) do
    check_list(list, "answers." .. tostring(key))
  end
end

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

-- What the spec says to a request, the next in its list; an empty answer where it says nothing.
local function next_answer(self, request)
  local key = platforms.key(request)
  local list = self.answers[key]
  if not list then
    return {}
  end
  local path = "answers." .. key
  check_list(list, path)
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
  local request = platforms.read(sent)
  request.site = self.site_names[request.server]
  self.requests[#self.requests + 1] = request
  return answers.reply(completed(self, next_answer(self, request), request))
end

-- The host of a script and of a frame loop. A poll hands out all that has come, however long that takes.
local function make_host(engine)
  local host = blocking.new(engine)
  local step = host.step
  function host.step(ms)
    step(ms)
  end
  return host
end

local KEY = "a-key-that-no-server-gets"

-- The options of `aitoearn.new`, with what a client needs that is never sent anywhere.
local function complete_options(given)
  local made = {}
  for name, value in pairs(given) do
    made[name] = value
  end
  made.records, made.answers, made.now = nil, nil, nil
  made.proxy = made.proxy or ""
  made.host = (made.host ~= "blocking" and made.host) or make_host
  if type(made.sites) ~= "table" then
    made.server, made.api_key = made.server or "cn", made.api_key or KEY
    return made
  end
  made.sites = {}
  for name, site in pairs(given.sites) do
    local whole = type(site) == "table" and copy(site) or site
    if type(whole) == "table" then
      whole.api_key = whole.api_key or KEY
      whole.server = whole.server or not base_url.public[name] and ("https://%s.example"):format(tostring(name)) or nil
    end
    made.sites[name] = whole
  end
  return made
end

local function read_options(given)
  local config = options.read(complete_options(given))
  for _, site in ipairs(config.sites) do -- what the environment says of a network is nothing to a client without one
    site.http_problem, site.https_problem = nil, nil
  end
  return config
end

local function make_client(given)
  given = given == nil and {} or given
  if type(given) ~= "table" then
    error("options: table expected, got " .. type(given), 0)
  end
  check_records(given.records or {})
  check_answers(given.answers or {})
  if given.now ~= nil and type(given.now) ~= "number" then
    error("now: Unix seconds expected, got " .. check.describe(given.now), 0)
  end
  local config = read_options(given)
  local clock = { now = 0, epoch = given.now or os.time() }
  local kit = { requests = {}, answers = {}, taken = {}, site_names = names_of(config.sites) }
  kit.platform = platforms.new(copy(given.records or {}))
  local client = clients.new(config, aitoearn.version, {
    engine = function(opts)
      return engines.new(opts, clock, function(sent)
        return respond(kit, sent)
      end)
    end,
    monotonic = function()
      return clock.now
    end,
    time = function()
      return clock.epoch + clock.now
    end,
  })
  for key, list in pairs(given.answers or {}) do
    kit.answers[key] = list
  end
  client.requests, client.answers, client.records = kit.requests, kit.answers, kit.platform.records
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

--- Lets time pass for the tasks of a client: whatever is due in between happens at its time.
---@param client aitoearn.testing.Client
---@param seconds number
function M.advance(client, seconds)
  local clock, engine = check.checked(2, check_advance, client, seconds), client.engine
  local till = clock.now + seconds
  client:poll()
  local due = engine:first_due()
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
