--- Secrets: how the key is kept, and the list of what must appear in no message.
---@module "aitoearn.secrets"

local check = require "aitoearn.check"
local environment = require "aitoearn.environment"

local M = {}

--- Keeps a key so that no dump of a table shows it. A string has been checked before; what a function returns is checked
--- each time.
---@param key string|fun(): string
---@return fun(): string?, string? source the key; or nil and what is wrong with what the function did
function M.key_source(key)
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

local function decoded(part)
  return (part:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

--- The passwords of the proxy that requests go through, percent-encoded and plain.
local function proxy_secrets(proxy)
  local secrets = {}
  for _, url in ipairs(proxy and { proxy } or environment.proxies()) do
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

--- What must appear in no message beside the key.
---@param values string[] of a site's further headers
---@param proxy? string the option; default: the environment's proxies
---@return string[] secrets the longest first
function M.list(values, proxy)
  local list = {}
  for _, secrets in ipairs { values, proxy_secrets(proxy) } do
    for _, secret in ipairs(secrets) do
      add_secret(list, secret)
    end
  end
  table.sort(list, function(a, b) -- the longest first: one may be a part of another
    return #a > #b
  end)
  return list
end

return M
