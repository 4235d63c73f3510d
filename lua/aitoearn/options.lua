--- Every option once: its name, its default, its check. Options are read here, at the door, and nowhere else.
--- A wrong one is a mistake in the program and raises a plain text that begins with the option's name (`check.checked`
--- adds the caller's position). What the environment says wrongly becomes the error of the calls.
---@module "aitoearn.options"

local base_url = require "aitoearn.base_url"
local check = require "aitoearn.check"
local retry = require "aitoearn.retry"
local text = require "aitoearn.text"

local M = {}

local MIB = 1024 * 1024

local function raise(form, ...)
  error(form:format(...), 0)
end

--- `expected` and what came; a check whose value may be a key says itself what it got, or false for nothing at all.
local function problem_with(value, expected, got)
  if got == nil then
    got = check.describe(value)
  end
  return expected .. (got and ", got " .. got or "")
end

local function raise_unknown(name, rules, prefix)
  local known, inherited = {}, getmetatable(rules)
  for _, names in ipairs { rules, inherited and inherited.__index or {} } do
    for known_name in pairs(names) do
      known[known_name] = true
    end
  end
  local meant = type(name) == "string" and text.nearest(name, known)
  raise("%s%s: unknown option%s", prefix, tostring(name), meant and ("; did you mean %s?"):format(meant) or "")
end

--- Checks a table of options against a table of rules; false is a value like any other.
---@return table values to use, defaults included
local function read(given, rules, prefix)
  prefix = prefix or ""
  local values = {}
  if given ~= nil and type(given) ~= "table" then
    raise("%s: table expected, got %s", prefix ~= "" and prefix:sub(1, -2) or "options", type(given))
  end
  for name, value in pairs(given or {}) do
    local rule = rules[name]
    if not rule then
      raise_unknown(name, rules, prefix)
    end
    local checked, expected, got = rule.check(value)
    if checked == nil then
      raise("%s%s: %s", prefix, name, problem_with(value, expected, got))
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

--- `retry` as a policy; `false` is one attempt. An override of single values keeps the others of `defaults`.
local function read_retry(given, defaults)
  if given == nil then
    return defaults
  end
  local policy = read(given or { max_attempts = 1 }, RETRY_RULES, "retry.")
  for name in pairs(RETRY_RULES) do
    if given and given[name] == nil then
      policy[name] = defaults[name]
    end
  end
  return policy
end

