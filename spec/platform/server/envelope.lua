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
  [12600] = { "账号未找到", "Account not found" },
  [15004] = { "发布任务未找到", "Publish task not found" },
  [15018] = { "发布任务状态无效", "Publish task status is invalid" },
  [15021] = { "渠道账号未找到", "Channel account not found" },
  [15025] = { "发布任务已存在", "Publish task already exists" },
  [15050] = { "发布流程未找到", "Publish flow not found" },
  [15051] = { "发布内容校验失败", "Publish validation failed" },
  [15052] = { "发布项重复", "Duplicate publish item" },
  [15053] = { "移出发布队列失败", "Failed to remove the task from the queue" },
  [15054] = { "平台取消发布失败", "The platform failed to cancel" },
  [15055] = { "不支持取消发布", "Cancelling is not supported" },
  [15056] = { "加入发布队列失败", "Failed to queue the task" },
  [15057] = { "不允许修改发布时间", "The publish time cannot be changed" },
  [15058] = { "不允许立即发布", "Publishing now is not allowed" },
  [15060] = { "缺少平台作品 ID", "The platform's work id is missing" },
  [15062] = { "平台不支持该操作", "The platform does not support this" },
  [15063] = { "平台状态查询失败", "The platform's status failed" },
  [15071] = { "渠道平台限流", "Channel platform rate limited" },
  [15072] = { "渠道平台响应无效", "Channel platform response is invalid" },
  [15087] = { "不能混用中继账号和本地账号", "Relay and local accounts cannot be mixed" },
  [15093] = { "缺少作品链接", "The permalink is missing" },
  [15094] = { "渠道平台服务不可用", "Channel platform service unavailable" },
  [15095] = { "不允许重试", "Retrying is not allowed" },
  [15096] = { "渠道账号已解绑", "Channel account is unbound" },
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

--- The envelope of a success around `data`, which is JSON text already. Without it there is no key `data`.
---@param data? string
---@return string
function M.success(data)
  return '{"code":0,"message":"' .. M.message(0) .. (data and '","data":' .. data or '"') .. ',"requestId":'
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

local gateway = "<html>\r\n<head><title>%d</title></head>\r\n<body>\r\n<center><h1>%d</h1></center>\r\n"
  .. "<hr><center>gateway</center>\r\n</body>\r\n</html>\r\n"

--- Sends the page of a gateway.
---@param status integer
---@return nil
function M.send_gateway(status) return M.send(gateway:format(status, status), "text/html") end

--- Sends the web app's page, which a wrong base URL answers.
---@return nil
function M.send_page() return M.send(page, "text/html; charset=utf-8") end

return M
