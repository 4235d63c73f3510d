--- The error type: what went wrong, as a table that prints as one line.
-- @module aitoearn.error

local core = require "aitoearn.core"

local BODY_BYTES = 512

local Error = { __name = "aitoearn.error" }
Error.__index = Error

local M = {}

--- Puts `***` in the place of every secret.
-- @tparam string text
-- @tparam ?string secret
-- @tparam ?integer limit how many bytes of `text` to read at most: a secret that begins within them is
--   blotted out whole, so that no part of one is left at the end
-- @treturn string
local function redact(text, secret, limit)
  limit = math.min(limit or #text, #text)
  if not secret or not text:find(secret, 1, true) then
    return text:sub(1, limit)
  end
  local parts, at = {}, 1
  while at <= limit do
    local first, last = text:find(secret, at, true)
    if not first or first > limit then
      parts[#parts + 1] = text:sub(at, limit)
      break
    end
    parts[#parts + 1] = text:sub(at, first - 1) .. "***"
    at = last + 1
  end
  return table.concat(parts)
end

--- One line for people: a server's message may hold anything.
local function one_line(text)
  return (text:gsub("%c+", " "))
end

local hints = {
  {
    when = function(e)
      return e.code == core.code.UNAUTHORIZED or e.code == core.code.API_KEY_INVALID
    end,
    text = "the key may be wrong, or belong to the other site: a key of aitoearn.cn does not work on aitoearn.ai",
  },
  {
    when = function(e, failure)
      return failure.not_json and e.kind == "protocol" and (e.body or ""):find("^%s*<")
    end,
    text = "is this base URL the API? it answered a web page",
  },
  {
    when = function(e)
      return e.code == core.code.NOT_FOUND or (e.kind == "http" and e.http_status == 404)
    end,
    text = "is this base URL the API? it does not know the path /api/v2/channels/publish/records",
  },
  {
    when = function(e)
      return e.code == core.code.PUBLISH_RECORD_NOT_FOUND
    end,
    text = "a record lives on one site only: client:locate asks each that the client knows",
  },
  {
    when = function(e)
      return e.code == core.code.INTERNAL_SERVER_ERROR
    end,
    text = "a malformed record id can cause this for ever",
  },
  {
    when = function(e)
      return e.kind == "http" and e.http_status >= 300 and e.http_status < 400
    end,
    text = "redirects are not followed: use the address it points to as the base URL",
  },
  {
    when = function(e, failure)
      return e.kind == "tls" and not failure.handshake
    end,
    text = "a server with a certificate of its own needs the option ca_file",
  },
}

local function hint_for(err, failure)
  for _, hint in ipairs(hints) do
    if hint.when(err, failure) then
      return hint.text
    end
  end
end

--- Takes the API key out of a failure's texts, where a server may have sent it back, and makes single lines of them.
-- @tparam table failure it is changed
-- @tparam ?string secret
function M.redact(failure, secret)
  failure.message = one_line(redact(failure.message, secret))
  failure.request_id = failure.request_id and one_line(redact(failure.request_id, secret))
  failure.body = failure.body and redact(failure.body, secret, BODY_BYTES)
end

--- Makes an error of a failure of the C part, redacted, or of a kind and a message.
-- @tparam table failure `kind`, `message` and what else is known
-- @tparam ?table context fields of the error that the failure does not know: `server`, `site`,
--   `record_id`, `retryable`, `retry_at`, `attempts`
-- @treturn aitoearn.Error
function M.new(failure, context)
  local err = {}
  for name, value in pairs(context or {}) do
    err[name] = value
  end
  err.kind = failure.kind
  err.message = failure.message
  err.code = failure.code
  err.name = failure.name
  err.http_status = failure.http_status
  err.request_id = failure.request_id
  err.body = failure.body
  err.retryable = err.retryable or false
  err.attempts = err.attempts or {}
  err.hint = failure.hint or hint_for(err, failure)
  return setmetatable(err, Error)
end

--- Whether a value is an error of this library.
-- @treturn boolean
function M.is(value)
  return getmetatable(value) == Error
end

function Error:__tostring()
  local facts = {}
  local function add(form, value)
    if value ~= nil then
      facts[#facts + 1] = form:format(tostring(value))
    end
  end
  add("HTTP %s", self.http_status)
  add("record %s", self.record_id and one_line(tostring(self.record_id)))
  add("%s", self.server)
  add("request %s", self.request_id)
  add("%s attempts", #self.attempts > 1 and #self.attempts or nil)
  local code = self.code and (" %s%s"):format(tostring(self.code), self.name and " " .. self.name or "") or ""
  return ("%s%s: %s%s%s"):format(
    self.kind,
    code,
    self.message,
    #facts > 0 and " (" .. table.concat(facts, ", ") .. ")" or "",
    self.hint and "; " .. self.hint or ""
  )
end

return M
