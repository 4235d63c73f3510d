--- Every option once: its name, its default, its check. Options are read here, at the door, and nowhere else.
--- A wrong one is a mistake in the program and raises a plain text that begins with the option's name (`check.checked`
--- adds the caller's position).
---@module "aitoearn.options"

local base_url = require "aitoearn.base_url"
local check = require "aitoearn.check"
local environment = require "aitoearn.environment"
local retry = require "aitoearn.retry"
local rules = require "aitoearn.rules"
local secrets = require "aitoearn.secrets"
local text = require "aitoearn.text"

local M = {}

local MIB = 1024 * 1024

local function raise(form, ...)
  error(form:format(...), 0)
end

local RETRY_RULES = {
  max_attempts = { check = check.whole(1), default = retry.defaults.max_attempts },
  base = { check = check.seconds, default = retry.defaults.base },
  max_delay = { check = check.seconds, default = retry.defaults.max_delay },
}

--- `retry` as a policy; `false` is one attempt. An override of single values keeps the others of `defaults`.
local function read_retry(given, defaults)
  if given == nil then
    return defaults
  end
  local policy = rules.read(given or { max_attempts = 1 }, RETRY_RULES, "retry.")
  for name in pairs(RETRY_RULES) do
    if given and given[name] == nil then
      policy[name] = defaults[name]
    end
  end
  return policy
end

