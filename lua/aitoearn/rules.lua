--- Rules: what a table of options may hold, and its defaults. A wrong option raises a plain text with its name.
---@module "aitoearn.rules"

local check = require "aitoearn.check"
local text = require "aitoearn.text"

local M = {}

---@class aitoearn.Rule
---@field check fun(value: any): any, string?, any as those of aitoearn.check: the value, or nil, what was expected and got
---@field default any

local function raise(form, ...)
  error(form:format(...), 0)
end

--- `expected` and what came; a check whose value may be a key says itself what it got, or false for nothing at all.
local function problem_with(value, expected, got)
  if got == nil then
    got = check.describe(value)
  end
  return expected .. (got and ", got " .. got or "")
end

local function raise_unknown(name, rules, prefix)
  local known, inherited = {}, getmetatable(rules)
  for _, names in ipairs { rules, inherited and inherited.__index or {} } do
    for known_name in pairs(names) do
      known[known_name] = true
    end
  end
  local meant = type(name) == "string" and text.nearest(name, known)
  raise("%s%s: unknown option%s", prefix, tostring(name), meant and ("; did you mean %s?"):format(meant) or "")
end

--- Checks a table of options; false is a value like any other.
---@param given table? what a caller gave
---@param rules table<string, aitoearn.Rule> by the option's name; inherited ones count for what is given
---@param prefix? string what the names begin with in messages: "retry."
---@return table values to use, defaults included
function M.read(given, rules, prefix)
  prefix = prefix or ""
  local values = {}
  if given ~= nil and type(given) ~= "table" then
    raise("%s: table expected, got %s", prefix ~= "" and prefix:sub(1, -2) or "options", type(given))
  end
  for name, value in pairs(given or {}) do
    local rule = rules[name]
    if not rule then
      raise_unknown(name, rules, prefix)
    end
    local checked, expected, got = rule.check(value)
    if checked == nil then
      raise("%s%s: %s", prefix, name, problem_with(value, expected, got))
    end
    values[name] = checked
  end
  for name, rule in pairs(rules) do
    if values[name] == nil then
      values[name] = rule.default
    end
  end
  return values
end

return M
