/* core.c: the entry point of the C part. Each part registers itself, and documents what it
 * offers. */
#include <curl/curl.h>
#include <dlfcn.h>
#include <unistd.h>

#include "compat.h"
#include "constants.h"
#include "datetime.h"
#include "envelope.h"
#include "lua_engine.h"
#include "shape.h"
#include "terminal.h"
#include "url.h"

#if defined(__GNUC__)
#define AITOEARN_EXPORT __attribute__((visibility("default")))
#else
#define AITOEARN_EXPORT
#endif

AITOEARN_EXPORT int luaopen_aitoearn_core(lua_State *L);

/* libcurl's resolver thread may outlive the Lua state that loaded the module: it stays in
 * memory. */
static void pin_module(void) {
#ifdef RTLD_NODELETE
  static const char inside[] = "an address of this module";
  Dl_info module;
  if (dladdr(inside, &module) != 0)
    dlopen(module.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}

/** @function getpid
 * @treturn integer this process's id: a connection that a fork left here is its parent's */
static int l_getpid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

int luaopen_aitoearn_core(lua_State *L) {
#if LUA_VERSION_NUM >= 502
  luaL_checkversion(L);
#endif
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    return luaL_error(L, "libcurl cannot be initialized");
  pin_module();
  lua_newtable(L);
  constants_open(L);
  datetime_open(L);
  url_open(L);
  terminal_open(L);
  lua_pushstring(L, curl_version());
  lua_setfield(L, -2, "curl_version");
  shape_open(L);
  envelope_open(L);
  lua_engine_open(L, lua_gettop(L));
  lua_pushcfunction(L, l_getpid);
  lua_setfield(L, -2, "getpid");
  return 1;
}
