--- `completion`: a script that completes the command line, by argparse.
---@module "aitoearn.command.completion"

local parser = require "aitoearn.command.parser"
local status = require "aitoearn.command.status"
local stop = require "aitoearn.command.stop"
local t = require "aitoearn.command.language"

local M = {}

---@param app aitoearn.command.App
function M.completion(app)
  local made = parser.new()
  local script_of = made[("get_%s_complete"):format(app.args.shell)]
  if not script_of then
    stop.now(status.USAGE, t "completion needs argparse 0.7 or later: luarocks install argparse")
  end
  app.output:write(script_of(made))
end

return M
