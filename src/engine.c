/* engine.c: the queues, poll, and what happens at a fork. */
#include "engine.h"

#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* libcurl's default for the streams of one HTTP/2 connection. */
#define STREAMS_PER_CONNECTION 100

/* Starting a request costs libcurl about 50 µs and handling its answer as much again; hundreds
 * at once would stall a poll that must not wait. It starts at most this many, the rest wait for
 * the next. */
#define STARTS_PER_POLL 8

/* How often a request that its server refused goes back into the queue. */
#define MAX_REFUSALS 10

/* A time-out after less than this part of the promised time came while libcurl had no stream for
 * it. */
#define FULL_TIME 0.9

/* Seconds before another attempt to create the multi handle. */
#define RETRY_OPEN 0.1

static const char client_closed[] = "the client was closed";
static const char no_connection[] = "the deadline passed before a connection was free";
static const char out_of_memory[] = "out of memory";

/* -- the way of a transfer: queued, running, done ---------------------------------------------- */

/* From whatever list it is in to the list of those that are done. */
static void end_transfer(transfer *t, const char *failure, const char *message) {
  engine *e = t->engine;
  t->state = TRANSFER_DONE;
  t->failure = failure;
  t->failure_message = message;
  e->unfinished--;
  deadlines_remove(&e->deadlines, t);
  transfer_unlink(t);
  transfer_append(&e->done, t);
  e->done_count++;
}

static void free_handle(transfer *t) {
  handle_free(t->handle);
  t->handle = NULL;
}

static handle *make_handle(engine *e, transfer *t, double left) {
  origin *o = &e->origins[t->origin];
  handle_setup setup = {.options = &e->options,
                        .origin = &o->options,
                        .sockets = &o->sockets,
                        .share = e->share,
                        .waiting = &o->waiting,
                        .timeout = t->timeout < left ? t->timeout : left,
                        .looks_up = o->unreachable};
  if (o->sockets.suspects >= e->max_connections)
    poller_end_suspects(&o->sockets); /* they hold every connection there may be */
  if (o->sockets.suspects > 0)
    t->is_fresh = true;
  return handle_new(&setup, t);
}

/* Hands the transfer to libcurl. It is in no list. */
static void start_transfer(engine *e, transfer *t) {
  double now = poller_now();
  double left = t->deadline - now;
  if (left <= 0) {
    end_transfer(t, "timeout", no_connection);
    return;
  }
  t->handle = make_handle(e, t, left);
  if (t->handle == NULL || curl_multi_add_handle(e->multi, t->handle->easy) != CURLM_OK) {
    free_handle(t);
    end_transfer(t, "transport", out_of_memory);
    return;
  }
  t->state = TRANSFER_RUNNING;
  t->started = now;
  e->starts_left--;
  e->origins[t->origin].running++;
  transfer_append(&e->running, t);
}

/* How many transfers libcurl may have of an origin. */
static long limit_of(const engine *e, const origin *o) {
  if (!o->sockets.http2 || o->sockets.suspects > 0)
    return e->max_connections;
  return o->stream_limit > 0 ? o->stream_limit : e->max_connections * STREAMS_PER_CONNECTION;
}

/* Few at a time may wait in libcurl: it puts all that do on a new connection, before the server has
 * said how many streams it serves, and there their time-outs run. */
static bool has_room(engine *e, const origin *o) {
  bool room = o->running < limit_of(e, o);
  if (room && o->waiting >= e->max_connections) {
    e->streams_wanted = true;
    return false;
  }
  if (room && e->starts_left <= 0)
    e->starts_due = true;
  return room && e->starts_left > 0;
}

static void start_queued(engine *e, origin *o) {
  while (o->queue.first != NULL && has_room(e, o)) {
    transfer *t = o->queue.first;
    deadlines_remove(&e->deadlines, t);
    transfer_unlink(t);
    start_transfer(e, t);
  }
}

