--- Answers as data: what a spec says about one becomes an HTTP status and a body, or a failure of the network.
---@module "aitoearn.testing.answer"

local check = require "aitoearn.check"
local core = require "aitoearn.core"
local json = require "aitoearn.json"
local text = require "aitoearn.text"

local M = {}

---What a spec says about one answer. One without `record`, `data`, `code`, `http_status`, `body` and `kind` is what the
---kit's own platform says to the request.
---@class aitoearn.testing.Answer
---@field record table? with code 0; required fields that are absent are filled in
---@field data any? with code 0, where the answer is no record; or of another code, such as `{ttl = 30}` of 429
---@field code integer? of the envelope
---@field message string? the envelope's, or that of `kind`
---@field http_status integer? default: 200. Alone: a gateway's page
---@field body string? in the place of an envelope
---@field kind "dns"|"connect"|"tls"|"timeout"|"transport"|nil there is no answer: the attempt fails in this way
---@field sent boolean? of `kind`: whether the server may have got the request; default: of `timeout` and `transport`
---@field handshake boolean? of kind `tls`: it was cut off, and may go better next time
---@field delay number? seconds; an answer that is later than the attempt's time-out is none: the kind is `timeout`
---@field retry_after number? seconds: the header `Retry-After`
---@field rate_limit_reset number? Unix milliseconds: the header `X-RateLimit-Reset`

local FIELDS = {
  record = "table", data = "any", code = "number", message = "string", http_status = "number", body = "string",
  kind = "string", sent = "boolean", handshake = "boolean", delay = "number", retry_after = "number",
  rate_limit_reset = "number",
}

-- What can happen on the way: whether the server may know of the request, and a message.
local KINDS = {
  dns = { sent = false, message = "the host's name could not be resolved" },
  connect = { sent = false, message = "the connection was refused" },
  tls = { sent = false, message = "the certificate does not verify" },
  timeout = { sent = true, message = "the attempt took too long" },
  transport = { sent = true, message = "the connection was cut off" },
}

local PAGE = "<html>\r\n<head><title>%d</title></head>\r\n<body>\r\n<center><h1>%d</h1></center>\r\n</body>\r\n</html>\r\n"

--- Raises where an answer is none.
---@param answer any
---@param path string names it in the message
function M.check(answer, path)
  if type(answer) ~= "table" then
    error(("%s: a table or a function expected, got %s"):format(path, check.describe(answer)), 0)
  end
  for name, value in pairs(answer) do
    local expected = FIELDS[name]
    if not expected then
      local meant = type(name) == "string" and text.nearest(name, FIELDS)
      error(("%s.%s: unknown field%s"):format(path, tostring(name), meant and "; did you mean " .. meant .. "?" or ""), 0)
    elseif expected ~= "any" and type(value) ~= expected then
      error(("%s.%s: %s expected, got %s"):format(path, name, expected, check.describe(value)), 0)
    end
  end
  if answer.kind and not KINDS[answer.kind] then
    error(("%s.kind: dns, connect, tls, timeout or transport expected, got %q"):format(path, answer.kind), 0)
  elseif answer.delay and (answer.delay < 0 or answer.delay ~= answer.delay) then
    error(path .. ".delay: number of seconds expected", 0)
  end
end

--- Whether an answer leaves to the kit's platform what it says.
---@param answer aitoearn.testing.Answer
---@return boolean
function M.is_open(answer)
  return not (answer.record or answer.code or answer.http_status or answer.body or answer.kind) and answer.data == nil
end

---An answer as the wire carries it.
---@class aitoearn.testing.Reply
---@field http_status integer? nil: there is none
---@field body string?
---@field failure table? what happened in its place
---@field headers table the facts that a failure takes from the headers
---@field delay number? seconds

local function failure_of(answer)
  local kind = KINDS[answer.kind]
  local sent = answer.sent
  if sent == nil then
    sent = kind.sent
  end
  return { kind = answer.kind, message = answer.message or kind.message, sent = sent or nil, handshake = answer.handshake }
end

local function body_of(answer)
  local data = answer.record
  if data == nil then
    data = answer.data
  end
  if answer.body then
    return answer.body
  elseif answer.http_status and data == nil and not answer.code then
    return PAGE:format(answer.http_status, answer.http_status)
  end
  return json.encode({ code = answer.code or 0, message = answer.message, data = data }, "answer")
end

--- Puts an answer on the wire.
---@param answer aitoearn.testing.Answer
---@return aitoearn.testing.Reply
function M.reply(answer)
  local headers = { retry_after = answer.retry_after, rate_limit_reset = answer.rate_limit_reset }
  if answer.kind then
    return { failure = failure_of(answer), headers = {}, delay = answer.delay }
  end
  return { http_status = answer.http_status or 200, body = body_of(answer), headers = headers, delay = answer.delay }
end

--- What of an answer an attempt sees that waits no longer than `limit`.
---@param reply aitoearn.testing.Reply
---@param limit number seconds
---@return aitoearn.testing.Reply
---@return number seconds when it is over
function M.within(reply, limit)
  local is_timeout = reply.failure and reply.failure.kind == "timeout"
  local delay = reply.delay or (is_timeout and limit < math.huge and limit) or 0
  if delay <= limit then
    return reply, delay
  end
  local late = M.reply { kind = "timeout", message = ("no answer within %g s"):format(limit) }
  return late, limit
end

--- Reads a reply as an engine's transfer does.
---@param reply aitoearn.testing.Reply
---@param kind string? of what it holds
---@param max_bytes integer
---@return any value nil after a failure
---@return aitoearn.Failure? failure
function M.read(reply, kind, max_bytes)
  local value, failure
  if reply.failure then
    failure = {}
    for name, fact in pairs(reply.failure) do
      failure[name] = fact
    end
  elseif #reply.body > max_bytes then
    failure = { kind = "protocol", message = "the answer is longer than max_response_bytes" }
  else
    value, failure = core.decode(reply.body, kind, reply.http_status)
  end
  if failure and reply.http_status then
    failure.http_status, failure.sent = reply.http_status, true
    for name, fact in pairs(reply.headers) do
      failure[name] = fact
    end
  end
  return value, failure
end

return M
