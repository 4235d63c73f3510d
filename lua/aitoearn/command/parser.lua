--- The command line: every command with its arguments, options and example, and what is wrong with a given one.
---
--- argparse does the parsing. Two things it does not know: that "-1" can be an option's value, and that a usage error
--- ends with 2.
---@module "aitoearn.command.parser"

local t = require "aitoearn.command.language"

local M = {}

local COLUMNS = 80

-- Converters load what they need when there is something to convert: --help needs none of it.
local function seconds(text)
  return require("aitoearn.command.times").read_seconds(text)
end

local function time(text)
  return require("aitoearn.command.times").read(text)
end

local function end_time(text)
  return require("aitoearn.command.times").read(text, true)
end

--- A status as a number, from a number or a constant's name.
local function status(text)
  local number = tonumber(text)
  if number and number % 1 == 0 then
    return number
  end
  local value = require("aitoearn.core").status[text:upper()] -- that of aitoearn raises on a name that is nearly right
  return value, not value and t('no status: "%s" (a number from -1 to 9, or a name such as published)', text) or nil
end

local function words(text)
  local list = {}
  for word in text:gmatch "[^,%s]+" do
    list[#list + 1] = word
  end
  return #list > 0 and list or nil, t "names of fields expected, with commas between them"
end

local ONE = { "id", t "a record's id" }
local MANY = { "ids", t "records' ids", args = "+" }
local STREAM = { "ids", t "records' ids; - or none: from standard input, one a line", args = "*" }
local GOAL = {
  "--for", t "what to wait for (default: published)", choices = { "published", "settled", "link" }, default = "published",
}
local YES = { "-y --yes", t "do not ask", flag = true }

---@class aitoearn.command.Command
---@field name string
---@field usage string its arguments, for the list of commands
---@field summary string
---@field module string the file that runs it
---@field arguments table[]
---@field options table[]
---@field example string
---@field waits boolean? --timeout is for all of it, of publish with --wait

--- Every command, in the order of the help.
---@type aitoearn.command.Command[]
M.commands = {
  {
    name = "get", usage = "[ID…]", module = "get", arguments = { STREAM }, options = {},
    summary = t "print records; - or no id: ids from standard input",
    example = "aitoearn get 6877a1b2c3d4e5f601234567\naitoearn get - --json <ids.txt | jq -r .workLink",
  },
  {
    name = "list", usage = "", module = "list", arguments = {},
    summary = t "records by account, type, status or time",
    options = {
      { "--list", t "which list (default: history)", choices = { "history", "queued", "published" } },
      { "--account", t "an account's id" },
      { "--type", t "an account's type: douyin, xhs, youtube, …" },
      { "--status", t "a number or a name: -1, failed; not with the other lists", convert = status },
      { "--from", t "publish time, the first", convert = time },
      { "--to", t "publish time, the last", convert = end_time },
    },
    example = "aitoearn list --status failed --from 2026-07-01 --fields id,errorMsg",
  },
  {
    name = "flow", usage = "ID", module = "list", options = {},
    arguments = { { "id", t "the flow's id, as publish returned it" } },
    summary = t "the posts of one flow",
    example = "aitoearn flow 6877a1b2c3d4e5f6a0000001 --json",
  },
  {
    waits = true, name = "wait", usage = "[ID…]", module = "wait", arguments = { STREAM }, options = { GOAL },
    summary = t "until they are published (--for settled, link)",
    example = "link=$(aitoearn wait 6877a1b2c3d4e5f601234567 --for link --fields workLink)",
  },
  {
    waits = true, name = "watch", usage = "[ID…]", module = "wait", arguments = { STREAM }, options = { GOAL },
    summary = t "the same, with a line for each change in a pipe",
    example = "aitoearn list --list queued --fields id | aitoearn watch - --timeout 2h",
  },
  {
    waits = true, name = "publish", usage = "FILE|-", module = "publish",
    arguments = { { "file", t "a post as JSON, the body of POST /flows; -: standard input" } },
    summary = t "publish a post from a JSON file",
    options = {
      { "--flow-id", t "the flow's id: the same one never publishes twice" },
      { "--wait", t "wait until every post of it is published", flag = true },
      GOAL,
    },
    example = "aitoearn publish post.json --wait --timeout 20m",
  },
  {
    name = "now", usage = "ID…", module = "actions", arguments = { MANY }, options = {},
    summary = t "publish now what waits for its time",
    example = "aitoearn now 6877a1b2c3d4e5f601234567",
  },
  {
    name = "reschedule", usage = "ID TIME", module = "actions", options = {},
    arguments = { ONE, { "time", t "when: local unless it has an offset; +30m: from now", convert = time } },
    summary = t "publish at another time",
    example = 'aitoearn reschedule 6877a1b2c3d4e5f601234567 "2026-07-02 18:30"',
  },
  {
    name = "retry", usage = "ID…", module = "actions", arguments = { MANY }, options = {},
    summary = t "publish again what failed",
    example = "aitoearn retry 6877a1b2c3d4e5f601234567 6877a1b2c3d4e5f601234568",
  },
  {
    name = "cancel", usage = "ID…", module = "actions", arguments = { MANY }, options = { YES },
    summary = t "cancel what is not published yet",
    example = "aitoearn cancel 6877a1b2c3d4e5f601234567 --yes",
  },
  {
    name = "delete", usage = "ID…", module = "actions", arguments = { MANY }, options = { YES },
    summary = t "delete records; the posts stay where they are",
    example = "aitoearn delete 6877a1b2c3d4e5f601234567",
  },
  {
    name = "action", usage = "ID", module = "actions", arguments = { ONE }, options = {},
    summary = t "what a person must do, as a link and a QR code",
    example = "aitoearn action 6877a1b2c3d4e5f601234567",
  },
  {
    name = "locate", usage = "ID", module = "get", arguments = { ONE }, options = {},
    summary = t "on which of your sites a record lives",
    example = "aitoearn locate 6877a1b2c3d4e5f601234567",
  },
  {
    name = "doctor", usage = "", module = "doctor", arguments = {}, options = {},
    summary = t "what is wrong between here and the platform",
    example = "aitoearn doctor --server intl",
  },
  {
    name = "completion", usage = "SHELL", module = "completion", options = {},
    arguments = { { "shell", t "the shell", choices = { "bash", "zsh", "fish" } } },
    summary = t "a script that completes commands and options",
    example = "aitoearn completion bash >~/.local/share/bash-completion/completions/aitoearn",
  },
}

--- The options that every command takes, before or after its name.
M.options = {
  { "--server", t "cn, intl or a base URL", argname = "<server>" },
  { "--site", t "one of the sites of the configuration", argname = "<name>" },
  { "--key-file", t "read the API key from this file", argname = "<file>" },
  { "--deadline", t "for a whole call with its retries (60)", convert = seconds, argname = "<time>" },
  { "--timeout", t "for one attempt (15); of wait and watch: for all (600)", convert = seconds, argname = "<time>" },
  { "--json", t "one JSON object a line", flag = true },
  { "--fields", t "only these fields: id,status,workLink", convert = words, argname = "<a,b>" },
  { "--color", t "auto, always or never", choices = { "auto", "always", "never" }, argname = "<when>" },
}

-- Says of a wrong value what argparse 0.7 says, so that PROBLEMS below knows it.
local function chooser(given)
  local name = given[1]:match "%S+$"
  return function(text)
    for _, choice in ipairs(given.choices) do
      if text == choice then
        return text
      end
    end
    return nil, ("argument for option '%s' must be one of '%s'"):format(name, table.concat(given.choices, "', '"))
  end
end

local function restrict(target, given)
  if given.choices and target.choices then
    target:choices(given.choices)
  elseif given.choices then -- argparse before 0.7, in Debian 11
    target:argname(given.argname or "{" .. table.concat(given.choices, ",") .. "}"):convert(chooser(given))
  end
  if given.convert then
    target:convert(given.convert)
  end
end

local function add_options(parser, options)
  for _, given in ipairs(options) do
    local option = given.flag and parser:flag(given[1], given[2]) or parser:option(given[1], given[2])
    if not given.flag then
      if given.default then
        option:default(given.default):show_default(false)
      end
      if given.argname then
        option:argname(given.argname)
      end
      restrict(option, given)
    end
  end
end

local function columns_of(text)
  return require("aitoearn.command.text").width(text)
end

--- The list of commands and options: one screen.
local function overview()
  local lines = { t "Usage: aitoearn COMMAND … [options]", "" }
  local function add(left, right)
    lines[#lines + 1] = ("  %s%s%s"):format(left, (" "):rep(20 - columns_of(left)), right)
  end
  for _, command in ipairs(M.commands) do
    add(command.name .. " " .. command.usage, command.summary)
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "  --server S  --site NAME  --key-file FILE  --deadline TIME  --timeout TIME"
  lines[#lines + 1] = "  --json  --fields a,b  --color auto|always|never  --help  --version"
  lines[#lines + 1] = t "Key: AITOEARN_API_KEY or the configuration. An example: aitoearn get --help"
  return table.concat(lines, "\n")
end

-- Translates argparse's own words.
local function in_our_language(text)
  for _, word in ipairs { "Usage:", "Arguments:", "Options:" } do
    text = text:gsub("%f[%w]" .. word, t(word))
  end
  return text
end

-- argparse's own help flag prints and exits by itself, and in English.
local function add_help(parser)
  parser:flag("-h --help", t "show this help")
  local get_help = parser.get_help
  parser.get_help = function(self)
    return in_our_language(get_help(self))
  end
end

--- The parser of the whole command line.
---@return table parser of argparse
---@return table<string, table> children those of the commands, by name
function M.new()
  local argparse = require "argparse"
  local parser = argparse "aitoearn"
    :add_help(false)
    :description(t "Publish records of the AiToEarn platform: read them, wait for them, publish.")
    :help_max_width(COLUMNS)
    :usage_max_width(COLUMNS)
    :command_target "command"
    :require_command(false)
  parser:flag("-h --help", t "show this help")
  parser:flag("--version", t "show the version")
  add_options(parser, M.options)
  local children = {}
  for _, command in ipairs(M.commands) do
    local child = parser:command(command.name, command.summary)
      :add_help(false)
      :epilog(("%s\n  %s\n\n%s"):format(t "Example:", (command.example:gsub("\n", "\n  ")),
        t "Options of every command: aitoearn --help"))
    for _, argument in ipairs(command.arguments) do
      restrict(child:argument(argument[1], argument[2]):args(argument.args or 1), argument)
    end
    add_help(child)
    add_options(child, command.options)
    children[command.name] = child
  end
  return parser, children
end

--- "-1" after an option that takes a value is that value.
local function join_numbers(argv)
  local joined = {}
  for _, word in ipairs(argv) do
    if joined[#joined] == "--status" and word:find "^%-%d+$" then
      joined[#joined] = "--status=" .. word
    else
      joined[#joined + 1] = word
    end
  end
  return joined
end

local function wants_help(argv)
  for _, word in ipairs(argv) do
    if word == "--" then
      return false
    elseif word == "-h" or word == "--help" then
      return true
    end
  end
  return false
end

local function find(name)
  for _, command in ipairs(M.commands) do
    if command.name == name then
      return command
    end
  end
end

-- argparse's messages, and what stands for them in the table of translations.
local PROBLEMS = {
  { "^unknown option '(.-)'", "unknown option %s" },
  { "^unknown command '(.-)'", "unknown command %s" },
  { "^missing argument '(.-)'", "missing: %s" },
  { "^option '(.-)' requires an argument", "option %s needs a value" },
  { "^option '(.-)' does not take arguments", "option %s takes no value" },
  { "^option '(.-)' must be used at most 1 time", "option %s is given twice" },
  { "^argument '(.-)' must be one of (.*)", "%s: one of %s expected" },
  { "^argument for option '(.-)' must be one of (.*)", "%s: one of %s expected" },
  { "^too many arguments()", "too many arguments" },
}

--- What is wrong, in the user's language.
local function explain(problem)
  for _, known in ipairs(PROBLEMS) do
    local name, choices = problem:match(known[1])
    if name then
      return t(known[2], name, choices)
    end
  end
  return problem
end

--- Reads a command line.
---@param argv string[]
---@return table? args what was given; `run` is the command of the list above, `waits` whether --timeout is a wait's
---@return string? text what is wrong, or the help that was asked for
---@return boolean? is_help
function M.parse(argv)
  local name
  for _, word in ipairs(argv) do
    name = name or (find(word) and word)
  end
  if #argv == 0 then
    return nil, overview()
  end
  local parser, children = M.new()
  if wants_help(argv) then
    return nil, name and children[name]:get_help() or overview(), true
  end
  local ok, args = parser:pparse(join_numbers(argv))
  if not ok then
    return nil, t("%s; aitoearn %s says more", explain(args), (name and name .. " " or "") .. "--help")
  elseif not args.command and not args.version then
    return nil, t "a command is missing"
  end
  args.run = find(args.command)
  args.waits = args.run and args.run.waits and (args.run.name ~= "publish" or args.wait)
  return args
end

return M
