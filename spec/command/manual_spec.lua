--- The man page is made of what the parser knows.
local parser = require "aitoearn.command.parser"
local program = require "spec.command.program"
local shell = require "spec.platform.shell"

it("the man page has every command and option, in words that groff takes", function()
  local page, status, errors = program.shell(program.command:match "^%S+" .. " spec/command/manual.lua")
  assert.same({ 0, "" }, { status, errors })
  for _, command in ipairs(parser.commands) do
    program.has(page, "\n.B " .. command.name)
    for _, option in ipairs(command.options) do
      program.has(page, (option[1]:match "%-%-[%a-]+":gsub("%-", "\\-")))
    end
  end
  for _, option in ipairs(parser.options) do program.has(page, (option[1]:gsub("%-", "\\-"))) end
  if shell.run "command -v groff" then
    local path = os.tmpname()
    shell.write(path, page)
    assert.equal("", (assert(shell.run("groff -man -Tutf8 -ww " .. path .. " 2>&1 >/dev/null"))))
    os.remove(path)
  end
end)
