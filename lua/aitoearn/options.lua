--- Every option once: its name, its default, its check. Options are read here, at the door, and nowhere else.
-- A wrong one is a mistake in the program and raises with the option's name.
-- @module aitoearn.options

local base_url = require "aitoearn.base_url"
local check = require "aitoearn.check"
local retry = require "aitoearn.retry"

local options = {}

-- A check whose value may be a key says itself what it got, since a message shows numbers as they are.
local function raise(name, expected, value, level)
  local got = expected:find(", got ") and "" or ", got " .. check.describe(value)
  error(("%s: %s%s"):format(name, expected, got), level + 1)
end

--- Checks a table of options against a table of rules; false is a value like any other.
-- @treturn table the values to use, defaults included
local function read(given, rules, level, prefix)
  prefix = prefix or ""
  local values = {}
  if given ~= nil and type(given) ~= "table" then
    raise(prefix ~= "" and prefix:sub(1, -2) or "options", "table expected, got " .. type(given), given, level + 1)
  end
  for name, value in pairs(given or {}) do
    local rule = rules[name]
    if not rule then
      error(("%s%s: unknown option"):format(prefix, tostring(name)), level + 1)
    end
    local checked, expected = rule.check(value)
    if checked == nil then
      raise(prefix .. name, expected, value, level + 1)
    end
    values[name] = checked
  end
  for name, rule in pairs(rules) do
    if values[name] == nil then
      values[name] = rule.default
    end
  end
  return values
end

local RETRY_RULES = {
  max_attempts = { check = check.whole(1), default = retry.defaults.max_attempts },
  base = { check = check.seconds, default = retry.defaults.base },
  max_delay = { check = check.seconds, default = retry.defaults.max_delay },
}

local function table_or_false(value)
  if value == false or type(value) == "table" then
    return value
  end
  return nil, "table or false expected"
end

--- `retry` as a policy; `false` is one attempt.
local function read_retry(given, level, defaults)
  if given == nil then
    return defaults
  end
  local policy = read(given or { max_attempts = 1 }, RETRY_RULES, level + 1, "retry.")
  for name in pairs(RETRY_RULES) do -- an override of single values keeps the client's others
    if defaults and given and given[name] == nil then
      policy[name] = defaults[name]
    end
  end
  return policy
end

-- Shared by `new` and by each call.
local timeout, deadline = { check = check.seconds_or_false }, { check = check.seconds_or_false }
local retry_rule = { check = table_or_false }

