/* transfer.h: one request, or one timer: what a caller can wait for.
 *
 * lua_transfer.c makes and owns them; the engine moves them through its lists. While one runs,
 * and until its answer has been read, it has a handle: libcurl's side of it, with the body.
 *
 * A timer is a transfer that sends nothing: it is done at its time, or when it is fired. */
#ifndef AITOEARN_TRANSFER_H
#define AITOEARN_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "headers.h"
#include "hidden.h"

HIDDEN_BEGIN

typedef struct engine engine;
typedef struct handle handle;
typedef struct transfer transfer;

typedef struct {
  transfer *first;
  transfer *last;
} transfer_list;

typedef enum {
  TRANSFER_QUEUED, /* in its origin's list until a connection is free; or a timer */
  TRANSFER_RUNNING,
  TRANSFER_DONE,
} transfer_state;

struct transfer {
  engine *engine;
  handle *handle;
  transfer *previous;
  transfer *next;
  transfer_list *list; /* the one list it is in, or NULL */
  transfer_state state;
  bool is_timer;
  bool is_https;
  bool is_fresh; /* over a new connection */
  bool is_reused; /* its answer came over a connection that was used before */
  bool is_sent; /* its request may have reached the server */
  unsigned char refusals; /* how often it was put back into the queue */
  bool is_read; /* its result has been handed out */
  const char *failure; /* one that is not libcurl's: "cancelled", "closed", "timeout", … */
  const char *failure_message;
  CURLcode result;
  long http_status;
  long http_version; /* CURL_HTTP_VERSION_… of its answer */
  size_t origin;
  int reference; /* keeps it alive in the engine's table while the engine works on it */
  const char *method; /* NULL: GET */
  const char *body; /* what it sends, or NULL */
  size_t body_length;
  size_t max_bytes; /* of its answer */
  double timeout; /* seconds for this attempt; INFINITY: none */
  double deadline; /* on poller_now's clock; INFINITY: none */
  size_t deadline_place; /* in the engine's heap */
  double started; /* when libcurl was given it; NaN: never */
  double finished;
  answer_headers headers;
  struct curl_slist header_lines[4]; /* its own; then the origin's, then the engine's */
  const char *url;
  const char *request_id;
  char strings[]; /* the URL, header lines and body */
};

/* Makes what every new transfer has in common; all else is zero. */
void transfer_init(transfer *t);

/* Forgets what came of it so far: it can be started again. */
void transfer_reset(transfer *t);

void transfer_append(transfer_list *list, transfer *t);
void transfer_prepend(transfer_list *list, transfer *t);
void transfer_unlink(transfer *t); /* harmless on one that is in none */

HIDDEN_END

#endif
