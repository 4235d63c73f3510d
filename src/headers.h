/* headers.h: the few headers of an answer that are read, line by line as libcurl hands them
 * over. */
#ifndef AITOEARN_HEADERS_H
#define AITOEARN_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include "hidden.h"

HIDDEN_BEGIN

#define REQUEST_ID_BYTES 129
#define HTTP_DATE_BYTES 40

/* NaN or "": not there. */
typedef struct {
  size_t bytes; /* of all lines so far */
  bool complete; /* the empty line at their end was there */
  bool encoded; /* the body is compressed */
  double retry_after; /* seconds */
  double retry_at; /* the same as a date: Unix seconds */
  double rate_limit_reset; /* Unix milliseconds */
  char date[HTTP_DATE_BYTES]; /* unparsed: few callers need it, and parsing costs a microsecond */
  char request_id[REQUEST_ID_BYTES];
} answer_headers;

void headers_clear(answer_headers *headers);

/* Takes one line, which need not end in a NUL. */
void headers_read_line(answer_headers *headers, const char *line, size_t length);

/* The server's clock, Unix seconds. */
double headers_date(const answer_headers *headers);

/* How many seconds the server asks to be left alone. */
double headers_retry_after(const answer_headers *headers);

HIDDEN_END

#endif
