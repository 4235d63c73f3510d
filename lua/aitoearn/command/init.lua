--- The command `aitoearn`: reads the command line, runs one command, and ends with the status of what went wrong.
---
--- A command is a function of its module, named after it: `command.get(app)`. It writes through `app.output`, counts
--- what failed with `app:fail(err)`, and may give up with `stop.now(status, message)`.
---@module "aitoearn.command"

local parser = require "aitoearn.command.parser"
local stop = require "aitoearn.command.stop"
local t = require "aitoearn.command.language"

local M = {}

---@class aitoearn.command.App
---@field args table the command line
---@field output aitoearn.command.Output
---@field status integer the greatest exit status so far
---@field on_event fun(event: table)? gets the client's events
local App = {}
App.__index = App

--- The client of the configuration; made at the first use.
---@return aitoearn.Client
function App:client()
  if not self.made then
    self.made = require("aitoearn.command.config").client(self.args, function(event)
      if self.on_event then
        self.on_event(event)
      end
    end)
  end
  return self.made
end

--- Counts a failure, and writes its line.
---@param err aitoearn.Error
---@param is_wait? boolean a time-out is that of --timeout
function App:fail(err, is_wait)
  self:end_with(require("aitoearn.command.status").of(err, is_wait))
  self.output:error(err)
end

--- The exit status is this one at least.
---@param status integer
function App:end_with(status)
  self.status = math.max(self.status, status)
end

--- Calls a method of the client; an argument that raises is a usage error.
---@param method string
---@param ... any
---@return any value
---@return aitoearn.Error? err
function App:call(method, ...)
  local client = self:client()
  return stop.usage(client[method], client, ...)
end

local function run(app)
  local command = app.args.run
  require("aitoearn.command." .. command.module)[command.name](app)
  app.output:finish()
end

--- What a command that was stopped is to exit with. Anything else that was raised is a bug.
local function outcome_of(problem)
  if stop.is(problem) then
    return problem
  elseif tostring(problem):find "interrupted!$" then
    return { status = 130 }
  end
  return { status = 70, message = t "a bug: " .. debug.traceback(tostring(problem), 2) }
end

local function run_command(args)
  local Output = require "aitoearn.command.output"
  local app = setmetatable({ args = args, status = 0, output = Output.new(args) }, App)
  local ok, outcome = xpcall(function()
    run(app)
  end, outcome_of)
  if not ok then
    app:end_with(outcome.status or 0)
    pcall(app.output.abandon, app.output)
    if outcome.message then
      app.output:problem(outcome)
    end
  end
  if app.made then
    app.made:close()
  end
  return app.status
end

local function print_text(file, text)
  file:write(text, "\n")
  file:flush()
end

--- Runs a command line.
---@param argv string[]
---@return integer status
function M.main(argv)
  if not pcall(require, "argparse") then
    print_text(io.stderr, t "aitoearn: needs the Lua module argparse: apt install lua-argparse, or luarocks install argparse")
    return 2
  end
  local args, text, is_help = parser.parse(argv)
  if is_help then
    print_text(io.stdout, text)
    return 0
  elseif not args then
    print_text(io.stderr, #argv == 0 and text or "aitoearn: " .. text)
    return 2
  elseif args.version then
    print_text(io.stdout, "aitoearn " .. require("aitoearn").version)
    return 0
  end
  return run_command(args)
end

return M
