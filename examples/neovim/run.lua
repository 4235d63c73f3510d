--- Opens Neovim with the plugin against the local platform: `run.lua`; `run.lua FILE.png` photographs it under Xvfb.
-- Without a terminal it runs for a few seconds and prints what its windows show.
--
-- Debian: neovim; for the picture xvfb xauth xterm imagemagick fonts-dejavu-core as well.
local platform = require "spec.platform"
local shell = require "spec.platform.shell"

local picture = ...
local root = assert(shell.run "pwd")
local p = assert(platform.start { log = false })

local function variables()
  return table.concat({
    "env -u LUA_PATH_5_1 -u LUA_CPATH_5_1",
    "LUA_PATH=" .. shell.quote(root .. "/lua/?.lua;" .. root .. "/lua/?/init.lua;;"),
    "LUA_CPATH=" .. shell.quote(root .. "/build/5.1/?.so;;"),
    "AITOEARN_ROOT=" .. shell.quote(root),
    "AITOEARN_SERVER=" .. p.cn.http,
    "AITOEARN_API_KEY=" .. p.cn.key,
  }, " ")
end

local nvim = "nvim -u NONE -c " .. shell.quote "luafile $AITOEARN_ROOT/examples/neovim/scene.lua"

if picture then
  local terminal = "xterm -fa 'DejaVu Sans Mono' -fs 12 -geometry 96x26+0+0 -bw 0 -b 8 -bg '#10141c' -e " .. nvim
  local steps = ("%s & sleep 5; import -window root -trim %s; kill $!"):format(terminal, shell.quote(picture))
  print(assert(shell.run(("%s xvfb-run -a -s '-screen 0 1280x720x24' sh -c %s"):format(variables(), shell.quote(steps)))))
elseif shell.run "test -t 0" then
  os.execute(variables() .. " " .. nvim)
else
  local show = "lua vim.wait(5000) for i, window in ipairs(vim.api.nvim_list_wins()) do io.write(i > 1 and table.concat("
    .. "vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(window), 0, -1, true), '\\n') .. '\\n\\n' or '') end"
  os.execute(("%s %s --headless -c %s -c 'qall!'"):format(variables(), nvim, shell.quote(show)))
end
p:stop()
