--- Ids from the command line or standard input, one a line, in bounded memory. A slow writer holds up no request in
--- flight: ids come in portions, each of what has arrived by then.
---@module "aitoearn.command.input"

local core = require "aitoearn.core"
local status = require "aitoearn.command.status"
local stop = require "aitoearn.command.stop"
local t = require "aitoearn.command.language"

local M = {}

local STDIN = 0
local LONGEST_LINE = 65536

---@class aitoearn.command.Input
---@field count integer ids so far
---@field total integer? of all ids, if known
---@field fraction number? of the input that was read, if that is a file
local Input = {}
Input.__index = Input

--- A line without the white space around it, and without a byte order mark.
local function trim(line)
  return (line:gsub("^\239\187\191", ""):match "^%s*(.-)%s*$")
end

-- Reads more bytes, waiting at most `ms` for them; returns whether anything came, the end included.
local function fill(self, ms)
  local bytes, problem = core.read_available(STDIN, ms)
  if bytes == nil then
    stop.now(status.USAGE, t("standard input: %s", problem))
  elseif bytes == "" then
    self.ended = true
  elseif bytes then
    self.buffer, self.at = self.buffer:sub(self.at) .. bytes, 1
    self.bytes = self.bytes + #bytes
    self.fraction = self.size and math.min(1, self.bytes / self.size)
    if #self.buffer > LONGEST_LINE + #bytes then
      stop.now(status.USAGE, t "standard input: a line of more than 64 KiB is no id")
    end
  end
  return bytes ~= false
end

-- The next line of the buffer; the rest without a line end is the last one.
local function take_line(self)
  local stop_at = self.buffer:find("\n", self.at, true)
  if not stop_at and not (self.ended and self.at <= #self.buffer) then
    return nil
  end
  stop_at = stop_at or #self.buffer + 1
  local line = self.buffer:sub(self.at, stop_at - 1)
  self.at = stop_at + 1
  return trim(line)
end

--- The next id that has arrived already.
local function next_now(self)
  while true do
    local line = take_line(self)
    if line == nil then
      if self.ended or not fill(self, 0) then
        return nil
      end
    elseif line ~= "" then
      self.count = self.count + 1
      return line
    end
  end
end

-- Waits for an id; nil at the end.
local function next_id(self)
  local id = next_now(self)
  while not id and not self.ended do
    fill(self, -1)
    id = next_now(self)
  end
  return id
end

--- Waits for ids. Each portion is an iterator over those that have arrived by then.
---@return (fun(): string?)? portion nil at the end
function Input:portion()
  local first = next_id(self)
  if not first then
    self.total = self.count
    return nil
  end
  return function()
    local id = first
    first = nil
    return id or next_now(self)
  end
end

--- All of them, each once.
---@return string[]
function Input:all()
  local list, seen = {}, {}
  for portion in self.portion, self do
    for id in portion do
      if not seen[id] then
        seen[id] = true
        list[#list + 1] = id
      end
    end
  end
  return list
end

local Given = setmetatable({}, { __index = Input })
Given.__index = Given

function Given:portion()
  if self.count < self.total then
    return function()
      self.count = self.count + 1
      return self.ids[self.count]
    end
  end
end

--- The ids of a command line.
---@param ids string[] none, or "-": standard input
---@return aitoearn.command.Input
function M.open(ids)
  if #ids > 0 and not (#ids == 1 and ids[1] == "-") then
    return setmetatable({ ids = ids, count = 0, total = #ids }, Given)
  end
  if core.is_terminal(STDIN) and core.is_terminal(2) then
    io.stderr:write(t "aitoearn: reading ids, one a line; Ctrl-D ends", "\n")
  end
  local size = io.stdin:seek "cur" == 0 and io.stdin:seek "end" or nil
  if size then
    io.stdin:seek("set", 0)
  end
  return setmetatable({ buffer = "", at = 1, bytes = 0, count = 0, size = size and size > 0 and size or nil }, Input)
end

return M
