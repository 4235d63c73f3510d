# aitoearn for Lua. `make help` lists what can be done.

# ---- What may be set on the command line ------------------------------------------------------
# The Lua to build for: 5.4, 5.3 or 5.1; `make LUA=luajit test` runs LuaJIT, which has the ABI of 5.1.
LUA_VERSION ?= $(if $(findstring luajit,$(value LUA)),5.1,5.4)
LUA ?= lua$(LUA_VERSION)
PREFIX ?= /usr/local
# One folder per ABI, since a module built for one Lua crashes in another.
BUILD ?= build/$(LUA_VERSION)
# The folders, or single files, that `make test` runs.
SPEC ?= $(wildcard spec/unit spec/platform spec/integration spec/regress)
# Busted's Lua script; LuaRocks's `busted` is a shell script around the real one.
BUSTED ?= $$(command -v busted)
CFLAGS ?= -O2 -g
HARDENING ?= -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
# Asked when a recipe needs them and not before, since `deps` may have only just installed them.
CURL_CFLAGS ?= $(shell pkg-config --cflags libcurl)
CURL_LIBS ?= $(shell pkg-config --libs libcurl)
LUA_CFLAGS ?= $(shell for name in $(LUA_LIBRARY); do pkg-config --cflags $$name 2>/dev/null && break; done)
LUA_LIBS ?= $(shell for name in $(LUA_LIBRARY); do pkg-config --libs $$name 2>/dev/null && break; done)

# ---- What follows from it ---------------------------------------------------------------------
VERSION := $(shell sed -n 's/^local VERSION = "\(.*\)"$$/\1/p' lua/aitoearn/init.lua 2>/dev/null)
ROCKSPEC := aitoearn-$(VERSION)-1.rockspec
C_FILES := $(wildcard src/*.c)
LUA_FILES := $(wildcard lua/aitoearn/*.lua lua/aitoearn/*/*.lua)
OBJECTS := $(C_FILES:src/%.c=$(BUILD)/obj/%.o)
MODULE := $(BUILD)/aitoearn/core.so

WARNINGS = -Wall -Wextra -Wpedantic $(if $(filter-out 0 false,$(CI) $(WERROR)),-Werror)
COMPILE = -std=c99 -D_GNU_SOURCE -fPIC $(WARNINGS) $(HARDENING) \
  $(LUA_CFLAGS) $(CURL_CFLAGS) $(CPPFLAGS) $(CFLAGS)
ifeq ($(shell uname -s),Darwin)
LINK = -bundle -undefined dynamic_lookup
else
LINK = -shared -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
endif

# Runs a Lua program on this checkout. LUA_PATH_5_4 and its like would hide LUA_PATH: they are joined to it.
SUFFIX := _$(subst .,_,$(LUA_VERSION))
RUN_ENV = env -u LUA_PATH$(SUFFIX) -u LUA_CPATH$(SUFFIX) \
  LUA_PATH="./lua/?.lua;./lua/?/init.lua;./?.lua;./?/init.lua;$${LUA_PATH$(SUFFIX)-$$LUA_PATH};;" \
  LUA_CPATH="$(BUILD)/?.so;$${LUA_CPATH$(SUFFIX)-$$LUA_CPATH};;"
RUN = $(RUN_ENV) $(LUA)

LMOD = $(DESTDIR)$(PREFIX)/share/lua/$(LUA_VERSION)
CMOD = $(DESTDIR)$(PREFIX)/lib/lua/$(LUA_VERSION)

.DELETE_ON_ERROR:
.PHONY: all help deps lint-deps host-deps test test-hosts demo bench bench-nginx lint install uninstall clean dist
.PHONY: example-nginx example-neovim example-love screenshots asan valgrind torture fuzz faults soak instructions docs

# ---- Building ---------------------------------------------------------------------------------
all: $(MODULE) ## build the C module for LUA_VERSION (5.4) into build/
	@:

$(BUILD)/obj/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(COMPILE) -MMD -MP -c -o $@ $<

$(MODULE): $(OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(LINK) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CURL_LIBS)

