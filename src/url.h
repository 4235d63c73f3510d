/* url.h: base URLs, taken apart by libcurl's own parser, and what goes into one. */
#ifndef AITOEARN_URL_H
#define AITOEARN_URL_H

#include <stddef.h>

#include "compat.h"

HIDDEN_BEGIN

/* Writes a text as one path segment, up to three bytes for each of its bytes; returns the address
 * of the final NUL. */
char *url_put_segment(char *at, const char *text, size_t length);

/* Adds parse_url(text), has_control(text), is_id(value), encode_segment(text) and MAX_ID_BYTES to the
 * module table on top of the stack. */
void url_open(lua_State *L);

HIDDEN_END

#endif
