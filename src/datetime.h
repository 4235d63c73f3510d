/* datetime.h: RFC 3339 date-times, as the platform writes them (`2026-07-02T12:00:00.000Z`). */
#ifndef AITOEARN_DATETIME_H
#define AITOEARN_DATETIME_H

#include <stdbool.h>
#include <stddef.h>

#include "compat.h"

HIDDEN_BEGIN

/* Reads a whole RFC 3339 date-time (any number of fraction digits, `Z` or an offset) into Unix
 * seconds; false if the text is not one. */
bool datetime_parse(const char *text, size_t length, double *seconds);

/* `YYYY-MM-DDTHH:MM:SS.mmmZ` with its final NUL, and room for what a compiler fears of %d. */
#define DATETIME_BYTES 80

/* Writes Unix seconds, rounded to milliseconds; false if they are outside the years 0000 to 9999. */
bool datetime_format(double seconds, char text[DATETIME_BYTES]);

/* Adds parse_datetime(text) and format_datetime(seconds) to the module table on top of the stack. */
void datetime_open(lua_State *L);

HIDDEN_END

#endif
