/* decode.c: libFuzzer's bytes are the body of an answer, of every kind in turn.
 *
 * What has to hold (invariants.lua): a value or a failure, nothing else on the stack and no Lua error; a
 * failure has kind and message; a value has its required fields and, encoded by aitoearn.json, goes
 * through the decoder again unchanged. */
#include <lauxlib.h>
#include <lualib.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int luaopen_aitoearn_core(lua_State *L);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A state with the function of invariants.lua at index 1. */
static lua_State *new_state(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "aitoearn.core", luaopen_aitoearn_core, 0);
  lua_settop(L, 0);
  if (luaL_dofile(L, "spec/fuzz/invariants.lua") != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    abort();
  }
  lua_settop(L, 1);
  return L;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  if (L == NULL)
    L = new_state();
  lua_pushvalue(L, 1);
  lua_pushlstring(L, (const char *)data, size);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    abort();
  }
  if (lua_gettop(L) != 1)
    abort();
  return 0;
}
