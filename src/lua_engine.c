/* lua_engine.c: every function has the type's metatable as upvalue 1, and those that make
 * transfers have the metatable of transfers as upvalue 2. An engine's user value is a table of
 * all transfers it works on, by their reference, and of its options' strings; it is the user
 * value of every transfer too. */
#include "lua_engine.h"

#include <math.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>

#include "engine.h"
#include "fail.h"
#include "lua_transfer.h"

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

/* Keeps the transfer on top of the stack alive until engine_next returns it, and makes room for
 * it in the engine. Nothing can fail after that. */
static void adopt(lua_State *L, engine *e, transfer *t, int uservalue) {
  if (e->collected)
    luaL_error(L, "the engine is collected");
  if (!engine_reserve(e))
    luaL_error(L, "out of memory");
  lua_pushvalue(L, -1);
  t->reference = luaL_ref(L, uservalue);
}

/* What engine:get and engine:send have in common: their arguments after the request. The engine's
 * user value goes on top of the stack, at `uservalue`. */
typedef struct {
  size_t origin;
  double timeout;
  double deadline;
  size_t max_bytes;
  bool is_fresh;
  char uuid[RANDOM_UUID_BYTES]; /* the request id, if the caller gave none */
} start_arguments;

static size_t origin_argument(lua_State *L, const engine *e) {
  lua_Integer index = luaL_checkinteger(L, 2);
  luaL_argcheck(L, index >= 1 && (size_t)index <= e->origin_count, 2, "no such origin");
  return (size_t)index - 1;
}

