--- Base URLs: which are accepted, and that a list of them names one site.
-- @module aitoearn.base_url

local core = require "aitoearn.core"

local base_url = {}

--- The two public sites (the API page's servers). They are not replicas: a key works on one of them.
base_url.public = { cn = "https://aitoearn.cn", intl = "https://aitoearn.ai" }

local function is_loopback(hostname)
  return hostname == "localhost" or hostname == "[::1]" or hostname:find("^127%.%d+%.%d+%.%d+$") ~= nil
end

local function problem_of(url, allow_http)
  if not url or (url.scheme ~= "http" and url.scheme ~= "https") then
    return '"cn", "intl", or a base URL with http:// or https:// expected'
  elseif url.user or url.password then
    return "a base URL holds no user name or password"
  elseif url.path:find("/api/*$") then
    return "a base URL ends before /api: leave it out"
  elseif url.scheme == "http" and not allow_http and not is_loopback(url.host) then
    return "http:// would show the key to everybody on the way: use https://, or set allow_http"
  end
end

--- @treturn string|nil the URL without a slash at its end
-- @treturn nil|string what is wrong with it
local function read_one(value, allow_http)
  if type(value) ~= "string" then
    return nil, "base URL expected, got " .. type(value)
  end
  local problem
  if value:find("[%c ]") then
    problem = "a base URL holds no spaces or control characters"
  elseif value:find("[?#]") then -- an empty one too, which a parsed URL does not show
    problem = "a base URL holds no query or fragment"
  else
    problem = problem_of(core.parse_url(value), allow_http)
  end
  if problem then
    return nil, problem
  end
  return (value:gsub("/+$", ""))
end

local function public_name(url)
  for name, public in pairs(base_url.public) do
    if url == public then
      return name
    end
  end
  return "a site of your own"
end

--- The base URLs of one site.
-- @tparam string|table server "cn", "intl", a base URL, or a list of base URLs
-- @tparam boolean allow_http whether `http://` may go to a host that is not this one
-- @treturn table|nil the list of base URLs
-- @treturn nil|string what is wrong
-- @treturn nil|integer in which one of a list
function base_url.read(server, allow_http)
  if base_url.public[server] then
    return { base_url.public[server] }
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
    elseif urls[1] and public_name(urls[1]) ~= public_name(url) then
      return nil, ("%s is %s, %s is %s: a key works on one site only, so use the option sites"):format(
        urls[1], public_name(urls[1]), url, public_name(url)), place
    end
    urls[i], seen[url] = url, true
  end
  return urls
end

return base_url
