--- Everything that a command writes: tables on a terminal, lines with tabs in a pipe, JSON; errors on standard error.
---@module "aitoearn.command.output"

local core = require "aitoearn.core"
local json = require "aitoearn.command.json"
local problems = require "aitoearn.command.problems"
local status = require "aitoearn.command.status"
local stop = require "aitoearn.command.stop"
local t = require "aitoearn.command.language"
local text = require "aitoearn.command.text"
local times = require "aitoearn.command.times"

local M = {}

local EPIPE = 32

local COLOURS = { red = "1;31", green = "1;32", yellow = "1;33", cyan = "1;36", bold = "1", dim = "2" }

-- How wide the columns of a table are at first. Rows are not held back until the last one has come: a wider value in a
-- later row pushes the columns to its right.
local WIDTHS = {
  id = 24, site = 8, status = 10, accountType = 9, platform = 9, type = 7, publishTime = 11, createdAt = 11, updatedAt = 11,
  expiresAt = 11, linkStatus = 7, source = 11, accountId = 24, flowId = 24, userTaskId = 24,
}
local OTHER_WIDTH, LEAST_WIDTH = 20, 8
-- From here on there is room for the longest status.
local WIDE_TERMINAL, LONGEST_STATUS = 100, 23

-- Fields that are useless when cut: their column grows.
local WHOLE = { id = true, status = true, accountType = true, platform = true, flowId = true, site = true }

local TIMES = { publishTime = true, createdAt = true, updatedAt = true, expiresAt = true }

--- The fields of a record, of a task of a flow, and of what a person must do, unless --fields names others.
M.fields = {
  record = { "id", "status", "accountType", "publishTime", "workLink", "title" },
  record_on_terminal = { "id", "status", "accountType", "publishTime", "title" },
  task = { "flowId", "id", "platform", "status", "publishTime", "workLink" },
  task_on_terminal = { "id", "status", "platform", "publishTime", "workLink" },
}

---@class aitoearn.command.Output
---@field is_terminal boolean standard output is one
---@field errors_on_terminal boolean standard error is one
---@field display aitoearn.command.Display? what is drawn on standard error; cleared before a line is written
local Output = {}
Output.__index = Output

local function is_coloured(when, is_terminal)
  if when == "always" or when == "never" then
    return when == "always"
  end
  return is_terminal and (os.getenv "NO_COLOR" or "") == "" and os.getenv "TERM" ~= "dumb"
end

-- The columns of the terminal behind standard output.
local function terminal_columns()
  return core.terminal_size(1) or core.terminal_size(2) or 80
end

---@param args table the command line
---@return aitoearn.command.Output
function M.new(args)
  local self = setmetatable({
    json = args.json,
    fields = args.fields,
    is_terminal = core.is_terminal(1),
    errors_on_terminal = core.is_terminal(2),
    widths = setmetatable({}, { __index = WIDTHS }),
  }, Output)
  if not t.is_chinese and terminal_columns() >= WIDE_TERMINAL then
    self.widths.status = LONGEST_STATUS
  end
  self.is_coloured = is_coloured(args.color, self.is_terminal)
  self.errors_are_coloured = is_coloured(args.color, self.errors_on_terminal)
  return self
end

--- A text in a colour, on standard output or, if `on_errors`, on standard error.
---@param colour string
---@param shown string
---@param on_errors? boolean
---@return string
function Output:paint(colour, shown, on_errors)
  local is_on = self.is_coloured
  if on_errors then
    is_on = self.errors_are_coloured
  end
  return is_on and ("\27[%sm%s\27[0m"):format(COLOURS[colour], shown) or shown
end

local function is_failure(record)
  local name = core.status_name(tonumber(record.status) or math.huge)
  return name == "FAILED" or name == "CANCELED"
end

--- The colour of a record's state.
---@param record aitoearn.Record
---@return string
function M.colour_of(record)
  local records = require "aitoearn.record"
  if records.needs_action(record) or records.is_stalled(record) then
    return "yellow"
  elseif records.is_live(record) then
    return (record.errorMsg or "") ~= "" and "yellow" or "green"
  end
  return is_failure(record) and "red" or "cyan"
end

