# aitoearn for Lua. `make help` lists what can be done.

# ---- What may be set on the command line ------------------------------------------------------
# The Lua to build for: 5.4, 5.3 or 5.1, or that of LUA; `make LUA=luajit test` runs LuaJIT, which has the ABI of 5.1.
ifndef LUA_VERSION
LUA_VERSION := $(or $(if $(LUA),$(shell $(LUA) -e 'io.write(_VERSION:match "%d.%d")' 2>/dev/null)),$(if $(findstring \
  luajit,$(LUA)),5.1,5.4))
endif
LUA ?= lua$(LUA_VERSION)
PREFIX ?= /usr/local
LUADIR = $(PREFIX)/share/lua/$(LUA_VERSION)
LIBDIR = $(PREFIX)/lib/lua/$(LUA_VERSION)
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
# One folder per ABI, since a module built for one Lua crashes in another.
BUILD ?= build/$(LUA_VERSION)
# The folders, or single files, that `make test` runs.
SPEC ?= $(wildcard spec/unit spec/platform spec/integration spec/regress spec/command spec/testing spec/share)
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
LUA_FILES := $(shell find lua/aitoearn -name '*.lua' 2>/dev/null | sort)
OBJECTS := $(C_FILES:src/%.c=$(BUILD)/obj/%.o)
MODULE := $(BUILD)/aitoearn/core.so

WARNINGS = -Wall -Wextra -Wpedantic $(if $(filter-out 0 false,$(CI) $(WERROR)),-Werror)
COMPILE = -std=c99 -D_GNU_SOURCE -fPIC $(WARNINGS) $(HARDENING) $(LUA_CFLAGS) $(CURL_CFLAGS) $(CPPFLAGS) $(CFLAGS)
ifeq ($(shell uname -s),Darwin)
LINK = -bundle -undefined dynamic_lookup
else
LINK = -shared -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
endif

# Runs a Lua program on this checkout. LUA_PATH_5_4 and its like would hide LUA_PATH: they are joined to it. Specs that
# run another Lua find the caller's own paths in SPEC_LUA_PATH and SPEC_LUA_CPATH.
SUFFIX := _$(subst .,_,$(LUA_VERSION))
RUN_ENV = env -u LUA_PATH$(SUFFIX) -u LUA_CPATH$(SUFFIX) SPEC_LUA_PATH="$$LUA_PATH" SPEC_LUA_CPATH="$$LUA_CPATH" \
  LUA_PATH="./lua/?.lua;./lua/?/init.lua;./?.lua;./?/init.lua;$${LUA_PATH$(SUFFIX)-$$LUA_PATH};;" \
  LUA_CPATH="$(BUILD)/?.so;$${LUA_CPATH$(SUFFIX)-$$LUA_CPATH};;"
RUN = $(RUN_ENV) $(LUA)
QUIET = $(MAKE) --no-print-directory
ALL = @$(QUIET) all
BOTH = @$(QUIET) all && $(QUIET) LUA=lua5.1 LUA_VERSION=5.1 all

.DELETE_ON_ERROR:
.PHONY: all help deps test-deps test test-no-epoll test-hosts test-distros demo bench bench-nginx lint \
  install uninstall clean dist screenshots asan valgrind torture fuzz faults soak instructions docs

# ---- Building ---------------------------------------------------------------------------------
all: $(MODULE) ## build the C module for LUA_VERSION (5.4) into build/
	@:

$(BUILD)/obj/%.o: src/%.c Makefile | $(BUILD)/needs
	@mkdir -p $(@D)
	$(CC) $(COMPILE) -MMD -MP -c -o $@ $<

$(MODULE): $(OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(LINK) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CURL_LIBS)

# What is missing is said in words, before the compiler says it in its own.
$(BUILD)/needs: .ci/need
	@$(NEED) --look build && mkdir -p $(@D) && touch $@

-include $(OBJECTS:.o=.d)

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' Makefile
	@echo 'Variables: LUA_VERSION, LUA, SPEC, PREFIX, DESTDIR, CC, CFLAGS, CPPFLAGS, LDFLAGS, WERROR=1; see the Makefile.'

# ---- What is needed: .ci/need has the lists ----------------------------------------------------
LUA_LIBRARY = $(if $(findstring luajit,$(LUA)),luajit) lua$(LUA_VERSION) lua-$(LUA_VERSION) lua$(subst .,,$(LUA_VERSION))
GIVEN = $(foreach name,CURL_CFLAGS LUA_CFLAGS,$(if $(filter-out file,$(origin $(name))),$(name)='$($(name))'))
NEED = $(RUN_ENV) CC='$(CC)' CPPFLAGS='$(CPPFLAGS)' LUA='$(LUA)' LUA_VERSION=$(LUA_VERSION) LUA_LIBRARY='$(LUA_LIBRARY)' \
  $(GIVEN) .ci/need

deps: ## install what building and using it needs (Debian, Ubuntu; elsewhere: say what is missing)
	@$(NEED) build run command

