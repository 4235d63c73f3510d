--- Which server to ask, with which key: from options, then the environment, then the configuration file.
---
--- A key of the file goes to the file's own server or sites alone. If an option or the environment gives another
--- server, the key comes from there too.
---@module "aitoearn.command.config"

local base_url = require "aitoearn.base_url"
local core = require "aitoearn.core"
local status = require "aitoearn.command.status"
local stop = require "aitoearn.command.stop"
local t = require "aitoearn.command.language"

local M = {}

-- What belongs to one server, and may be as secret as the key.
local OF_ONE_SERVER = { "server", "sites", "site", "api_key", "headers", "cert_file", "key_file" }

local function environment(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

--- Where the file is.
---@return string?
function M.path()
  local folder = environment "XDG_CONFIG_HOME"
  if not (folder and folder:find "^/") then
    folder = environment "HOME" and os.getenv "HOME" .. "/.config"
  end
  return folder and folder .. "/aitoearn/config.lua"
end

local function refuse(path, ...)
  stop.now(status.USAGE, path .. ": " .. t(...))
end

local function has_bit(mode, bits)
  for _, bit in ipairs(bits) do
    if math.floor(mode / bit) % 2 == 1 then
      return true
    end
  end
  return false
end

-- Text alone, since bytecode can break out of any environment, and with nothing to call.
local function run_chunk(path, source)
  local chunk, problem
  if source:sub(1, 1) == "\27" then
    problem = path .. ": bytecode"
  elseif rawget(_G, "setfenv") then
    chunk, problem = loadstring(source, "@" .. path)
    chunk = chunk and setfenv(chunk, {})
  else
    chunk, problem = load(source, "@" .. path, "t", {})
  end
  if not chunk then
    stop.now(status.USAGE, (problem:gsub(" near .*$", ""))) -- what stands there may be the key
  end
  local ok, result = pcall(chunk)
  if not ok then
    stop.now(status.USAGE, tostring(result))
  elseif type(result) ~= "table" then
    refuse(path, "it returns no table of options")
  end
  return result
end

local function holds_key(options)
  if options.api_key ~= nil then
    return true
  end
  for _, site in pairs(type(options.sites) == "table" and options.sites or {}) do
    if type(site) == "table" and site.api_key ~= nil then
      return true
    end
  end
  return false
end

--- Reads the configuration file. It stops the command if the file cannot be trusted.
---@return table? options nil: there is no file
---@return string? path
function M.read_file()
  local path = M.path()
  local file = path and io.open(path, "rb")
  if not file then
    return nil
  end
  local mode, owner, user = core.file_status(file)
  local source = file:read "*a"
  file:close()
  if owner ~= user then
    refuse(path, "not run: it is another user's")
  elseif has_bit(mode, { 16, 2 }) then -- 020 and 002
    refuse(path, "not run: others may write it; chmod go-rwx '%s'", path)
  elseif not source then
    refuse(path, "it cannot be read")
  end
  local options = run_chunk(path, source)
  if has_bit(mode, { 32, 4 }) and holds_key(options) then -- 040 and 004
    refuse(path, "it holds a key, and others may read it; chmod go-rwx '%s'", path)
  end
  return options, path
end

local function read_key_file(path)
  local file, problem = io.open(path, "rb")
  local text = file and file:read "*a"
  if file then
    file:close()
  end
  if not text then
    stop.now(status.USAGE, "--key-file: " .. (problem or t("%s cannot be read", path)))
  end
  local key = text:match "^%s*(.-)%s*$"
  if key == "" then
    stop.now(status.KEY, t("--key-file: %s holds no key", path))
  end
  return key
end

--- The same server written differently: a public site's name, a slash at the end, capital letters.
local function canonical(server)
  local url = base_url.public[server] or server
  local scheme, host, path = url:match "^(%a+://)([^/]*)(.-)/*$"
  return scheme and scheme:lower() .. host:lower() .. path or url
end

local function is_served_by(given, server)
  for _, url in ipairs(type(given) == "table" and given or { given }) do
    if type(url) == "string" and canonical(url) == canonical(server) then
      return true
    end
  end
  return false
end

--- What the file says about a server.
---@return table? options of one site
local function own_site(file, server)
  if type(file.sites) == "table" then
    for name, site in pairs(file.sites) do
      if type(site) == "table" and is_served_by(site.server or name, server) then
        return site
      end
    end
  elseif is_served_by(file.server or "cn", server) then
    return file
  end
end

local function copy(options, without)
  local copied = {}
  for name, value in pairs(options) do
    copied[name] = value
  end
  for _, name in ipairs(without or {}) do
    copied[name] = nil
  end
  return copied
end

-- A server that an option or the environment names.
local function for_server(file, server)
  local options, own = copy(file, OF_ONE_SERVER), own_site(file, server) or {}
  for _, name in ipairs { "api_key", "headers", "cert_file", "key_file" } do
    options[name] = own[name]
  end
  return options
end

-- The sites of the file. A key of the environment says nothing of the site that it is for; one of --key-file is for the
-- site that is asked.
local function for_sites(file, site, key_file)
  local options = copy(file)
  options.site = site or file.site
  if not options.site and next(file.sites, next(file.sites)) == nil then
    options.site = next(file.sites)
  end
  if key_file and options.site and type(file.sites[options.site]) == "table" then
    options.sites = copy(file.sites)
    options.sites[options.site] = copy(file.sites[options.site])
    options.sites[options.site].api_key = key_file
  end
  return options
end

local function check_keys(options, key, path)
  if not options.sites and options.api_key == nil and not key then
    stop.now(status.KEY, path
      and t("no key for this server: set AITOEARN_API_KEY or give --key-file (a key of %s goes to its own server alone)", path)
      or t "no key: set AITOEARN_API_KEY, give --key-file, or put api_key into the configuration")
  end
  for name, site in pairs(type(options.sites) == "table" and options.sites or {}) do
    if type(site) == "table" and site.api_key == nil then
      stop.now(status.KEY, t("%s: sites.%s has no api_key", path, tostring(name)))
    end
  end
end

---@class aitoearn.command.Sources where the settings come from
---@field file string? path of the configuration
---@field server string
---@field key string

--- The options of `aitoearn.new`.
---@param args table the command line
---@return table options
---@return aitoearn.command.Sources sources
function M.options(args)
  local file, path = M.read_file()
  local key_file = args.key_file and read_key_file(args.key_file)
  local key = environment "AITOEARN_API_KEY"
  local server = args.server or (not args.site and environment "AITOEARN_SERVER")
  if args.server and args.site then
    stop.now(status.USAGE, t "--server and --site exclude each other")
  elseif args.site and not (file and file.sites) then
    stop.now(status.USAGE, t "--site: the configuration has no sites")
  end
  local options
  local sources = { file = path, server = args.server and "--server" or server and "AITOEARN_SERVER" or path or t "default" }
  if server then
    options = for_server(file or {}, server)
    options.server = args.server -- the environment's is left to the library, which names the variable
  elseif file and type(file.sites) == "table" then
    options, key = for_sites(file, args.site, key_file), nil
  else
    options = copy(file or {})
  end
  if not options.sites then
    options.api_key = key_file or not key and options.api_key or nil
  end
  sources.key = key_file and "--key-file" or key and "AITOEARN_API_KEY" or path
  check_keys(options, key, path)
  options.accept_language = options.accept_language or t.accept_language
  options.deadline = args.deadline or options.deadline
  if args.timeout and not args.waits then
    options.timeout = args.timeout
  end
  return options, sources
end

--- Makes the client.
---@param args table the command line
---@param on_event? fun(event: table) for a command that waits: what the client does meanwhile
---@return aitoearn.Client
---@return table options
---@return aitoearn.command.Sources sources
function M.client(args, on_event)
  local options, sources = M.options(args)
  if args.waits then
    options.on_event = on_event
  end
  local ok, result = pcall(require("aitoearn").new, options)
  if not ok then
    local problem = tostring(result):gsub("^[^\n]-%.lua:%d+: ", "")
    local is_given = args.server and problem:find "^server" or problem:find "^deadline" and args.deadline
    stop.now(status.USAGE, (sources.file and not is_given and sources.file .. ": " or "") .. problem)
  end
  return result, options, sources
end

return M
