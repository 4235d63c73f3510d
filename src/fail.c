/* fail.c: failures as tables, and libcurl's codes as kinds. */
#include "fail.h"

#include <math.h>
#include <stdlib.h>

void fail_argument(lua_State *L, int index, const char *message) {
  luaL_argerror(L, index, message);
  abort(); /* not reached */
}

int fail_push(lua_State *L, const char *kind, const char *message) {
  lua_pushnil(L);
  lua_createtable(L, 0, 8);
  fail_set_string(L, "kind", kind);
  fail_set_string(L, "message", message);
  return 2;
}

/* A handshake that broke off (35) may go better next time; a certificate that does not verify, or a
 * file of ours that cannot be read, will not. */
static const struct {
  CURLcode code;
  const char *kind;
} kinds[] = {
    {CURLE_COULDNT_RESOLVE_HOST, "dns"},
    {CURLE_COULDNT_RESOLVE_PROXY, "dns"},
    {CURLE_COULDNT_CONNECT, "connect"},
    {CURLE_INTERFACE_FAILED, "connect"},
    {CURLE_OPERATION_TIMEDOUT, "timeout"},
    {CURLE_SSL_CONNECT_ERROR, "tls"},
    {CURLE_PEER_FAILED_VERIFICATION, "tls"},
    {CURLE_SSL_CERTPROBLEM, "tls"},
    {CURLE_SSL_CIPHER, "tls"},
    {CURLE_SSL_CACERT_BADFILE, "tls"},
    {CURLE_SSL_CRL_BADFILE, "tls"},
    {CURLE_SSL_ISSUER_ERROR, "tls"},
    {CURLE_SSL_ENGINE_NOTFOUND, "tls"},
    {CURLE_SSL_ENGINE_SETFAILED, "tls"},
    {CURLE_SSL_ENGINE_INITFAILED, "tls"},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, "tls"},
    {CURLE_SSL_INVALIDCERTSTATUS, "tls"},
    {CURLE_USE_SSL_FAILED, "tls"},
};

int fail_push_curl(lua_State *L, CURLcode code, const char *detail) {
  const char *kind = "transport";
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (kinds[i].code == code)
      kind = kinds[i].kind;
  fail_push(L, kind, detail[0] != '\0' ? detail : curl_easy_strerror(code));
  if (code == CURLE_SSL_CONNECT_ERROR)
    fail_set_true(L, "handshake");
  return 2;
}

/* Not a number (NaN) is how the C part says "not known". Whole numbers go out as integers. */
void fail_set_number(lua_State *L, const char *name, double value) {
  if (isnan(value))
    return;
  if (value == floor(value) && fabs(value) < 9007199254740992.0)
    lua_pushinteger(L, (lua_Integer)value);
  else
    lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

void fail_set_string(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

void fail_set_true(lua_State *L, const char *name) {
  lua_pushboolean(L, true);
  lua_setfield(L, -2, name);
}

void fail_set_body(lua_State *L, const char *body, size_t length) {
  lua_pushlstring(L, body, length < FAIL_BODY_BYTES ? length : FAIL_BODY_BYTES);
  lua_setfield(L, -2, "body");
}
