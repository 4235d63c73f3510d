/* fail.h: the one way a failure leaves the C part: `nil` and a table of facts about it.
 *
 * The table ("failure") always holds kind and message, and what else is known under the names that
 * aitoearn.Failure in lua/aitoearn/retry.lua lists. lua/aitoearn/error.lua makes the user's error of it. */
#ifndef AITOEARN_FAIL_H
#define AITOEARN_FAIL_H

#include <curl/curl.h>
#include <stdbool.h>

#include "compat.h"

HIDDEN_BEGIN

/* As much of a body as a failure carries: the 512 bytes that an error shows and, across their end, the
 * longest API key (4096 bytes), which has to be whole to be found and taken out. */
#define FAIL_BODY_BYTES 8192

/* luaL_argerror, declared noreturn. */
#if defined(__GNUC__)
__attribute__((noreturn))
#endif
void fail_argument(lua_State *L, int index, const char *message);

/* Pushes nil and a new failure; returns 2, the number of values pushed. */
int fail_push(lua_State *L, const char *kind, const char *message);

/* The same for a failure that libcurl reports; `detail` is its error buffer and may be empty. */
int fail_push_curl(lua_State *L, CURLcode code, const char *detail);

/* Each sets one field of the failure on top of the stack. */
void fail_set_number(lua_State *L, const char *name, double value);
void fail_set_string(lua_State *L, const char *name, const char *value);
void fail_set_true(lua_State *L, const char *name);
void fail_set_body(lua_State *L, const char *body, size_t length);

HIDDEN_END

#endif
