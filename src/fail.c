/* fail.c: failures as tables, and libcurl's codes as kinds. */
#include "fail.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* libcurl's codes that are more than "transport", and the fact that one sets. A handshake that broke off
 * may go better next time; a certificate that does not verify, or a file that cannot be read, will not. */
static const struct {
  CURLcode code;
  const char *kind;
  const char *fact;
} kinds[] = {
    {CURLE_COULDNT_RESOLVE_HOST, "dns", NULL},
    {CURLE_COULDNT_RESOLVE_PROXY, "dns", NULL},
    {CURLE_COULDNT_CONNECT, "connect", NULL},
    {CURLE_INTERFACE_FAILED, "connect", NULL},
    {CURLE_PROXY, "connect", NULL}, /* a SOCKS proxy refused, or could not reach the server */
    {CURLE_OPERATION_TIMEDOUT, "timeout", NULL},
    {CURLE_SSL_CONNECT_ERROR, "tls", "handshake"},
    {CURLE_PEER_FAILED_VERIFICATION, "tls", NULL},
    {CURLE_SSL_CERTPROBLEM, "tls", "bad_cert_file"},
    {CURLE_SSL_CIPHER, "tls", NULL},
    {CURLE_SSL_CACERT_BADFILE, "tls", "bad_ca_file"},
    {CURLE_SSL_CRL_BADFILE, "tls", NULL},
    {CURLE_SSL_ISSUER_ERROR, "tls", NULL},
    {CURLE_SSL_ENGINE_NOTFOUND, "tls", NULL},
    {CURLE_SSL_ENGINE_SETFAILED, "tls", NULL},
    {CURLE_SSL_ENGINE_INITFAILED, "tls", NULL},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, "tls", NULL},
    {CURLE_SSL_INVALIDCERTSTATUS, "tls", NULL},
    {CURLE_USE_SSL_FAILED, "tls", NULL},
};

/* The HTTP status with which a proxy answered CONNECT, 0 if the message is about something else.
 * libcurl has no code for it; the words are those of 7.74 to 7.86 and of 7.87 on. */
static long connect_status(const char *detail) {
  static const char *const words[] = {"CONNECT tunnel failed, response ", "Received HTTP code "};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (strncmp(detail, words[i], strlen(words[i])) == 0)
      return strtol(detail + strlen(words[i]), NULL, 10);
  return 0;
}

/* Pushes the failure if the proxy is what is in the way. `proxy` says that another attempt will not
 * help. libcurl's words about a URL hold its password. */
static bool push_proxy_failure(lua_State *L, const char *detail) {
  long status = connect_status(detail);
  bool unreadable = strncmp(detail, "Unsupported proxy", 17) == 0;
  if (unreadable)
    fail_push(L, "connect",
              "the proxy's URL cannot be read, or libcurl does not support its scheme");
  else if (status != 0)
    fail_push(L, "connect",
              lua_pushfstring(L, "the proxy refused to connect: HTTP status %d", (int)status));
  if (unreadable || (status >= 400 && status < 500 && status != 408 && status != 429))
    fail_set_true(L, "proxy");
  return unreadable || status != 0;
}

/* libcurl 8.23 calls a client's key that cannot be used a bad argument, as it calls much else. */
static bool is_bad_key(CURLcode code, const char *detail) {
  static const char words[] = "unable to set private key file";
  return code == CURLE_BAD_FUNCTION_ARGUMENT && strncmp(detail, words, sizeof words - 1) == 0;
}

int fail_push_curl(lua_State *L, CURLcode code, const char *detail) {
  const char *kind = "transport";
  const char *fact = NULL;
  if (push_proxy_failure(L, detail))
    return 2;
  if (is_bad_key(code, detail))
    code = CURLE_SSL_CERTPROBLEM;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (kinds[i].code == code) {
      kind = kinds[i].kind;
      fact = kinds[i].fact;
    }
  fail_push(L, kind, detail[0] != '\0' ? detail : curl_easy_strerror(code));
  if (fact != NULL)
    fail_set_true(L, fact);
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
