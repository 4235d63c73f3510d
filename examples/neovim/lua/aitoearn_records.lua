--- Publish records in Neovim: a window with one record, a panel of those that are waited for, a statusline component.
--
-- Nothing here blocks the editor: the client finds Neovim's loop by itself, and its hooks run where the API may be called.
-- Key and server come from AITOEARN_API_KEY and AITOEARN_SERVER, or from `setup`.
local aitoearn = require "aitoearn"
local float = require "aitoearn_float"

local M = {}

local options, client
local watched, order = {}, {} -- what the panel shows: {id, record?, err?, started, ended?} by id, and in their order
local panel = float.new { corner = true, title = "Publishing" }
local details = float.new { title = "Publish record", focus = true }
local timer

local SPINNER = { "⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏" }
local frame = 1

--- @tparam ?table given options of `aitoearn.new`; `wait`: those of `client:wait`; `name`: a function of an id and its
-- record (nil before it is known) that returns what to call it
function M.setup(given)
  options = vim.tbl_extend("force", {}, given or {})
end

local function get_client()
  if not client then
    local own = vim.tbl_extend("force", {}, options or {})
    own.wait, own.name = nil, nil
    client = aitoearn.new(own)
    vim.api.nvim_create_autocmd("VimLeavePre", { callback = function() client:close() end })
  end
  return client
end

local function name_of(id, record)
  return options and options.name and options.name(id, record) or record and record.title or id
end

-- A mark and a highlight group for what is known of a record.
local function look_of(entry)
  local record = entry.record
  if entry.err and entry.err.kind ~= "goal" then
    return "✗", "DiagnosticError"
  elseif not record then
    return SPINNER[frame], "Comment"
  elseif record:is_live() then
    return "●", "String"
  elseif record:is_final() then
    return "✗", "DiagnosticError"
  elseif record:needs_action() then
    return "▲", "DiagnosticWarn"
  end
  return entry.ended and "○" or SPINNER[frame], record.status == aitoearn.status.PUBLISHING and "Function" or "Comment"
end

local function words(name)
  return (name:lower():gsub("_", " "))
end

local function fit(text, width)
  if vim.fn.strdisplaywidth(text) > width then
    text = vim.fn.strcharpart(text, 0, width - 1) .. "…"
  end
  return text .. (" "):rep(width - vim.fn.strdisplaywidth(text))
end

local function draw_panel()
  local lines = {}
  for _, id in ipairs(order) do
    local entry = watched[id]
    local record, mark, group = entry.record, look_of(entry)
    local seconds = (entry.ended or os.time()) - entry.started
    local state = entry.err and not record and entry.err.kind or record and words(record:status_name()) or "asking"
    lines[#lines + 1] = {
      { " " .. mark .. " ", group },
      { fit(name_of(id, record), 26) .. " " },
      { fit(record and record.accountType or "", 9) .. " ", "Comment" },
      { fit(state, 24), group },
      { ("%4d s "):format(seconds), "Comment" },
    }
  end
  panel:draw(lines)
end

local function tick()
  local pending = false
  for _, entry in pairs(watched) do
    pending = pending or not entry.ended
  end
  frame = frame % #SPINNER + 1
  draw_panel()
  vim.cmd "redrawstatus!"
  if not pending then
    vim.fn.timer_stop(timer)
    timer = nil
  end
end

local function rows_of(id, record)
  local rows = {
    { "Title", name_of(id, record), "Title" },
    { "Status", record:status_name(), select(2, look_of { record = record, ended = true }) },
    { "Platform", ("%s, %s"):format(record.accountType, record.type) },
    { "Publish time", record.publishTime },
    { "Updated", record.updatedAt },
    { "Link", record:has_link() and record.workLink or nil, "Underlined" },
    { "Error", record.errorMsg ~= "" and record.errorMsg or nil, "DiagnosticError" },
    { "Id", record.id, "Comment" },
  }
  local lines = {}
  for _, row in ipairs { 1, 2, 3, 4, 5, 6, 7, 8 } do
    local name, value, group = rows[row][1], rows[row][2], rows[row][3]
    if value then
      lines[#lines + 1] = { { (" %-13s"):format(name), "Comment" }, { value .. " ", group } }
    end
  end
  return lines
end

--- Shows one record. `q` closes the window.
function M.show(id)
  details:draw { { { " " .. SPINNER[1] .. " asking for " .. id .. " ", "Comment" } } }
  get_client():start("get_record", id):on_done(function(record, err)
    if record then
      details:draw(rows_of(id, record))
    else
      local lines = { { { (" %s: %s "):format(err.name or err.kind, err.message), "DiagnosticError" } } }
      lines[2] = err.hint and { { " " .. err.hint .. " ", "Comment" } }
      details:draw(lines)
    end
  end)
end

--- Follows records in the panel.
function M.wait(...)
  for _, id in ipairs { ... } do
    if not watched[id] then
      order[#order + 1] = id
    end
    if not watched[id] or watched[id].ended then
      local entry = { id = id, started = os.time() }
      watched[id] = entry
      local wait = vim.tbl_extend("force", { timeout = false }, options and options.wait or {})
      wait.on_change = function(record)
        entry.record = record
        draw_panel()
      end
      get_client():start("wait", id, wait):on_done(function(record, err)
        entry.record, entry.err, entry.ended = record or err.record or entry.record, err, os.time()
        draw_panel()
      end)
    end
  end
  draw_panel()
  timer = timer or vim.fn.timer_start(100, tick, { ["repeat"] = -1 })
end

--- Closes the panel, and cancels nothing: `wait` opens it again.
function M.close()
  panel:close()
end

--- For 'statusline': %{v:lua.require'aitoearn_records'.statusline()}
function M.statusline()
  local live, failed, pending = 0, 0, 0
  for _, entry in pairs(watched) do
    if not entry.ended then
      pending = pending + 1
    elseif entry.record and entry.record:is_live() then
      live = live + 1
    else
      failed = failed + 1
    end
  end
  if #order == 0 then
    return ""
  end
  local parts = { "↑ " .. live .. " live" }
  parts[#parts + 1] = pending > 0 and SPINNER[frame] .. " " .. pending .. " on their way" or nil
  parts[#parts + 1] = failed > 0 and "✗ " .. failed .. " need a look" or nil
  return table.concat(parts, "  ")
end

return M
