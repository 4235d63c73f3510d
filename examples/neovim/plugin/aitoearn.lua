--- :AitoearnRecord ID shows a publish record, :AitoearnWait ID... follows records until they are settled.
-- luacheck: globals vim
if vim.g.loaded_aitoearn then
  return
end
vim.g.loaded_aitoearn = true

local function command(name, method, nargs, text)
  vim.api.nvim_create_user_command(name, function(given)
    require("aitoearn_records")[method](unpack(given.fargs))
  end, { nargs = nargs, desc = text })
end

command("AitoearnRecord", "show", 1, "show a publish record")
command("AitoearnWait", "wait", "+", "follow publish records until they are settled")
