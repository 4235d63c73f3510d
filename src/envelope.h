/* envelope.h: from the bytes of an answer to a record, or to why there is none.
 *
 * The envelope is `{code, message, data, requestId, timestamp}`; success is `code == 0` and nothing
 * else, whatever the HTTP status (the API page's first sentence). */
#ifndef AITOEARN_ENVELOPE_H
#define AITOEARN_ENVELOPE_H

#include "compat.h"

HIDDEN_BEGIN

/* The decoder's two Lua values, kept as upvalues 2 and 3 of every C function that decodes (upvalue 1
 * is its own type's metatable): lua-cjson's decode function, and the metatable of records. */
#define ENVELOPE_DECODE lua_upvalueindex(2)
#define ENVELOPE_RECORD lua_upvalueindex(3)

/* Takes the body, a string, from the top of the stack and pushes the record (returns 1), or nil and a
 * failure (returns 2). */
int envelope_push_record(lua_State *L, long http_status);

/* Pushes the two upvalues: a private lua-cjson instance's decode, and the record metatable of the
 * module table at `module`. */
void envelope_push_upvalues(lua_State *L, int module);

/* Adds record_metatable and decode(body) to the module table on top of the stack. */
void envelope_open(lua_State *L);

HIDDEN_END

#endif
