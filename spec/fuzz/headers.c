/* headers.c: libFuzzer's bytes are the header lines of an answer, as libcurl hands them over, line by line;
 * and each line is a date-time as well. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "datetime.h"
#include "headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_that(bool holds) {
  if (!holds)
    abort();
}

/* Not known, or a number that can be one. */
static bool is_span(double value) {
  return isnan(value) || value >= 0;
}

static void check_headers(const answer_headers *headers) {
  require_that(is_span(headers->retry_after));
  require_that(is_span(headers->rate_limit_reset));
  require_that(isnan(headers->retry_at) || isfinite(headers->retry_at));
  require_that(memchr(headers->date, '\0', sizeof headers->date) != NULL);
  require_that(isnan(headers->retry_after) || isnan(headers->retry_at));
  require_that(memchr(headers->request_id, '\0', sizeof headers->request_id) != NULL);
  double pause = headers_retry_after(headers);
  require_that(isnan(pause) || pause >= 0);
}

/* A copy of exactly its length: AddressSanitizer sees every byte read beyond it. */
static char *copy_of(const uint8_t *data, size_t size) {
  char *copy = malloc(size > 0 ? size : 1);
  memcpy(copy, data, size);
  return copy;
}

/* The earliest and the latest time that RFC 3339 can say. */
static void check_datetime(const uint8_t *data, size_t size) {
  char *text = copy_of(data, size);
  double seconds = NAN;
  if (datetime_parse(text, size, &seconds))
    require_that(seconds >= -62168000000.0 && seconds < 253403000000.0);
  free(text);
}

static size_t line_length(const uint8_t *data, size_t size) {
  const uint8_t *end = memchr(data, '\n', size);
  return end != NULL ? (size_t)(end - data) + 1 : size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  answer_headers *headers = calloc(1, sizeof *headers);
  headers_clear(headers);
  check_datetime(data, size);
  for (size_t length; size > 0; data += length, size -= length) {
    length = line_length(data, size);
    char *line = copy_of(data, length);
    headers_read_line(headers, line, length);
    free(line);
    check_headers(headers);
  }
  free(headers);
  return 0;
}
