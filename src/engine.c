/* engine.c: the pool, the queues, poll, and the Lua type. */
#include "engine.h"

#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "deadlines.h"
#include "fail.h"
#include "random.h"

/* libcurl's default for the streams of one HTTP/2 connection. */
#define STREAMS_A_CONNECTION 100

#define KEPT_HANDLES 64

/* To send a request takes libcurl a twentieth of a millisecond, and its answer as long, so that hundreds at once would
 * hold a frame up: so many are sent until the next poll, and the rest wait for it. A loop of 60 frames a second can
 * send 480 requests; a poll that may wait sends all that wait for it. */
#define STARTS_A_FRAME 8

/* Seconds between two tries to open libcurl's multi where that failed. */
#define ANOTHER_TRY 0.1

typedef struct {
  transfer_list queue;
  long running;
  bool http2; /* what its last answer came by */
} origin;

struct engine {
  CURLM *multi; /* NULL until opened, after close, and after libcurl ran out of memory */
  CURLSH *share; /* NULL: not open */
  watch watch;
  pid_t owner; /* the process that opened it */
  bool closed;
  int starts_left; /* until the next poll */
  size_t turn; /* whose queue comes first at the next poll */
  bool starts_due; /* for want of those, something waits that has a connection */
  bool sends_at_once; /* at each get */
  bool collected; /* its finalizer has run: nothing may be allocated any more */
  handle *handles; /* all */
  handle *idle;
  size_t idle_count;
  transfer_list running;
  transfer_list timers;
  transfer_list done; /* not handed out yet */
  long done_count;
  long waiting; /* queued, running, timers */
  deadlines deadlines; /* of what is queued, and of timers */
  random_source random;
  transfer_options options;
  struct curl_slist header_lines[2];
  long max_connections;
  double bytes_received;
  double connections_opened;
  size_t origin_count;
  origin origins[];
};

/* -- handles ----------------------------------------------------------------------------------- */

static handle *take_handle(engine *e) {
  handle *h = e->idle;
  if (h != NULL) {
    e->idle = h->next_idle;
    e->idle_count--;
    return h;
  }
  h = handle_new(&e->options, &e->watch);
  if (h == NULL)
    return NULL;
  if (curl_easy_setopt(h->easy, CURLOPT_SHARE, e->share) != CURLE_OK) {
    handle_free(h);
    return NULL;
  }
  h->next = e->handles;
  e->handles = h;
  return h;
}

static void drop_handle(engine *e, handle *h) {
  handle **at = &e->handles;
  while (*at != h)
    at = &(*at)->next;
  *at = h->next;
  handle_free(h);
}

void engine_release(transfer *t) {
  handle *h = t->handle;
  if (h == NULL)
    return;
  engine *e = t->engine;
  t->handle = NULL;
  handle_trim(h);
  if (e->idle_count >= KEPT_HANDLES) {
    drop_handle(e, h);
    return;
  }
  h->next_idle = e->idle;
  e->idle = h;
  e->idle_count++;
}

/* -- the way of a transfer: queued, running, done ------------------------------------------------ */

/* From whatever list it is in to the list of those that are done. */
static void end_transfer(transfer *t, const char *ending, const char *message) {
  engine *e = t->engine;
  t->state = TRANSFER_DONE;
  t->ending = ending;
  t->ending_message = message;
  e->waiting--;
  deadlines_remove(&e->deadlines, t);
  transfer_unlink(t);
  transfer_append(&e->done, t);
  e->done_count++;
}

static const char client_closed[] = "the client was closed";
static const char no_connection[] = "the deadline passed before a connection was free";

/* Hands the transfer to libcurl. It is in no list. */
static void start_transfer(engine *e, transfer *t) {
  double now = watch_now();
  double left = t->deadline - now;
  if (left <= 0) {
    end_transfer(t, "timeout", no_connection);
    return;
  }
  t->handle = take_handle(e);
  if (t->handle == NULL || !handle_prepare(t->handle, t, t->timeout < left ? t->timeout : left) ||
      curl_multi_add_handle(e->multi, t->handle->easy) != CURLM_OK) {
    if (t->handle != NULL)
      drop_handle(e, t->handle); /* who knows which of its options are set */
    t->handle = NULL;
    end_transfer(t, "transport", "out of memory");
    return;
  }
  t->state = TRANSFER_RUNNING;
  t->started = now;
  e->starts_left--;
  e->origins[t->origin].running++;
  transfer_append(&e->running, t);
}

