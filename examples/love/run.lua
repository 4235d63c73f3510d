--- Opens the scene with records of the local platform: `run.lua`; `run.lua FILE.png [SECONDS]` photographs it under Xvfb.
--
-- Debian: love; for the picture xvfb xauth as well.
local platform = require "spec.platform"
local shell = require "spec.platform.shell"

local picture, seconds = ...
local root = assert(shell.run "pwd")
local p = assert(platform.start { log = false })

local words = {
  "env -u LUA_PATH_5_1 -u LUA_CPATH_5_1",
  "LUA_PATH=" .. shell.quote(root .. "/lua/?.lua;" .. root .. "/lua/?/init.lua;;"),
  "LUA_CPATH=" .. shell.quote(root .. "/build/5.1/?.so;;"),
  "AITOEARN_SERVER=" .. p.cn.http,
  "AITOEARN_API_KEY=" .. p.cn.key,
  "AITOEARN_LOVE_FAST=1",
}
if picture then
  words[#words + 1] = "AITOEARN_LOVE_PICTURE=" .. shell.quote(picture)
  words[#words + 1] = "AITOEARN_LOVE_SECONDS=" .. (tonumber(seconds) or 7)
  words[#words + 1] = "xvfb-run -a -s '-screen 0 960x540x24'"
end
words[#words + 1] = "love " .. shell.quote(root .. "/examples/love")

-- Some wait long, some publish long, some fail; one needs a person.
local fresh = os.time()
for i = 1, 29 do
  local ending = i % 9 == 5 and ":-1" or ""
  words[#words + 1] = ("'life:%.1f:%.1f%s~%d-%d'"):format(i * 7 % 10 / 1.2, 1 + i * 3 % 11 / 2.2, ending, fresh, i)
end
words[#words + 1] = ("'status:8~%d'"):format(fresh)

local command = table.concat(words, " ")
if picture then
  print(assert(shell.run(command)))
else
  os.execute(command)
end
p:stop()
