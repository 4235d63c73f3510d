/* headers.c: one table of names and readers. */
#include "headers.h"

#include <curl/curl.h>
#include <math.h>
#include <string.h>
#include <time.h>

static double parse_digits(const char *text) {
  double value = 0;
  if (*text == '\0')
    return NAN;
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9')
      return NAN;
    value = value * 10 + (*text - '0');
  }
  return value;
}

static double parse_http_date(const char *text) {
  time_t at = text[0] != '\0' ? curl_getdate(text, NULL) : (time_t)-1;
  return at == (time_t)-1 ? NAN : (double)at;
}

static void read_retry_after(answer_headers *headers, const char *value) {
  headers->retry_after = parse_digits(value);
  headers->retry_at = isnan(headers->retry_after) ? parse_http_date(value) : NAN;
}

static void read_rate_limit_reset(answer_headers *headers, const char *value) {
  headers->rate_limit_reset = parse_digits(value);
}

static void read_date(answer_headers *headers, const char *value) {
  size_t length = strlen(value);
  if (length < sizeof headers->date)
    memcpy(headers->date, value, length + 1);
}

static void read_encoding(answer_headers *headers, const char *value) {
  (void)value;
  headers->encoded = true;
}

static void read_request_id(answer_headers *headers, const char *value) {
  memcpy(headers->request_id, value, strlen(value) + 1); /* copy_value has cut it to fit */
}

static const struct {
  const char *name;
  size_t length;
  void (*read)(answer_headers *headers, const char *value);
} readers[] = {
    {"content-encoding:", 17, read_encoding}, {"date:", 5, read_date},
    {"retry-after:", 12, read_retry_after},   {"x-ratelimit-reset:", 18, read_rate_limit_reset},
    {"x-request-id:", 13, read_request_id},
};

void headers_clear(answer_headers *headers) {
  headers->retry_after = headers->retry_at = headers->rate_limit_reset = NAN;
  headers->date[0] = headers->request_id[0] = '\0';
  headers->complete = headers->encoded = false;
}

/* Copies a header's value without the white space around it; one that is too long is left out. */
static void copy_value(char *value, const char *bytes, size_t length) {
  while (length > 0 && (bytes[0] == ' ' || bytes[0] == '\t')) {
    bytes++;
    length--;
  }
  while (length > 0 && (unsigned char)bytes[length - 1] <= ' ')
    length--;
  if (length >= REQUEST_ID_BYTES)
    length = 0;
  memcpy(value, bytes, length);
  value[length] = '\0';
}

/* Whether one of the readers' names begins so: most lines are nobody's. */
static bool is_first_letter(char letter) {
  switch (letter | 0x20) {
  case 'c':
  case 'd':
  case 'r':
  case 'x': return true;
  default: return false;
  }
}

/* libcurl's comparison: that of libc follows the locale, and in a Turkish one "ID" is not "id". */
static bool has_name(const char *line, size_t length, const char *name, size_t name_length) {
  return length > name_length && line[name_length - 1] == ':' && (line[0] | 0x20) == name[0] &&
         curl_strnequal(line, name, name_length);
}

void headers_read_line(answer_headers *headers, const char *line, size_t length) {
  char value[REQUEST_ID_BYTES];
  headers->bytes += length;
  if (length >= 5 && memcmp(line, "HTTP/", 5) == 0)
    headers_clear(headers); /* a 1xx answer may have preceded this one */
  else if (length > 0 && (line[0] == '\r' || line[0] == '\n'))
    headers->complete = true;
  if (length == 0 || !is_first_letter(line[0]))
    return;
  for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++)
    if (has_name(line, length, readers[i].name, readers[i].length)) {
      copy_value(value, line + readers[i].length, length - readers[i].length);
      readers[i].read(headers, value);
      break;
    }
}

double headers_date(const answer_headers *headers) {
  return parse_http_date(headers->date);
}

/* A date counts from the server's own clock if it sent that. One that has passed says nothing. */
double headers_retry_after(const answer_headers *headers) {
  if (isnan(headers->retry_at))
    return headers->retry_after;
  double date = headers_date(headers);
  double now = isnan(date) ? (double)time(NULL) : date;
  return headers->retry_at > now ? headers->retry_at - now : NAN;
}
