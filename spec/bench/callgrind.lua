--- Counts the instructions of a Lua program, by valgrind's callgrind.
-- @module spec.bench.callgrind
local shell = require "spec.platform.shell"

local M = {}

-- What a program's arguments and environment are filled up to, in bytes: they lie on its stack, so their length moves the
-- addresses there, of which Lua makes its hash seed.
local STACK = 8192

-- The objects whose instructions are ours, by their file names: our module, Lua, and lua-cjson, which we call. The
-- others (libcurl, OpenSSL, libc) choose their code by the processor.
local OURS = { "^core%.so$", "^lua", "^liblua", "cjson" }

local function is_ours(object)
  local name = object:match "[^/]*$"
  for _, pattern in ipairs(OURS) do
    if name:find(pattern) then return true end
  end
  return false
end

--- Reads what callgrind wrote: a line of cost belongs to the object named last; the one after `calls=` is the cost of
-- the called function, which is counted where that is.
local function read(path)
  local names, object, of_callee = {}, nil, false
  local seen = { total = 0, ours = 0 }
  for line in io.lines(path) do
    local called, id, name = line:match "^(c?)ob=(%(%d+%)) ?(.*)$"
    if id then
      names[id] = name ~= "" and name or names[id]
      object = called == "" and names[id] or object
    elseif line:find "^calls=" then
      of_callee = true
    elseif line:find "^[%d+*-]" then
      local count = not of_callee and tonumber(line:match "^%S+ (%d+)$") or 0
      of_callee = false
      seen.total = seen.total + count
      seen.ours = seen.ours + (is_ours(object) and count or 0)
    end
  end
  assert(seen.total > 0, "callgrind counted nothing")
  return seen
end

-- Quotes words for the shell; the second result is their length.
local function quote(words)
  local quoted, length = {}, 0
  for i, word in ipairs(words) do
    quoted[i], length = shell.quote(word), length + #word
  end
  return table.concat(quoted, " "), length
end

--- Makes a counter.
---@param lua string the interpreter
---@return fun(...: string): {total: integer, ours: integer}, string count runs a Lua program; its instructions, and
--- what it wrote
---@return string folder of the counter's files, for the caller to remove
function M.new(lua)
  local folder = assert(shell.run 'mktemp -d "${TMPDIR:-/tmp}/aitoearn-callgrind.XXXXXX"')
  local seed, out = folder .. "/seed.so", folder .. "/out"
  assert(shell.run("${CC:-cc} -std=c99 -D_GNU_SOURCE -O2 -shared -fPIC spec/bench/seed.c -o " .. shell.quote(seed)))
  local environment, size = quote { "PATH=" .. os.getenv "PATH", "LUA_PATH=" .. package.path,
    "LUA_CPATH=" .. package.cpath, "LD_PRELOAD=" .. seed }
  local valgrind = quote { "valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" .. out }
  return function(...)
    local program, length = quote { lua, ... }
    local fill = ("FILL=%s"):format(("."):rep(STACK - size - length))
    local text = assert(shell.run(("env -i %s %s %s %s"):format(environment, fill, valgrind, program)))
    return read(out), text
  end, folder
end

return M
