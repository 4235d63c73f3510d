--- The program `aitoearn`, which `make install` and the rock install as an executable.

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
