local release = "0.1.0" -- must be that of lua/aitoearn/init.lua; `make lint` looks

rockspec_format = "3.0"
package = "aitoearn"
version = release .. "-1"

-- The archive that `make dist` lays beside this file.
source = {
  url = "file://aitoearn-" .. release .. ".tar.gz",
  dir = "aitoearn-" .. release,
}

description = {
  summary = "Client for AiToEarn's publish records",
  detailed = [[
    Reads what became of a post: published, waiting, failed, and why. Blocks in a script, yields in
    nginx, Neovim, cqueues, copas and frame loops; retries, fails over and waits as the platform asks.]],
  license = "MIT",
  labels = { "http", "api", "client", "async", "nginx" },
}

supported_platforms = { "unix" }

dependencies = {
  "lua >= 5.1, < 5.5",
  "lua-cjson >= 2.1",
}

-- The library alone: curl/curl.h lies where the compiler, but not LuaRocks, looks for it on Debian.
external_dependencies = {
  CURL = { library = "curl" },
}

-- `make lint` holds this list against src/*.c and lua/**.
build = {
  type = "builtin",
  modules = {
    ["aitoearn"] = "lua/aitoearn/init.lua",
    ["aitoearn.base_url"] = "lua/aitoearn/base_url.lua",
    ["aitoearn.batch"] = "lua/aitoearn/batch.lua",
    ["aitoearn.calls"] = "lua/aitoearn/calls.lua",
    ["aitoearn.check"] = "lua/aitoearn/check.lua",
    ["aitoearn.client"] = "lua/aitoearn/client.lua",
    ["aitoearn.error"] = "lua/aitoearn/error.lua",
    ["aitoearn.fetch"] = "lua/aitoearn/fetch.lua",
    ["aitoearn.heap"] = "lua/aitoearn/heap.lua",
    ["aitoearn.host.blocking"] = "lua/aitoearn/host/blocking.lua",
    ["aitoearn.host.copas"] = "lua/aitoearn/host/copas.lua",
    ["aitoearn.host.cqueues"] = "lua/aitoearn/host/cqueues.lua",
    ["aitoearn.host.loop"] = "lua/aitoearn/host/loop.lua",
    ["aitoearn.host.luv"] = "lua/aitoearn/host/luv.lua",
    ["aitoearn.host.nginx"] = "lua/aitoearn/host/nginx.lua",
    ["aitoearn.host.nginx_pump"] = "lua/aitoearn/host/nginx_pump.lua",
    ["aitoearn.locate"] = "lua/aitoearn/locate.lua",
    ["aitoearn.options"] = "lua/aitoearn/options.lua",
    ["aitoearn.outage"] = "lua/aitoearn/outage.lua",
    ["aitoearn.pace"] = "lua/aitoearn/pace.lua",
    ["aitoearn.record"] = "lua/aitoearn/record.lua",
    ["aitoearn.retry"] = "lua/aitoearn/retry.lua",
    ["aitoearn.scheduler"] = "lua/aitoearn/scheduler.lua",
    ["aitoearn.site"] = "lua/aitoearn/site.lua",
    ["aitoearn.task"] = "lua/aitoearn/task.lua",
    ["aitoearn.types"] = "lua/aitoearn/types.lua",
    ["aitoearn.wait"] = "lua/aitoearn/wait.lua",
    ["aitoearn.core"] = {
      sources = {
        "src/constants.c",
        "src/core.c",
        "src/datetime.c",
        "src/deadlines.c",
        "src/engine.c",
        "src/envelope.c",
        "src/fail.c",
        "src/handle.c",
        "src/headers.c",
        "src/lua_engine.c",
        "src/lua_transfer.c",
        "src/poller.c",
        "src/random.c",
        "src/record.c",
        "src/sigpipe.c",
        "src/transfer.c",
        "src/url.c",
      },
      defines = { "_GNU_SOURCE" },
      libraries = { "curl" },
      incdirs = { "$(CURL_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)" },
    },
  },
}
