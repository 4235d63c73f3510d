--- Takes secrets out of what a server sent back: as they were sent, and as JSON, HTML and URLs write them.
---@module "aitoearn.redact"

local M = {}

local MARK = "***"

-- A secret that the end of the text cuts off is recognized by this many of its characters.
local ENOUGH = 8

local ENTITIES = { ["&"] = "amp;", ["<"] = "lt;", [">"] = "gt;", ['"'] = "quot;", ["'"] = "apos;" }

-- The characters of a secret: of UTF-8 if it is that, else its bytes. Several backslashes count as one: each round of
-- escaping doubles them.
local function characters(secret)
  local list, at = {}, 1
  while at <= #secret do
    local char = secret:match("^[\194-\244][\128-\191]+", at) or secret:sub(at, at)
    if not (char == "\\" and list[#list] == char) then
      list[#list + 1] = char
    end
    at = at + #char
  end
  return list
end

local function code_of(char)
  local code = char:byte()
  if #char == 1 then
    return code
  end
  code = code % (#char == 2 and 0x20 or #char == 3 and 0x10 or 0x08)
  for i = 2, #char do
    code = code * 0x40 + char:byte(i) % 0x40
  end
  return code
end

-- `%2F`, and `%252F` too; `at` is behind the first `%`.
local function match_percent(text, at, byte)
  while true do
    local hex = text:match("^%x%x", at)
    if not hex then
      return nil
    elseif tonumber(hex, 16) == byte then
      return at + 2
    elseif hex ~= "25" then
      return nil
    end
    at = at + 2
  end
end

-- Each byte as it is or percent-encoded.
local function match_bytes(text, at, char)
  for i = 1, #char do
    local byte, found = char:byte(i), text:byte(at)
    local behind = found == 37 and match_percent(text, at + 1, byte)
    if not behind and (found == byte or (found == 43 and byte == 32)) then -- a form writes + for a blank
      behind = at + 1
    end
    if not behind then
      return nil
    end
    at = behind
  end
  return at
end

-- `\/`, `\u002f`, and what another round of escaping makes of them.
local function match_backslash(text, at, char)
  at = at + #text:sub(at, at + 7):match("^\\+")
  local code = code_of(char)
  local hex, behind = text:match("^u(%x%x%x%x)()", at)
  local unit = hex and tonumber(hex, 16)
  if unit and unit == code then
    return behind
  elseif unit and code > 0xFFFF and unit == 0xD800 + math.floor((code - 0x10000) / 0x400) then
    local low, last = text:match("^\\+u(%x%x%x%x)()", behind)
    return low and tonumber(low, 16) == 0xDC00 + code % 0x400 and last or nil
  elseif char == "\\" then
    return not unit and at or nil
  end
  return text:sub(at, at + #char - 1) == char and at + #char or nil
end

-- `&amp;`, `&#47;`, `&#x2f;`; `at` is behind the `&`.
local function match_entity(text, at, char)
  local behind = at
  while text:sub(behind, behind + 3) == "amp;" do
    behind = behind + 4
  end
  if char == "&" and behind > at then
    return behind
  end
  local name = ENTITIES[char]
  if name and text:sub(behind, behind + #name - 1) == name then
    return behind + #name
  end
  local hex, last = text:match("^#[xX](%x+);()", behind)
  local number = hex and tonumber(hex, 16)
  if not hex then
    number, last = text:match("^#(%d+);()", behind)
    number = tonumber(number)
  end
  return number == code_of(char) and last or nil
end

-- Behind the character that is written at `at`; nil: another one is.
local function match_character(text, at, char)
  local first = text:byte(at)
  if first == 92 then
    return match_backslash(text, at, char)
  end
  return first == 38 and match_entity(text, at + 1, char) or match_bytes(text, at, char)
end

-- The same; of backslashes, behind all that follow.
local function match_run(text, at, char)
  local behind = match_character(text, at, char)
  local more = behind
  while more and char == "\\" do
    behind, more = more, match_character(text, more, char)
  end
  return behind
end

-- Whether a text was cut here, perhaps within an escape sequence.
local function is_cut(text, at)
  return at > #text or (at > #text - 6 and text:find("^[\\&%%]", at) ~= nil)
end

-- Behind the secret that begins at `at`; nil: none does.
local function match_secret(text, at, chars)
  for i, char in ipairs(chars) do
    local behind = match_run(text, at, char)
    if not behind then
      return i > ENOUGH and is_cut(text, at) and #text + 1 or nil
    end
    at = behind
  end
  return at
end

local function is_clean(text, secrets)
  for _, secret in ipairs(secrets) do
    if text:find(secret, 1, true) then
      return false
    end
  end
  return not text:find "[\\&%%+]"
end

-- Behind the longest secret that begins at `at`; nil: none does.
local function match_any(text, at, secrets, list)
  local longest
  for i, secret in ipairs(secrets) do
    local is_plain = text:sub(at, at + #secret - 1) == secret
    local behind = is_plain and at + #secret or match_secret(text, at, list[i])
    if behind and behind > (longest or 0) then
      longest = behind
    end
  end
  return longest
end

--- Puts `***` in the place of each secret, in whichever form it is written.
---@param text string
---@param secrets string[] none of them empty
---@param limit integer how many bytes of `text` to read: a secret that begins within them is taken out whole, so that
--- no part of one is left at the end
---@return string
function M.redact(text, secrets, limit)
  if is_clean(text, secrets) then
    return text:sub(1, limit)
  end
  local list, firsts = {}, {}
  for i, secret in ipairs(secrets) do
    list[i], firsts[i] = characters(secret), secret:sub(1, 1):gsub("[^A-Za-z0-9]", "%%%0")
  end
  local may_begin = "[\\&%%" .. table.concat(firsts) .. "]"
  local parts, at, start = {}, 1, text:find(may_begin)
  while start and start <= limit do
    local behind = match_any(text, start, secrets, list)
    if behind then
      parts[#parts + 1] = text:sub(at, start - 1) .. MARK
      at = behind
    end
    start = text:find(may_begin, behind or start + 1)
  end
  return table.concat(parts) .. text:sub(at, limit)
end

--- Takes the user name and password out of each URL.
---@param text string
---@return string
function M.urls(text)
  return (text:gsub("([A-Za-z0-9+.-]://)[^%s/\"'<>]*@", "%1" .. MARK .. "@"))
end

return M
