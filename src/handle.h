/* handle.h: libcurl's side of one transfer: an easy handle with its options, the callbacks that
 * fill it, and the answer's body.
 *
 * Each transfer has one handle, from its start until its result is read. A pool of easy
 * handles would save a twentieth of a call's time, but libcurl 7.83 to 8.1 corrupts the heap
 * when one is used again after an answer whose first header line begins with a blank. */
#ifndef AITOEARN_HANDLE_H
#define AITOEARN_HANDLE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "poller.h"
#include "transfer.h"

#include "hidden.h"

#if LIBCURL_VERSION_NUM < 0x074a00
/* cppcheck-suppress preprocessorErrorDirective */
#error "libcurl 7.74 or later is needed"
#endif

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
  const char *user_agent; /* for a CONNECT to a proxy */
  bool is_http1_only;
  struct curl_slist header_lines[4]; /* the same for every request, `User-Agent` among them */
} transfer_options;

/* What is special to one origin. */
typedef struct {
  struct curl_slist *header_lines; /* its own, then those of all */
  const char *cert_file; /* a client certificate, or NULL */
  const char *key_file;
} origin_options;

struct handle {
  CURL *easy; /* NULL once it has finished */
  CURLU *url; /* the transfer's, parsed; the easy handle refers to it */
  transfer *transfer;
  long *waiting; /* counts it until it is granted; NULL: not counted */
  double granted; /* when it got a connection or stream, on poller_now's clock; NaN: not yet */
  const char *broken_limit; /* the message, if the answer broke one */
  char *body;
  size_t body_length;
  size_t body_capacity;
  char detail[CURL_ERROR_SIZE]; /* libcurl's message */
};

/* What a new handle needs besides its transfer. */
typedef struct {
  const transfer_options *options;
  const origin_options *origin;
  socket_group *sockets;
  CURLSH *share;
  long *waiting; /* how many of the origin's wait in libcurl for a connection or stream */
  double timeout; /* seconds */
  bool looks_up; /* the name is looked up again */
} handle_setup;

/* A handle ready to be added to a multi, with the transfer's request. NULL if memory runs out. */
handle *handle_new(const handle_setup *setup, transfer *t);

/* Records libcurl's result in the transfer; `http2`: whether the origin is known to speak it. */
void handle_finish(handle *h, CURLcode result, bool http2);

/* Records whether the request may have reached the server, before the handle leaves its multi. */
void handle_note_sent(handle *h);

/* Whether the server refused the request, or closed its connections under it, as often as libcurl
 * repeats one by itself. */
bool handle_has_died(const handle *h);

/* Frees the easy handle, which is in no multi any more; what was received stays. */
void handle_detach(handle *h);

void handle_free(handle *h); /* takes NULL */

HIDDEN_END

#endif