static void start_all_queued(engine *e) {
  e->streams_wanted = false;
  for (size_t i = 0; i < e->origin_count; i++)
    start_queued(e, &e->origins[i]);
}

/* Allows `count` starts until the next poll, and uses them for what waited for that. */
static void start_waiting(engine *e, int count) {
  e->starts_left = count;
  if (!e->starts_due)
    return;
  e->starts_due = false;
  size_t first = e->next_origin < e->origin_count ? e->next_origin : 0;
  e->next_origin = first + 1;
  for (size_t i = first; i < e->origin_count; i++)
    start_queued(e, &e->origins[i]);
  for (size_t i = 0; i < first; i++)
    start_queued(e, &e->origins[i]);
}

static void take_from_multi(engine *e, transfer *t) {
  curl_multi_remove_handle(e->multi, t->handle->easy);
  e->origins[t->origin].running--;
  t->finished = poller_now();
}

static void count_traffic(engine *e, CURL *easy) {
  long connects = 0;
  long header_bytes = 0;
  curl_off_t body_bytes = 0;
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
  curl_easy_getinfo(easy, CURLINFO_HEADER_SIZE, &header_bytes);
  curl_easy_getinfo(easy, CURLINFO_SIZE_DOWNLOAD_T, &body_bytes);
  e->connections_opened += (double)connects;
  e->bytes_received += (double)header_bytes + (double)body_bytes;
}

/* What a result says about the way to the origin. */
static void judge_connection(const transfer *t, origin *o, CURL *easy) {
  long port = 0;
  curl_off_t before = 0;
  if (t->http_status > 0) {
    o->sockets.http2 = t->http_version >= CURL_HTTP_VERSION_2_0;
    o->unreachable = false;
    o->answered = t->finished;
    return;
  }
  bool timed_out = t->result == CURLE_OPERATION_TIMEDOUT;
  if (!t->is_sent && (t->result == CURLE_COULDNT_CONNECT || timed_out))
    o->unreachable = true;
  if (!t->is_sent || !timed_out || curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &port) != CURLE_OK)
    return;
  curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &before);
  poller_suspect(&o->sockets, port, t->finished - t->started - (double)before / 1e6, !t->is_reused);
}

/* Whether libcurl gave a GET up before its server had the time for it: it waited inside libcurl for
 * a stream that the server, which answered others meanwhile, did not grant, or its streams were
 * refused. */
static bool was_not_served(const transfer *t, const origin *o, CURLcode result) {
  if (t->method != NULL || !o->sockets.http2)
    return false;
  if (handle_has_died(t->handle))
    return t->headers.bytes == 0 && t->refusals < MAX_REFUSALS;
  double served = isnan(t->handle->granted) ? 0 : t->finished - t->handle->granted;
  return result == CURLE_OPERATION_TIMEDOUT && served < t->timeout * FULL_TIME &&
         t->finished < t->deadline && o->answered >= t->started;
}

/* Learns how many requests the server serves at once: those that are being served, one more with
 * each round of answers. */
static void lower_stream_limit(const engine *e, origin *o) {
  long served = 0;
  for (const transfer *t = e->running.first; t != NULL; t = t->next)
    served += &e->origins[t->origin] == o && !isnan(t->handle->granted);
  o->stream_limit = served > e->max_connections ? served : e->max_connections;
  o->answers = 0;
}

static void raise_stream_limit(const engine *e, origin *o) {
  if (o->stream_limit == 0 || ++o->answers < o->stream_limit)
    return;
  o->answers = 0;
  if (++o->stream_limit >= e->max_connections * STREAMS_PER_CONNECTION)
    o->stream_limit = 0;
}

/* To the front of its origin's queue; false if there is no memory for its deadline. */
static bool put_back(engine *e, transfer *t, origin *o) {
  if (!deadlines_reserve(&e->deadlines))
    return false;
  transfer_unlink(t);
  free_handle(t);
  transfer_reset(t);
  t->refusals++;
  transfer_prepend(&o->queue, t);
  if (!isinf(t->deadline))
    deadlines_add(&e->deadlines, t);
  lower_stream_limit(e, o);
  return true;
}

