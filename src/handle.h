/* handle.h: libcurl's side of one transfer: an easy handle with its options, the callbacks that
 * fill it, and the answer's body.
 *
 * Each transfer has a handle of its own, from its start until its result is read. A pool of easy
 * handles would save nothing measurable, and libcurl 7.83 to 8.1 corrupts the heap when one is
 * used again after an answer whose first header line begins with a blank. */
#ifndef AITOEARN_HANDLE_H
#define AITOEARN_HANDLE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "poller.h"
#include "transfer.h"

#include "hidden.h"

HIDDEN_BEGIN

/* The limits and options of every transfer of an engine. The strings are the caller's, and have
 * to outlive the engine. */
typedef struct {
  size_t max_response_bytes;
  long connect_timeout_ms;
  const char *ca_file;
  const char *proxy; /* NULL: the environment's */
  bool is_without_proxy; /* nor does the environment name one */
  bool is_http_local; /* no http:// leads to another machine */
  const char *user_agent;
  struct curl_slist header_lines[2]; /* the same for every request */
} transfer_options;

struct handle {
  CURL *easy; /* NULL once it has finished */
  transfer *transfer;
  const transfer_options *options;
  const char *broken_limit; /* the message, if the answer broke one */
  char *body;
  size_t body_length;
  size_t body_capacity;
  char detail[CURL_ERROR_SIZE]; /* libcurl's message */
};

/* A handle ready to be added to a multi: the transfer's request, to be done within `timeout`
 * seconds. NULL if memory runs out. */
handle *handle_new(transfer_options *options, poller *p, CURLSH *share, transfer *t,
                   double timeout);

/* Records libcurl's result in the transfer; `http2`: whether the origin is known to speak it. */
void handle_finish(handle *h, CURLcode result, bool http2);

/* Frees the easy handle, which is in no multi any more; what was received stays. */
void handle_detach(handle *h);

void handle_free(handle *h); /* takes NULL */

HIDDEN_END

#endif
