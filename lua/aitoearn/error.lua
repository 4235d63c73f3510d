--- The error type: what went wrong, as a table that prints as one line.
-- @module aitoearn.error

local core = require "aitoearn.core"
local redact = require "aitoearn.redact"
local retry = require "aitoearn.retry"
local sites = require "aitoearn.site"
local text = require "aitoearn.text"

local code = core.code

local M = {}

-- The longest message, request id and part of a body, in bytes.
local MESSAGE_BYTES, REQUEST_ID_BYTES, BODY_BYTES = 512, 128, 512

-- What a person can do about it, in the languages that we speak. A failure may name one as its `hint`.
local HINTS = {
  held = {
    en = "the site asked for a pause that ends after this call's deadline",
    zh = "站点要求暂停，而暂停结束的时间晚于本次调用的截止时间",
  },
  list_too_long = {
    en = "narrow from and to: a list has no pages",
    zh = "请缩小 from 与 to 的范围：列表不分页",
  },
  key = {
    en = "the key may be wrong, or belong to the other site: a key of aitoearn.cn does not work on aitoearn.ai",
    zh = "密钥可能有误，或属于另一个站点：aitoearn.cn 的密钥不能用于 aitoearn.ai",
  },
  web_page = {
    en = "is this base URL the API? it answered a web page",
    zh = "这个基础地址是 API 吗？它返回的是网页",
  },
  unknown_path = {
    en = "is this base URL the API? it does not know the path " .. sites.API
      .. sites.RECORDS:sub(1, -2) .. ", which servers have since version 2.4.1",
    zh = "这个基础地址是 API 吗？它没有路径 " .. sites.API .. sites.RECORDS:sub(1, -2) .. "（服务器自 2.4.1 版起提供）",
  },
  other_site = {
    en = "a record lives on one site only: client:locate asks each that the client knows",
    zh = "一条记录只存在于一个站点：client:locate 会逐个询问客户端已配置的站点",
  },
  record_id = {
    en = "the id that belongs here is the record's own, its id, not its taskId; and a record lives on one site only",
    zh = "此处应使用记录自身的 ID（id），而不是 taskId；并且一条记录只存在于一个站点",
  },
  not_supported = {
    en = "this platform cannot do that: what can be done to a post differs from one platform to another",
    zh = "该平台不支持此操作：各平台支持的操作不尽相同",
  },
  id_is_url = {
    en = "that id looks like a URL: the id is what stands behind its last slash",
    zh = "这个 ID 像是一个网址：ID 是最后一个斜杠之后的部分",
  },
  id_has_blanks = {
    en = "there is white space around that id",
    zh = "这个 ID 的首尾有空白字符",
  },
  id_is_odd = {
    en = "a record id has 24 hex digits: any other causes this every time",
    zh = "记录 ID 是 24 位十六进制数字：其他形式的 ID 每次都会导致此错误",
  },
  not_modified = {
    en = "a cache on the way answered a question that was not asked: let it pass this URL through",
    zh = "途中的缓存返回了 304，而请求并未询问缓存：请让缓存直接放行这个地址",
  },
  redirect = {
    en = "redirects are not followed: use the address it points to as the base URL",
    zh = "不跟随重定向：请把它指向的地址设为基础地址",
  },
  proxy_login = {
    en = "the proxy asks for a user name and a password: write them into its URL, percent-encoded",
    zh = "代理要求用户名和密码：请把它们（百分号编码后）写进代理的地址",
  },
  proxy = {
    en = "this is about the proxy, not about the server",
    zh = "问题出在代理，而不是服务器",
  },
  proxy_environment = {
    en = "this is about the proxy that the environment names (%s), not about the server",
    zh = "问题出在环境变量指定的代理（%s），而不是服务器",
  },
  ca_file_unreadable = {
    en = "the file with the CA certificates cannot be read, or holds none",
    zh = "CA 证书文件无法读取，或其中没有证书",
  },
  client_certificate = {
    en = "the client certificate or its key cannot be used: look at the options cert_file and key_file",
    zh = "客户端证书或其私钥无法使用：请检查选项 cert_file 和 key_file",
  },
  ca_file = {
    en = "a server with a certificate of its own needs the option ca_file",
    zh = "使用自签证书的服务器需要选项 ca_file",
  },
}

