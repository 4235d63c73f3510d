--- What `make example-neovim` opens: this folder's README, records on their way, a statusline.
-- luacheck: globals vim
local root = os.getenv "AITOEARN_ROOT"

vim.o.termguicolors, vim.o.number, vim.o.laststatus, vim.o.swapfile = true, true, 2, false
vim.o.background, vim.o.showmode, vim.o.wrap, vim.o.ruler = "dark", false, false, false
vim.o.statusline = " %t%= %{v:lua.require'aitoearn_records'.statusline()}   %l:%c "

for name, colors in pairs {
  Normal = { fg = "#c9d1d9", bg = "#10141c" },
  LineNr = { fg = "#3b4557" }, EndOfBuffer = { fg = "#10141c" }, Comment = { fg = "#7d8799" },
  StatusLineNC = { fg = "#c9d1d9", bg = "#27324a" }, StatusLine = { fg = "#10141c", bg = "#7aa2f7", bold = true },
  Title = { fg = "#e6edf3", bold = true }, Underlined = { fg = "#7aa2f7", underline = true },
  String = { fg = "#7ee787", bold = true }, Function = { fg = "#ffa657" },
  DiagnosticError = { fg = "#ff7b72" }, DiagnosticWarn = { fg = "#e3b341" },
} do
  vim.api.nvim_set_hl(0, name, colors)
end

vim.opt.runtimepath:prepend(root .. "/examples/neovim")
vim.cmd "runtime plugin/aitoearn.lua"

-- What the local platform is to do with each, and what its author calls it.
local drafts = {
  ["life:1:2"] = "Three spring outfits", ["life:2:30"] = "A morning in Chengdu",
  ["life:1:3:-1"] = "Unboxing, part 4", ["life:40:40"] = "Weekend noodles",
  ["status:8"] = "Night market tour", full = "How we edit",
}
require("aitoearn_records").setup {
  wait = { pace = function() return 0.4 end },
  name = function(id) return drafts[id:match "^[^~]+"] end,
}

vim.cmd("edit " .. root .. "/examples/neovim/README.md")
local fresh = os.time()
vim.cmd(("AitoearnWait life:1:2~%d life:2:30~%d life:1:3:-1~%d life:40:40~%d status:8~%d"):format(
  fresh, fresh, fresh, fresh, fresh))
vim.cmd "AitoearnRecord full"