--- The word for a status: the constant's name, on a terminal in the user's language; a number if this version has none.
---@param record aitoearn.Record
---@param is_terminal boolean
---@return string
function M.status_word(record, is_terminal)
  local number = tonumber(record.status)
  local name = core.status_name(number or math.huge)
  if name == "UNKNOWN" then
    return tostring(record.status or "")
  end
  return is_terminal and t(name) or name
end

-- The value of a field; `errorData.type` is a field of a field.
local function look_up(values, field)
  local value = values[field]
  if value == nil then
    for name in field:gmatch "[^.]+" do
      if type(values) ~= "table" then
        return nil
      end
      values = values[name]
      value = values
    end
  end
  return value
end

--- A field as text for a line.
local function shown(values, field, is_terminal)
  local value = look_up(values, field)
  if value == nil or value == json.null then
    return ""
  elseif field == "status" then
    return M.status_word(values, is_terminal)
  elseif type(value) == "table" then
    return text.clean(json.encode(value, field))
  elseif is_terminal and TIMES[field] and type(value) == "string" then
    return times.to_local(value, true)
  elseif type(value) == "number" then
    return json.encode(value)
  end
  return text.clean(tostring(value))
end

--- Writes to standard output. If nobody reads any more the command ends quietly.
---@param line string
function Output:write(line)
  if self.display then
    self.display:clear()
  end
  local written, problem, number = io.stdout:write(line)
  if written then
    written, problem, number = io.stdout:flush()
  end
  if not written then
    stop.now(number ~= EPIPE and status.PLATFORM or nil,
      number ~= EPIPE and t("standard output: %s", tostring(problem)) or nil)
  end
end

local function row_for_pipe(self, values, fields)
  local parts = {}
  for i, field in ipairs(fields) do
    local part = shown(values, field, false)
    parts[i] = field == "status" and self:paint(M.colour_of(values), part) or part
  end
  return table.concat(parts, "\t") .. "\n"
end

