/* url.h: base URLs, taken apart by libcurl's own parser. */
#ifndef AITOEARN_URL_H
#define AITOEARN_URL_H

#include "compat.h"

HIDDEN_BEGIN

/* Adds parse_url(text) to the module table on top of the stack. */
void url_open(lua_State *L);

HIDDEN_END

#endif
