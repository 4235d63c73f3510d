/* transfer.h: one GET, or one timer: whatever a caller can wait for.
 *
 * A transfer is a Lua userdata: URL, headers and limits go in; status, the few headers we read, the
 * body and libcurl's end come out. While it runs, and until its answer has been read, it borrows a
 * handle (a pooled easy handle and its body buffer) from the engine, which owns all of them.
 * libcurl's callbacks write into the two and call no Lua.
 *
 * A timer is a transfer that sends nothing: it is done at its time, or when it is told to be. */
#ifndef AITOEARN_TRANSFER_H
#define AITOEARN_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "compat.h"
#include "watch.h"

HIDDEN_BEGIN

#define REQUEST_ID_BYTES 129
#define HTTP_DATE_BYTES 40

typedef struct engine engine;
typedef struct transfer transfer;
typedef struct handle handle;

typedef struct {
  transfer *first;
  transfer *last;
} transfer_list;

typedef enum {
  TRANSFER_QUEUED, /* in its origin's list: every connection is taken; or a timer */
  TRANSFER_RUNNING,
  TRANSFER_DONE,
} transfer_state;

/* What the callbacks keep of the answer's headers; NaN: not there. */
typedef struct {
  size_t header_bytes;
  bool complete;           /* the empty line at their end was there */
  double retry_after;      /* seconds */
  double retry_at;         /* the same as a date: Unix seconds */
  double rate_limit_reset; /* Unix milliseconds */
  char date[HTTP_DATE_BYTES]; /* as it stands: few callers want to know, and reading it takes a microsecond */
  char request_id[REQUEST_ID_BYTES];
} answer_headers;

struct transfer {
  engine *engine;  /* NULL where the engine has gone first */
  handle *handle;
  transfer *previous;
  transfer *next;
  transfer_list *list; /* the one list it is in, or NULL */
  transfer_state state;
  const char *ending; /* a kind of end that is not libcurl's: "cancelled", "closed", "timeout" */
  const char *ending_message;
  CURLcode result;
  long http_status;
  bool https;
  int origin;       /* -1: a timer */
  int reference;    /* keeps it alive in the engine's table while the engine works on it */
  double timeout;   /* seconds for this attempt; INFINITY: none */
  double deadline;  /* on watch_now's clock; INFINITY: none */
  size_t deadline_place; /* in the engine's heap */
  double started;   /* when it was handed to libcurl; NaN: never */
  double finished;
  answer_headers headers;
  bool read;        /* its result has been handed out */
  char *body;       /* the handle's, while it is being read */
  struct curl_slist header_lines[2]; /* the key, the request id; then the engine's constant ones */
  const char *url;
  const char *request_id;
  char strings[]; /* the URL and the two header lines of its own */
};

/* The limits and constant options of every transfer of an engine. Strings live as long as the engine's
 * userdata does. */
typedef struct {
  size_t max_response_bytes;
  long connect_timeout_ms;
  const char *ca_file;
  const char *proxy; /* NULL: the environment's */
  bool is_without_proxy; /* nor does the environment name one */
  bool is_http_local; /* no http:// leads to another machine */
  const char *user_agent;
  struct curl_slist *header_lines; /* the same for every request */
} transfer_options;

struct handle {
  CURL *easy;
  handle *next; /* in the engine's list of all */
  handle *next_idle;
  transfer *transfer; /* who borrows it */
  const transfer_options *options;
  const char *over; /* which limit the answer broke */
  bool https;
  char *body;
  size_t body_length;
  size_t body_capacity;
  char detail[CURL_ERROR_SIZE];
};

void transfer_append(transfer_list *list, transfer *t);
void transfer_unlink(transfer *t);

/* NULL where memory runs out. */
handle *handle_new(const transfer_options *options, watch *w);
void handle_free(handle *h);

/* Puts the transfer's request into the handle; false where libcurl has no memory for it. */
bool handle_prepare(handle *h, transfer *t, double timeout);

/* Takes libcurl's end over into the transfer; `http2`: what the origin speaks, as far as is known. */
void handle_finish(handle *h, CURLcode result, bool http2);

/* The transfer has no more use for it: ready for the next, without an unusually large buffer. */
void handle_trim(handle *h);

/* What is asked for: `id` is the URL's last segment, as it is before it is encoded. */
typedef struct {
  const char *prefix;
  const char *id;
  size_t id_length;
  const char *api_key;
  const char *request_id;
} request;

/* Both push a new transfer with its metatable; the rest is up to the engine, whose table (at `company`)
 * keeps the engine alive as long as the transfer is. */
transfer *transfer_new(lua_State *L, int metatable, int company, const request *r);
transfer *transfer_new_timer(lua_State *L, int metatable, int company);

/* Registers the transfer's metatable, which it leaves on the stack, with the decoder's upvalues. */
void transfer_open(lua_State *L, int module);

HIDDEN_END

#endif
