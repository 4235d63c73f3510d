/* compat.h: the few calls that differ between Lua 5.1 (LuaJIT) and 5.4, under their 5.4 names. */
#ifndef AITOEARN_COMPAT_H
#define AITOEARN_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#include "hidden.h"

#if LUA_VERSION_NUM < 502

#define LUA_OK 0
#define lua_rawlen lua_objlen

/* In Lua 5.1 a userdata's only user value is its environment table. */
#define lua_setuservalue(L, index) lua_setfenv((L), (index))
#define lua_getuservalue(L, index) lua_getfenv((L), (index))

static inline int lua_absindex(lua_State *L, int index) {
  return index > 0 || index <= LUA_REGISTRYINDEX ? index : lua_gettop(L) + index + 1;
}

/* Under another name, since LuaJIT 2.1 declares its own luaL_setfuncs, which PUC 5.1 has not. */
#define luaL_setfuncs compat_setfuncs
static inline void compat_setfuncs(lua_State *L, const luaL_Reg *functions, int upvalues) {
  luaL_checkstack(L, upvalues + 1, "too many upvalues");
  for (; functions->name != NULL; functions++) {
    for (int i = 0; i < upvalues; i++)
      lua_pushvalue(L, -upvalues);
    lua_pushcclosure(L, functions->func, upvalues);
    lua_setfield(L, -(upvalues + 2), functions->name);
  }
  lua_pop(L, upvalues);
}

#endif

#if LUA_VERSION_NUM >= 504
/* One user value is all that a 5.3 userdata has, and all that ours need. */
#define compat_newuserdata(L, size) lua_newuserdatauv((L), (size), 1)
#else
#define compat_newuserdata(L, size) lua_newuserdata((L), (size))
#endif

#endif
