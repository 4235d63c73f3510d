--- `wait`, `watch`, and the waiting of `publish --wait`: until a goal is reached, with a display on a terminal.
---@module "aitoearn.command.wait"

local core = require "aitoearn.core"
local goals = require("aitoearn.wait").goals
local display = require "aitoearn.command.display"
local input = require "aitoearn.command.input"
local Output = require "aitoearn.command.output"
local t = require "aitoearn.command.language"
local text = require "aitoearn.command.text"
local times = require "aitoearn.command.times"

local M = {}

local TICK = 0.1
local STATE_COLUMNS = 12

---@class aitoearn.command.Waiting
---@field app aitoearn.command.App
---@field order string[] the ids, if each has a line
---@field lines table<string, table>? id -> what its line shows: record, mark, next_at
---@field raised any what a hook raised: the library would only report it
local Waiting = {}
Waiting.__index = Waiting

local function new(app, ids)
  local output = app.output
  output.display = display.new(output)
  local self = setmetatable({ app = app, output = output, order = ids, done = 0, failed = 0 }, Waiting)
  if output.display and #ids <= display.max_lines() then
    self.lines = {}
    for _, id in ipairs(ids) do
      self.lines[id] = {}
    end
    output.display.stays = true
  end
  -- The lines say all that there is to say, unless somebody wants it in another form or another place.
  self.prints = not self.lines or not output.is_terminal or output.json or output.fields
  return self
end

--- Makes a hook of a function: an error in it, Ctrl-C and a closed pipe included, ends the waiting and is raised there.
function Waiting:hook(fn)
  return function(...)
    local ok, problem = pcall(fn, self, ...)
    if not ok and not self.raised then
      self.raised = problem
      self.app:client():close()
    end
  end
end

function Waiting:check()
  if self.raised then
    error(self.raised, 0)
  end
end

