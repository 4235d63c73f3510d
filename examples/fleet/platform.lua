--- Runs the local platform for the fleet to ask, until Ctrl-C, and prints how: no key and no internet needed.
local folder = arg[0]:match "^(.*/)" or ""
package.path = ("%s../../?.lua;%s../../?/init.lua;%s"):format(folder, folder, package.path)
local platform = require "spec.platform"
platform.root = folder .. "../.."

local p = assert(platform.start { log = false })
print(("export AITOEARN_SERVER=%s AITOEARN_API_KEY=%s"):format(p.cn.http, p.cn.key))
io.stdout:flush()
os.execute "cat >/dev/null" -- until the end of the input
p:stop()
