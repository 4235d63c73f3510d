/* record.h: from the table that lua-cjson made of `data` to a publish record, in place. */
#ifndef AITOEARN_RECORD_H
#define AITOEARN_RECORD_H

#include <stdbool.h>

#include "compat.h"

HIDDEN_BEGIN

/* Checks the table at `index` against the API page's ChannelPublishRecordVo and tidies it: documented
 * fields that are null go away, whole numbers become integers where Lua has them.
 * Returns true; or false with a message on the stack such as
 * "data.status: integer expected, got string". */
bool record_check(lua_State *L, int index);

/* The JSON type of the value at `index`, for messages: "nothing" for nil. */
const char *record_type_name(lua_State *L, int index);

HIDDEN_END

#endif
