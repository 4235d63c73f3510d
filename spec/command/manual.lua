--- Writes the command's man page on standard output, from the list that its parser is made of.
-- `LC_ALL=C lua spec/command/manual.lua >aitoearn.1`

local parser = require "aitoearn.command.parser"

local function escape(words)
  return (words:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("…", "..."):gsub("\n([.'])", "\n\\&%1"):gsub("^([.'])", "\\&%1"))
end

local lines = {}
local function add(...)
  for _, line in ipairs { ... } do
    lines[#lines + 1] = line
  end
end

local function add_option(option)
  local value = ""
  if option.choices then
    value = " " .. table.concat(option.choices, "|")
  elseif not option.flag then
    value = " " .. (option.argname or "<" .. option[1]:match "[%a-]+$":gsub("^%-+", "") .. ">")
  end
  add(".TP", (".B %s"):format(escape(option[1]:gsub(" ", ", ") .. value)), escape(option[2]) .. ".")
end

add(('.TH AITOEARN 1 "" "aitoearn %s" "User Commands"'):format(require("aitoearn").version),
  ".SH NAME", "aitoearn \\- publish records of the AiToEarn platform: read them, wait for them, publish",
  ".SH SYNOPSIS", ".B aitoearn", ".I COMMAND", ".RI [ ID ...]", ".RI [ options ]",
  ".SH COMMANDS")
for _, command in ipairs(parser.commands) do
  add(".TP", (".B %s"):format(escape(command.name .. " " .. command.usage)), escape(command.summary) .. ".")
  for _, argument in ipairs(command.arguments) do
    add(".br", (".IR %s :"):format(escape(argument[1])), escape(argument[2]) .. ".")
  end
  if #command.options > 0 then
    add ".RS"
    for _, option in ipairs(command.options) do
      add_option(option)
    end
    add ".RE"
  end
end
add ".SH OPTIONS"
for _, option in ipairs(parser.options) do
  add_option(option)
end
add(".SH EXIT STATUS", "Of several the greatest.")
for _, row in ipairs {
  { "0", "All well. A record whose publishing failed was still fetched well." },
  { "1", "A goal is out of reach; an action was refused or did nothing; a write that may have happened." },
  { "2", "Usage, an argument, a refused configuration, a file that is no post." },
  { "3", "Not found." },
  { "4", "No key, or one that is not accepted." },
  { "5", "The platform or the way to it failed: try later." },
  { "6", "--timeout ran out." },
  { "130", "Interrupted." },
} do
  add(".TP", ".B " .. row[1], escape(row[2]))
end
add(".SH ENVIRONMENT", ".TP", ".B AITOEARN_API_KEY", "The API key.", ".TP", ".B AITOEARN_SERVER", "cn, intl or a base URL.",
  ".TP", ".B AITOEARN_CA_FILE", "Certificate authorities, PEM.",
  ".TP", ".B AITOEARN_LOG", "info or debug: what the client does.",
  ".TP", ".B NO_COLOR", "No colours.", ".TP", ".B LC_ALL, LC_MESSAGES, LANG", "Chinese where the language is zh.",
  ".SH FILES", ".I $XDG_CONFIG_HOME/aitoearn/config.lua", ".br",
  "A Lua file that returns a table of options. With a key in it nobody else may read it (chmod 600).",
  ".SH EXAMPLES", ".nf")
for _, command in ipairs(parser.commands) do
  add(escape(command.example))
end
add ".fi"
io.write(table.concat(lines, "\n"), "\n")
