--- The error type: what went wrong, as a table that prints as one line.
---@module "aitoearn.error"

local hints = require "aitoearn.hint"
local redact = require "aitoearn.redact"
local text = require "aitoearn.text"

local M = {}

-- The longest message, request id and part of a body, in bytes.
local MESSAGE_BYTES, REQUEST_ID_BYTES, BODY_BYTES = 512, 128, 512

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

--- Takes the API key, and what else is secret, out of a failure's texts, in case a server sent it back.
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

-- The facts that an error keeps of its failure: those that users see, and those that `retry.ends_wait` asks for.
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
  err.hint = hints.of(err, failure, language)
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
