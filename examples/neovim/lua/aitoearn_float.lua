--- A floating window that shows lines of highlighted pieces, and fits itself to them.
local Float = {}
Float.__index = Float

local M = {}

local namespace = vim.api.nvim_create_namespace "aitoearn"

--- @tparam table options `title`, `corner` (top right; else in the middle), `focus`
function M.new(options)
  return setmetatable({ options = options }, Float)
end

local function place(self, width, height)
  local config = {
    relative = "editor",
    style = "minimal",
    border = "rounded",
    width = math.min(width, vim.o.columns - 4),
    height = math.max(1, math.min(height, vim.o.lines - 4)),
    focusable = self.options.focus or false,
  }
  config.row = self.options.corner and 1 or math.floor((vim.o.lines - config.height) / 2) + 2
  config.col = self.options.corner and vim.o.columns - config.width - 3
    or math.floor((vim.o.columns - config.width) / 2)
  if vim.fn.has "nvim-0.9" == 1 then
    config.title = " " .. self.options.title .. " "
  end
  return config
end

local function open(self, config)
  if self.window and vim.api.nvim_win_is_valid(self.window) then
    vim.api.nvim_win_set_config(self.window, config)
    return
  end
  config.noautocmd = true
  self.window = vim.api.nvim_open_win(self.buffer, self.options.focus or false, config)
  vim.api.nvim_win_set_option(self.window, "winhighlight", "NormalFloat:Normal,FloatBorder:Comment")
  vim.api.nvim_win_set_option(self.window, "wrap", false)
end

local function make_buffer(self)
  if self.buffer and vim.api.nvim_buf_is_valid(self.buffer) then
    return
  end
  self.buffer = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_option(self.buffer, "bufhidden", "hide")
  for _, key in ipairs { "q", "<Esc>" } do
    vim.keymap.set("n", key, function() self:close() end, { buffer = self.buffer })
  end
end

--- @tparam table lines each a list of {text, highlight group or nil}
function Float:draw(lines)
  local texts, width = {}, #self.options.title + 4
  for i, pieces in ipairs(lines) do
    local line = {}
    for j, piece in ipairs(pieces) do
      line[j] = piece[1]:gsub("%c", " ")
    end
    texts[i] = table.concat(line)
    width = math.max(width, vim.fn.strdisplaywidth(texts[i]))
  end
  make_buffer(self)
  vim.api.nvim_buf_set_lines(self.buffer, 0, -1, false, texts)
  for i, pieces in ipairs(lines) do
    local column = 0
    for _, piece in ipairs(pieces) do
      if piece[2] then
        vim.api.nvim_buf_set_extmark(self.buffer, namespace, i - 1, column,
          { end_col = column + #piece[1], hl_group = piece[2] })
      end
      column = column + #piece[1]
    end
  end
  open(self, place(self, width, #lines))
end

function Float:close()
  if self.window and vim.api.nvim_win_is_valid(self.window) then
    vim.api.nvim_win_close(self.window, true)
  end
  self.window = nil
end

return M