local function check_server(value)
  if type(value) == "string" or (type(value) == "table" and #value > 0) then
    return value
  end
  return nil, '"cn", "intl", a base URL or a list of base URLs expected'
end

local function check_sites(value)
  if type(value) == "table" and next(value) ~= nil then
    return value
  end
  return nil, "table of sites expected", type(value) == "table" and "an empty one" or type(value)
end

local function table_or_false(value)
  if value == false or type(value) == "table" then
    return value
  end
  return nil, "table or false expected"
end

local RULES = {
  server = { check = check_server },
  api_key = { check = check.api_key },
  sites = { check = check_sites },
  site = { check = check.text },
  connect_timeout = { check = check.seconds_or_false, default = 5 },
  timeout = { check = check.seconds_or_false, default = 15 },
  deadline = { check = check.seconds_or_false, default = 60 },
  retry = { check = table_or_false },
  max_connections = { check = check.whole(1), default = 8 },
  max_response_bytes = { check = check.whole(1) },
  http2 = { check = check.boolean, default = true },
  ca_file = { check = check.readable_file },
  cert_file = { check = check.readable_file },
  key_file = { check = check.readable_file },
  headers = { check = check.headers },
  proxy = { check = check.proxy },
  user_agent = { check = check.header_text },
  accept_language = { check = check.header_text },
  allow_http = { check = check.boolean, default = false },
  max_rate = { check = check.positive },
  share = {
    check = function(value)
      return require("aitoearn.share").check(value)
    end,
  },
  log = { check = check.log },
  on_event = { check = check.func },
  host = { check = check.host },
}

-- Until `max_response_bytes` is set.
local RECORD_BYTES, LIST_BYTES = MIB, 8 * MIB

local SITE_RULES = {
  server = RULES.server,
  api_key = RULES.api_key,
  headers = RULES.headers,
  cert_file = RULES.cert_file,
  key_file = RULES.key_file,
}

local CALL_RULES = {
  site = RULES.site,
  timeout = { check = check.seconds_or_false },
  deadline = { check = check.seconds_or_false },
  retry = RULES.retry,
  request_id = { check = check.request_id },
}

--- The option `response`: a table that a call of one record, or of one list or flow, fills in.
M.response_rule = { check = check.table }

local SINGLE_CALL_RULES = setmetatable({ response = M.response_rule }, { __index = CALL_RULES })

--- The rules by which the options of a site, of `retry` and of a call are read; of a method's own: `aitoearn.methods.RULES`.
M.RULES = { site = SITE_RULES, retry = RETRY_RULES, call = CALL_RULES }

--- The names of all options of `new`, for the specs that hold the README against them.
---@type string[]
M.names = {}
for name in pairs(RULES) do
  M.names[#M.names + 1] = name
end
table.sort(M.names)

--- The header lines of a site: its own headers in the place of the client's.
---@return string[]? lines nil: there are none
---@return string[] values
local function header_lines(of_client, of_site)
  local by_key, lines, values = {}, {}, {}
  for _, headers in ipairs { of_client or {}, of_site or {} } do
    for name, value in pairs(headers) do
      by_key[text.lower(name)] = { name .. ": " .. value, value }
    end
  end
  for _, header in pairs(by_key) do
    lines[#lines + 1] = header[1]
    values[#values + 1] = header[2]
  end
  table.sort(lines)
  return lines[1] and lines or nil, values
end

local function certificate(path, given, of_client)
  if given.key_file and not given.cert_file then
    raise("%skey_file: goes with cert_file", path)
  end
  local source = given.cert_file and given or of_client
  return source.cert_file, source.key_file
end

local function read_urls(path, value, allow_http)
  local urls, problem, place = base_url.read(value, allow_http)
  if not urls then
    raise("%sserver%s: %s", path, place and "[" .. place .. "]" or "", problem)
  end
  return urls
end

--- What `sites.new` makes a site of.
---@param name string
---@param path string what the names of its options begin with
---@param values table the options of the client
---@param given table `server`, `api_key`, `headers`, `cert_file`, `key_file` of this site
local function site_spec(name, path, values, given)
  local urls = read_urls(path, given.server, values.allow_http)
  local lines, header_values = header_lines(values.headers, given.headers)
  local cert_file, key_file = certificate(path, given, values)
  return {
    name = name,
    urls = urls,
    api_key = secrets.key_source(given.api_key),
    calls_back = type(given.api_key) == "function",
    max_rate = values.max_rate,
    headers = lines,
    cert_file = cert_file,
    key_file = key_file,
    secrets = secrets.list(header_values, values.proxy),
  }
end

--- `server` and `api_key`, or the environment's: one site, named after the public one it is, else "default".
local function single_site(values)
  local server, key, server_problem, key_problem = values.server, values.api_key, nil, nil
  if not server then
    server, server_problem = environment.server(values.allow_http)
  end
  if not key then
    key, key_problem = environment.api_key()
  end
  if not key then
    raise "api_key: missing: set it, or the environment variable AITOEARN_API_KEY"
  end
  local name = base_url.public_name(server) or "default"
  local spec = site_spec(name, "", values, { server = server, api_key = key })
  spec.problem = server_problem or key_problem
  return { spec }, name
end

local function several_sites(values)
  local specs, names = {}, {}
  for name, given in pairs(values.sites) do
    if type(name) ~= "string" then
      raise("sites: names of sites expected as keys, got %s", check.describe(name))
    end
    local path = ("sites.%s."):format(name)
    local site = rules.read(given, SITE_RULES, path)
    site.server = site.server or (base_url.public[name] and name)
    for _, option in ipairs { "server", "api_key" } do -- the environment's are not read for sites
      if not site[option] then
        raise("%s%s: missing", path, option)
      end
    end
    specs[#specs + 1] = site_spec(name, path, values, site)
    names[name] = true
  end
  local default = values.site or (#specs == 1 and specs[1].name) or nil
  if not default then
    raise "site: the default one of the sites has to be named"
  end
  if not names[default] then
    raise("site: %q is none of the sites", default)
  end
  table.sort(specs, function(a, b) -- the default one first: locate asks in this order
    if (a.name == default) ~= (b.name == default) then
      return a.name == default
    end
    return a.name < b.name
  end)
  return specs, default
end

--- The CA file and the proxies that the environment names. One that cannot be read ends every call that needs it.
local function read_environment(values)
  local https, http
  if not values.ca_file then
    values.ca_file, https = environment.ca_file()
  end
  if not values.proxy then
    local proxy_https, proxy_http = environment.proxy_problems()
    https, http = https or proxy_https, values.allow_http and proxy_http or nil
  end
  for _, site in ipairs(values.sites) do
    site.https_problem, site.http_problem = https, http
  end
  values.log = values.log or environment.log()
end

--- Through a proxy, plain http shows the key to the proxy, wherever the server is.
local function check_proxy(values)
  if not values.proxy or values.proxy == "" or values.allow_http then
    return
  end
  for _, site in ipairs(values.sites) do
    for _, url in ipairs(site.urls) do
      if url:find "^http:" then
        raise "proxy: http:// would show the key to the proxy: use https://, or set allow_http"
      end
    end
  end
end

local function read_sizes(values)
  local given = values.max_response_bytes
  values.max_response_bytes, values.max_list_bytes = given or RECORD_BYTES, given or LIST_BYTES
end

--- Reads the options of `aitoearn.new`.
---@param given? table
---@return table config every option; `sites` an array of what `sites.new` takes, the key as `secrets.key_source` keeps it;
--- `site` the default's name; `max_list_bytes`
function M.read(given)
  local values = rules.read(given, RULES)
  values.retry = read_retry(values.retry, retry.defaults)
  if values.sites and (values.server or values.api_key) then
    raise("%s: goes inside of sites where that is given", values.server and "server" or "api_key")
  end
  if values.site and not values.sites then
    raise "site: goes with sites"
  end
  if values.key_file and not values.cert_file then
    raise "key_file: goes with cert_file"
  end
  values.sites, values.site = (values.sites and several_sites or single_site)(values)
  check_proxy(values)
  read_environment(values)
  read_sizes(values)
  return values
end

--- Reads the options of one call.
---@param given table?
---@param defaults table the client's options
---@param more table? rules of this method's own options; without them it is a call of one record, or of one list, and
--- takes `response`
---@return table
function M.read_call(given, defaults, more)
  if given == nil and not more then
    return defaults
  end
  local call_rules = SINGLE_CALL_RULES
  if more then
    call_rules = setmetatable({}, { __index = CALL_RULES })
    for name, rule in pairs(more) do
      call_rules[name] = rule
    end
  end
  local call = rules.read(given, call_rules)
  for _, name in ipairs { "site", "timeout", "deadline" } do
    if call[name] == nil then
      call[name] = defaults[name]
    end
  end
  call.retry = read_retry(call.retry, defaults.retry)
  return call
end

return M