local function describe(self, line, columns)
  local output, record = self.output, line.record
  if not record then
    return output:paint("dim", line.trouble or t "looking", true)
  end
  local word = Output.status_word(record, true)
  local more = {}
  more[#more + 1] = record.accountType or record.platform
  more[#more + 1] = (record.workLink or "") ~= "" and record.workLink or record.title
  local left = line.mark and "" or line.trouble or (line.next_at and line.next_at > core.time()
    and t("next look in %s", times.short(line.next_at - core.time())) or t "looking")
  if text.width(left) + STATE_COLUMNS + 2 > columns then -- a narrow terminal: the state says more
    left = ""
  end
  local shown = text.pad(word, STATE_COLUMNS) .. "  " .. text.clean(table.concat(more, "  "))
  shown = text.cut(shown, columns - (left ~= "" and text.width(left) + 2 or 0))
  local rest = shown:find(word, 1, true) and shown:sub(#word + 1) or ""
  local gap = math.max(columns - text.width(shown) - text.width(left), 1)
  return output:paint(Output.colour_of(record), shown:sub(1, #shown - #rest), true) .. rest
    .. (left ~= "" and (" "):rep(gap) .. output:paint("dim", left, true) or "")
end

function Waiting:draw_lines()
  local output = self.output
  local wheel, columns = output.display:wheel(), display.columns()
  local id_columns = 0
  for _, id in ipairs(self.order) do
    id_columns = math.max(id_columns, text.width(text.clean(id)))
  end
  id_columns = math.min(id_columns, math.max(math.floor(columns / 2), 8))
  local drawn = {}
  for i, id in ipairs(self.order) do
    local line = self.lines[id]
    local mark = line.mark or output:paint("cyan", wheel, true)
    local shown = text.pad(text.cut(text.clean(id), id_columns), id_columns)
    drawn[i] = ("%s %s  %s"):format(mark, shown, describe(self, line, columns - id_columns - 5))
  end
  output.display:draw(drawn)
end

function Waiting:draw(now)
  local shown = self.output.display
  if not shown then
    return
  elseif not self.lines then
    shown:bar(self.done, self.failed, #self.order)
  elseif now or shown:is_due() then
    self:draw_lines()
  end
end

-- A look at a flow is a look at each of its posts.
function Waiting:on_event(event)
  if event.type ~= "poll" or not self.lines then
    return
  end
  for _, id in ipairs(event.record_id and { event.record_id } or self.order) do
    local line = self.lines[id]
    if line then
      line.next_at = core.time() + (event.next_in or 0)
      line.trouble = event.stalled and t "seems to hang"
        or event.kind and ("%s %s"):format(t(event.kind), event.code or event.http_status or "") or nil
    end
  end
end

function Waiting:on_change(record, _, id)
  local line = self.lines and (self.lines[id] or self.lines[record.id])
  if line then
    line.record = record
  end
  if self.prints_changes then
    self.output:record(record)
  end
end

-- Marks a line at its end.
local function mark(self, line, is_reached)
  line.mark = is_reached and self.output:paint("green", "✓", true) or self.output:paint("red", "✗", true)
  line.trouble = nil
end

--- The end of one id.
function Waiting:finish(id, record, err)
  if err and err.kind == "closed" then -- the command ends
    return
  end
  self.done = self.done + 1
  local line = self.lines and self.lines[id]
  if line then
    line.record = record or err.record or line.record
    mark(self, line, record ~= nil)
    line.trouble = err and t(err.kind) or nil
  end
  if err then
    self.failed = self.failed + 1
    self.app:fail(err, true)
  elseif self.prints and not self.prints_changes then
    self.output:record(record)
  end
end

--- The end of a flow.
---@param flow aitoearn.Flow? as it was seen last
function Waiting:finish_flow(flow)
  local reached = goals[self.app.args["for"]]
  for _, task in ipairs(flow and flow.tasks or {}) do
    local line = self.lines and self.lines[task.id]
    if line then
      line.record = task
      mark(self, line, reached(task) == true)
    end
  end
end

--- Draws until a task has ended.
function Waiting:run(task)
  local client = self.app:client()
  while client:poll(TICK) > 0 do
    self:check()
    self:draw()
  end
  self:check()
  return task:result()
end

local function options(self)
  local args = self.app.args
  return {
    goal = args["for"],
    timeout = args.timeout,
    on_change = self:hook(self.on_change),
  }
end

local function start(app, watches)
  app:client() -- what is wrong with it is said before anybody types an id
  local ids = input.open(app.args.ids):all()
  local self = new(app, ids)
  self.prints_changes = watches and self.prints
  local given = options(self)
  if self.output.display then
    app.on_event = self:hook(self.on_event)
    given.on_record = self:hook(self.finish)
    self:run(app:call("start", "wait_all", ids, given))
    self:draw(true)
  else
    for id, record, err in app:call("wait_all", ids, given) do
      self:check()
      self:finish(id, record, err)
    end
    self:check()
  end
end

--- Waits for records.
---@param app aitoearn.command.App
function M.wait(app)
  start(app, false)
end

--- The same, with a line for each change in a pipe.
---@param app aitoearn.command.App
function M.watch(app)
  start(app, true)
end

--- Waits for a flow that was published, and writes it as it is then.
---@param app aitoearn.command.App
---@param flow aitoearn.Flow
function M.flow(app, flow)
  local ids, by_id = {}, {}
  for i, task in ipairs(flow.tasks) do
    ids[i], by_id[task.id] = task.id, task
  end
  local self = new(app, ids)
  local given = options(self)
  for id, line in pairs(self.lines or {}) do
    line.record = by_id[id]
  end
  local result, err
  if self.output.display then
    app.on_event = self:hook(self.on_event)
    result, err = self:run(app:call("start", "wait_flow", flow.flowId, given))
    self:finish_flow(result or err.flow)
    self:draw(true)
  else
    result, err = app:call("wait_flow", flow.flowId, given)
    self:check()
  end
  app.output:finish()
  if err then
    app:fail(err, true)
  end
  result = result or err.flow
  if result then
    app.output:flow(result)
  end
end

return M
