--- The program `aitoearn`, which `make install` and the rock install as an executable.

--- The exit status if `main` itself raised: Ctrl-C before it ran, a module that is missing, a bug.
local function status_of(problem)
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
end, status_of)
os.exit(status)