-include $(OBJECTS:.o=.d)

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' Makefile
	@echo 'Variables: LUA_VERSION, LUA, SPEC, PREFIX, DESTDIR, CC, CFLAGS, CPPFLAGS, LDFLAGS, WERROR=1; see the Makefile.'

# ---- What is needed ---------------------------------------------------------------------------
# Each as PROBE=PACKAGE: how to see that it is there, and the Debian package that brings it. A probe is a command,
# or header/FILE, library/PKG_CONFIG_NAME (or several: any of them), module/LUA_MODULE, jit/MODULE_FOR_LUAJIT,
# lua5.3/MODULE_FOR_LUA_5_3, nginx/NGINX_MODULE, clang/RUNTIME_LIBRARY.
COMMA := ,
SPACE := $(subst ,, )
NAME := $(subst .,,$(LUA_VERSION))
LUA_LIBRARY = lua$(LUA_VERSION) lua-$(LUA_VERSION) lua$(NAME) $(if $(findstring luajit,$(LUA)),luajit)
COMPILER = $(firstword $(CC))
BUILD_NEEDS = $(COMPILER)=$(if $(filter cc,$(COMPILER)),gcc,$(COMPILER)) header/stdio.h=libc6-dev \
  pkg-config=pkg-config library/libcurl=libcurl4-openssl-dev \
  library/$(subst $(SPACE),$(COMMA),$(strip $(LUA_LIBRARY)))=liblua$(LUA_VERSION:5.1=5.1-0)-dev
RUN_NEEDS = $(LUA)=$(LUA:luajit=luajit2) module/cjson=lua-cjson
TEST_NEEDS = busted=lua-busted module/busted=lua-busted module/socket=lua-socket module/argparse=lua-argparse nginx=nginx \
  nginx/ngx_http_lua_module=libnginx-mod-http-lua openssl=openssl curl=curl tinyproxy=tinyproxy-bin
HOST_NEEDS = lua5.4=lua5.4 lua5.3=lua5.3 lua5.1=lua5.1 luajit=luajit2 jit/luv=lua-luv jit/cqueues=lua-cqueues \
  jit/copas=lua-copas jit/posix=lua-posix nvim=neovim love=love xvfb-run=xvfb xauth=xauth
LINT_NEEDS = gcc=gcc clang=clang clang-tidy=clang-tidy cppcheck=cppcheck luacheck=lua-check luarocks=luarocks

# $(call need,NEEDS): installs what is missing of them on Debian and its like, and says what is missing elsewhere.
# SYSTEMD_OFFLINE and RUNLEVEL keep the nginx package from starting a web server on port 80, update-rc.d
# keeps it from doing so at the next start of the machine. Nothing is ever removed.
define need
@PATH="$$PATH:/usr/sbin:/sbin"; \
have() { \
  case $$1 in \
    header/*) echo "#include <$${1#*/}>" | $(CC) -E - ;; \
    library/*) for name in $$(echo $${1#*/} | tr , ' '); do pkg-config --exists $$name && return; done; false ;; \
    module/*) $(RUN) -e "require '$${1#*/}'" ;; \
    jit/*) luajit -e "require '$${1#*/}'" ;; \
    lua5.3/*) env -u LUA_PATH -u LUA_CPATH lua5.3 -e "require '$${1#*/}'" ;; \
    clang/*) ls "$$(clang -print-resource-dir)"/lib/*/libclang_rt.$${1#*/}* ;; \
    nginx/*) flags=$$(nginx -V 2>&1); folder=$${flags##*--modules-path=}; \
      test -e "$${folder%% *}/$${1#*/}.so" || case $$flags in *ngx_lua*) ;; *) false ;; esac ;; \
    *) command -v $$1 ;; \
  esac >/dev/null 2>&1; \
}; \
look() { missing=; packages=; for need in $(1); do have $${need%=*} || { \
  missing="$$missing $${need%=*}"; packages="$$packages $${need#*=}"; }; done; }; \
look; test -n "$$missing" || exit 0; \
command -v apt-get >/dev/null || { echo "Please install what is missing:$$missing" >&2; exit 1; }; \
as_root=; test "$$(id -u)" = 0 || as_root=sudo; \
packages=$$(printf '%s\n' $$packages | sort -u | tr '\n' ' '); \
echo "Missing:$$missing. Installing: $$packages"; \
command -v $${as_root:-env} >/dev/null || { echo "As root, please: apt-get install $$packages" >&2; exit 1; }; \
apt() { $$as_root env DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 RUNLEVEL=1 \
  apt-get -qq -o Dpkg::Use-Pty=0 "$$@" </dev/null; }; \
