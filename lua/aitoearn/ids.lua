--- The ids in a text file, one a line.
---@module "aitoearn.ids"

local M = {}

local BOM = "\239\187\191"

-- Lines are read one by one, so that ids that come through a pipe are handed out at once.
local function next_id(file)
  while true do
    local line, problem = file:read "*l"
    if not line then
      return nil, problem
    end
    local id = line:gsub("^" .. BOM, ""):match "^[ \t\r\f\v]*(.-)[ \t\r\f\v]*$"
    if id ~= "" then
      return id
    end
  end
end

local function is_file(source)
  local kind = type(source)
  return kind == "userdata" and io.type(source) == "file" or kind == "table" and type(source.read) == "function"
end

--- An iterator over the ids in a file; CRLF, a byte order mark, blank lines and white space around an id are skipped.
--- It holds one line in memory. An open file is left open at the end, one given by its path is closed. A read that fails
--- later raises: an early end would look like the end of the ids.
---@param source string|file* a path, or an open file
---@return (fun(): string?)? next_id
---@return string? problem why the file cannot be read, as `io.open` says it
function M.open(source)
  local file, problem = source, nil
  if type(source) == "string" then
    file, problem = io.open(source, "rb")
  elseif not is_file(source) then
    error("ids: path or open file expected, got " .. (io.type(source) or type(source)), 0)
  end
  if not file then
    return nil, problem
  end
  local first, unreadable = next_id(file)
  if unreadable then -- a directory can be opened
    return nil, type(source) == "string" and source .. ": " .. unreadable or unreadable
  end
  return function()
    local id, failed = first, nil
    if id then
      first = nil
    elseif file then
      id, failed = next_id(file)
    end
    if failed then
      error("ids: " .. failed, 0)
    elseif not id and file then
      if file ~= source then
        file:close()
      end
      file = nil
    end
    return id
  end
end

return M
