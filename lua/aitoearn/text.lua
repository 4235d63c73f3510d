--- Texts for people: one line, not too long, and what a misspelt name was meant to be.
--- Patterns name their bytes (`[A-Z]`, not `%u`): what `%u` and `string.lower` do depends on the program's locale.
---@module "aitoearn.text"

local M = {}

-- Control characters: ASCII's, U+0080 to U+009F, and U+2028 to U+202E (line ends, and what turns a line around).
local CONTROLS = { "[%z\1-\31\127]+", "\194[\128-\159]", "\226\128[\168-\174]" }

--- A text as one line, in which no character moves a terminal's cursor.
---@param text string
---@return string
function M.one_line(text)
  for _, pattern in ipairs(CONTROLS) do
    text = text:gsub(pattern, " ")
  end
  return text
end

--- A text of `limit` bytes at most, cut between two characters of UTF-8.
---@param text string
---@param limit integer
---@return string
function M.cut(text, limit)
  if #text <= limit then
    return text
  end
  local last = limit - #"..."
  while last > 0 and (text:byte(last + 1) or 0) % 0x100 >= 0x80 and text:byte(last + 1) < 0xC0 do
    last = last - 1
  end
  return text:sub(1, last) .. "..."
end

--- ASCII letters in lower case.
---@param text string
---@return string
function M.lower(text)
  return (text:gsub("[A-Z]", function(letter)
    return string.char(letter:byte() + 32)
  end))
end

-- How many letters to insert, drop, replace or swap with their neighbour make one name of the other
-- (Damerau-Levenshtein, restricted).
local function distance(a, b)
  local before, last, row = {}, {}, {}
  for j = 0, #b do
    last[j] = j
  end
  for i = 1, #a do
    row[0] = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, last, row = last, row, before
  end
  return last[#b]
end

--- The name that a misspelt one was meant to be: the nearest within two letters, of equally near ones the first in
--- the alphabet.
---@param misspelt string
---@param names table<string, any> the names as keys
---@return string?
function M.nearest(misspelt, names)
  local best, least = nil, 3
  for name in pairs(names) do
    if math.abs(#name - #misspelt) < 3 then
      local d = distance(misspelt, name)
      if d < least or (d == least and best and name < best) then
        best, least = name, d
      end
    end
  end
  return best
end

return M