static void finish_transfer(engine *e, handle *h, CURLcode result) {
  transfer *t = h->transfer;
  origin *o = &e->origins[t->origin];
  handle_finish(h, result, o->sockets.http2);
  count_traffic(e, h->easy);
  take_from_multi(e, t);
  if (!was_not_served(t, o, result) || !put_back(e, t, o)) {
    judge_connection(t, o, h->easy);
    raise_stream_limit(e, o);
    handle_detach(h);
    end_transfer(t, NULL, NULL);
  }
  start_queued(e, o);
}

static void reap(engine *e) {
  int left;
  CURLMsg *message;
  while ((message = curl_multi_info_read(e->multi, &left)) != NULL) {
    handle *h = NULL;
    CURLcode result = message->data.result;
    if (message->msg == CURLMSG_DONE &&
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&h) == CURLE_OK)
      finish_transfer(e, h, result);
  }
}

static void expire(engine *e) {
  transfer *t;
  while ((t = deadlines_first(&e->deadlines)) != NULL && t->deadline <= poller_now())
    end_transfer(t, t->is_timer ? NULL : "timeout", t->is_timer ? NULL : no_connection);
}

/* When libcurl or a deadline has something to do. */
static double next_due(const engine *e) {
  const transfer *first = deadlines_first(&e->deadlines);
  double due = e->starts_due ? e->multi != NULL ? 0 : poller_now() + RETRY_OPEN : e->poller.due;
  return first != NULL && first->deadline < due ? first->deadline : due;
}

/* Call after every change made outside `engine_poll`: a completion must make the descriptor
 * readable. */
static void arm(engine *e) {
  poller_arm(&e->poller, e->done_count > 0 ? 0 : next_due(e));
}

/* -- open, close, fork ------------------------------------------------------------------------- */

/* A running transfer's handle must not be in the multi any more. */
static void end_all(engine *e, transfer_list *list, const char *failure, const char *message) {
  while (list->first != NULL) {
    transfer *t = list->first;
    if (t->state == TRANSFER_RUNNING) {
      t->finished = poller_now();
      e->origins[t->origin].running--;
      t->is_sent = true; /* as far as is known */
      free_handle(t);
    }
    end_transfer(t, failure, message);
  }
}

static void end_running(engine *e, const char *failure, const char *message) {
  for (transfer *t = e->running.first; t != NULL; t = t->next)
    curl_multi_remove_handle(e->multi, t->handle->easy);
  end_all(e, &e->running, failure, message);
}

static void end_waiting(engine *e, const char *message) {
  end_all(e, &e->timers, "closed", message);
  for (size_t i = 0; i < e->origin_count; i++) {
    end_all(e, &e->origins[i].queue, "closed", message);
    e->origins[i].sockets.http2 = false;
    e->origins[i].stream_limit = 0;
  }
}

/* Where libcurl ran out of memory it no longer knows what some transfer waits for, nor when its
 * time-out is due, and does not say which; 7.88 even crashes when a later transfer gets that
 * one's socket number. So the multi goes, with all that it was doing, and engine_ensure_open
 * makes another one. */
static void discard_multi(engine *e, CURLMcode code) {
  end_running(e, "transport", curl_multi_strerror(code));
  curl_multi_cleanup(e->multi);
  e->multi = NULL;
  e->poller.due = INFINITY;
  e->starts_due = true; /* so that what is queued does not wait for somebody's next call */
}

/* In a forked child. The parent goes on with its connections and its epoll set, which the child's
 * copies of the descriptors share: so close those and leave libcurl's memory as it is. Or the
 * program has closed the descriptors: libcurl would close its own files under their numbers. */
