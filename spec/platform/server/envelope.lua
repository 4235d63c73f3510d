--- The envelope around every answer of the API: codes, messages in two languages, JSON by hand (no cjson needed).
-- @module spec.platform.server.envelope
local format, gsub, find = string.format, string.gsub, string.find

local M = {}

-- code -> Chinese, English
local messages = {
  [0] = { "请求成功", "Success" },
  [400] = { "请求错误", "Bad request" },
  [401] = { "Unauthorized", "Unauthorized" },
  [404] = { "Not Found", "Not Found" },
  [429] = { "请求过于频繁", "Too many requests" },
  [500] = { "服务器内部错误", "Internal server error" },
  [502] = { "Bad Gateway", "Bad Gateway" },
  [503] = { "Service Unavailable", "Service Unavailable" },
  [504] = { "Gateway Timeout", "Gateway Timeout" },
  [10002] = { "参数验证失败", "Validation failed" },
  [15000] = { "发布记录未找到", "Publish record not found" },
  [15071] = { "渠道平台限流", "Channel platform rate limited" },
  [15094] = { "渠道平台服务不可用", "Channel platform service unavailable" },
  [19000] = { "API Key 无效", "API key is invalid" },
  [19001] = { "中继服务器不可用", "Relay server unavailable" },
}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(char)
  return escapes[char] or format("\\u%04x", char:byte())
end

--- A string as JSON text, quotes included. Bytes above 126 stay as they are.
---@param text string
---@return string
function M.quote(text)
  if find(text, '[%c"\\]') then text = gsub(text, '[%c"\\]', escape) end
  return '"' .. text .. '"'
end

--- The id of the current request, which is also sent back as a header.
---@return string
function M.request_id()
  local var = ngx.var
  local id = var.http_x_request_id
  if not id or id == "" then id = var.request_id end
  ngx.header["x-request-id"] = id
  return id
end

--- The message for a code in the language that the current request asks for (Chinese unless `en…`).
---@param code integer
---@return string
function M.message(code)
  local both = messages[code] or { "未知错误", "Unknown error" }
  local language = ngx.var.http_accept_language
  return both[language and find(language, "^[eE][nN]") and 2 or 1]
end

--- The envelope of a success around `data`, which is JSON text already.
---@param data string
---@return string
function M.success(data)
  return '{"code":0,"message":"' .. M.message(0) .. '","data":' .. data .. ',"requestId":'
    .. M.quote(M.request_id()) .. "}"
end

--- The envelope of an error. `data` is JSON text, `{}` unless given.
---@param code integer
---@param data? string
---@param message? string
---@return string
function M.failure(code, data, message)
  return format('{"code":%d,"message":%s,"data":%s,"requestId":%s,"timestamp":%d}', code,
    M.quote(message or M.message(code)), data or "{}", M.quote(M.request_id()), ngx.now() * 1000)
end

--- What `configure` of the server was told: `dir` and `other`.
M.settings = {}

local page = [[<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>AiToEarn</title></head>
<body><div id="root"></div><script src="/assets/index.js"></script></body></html>
]]

--- Sends a body whose length is known.
---@param body string
---@param content_type? string JSON unless given
---@return nil
function M.send(body, content_type)
  local header = ngx.header
  header.content_type = content_type or "application/json; charset=utf-8"
  header.content_length = #body
  ngx.print(body)
end

--- Sends the web app's page, which a wrong base URL answers.
---@return nil
function M.send_page() return M.send(page, "text/html; charset=utf-8") end

return M
