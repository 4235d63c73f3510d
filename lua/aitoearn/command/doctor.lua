--- `doctor`: what is wrong between here and the platform, step by step, and what to do about it.
---@module "aitoearn.command.doctor"

local base_url = require "aitoearn.base_url"
local config = require "aitoearn.command.config"
local core = require "aitoearn.core"
local json = require "aitoearn.command.json"
local status = require "aitoearn.command.status"
local stop = require "aitoearn.command.stop"
local t = require "aitoearn.command.language"
local text = require "aitoearn.command.text"
local problems = require "aitoearn.command.problems"

local M = {}

-- A clock that is further off than this is wrong, in seconds.
local MAX_CLOCK_ERROR = 60
local SHORTEST_SHOWN_KEY = 12

---@class aitoearn.command.Doctor
---@field app aitoearn.command.App
---@field first integer? the status of the first thing that is wrong
local Doctor = {}
Doctor.__index = Doctor

--- Writes what a step found.
---@param name string
---@param found string
---@param problem? integer the exit status; nil: all is well
---@param advice? string
function Doctor:step(name, found, problem, advice)
  local output = self.app.output
  self.first = self.first or problem
  found = text.clean(found)
  if output.json then
    output:write(('{"step":%s,"ok":%s,"found":%s%s}\n'):format(json.encode(name), tostring(not problem),
      json.encode(found), advice and ',"advice":' .. json.encode(advice) or ""))
  elseif output.is_terminal then
    local mark = problem and output:paint("red", "✗") or output:paint("green", "✓")
    output:write(("%s %s %s\n"):format(mark, text.pad(t(name), 14), found))
    if advice then
      output:write(("    → %s\n"):format(output:paint("yellow", text.clean(advice))))
    end
  else
    output:write(("%s\t%s\t%s\t%s\n"):format(problem and "wrong" or "ok", name, found, advice and text.clean(advice) or ""))
  end
end

