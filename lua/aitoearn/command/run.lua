--- The program `aitoearn`. It is installed as an executable; from a checkout: lua5.4 lua/aitoearn/command/run.lua.

local prefix = arg[0]:match "^(.*)/bin/[^/]*$"
if prefix then -- an installation that Lua does not look into by itself, such as ~/.local
  local version = _VERSION:match "%d%.%d"
  package.path = ("%s;%s/share/lua/%s/?.lua;%s/share/lua/%s/?/init.lua"):format(
    package.path, prefix, version, prefix, version)
  package.cpath = ("%s;%s/lib/lua/%s/?.so"):format(package.cpath, prefix, version)
end

--- What is left to say where even `main` could not: Ctrl-C before it, a module that is not there, a bug.
local function ended_by(problem)
  problem = tostring(problem)
  if problem:find "interrupted!$" then
    return 130
  end
  local missing = problem:match "module '(.-)' not found"
  io.stderr:write("aitoearn: ", missing and ("the module %s is not installed for %s"):format(missing, _VERSION)
    or debug.traceback(problem, 2), "\n")
  return missing and 2 or 70
end

local _, status = xpcall(function()
  return require("aitoearn.command").main(arg)
end, ended_by)
os.exit(status)