static void abandon(engine *e) {
  const char *message = e->poller.lost ? "the client's descriptors were closed"
                                       : "the process was forked while this call was in flight";
  for (transfer *t = e->running.first; t != NULL; t = t->next)
    t->handle->easy = NULL;
  end_all(e, &e->running, "closed", message);
  end_waiting(e, message);
  poller_close_sockets(&e->poller);
  poller_close(&e->poller);
  fork_guard_close(&e->fork_guard);
  e->multi = NULL;
  e->share = NULL;
}

static bool is_foreign(const engine *e) {
  return e->share != NULL && (e->poller.lost || fork_guard_is_child(&e->fork_guard));
}

static void check_descriptors(engine *e) {
  if (e->share != NULL && !poller_is_intact(&e->poller))
    e->poller.lost = true;
}

static bool open_share(engine *e) {
  e->share = curl_share_init();
  if (e->share != NULL &&
      curl_share_setopt(e->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK)
    return true;
  curl_share_cleanup(e->share); /* takes NULL */
  e->share = NULL;
  return false;
}

static bool set_multi(engine *e) {
  long connections = e->max_connections * (long)e->origin_count;
  return curl_multi_setopt(e->multi, CURLMOPT_MAX_HOST_CONNECTIONS, e->max_connections) ==
             CURLM_OK &&
         curl_multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, connections) == CURLM_OK;
}

static bool open_multi(engine *e) {
  e->multi = poller_new_multi(&e->poller);
  if (e->multi != NULL && set_multi(e))
    return true;
  curl_multi_cleanup(e->multi); /* takes NULL */
  e->multi = NULL;
  return false;
}

/* TCP_USER_TIMEOUT. A reachable server acknowledges at once, however slow its answer, so the
 * connect time-out bounds this too; 25 % more, so that the call's own time-out fires first. */
static int tcp_user_timeout_ms(const transfer_options *options) {
  long ms = options->connect_timeout_ms;
  return ms < INT_MAX / 2 ? (int)(ms + ms / 4) : 0;
}

static bool is_proxy_in_environment(void) {
  static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                      "ALL_PROXY"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (getenv(names[i]) != NULL)
      return true;
  return false;
}

/* libcurl would look for one at each request, in eight variables. */
static bool is_without_proxy(const transfer_options *options) {
  return options->proxy != NULL ? options->proxy[0] == '\0' : !is_proxy_in_environment();
}

static const char *open_engine(engine *e) {
  if (is_foreign(e))
    abandon(e);
  if (e->share == NULL) {
    if (!poller_open(&e->poller))
      return "no descriptors are left";
    if (!open_share(e)) {
      poller_close(&e->poller);
      return out_of_memory;
    }
    e->options.is_without_proxy = is_without_proxy(&e->options);
    e->poller.tcp_user_timeout_ms = tcp_user_timeout_ms(&e->options);
    fork_guard_open(&e->fork_guard);
    e->starts_left = STARTS_PER_POLL;
    random_seed(&e->random); /* a child's numbers are not its parent's */
  }
  return e->multi != NULL || open_multi(e) ? NULL : out_of_memory;
}

const char *engine_ensure_open(engine *e) {
  if (!e->is_checked) /* one check serves all that is started between two polls */
    check_descriptors(e);
  e->is_checked = e->share != NULL;
  return open_engine(e);
}

/* -- poll -------------------------------------------------------------------------------------- */

static void process(engine *e) {
  CURLMcode code = poller_run_due(&e->poller, e->multi);
  expire(e);
  if (code != CURLM_OK) {
    discard_multi(e, code);
    return;
  }
  reap(e);
  if (e->streams_wanted) /* some may have got theirs */
    start_all_queued(e);
}

/* A wait longer than libcurl's next time-out ends at that time-out. */
static void wait_for_work(engine *e, double timeout) {
  double until_due = next_due(e) - poller_now();
  double wait = until_due < timeout ? until_due : timeout;
  if (isinf(wait) && e->unfinished == 0)
    return; /* nothing would ever end it */
  CURLMcode code = poller_wait(&e->poller, e->multi, wait > 0 ? wait : 0);
  if (code == CURLM_OK)
    process(e);
  else
    discard_multi(e, code);
}

