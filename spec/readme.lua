--- Tables in a README that programs make: what is between two marks is replaced by a new text.
-- @module spec.readme
local shell = require "spec.platform.shell"

--- Replaces what is between the lines `<!-- NAME -->` and `<!-- /NAME -->` of a file; raises where they are missing.
---@param path string
---@param name string
---@param text string without the last line end
return function(path, name, text)
  local first, last = ("<!-- %s -->\n"):format(name), ("<!-- /%s -->"):format(name)
  local old = assert(shell.read(path), path)
  local _, from = old:find(first, 1, true)
  local to = from and old:find(last, from + 1, true)
  assert(to, ("%s: no marks <!-- %s --> and <!-- /%s -->"):format(path, name, name))
  shell.write(path, old:sub(1, from) .. text .. "\n" .. old:sub(to))
end
