--- Starts the local platform and the torture driver against it: `lua run.lua DRIVER [SCENE KIND MODE N]`.
local platform = require "spec.platform"
local shell = require "spec.platform.shell"

local p = assert(platform.start { log = false, workers = 2 })
local environment = {
  "TORTURE_DIR=" .. shell.quote(p.dir), "TORTURE_HTTP=" .. p.cn.http, "TORTURE_HTTPS=" .. p.cn.https,
  "TORTURE_CLOSED=" .. p.closed, "TORTURE_KEY=" .. p.cn.key, "TORTURE_CA=" .. p.ca_file,
}
local words = { table.concat(environment, " "), shell.quote(arg[1]), "spec/torture/life.lua" }
for i = 2, #arg do words[#words + 1] = shell.quote(arg[i]) end
local ok = os.execute(table.concat(words, " "))
p:stop()
os.exit(ok == true or ok == 0)
