--- What moves on a terminal while a command works, on standard error: a line for each of up to twenty ids, else a bar.
---@module "aitoearn.command.display"

local core = require "aitoearn.core"
local t = require "aitoearn.command.language"
local text = require "aitoearn.command.text"
local times = require "aitoearn.command.times"

local M = {}

local WHEEL = { "⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏" }
local BAR_COLUMNS = 24
-- Seconds between two pictures, and before the first bar: what is quick needs none.
local INTERVAL, PATIENCE = 0.1, 1
local MAX_LINES = 20

---@class aitoearn.command.Display
---@field drawn integer how many lines are drawn
local Display = {}
Display.__index = Display

--- A display, if standard error is a terminal that can move its cursor.
---@param output aitoearn.command.Output
---@return aitoearn.command.Display?
function M.new(output)
  if not output.errors_on_terminal or os.getenv "TERM" == "dumb" then
    return nil
  end
  local now = core.monotonic()
  return setmetatable({ output = output, started = now, next_at = 0, drawn = 0, ticks = 0 }, Display)
end

--- The most ids that get a line each.
---@return integer
function M.max_lines()
  local _, rows = core.terminal_size(2)
  return math.min(MAX_LINES, (rows or 24) - 3)
end

--- Whether it is time for another picture.
---@return boolean
function Display:is_due()
  local now = core.monotonic()
  if now < self.next_at then
    return false
  end
  self.next_at = now + INTERVAL
  return true
end

function Display:wheel()
  self.ticks = self.ticks % #WHEEL + 1
  return WHEEL[self.ticks]
end

--- Takes away what is drawn.
function Display:clear()
  if self.drawn > 0 then
    io.stderr:write("\r", self.drawn > 1 and ("\27[%dA"):format(self.drawn - 1) or "", "\27[J")
    self.drawn = 0
  end
end

--- Draws lines over those that were drawn before.
---@param lines string[] colours and all; none wider than the terminal
function Display:draw(lines)
  io.stderr:write("\r", self.drawn > 1 and ("\27[%dA"):format(self.drawn - 1) or "", table.concat(lines, "\27[K\n"), "\27[J")
  io.stderr:flush()
  self.drawn = #lines
end

--- Ends drawing: `stays` leaves the last picture, without it that is taken away.
function Display:finish()
  if self.stays and self.drawn > 0 then
    io.stderr:write "\n"
    self.drawn = 0
  end
  self:clear()
end

--- The columns of the terminal that it is drawn on.
---@return integer
function M.columns()
  return core.terminal_size(2) or 80
end

local function time_left(fraction, seconds)
  if fraction and fraction > 0 and fraction < 1 then
    return t("%s left", times.short(seconds * (1 - fraction) / fraction))
  end
end

--- Draws how far many ids are.
---@param done integer
---@param failed integer
---@param total? integer of all, if known
---@param fraction? number of the work that is done, if known otherwise
function Display:bar(done, failed, total, fraction)
  local seconds = core.monotonic() - self.started
  if seconds < PATIENCE or not self:is_due() then
    return
  end
  fraction = total and total > 0 and done / total or fraction
  local facts = { total and t("%d of %d", done, total) or t("%d done", done) }
  facts[#facts + 1] = failed > 0 and t("%d failed", failed) or nil
  local rate = done / seconds
  facts[#facts + 1] = (rate < 10 and "%.1f/s" or "%.0f/s"):format(rate)
  facts[#facts + 1] = time_left(fraction, seconds) or times.short(seconds)
  local filled = fraction and math.floor(fraction * BAR_COLUMNS + 0.5)
  local bar = filled and ("█"):rep(filled) .. ("░"):rep(BAR_COLUMNS - filled) or self:wheel()
  local shown = text.cut(table.concat(facts, " · "), M.columns() - (filled and BAR_COLUMNS or 1) - 2)
  self:draw { self.output:paint("cyan", bar, true) .. " " .. shown }
end

return M
