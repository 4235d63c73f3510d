--- What a person can do about an error: one sentence, in English or Chinese.
---@module "aitoearn.hint"

local core = require "aitoearn.core"
local retry = require "aitoearn.retry"
local sites = require "aitoearn.site"

local code = core.code

local M = {}

-- By name, in both languages.
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

-- The variables that may have set the proxy.
local function proxy_variables()
  local names = {}
  for _, name in ipairs(PROXY_VARIABLES) do
    if (os.getenv(name) or "") ~= "" then
      names[#names + 1] = name
    end
  end
  return table.concat(names, ", ")
end

-- What is odd about the id.
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

-- Whether an id of the wrong form can cause this failure.
local function may_be_the_id(failure)
  local failed = failure.code or (failure.kind == "http" and failure.http_status)
  return failure.kind == "argument" or failed == code.INTERNAL_SERVER_ERROR or failed == code.NOT_FOUND
    or failed == code.PUBLISH_RECORD_NOT_FOUND or failed == code.VALIDATION_FAILED or failed == code.BAD_REQUEST
end

local function tls_hint(failure)
  if failure.handshake then
    return nil
  end
  return failure.bad_ca_file and "ca_file_unreadable" or failure.bad_cert_file and "client_certificate" or "ca_file"
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

--- The hint of an error.
---@param err aitoearn.Error
---@param failure aitoearn.Failure that it was made of
---@param language? string as in the option `accept_language`: Chinese if it begins with "zh", else English
---@return string?
function M.of(err, failure, language)
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

return M
