--- `response`, `headers`, `cert_file`, `http2`, the CA file and the log of the environment, in each host's own program.
local outside = require "spec.host.outside"
local platform = require "spec.platform"
local server = require "spec.host.nginx.server"
local shell = require "spec.platform.shell"

local EXPECTED = {
  plain = "record 200 1.1 1", https = "record 200 2 1", http1 = "record 200 1.1 1", failed = "api 200 2 1",
  retried = "record 200 1.1 2", headers = "record 200 1.1 1", site_headers = "record 200 1.1 1",
  certificate = "record 200 2 1", no_certificate = "http 400 2 1", site_certificate = "record 200 2 1",
  other_ca = "tls nil nil 1",
}

-- Each variable that names the CA file, with those that it goes before.
local CA_VARIABLES = {
  AITOEARN_CA_FILE = { "SSL_CERT_FILE", "CURL_CA_BUNDLE" }, SSL_CERT_FILE = { "CURL_CA_BUNDLE" }, CURL_CA_BUNDLE = {},
}

local LOOP = " spec/host/loops/answers.lua"
local NEOVIM = "nvim --headless -u NONE -i NONE -c 'luafile spec/host/loops/answers.lua' -c 'qa!'"
local COPAS = "luajit -e 'package.loaded.timerwheel = require \"spec.host.copas.timerwheel\" "
  .. "assert(require(\"copas\")._VERSION:find \"^Copas [4-9]\")'"

local HOSTS = {
  { name = "a script of Lua 5.4", command = "lua5.4" .. LOOP, abi = "5.4", loop = "blocking" },
  { name = "a script of LuaJIT", command = "luajit" .. LOOP, abi = "5.1", loop = "blocking" },
  { name = "luv", command = "lua5.4" .. LOOP, abi = "5.4", loop = "luv" },
  { name = "cqueues", command = "lua5.4" .. LOOP, abi = "5.4", loop = "cqueues" },
  { name = "copas", command = "luajit" .. LOOP, abi = "5.1", loop = "copas", needs = COPAS },
  { name = "Neovim", command = NEOVIM, abi = "5.1", loop = "neovim", logs_to = "folder" },
  { name = "LÖVE", command = "xvfb-run -a -s '-screen 0 960x540x24' love spec/host/love_answers", abi = "5.1", loop = "" },
  { name = "a loop of one's own", command = "lua5.4" .. LOOP, abi = "5.4", loop = "custom" },
  { name = "nginx", nginx = true },
}

describe("answers and the environment", function()
  local p, runs = nil, 0
  setup(function() p = assert(platform.start()) end)
  teardown(function() p:stop() end)
  before_each(function() p:forget() end)

  local function place()
    runs = runs + 1
    return { http = p.cn.http, https = p.cn.https, client_cert = p.client_cert, certs = p.dir .. "/certs", key = p.cn.key,
      run = tostring(runs) }
  end

  local function run_program(env, where, host)
    local folder = assert(shell.run "mktemp -d")
    for name, value in pairs(where) do env["AITOEARN_SPEC_" .. name:upper()] = value end
    env.AITOEARN_SPEC_LOOP, env.XDG_CACHE_HOME, env.XDG_STATE_HOME = host.loop, folder, folder
    local said = outside.run { command = host.command, abi = host.abi, platform = p, env = env }
    local log = said.output
    if host.logs_to == "folder" then
      log = shell.run(("find %s -name aitoearn.log -exec cat {} +"):format(shell.quote(folder))) or ""
      assert.falsy(said.output:find("done", 1, true), said.output) -- the screen is the user's
    end
    shell.run("rm -rf " .. shell.quote(folder))
    assert.same({ "ok", "yes" }, { said.status, said.finished }, said.output)
    return said, log
  end

  local function run_nginx(env, where)
    local names = ""
    for name in pairs(env) do names = names .. "env " .. name .. ";\n" end
    local words = ""
    for name, value in pairs(where) do words = words .. ("%s = %q, "):format(name, value) end
    env.AITOEARN_API_KEY, names = p.cn.key, names .. "env AITOEARN_API_KEY;"
    local n = server.start(p, { main = names, env = env })
    local said = n:run(([[return require "spec.host.answers"(aitoearn.new, function(client, id, opts)
      return client:get_record(id, opts)
    end, { %s })]]):format(words))
    local log = shell.read(n.dir .. "/error.log")
    n:stop()
    return said, log
  end

  for _, host in ipairs(HOSTS) do
    local is_here = not host.needs or shell.run(outside.paths(host.abi) .. " " .. host.needs)
    for variable, later in pairs(CA_VARIABLES) do
      local name = ("are as the options and %s say in %s"):format(variable, host.name)
      if is_here then
        it(name, function()
          local env = { AITOEARN_LOG = "info", AITOEARN_CA_FILE = "", SSL_CERT_FILE = "", CURL_CA_BUNDLE = "" }
          env[variable] = p.ca_file
          for _, other in ipairs(later) do env[other] = "/nowhere" end
          local where = place()
          local said, log = (host.nginx and run_nginx or run_program)(env, where, host)
          local outcomes = {}
          for call in pairs(EXPECTED) do outcomes[call] = said[call] end
          assert.same(EXPECTED, outcomes)
          for call in pairs(EXPECTED) do
            assert.truthy(log:find(("done [^\n]*~%s%%-%s "):format(call, where.run)), call .. " in: " .. log)
          end
          assert.truthy(log:find("retry ", 1, true), log)
          assert.falsy(log:find("attempt elapsed", 1, true) or log:find(p.cn.key, 1, true), log)
          local sent = {}
          for _, request in ipairs(p:requests()) do
            local call = request.uri:match "~([%a_]+%d?)%-"
            sent[call] = { request.x_spec, request.client_cert ~= "NONE" and request.client_cert or nil }
          end
          assert.same({ { "the client's" }, { "the site's" } }, { sent.headers, sent.site_headers })
          assert.equal("SUCCESS", sent.certificate[2])
          assert.equal("SUCCESS", sent.site_certificate[2])
          assert.is_nil(sent.other_ca)
        end)
      else
        pending(name .. ", which needs copas 4")
      end
    end
  end
end)