test-deps: # what the specs, the local platform and the examples need besides
	@$(NEED) build run command test

# ---- Running ----------------------------------------------------------------------------------
# $(call busted,SPECS[,COMMAND]): runs them, under a command such as valgrind.
busted = @.ci/specs $(BUILD)/test.log $(RUN_ENV) $(2) $(LUA) "$(BUSTED)" --output=plainTerminal --lang=en \
  $(or $(1),$(error no specs to run))

test: test-deps ## run the specs; one alone: make test SPEC=spec/unit/retry_spec.lua
	$(ALL)
	$(call busted,$(SPEC))

test-no-epoll: ## run what shows it on the half for systems without epoll
	@$(QUIET) BUILD=build/no-epoll-$(LUA_VERSION) CPPFLAGS='-DAITOEARN_NO_EPOLL $(CPPFLAGS)' \
	  SPEC='spec/no_epoll $(wildcard $(addprefix spec/integration/,http* tasks* batches* resources*))' test

# The whole suite under each Lua, then the hosts' own programs, which load the builds for 5.4 and 5.1.
test-hosts: test-deps ## run the specs under Lua 5.4, 5.3, 5.1 and LuaJIT, and those of every host
	@$(NEED) hosts
	@for lua in $(or $(LUAS),lua5.4 lua5.3 lua5.1 luajit); do echo "== $$lua"; \
	  $(QUIET) test LUA=$$lua LUA_VERSION=$$(echo $${lua#lua} | sed s/jit/5.1/) || exit 1; done
	@echo '== hosts'
	@$(QUIET) test SPEC=spec/host

test-distros: ## build, specs and demo in a bare Debian of each of DISTROS (as root; kept in build/distros)
	@$(NEED) debootstrap
	@for suite in $(or $(DISTROS),bullseye bookworm trixie sid); do spec/distros/run.sh $$suite build/distros/$$suite || exit 1; done

demo: test-deps ## see it work against the local platform, without a key or the internet
	$(ALL)
	@$(RUN) examples/demo.lua

bench: test-deps ## measure it, beside other clients; README=1 renews the table and plot of spec/bench/README.md
	@$(NEED) bench
	$(ALL)
	@$(if $(README),BENCH_README=spec/bench/README.md) $(RUN) spec/bench/run.lua

bench-nginx: test-deps ## measure it inside nginx, beside proxy_pass
	@$(NEED) bench-nginx
	$(BOTH)
	@$(RUN) spec/bench/nginx.lua

example-%: test-deps ## a host's example program: nginx, neovim, love; they load the build for 5.1
	@$(NEED) $*
	$(BOTH)
	@$(RUN) examples/$*/run.lua

screenshots: test-deps ## take the pictures of the examples and the command again
	@$(NEED) screenshots
	$(BOTH)
	@for picture in get watch; do $(RUN) spec/command/screenshot.lua $$picture lua/aitoearn/command/$$picture.png || exit 1; done
	@for host in neovim love; do $(RUN) examples/$$host/run.lua examples/$$host/screenshot.png || exit 1; done

# ---- Checking ---------------------------------------------------------------------------------
# The sanitizers stop a program at the first thing they find.
SANITIZED = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined

asan: private BUILD = build/asan-$(LUA_VERSION)
asan: private LUA = $(BUILD)/lua
asan: test-deps ## run the specs under ASan, UBSan and LeakSanitizer, with a collector that never rests
	@$(QUIET) BUILD=$(BUILD) CFLAGS='$(SANITIZED)' HARDENING= all
	$(CC) $(SANITIZED) $(WARNINGS) $(LUA_CFLAGS) -o $(LUA) spec/asan/lua.c $(LUA_LIBS)
	$(call busted,$(SPEC),ASAN_OPTIONS=quarantine_size_mb=1:thread_local_quarantine_size_kb=64)

# What the collector has not collected yet when a spec ends the process is no leak: "possible" ones do not count.
# Without those whose work is in other processes, that watch a 100 ms time-out, or would take a quarter of an hour.
valgrind: test-deps ## run the integration specs under valgrind
	@$(NEED) valgrind
	$(ALL)
	$(call busted,$(filter-out $(addprefix spec/integration/,nothing_twice% fleet% examples% share_redis%),$(wildcard spec/integration/*_spec.lua)),valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
	  --show-leak-kinds=definite --num-callers=30)

torture: test-deps ## let every allocation fail in turn; TORTURE_LIMIT=n: at most n a scene (0: all)
	@mkdir -p $(BUILD)
	$(CC) -std=c99 -D_GNU_SOURCE $(SANITIZED) $(WARNINGS) $(LUA_CFLAGS) $(CURL_CFLAGS) -include spec/torture/alloc.h \
	  -o $(BUILD)/torture $(C_FILES) spec/torture/driver.c $(LUA_LIBS) $(CURL_LIBS)
	@LSAN_OPTIONS=suppressions=spec/torture/suppressions:print_suppressions=0 $(RUN) spec/torture/run.lua $(BUILD)/torture $(SCENE)

FUZZED = clang -std=c99 -D_GNU_SOURCE -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Isrc
# New inputs go into build/fuzz; the corpus that is checked in stays as it is. A crash is kept there too: make a spec of it.
fuzz: test-deps ## fuzz the decoder and the reading of headers and dates, for SECONDS (60) in all; SEED=n: always the same
	@$(NEED) fuzz
	@for part in decode headers; do mkdir -p build/fuzz/$$part; echo "== $$part"; \
	  $(FUZZED) $(LUA_CFLAGS) $(CURL_CFLAGS) -o build/fuzz/$$part.run $(C_FILES) spec/fuzz/$$part.c $(LUA_LIBS) $(CURL_LIBS) && \
	  $(RUN_ENV) build/fuzz/$$part.run -max_total_time=$$(( ($(or $(SECONDS),60) + 1) / 2 )) $(if $(SEED),-seed=$(SEED)) -timeout=10 -max_len=8192 \
	    -dict=spec/fuzz/$$part.dict -artifact_prefix=build/fuzz/$$part- build/fuzz/$$part spec/fuzz/corpus/$$part || exit 1; done

faults: test-deps ## the faults of the network, at every point of a call (as root); README=1 renews spec/faults/README.md
	@$(NEED) faults
	$(ALL)
	@$(RUN) spec/faults/run.lua $(if $(README),--readme spec/faults/README.md)

soak: test-deps ## CALLS (100,000) calls with 5 % faults; then nothing may have grown, or be missing
	$(ALL)
	@$(if $(CALLS),CALLS=$(CALLS)) $(RUN) spec/soak/run.lua

instructions: test-deps ## hold the instructions of a call against spec/bench/instructions.txt; UPDATE=1 writes that again
	@$(NEED) valgrind
	$(ALL)
	@$(RUN) spec/bench/instructions.lua $(if $(UPDATE),--update)

lint: ## static checks, every compiler with every warning, the border between plain C and Lua, the rockspec
	@$(NEED) build run lint
	luacheck --quiet $(wildcard lua spec examples) .busted .luacheckrc $(ROCKSPEC)
	shellcheck .ci/* spec/distros/run.sh
	cppcheck --quiet --error-exitcode=1 --std=c99 --enable=warning,performance,portability \
	  --inline-suppr --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches -D_GNU_SOURCE src
	clang-tidy --quiet $(C_FILES) -- $(COMPILE)
	clang-format --dry-run --Werror $(wildcard src/*.[ch])
	.ci/compile $(MAKE)
	$(if $(shell command -v lua-language-server),$(RUN) spec/types/run.lua,# no lua-language-server here: spec/unit/types_spec.lua alone holds the types)
	test "$$(nm -D --defined-only build/lint/gcc-lua5.4/aitoearn/core.so | awk '{ print $$NF }')" = luaopen_aitoearn_core
	luarocks lint $(ROCKSPEC)

# ---- Installing and handing on ----------------------------------------------------------------
install: all ## install below PREFIX (/usr/local), for LUA_VERSION
	install -d $(patsubst %,"$(DESTDIR)$(LUADIR)"/%,$(sort $(dir $(LUA_FILES:lua/%=%)))) "$(DESTDIR)$(LIBDIR)/aitoearn"
	@for file in $(LUA_FILES:lua/%=%); do install -m 644 "lua/$$file" "$(DESTDIR)$(LUADIR)/$$file" || exit 1; done
	install -m 755 $(MODULE) "$(DESTDIR)$(LIBDIR)/aitoearn"
	@DESTDIR="$(DESTDIR)" $(RUN_ENV) .ci/install-command $(LUA) "$(LUADIR)" "$(LIBDIR)" "$(BINDIR)" "$(MANDIR)"

uninstall: ## remove what install put there
	rm -f $(LUA_FILES:lua/%="$(DESTDIR)$(LUADIR)"/%) "$(DESTDIR)$(LIBDIR)/aitoearn/core.so"
	rm -f "$(DESTDIR)$(BINDIR)/aitoearn" "$(DESTDIR)$(MANDIR)/man1/aitoearn.1"
	@cd "$(DESTDIR)$(LUADIR)" && find aitoearn -depth -type d -exec rmdir {} + 2>/dev/null || :
	@rmdir "$(DESTDIR)$(LIBDIR)/aitoearn" 2>/dev/null || :

clean: ; rm -rf build ## remove build/

docs: ## the documents and the reference as HTML, in build/docs/html
	@$(NEED) docs
	$(ALL)
	@$(RUN) spec/docs/run.lua build/docs

dist: ## pack the last commit: source archive and source rock, in build/
	@$(NEED) zip
	mkdir -p build
	git archive --prefix=aitoearn-$(VERSION)/ --output=build/aitoearn-$(VERSION).tar.gz HEAD
	git show HEAD:$(ROCKSPEC) >build/$(ROCKSPEC)
	cd build && zip -q $(ROCKSPEC:rockspec=src.rock) $(ROCKSPEC) aitoearn-$(VERSION).tar.gz