--- What may be shown of a key.
local function describe_key(key)
  if type(key) == "function" then
    local ok, value = pcall(key)
    key = ok and value or nil
  end
  if type(key) ~= "string" then
    return t "none"
  elseif #key < SHORTEST_SHOWN_KEY then
    return t("%d characters", #key)
  end
  return t("%d characters, the last %s", #key, key:sub(-3))
end

local function versions(self)
  local jit = rawget(_G, "jit")
  self:step("versions", ("aitoearn %s, %s, %s"):format(require("aitoearn").version, jit and jit.version or _VERSION,
    core.curl_version:match "^%S+ %S+"))
end

--- The client; nil if none can be made of the configuration.
local function configuration(self)
  local ok, client, options, sources = pcall(config.client, self.app.args)
  if not ok then
    if not stop.is(client) then
      error(client, 0)
    end
    self:step("configuration", client.message, client.status, client.status == status.KEY
      and t "make a key in the platform's settings, and set AITOEARN_API_KEY to it"
      or t("mend it, or say what you want with options; the file is %s", config.path() or t "none"))
    return nil
  end
  self:step("configuration", t("file: %s; server from %s; key from %s", sources.file or t "none", sources.server,
    sources.key or t "none"))
  return client, options
end

local function first_set(names)
  for _, name in ipairs(names) do
    if (os.getenv(name) or "") ~= "" then
      return name
    end
  end
end

local function without_password(url)
  return (url:gsub("//[^/]*@", "//…@"))
end

local function proxy(self, options, url)
  local is_tls = url:find "^https:"
  if options.proxy then
    return self:step("proxy", options.proxy == "" and t "none" or without_password(options.proxy))
  end
  local name = first_set(is_tls and { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" }
    or { "http_proxy", "all_proxy", "ALL_PROXY" })
  if not name or not (is_tls or options.allow_http) then
    return self:step("proxy", t "none")
  end
  local except = first_set { "no_proxy", "NO_PROXY" }
  self:step("proxy", ("%s=%s%s"):format(name, without_password(os.getenv(name)),
    except and (" (%s=%s)"):format(except, os.getenv(except)) or ""))
end

-- How far a failed request came: the steps before are well.
local REACHED = { dns = 1, connect = 2, tls = 3, timeout = 4, transport = 4, http = 4, protocol = 4, api = 5 }

local ADVICE = {
  dns = "is the name right, and is there a network? try: getent hosts %s",
  connect = "does a firewall or a proxy stand in between? try: curl -v %s",
  tls = "a server with a certificate of its own needs AITOEARN_CA_FILE, or ca_file in the configuration",
  timeout = "it took longer than --timeout: try again, or look at the network: curl -v %s",
  transport = "the connection broke: try again, or look at the network: curl -v %s",
  argument = "mend that environment variable or option",
}

local function advice_for(err, url)
  local advice = ADVICE[err.kind]
  if advice then
    return t(advice, err.kind == "dns" and url:match "^%a+://%[?([^/:%]]*)" or url)
  elseif status.of(err) == status.KEY then
    return t "make a new key in the settings of this site; a key of aitoearn.cn does not work on aitoearn.ai"
  end
  return err.hint or t "try again later"
end

local function certificates(options)
  if options.ca_file then
    return options.ca_file
  end
  local name = first_set { "AITOEARN_CA_FILE", "SSL_CERT_FILE", "CURL_CA_BUNDLE" }
  return name and ("%s=%s"):format(name, os.getenv(name)) or t "those of the system"
end

local function clock(self, date)
  if not date then
    return self:step("clock", t "the server sends no date")
  end
  local off = core.time() - date
  local is_wrong = math.abs(off) > MAX_CLOCK_ERROR
  self:step("clock", t("%+d s against the server's", math.floor(off + 0.5)), is_wrong and status.PLATFORM or nil,
    is_wrong and t "set this machine's clock: timedatectl set-ntp true" or nil)
end

-- One request that asks for nothing: the records of this very moment.
local function ask(client, site)
  local response, now = {}, core.time()
  local records, err = client:list_records({ from = now, to = now }, { site = site, retry = false, response = response })
  return records, err, response
end

-- Asks one site, and says how far that came.
local function examine(self, client, options, site, url, key)
  local records, err, response = ask(client, site)
  local reached = err and (REACHED[err.kind] or 0) or 6
  local problem = err and status.of(err)
  local host = url:match "^%a+://([^/]*)"
  local function failed(name)
    self:step(name, problems.describe(err), problem, advice_for(err, url))
  end
  if reached == 0 then
    return failed "settings"
  end
  local steps = {
    { "name", host },
    { "connect", t("%s answers", host) },
    { "TLS", url:find "^https:" and t("verified; authorities: %s", certificates(options)) or t "none: http://" },
    { "answer", ("HTTP %s%s"):format(tostring(response.http_status or "200"),
      response.elapsed and (", %.0f ms"):format(response.elapsed * 1000) or "") },
  }
  for i, step in ipairs(steps) do
    if i == reached then
      return failed(step[1])
    end
    self:step(step[1], step[2])
  end
  clock(self, response.date)
  if records then
    self:step("key", t("%s: accepted", describe_key(key)))
  else
    self:step("key", ("%s: %s"):format(describe_key(key), problems.describe(err)), problem, advice_for(err, url))
  end
end

local function url_of(server, name)
  server = type(server) == "table" and server[1] or server or name or "cn"
  return base_url.public[server] or server
end

---@param app aitoearn.command.App
function M.doctor(app)
  local self = setmetatable({ app = app }, Doctor)
  versions(self)
  local client, options = configuration(self)
  if client then
    app.made = client
    if options.sites then
      local names = {}
      for name in pairs(options.sites) do
        names[#names + 1] = name
      end
      table.sort(names)
      for _, name in ipairs(names) do
        local site = options.sites[name]
        local url = url_of(site.server, name)
        self:step("site", ("%s, %s"):format(name, url))
        proxy(self, options, url)
        examine(self, client, options, name, url, site.api_key)
      end
    else
      local url = url_of(options.server or os.getenv "AITOEARN_SERVER")
      proxy(self, options, url)
      examine(self, client, options, nil, url, options.api_key or os.getenv "AITOEARN_API_KEY")
    end
  end
  app:end_with(self.first or 0)
end

return M
