--- Photographs the command on a terminal: `screenshot.lua get|watch FILE.png`, against the local platform, under Xvfb.
--
-- Debian: xvfb xauth xterm imagemagick fonts-dejavu-core.
local platform = require "spec.platform"
local program = require "spec.command.program"
local shell = require "spec.platform.shell"

local command, picture = ...
assert(command == "get" or command == "watch", "get or watch expected")
local p = assert(platform.start { log = false })

local now = os.time()
local TITLES = {
  "Three spring looks in three minutes", "A morning in Hangzhou", "How we dye silk by hand", "Behind the scenes: the tea field",
  "One pan, five noodles", "Night market walk",
}
local ACCOUNTS = { "douyin", "youtube", "xhs", "instagram", "bilibili", "tiktok" }

local function ids(states)
  local records = {}
  for i, state in ipairs(states) do
    records[i] = state
    state.id = ("68b4c2d7e0%02x9a5%09x"):format(i * 37 % 256, i * 7919)
    state.title, state.accountType, state.type = TITLES[i], ACCOUNTS[i], "video"
  end
  return p:seed(records)
end

local function link(i) return "https://work.aitoearn.cn/w/73918465201736459" .. 20 + i end

local SCENES = {
  get = function()
    return "get " .. table.concat(ids {
      { status = 1, publishTime = now - 7200, workLink = link(1), linkStatus = "ready" },
      { status = 2, publishTime = now - 40 },
      { status = -1, publishTime = now - 3600, errorMsg = "no permission" },
      { status = 6, publishTime = now + 5400 },
      { status = 8, publishTime = now - 300 },
      { status = 1, publishTime = now - 86400 * 3, workLink = link(6), linkStatus = "ready" },
    }, " ")
  end,
  watch = function()
    p:settings { publishing = 4 }
    local list = ids {
      { status = 1, publishTime = now - 7200, workLink = link(1), linkStatus = "ready" },
      { publishTime = now, life = "life:0:3" },
      { publishTime = now, life = "life:0:40" },
      { publishTime = now + 90, life = "life:0:9" },
      { status = 8, publishTime = now - 300 },
      { publishTime = now - 30, life = "life:0:1" },
    }
    return "watch " .. table.concat(list, " ")
  end,
}

local words = SCENES[command]()
local shown = words:gsub("^(%a+ %S+).*", "%1 …")
local script = program.folder { ["scene.sh"] = table.concat({
  "export AITOEARN_SERVER=" .. p.cn.http .. " AITOEARN_API_KEY=" .. p.cn.key .. " LANG=C.UTF-8 LC_ALL=C.UTF-8",
  "printf '\\033[1;32m$\\033[0m aitoearn " .. shown .. "\\n'",
  program.command .. " " .. words,
  "sleep 20",
}, "\n") }
local terminal = "xterm -u8 -fa 'DejaVu Sans Mono' -fs 12 -geometry 104x10+0+0 -bw 0 -b 8 -bg '#10141c' -fg '#d5dae3' -e sh "
  .. script .. "/scene.sh"
local steps = ("%s & sleep %d; import -window root -trim %s; kill $!"):format(terminal, command == "get" and 5 or 9,
  shell.quote(picture))
print(assert(shell.run(("xvfb-run -a -s '-screen 0 1280x400x24' sh -c %s"):format(shell.quote(steps)))))
shell.run("rm -rf " .. script)
p:stop()
