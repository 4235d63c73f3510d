/* lua.c: an interpreter for `make asan`. It is linked with AddressSanitizer, so that the sanitizers see the
 * module from its first byte on, while the programs that the specs start run without them (as they would
 * not with LD_PRELOAD). And its collector never rests: what nobody holds on to is gone at the next chance.
 *
 *   lua SCRIPT ARGUMENT… */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

const char *__lsan_default_suppressions(void);

/* What libraries keep for good, or lose by themselves; nothing of ours is named here. */
const char *__lsan_default_suppressions(void) {
  return "leak:libcrypto.so\n"
         "leak:libp11-kit.so\n"
         "leak:libgnutls.so\n";
}

static int traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

/* The global `arg`, as the real interpreter has it: its own name at −1, the script at 0. */
static void push_arguments(lua_State *L, int argc, char **argv) {
  lua_createtable(L, argc, 2);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - 1);
  }
  lua_setglobal(L, "arg");
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (L == NULL || argc < 2)
    return 2;
  lua_gc(L, LUA_GCSETPAUSE, 100); /* the next cycle begins where one ends; */
  lua_gc(L, LUA_GCSETSTEPMUL, 8); /* slowly, since it never ends */
  luaL_openlibs(L);
  push_arguments(L, argc, argv);
  lua_pushcfunction(L, traceback);
  int status = luaL_loadfile(L, argv[1]);
  for (int i = 2; status == LUA_OK && i < argc; i++)
    lua_pushstring(L, argv[i]);
  if (status == LUA_OK)
    status = lua_pcall(L, argc - 2, 0, 1);
  if (status != LUA_OK)
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return status != LUA_OK;
}
