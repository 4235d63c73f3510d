--- The options of `testing.client`: the kit's own are checked here; those of `aitoearn.new` get what a client needs and no
--- server will ever see.
---@module "aitoearn.testing.options"

local answers = require "aitoearn.testing.answer"
local base_url = require "aitoearn.base_url"
local blocking = require "aitoearn.host.blocking"
local check = require "aitoearn.check"
local json = require "aitoearn.json"
local options = require "aitoearn.options"
local values = require "aitoearn.testing.values"

local M = {}

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

--- Raises where a list of answers is none.
---@param list any
---@param path string names it in the message
function M.check_list(list, path)
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
    M.check_list(list, "answers." .. tostring(key))
  end
end

local function check_own(given)
  if type(given) ~= "table" then
    error("options: table expected, got " .. type(given), 0)
  elseif given.now ~= nil and type(given.now) ~= "number" then
    error("now: Unix seconds expected, got " .. check.describe(given.now), 0)
  end
  check_records(given.records or {})
  check_answers(given.answers or {})
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

-- No server gets it.
local KEY = "a-key-for-aitoearn-testing"

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
    local whole = type(site) == "table" and values.copy(site) or site
    if type(whole) == "table" then
      whole.api_key = whole.api_key or KEY
      whole.server = whole.server or not base_url.public[name] and ("https://%s.example"):format(tostring(name)) or nil
    end
    made.sites[name] = whole
  end
  return made
end

--- Reads the options of `testing.client`: those of `aitoearn.new`, and the kit's own.
---@param given aitoearn.testing.Options
---@return table config as `aitoearn.options.read` returns it
function M.read(given)
  check_own(given)
  local config = options.read(complete_options(given))
  for _, site in ipairs(config.sites) do -- what the environment says of a network is nothing to a client without one
    site.http_problem, site.https_problem = nil, nil
  end
  return config
end

return M
