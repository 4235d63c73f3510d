/* lua_transfer.h: the Lua type of a transfer: cancel it, read its result, ask for facts. */
#ifndef AITOEARN_LUA_TRANSFER_H
#define AITOEARN_LUA_TRANSFER_H

#include <stddef.h>

#include "compat.h"
#include "transfer.h"

HIDDEN_BEGIN

/* What is asked for. */
typedef struct {
  const char *method; /* NULL: GET; else a string that outlives the transfer */
  const char *prefix; /* the URL, or what comes before `id` */
  const char *id; /* NULL, or the URL's last segment, before it is encoded */
  size_t id_length;
  const char *body; /* NULL, or JSON */
  size_t body_length;
  const char *api_key;
  const char *request_id;
} request;

/* Both push a new transfer with the metatable at `metatable`. The table at `uservalue` keeps its
 * engine alive as long as the transfer is. */
transfer *lua_transfer_new(lua_State *L, int metatable, int uservalue, const request *r);
transfer *lua_transfer_new_timer(lua_State *L, int metatable, int uservalue);

/* The argument at `index`, which has to be a transfer: one with the metatable at `metatable`. */
transfer *lua_transfer_check(lua_State *L, int index, int metatable);

/* Pushes the metatable. */
void lua_transfer_open(lua_State *L);

HIDDEN_END

#endif