static bool has_room(engine *e, const origin *o) {
  bool room = o->running < (o->http2 ? e->max_connections * STREAMS_A_CONNECTION : e->max_connections);
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

static void allow_starts(engine *e, int count) {
  e->starts_left = count;
  if (!e->starts_due)
    return;
  e->starts_due = false;
  size_t first = e->turn < e->origin_count ? e->turn : 0;
  e->turn = first + 1;
  for (size_t i = first; i < e->origin_count; i++)
    start_queued(e, &e->origins[i]);
  for (size_t i = 0; i < first; i++)
    start_queued(e, &e->origins[i]);
}

static void take_from_multi(engine *e, transfer *t) {
  curl_multi_remove_handle(e->multi, t->handle->easy);
  e->origins[t->origin].running--;
  t->finished = watch_now();
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

static void finish_transfer(engine *e, handle *h, CURLcode result) {
  transfer *t = h->transfer;
  origin *o = &e->origins[t->origin];
  long version = 0;
  handle_finish(h, result, o->http2);
  count_traffic(e, h->easy);
  if (t->http_status > 0 && curl_easy_getinfo(h->easy, CURLINFO_HTTP_VERSION, &version) == CURLE_OK)
    o->http2 = version >= CURL_HTTP_VERSION_2_0;
  take_from_multi(e, t);
  end_transfer(t, NULL, NULL);
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
  while ((t = deadlines_first(&e->deadlines)) != NULL && t->deadline <= watch_now())
    end_transfer(t, t->origin < 0 ? NULL : "timeout", t->origin < 0 ? NULL : no_connection);
}

/* When libcurl or a deadline has something to do. */
static double next_due(const engine *e) {
  const transfer *first = deadlines_first(&e->deadlines);
  double due = e->starts_due ? e->multi != NULL ? 0 : watch_now() + ANOTHER_TRY : e->watch.due;
  return first != NULL && first->deadline < due ? first->deadline : due;
}

/* After anything that poll did not do: what ended by it, poll has to report. */
static void arm(engine *e) {
  watch_arm(&e->watch, e->done_count > 0 ? 0 : next_due(e));
}

/* -- open, close, fork --------------------------------------------------------------------------- */

static void end_all(engine *e, transfer_list *list, const char *ending, const char *message) {
  while (list->first != NULL) {
    if (list->first->state == TRANSFER_RUNNING) {
      list->first->finished = watch_now();
      e->origins[list->first->origin].running--;
    }
    end_transfer(list->first, ending, message);
  }
}

static void close_waiting(engine *e, const char *message) {
  end_all(e, &e->running, "closed", message);
  end_all(e, &e->timers, "closed", message);
  for (size_t i = 0; i < e->origin_count; i++) {
    end_all(e, &e->origins[i].queue, "closed", message);
    e->origins[i].http2 = false;
  }
}

/* A handle goes away under its transfer: what was not read by then cannot be any more. */
static void orphan(transfer *t, const char *ending, const char *message) {
  if (t == NULL)
    return;
  t->handle = NULL;
  if (t->ending == NULL) {
    t->ending = ending;
    t->ending_message = message;
  }
}

static void forget_handles(engine *e) {
  e->handles = e->idle = NULL;
  e->idle_count = 0;
}

static void free_handles(engine *e, const char *ending, const char *message) {
  handle *next;
  for (handle *h = e->handles; h != NULL; h = next) {
    next = h->next;
    if (h->transfer != NULL && h->transfer->state == TRANSFER_RUNNING)
      curl_multi_remove_handle(e->multi, h->easy);
    orphan(h->transfer, ending, message);
    handle_free(h);
  }
  forget_handles(e);
}

/* Frees all that libcurl has of ours. Sockets are closed by curl_multi_cleanup, so the watch goes
 * last. */
static void close_engine(engine *e, const char *message) {
  free_handles(e, "closed", message);
  close_waiting(e, message); /* timers wait without descriptors too */
  if (e->share == NULL)
    return;
  curl_multi_cleanup(e->multi); /* takes NULL */
  curl_share_cleanup(e->share);
  watch_close(&e->watch);
  e->multi = NULL;
  e->share = NULL;
}

/* Where libcurl ran out of memory it no longer knows what some transfer waits for, nor when its time-out is
 * due, and does not say which; 7.88 even crashes when a later transfer gets that one's socket number. So the
 * multi goes, with all that it was doing, and `ready` makes another one. */
static void drop_multi(engine *e, CURLMcode code) {
  const char *message = curl_multi_strerror(code);
  free_handles(e, "transport", message);
  end_all(e, &e->running, "transport", message);
  curl_multi_cleanup(e->multi);
  e->multi = NULL;
  e->watch.due = INFINITY;
  e->starts_due = true; /* so that what is queued does not wait for somebody's next call */
}

/* In a forked child. The parent goes on with its connections and its epoll set, which the child's
 * copies of the descriptors share: so close those and leave libcurl's memory as it is. */
static void abandon_engine(engine *e) {
  static const char message[] = "the process was forked while this call was in flight";
  for (handle *h = e->handles; h != NULL; h = h->next)
    orphan(h->transfer, "closed", message);
  forget_handles(e);
  close_waiting(e, message);
  watch_close_sockets(&e->watch);
  watch_close(&e->watch);
  e->multi = NULL;
  e->share = NULL;
}

static bool is_foreign(const engine *e) {
  return e->share != NULL && e->owner != getpid();
}

void engine_end(transfer *t, const char *ending, const char *message) {
  engine *e = t->engine;
  if (is_foreign(e)) {
    abandon_engine(e);
    return; /* it has ended by that */
  }
  bool running = t->state == TRANSFER_RUNNING;
  if (running)
    take_from_multi(e, t);
  engine_release(t);
  end_transfer(t, ending, message);
  if (running)
    start_queued(e, &e->origins[t->origin]);
  arm(e);
}

void engine_forget(transfer *t) {
  engine *e = t->engine;
  if (is_foreign(e))
    abandon_engine(e);
  if (t->state == TRANSFER_RUNNING)
    take_from_multi(e, t);
  if (t->state != TRANSFER_DONE) {
    e->waiting--;
    t->state = TRANSFER_DONE; /* a finalizer in Lua may still call its methods */
    t->ending = "closed";
    t->ending_message = "the client was collected";
  }
  if (t->list == &e->done)
    e->done_count--;
  deadlines_remove(&e->deadlines, t);
  transfer_unlink(t);
  engine_release(t);
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
  return watch_attach_multi(&e->watch, e->multi) &&
         curl_multi_setopt(e->multi, CURLMOPT_MAX_HOST_CONNECTIONS, e->max_connections) ==
             CURLM_OK &&
         curl_multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, connections) == CURLM_OK;
}

static bool open_multi(engine *e) {
  e->multi = curl_multi_init();
  if (e->multi != NULL && set_multi(e))
    return true;
  curl_multi_cleanup(e->multi); /* takes NULL */
  e->multi = NULL;
  return false;
}

/* A server that can be reached acknowledges at once, however long it takes to answer: what is enough to
 * connect is enough for that. A little more, so that it is a call's own time-out that ends it. */
static int unacknowledged_ms(const transfer_options *options) {
  long ms = options->connect_timeout_ms;
  return ms < INT_MAX / 2 ? (int)(ms + ms / 4) : 0;
}

static bool is_proxy_in_environment(void) {
  static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (getenv(names[i]) != NULL)
      return true;
  return false;
}

/* libcurl would look for one at each request, in eight variables. */
static bool is_without_proxy(const transfer_options *options) {
  return options->proxy != NULL ? options->proxy[0] == '\0' : !is_proxy_in_environment();
}

static const char out_of_memory[] = "out of memory";

/* Opens the engine at its first use in this process. Returns what is in the way of that, or NULL. */
static const char *ready(engine *e) {
  if (is_foreign(e))
    abandon_engine(e);
  if (e->share == NULL) {
    if (!watch_open(&e->watch))
      return "no descriptors are left";
    if (!open_share(e)) {
      watch_close(&e->watch);
      return out_of_memory;
    }
    e->options.is_without_proxy = is_without_proxy(&e->options);
    e->watch.unacknowledged_ms = unacknowledged_ms(&e->options);
    e->owner = getpid();
    e->starts_left = STARTS_A_FRAME;
    random_seed(&e->random); /* a child's numbers are not its parent's */
  }
  return e->multi != NULL || open_multi(e) ? NULL : out_of_memory;
}

/* -- the Lua type -------------------------------------------------------------------------------- */

static engine *to_engine(lua_State *L) {
  engine *e = lua_touserdata(L, 1);
  if (e == NULL || !lua_getmetatable(L, 1) || !lua_rawequal(L, -1, lua_upvalueindex(1)))
    fail_argument(L, 1, "engine expected");
  lua_pop(L, 1);
  return e;
}

static void check_open(lua_State *L, const engine *e) {
  if (e->closed)
    luaL_error(L, "the engine is closed");
}

/* nil and false: none. */
static double seconds_argument(lua_State *L, int index) {
  return lua_toboolean(L, index) ? luaL_checknumber(L, index) : INFINITY;
}

/* Pushes a transfer that the engine knows and keeps alive; the engine's table is at `company`. */
static void adopt(lua_State *L, engine *e, transfer *t, int company, double deadline) {
  if (e->collected)
    luaL_error(L, "the engine is collected");
  t->engine = e;
  t->deadline = isinf(deadline) ? INFINITY : watch_now() + deadline;
  if (!deadlines_reserve(&e->deadlines))
    luaL_error(L, "out of memory");
  lua_pushvalue(L, -1);
  t->reference = luaL_ref(L, company); /* the last thing that can fail */
  t->state = TRANSFER_QUEUED;
  e->waiting++;
}

static void work(engine *e) {
  CURLMcode code = watch_run_due(&e->watch, e->multi);
  expire(e);
  if (code != CURLM_OK)
    drop_multi(e, code);
  else
    reap(e);
}

/** Starts one GET.
 * @function engine:get
 * @tparam integer origin which of the endpoints it goes to, from 1
 * @tparam string prefix the URL up to the id
 * @tparam string id becomes the last segment of its path
 * @tparam string api_key without control characters
 * @tparam ?string request_id nil: a random one
 * @tparam ?number timeout seconds for this attempt, from the moment it has a connection or stream
 * @tparam ?number deadline seconds from now
 * @treturn transfer */
static int l_get(lua_State *L) {
  engine *e = to_engine(L);
  lua_Integer index = luaL_checkinteger(L, 2);
  request r;
  r.prefix = luaL_checkstring(L, 3);
  r.id = luaL_checklstring(L, 4, &r.id_length);
  r.api_key = luaL_checkstring(L, 5);
  r.request_id = luaL_optstring(L, 6, NULL);
  double timeout = seconds_argument(L, 7);
  double deadline = seconds_argument(L, 8);
  char uuid[RANDOM_UUID_BYTES];
  luaL_argcheck(L, index >= 1 && (size_t)index <= e->origin_count, 2, "no such origin");
  check_open(L, e);
  const char *problem = ready(e);
  if (r.request_id == NULL) {
    random_uuid(&e->random, uuid);
    r.request_id = uuid;
  }
  lua_settop(L, 8);
  lua_getuservalue(L, 1);
  transfer *t = transfer_new(L, lua_upvalueindex(2), 9, &r);
  t->origin = (int)index - 1;
  t->timeout = timeout;
  adopt(L, e, t, 9, deadline);
  origin *o = &e->origins[t->origin];
  if (problem != NULL || e->closed) { /* a finalizer that ran meanwhile may have closed it */
    end_transfer(t, e->closed ? "closed" : "transport", e->closed ? client_closed : problem);
  } else if (e->multi != NULL && o->queue.first == NULL && has_room(e, o)) {
    start_transfer(e, t);
  } else {
    transfer_append(&o->queue, t);
    if (!isinf(t->deadline))
      deadlines_add(&e->deadlines, t);
  }
  if (e->sends_at_once && e->multi != NULL) {
    allow_starts(e, STARTS_A_FRAME);
    work(e);
  }
  arm(e);
  return 1;
}

/** A transfer that sends nothing: it is done after a time, or when it is told to be (`fire`).
 * @function engine:timer
 * @tparam ?number seconds nil: only when told
 * @treturn transfer */
static int l_timer(lua_State *L) {
  engine *e = to_engine(L);
  double seconds = seconds_argument(L, 2);
  if (!e->closed)
    ready(e); /* where that fails, or after the end, a timer works all the same */
  lua_settop(L, 2);
  lua_getuservalue(L, 1);
  transfer *t = transfer_new_timer(L, lua_upvalueindex(2), 3);
  adopt(L, e, t, 3, seconds);
  transfer_append(&e->timers, t);
  if (!isinf(t->deadline))
    deadlines_add(&e->deadlines, t);
  arm(e);
  return 1;
}

/* A wait longer than libcurl's next time-out ends at that time-out. */
static void wait_for_work(engine *e, double timeout) {
  double until_due = next_due(e) - watch_now();
  double wait = until_due < timeout ? until_due : timeout;
  if (isinf(wait) && e->waiting == 0)
    return; /* nothing would ever end it */
  CURLMcode code = watch_wait(&e->watch, e->multi, wait > 0 ? wait : 0);
  if (code == CURLM_OK)
    work(e);
  else
    drop_multi(e, code);
}

/* Without descriptors, or memory, timers go on; and now and then there is another try. */
static void wait_without_engine(engine *e, double timeout) {
  const transfer *first = deadlines_first(&e->deadlines);
  double wait = first != NULL ? first->deadline - watch_now() : INFINITY;
  wait = timeout < wait ? timeout : wait;
  wait = wait < 0 ? 0 : wait > ANOTHER_TRY ? ANOTHER_TRY : wait;
  if (e->done_count == 0)
    poll(NULL, 0, (int)ceil(wait * 1e3));
  expire(e);
  e->watch.armed = NAN; /* nobody has looked whether it fired */
}

/** Moves all transfers on.
 * @function engine:poll
 * @tparam number ms how long to wait for something to happen, milliseconds: 0 never waits, −1 has no
 *   limit. Returns early when a signal comes, or libcurl had something to do.
 * @treturn integer how many are done and not handed out by `next` yet: fetch them all before waiting for
 *   the descriptor again */
static int l_poll(lua_State *L) {
  engine *e = to_engine(L);
  double ms = luaL_checknumber(L, 2);
  if (e->closed) {
    expire(e);
    lua_pushinteger(L, e->done_count);
    return 1;
  }
  if (ms == 0 && e->waiting == 0 && !e->watch.shared) { /* a frame loop at rest */
    lua_pushinteger(L, e->done_count);
    return 1;
  }
  double timeout = ms < 0 ? INFINITY : ms / 1e3;
  if (ready(e) != NULL) {
    wait_without_engine(e, timeout);
  } else {
    bool idle = e->watch.open_sockets == 0;
    allow_starts(e, ms == 0 ? STARTS_A_FRAME : INT_MAX);
    work(e);
    /* The first connection is left to the next frame: where the server is near as can be, its TLS handshake would come
     * in this one too, which takes milliseconds the first time. */
    bool enough = ms == 0 && idle && e->watch.open_sockets > 0;
    if (e->multi != NULL && !enough)
      wait_for_work(e, e->done_count == 0 ? timeout : 0);
    if (ms != 0)
      e->starts_left = STARTS_A_FRAME;
  }
  watch_arm(&e->watch, next_due(e));
  lua_pushinteger(L, e->done_count);
  return 1;
}

/** @function engine:next
 * @treturn transfer|nil one that is done, in the order in which they ended */
static int l_next(lua_State *L) {
  engine *e = to_engine(L);
  transfer *t = e->done.first;
  if (t == NULL)
    return 0;
  lua_getuservalue(L, 1);
  lua_rawgeti(L, -1, t->reference);
  luaL_unref(L, -2, t->reference);
  t->reference = LUA_NOREF;
  transfer_unlink(t);
  e->done_count--;
  return 1;
}

/** The descriptor that is readable whenever `poll` has something to do. From the first call on its
 * timer is kept armed. nil where the system has no epoll: poll on a timer there.
 * @function engine:getfd
 * @tparam ?boolean sends each get sends its request itself, so that the descriptor wakes the host only for answers.
 *   Without it the host is woken to poll, which sends it
 * @treturn integer|nil */
static int l_getfd(lua_State *L) {
  engine *e = to_engine(L);
  check_open(L, e);
  if (ready(e) != NULL || e->watch.epoll < 0)
    return 0;
  e->watch.shared = true;
  e->sends_at_once = lua_toboolean(L, 2);
  arm(e);
  lua_pushinteger(L, e->watch.epoll);
  return 1;
}

/** The events to wait for on `pollfd`, in cqueues's words.
 * @function engine:events
 * @treturn string "r" */
static int l_events(lua_State *L) {
  to_engine(L);
  lua_pushliteral(L, "r");
  return 1;
}

/** No time-out of the caller's own is needed: the descriptor knows them.
 * @function engine:timeout
 * @treturn nil */
static int l_timeout(lua_State *L) {
  to_engine(L);
  return 0;
}

/** @function engine:random
 * @treturn number uniform in [0, 1), from a generator of its own */
static int l_random(lua_State *L) {
  engine *e = to_engine(L);
  lua_pushnumber(L, random_fraction(&e->random));
  return 1;
}

static void set_count(lua_State *L, const char *name, double value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

/** @function engine:stats
 * @treturn table in_flight, connections_opened, bytes_received (headers and bodies, as on the wire) */
static int l_stats(lua_State *L) {
  const engine *e = to_engine(L);
  long running = 0;
  for (size_t i = 0; i < e->origin_count; i++)
    running += e->origins[i].running;
  lua_createtable(L, 0, 3);
  set_count(L, "in_flight", (double)running);
  set_count(L, "connections_opened", e->connections_opened);
  set_count(L, "bytes_received", e->bytes_received);
  return 1;
}

static void shut(engine *e) {
  if (e->closed)
    return; /* a timer that was made after that waits on */
  e->closed = true;
  if (is_foreign(e))
    abandon_engine(e);
  else
    close_engine(e, client_closed);
}

/** Ends everything; what was in flight is done, `closed`, and can still be fetched with `next`.
 * @function engine:close */
static int l_close(lua_State *L) {
  shut(to_engine(L));
  return 0;
}

/* Calls no Lua. Transfers may be finalized after it: cut their ties. */
static int l_gc(lua_State *L) {
  engine *e = lua_touserdata(L, 1);
  shut(e);
  end_all(e, &e->timers, "closed", client_closed);
  while (e->done.first != NULL)
    transfer_unlink(e->done.first);
  e->done_count = 0;
  deadlines_free(&e->deadlines);
  e->collected = true;
  return 0;
}

static int l_tostring(lua_State *L) {
  lua_pushfstring(L, "aitoearn engine (%p)", (void *)to_engine(L));
  return 1;
}

/* -- engine(options) ----------------------------------------------------------------------------- */

static lua_Integer integer_option(lua_State *L, const char *name, lua_Integer least) {
  lua_getfield(L, 1, name);
  lua_Integer value = lua_tointeger(L, -1);
  if (lua_type(L, -1) != LUA_TNUMBER || value < least)
    luaL_error(L, "%s: a whole number of at least %d expected", name, (int)least);
  lua_pop(L, 1);
  return value;
}

/* Options' strings are kept in the engine's table, which lives as long as the engine. */
static const char *string_option(lua_State *L, const char *name, int company) {
  lua_getfield(L, 1, name);
  const char *value = lua_isnil(L, -1) ? NULL : luaL_checkstring(L, -1);
  lua_setfield(L, company, name);
  return value;
}

static long connect_timeout_option(lua_State *L) {
  lua_getfield(L, 1, "connect_timeout");
  double ms = lua_toboolean(L, -1) ? ceil(luaL_checknumber(L, -1) * 1e3) : INFINITY;
  lua_pop(L, 1);
  return ms >= 2147483647.0 ? 2147483647L : ms < 1 ? 1 : (long)ms;
}

static void read_options(lua_State *L, engine *e, int company) {
  transfer_options *o = &e->options;
  e->max_connections = (long)integer_option(L, "max_connections", 1);
  o->max_response_bytes = (size_t)integer_option(L, "max_response_bytes", 1);
  o->connect_timeout_ms = connect_timeout_option(L);
  o->ca_file = string_option(L, "ca_file", company);
  o->proxy = string_option(L, "proxy", company);
  lua_getfield(L, 1, "allow_http");
  o->is_http_local = !lua_toboolean(L, -1);
  lua_pop(L, 1);
  o->user_agent = string_option(L, "user_agent", company);
  const char *language = string_option(L, "accept_language", company);
  e->header_lines[0].data = (char *)"Accept: application/json";
  if (language != NULL) {
    e->header_lines[1].data = (char *)lua_pushfstring(L, "Accept-Language: %s", language);
    lua_setfield(L, company, "accept_language");
    e->header_lines[0].next = &e->header_lines[1];
  }
  o->header_lines = e->header_lines;
}

/** A new engine. Nothing is opened before its first transfer.
 * @function engine
 * @tparam table options `origins` (how many endpoints), `max_connections` (each), `max_response_bytes`,
 *   `connect_timeout` (seconds or false), and where wanted `ca_file`, `proxy`, `user_agent`,
 *   `accept_language`, `allow_http`
 * @treturn engine */
static int l_engine(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  size_t origins = (size_t)integer_option(L, "origins", 1);
  engine *e = compat_newuserdata(L, sizeof *e + origins * sizeof e->origins[0]);
  memset(e, 0, sizeof *e + origins * sizeof e->origins[0]);
  e->origin_count = origins;
  e->watch.epoll = e->watch.timer = -1;
  random_seed(&e->random);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, 2);
  lua_newtable(L);
  lua_pushvalue(L, 2);
  lua_setfield(L, 3, "engine"); /* a transfer, whose table this is as well, keeps the engine alive */
  lua_pushvalue(L, 3);
  lua_setuservalue(L, 2);
  read_options(L, e, 3);
  lua_pushvalue(L, 2);
  return 1;
}

/** @function monotonic
 * @treturn number seconds on a clock that nobody sets */
static int l_monotonic(lua_State *L) {
  lua_pushnumber(L, watch_now());
  return 1;
}

/** @function time
 * @treturn number Unix seconds with their fraction */
static int l_time(lua_State *L) {
  struct timeval now;
  gettimeofday(&now, NULL);
  lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_usec / 1e6);
  return 1;
}

