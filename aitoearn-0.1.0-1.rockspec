local release = "0.1.0" -- must be that of lua/aitoearn/init.lua; `make lint` looks

-- Where this is published. Once it is, homepage, issues and maintainer follow from this line.
local home = nil -- "https://example.org/aitoearn-lua"

rockspec_format = "3.0"
package = "aitoearn"
version = release .. "-1"

-- The archive that `make dist` lays beside this file.
source = {
  url = "file://aitoearn-" .. release .. ".tar.gz",
  dir = "aitoearn-" .. release,
}

description = {
  summary = "Client for the AiToEarn publishing platform",
  detailed = [[
    Fetches publish records, waits until a post is live, and publishes, with retries and server
    selection. Blocks in a script, yields in nginx, Neovim, cqueues, copas and frame loops. Brings
    the command aitoearn, which needs argparse.]],
  license = "MIT",
  homepage = home,
  issues_url = home and home .. "/issues",
  maintainer = home and "see " .. home,
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

-- The Makefile knows the files, and builds with the same hardening as everywhere, into build/.
build = {
  type = "make",
  variables = {
    LUA = "$(LUA)",
    CFLAGS = "$(CFLAGS)",
    LUA_CFLAGS = "-I$(LUA_INCDIR)",
    CURL_CFLAGS = "-I$(CURL_INCDIR)",
    CURL_LIBS = "-L$(CURL_LIBDIR) -lcurl",
  },
  install_variables = {
    LUADIR = "$(LUADIR)",
    LIBDIR = "$(LIBDIR)",
    BINDIR = "$(BINDIR)",
    MANDIR = "$(PREFIX)/doc/man",
  },
}