-- Parts of a row next to each other, each at most as wide as its column; the last takes what is left.
local function lay_out(self, parts, fields, paint)
  local left, row = terminal_columns(), {}
  for i, part in ipairs(parts) do
    local field = fields[i]
    local width = self.widths[field] or OTHER_WIDTH
    if WHOLE[field] and text.width(part) > width then
      width = text.width(part)
      self.widths[field] = width
    end
    width = i == #parts and math.max(left, LEAST_WIDTH) or math.min(width, left)
    if left <= 0 then
      break
    end
    local cut = text.cut(part, math.min(width, left))
    row[i] = paint(field, i == #parts and cut or text.pad(cut, width))
    left = left - width - 2
  end
  return (table.concat(row, "  "):gsub(" +$", "")) .. "\n"
end

local function write_head(self, fields)
  if not self.has_head then
    self.has_head = true
    local names = {}
    for i, field in ipairs(fields) do
      names[i] = t(field)
    end
    self:write(lay_out(self, names, fields, function(_, name)
      return self:paint("dim", name)
    end))
  end
end

--- A single field is never cut: it is meant to be copied.
local function row_for_terminal(self, values, fields)
  local parts = {}
  for i, field in ipairs(fields) do
    parts[i] = shown(values, field, true)
  end
  local function paint(field, part)
    return field == "status" and self:paint(M.colour_of(values), part) or part
  end
  if #fields == 1 then
    return paint(fields[1], parts[1]) .. "\n"
  end
  write_head(self, fields)
  return lay_out(self, parts, fields, paint)
end

local function object(values, fields)
  local parts = {}
  for _, field in ipairs(fields) do
    local value = look_up(values, field)
    if value ~= nil then
      parts[#parts + 1] = ("%s:%s"):format(json.encode(field), json.encode(value, field))
    end
  end
  return ("{%s}\n"):format(table.concat(parts, ","))
end

--- Writes one line with fields of a table.
---@param values table
---@param fields string[]
---@param fields_on_terminal? string[]
function Output:row(values, fields, fields_on_terminal)
  if self.is_terminal then
    return self:write(row_for_terminal(self, values, self.fields or fields_on_terminal or fields))
  end
  self:write(row_for_pipe(self, values, self.fields or fields))
end

--- Writes a record as one line.
---@param record aitoearn.Record
function Output:record(record)
  if not self.json then
    return self:row(record, M.fields.record, M.fields.record_on_terminal)
  end
  self:write(self.fields and object(record, self.fields) or json.record(record) .. "\n")
end

--- Writes a flow: a line for each of its tasks.
---@param flow aitoearn.Flow
function Output:flow(flow)
  if self.json and not self.fields then
    local tasks = {}
    for i, task in ipairs(flow.tasks) do
      tasks[i] = json.record(task)
    end
    return self:write(('{"flowId":%s,"tasks":[%s]%s}\n'):format(json.encode(flow.flowId), table.concat(tasks, ","),
      flow.incomplete and ',"incomplete":true' or ""))
  end
  if self.is_terminal and not self.json then
    self:write(self:paint("dim", t("flow %s", text.clean(flow.flowId))) .. "\n")
  end
  for _, task in ipairs(#flow.tasks > 0 and flow.tasks or { {} }) do
    local values = setmetatable({ flowId = flow.flowId }, { __index = task })
    if self.json then
      self:write(object(values, self.fields))
    elseif next(task) ~= nil or not self.is_terminal then
      self:row(values, M.fields.task, M.fields.task_on_terminal)
    end
  end
end

--- Writes a table of a few values: an object in JSON, a line in a pipe, a name and a value a line on a terminal.
---@param values table
---@param fields string[] in this order
function Output:values(values, fields)
  if self.json then
    return self:write(object(values, self.fields or fields))
  elseif not self.is_terminal or self.fields then
    return self:row(values, fields)
  end
  for _, field in ipairs(fields) do
    local part = shown(values, field, true)
    if part ~= "" then
      self:write(("%s %s\n"):format(self:paint("dim", text.pad(t(field), 12)), part))
    end
  end
end

--- How long ago, or ahead.
local function distance(iso)
  local seconds = core.parse_datetime(iso)
  if not seconds then
    return ""
  end
  local away = seconds - core.time()
  return t(away < 0 and "%s ago" or "in %s", times.short(math.abs(away)))
end

--- Writes one record at length, for a terminal.
---@param record aitoearn.Record
---@param site? string
function Output:card(record, site)
  local records = require "aitoearn.record"
  local function line(name, value, more)
    value = value and text.clean(value) or ""
    if value ~= "" then
      self:write(("  %s %s%s\n"):format(self:paint("dim", text.pad(t(name), 8)), value,
        (more or "") ~= "" and "  " .. self:paint("dim", text.clean(more)) or ""))
    end
  end
  local verdicts = {
    t(records.is_final(record) and "final" or "not final"),
    t(records.is_live(record) and "live" or "not live"),
  }
  for name, holds in pairs {
    ["a person must confirm it: aitoearn action"] = records.needs_action(record),
    ["seems to hang"] = records.is_stalled(record),
    ["the server will try again"] = records.will_retry(record),
  } do
    verdicts[#verdicts + 1] = holds and t(name) or nil
  end
  self:write(("%s %s\n"):format(self:paint(M.colour_of(record), M.status_word(record, true)),
    self:paint("dim", "· " .. table.concat(verdicts, ", "))))
  line("title", record.title)
  line("account", record.accountType, record.type)
  line("link", records.has_link(record) and record.workLink or records.is_live(record) and t "none yet" or nil,
    record.linkStatus)
  line("error", record.errorMsg, record.errorData and record.errorData.type)
  line("publish", times.to_local(record.publishTime), distance(record.publishTime))
  if record.updatedAt then
    line("updated", times.to_local(record.updatedAt), distance(record.updatedAt))
  end
  line("site", site)
  line("id", record.id)
end

--- Writes a line to standard error.
---@param line string
function Output:note(line)
  if self.display then
    self.display:clear()
  end
  io.stderr:write(line, "\n")
end

--- Writes an error of the library.
---@param err aitoearn.Error
function Output:error(err)
  if core.is_hung_up(1) then
    stop.now()
  end
  self:note(self.json and problems.encode(err)
    or self:paint("red", "aitoearn:", true) .. " " .. text.clean(problems.describe(err)))
end

--- Writes why the command was stopped.
---@param outcome {status: integer, message: string}
function Output:problem(outcome)
  self:note(self.json and ('{"error":{"message":%s}}'):format(json.encode(outcome.message))
    or self:paint("red", "aitoearn:", true) .. " " .. outcome.message)
end

--- Ends what is drawn.
function Output:finish()
  if self.display then
    self.display:finish()
    self.display = nil
  end
end

--- The same after a command that did not come to its end.
Output.abandon = Output.finish

return M
