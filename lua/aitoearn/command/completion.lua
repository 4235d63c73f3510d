--- `completion`: a script that completes the command line, by argparse.
---@module "aitoearn.command.completion"

local parser = require "aitoearn.command.parser"

local M = {}

---@param app aitoearn.command.App
function M.completion(app)
  local made = parser.new()
  app.output:write(made[("get_%s_complete"):format(app.args.shell)](made))
end

return M
