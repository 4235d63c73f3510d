--- Holds program.lua against what lua-language-server says of it. `make lint` runs this where there is one.
local cjson = require "cjson"
local shell = require "spec.platform.shell"

local PROGRAM = "spec/types/program.lua"

-- The lines that ought to be warned of: true; and those that are: why.
local function expected()
  local lines, number = {}, 0
  for line in (assert(shell.read(PROGRAM)) .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    lines[number] = line:find "%-%- wrong$" ~= nil or nil
  end
  return lines
end

local function warnings()
  local dir = assert(shell.run "mktemp -d")
  local path = dir .. "/found.json"
  local command = "timeout 300 lua-language-server --check=%s --checklevel=Warning --check_format=json --check_out_path=%s "
    .. "--logpath=%s --metapath=%s 2>&1; true"
  local output = shell.run(command:format(shell.quote(assert(shell.run "pwd") .. "/spec/types"), path, dir, dir))
  local text = shell.read(path)
  shell.run("rm -rf " .. shell.quote(dir))
  assert(text and text:find "program%.lua", "lua-language-server found nothing:\n" .. tostring(output))
  local lines = {}
  for file, list in pairs(cjson.decode(text)) do
    for _, warning in ipairs(file:find "program%.lua$" and list or {}) do
      lines[warning.range.start.line + 1] = warning.code .. ": " .. warning.message
    end
  end
  return lines
end

local wrong, warned, faults = expected(), warnings(), {}
for line, why in pairs(warned) do
  if not wrong[line] then faults[#faults + 1] = ("%s:%d: %s"):format(PROGRAM, line, why) end
end
for line in pairs(wrong) do
  if not warned[line] then faults[#faults + 1] = ("%s:%d: no warning"):format(PROGRAM, line) end
end
table.sort(faults)
for _, fault in ipairs(faults) do io.stderr:write(fault, "\n") end
os.exit(#faults == 0)
