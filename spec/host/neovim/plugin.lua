--- The example plugin, driven by its commands.
local inside = require "spec.host.inside"

local say = inside.say
vim.opt.runtimepath:prepend "examples/neovim"
vim.cmd "runtime plugin/aitoearn.lua"
require("aitoearn_records").setup { wait = { pace = function() return 0.05 end } }

local function text()
  local all = {}
  for _, window in ipairs(vim.api.nvim_list_wins()) do
    if vim.api.nvim_win_get_config(window).relative ~= "" then
      vim.list_extend(all, vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(window), 0, -1, false))
    end
  end
  return table.concat(all, "\n")
end

local function shows(pattern)
  return vim.wait(10000, function() return text():find(pattern) ~= nil end, 5)
end

say("statusline_at_rest", require("aitoearn_records").statusline() == "")
vim.cmd "AitoearnRecord full"
say("asking", text():find "asking for full" ~= nil)
say("shown", shows "Status +PUBLISHED" and shows "Link +https://")
vim.cmd "AitoearnRecord code:15000"
say("error", shows "PublishRecordNotFound" or text())
vim.api.nvim_feedkeys("q", "xt", false)
say("closed", text() == "")

vim.cmd "AitoearnWait life:0:1~spec status:2;status:-1~spec status:8~spec"
say("statusline", require("aitoearn_records").statusline())
say("publishing", shows "publishing")
say("published", shows " published ")
say("failed", shows " failed ")
say("user_action", shows "waiting for user")
local settled = vim.wait(5000, function()
  return require("aitoearn_records").statusline() == "↑ 1 live  ✗ 2 need a look"
end, 5)
say("statusline_after", settled or require("aitoearn_records").statusline())
