--- An error of the library as one line for people, and as one of JSON.
---@module "aitoearn.command.problems"

local json = require "aitoearn.command.json"
local t = require "aitoearn.command.language"

local M = {}

-- Names of the library's in hints, and the command's for them.
local NAMES = {
  { "client:locate asks each that the client knows", "aitoearn locate asks each of the configuration" },
  { "client:locate 会逐个询问客户端已配置的站点", "aitoearn locate 会逐个询问配置中的站点" },
  { "the option ca_file", "AITOEARN_CA_FILE, or ca_file in the configuration" },
  { "选项 ca_file", "AITOEARN_CA_FILE，或配置中的 ca_file" },
}

-- The order of an error's fields in JSON.
local FIELDS = {
  "record_id", "kind", "code", "name", "message", "http_status", "site", "server", "request_id", "retryable", "retry_at",
  "may_have_happened", "flowId", "hint",
}

-- The library writes its hints in the language that it asks the platform for.
local function hint_of(err)
  local hint = err.hint
  for _, name in ipairs(hint and NAMES or {}) do
    local first, last = hint:find(name[1], 1, true)
    if first then
      hint = hint:sub(1, first - 1) .. name[2] .. hint:sub(last + 1)
    end
  end
  return hint
end

--- How to find out what became of a write whose outcome is unknown.
local function follow_up(err)
  if not err.may_have_happened then
    return nil
  elseif err.flowId then
    return t("see aitoearn flow %s; where that finds nothing, publish again with --flow-id %s",
      err.flowId, err.flowId)
  end
  return t("see aitoearn get %s", tostring(err.record_id))
end

-- The library's commonest messages, and their form in the table of translations.
local MESSAGES = {
  { "^it ended as ([A-Z_]+) without a link(.*)$", "it ended as %s without a link%s" },
  { "^it ended as ([A-Z_]+)(.*)$", "it ended as %s%s" },
  { "^the platform could not get its link(.*)$", "the platform could not get its link%s" },
  { "^not reached within (%S+) s, last seen as ([A-Z_]+)$", "not reached within %s s, last seen as %s" },
  { "^not reached within (%S+) s(.*)$", "not reached within %s s%s" },
  { "^(%d+) of (%d+) tasks missed the goal: (.*)$", "%s of %s tasks missed the goal: %s" },
  { "^the server accepted the cancel, but the record is ([A-Z_]+)$",
    "the server accepted the cancel, but the record is %s" },
  { "^the deadline of (%S+) s passed %((.*)%)$", "the deadline of %s s passed (%s)" },
  { "^record id: (.*)$", "record id: %s" },
}

local function translate(message)
  for _, known in ipairs(MESSAGES) do
    local a, b, c = message:match(known[1])
    if a then
      return t(known[2], t(a), b and t(b), c)
    end
  end
  return t(message)
end

-- The library writes English; its parts in another language.
local function in_parts(err)
  local code = err.code and (" %s%s"):format(tostring(err.code), err.name and " " .. err.name or "") or ""
  local facts = {}
  for _, fact in ipairs {
    { "HTTP %s", err.http_status }, { "record %s", err.record_id }, { "request %s", err.request_id },
    { "%s attempts", err.attempts and #err.attempts > 1 and #err.attempts or nil },
  } do
    if fact[2] then
      facts[#facts + 1] = t(fact[1], tostring(fact[2]))
    end
  end
  if err.server then
    facts[#facts + 1] = err.server
  end
  return ("%s%s: %s%s"):format(t(err.kind), code, translate(err.message),
    #facts > 0 and " (" .. table.concat(facts, ", ") .. ")" or "")
end

--- One line.
---@param err aitoearn.Error
---@return string
function M.describe(err)
  local line
  if t.is_chinese then
    local hint = hint_of(err)
    line = in_parts(err) .. (hint and "; " .. hint or "")
  else
    line = tostring(err)
    if err.hint then
      local first, last = line:find(err.hint, 1, true)
      line = first and line:sub(1, first - 1) .. hint_of(err) .. line:sub(last + 1) or line
    end
  end
  local more = follow_up(err)
  return line .. (more and "; " .. more or "")
end

--- One line of JSON.
---@param err aitoearn.Error
---@return string
function M.encode(err)
  local parts = {}
  for _, name in ipairs(FIELDS) do
    local value = name == "hint" and hint_of(err) or err[name]
    if value ~= nil then
      parts[#parts + 1] = ("%s:%s"):format(json.encode(name), json.encode(value))
    end
  end
  return ('{"error":{%s}}'):format(table.concat(parts, ","))
end

return M