/* While the engine cannot be opened only timers run; opening is retried every RETRY_OPEN
 * seconds. */
static void wait_without_engine(engine *e, double timeout) {
  const transfer *first = deadlines_first(&e->deadlines);
  double wait = first != NULL ? first->deadline - poller_now() : INFINITY;
  wait = timeout < wait ? timeout : wait;
  wait = wait < 0 ? 0 : wait > RETRY_OPEN ? RETRY_OPEN : wait;
  if (e->done_count == 0)
    poll(NULL, 0, (int)ceil(wait * 1e3));
  expire(e);
  e->poller.armed = NAN; /* nobody has looked whether it fired */
}

static void poll_open(engine *e, double timeout) {
  bool idle = e->poller.open_sockets == 0;
  start_waiting(e, timeout == 0 ? STARTS_PER_POLL : INT_MAX);
  process(e);
  /* Leave a new connection to the next poll: with a nearby server the TLS handshake would land
   * in this one, and a process's first costs milliseconds. */
  bool enough = timeout == 0 && idle && e->poller.open_sockets > 0;
  bool nothing_left = e->done_count > 0 && e->unfinished == 0;
  if (e->multi != NULL && !enough && !nothing_left)
    wait_for_work(e, e->done_count == 0 ? timeout : 0);
  if (timeout != 0)
    e->starts_left = STARTS_PER_POLL;
}

static void advance(engine *e, double timeout) {
  e->is_checked = false;
  if (e->closed) {
    expire(e);
    return;
  }
  if (timeout == 0 && e->unfinished == 0 && !e->poller.shared)
    return; /* nothing to do, and no timer to arm */
  if (open_engine(e) != NULL)
    wait_without_engine(e, timeout);
  else
    poll_open(e, timeout);
  poller_arm(&e->poller, next_due(e));
}

transfer *engine_next(engine *e) {
  transfer *t = e->done.first;
  if (t == NULL)
    return NULL;
  transfer_unlink(t);
  e->done_count--;
  return t;
}

int engine_descriptor(engine *e) {
  if (open_engine(e) != NULL || e->poller.epoll < 0)
    return -1;
  e->poller.shared = true;
  arm(e);
  return e->poller.epoll;
}

void engine_send_at_once(engine *e) {
  e->sends_at_once = true;
}

long engine_in_flight(const engine *e) {
  long running = 0;
  for (size_t i = 0; i < e->origin_count; i++)
    running += e->origins[i].running;
  return running;
}

/* -- transfers come and go --------------------------------------------------------------------- */

bool engine_reserve(engine *e) {
  return deadlines_reserve(&e->deadlines);
}

static void add(engine *e, transfer *t, double deadline) {
  t->engine = e;
  t->state = TRANSFER_QUEUED;
  t->deadline = isinf(deadline) ? INFINITY : poller_now() + deadline;
  e->unfinished++;
}

static void enqueue(engine *e, transfer *t, transfer_list *list) {
  transfer_append(list, t);
  if (!isinf(t->deadline))
    deadlines_add(&e->deadlines, t);
}

static void start(engine *e, transfer *t, double deadline, const char *problem) {
  origin *o = &e->origins[t->origin];
  e->requests++;
  add(e, t, deadline);
  if (problem != NULL ||
      e->closed) /* a finalizer that ran since it was looked at may have closed it */
    end_transfer(t, e->closed ? "closed" : "transport", e->closed ? client_closed : problem);
  else if (e->multi != NULL && o->queue.first == NULL && has_room(e, o))
    start_transfer(e, t);
  else
    enqueue(e, t, &o->queue);
  if (e->sends_at_once && e->multi != NULL) {
    start_waiting(e, STARTS_PER_POLL);
    process(e);
  }
  if (e->sends_at_once) /* the caller fetches what is done by itself */
    poller_arm(&e->poller, next_due(e));
  else
    arm(e);
}

