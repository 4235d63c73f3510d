/* envelope.h: from the bytes of an answer to its value, or to why there is none.
 *
 * The envelope is `{code, message, data, requestId, timestamp}`; success is `code == 0` and nothing
 * else, whatever the HTTP status (the API page's first sentence). */
#ifndef AITOEARN_ENVELOPE_H
#define AITOEARN_ENVELOPE_H

#include "compat.h"

HIDDEN_BEGIN

/* Takes the body, a string, from the top of the stack and pushes its value (returns 1), or nil and a
 * failure (returns 2). `kind` is one of shape_find's: NULL is a record. A record has no metatable
 * yet. Raises what a debug hook or a finalizer raises meanwhile. */
int envelope_push(lua_State *L, const char *kind, long http_status);

/* Makes the private lua-cjson instance, which the registry keeps, and adds decode(body, kind) to the
 * module table on top of the stack. */
void envelope_open(lua_State *L);

HIDDEN_END

#endif