static int push_started(lua_State *L, engine *e, request *r, start_arguments *arguments) {
  check_open(L, e);
  const char *problem =
      engine_ensure_open(e); /* before the random id: a child's numbers are its own */
  if (r->request_id == NULL) {
    random_uuid(&e->random, arguments->uuid);
    r->request_id = arguments->uuid;
  }
  lua_getuservalue(L, 1);
  int uservalue = lua_gettop(L);
  transfer *t = lua_transfer_new(L, lua_upvalueindex(2), uservalue, r);
  t->origin = arguments->origin;
  t->timeout = arguments->timeout;
  t->max_bytes = arguments->max_bytes;
  t->is_fresh = arguments->is_fresh;
  adopt(L, e, t, uservalue);
  engine_get(e, t, arguments->deadline, problem);
  return 1;
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
 * @tparam ?boolean fresh over a new connection
 * @treturn transfer */
static int l_get(lua_State *L) {
  engine *e = to_engine(L);
  request r = {0};
  start_arguments arguments = {.origin = origin_argument(L, e)};
  r.prefix = luaL_checkstring(L, 3);
  r.id = luaL_checklstring(L, 4, &r.id_length);
  r.api_key = luaL_checkstring(L, 5);
  r.request_id = luaL_optstring(L, 6, NULL);
  arguments.timeout = seconds_argument(L, 7);
  arguments.deadline = seconds_argument(L, 8);
  arguments.is_fresh = lua_toboolean(L, 9);
  arguments.max_bytes = e->options.max_response_bytes;
  return push_started(L, e, &r, &arguments);
}

/* A constant for the method's name, NULL for GET. */
static const char *method_field(lua_State *L, int index) {
  static const char *const names[] = {"GET", "POST", "PATCH", "DELETE", NULL};
  lua_getfield(L, index, "method");
  int method = luaL_checkoption(L, -1, "GET", names);
  lua_pop(L, 1);
  return method == 0 ? NULL : names[method];
}

/* The table at `index` keeps the string. */
static const char *string_field(lua_State *L, int index, const char *name, size_t *length) {
  lua_getfield(L, index, name);
  const char *value = lua_isnil(L, -1) ? NULL : luaL_checklstring(L, -1, length);
  lua_pop(L, 1);
  return value;
}

/** Starts any request. One that is no GET is sent once: libcurl does not repeat it by itself.
 * @function engine:send
 * @tparam integer origin which of the endpoints it goes to, from 1
 * @tparam table request `url` (percent-encoded), and where wanted `method` (`GET`, `POST`, `PATCH`,
 *   `DELETE`), `body` (JSON), `max_bytes` (instead of max_response_bytes), `fresh` (over a new
 *   connection)
 * @tparam string api_key without control characters
 * @tparam ?string request_id nil: a random one
 * @tparam ?number timeout seconds for this attempt
 * @tparam ?number deadline seconds from now
 * @treturn transfer */
static int l_send(lua_State *L) {
  engine *e = to_engine(L);
  request r = {0};
  start_arguments arguments = {.origin = origin_argument(L, e)};
  luaL_checktype(L, 3, LUA_TTABLE);
  r.api_key = luaL_checkstring(L, 4);
  r.request_id = luaL_optstring(L, 5, NULL);
  arguments.timeout = seconds_argument(L, 6);
  arguments.deadline = seconds_argument(L, 7);
  r.method = method_field(L, 3);
  r.prefix = string_field(L, 3, "url", NULL);
  r.body = r.method != NULL ? string_field(L, 3, "body", &r.body_length) : NULL;
  luaL_argcheck(L, r.prefix != NULL, 3, "url: string expected");
  lua_getfield(L, 3, "max_bytes");
  arguments.max_bytes =
      lua_isnil(L, -1) ? e->options.max_response_bytes : (size_t)luaL_checkinteger(L, -1);
  lua_getfield(L, 3, "fresh");
  arguments.is_fresh = lua_toboolean(L, -1);
  return push_started(L, e, &r, &arguments);
}

/** A transfer that sends nothing: it is done after a time, or when it is fired.
 * @function engine:timer
 * @tparam ?number seconds nil: only when fired
 * @treturn transfer */
static int l_timer(lua_State *L) {
  engine *e = to_engine(L);
  double seconds = seconds_argument(L, 2);
  if (!e->closed)
    engine_ensure_open(e); /* if that fails, and after close, a timer works all the same */
  lua_settop(L, 2);
  lua_getuservalue(L, 1);
  transfer *t = lua_transfer_new_timer(L, lua_upvalueindex(2), 3);
  adopt(L, e, t, 3);
  engine_add_timer(e, t, seconds);
  return 1;
}

/** Advances all transfers.
 * @function engine:poll
 * @tparam number ms how long to wait for something to happen, milliseconds: 0 never waits, −1 has
 *   no limit. Returns early when a signal comes, or libcurl had something to do.
 * @treturn integer how many are done and not handed out by `next` yet: fetch them all before
 *   waiting for the descriptor again */
static int l_poll(lua_State *L) {
  engine *e = to_engine(L);
  double ms = luaL_checknumber(L, 2);
  engine_poll(e, ms < 0 ? INFINITY : ms / 1e3);
  lua_pushinteger(L, e->done_count);
  return 1;
}

/* Takes the first done transfer out of the engine, whose user value is at `uservalue`. */
static transfer *take_done(lua_State *L, engine *e, int uservalue) {
  transfer *t = engine_next(e);
  if (t != NULL) {
    luaL_unref(L, uservalue, t->reference);
    t->reference = LUA_NOREF;
  }
  return t;
}

/** @function engine:next
 * @treturn transfer|nil one that is done, in the order in which they ended */
static int l_next(lua_State *L) {
  engine *e = to_engine(L);
  if (e->done.first == NULL)
    return 0;
  lua_settop(L, 1);
  lua_getuservalue(L, 1);
  lua_rawgeti(L, 2, e->done.first->reference);
  take_done(L, e, 2);
  return 1;
}

/** Waits until something happens, as poll does, and forgets all that is done: for a program in which
 * nobody waits but for this transfer.
 * @function engine:await
 * @tparam transfer transfer of this engine
 * @treturn boolean whether it is done; else a signal came, or something else happened */
static int l_await(lua_State *L) {
  engine *e = to_engine(L);
  const transfer *t = lua_transfer_check(L, 2, lua_upvalueindex(2));
  luaL_argcheck(L, t->engine == e, 2, "transfer of this engine expected");
  lua_settop(L, 2);
  lua_getuservalue(L, 1);
  if (t->state != TRANSFER_DONE)
    engine_poll(e, INFINITY);
  while (take_done(L, e, 3) != NULL)
    ;
  lua_pushboolean(L, t->state == TRANSFER_DONE);
  return 1;
}

/** The descriptor that is readable whenever `poll` has something to do. From the first call on its
 * timer is kept armed. nil where the system has no epoll: poll on a timer there.
 * @function engine:getfd
 * @treturn integer|nil */
static int l_getfd(lua_State *L) {
  engine *e = to_engine(L);
  check_open(L, e);
  int descriptor = engine_descriptor(e);
  if (descriptor < 0)
    return 0;
  lua_pushinteger(L, descriptor);
  return 1;
}

/** From now on each `get` and `send` sends its request itself, so that the descriptor wakes the
 * program only for answers. Without this it is woken to poll, which sends it. What that work
 * completes, the program has to fetch with `next` after each: the descriptor does not say so.
 * @function engine:send_at_once */
static int l_send_at_once(lua_State *L) {
  engine_send_at_once(to_engine(L));
  return 0;
}

/** @function engine:random
 * @treturn number uniform in [0, 1), from a generator of its own */
static int l_random(lua_State *L) {
  lua_pushnumber(L, random_fraction(&to_engine(L)->random));
  return 1;
}

static void set_count(lua_State *L, const char *name, double value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

/** @function engine:stats
 * @treturn table in_flight, requests, connections_opened, bytes_received (headers and bodies) */
static int l_stats(lua_State *L) {
  const engine *e = to_engine(L);
  lua_createtable(L, 0, 4);
  set_count(L, "in_flight", (double)engine_in_flight(e));
  set_count(L, "requests", e->requests);
  set_count(L, "connections_opened", e->connections_opened);
  set_count(L, "bytes_received", e->bytes_received);
  return 1;
}

/** Ends everything; what was in flight is done, `closed`, and can still be fetched with `next`.
 * @function engine:close */
static int l_close(lua_State *L) {
  engine_close(to_engine(L));
  return 0;
}

/* Calls no Lua. Transfers may be finalized after it. */
static int l_gc(lua_State *L) {
  engine_collect(lua_touserdata(L, 1));
  return 0;
}

static int l_tostring(lua_State *L) {
  lua_pushfstring(L, "aitoearn engine (%p)", (void *)to_engine(L));
  return 1;
}

/* -- engine(options) --------------------------------------------------------------------------- */

static lua_Integer integer_option(lua_State *L, const char *name, lua_Integer least) {
  lua_getfield(L, 1, name);
  lua_Integer value = lua_tointeger(L, -1);
  if (lua_type(L, -1) != LUA_TNUMBER || value < least)
    luaL_error(L, "%s: a whole number of at least %d expected", name, (int)least);
  lua_pop(L, 1);
  return value;
}

/* The string stays in the table at `uservalue`, which lives as long as the engine. */
static const char *string_option(lua_State *L, const char *name, int uservalue) {
  lua_getfield(L, 1, name);
  const char *value = lua_isnil(L, -1) ? NULL : luaL_checkstring(L, -1);
  lua_setfield(L, uservalue, name);
  return value;
}

static long connect_timeout_option(lua_State *L) {
  lua_getfield(L, 1, "connect_timeout");
  double ms = lua_toboolean(L, -1) ? ceil(luaL_checknumber(L, -1) * 1e3) : INFINITY;
  lua_pop(L, 1);
  return ms >= 2147483647.0 ? 2147483647L : ms < 1 ? 1 : (long)ms;
}

static bool boolean_option(lua_State *L, const char *name, bool otherwise) {
  lua_getfield(L, 1, name);
  bool value = lua_isnil(L, -1) ? otherwise : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

static const struct {
  int feature;
  const char *names;
} encodings[] = {
    {CURL_VERSION_LIBZ, "deflate, gzip"},
    {CURL_VERSION_BROTLI, "br"},
    {CURL_VERSION_ZSTD, "zstd"},
};

/* Pushes what this libcurl can decode. */
static const char *push_encodings(lua_State *L) {
  int features = curl_version_info(CURLVERSION_NOW)->features;
  const char *list = lua_pushfstring(L, "identity");
  for (size_t i = 0; i < sizeof encodings / sizeof encodings[0]; i++)
    if ((features & encodings[i].feature) != 0) {
      bool is_first = strcmp(list, "identity") == 0;
      lua_pushfstring(L, "%s%s%s", is_first ? "" : list, is_first ? "" : ", ", encodings[i].names);
      lua_remove(L, -2);
      list = lua_tostring(L, -1);
    }
  return list;
}

/* Adds a line to every request, unless `value` is NULL; the table at `uservalue` keeps its text. */
static void add_header_line(lua_State *L, transfer_options *o, const char *name, const char *value,
                            int uservalue) {
  struct curl_slist *line = o->header_lines;
  if (value == NULL)
    return;
  while (line->next != NULL)
    line = line->next;
  if (line->data != NULL)
    line = line->next = line + 1;
  line->data = (char *)lua_pushfstring(L, "%s: %s", name, value);
  lua_setfield(L, uservalue, name);
}

/* Set by libcurl's own options, each of these lines would be printed twice for each request. */
static void add_header_lines(lua_State *L, transfer_options *o, int uservalue) {
  const char *language = string_option(L, "accept_language", uservalue);
  o->user_agent = string_option(L, "user_agent", uservalue);
  add_header_line(L, o, "Accept", "application/json", uservalue);
  add_header_line(L, o, "Accept-Encoding", push_encodings(L), uservalue);
  lua_pop(L, 1);
  add_header_line(L, o, "User-Agent", o->user_agent, uservalue);
  add_header_line(L, o, "Accept-Language", language, uservalue);
}

static void read_options(lua_State *L, engine *e, int uservalue) {
  transfer_options *o = &e->options;
  e->max_connections = (long)integer_option(L, "max_connections", 1);
  o->max_response_bytes = (size_t)integer_option(L, "max_response_bytes", 1);
  o->connect_timeout_ms = connect_timeout_option(L);
  o->ca_file = string_option(L, "ca_file", uservalue);
  o->proxy = string_option(L, "proxy", uservalue);
  o->is_http_local = !boolean_option(L, "allow_http", false);
  o->is_http1_only = !boolean_option(L, "http2", true);
  add_header_lines(L, o, uservalue);
}

/* The header lines of the origin's table at `index`, before those of all; the nodes and the strings
 * live in the table at `uservalue`. */
static void read_origin_headers(lua_State *L, origin_options *o, int index, int uservalue) {
  lua_getfield(L, index, "headers");
  int headers = lua_gettop(L);
  size_t count = lua_istable(L, headers) ? lua_rawlen(L, headers) : 0;
  if (count > 0) {
    struct curl_slist *lines = compat_newuserdata(L, count * sizeof *lines);
    for (size_t i = 0; i < count; i++) {
      lua_rawgeti(L, headers, (int)i + 1);
      lines[i].data = (char *)luaL_checkstring(L, -1);
      lines[i].next = i + 1 < count ? &lines[i + 1] : o->header_lines;
      luaL_ref(L, uservalue);
    }
    o->header_lines = lines;
    luaL_ref(L, uservalue);
  }
  lua_settop(L, headers - 1);
}

static const char *origin_string(lua_State *L, int index, const char *name, int uservalue) {
  lua_getfield(L, index, name);
  const char *value = lua_isnil(L, -1) ? NULL : luaL_checkstring(L, -1);
  luaL_ref(L, uservalue); /* of nil it keeps nothing */
  return value;
}

static void read_origins(lua_State *L, engine *e, int uservalue) {
  lua_getfield(L, 1, "origins");
  int origins = lua_gettop(L);
  for (size_t i = 0; lua_istable(L, origins) && i < e->origin_count; i++) {
    origin_options *o = &e->origins[i].options;
    lua_rawgeti(L, origins, (int)i + 1);
    int index = lua_gettop(L);
    luaL_checktype(L, index, LUA_TTABLE);
    read_origin_headers(L, o, index, uservalue);
    o->cert_file = origin_string(L, index, "cert_file", uservalue);
    o->key_file = origin_string(L, index, "key_file", uservalue);
    lua_settop(L, origins);
  }
  lua_pop(L, 1);
}

static size_t count_origins(lua_State *L) {
  lua_getfield(L, 1, "origins");
  size_t count = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  lua_pop(L, 1);
  return count > 0 ? count : (size_t)integer_option(L, "origins", 1);
}

/** A new engine. Nothing is opened before its first transfer.
 * @function engine
 * @tparam table options `origins` (an array, one table for each endpoint: `headers`, an array of
 *   lines, `cert_file`, `key_file`; or just their number), `max_connections` (each),
 *   `max_response_bytes`, `connect_timeout` (seconds or false), and where wanted `ca_file`,
 *   `proxy`, `user_agent`, `accept_language`, `allow_http`, `http2` (true)
 * @treturn engine */
static int l_engine(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  size_t origins = count_origins(L);
  engine *e = compat_newuserdata(L, engine_size(origins));
  engine_init(e, origins);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, 2);
  lua_newtable(L);
  lua_pushvalue(L, 2);
  lua_setfield(L, 3,
               "engine"); /* a transfer, whose user value this is as well, keeps the engine alive */
  lua_pushvalue(L, 3);
  lua_setuservalue(L, 2);
  read_options(L, e, 3);
  read_origins(L, e, 3);
  lua_pushvalue(L, 2);
  return 1;
}

/** @function monotonic
 * @treturn number seconds on a clock that nobody sets */
static int l_monotonic(lua_State *L) {
  lua_pushnumber(L, poller_now());
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
    {"get", l_get},       {"send", l_send},   {"timer", l_timer}, {"poll", l_poll},
    {"next", l_next},     {"await", l_await}, {"getfd", l_getfd}, {"send_at_once", l_send_at_once},
    {"random", l_random}, {"stats", l_stats}, {"close", l_close}, {NULL, NULL},
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

void lua_engine_open(lua_State *L, int module) {
  lua_newtable(L);
  int metatable = lua_gettop(L);
  lua_newtable(L);
  lua_pushvalue(L, metatable);
  lua_transfer_open(L);
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