apt update && apt install -y --no-install-recommends --no-remove $$packages || exit 1; \
case " $$packages" in *' nginx '*) $$as_root update-rc.d nginx disable ;; esac; \
look; test -z "$$missing" || { echo "Still missing:$$missing" >&2; exit 1; }
endef

deps: ## install what building and testing need (Debian, Ubuntu; elsewhere: say what is missing)
	$(call need,$(BUILD_NEEDS) $(RUN_NEEDS) $(TEST_NEEDS))

lint-deps:
	$(call need,$(BUILD_NEEDS) $(RUN_NEEDS) $(LINT_NEEDS))

# ---- Running ----------------------------------------------------------------------------------
# `all` is made by a second make, which sees what `deps` has installed.
ALL = @$(MAKE) --no-print-directory all

# $(call busted,SPECS[,COMMAND]): runs them, under a command such as valgrind, and says at the end how many passed. A
# crash, at the very end too, is a failure, and so is a run without a test.
define busted
@mkdir -p $(BUILD)
@{ $(RUN_ENV) $(2) $(LUA) "$(BUSTED)" --output=plainTerminal --lang=en $(or $(1),$(error no specs to run)); \
  echo $$? >$(BUILD)/test.status; } 2>&1 | tee $(BUILD)/test.log
@awk -v status="$$(cat $(BUILD)/test.status)" ' \
  /^[0-9]+ success[a-z]* \/ [0-9]+ failure[a-z]* \/ [0-9]+ error[a-z]* \/ [0-9]+ pending/ { \
    seen = 1; passed += $$1; failed += $$4 + $$7; skipped += $$10 } \
  END { \
    if (!seen || (status != 0 && !failed)) { failed++; print "busted broke off with status " status } \
    if (passed + failed == 0) print "no test ran"; \
    print passed + 0 " passed, " failed + 0 " failed" (skipped ? ", " skipped " skipped" : ""); \
    exit failed > 0 || !passed }' $(BUILD)/test.log
endef

test: deps ## run the specs; one alone: make test SPEC=spec/unit/retry_spec.lua
	$(ALL)
	$(call busted,$(SPEC))

# The whole suite under each Lua, then the hosts' own programs, which load the builds for 5.4 and 5.1.
host-deps: deps
	$(call need,$(HOST_NEEDS))

