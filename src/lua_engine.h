/* lua_engine.h: the Lua type of an engine: arguments in, values out. */
#ifndef AITOEARN_LUA_ENGINE_H
#define AITOEARN_LUA_ENGINE_H

#include "compat.h"

HIDDEN_BEGIN

/* Adds engine(options), monotonic(), time() and wait_fd(fd, ms) to the module table at `module`. */
void lua_engine_open(lua_State *L, int module);

HIDDEN_END

#endif
