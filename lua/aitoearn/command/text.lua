--- Texts on a terminal: what may be shown, how wide it is, and how it is made to fit.
---@module "aitoearn.command.text"

local M = {}

-- Code points that take two columns (Unicode's East Asian Width W and F, emoji included): first and last of each range.
local WIDE = {
  0x1100, 0x115F, 0x231A, 0x231B, 0x2329, 0x232A, 0x23E9, 0x23EC, 0x23F0, 0x23F0, 0x23F3, 0x23F3, 0x25FD, 0x25FE,
  0x2614, 0x2615, 0x2648, 0x2653, 0x267F, 0x267F, 0x2693, 0x2693, 0x26A1, 0x26A1, 0x26AA, 0x26AB, 0x26BD, 0x26BE,
  0x26C4, 0x26C5, 0x26CE, 0x26CE, 0x26D4, 0x26D4, 0x26EA, 0x26EA, 0x26F2, 0x26F3, 0x26F5, 0x26F5, 0x26FA, 0x26FA,
  0x26FD, 0x26FD, 0x2705, 0x2705, 0x270A, 0x270B, 0x2728, 0x2728, 0x274C, 0x274C, 0x274E, 0x274E, 0x2753, 0x2755,
  0x2757, 0x2757, 0x2795, 0x2797, 0x27B0, 0x27B0, 0x27BF, 0x27BF, 0x2B1B, 0x2B1C, 0x2B50, 0x2B50, 0x2B55, 0x2B55,
  0x2E80, 0x303E, 0x3041, 0x4DBF, 0x4E00, 0xA4CF, 0xA960, 0xA97C, 0xAC00, 0xD7A3, 0xF900, 0xFAFF, 0xFE10, 0xFE19,
  0xFE30, 0xFE6F, 0xFF01, 0xFF60, 0xFFE0, 0xFFE6, 0x16FE0, 0x18DFF, 0x1AFF0, 0x1B2FF, 0x1F004, 0x1F004,
  0x1F0CF, 0x1F0CF, 0x1F18E, 0x1F18E, 0x1F191, 0x1F19A, 0x1F200, 0x1F265, 0x1F300, 0x1F320, 0x1F32D, 0x1F335,
  0x1F337, 0x1F37C, 0x1F37E, 0x1F393, 0x1F3A0, 0x1F3CA, 0x1F3CF, 0x1F3D3, 0x1F3E0, 0x1F3F0, 0x1F3F4, 0x1F3F4,
  0x1F3F8, 0x1F43E, 0x1F440, 0x1F440, 0x1F442, 0x1F4FC, 0x1F4FF, 0x1F53D, 0x1F54B, 0x1F54E, 0x1F550, 0x1F567,
  0x1F57A, 0x1F57A, 0x1F595, 0x1F596, 0x1F5A4, 0x1F5A4, 0x1F5FB, 0x1F64F, 0x1F680, 0x1F6C5, 0x1F6CC, 0x1F6CC,
  0x1F6D0, 0x1F6D2, 0x1F6D5, 0x1F6D7, 0x1F6DC, 0x1F6DF, 0x1F6EB, 0x1F6EC, 0x1F6F4, 0x1F6FC, 0x1F7E0, 0x1F7EB,
  0x1F7F0, 0x1F7F0, 0x1F90C, 0x1F93A, 0x1F93C, 0x1F945, 0x1F947, 0x1F9FF, 0x1FA70, 0x1FAFF, 0x20000, 0x3FFFD,
}

-- Those that take none: combining marks, joiners, variation selectors.
local NARROW = {
  0x0300, 0x036F, 0x0483, 0x0489, 0x0591, 0x05BD, 0x0610, 0x061A, 0x064B, 0x065F, 0x0E31, 0x0E31, 0x0E34, 0x0E3A,
  0x0E47, 0x0E4E, 0x1160, 0x11FF, 0x1AB0, 0x1AFF, 0x1DC0, 0x1DFF, 0x200B, 0x200F, 0x2060, 0x2064, 0x20D0, 0x20FF,
  0x302A, 0x302D, 0x3099, 0x309A, 0xFE00, 0xFE0F, 0xFE20, 0xFE2F, 0xFEFF, 0xFEFF, 0xE0100, 0xE01EF,
}

local function is_in(ranges, code)
  local low, high = 1, #ranges / 2
  while low <= high do
    local middle = math.floor((low + high) / 2)
    if code < ranges[2 * middle - 1] then
      high = middle - 1
    elseif code > ranges[2 * middle] then
      low = middle + 1
    else
      return true
    end
  end
  return false
end

local function columns_of(code)
  if code < 0x300 then
    return 1
  end
  return is_in(NARROW, code) and 0 or is_in(WIDE, code) and 2 or 1
end

--- The code point at a place of UTF-8 text and how many bytes it has; nil and 1 for a byte that is no UTF-8.
local function decode(text, at)
  local first = text:byte(at)
  if first < 0x80 then
    return first, 1
  end
  local length = first >= 0xF0 and 4 or first >= 0xE0 and 3 or 2
  if first < 0xC2 or first > 0xF4 then
    return nil, 1
  end
  local code = first % 2 ^ (7 - length)
  for i = at + 1, at + length - 1 do
    local byte = text:byte(i)
    if not byte or byte < 0x80 or byte > 0xBF then
      return nil, 1
    end
    code = code * 64 + byte % 64
  end
  return code, length
end

-- What would move a terminal's cursor, colour it, or turn the direction of what follows.
local function is_control(code)
  return code < 0x20 or (code >= 0x7F and code <= 0x9F) or (code >= 0x2028 and code <= 0x202E)
    or (code >= 0x2066 and code <= 0x2069)
end

--- A text without what a line of output cannot hold: a control character becomes a space, a byte that is no UTF-8 the
--- sign for that.
---@param text string
---@return string
function M.clean(text)
  if not text:find "[^ -~]" then
    return text
  end
  local parts, at = {}, 1
  while at <= #text do
    local code, length = decode(text, at)
    parts[#parts + 1] = not code and "\239\191\189" or is_control(code) and " " or text:sub(at, at + length - 1)
    at = at + length
  end
  return table.concat(parts)
end

--- How many columns a clean text takes.
---@param text string
---@return integer
function M.width(text)
  if not text:find "[^ -~]" then
    return #text
  end
  local columns, at = 0, 1
  while at <= #text do
    local code, length = decode(text, at)
    columns = columns + columns_of(code or 0xFFFD)
    at = at + length
  end
  return columns
end

--- A clean text cut to a number of columns, with an ellipsis if something is cut off.
---@param text string
---@param columns integer
---@return string
function M.cut(text, columns)
  if M.width(text) <= columns then
    return text
  elseif columns < 1 then
    return ""
  end
  local used, at = 0, 1
  while true do
    local code, length = decode(text, at)
    local more = columns_of(code or 0xFFFD)
    if used + more > columns - 1 then
      return text:sub(1, at - 1) .. "…"
    end
    used, at = used + more, at + length
  end
end

--- A clean text filled with spaces to a number of columns.
---@param text string
---@param columns integer
---@return string
function M.pad(text, columns)
  return text .. (" "):rep(columns - M.width(text))
end

return M