local RULES = {
  server = {
    check = function(value)
      if type(value) == "string" or (type(value) == "table" and #value > 0) then
        return value
      end
      return nil, '"cn", "intl", a base URL or a list of base URLs expected'
    end,
  },
  api_key = { check = check.api_key },
  sites = {
    check = function(value)
      if type(value) == "table" and next(value) ~= nil then
        return value
      end
      return nil, "table of sites expected, got " .. (type(value) == "table" and "an empty one" or type(value))
    end,
  },
  site = { check = check.text },
  connect_timeout = { check = check.seconds_or_false, default = 5 },
  timeout = { check = check.seconds_or_false, default = 15 },
  deadline = { check = check.seconds_or_false, default = 60 },
  retry = retry_rule,
  max_connections = { check = check.whole(1), default = 8 },
  max_response_bytes = { check = check.whole(1), default = 8 * 1024 * 1024 },
  ca_file = { check = check.readable_file },
  proxy = { check = check.text },
  user_agent = { check = check.header_text },
  accept_language = { check = check.header_text },
  allow_http = { check = check.boolean, default = false },
  max_rate = { check = check.positive },
  share = {
    check = function(value)
      return require("aitoearn.share").check(value)
    end,
  },
  on_event = { check = check.func },
  host = { check = check.host },
}

local SITE_RULES = { server = RULES.server, api_key = RULES.api_key }

local CALL_RULES = {
  site = { check = check.text },
  timeout = timeout,
  deadline = deadline,
  retry = retry_rule,
  request_id = { check = check.request_id },
}

--- The names of all options of `new`, for the specs that hold the README against them.
options.names = {}
for name in pairs(RULES) do
  options.names[#options.names + 1] = name
end
table.sort(options.names)

--- Keeps a key where no dump of a table shows it. A string has been checked by now; what a function returns never is.
-- @treturn fun(): string?, string? the key, or what is wrong with what the key function did
local function key_source(key)
  if type(key) == "string" then
    return function()
      return key
    end
  end
  return function()
    local ok, value = pcall(key)
    if not ok then
      return nil, "api_key: the function raised an error"
    end
    local problem = check.key_problem(value)
    if problem then
      return nil, "api_key: the function returned a value that is no key: " .. problem
    end
    return value
  end
end

local function site_spec(name, path, server, key, allow_http, level)
  if key == nil then
    local advice = path == "" and ": set it, or the environment variable AITOEARN_API_KEY" or "" -- not read for sites
    error(path .. "api_key: missing" .. advice, level + 1)
  end
  local urls, problem, place = base_url.read(server, allow_http)
  if not urls then
    error(("%sserver%s: %s"):format(path, place and "[" .. place .. "]" or "", problem), level + 1)
  end
  return { name = name, urls = urls, api_key = key_source(key) }
end

local function environment(name, rule, level)
  local value = os.getenv(name)
  if value == nil or value == "" then
    return nil
  end
  local checked, expected = rule.check(value)
  if checked == nil then
    raise(name, expected, value, level + 1)
  end
  return checked
end

--- `server` and `api_key`: one site, named after the public one it is, else "default".
local function single_site(values, level)
  local server = values.server or environment("AITOEARN_SERVER", RULES.server, level + 1) or "cn"
  local key = values.api_key or environment("AITOEARN_API_KEY", RULES.api_key, level + 1)
  local name = base_url.public[server] and server or "default"
  return { site_spec(name, "", server, key, values.allow_http, level + 1) }, name
end

local function several_sites(values, level)
  local specs, names = {}, {}
  for name, given in pairs(values.sites) do
    if type(name) ~= "string" then
      error("sites: names of sites expected as keys, got " .. check.describe(name), level + 1)
    end
    local path = ("sites.%s."):format(name)
    local site = read(given, SITE_RULES, level + 1, path)
    local server = site.server or (base_url.public[name] and name)
    if not server then
      error(path .. "server: missing", level + 1)
    end
    specs[#specs + 1] = site_spec(name, path, server, site.api_key, values.allow_http, level + 1)
    names[name] = true
  end
  local default = values.site or (#specs == 1 and specs[1].name) or nil
  if not default then
    error("site: the default one of the sites has to be named", level + 1)
  end
  if not names[default] then
    error(("site: %q is none of the sites"):format(default), level + 1)
  end
  table.sort(specs, function(a, b) -- the default one first: locate asks in this order
    if (a.name == default) ~= (b.name == default) then
      return a.name == default
    end
    return a.name < b.name
  end)
  return specs, default
end

--- Reads the options of `aitoearn.new`.
-- @tparam ?table given
-- @tparam integer level of the caller to blame
-- @treturn table every option; `sites` an array of `{name, urls, api_key}`, the last as `key_source` returns it, `site`
--   the default's name
function options.read(given, level)
  local values = read(given, RULES, level + 1)
  values.retry = read_retry(values.retry, level + 1, retry.defaults)
  if values.sites and (values.server or values.api_key) then
    error((values.server and "server" or "api_key") .. ": goes inside of sites where that is given", level + 1)
  end
  if values.site and not values.sites then
    error("site: goes with sites", level + 1)
  end
  values.sites, values.site = (values.sites and several_sites or single_site)(values, level + 1)
  return values
end

--- Reads the options of one call.
-- @tparam ?table given
-- @tparam table defaults the client's options
-- @tparam ?table more rules of this method's own options
-- @tparam integer level of the caller to blame
-- @treturn table
function options.read_call(given, defaults, more, level)
  if given == nil and not more then
    return defaults
  end
  local rules = CALL_RULES
  if more then
    rules = setmetatable({}, { __index = CALL_RULES })
    for name, rule in pairs(more) do
      rules[name] = rule
    end
  end
  local call = read(given, rules, level + 1)
  for _, name in ipairs { "site", "timeout", "deadline" } do
    if call[name] == nil then
      call[name] = defaults[name]
    end
  end
  call.retry = read_retry(call.retry, level + 1, defaults.retry)
  return call
end

return options