local function server(value)
  if type(value) == "string" or (type(value) == "table" and #value > 0) then
    return value
  end
  return nil, '"cn", "intl", a base URL or a list of base URLs expected'
end

local function sites(value)
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
  server = { check = server },
  api_key = { check = check.api_key },
  sites = { check = sites },
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

--- A table of the caller's that a call of one record, or of one list or flow, fills in.
M.response_rule = { check = check.table }

local SINGLE_CALL_RULES = setmetatable({ response = M.response_rule }, { __index = CALL_RULES })

--- The names of all options of `new`, for the specs that hold the README against them.
---@type string[]
M.names = {}
for name in pairs(RULES) do
  M.names[#M.names + 1] = name
end
table.sort(M.names)

--- What an environment variable says; one that is empty says nothing.
local function environment(...)
  for _, name in ipairs { ... } do
    local value = os.getenv(name)
    if value and value ~= "" then
      return value, name
    end
  end
end

--- A call's error because of what the environment says.
local function environment_failure(kind, name, problem)
  return { kind = kind, message = name .. ": " .. problem }
end

--- Keeps a key where no dump of a table shows it. A string has been checked by now; what a function returns never is.
---@return fun(): string?, string? source the key, or what is wrong with what the key function did
local function key_source(key)
  if type(key) == "string" then
    return function()
      return key
    end
  end
  return function()
    local ok, value = pcall(key)
    if not ok then -- what it raised may hold the key
      return nil, "api_key: the function raised an error"
    end
    local checked, problem = check.key(value)
    if not checked then
      return nil, "api_key: the function returned a value that is no key: " .. problem
    end
    return checked
  end
end

--- The header lines of a site: its own headers in the place of the client's.
---@return string[]? lines nil where there are none
---@return string[] secrets what a server may send back of them
local function header_lines(of_client, of_site)
  local by_key, lines, secrets = {}, {}, {}
  for _, headers in ipairs { of_client or {}, of_site or {} } do
    for name, value in pairs(headers) do
      by_key[text.lower(name)] = { name .. ": " .. value, value }
    end
  end
  for _, header in pairs(by_key) do
    lines[#lines + 1] = header[1]
    secrets[#secrets + 1] = header[2]
  end
  table.sort(lines)
  return lines[1] and lines or nil, secrets
end

local function decoded(part)
  return (part:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

--- The passwords of the proxy that requests go through, as they may be written in a message.
local function proxy_secrets(proxy)
  local secrets = {}
  local urls = proxy and { proxy } or {
    environment "http_proxy" or "", environment("https_proxy", "HTTPS_PROXY") or "",
    environment("all_proxy", "ALL_PROXY") or "",
  }
  for _, url in ipairs(urls) do
    local password = url:gsub("^[A-Za-z][A-Za-z0-9+.-]*://", ""):match "^[^:@]*:(.+)@"
    if password then
      secrets[#secrets + 1] = password
      secrets[#secrets + 1] = decoded(password)
    end
  end
  return secrets
end

-- Headers and passwords of fewer bytes are not looked for in messages: they would be found in every word.
local SHORTEST_SECRET = 4

--- A header's value, and each long word of it: "Bearer TOKEN" may come back as TOKEN.
local function add_secret(list, secret)
  if #secret >= SHORTEST_SECRET then
    list[#list + 1] = secret
  end
  for word in secret:gmatch "[^ ]+" do
    if #word >= 2 * SHORTEST_SECRET and word ~= secret then
      list[#list + 1] = word
    end
  end
end

local function all_secrets(...)
  local list = {}
  for _, secrets in ipairs { ... } do
    for _, secret in ipairs(secrets) do
      add_secret(list, secret)
    end
  end
  table.sort(list, function(a, b) -- the longest first: one may be a part of another
    return #a > #b
  end)
  return list
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
  local lines, secrets = header_lines(values.headers, given.headers)
  local cert_file, key_file = certificate(path, given, values)
  return {
    name = name,
    urls = urls,
    api_key = key_source(given.api_key),
    calls_back = type(given.api_key) == "function",
    max_rate = values.max_rate,
    headers = lines,
    cert_file = cert_file,
    key_file = key_file,
    secrets = all_secrets(secrets, proxy_secrets(values.proxy)),
  }
end

--- The server and the key that the environment names, where none are given.
---@return table given as for `site_spec`
---@return table? problem what is wrong with them
local function from_environment(values)
  local given = { server = values.server, api_key = values.api_key }
  local problem
  if not given.server then
    local value, name = environment "AITOEARN_SERVER"
    local _, wrong = base_url.read(value or "cn", values.allow_http)
    problem = wrong and environment_failure("argument", name, wrong)
    given.server = not wrong and value or "cn"
  end
  if not given.api_key then
    local value, name = environment "AITOEARN_API_KEY"
    if not value then
      raise "api_key: missing: set it, or the environment variable AITOEARN_API_KEY"
    end
    local key, wrong = check.key(value)
    problem = problem or (wrong and environment_failure("argument", name, "a key expected, got " .. wrong)) or nil
    given.api_key = key or ""
  end
  return given, problem
end

--- `server` and `api_key`: one site, named after the public one it is, else "default".
local function single_site(values)
  local given, problem = from_environment(values)
  local name = base_url.public_name(given.server) or "default"
  local spec = site_spec(name, "", values, given)
  spec.problem = problem
  return { spec }, name
end

local function several_sites(values)
  local specs, names = {}, {}
  for name, given in pairs(values.sites) do
    if type(name) ~= "string" then
      raise("sites: names of sites expected as keys, got %s", check.describe(name))
    end
    local path = ("sites.%s."):format(name)
    local site = read(given, SITE_RULES, path)
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

--- The CA bundle that the environment names. One that cannot be read ends every call over https.
local function read_ca_file(values)
  local path, name = environment("AITOEARN_CA_FILE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
  if values.ca_file or not path then
    return
  end
  local problem = check.file_problem(path)
  if not problem then
    values.ca_file = path
    return
  end
  for _, site in ipairs(values.sites) do
    site.https_problem = environment_failure("tls", name, "the CA file cannot be read: " .. problem)
  end
end

--- A proxy that the environment names and that cannot be read ends every call that would go through it. With a
--- `no_proxy` it is libcurl that knows which those are.
local function read_environment_proxy(values)
  if values.proxy or environment("no_proxy", "NO_PROXY") then
    return
  end
  local function problem_of(...)
    local value, name = environment(...)
    local ok, expected = check.proxy(value or "")
    local failure = not ok and environment_failure("connect", name, expected) or nil
    if failure then
      failure.proxy = true
    end
    return failure
  end
  for _, site in ipairs(values.sites) do
    site.https_problem = site.https_problem or problem_of("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    site.http_problem = values.allow_http and problem_of("http_proxy", "all_proxy", "ALL_PROXY") or nil
  end
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
---@return table config every option; `sites` an array of what `sites.new` takes, the key as `key_source` keeps it;
--- `site` the default's name; `max_list_bytes`
function M.read(given)
  local values = read(given, RULES)
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
  values.log = values.log or check.log(os.getenv "AITOEARN_LOG") or nil
  check_proxy(values)
  read_ca_file(values)
  read_environment_proxy(values)
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
  local rules = SINGLE_CALL_RULES
  if more then
    rules = setmetatable({}, { __index = CALL_RULES })
    for name, rule in pairs(more) do
      rules[name] = rule
    end
  end
  local call = read(given, rules)
  for _, name in ipairs { "site", "timeout", "deadline" } do
    if call[name] == nil then
      call[name] = defaults[name]
    end
  end
  call.retry = read_retry(call.retry, defaults.retry)
  return call
end

return M
