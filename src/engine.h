/* engine.h: one client's transfers, all of them advanced by `engine_poll`.
 *
 * An engine owns a curl_multi, the poller behind its descriptor, a share (TLS sessions), and the
 * handles of running transfers. It opens lazily: one made before a fork (nginx's init_by_lua)
 * belongs to no process until it is used, and a process that finds it opened by its parent
 * starts afresh.
 *
 * On HTTP/1.1 a transfer waits in its origin's list until a connection is free, so that its
 * time-out begins when it can be sent; in libcurl's own queue the clock would run. What is done
 * goes into one list, from which `engine_next` hands it out.
 *
 * Nothing here knows Lua. The memory of engines and transfers is the caller's, who keeps a
 * transfer alive from `engine_get` or `engine_add_timer` until `engine_next` returns it. */
#ifndef AITOEARN_ENGINE_H
#define AITOEARN_ENGINE_H

#include "deadlines.h"
#include "fork_guard.h"
#include "handle.h"
#include "poller.h"
#include "random.h"
#include "sigpipe.h"
#include "transfer.h"

#include "hidden.h"

HIDDEN_BEGIN

typedef struct {
  transfer_list queue;
  long running;
  long waiting; /* of these, how many libcurl has no connection or stream for yet (https) */
  long stream_limit; /* requests that its server serves at once over HTTP/2; 0: unknown */
  long answers; /* since that limit changed */
  bool unreachable; /* the last connect failed: look its name up again */
  double answered; /* when its last answer came */
  socket_group sockets;
  origin_options options;
} origin;

struct engine {
  CURLM *multi; /* NULL until opened, after close, and after libcurl ran out of memory */
  CURLSH *share; /* NULL: not open */
  poller poller;
  fork_guard fork_guard; /* of the process that opened it */
  bool is_checked; /* its descriptors have been checked since the last poll */
  bool closed;
  bool collected; /* its memory is about to go: nothing may be allocated any more */
  bool sends_at_once;
  bool guards_sigpipe;
  bool starts_due; /* a transfer could start, but `starts_left` is used up */
  bool streams_wanted; /* a transfer could start, were fewer waiting in libcurl */
  int starts_left; /* until the next poll */
  size_t next_origin; /* whose queue comes first at the next poll */
  transfer_list running;
  transfer_list timers;
  transfer_list done; /* not handed out yet */
  long done_count;
  long unfinished; /* queued, running, timers */
  deadlines deadlines; /* of what is queued, and of timers */
  random_source random;
  transfer_options options;
  long max_connections; /* per origin */
  double requests; /* that were started, however they ended */
  double bytes_received;
  double connections_opened;
  size_t origin_count;
  origin origins[];
};

/* How large an engine with that many origins is. */
size_t engine_size(size_t origins);

/* Makes a closed engine of zeroes; its options are to be filled in before it is used. */
void engine_init(engine *e, size_t origins);

/* Opens the engine at its first use in this process, and again if its descriptors were closed.
 * Returns NULL, or the reason why it cannot be opened. */
const char *engine_ensure_open(engine *e);

/* Makes room for one more transfer, so that adding it cannot fail; false if memory runs out. */
bool engine_reserve(engine *e);

/* Both take a new transfer, whose `deadline` is set to that many seconds from now. `problem`: what
 * engine_ensure_open said; the transfer then fails with it. */
void engine_get(engine *e, transfer *t, double deadline, const char *problem);
void engine_add_timer(engine *e, transfer *t, double seconds);

/* Advances all transfers, after waiting up to `timeout` seconds (INFINITY: no limit) for
 * something to happen; with 0 it never waits, and starts and handles a few at a time only. */
void engine_poll(engine *e, double timeout);

/* Takes the next done transfer out of the engine; NULL: there is none. */
transfer *engine_next(engine *e);

/* The descriptor that is readable whenever `engine_poll` has work, −1 if there is none. Its
 * timer is kept armed from now on. */
int engine_descriptor(engine *e);

/* From now on `engine_get` sends its request itself, so that the descriptor wakes the program
 * only for answers. Without this it is woken to poll, which sends it. */
void engine_send_at_once(engine *e);

/* How many transfers libcurl has. */
long engine_in_flight(const engine *e);

/* Takes a transfer that is not done out of whatever it is in; it is then done, with that failure
 * (NULL: a timer that fires). */
void engine_end(transfer *t, const char *failure, const char *message);

/* The transfer's memory goes: out of every list with it. */
void engine_forget(transfer *t);

/* Ends everything: what was in flight is done, `closed`, and can still be fetched with
 * `engine_next`. Timers added after that run on. */
void engine_close(engine *e);

/* The engine's memory goes, perhaps before that of its transfers: cuts the ties to them. */
void engine_collect(engine *e);

HIDDEN_END

#endif