void engine_add_timer(engine *e, transfer *t, double seconds) {
  add(e, t, seconds);
  enqueue(e, t, &e->timers);
  arm(e);
}

static void end(transfer *t, const char *failure, const char *message) {
  engine *e = t->engine;
  if (is_foreign(e)) {
    abandon(e);
    return; /* it has ended by that */
  }
  bool running = t->state == TRANSFER_RUNNING;
  if (running) {
    handle_note_sent(t->handle);
    take_from_multi(e, t);
  }
  free_handle(t);
  end_transfer(t, failure, message);
  if (running)
    start_queued(e, &e->origins[t->origin]);
  arm(e);
}

static void forget(transfer *t) {
  engine *e = t->engine;
  if (is_foreign(e))
    abandon(e);
  if (t->state == TRANSFER_RUNNING)
    take_from_multi(e, t);
  if (t->state != TRANSFER_DONE) {
    e->unfinished--;
    t->state = TRANSFER_DONE; /* a finalizer in Lua may still call its methods */
    t->failure = "closed";
    t->failure_message = "the client was collected";
  }
  if (t->list == &e->done)
    e->done_count--;
  deadlines_remove(&e->deadlines, t);
  transfer_unlink(t);
  free_handle(t);
}

/* -- its own life ------------------------------------------------------------------------------ */

size_t engine_size(size_t origins) {
  return sizeof(engine) + origins * sizeof(origin);
}

void engine_init(engine *e, size_t origins) {
  memset(e, 0, engine_size(origins));
  e->origin_count = origins;
  for (size_t i = 0; i < origins; i++) {
    e->origins[i].sockets.poller = &e->poller;
    e->origins[i].options.header_lines = e->options.header_lines;
  }
  e->guards_sigpipe = sigpipe_is_needed();
  poller_init(&e->poller);
  random_seed(&e->random);
}

static void close_all(engine *e) {
  if (e->closed)
    return;
  e->closed = true;
  check_descriptors(e);
  if (is_foreign(e)) {
    abandon(e);
    return;
  }
  end_running(e, "closed", client_closed);
  end_waiting(e, client_closed); /* timers wait without descriptors too */
  if (e->share == NULL)
    return;
  curl_multi_cleanup(e->multi); /* takes NULL */
  curl_share_cleanup(e->share);
  poller_close(&e->poller); /* last: curl_multi_cleanup closes sockets */
  fork_guard_close(&e->fork_guard);
  e->multi = NULL;
  e->share = NULL;
}

/* -- what may write to a socket, without SIGPIPE ----------------------------------------------- */

void engine_poll(engine *e, double timeout) {
  sigpipe_guard guard;
  sigpipe_block(&guard, e->guards_sigpipe);
  advance(e, timeout);
  sigpipe_restore(&guard);
}

void engine_get(engine *e, transfer *t, double deadline, const char *problem) {
  sigpipe_guard guard;
  sigpipe_block(&guard, e->guards_sigpipe);
  start(e, t, deadline, problem);
  sigpipe_restore(&guard);
}

void engine_end(transfer *t, const char *failure, const char *message) {
  sigpipe_guard guard;
  sigpipe_block(&guard, t->engine->guards_sigpipe);
  end(t, failure, message);
  sigpipe_restore(&guard);
}

void engine_forget(transfer *t) {
  sigpipe_guard guard;
  sigpipe_block(&guard, t->engine->guards_sigpipe);
  forget(t);
  sigpipe_restore(&guard);
}

void engine_close(engine *e) {
  sigpipe_guard guard;
  sigpipe_block(&guard, e->guards_sigpipe);
  close_all(e);
  sigpipe_restore(&guard);
}

void engine_collect(engine *e) {
  engine_close(e);
  end_all(e, &e->timers, "closed", client_closed);
  while (engine_next(e) != NULL)
    ;
  deadlines_free(&e->deadlines);
  e->collected = true;
}
