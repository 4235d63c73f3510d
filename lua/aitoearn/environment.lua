--- What the environment says if the options say nothing: server, key, CA file, proxy, log.
--- What it says wrongly is no mistake of the program: it becomes the error of the calls.
---@module "aitoearn.environment"

local base_url = require "aitoearn.base_url"
local check = require "aitoearn.check"

local M = {}

--- The first of some environment variables that is set; one that is empty counts as unset.
---@param ... string their names
---@return string? value
---@return string? name
local function read(...)
  for _, name in ipairs { ... } do
    local value = os.getenv(name)
    if value and value ~= "" then
      return value, name
    end
  end
end

-- The failure of calls because of a variable.
local function failure(kind, name, problem)
  return { kind = kind, message = name .. ": " .. problem }
end

--- The server; "cn" if there is none, or a wrong one.
---@param allow_http? boolean
---@return string server
---@return aitoearn.Failure? problem
function M.server(allow_http)
  local value, name = read "AITOEARN_SERVER"
  local _, wrong = base_url.read(value or "cn", allow_http)
  if wrong then
    return "cn", failure("argument", name, wrong)
  end
  return value or "cn"
end

--- The key.
---@return string? key nil: there is none; "" if it is wrong
---@return aitoearn.Failure? problem
function M.api_key()
  local value, name = read "AITOEARN_API_KEY"
  if not value then
    return nil
  end
  local key, wrong = check.key(value)
  if wrong then
    return "", failure("argument", name, "a key expected, got " .. wrong)
  end
  return key
end

--- The CA file.
---@return string? path nil: there is none, or it cannot be read
---@return aitoearn.Failure? problem of every call over https
function M.ca_file()
  local path, name = read("AITOEARN_CA_FILE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
  local problem = path and check.file_problem(path)
  if problem then
    local failed = failure("tls", name, "the CA file cannot be read: " .. problem)
    failed.bad_ca_file = true
    return nil, failed
  end
  return path
end

local function proxy_problem(...)
  local value, name = read(...)
  local ok, expected = check.proxy(value or "")
  if not ok then
    local failed = failure("connect", name, expected)
    failed.proxy = true
    return failed
  end
end

--- What is wrong with the proxies: libcurl reads them by itself. With a `no_proxy` it alone knows which calls go through
--- one.
---@return aitoearn.Failure? https of every call over https
---@return aitoearn.Failure? http of every call over http
function M.proxy_problems()
  if not read("no_proxy", "NO_PROXY") then
    return proxy_problem("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
      proxy_problem("http_proxy", "all_proxy", "ALL_PROXY")
  end
end

--- The URLs of all proxies.
---@return string[]
function M.proxies()
  return { read "http_proxy" or "", read("https_proxy", "HTTPS_PROXY") or "", read("all_proxy", "ALL_PROXY") or "" }
end

--- The level of the log.
---@return "info"|"debug"|nil
function M.log()
  return (check.log(read "AITOEARN_LOG"))
end

return M
