--- Asks a platform with the `curl` command, for the specs that check the platform itself.
-- @module spec.platform.curl
local assert = require "luassert"
local json = require "dkjson"
local shell = require "spec.platform.shell"

local M = {}

M.PATH = "/api/v2/channels/publish/records/"

local COMMAND = "curl -sS -g -m %s --noproxy '' --cacert %s -D %s -o %s -H 'X-Api-Key: %s' %s "
  .. "-w '\\n%%{http_code} %%{http_version}' '%s'; code=$?; echo; echo $code"

---@class spec.platform.Fetched
---@field exit integer curl's exit code
---@field message string what curl wrote
---@field status integer
---@field version string "1.1", "2"
---@field head string all headers, in lower case
---@field body string
---@field json? table

--- Functions that ask one platform.
---@param p spec.platform.Platform
---@return fun(url: string, options?: {key?: string, args?: string, timeout?: number}): spec.platform.Fetched fetch
---@return fun(id: string, options?: table): spec.platform.Fetched ask the same for an id; `options.base` is the server
---@return fun(id: string, options?: table): table data the record of an id that must answer one
---@return fun(id: string, options?: table): integer code the code of an id that must answer HTTP 200
function M.tools(p)
  local head, body = p.dir .. "/head", p.dir .. "/fetched"

  local function fetch(url, options)
    options = options or {}
    shell.write(head, "")
    shell.write(body, "")
    local text = shell.run(COMMAND:format(options.timeout or 5, p.ca_file, head, body, options.key or p.cn.key,
      options.args or "", url))
    local status, version, exit = text:match "(%d+) ([%d.]+)%s+(%d+)$"
    local got = {
      exit = tonumber(exit), message = text, status = tonumber(status), version = version,
      head = shell.read(head):lower(), body = shell.read(body),
    }
    got.json = json.decode(got.body)
    return got
  end

  local function ask(id, options)
    return fetch((options and options.base or p.cn.http) .. M.PATH .. id, options)
  end

  local function data(id, options)
    local got = ask(id, options)
    assert.same({ 200, 0 }, { got.status, got.json and got.json.code })
    return got.json.data
  end

  local function code(id, options)
    local got = ask(id, options)
    assert.equal(200, got.status)
    return got.json.code
  end

  return fetch, ask, data, code
end

M.ROOT = "/api/v2/channels/publish"

--- A function that sends a request to a route of one platform.
---@param p spec.platform.Platform
---@return fun(route: string, body?: table|string, options?: table): integer?, any, spec.platform.Fetched send as that
--   of spec.platform.http; `options` as for `fetch`, and `base`, `type`
function M.sender(p)
  local fetch, path = M.tools(p), p.dir .. "/sent"

  return function(route, body, options)
    options = options or {}
    local method, rest = route:match "^(%u+) (.*)$"
    local args = "-X " .. method .. " " .. (options.args or "")
    if body then
      shell.write(path, type(body) == "string" and body or json.encode(body))
      args = ("%s -H 'Content-Type: %s' --data-binary @%s"):format(args, options.type or "application/json", path)
    end
    local got = fetch((options.base or p.cn.http) .. M.ROOT .. rest,
      { key = options.key, timeout = options.timeout, args = args })
    return got.json and got.json.code, got.json and got.json.data, got
  end
end

return M
