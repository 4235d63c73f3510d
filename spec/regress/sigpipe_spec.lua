--- Before libcurl 7.88 the end of an idle TLS connection could end the program: its goodbye raised SIGPIPE.
local forwarder = require "spec.forwarder"
local helper = require "spec.helper"
local shell = require "spec.platform.shell"
local socket = require "socket"

describe("a TLS connection that ended while it was idle", function()
  local p
  setup(function() p = helper.start() end)
  teardown(helper.stop)

  -- A program of its own, since LuaSocket has SIGPIPE ignored here. It calls, waits for the end, and calls or closes.
  local PROGRAM = [[
    package.path, package.cpath = %q, %q
    local dir = %q
    local client = require("aitoearn").new { server = %q, ca_file = %q, api_key = %q, proxy = "", retry = false, http2 = %s }
    local function touch(name) io.open(dir .. "/" .. name, "w"):close() end
    local function wait_for(name)
      repeat local file = io.open(dir .. "/" .. name) until file
    end
    print(client:get_record("ok"))
    touch "called"
    wait_for "ended"
    %s
    print "survived"
  ]]

  local function run(http2, ending, then_do)
    local wire = forwarder.start(p.ports.cn_https)
    local dir = shell.run "mktemp -d"
    shell.write(dir .. "/program.lua", PROGRAM:format(package.path, package.cpath, dir,
      "https://127.0.0.1:" .. wire.port, p.ca_file, p.cn.key, tostring(http2), then_do))
    shell.run(("{ env --default-signal=PIPE %s %s/program.lua >%s/output 2>&1; echo \"status $?\" >%s/status; } "
      .. "</dev/null >/dev/null 2>&1 &"):format(shell.quote(arg and arg[-1] or "lua"), dir, dir, dir))
    local ended
    local limit = socket.gettime() + 10
    while (shell.read(dir .. "/status") or "") == "" and socket.gettime() < limit do
      wire.step()
      socket.sleep(0.001)
      if not ended and shell.read(dir .. "/called") then
        wire[ending]()
        ended = true
        socket.sleep(0.05)
        shell.write(dir .. "/ended", "")
      end
    end
    wire.stop()
    local output, status = shell.read(dir .. "/output"), shell.read(dir .. "/status")
    shell.run("rm -r " .. dir)
    assert.equal("status 0\n", status, output)
    assert.truthy(output:find "survived\n$", output)
  end

  for _, http2 in ipairs { true, false } do
    for _, ending in ipairs { "finish", "reset" } do
      it(("by %s does not end the program, HTTP/%s"):format(ending == "finish" and "FIN" or "RST", http2 and 2 or 1), function()
        run(http2, ending, "print(client:get_record 'ok')")
        run(http2, ending, "client:close()")
        run(http2, ending, "client = nil collectgarbage() collectgarbage()")
      end)
    end
  end
end)
