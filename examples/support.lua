--- What the examples share: where the library is, the command line, whom to ask, the terminal, the way out.
local support = {}

local COLOURS = { red = "1;31", green = "1;32", yellow = "1;33", cyan = "1;36", bold = "1", dim = "2" }
local SPINNER = { "⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏" }
local here = arg[0]:match "^(.*)/[^/]*$" or "."
local root = here .. (here:find "fleet$" and "/../.." or "/..")
local lua = _VERSION:match "%d%.%d"
local platform, client

--- Ends the program, and the local platform with it.
function support.finish(code)
  if client then client:close() end
  if platform then platform:stop() end
  os.exit(code, true)
end

--- Ends it with a line on standard error.
function support.die(code, message)
  io.stderr:write((arg[0]:match "[^/]*$"), ": ", message, "\n")
  support.finish(code)
end

local function find_library()
  local built = io.open(("%s/build/%s/aitoearn/core.so"):format(root, lua))
  if built then -- else the installed one
    built:close()
    package.path = ("%s/lua/?.lua;%s/lua/?/init.lua;%s"):format(root, root, package.path)
    package.cpath = ("%s/build/%s/?.so;%s"):format(root, lua, package.cpath)
  end
  local found, library = pcall(require, "aitoearn")
  if not found then
    support.die(2, ("the library is neither built nor installed for Lua %s: run `make LUA_VERSION=%s` in %s\n%s")
      :format(lua, lua, root, library:match "[^\n]*"))
  end
  return library
end

support.aitoearn = find_library()

local language = require "aitoearn.command.language"

--- A module that the library itself does not need.
function support.require(name, package_name)
  local found, module = pcall(require, name)
  if not found then
    support.die(2, ("needs the Lua module %s: apt install %s, or luarocks install %s"):format(
      name, package_name, package_name:gsub("^lua%-", "")))
  end
  return module
end

--- Runs the program: what `main` returns is its exit code, Ctrl-C is 130.
function support.run(main)
  local ended, code = xpcall(main, function(message)
    return tostring(message):find "interrupted!$" and 130 or debug.traceback(message, 2)
  end)
  if not ended and code ~= 130 then
    support.die(70, "a bug: " .. code)
  end
  io.stderr:write(ended and "" or "\n")
  support.finish(code)
end

--- A parser with the options that all have; a wrong command line ends with 2.
function support.parser(description, epilog)
  local parser = support.require("argparse", "lua-argparse")("lua " .. arg[0], description, epilog)
  parser:help_max_width(100)
  parser:option("--server", "cn, intl, or the base URL of your own server (default: AITOEARN_SERVER, else cn)")
  parser:option("--ca-file", "certificate authorities of a server with a certificate of its own (PEM)")
  parser:flag("--local", "ask the local platform, which this starts and stops: no key needed")
  parser.error = function(self, message)
    io.stderr:write(self:get_usage(), "\n")
    support.die(2, message .. "; see --help")
  end
  return parser
end

--- Converters for argparse: a number above 0, and a whole one.
function support.positive(text)
  local number = tonumber(text)
  if number and number > 0 and number < math.huge then return number end
  return nil, ("a number above 0 expected, got %q"):format(text)
end

function support.whole(text)
  local number = support.positive(text)
  if number and number % 1 == 0 then return number end
  return nil, ("a whole number above 0 expected, got %q"):format(text)
end

--- Starts the local platform, which ends with the program.
function support.start_platform()
  support.require("socket", "lua-socket")
  package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(root, root, package.path)
  local found, module = pcall(require, "spec.platform")
  if not found then support.die(2, "the local platform comes with the source: run this in a checkout") end
  module.root = root
  local problem
  platform, problem = module.start { log = false }
  if not platform then support.die(2, ("no local platform: %s\nrun `make deps` in %s"):format(problem, root)) end
  return platform
end

--- Whether the user's locale is Chinese.
support.is_chinese = language.is_chinese

--- A function that says a text in the user's language: `t(text, ...)` is the text, or what the file of translations has
--- for it, with its values.
function support.translator(file)
  return language.translator(support.is_chinese and dofile(root .. "/examples/" .. file) or {})
end

--- A client for whom the command line names.
function support.client(args, options)
  options = options or {}
  options.server, options.ca_file = args.server, args.ca_file
  options.accept_language = support.is_chinese and "zh-CN" or "en-US"
  if args["local"] then
    local p = support.start_platform()
    options.server, options.api_key, options.ca_file = p.cn.https, p.cn.key, p.ca_file
  end
  local made, result = pcall(support.aitoearn.new, options)
  if not made then
    support.die(2, result .. (result:find "^api_key" and "; or try it with --local" or ""))
  end
  client = result
  return client
end

--- Whether a stream is a terminal: 1 standard output, 2 standard error.
local function is_terminal(fd)
  local status = os.execute("test -t " .. fd)
  return status == true or status == 0
end

--- Functions that colour a text on a terminal, and leave it alone in a pipe or where NO_COLOR is set.
function support.colours(fd)
  local off = (os.getenv "NO_COLOR" or "") ~= "" or os.getenv "TERM" == "dumb" or not is_terminal(fd)
  local paint = {}
  for name, code in pairs(COLOURS) do
    paint[name] = function(text)
      return off and tostring(text) or ("\27[%sm%s\27[0m"):format(code, text)
    end
  end
  --- A text in the colour of a record's state.
  function paint.state(record, text)
    local is_final, is_live = record:is_final(), record:is_live()
    local troubled = record:needs_action() or record:is_stalled() or (is_live and (record.errorMsg or "") ~= "")
    local name = troubled and "yellow" or is_live and "green" or is_final and "red" or "cyan"
    return paint[name](text)
  end
  return paint
end

--- A line at the bottom of a terminal that is drawn again and again; nothing in a pipe.
function support.status_line(fd)
  local stream = fd == 1 and io.stdout or io.stderr
  local is_shown, ticks, line = is_terminal(fd) and os.getenv "TERM" ~= "dumb", 0, {}
  function line.show(text)
    if is_shown then
      stream:write("\r\27[?7l", text, "\27[K\27[?7h") -- cut at the edge rather than wrapped
      stream:flush()
    end
  end
  --- The next picture of a wheel that turns.
  function line.spinner()
    ticks = ticks % #SPINNER + 1
    return SPINNER[ticks]
  end
  function line.clear()
    if is_shown then stream:write "\r\27[K" end
  end
  return line
end

return support