/** Waits until a descriptor is readable: for a thread of a host that has no better way.
 * @function wait_fd
 * @tparam integer fd
 * @tparam integer ms milliseconds at most
 * @treturn boolean whether it is readable */
static int l_wait_fd(lua_State *L) {
  struct pollfd wanted = {(int)luaL_checkinteger(L, 1), POLLIN, 0};
  lua_pushboolean(L, poll(&wanted, 1, (int)luaL_checkinteger(L, 2)) > 0);
  return 1;
}

static const luaL_Reg methods[] = {
    {"get", l_get},         {"timer", l_timer},   {"poll", l_poll},   {"next", l_next},     {"getfd", l_getfd},
    {"pollfd", l_getfd},    {"events", l_events}, {"timeout", l_timeout}, {"random", l_random},
    {"stats", l_stats},     {"close", l_close}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__close", l_close},
    {"__tostring", l_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"monotonic", l_monotonic},
    {"time", l_time},
    {"wait_fd", l_wait_fd},
    {NULL, NULL},
};

void engine_open(lua_State *L, int module) {
  lua_newtable(L);
  int metatable = lua_gettop(L);
  lua_newtable(L);
  lua_pushvalue(L, metatable);
  transfer_open(L, module);
  luaL_setfuncs(L, methods, 2);
  lua_setfield(L, metatable, "__index");
  lua_pushvalue(L, metatable);
  luaL_setfuncs(L, metamethods, 1);
  lua_pushcfunction(L, l_gc);
  lua_setfield(L, metatable, "__gc");
  lua_pushliteral(L, "aitoearn engine");
  lua_setfield(L, metatable, "__metatable");
  lua_pushcclosure(L, l_engine, 1);
  lua_setfield(L, module, "engine");
  lua_pushvalue(L, module);
  luaL_setfuncs(L, functions, 0);
  lua_settop(L, module);
}