local PROXY_VARIABLES = { "https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY" }

-- The variables that may have named the proxy.
local function proxy_variables()
  local names = {}
  for _, name in ipairs(PROXY_VARIABLES) do
    if (os.getenv(name) or "") ~= "" then
      names[#names + 1] = name
    end
  end
  return table.concat(names, ", ")
end

-- What an id does to a server that it should not have been sent to.
local function id_hint(err, failure)
  local id = err.record_id
  if type(id) ~= "string" or not (failure.kind == "argument" or failure.kind == "api" or failure.kind == "http") then
    return nil
  elseif id:find("/", 1, true) then
    return "id_is_url"
  elseif id:find "^[%z\1-\32]" or id:find "[%z\1-\32]$" then
    return "id_has_blanks"
  elseif failure.code == code.INTERNAL_SERVER_ERROR and not retry.is_platform_id(id) then
    return "id_is_odd"
  end
end

-- Ends that an id of the wrong form can cause.
local function may_be_the_id(failure)
  local failed = failure.code or (failure.kind == "http" and failure.http_status)
  return failure.kind == "argument" or failed == code.INTERNAL_SERVER_ERROR or failed == code.NOT_FOUND
    or failed == code.PUBLISH_RECORD_NOT_FOUND or failed == code.VALIDATION_FAILED or failed == code.BAD_REQUEST
end

-- What libcurl says, with OpenSSL, of files that it cannot use.
local TLS_FILES = {
  { "error setting certificate", "ca_file_unreadable" },
  { "trust anchors", "ca_file_unreadable" },
  { "ca file cannot be read", "ca_file_unreadable" },
  { "client certificate", "client_certificate" },
  { "private key", "client_certificate" },
}

local function tls_hint(failure)
  if failure.handshake then
    return nil
  end
  local message = text.lower(failure.message or "")
  for _, row in ipairs(TLS_FILES) do
    if message:find(row[1], 1, true) then
      return row[2]
    end
  end
  return "ca_file"
end

local function http_hint(http_status)
  if http_status == 404 then
    return "unknown_path"
  elseif http_status == 407 then
    return "proxy_login"
  elseif http_status == 304 then
    return "not_modified"
  elseif http_status >= 300 and http_status < 400 then
    return "redirect"
  end
end

local BY_CODE = {
  [code.UNAUTHORIZED] = "key",
  [code.API_KEY_INVALID] = "key",
  [code.NOT_FOUND] = "unknown_path",
  [code.PUBLISH_RECORD_NOT_FOUND] = "other_site",
  [code.PUBLISH_TASK_NOT_FOUND] = "record_id",
  [code.CHANNEL_PUBLISH_PLATFORM_NOT_SUPPORTED] = "not_supported",
}

-- The name of a hint.
local function hint_name(err, failure)
  local kind = failure.kind
  if failure.hint then
    return failure.hint
  end
  local about_id = may_be_the_id(failure) and id_hint(err, failure)
  if about_id then
    return about_id
  elseif failure.proxy then
    return (failure.message or ""):find("407", 1, true) and "proxy_login" or "proxy"
  elseif kind == "api" and failure.code then
    return BY_CODE[failure.code]
  elseif kind == "protocol" and failure.not_json and (failure.body or ""):find "^%s*<" then
    return "web_page"
  elseif kind == "http" then
    return http_hint(failure.http_status or 0)
  elseif kind == "tls" then
    return tls_hint(failure)
  end
end

local function hint_for(err, failure, language)
  local name = hint_name(err, failure)
  if name and not HINTS[name] then
    return name -- a sentence already
  end
  local variables = name == "proxy" and proxy_variables() or ""
  if variables ~= "" then
    name = "proxy_environment"
  end
  local hint = name and HINTS[name][(language or ""):find "^[zZ][hH]" and "zh" or "en"]
  return hint and hint:gsub("%%s", variables) or nil
end

-- A copy whose texts, at any depth, hold no secret.
local function redact_value(value, list)
  if type(value) == "string" then
    return redact.redact(value, list, 2 * MESSAGE_BYTES)
  elseif type(value) ~= "table" then
    return value
  end
  local clean = {}
  for name, part in pairs(value) do
    clean[redact_value(name, list)] = redact_value(part, list)
  end
  return clean
end

--- Takes the API key, and what else is secret, out of a failure's texts, where a server may have sent it back.
---@param failure aitoearn.Failure it is changed
---@param key string? as it was sent
---@param secrets string[]? the site's: values of its headers, passwords of its proxy
function M.redact(failure, key, secrets)
  local list = { key }
  for _, secret in ipairs(secrets or {}) do
    list[#list + 1] = secret
  end
  -- Twice what is shown: a mark is shorter than a secret.
  failure.message = redact.urls(redact.redact(failure.message, list, 2 * MESSAGE_BYTES))
  failure.request_id = failure.request_id and redact.redact(failure.request_id, list, 2 * REQUEST_ID_BYTES)
  failure.body = failure.body and redact.redact(failure.body, list, BODY_BYTES)
  failure.issues = redact_value(failure.issues, list)
end

-- What else an error keeps of its failure, for `retry.ends_wait` and for the caller.
local FACTS = { "code", "name", "http_status", "proxy", "not_json", "handshake", "issues" }

---@class aitoearn.Error
local Error = { __name = "aitoearn.error" }
Error.__index = Error

--- Makes an error of a failure, redacted, or of a kind and a message.
---@param failure aitoearn.Failure
---@param context? table fields of the error that the failure does not know: `server`, `site`, `record_id`, `retryable`,
--- `retry_at`, `attempts`, `record`, `flow`, `flowId`, `may_have_happened`; and `language`, of the hint
---@return aitoearn.Error
function M.new(failure, context)
  local err = {}
  for name, value in pairs(context or {}) do
    err[name] = value
  end
  local language = err.language
  err.language = nil
  for _, name in ipairs(FACTS) do
    err[name] = failure[name]
  end
  err.kind = failure.kind
  err.message = text.cut(text.one_line(tostring(failure.message)), MESSAGE_BYTES)
  err.request_id = failure.request_id and text.cut(text.one_line(failure.request_id), REQUEST_ID_BYTES)
  err.body = failure.body
  err.retryable = err.retryable and not err.may_have_happened or false
  err.attempts = err.attempts or {}
  err.hint = hint_for(err, failure, language)
  return setmetatable(err, Error)
end

--- Whether a value is an error of this library.
---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == Error
end

--- Why a record, or a task of a flow, is as it is, in the platform's words; for the message of a goal out of reach.
---@param record table
---@return string?
function M.reason(record)
  local data = type(record.errorData) == "table" and record.errorData or {}
  for _, reason in ipairs { record.errorMsg or "", data.message or "", data.code or "", record.linkError or "" } do
    if type(reason) == "string" and reason ~= "" then
      return reason
    end
  end
end

-- A time for people, in UTC: the line may be read anywhere.
local function time_text(seconds)
  local ok, when = pcall(os.date, "!%Y-%m-%d %H:%M:%S UTC", math.ceil(seconds))
  return ok and when or nil
end

function Error:__tostring()
  local facts = {}
  local function add(form, value)
    if value ~= nil and value ~= false then
      facts[#facts + 1] = form:format(tostring(value))
    end
  end
  local says_status = self.kind == "http" and self.message:find("HTTP status", 1, true)
  add("HTTP %s", not says_status and self.http_status)
  add("record %s", self.record_id and text.cut(text.one_line(tostring(self.record_id)), MESSAGE_BYTES))
  add("flow %s", self.flowId and text.cut(text.one_line(tostring(self.flowId)), MESSAGE_BYTES))
  add("%s", self.server)
  add("request %s", self.request_id)
  add("%s attempts", #self.attempts > 1 and #self.attempts)
  add("retry at %s", self.retry_at and time_text(self.retry_at))
  add("%s", self.may_have_happened and "it may have happened")
  local api_code = self.code and (" %s%s"):format(tostring(self.code), self.name and " " .. self.name or "") or ""
  return ("%s%s: %s%s%s"):format(
    self.kind,
    api_code,
    self.message,
    #facts > 0 and " (" .. table.concat(facts, ", ") .. ")" or "",
    self.hint and "; " .. self.hint or ""
  )
end

function Error.__concat(left, right)
  return tostring(left) .. tostring(right)
end

return M