test-hosts: host-deps ## run the specs under Lua 5.4, 5.3, 5.1 and LuaJIT, and those of every host
	@for lua in lua5.4 lua5.3 lua5.1 luajit; do \
	  echo "== $$lua"; \
	  $(MAKE) --no-print-directory test LUA=$$lua LUA_VERSION=$$(echo $${lua#lua} | sed s/jit/5.1/) || exit 1; done
	@echo '== hosts'
	@$(MAKE) --no-print-directory test SPEC=spec/host

demo: deps ## see it work against the local platform, without a key or the internet
	$(ALL)
	@$(RUN) examples/demo.lua

BENCH_NEEDS = module/ssl=lua-sec lua5.3=lua5.3 lua5.3/http.version=lua-http lua5.3/cjson=lua-cjson bash=bash

bench: deps ## measure it, beside libcurl, lua-cjson and other clients; README=1 renews the README's table and plot
	$(call need,$(BENCH_NEEDS))
	$(ALL)
	@$(if $(README),BENCH_README=README.md) $(RUN) spec/bench/run.lua

bench-nginx: deps ## measure it inside nginx, beside proxy_pass
	$(call need,wrk=wrk)
	$(ALL)
	@$(MAKE) --no-print-directory LUA_VERSION=5.1 all
	@$(RUN) spec/bench/nginx.lua

# The hosts' example programs, against the local platform. They load the build for 5.1.
example-nginx: deps ## a JSON endpoint, a timer and a health page in nginx
	$(ALL)
	@$(MAKE) --no-print-directory LUA_VERSION=5.1 all
	@$(RUN) examples/nginx/run.lua

example-neovim: deps ## the Neovim plugin
	$(call need,nvim=neovim)
	$(ALL)
	@$(MAKE) --no-print-directory LUA_VERSION=5.1 all
	@$(RUN) examples/neovim/run.lua

example-love: deps ## the LÖVE scene
	$(call need,love=love)
	$(ALL)
	@$(MAKE) --no-print-directory LUA_VERSION=5.1 all
	@$(RUN) examples/love/run.lua

screenshots: deps ## take the pictures in the README anew
	$(call need,nvim=neovim love=love xvfb-run=xvfb xauth=xauth xterm=xterm import=imagemagick)
	$(ALL)
	@$(MAKE) --no-print-directory LUA_VERSION=5.1 all
	@$(RUN) examples/neovim/run.lua examples/neovim/screenshot.png
	@$(RUN) examples/love/run.lua examples/love/screenshot.png

# ---- Checking ---------------------------------------------------------------------------------
# What the rockspec lists, one file a line, each module's name checked against its path.
ROCKSPEC_FILES = dofile "$(ROCKSPEC)" \
  for name, files in pairs(build.modules) do \
    local path = "lua/" .. name:gsub("%.", "/") \
    assert(type(files) == "table" or files == path .. ".lua" or files == path .. "/init.lua", name) \
    print(type(files) == "table" and table.concat(files.sources, "\n") or files) \
  end

# The sanitizers stop a program at the first thing they find.
SANITIZED = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
SANITIZED_BUILD = build/asan-$(LUA_VERSION)

asan: private BUILD = $(SANITIZED_BUILD)
asan: private LUA = $(SANITIZED_BUILD)/lua
asan: deps ## run the specs under ASan, UBSan and LeakSanitizer, with a collector that never rests
	@$(MAKE) --no-print-directory BUILD=$(BUILD) CFLAGS='$(SANITIZED)' HARDENING= all
	$(CC) $(SANITIZED) $(WARNINGS) $(LUA_CFLAGS) -o $(LUA) spec/asan/lua.c $(LUA_LIBS)
	$(call busted,$(SPEC),ASAN_OPTIONS=quarantine_size_mb=1:thread_local_quarantine_size_kb=64)

# What the collector has not collected yet when a spec ends the process is no leak: "possible" ones do not count.
VALGRIND = valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
  --show-leak-kinds=definite --num-callers=30

valgrind: deps ## run the integration specs under valgrind
	$(call need,valgrind=valgrind)
	$(ALL)
	$(call busted,spec/integration,$(VALGRIND))

torture: deps ## let every allocation fail in turn; TORTURE_LIMIT=n: at most n a scene (0: all)
	$(CC) -std=c99 -D_GNU_SOURCE $(SANITIZED) $(WARNINGS) $(LUA_CFLAGS) $(CURL_CFLAGS) -include spec/torture/alloc.h \
	  -o $(BUILD)/torture $(C_FILES) spec/torture/driver.c $(LUA_LIBS) $(CURL_LIBS)
	@LSAN_OPTIONS=suppressions=spec/torture/suppressions:print_suppressions=0 $(RUN) spec/torture/run.lua $(BUILD)/torture $(SCENE)

SECONDS ?= 60
FUZZED = clang -std=c99 -D_GNU_SOURCE -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined

# New inputs go into build/fuzz; the corpus that is checked in stays as it is. A crash is kept there too: make a spec of it.
fuzz: deps ## fuzz the decoder and the reading of headers and dates, for SECONDS (60) in all; SEED=n: always the same
	$(call need,clang=clang clang/fuzzer=libclang-rt-dev)
	@mkdir -p build/fuzz/decode build/fuzz/headers
	$(FUZZED) $(LUA_CFLAGS) $(CURL_CFLAGS) -o build/fuzz/decode.run $(C_FILES) spec/fuzz/decode.c $(LUA_LIBS) $(CURL_LIBS)
	$(FUZZED) $(LUA_CFLAGS) $(CURL_CFLAGS) -Isrc -o build/fuzz/headers.run src/headers.c src/datetime.c \
	  spec/fuzz/headers.c $(LUA_LIBS) $(CURL_LIBS)
	@for part in decode headers; do \
	  $(RUN_ENV) build/fuzz/$$part.run -max_total_time=$$(( ($(SECONDS) + 1) / 2 )) $(if $(SEED),-seed=$(SEED)) -timeout=10 -max_len=8192 \
	    -dict=spec/fuzz/$$part.dict -artifact_prefix=build/fuzz/$$part- build/fuzz/$$part spec/fuzz/corpus/$$part || exit 1; done

FAULT_NEEDS = unshare=util-linux mount=mount ip=iproute2 tc=iproute2 nft=nftables

faults: deps ## the faults of the network, at every point of a call (as root); README=1 renews the README's table
	$(call need,$(FAULT_NEEDS))
	$(ALL)
	@$(RUN) spec/faults/run.lua $(if $(README),--readme README.md)

soak: deps ## CALLS (100,000) calls with 5 % faults; then nothing may have grown, or be missing
	$(ALL)
	@$(if $(CALLS),CALLS=$(CALLS)) $(RUN) spec/soak/run.lua

instructions: deps ## hold the instructions of a call against spec/bench/instructions.txt; UPDATE=1 writes that anew
	$(call need,valgrind=valgrind)
	$(ALL)
	@$(RUN) spec/bench/instructions.lua $(if $(UPDATE),--update)

lint: lint-deps ## static checks, both compilers with every warning, the rockspec
	luacheck --quiet $(wildcard lua spec examples) .busted .luacheckrc $(ROCKSPEC)
	cppcheck --quiet --error-exitcode=1 --std=c99 --enable=warning,performance,portability \
	  --inline-suppr --suppress=missingIncludeSystem -D_GNU_SOURCE src
	clang-tidy --quiet $(C_FILES) -- $(COMPILE)
	@$(MAKE) --no-print-directory CC=gcc WERROR=1 BUILD=build/lint/gcc-$(LUA_VERSION) all
	@$(MAKE) --no-print-directory CC=clang WERROR=1 BUILD=build/lint/clang-$(LUA_VERSION) all
	test "$$(nm -D --defined-only build/lint/gcc-$(LUA_VERSION)/aitoearn/core.so | awk '{ print $$NF }')" = luaopen_aitoearn_core
	luarocks lint $(ROCKSPEC)
	@echo 'the rockspec lists src/*.c and lua/**'
	@printf '%s\n' $(C_FILES) $(LUA_FILES) | sort >build/lint/files
	@$(LUA) -e '$(ROCKSPEC_FILES)' | sort | diff -u build/lint/files -

# ---- Installing and handing on ----------------------------------------------------------------
install: all ## install below PREFIX (/usr/local), for LUA_VERSION
	install -d "$(LMOD)/aitoearn/host" "$(CMOD)/aitoearn"
	install -m 644 $(wildcard lua/aitoearn/*.lua) "$(LMOD)/aitoearn"
	install -m 644 $(wildcard lua/aitoearn/host/*.lua) "$(LMOD)/aitoearn/host"
	install -m 755 $(MODULE) "$(CMOD)/aitoearn"

uninstall: ## remove what install put there
	rm -f $(LUA_FILES:lua/%="$(LMOD)"/%) "$(CMOD)/aitoearn/core.so"
	@for folder in "$(LMOD)/aitoearn/host" "$(LMOD)/aitoearn" "$(CMOD)/aitoearn"; do \
	  rmdir "$$folder" 2>/dev/null || :; done

clean: ## remove build/
	rm -rf build

docs: deps ## the reference as HTML, in build/docs/html
	$(call need,ldoc=lua-ldoc lua5.1=lua5.1)
	@$(RUN) spec/docs/run.lua build/docs

dist: ## pack the last commit: source archive and source rock, in build/
	$(call need,zip=zip)
	mkdir -p build
	git archive --prefix=aitoearn-$(VERSION)/ --output=build/aitoearn-$(VERSION).tar.gz HEAD
	git show HEAD:$(ROCKSPEC) >build/$(ROCKSPEC)
	cd build && zip -q $(ROCKSPEC:rockspec=src.rock) $(ROCKSPEC) aitoearn-$(VERSION).tar.gz
