/* shape.h: what the data of an answer has to look like, and turning lua-cjson's tables into it.
 *
 * A shape is a table of fields in shape.c, which also says in which order the API names them. */
#ifndef AITOEARN_SHAPE_H
#define AITOEARN_SHAPE_H

#include <stdbool.h>

#include "compat.h"

HIDDEN_BEGIN

typedef struct shape shape;

/* The shape of a kind of answer: "record" (or NULL), "records" (an array, bare or in an object),
 * "flow", "action", "task" ({taskId}), or "nothing" (any data or none; its value is true).
 * NULL if there is no such kind. */
const shape *shape_find(const char *kind);

/* Checks the value on top of the stack and tidies it in place: documented fields that are null go
 * away, whole numbers become integers if Lua has them, an array leaves the object around it.
 * Returns true; or false with a message on top such as
 * "data.status: integer expected, got string" or "data[3].status: …", counted from 1. */
bool shape_check(lua_State *L, const shape *s);

/* The JSON type of the value at `index`, for messages: "nothing" for nil. */
const char *shape_type_name(lua_State *L, int index);

/* Adds record_fields and task_fields, arrays of names in the API's order, to the module table on
 * top of the stack. */
void shape_open(lua_State *L);

HIDDEN_END

#endif
