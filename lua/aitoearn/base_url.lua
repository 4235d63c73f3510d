--- Base URLs: which are accepted, in which form they are kept, and that a list of them names one site.
---@module "aitoearn.base_url"

local core = require "aitoearn.core"
local text = require "aitoearn.text"

local M = {}

--- The two public sites (the API page's servers). They are not replicas: a key works on one of them.
M.public = { cn = "https://aitoearn.cn", intl = "https://aitoearn.ai" }

local DEFAULT_PORTS = { http = "80", https = "443" }

local function is_public_host(hostname)
  for name, url in pairs(M.public) do
    if url == "https://" .. hostname then
      return name
    end
  end
end

--- The public site that a word means: "cn", "CN", "aitoearn.cn".
---@param word any
---@return string? name
function M.public_name(word)
  word = type(word) == "string" and text.lower(word) or nil
  return word and (M.public[word] and word or is_public_host(word)) or nil
end

local function is_loopback(hostname)
  if hostname == "localhost" or hostname == "[::1]" then
    return true
  end
  local a, b, c = hostname:match "^127%.(%d+)%.(%d+)%.(%d+)$" -- 127.0.0.256 is a name
  return a ~= nil and math.max(tonumber(a), tonumber(b), tonumber(c)) < 256
end

local function host_problem(url, scheme, hostname, allow_http)
  local public = is_public_host(hostname)
  if hostname:find "[\128-\255]" then
    return "an international name goes here in its ASCII form, which begins with xn--"
  elseif url.path:find "/api/*$" then
    return "a base URL ends before /api: leave it out"
  elseif scheme == "http" and not allow_http and not is_loopback(hostname) then
    return "http:// would show the key to everybody on the way: use https://, or set allow_http"
  elseif public and url.path:find "[^/]" then
    return ('that is a page of the platform, not its API: write "%s"'):format(public)
  end
end

-- What is wrong with a text as a base URL, or nothing, its scheme and the name of its host.
local function problem_of(value, allow_http)
  local scheme = text.lower(value:match "^([A-Za-z][A-Za-z0-9+.-]*):" or "")
  local url = core.parse_url(value)
  if value:find "[%z\1-\32\127]" then
    return "a base URL holds no spaces or control characters"
  elseif value:find "[?#]" then -- an empty one too, which a parsed URL does not show
    return "a base URL holds no query or fragment"
  elseif not DEFAULT_PORTS[scheme] then
    return '"cn", "intl", or a base URL with http:// or https:// expected'
  elseif not value:find "^%a+://[^/]" then -- libcurl takes one slash, and three
    return ("two slashes and a host expected after %s:"):format(scheme)
  elseif not url then
    return "a base URL (https://host:port) expected"
  elseif url.user or url.password then
    return "a base URL holds no user name or password"
  end
  return host_problem(url, scheme, text.lower(url.host), allow_http)
end

-- The scheme and host in lower case, no default port, no slash at the end: two texts for the same server are equal.
local function normal(value)
  local scheme, authority, path = value:match "^(%a+)://([^/]*)(.-)/*$"
  scheme, authority = text.lower(scheme), text.lower(authority)
  local host, port = authority:match "^(.*):(%d*)$"
  if host and (port == "" or port == DEFAULT_PORTS[scheme]) then
    authority = host
  end
  return scheme .. "://" .. authority .. path
end

local function read_one(value, allow_http)
  if type(value) ~= "string" then
    return nil, "base URL expected, got " .. type(value)
  end
  local problem = problem_of(value, allow_http)
  if problem then
    return nil, problem
  end
  return normal(value)
end

local function site_of(url)
  return is_public_host(url:sub(#"https://" + 1)) or "a site of your own"
end

--- The base URLs of one site.
---@param server string|string[] "cn", "intl", a base URL, or a list of base URLs
---@param allow_http boolean? whether `http://` may go to a host that is not this one
---@return string[]? urls
---@return string? problem
---@return integer? place in which one of a list
function M.read(server, allow_http)
  local public = M.public_name(server)
  if public then
    return { M.public[public] }
  end
  local is_list = type(server) == "table"
  local urls, seen = {}, {}
  for i, value in ipairs(is_list and server or { server }) do
    local place = is_list and i or nil
    local url, problem = read_one(value, allow_http)
    if not url then
      return nil, problem, place
    elseif seen[url] then
      return nil, url .. " is there twice", place
    elseif urls[1] and site_of(urls[1]) ~= site_of(url) then
      return nil, ("%s is %s, %s is %s: a key works on one site only, so use the option sites"):format(
        urls[1], site_of(urls[1]), url, site_of(url)), place
    end
    urls[i], seen[url] = url, true
  end
  return urls
end

return M
