/* transfer.c: handles (libcurl's side of a transfer), the callbacks, and the Lua type. */
#include "transfer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "engine.h"
#include "envelope.h"
#include "fail.h"
#include "url.h"

/* libcurl 7.88 does not ask for the rest of HTTP/2 headers that are longer than its buffer, so there has to be room
 * for more than we accept. */
#define MAX_HEADER_BYTES ((size_t)32 * 1024)
#define READ_BUFFER_BYTES (40L * 1024)

/* A pooled handle keeps a buffer of up to this size for the next answer. */
#define KEPT_BODY_BYTES ((size_t)64 * 1024)

/* -- lists ------------------------------------------------------------------------------------- */

void transfer_append(transfer_list *list, transfer *t) {
  t->list = list;
  t->next = NULL;
  t->previous = list->last;
  if (list->last != NULL)
    list->last->next = t;
  else
    list->first = t;
  list->last = t;
}

void transfer_unlink(transfer *t) {
  if (t->list == NULL)
    return;
  if (t->previous != NULL)
    t->previous->next = t->next;
  else
    t->list->first = t->next;
  if (t->next != NULL)
    t->next->previous = t->previous;
  else
    t->list->last = t->previous;
  t->list = NULL;
  t->previous = t->next = NULL;
}

/* -- what libcurl tells us: C memory only ------------------------------------------------------ */

static bool reserve_body(handle *h, size_t length) {
  size_t capacity = h->body_capacity > 0 ? h->body_capacity : 4096;
  while (capacity < length)
    capacity *= 2;
  if (capacity == h->body_capacity)
    return true;
  char *body = realloc(h->body, capacity);
  if (body == NULL)
    return false;
  h->body = body;
  h->body_capacity = capacity;
  return true;
}

/* Gets the body after decompression, so that the limit holds for what an answer inflates to. */
static size_t on_body(char *bytes, size_t size, size_t count, void *userp) {
  handle *h = userp;
  size_t length = size * count;
  if (length > h->options->max_response_bytes - h->body_length) {
    h->over = "the answer is longer than max_response_bytes";
    return 0;
  }
  if (!reserve_body(h, h->body_length + length)) {
    h->over = "out of memory";
    return 0;
  }
  memcpy(h->body + h->body_length, bytes, length);
  h->body_length += length;
  return length;
}

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

static void read_request_id(answer_headers *headers, const char *value) {
  memcpy(headers->request_id, value, strlen(value) + 1); /* header_value has cut it to fit */
}

static const struct {
  const char *name;
  size_t length;
  void (*read)(answer_headers *headers, const char *value);
} header_readers[] = {
    {"date:", 5, read_date},
    {"retry-after:", 12, read_retry_after},
    {"x-ratelimit-reset:", 18, read_rate_limit_reset},
    {"x-request-id:", 13, read_request_id},
};

static void forget_headers(answer_headers *headers) {
  headers->retry_after = headers->retry_at = headers->rate_limit_reset = NAN;
  headers->date[0] = headers->request_id[0] = '\0';
  headers->complete = false;
}

/* Copies a header's value without the white space around it; what does not fit is left out. */
static void header_value(char *value, const char *bytes, size_t length) {
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

static const char long_headers[] = "the answer's headers are longer than 32 KiB";

static size_t on_header(char *bytes, size_t size, size_t count, void *userp) {
  handle *h = userp;
  answer_headers *headers = &h->transfer->headers;
  size_t length = size * count;
  char value[REQUEST_ID_BYTES];
  headers->header_bytes += length;
  if (headers->header_bytes > MAX_HEADER_BYTES) {
    h->over = long_headers;
    return 0;
  }
  if (length >= 5 && memcmp(bytes, "HTTP/", 5) == 0)
    forget_headers(headers); /* a 1xx answer may have gone before this one */
  else if (bytes[0] == '\r' || bytes[0] == '\n')
    headers->complete = true;
  for (size_t i = 0; i < sizeof header_readers / sizeof header_readers[0]; i++)
    if (length > header_readers[i].length && (bytes[0] | 0x20) == header_readers[i].name[0] &&
        strncasecmp(bytes, header_readers[i].name, header_readers[i].length) == 0) {
      header_value(value, bytes + header_readers[i].length, length - header_readers[i].length);
      header_readers[i].read(headers, value);
      break;
    }
  return length;
}

/* -- handles ----------------------------------------------------------------------------------- */

static const struct {
  CURLoption option;
  long value;
} constant_options[] = {
    {CURLOPT_NOSIGNAL, 1},
    {CURLOPT_FOLLOWLOCATION, 0}, /* a redirect must not carry the key to another host */
    {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS},
    {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
    {CURLOPT_SSL_VERIFYPEER, 1},
    {CURLOPT_SSL_VERIFYHOST, 2},
    {CURLOPT_PATH_AS_IS, 1}, /* the record id is one segment, whatever it looks like */
    {CURLOPT_TCP_KEEPALIVE, 1},
    {CURLOPT_BUFFERSIZE, READ_BUFFER_BYTES},
    {CURLOPT_HEADEROPT, CURLHEADER_SEPARATE}, /* nor does a proxy see the key in a CONNECT */
    {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
#if LIBCURL_VERSION_NUM >= 0x075700
    {CURLOPT_QUICK_EXIT, 1}, /* do not join a resolver thread at cancel */
#endif
#if LIBCURL_VERSION_NUM < 0x075500
    {CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS},
#endif
};

static bool set_constant_options(CURL *easy) {
  for (size_t i = 0; i < sizeof constant_options / sizeof constant_options[0]; i++)
    if (curl_easy_setopt(easy, constant_options[i].option, constant_options[i].value) != CURLE_OK)
      return false;
#if LIBCURL_VERSION_NUM >= 0x075500
  if (curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK)
    return false;
#endif
  return curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK; /* all that libcurl knows */
}

/* While a CApath is set, libcurl reads the CA file anew for every connection (20 ms): use the file
 * alone where there is one. */
static bool set_ca(CURL *easy, const char *ca_file) {
  if (ca_file != NULL)
    return curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
#if LIBCURL_VERSION_NUM >= 0x075400
  char *builtin = NULL;
  if (curl_easy_getinfo(easy, CURLINFO_CAINFO, &builtin) == CURLE_OK && builtin != NULL)
    return curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
#endif
  return true;
}

/* Plain http that must not leave this machine goes to no proxy either; NULL: the environment's. */
static const char *proxy_for(const transfer_options *options, bool https) {
  return options->proxy == NULL && options->is_http_local && !https ? "" : options->proxy;
}

static bool set_engine_options(handle *h, const transfer_options *options) {
  CURL *easy = h->easy;
  return curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, options->connect_timeout_ms) ==
             CURLE_OK &&
         set_ca(easy, options->ca_file) &&
         curl_easy_setopt(easy, CURLOPT_PROXY, proxy_for(options, false)) == CURLE_OK &&
         (!options->is_without_proxy || curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK) &&
         curl_easy_setopt(easy, CURLOPT_USERAGENT, options->user_agent) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, h->detail) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PRIVATE, h) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEDATA, h) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HEADERDATA, h) == CURLE_OK;
}

handle *handle_new(const transfer_options *options, watch *w) {
  handle *h = calloc(1, sizeof *h);
  if (h == NULL)
    return NULL;
  h->options = options;
  h->easy = curl_easy_init();
  if (h->easy != NULL && set_constant_options(h->easy) && set_engine_options(h, options) &&
      watch_attach_easy(w, h->easy))
    return h;
  handle_free(h);
  return NULL;
}

void handle_free(handle *h) {
  if (h->easy != NULL)
    curl_easy_cleanup(h->easy);
  free(h->body);
  free(h);
}

static long timeout_ms(double seconds) {
  if (isinf(seconds))
    return 0; /* libcurl's "none" */
  double ms = ceil(seconds * 1e3);
  return ms >= 2147483647.0 ? 2147483647L : ms < 1 ? 1 : (long)ms;
}

bool handle_prepare(handle *h, transfer *t, double timeout) {
  h->transfer = t;
  h->over = NULL;
  h->body_length = 0;
  h->detail[0] = '\0';
  t->header_lines[0].next = &t->header_lines[1];
  t->header_lines[1].next = h->options->header_lines;
  if (h->https != t->https) {
    /* On plain http it would hold every transfer until the first answer. */
    if (curl_easy_setopt(h->easy, CURLOPT_PIPEWAIT, t->https ? 1L : 0L) != CURLE_OK ||
        curl_easy_setopt(h->easy, CURLOPT_PROXY, proxy_for(h->options, t->https)) != CURLE_OK)
      return false;
    h->https = t->https;
  }
  return curl_easy_setopt(h->easy, CURLOPT_URL, t->url) == CURLE_OK &&
         curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, t->header_lines) == CURLE_OK &&
         curl_easy_setopt(h->easy, CURLOPT_TIMEOUT_MS, timeout_ms(timeout)) == CURLE_OK;
}

void handle_finish(handle *h, CURLcode result, bool http2) {
  static const char cut[] = "the answer ended in the middle of its headers"; /* libcurl takes it for whole */
  if (result == CURLE_OK && !h->transfer->headers.complete) {
    result = CURLE_PARTIAL_FILE;
    memcpy(h->detail, cut, sizeof cut);
  }
  /* HTTP/2 has no status lines, and so no HTTP/0.9 without one: among other streams libcurl 7.88 loses the
   * beginning of headers that are longer than its buffer. */
  if (result == CURLE_UNSUPPORTED_PROTOCOL && http2)
    h->over = long_headers;
  h->transfer->result = result;
  curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &h->transfer->http_status);
}

void handle_trim(handle *h) {
  h->transfer = NULL;
  if (h->body != NULL && h->body_capacity <= KEPT_BODY_BYTES)
    return;
  free(h->body);
  h->body = NULL;
  h->body_capacity = 0;
}

/* -- the Lua type ------------------------------------------------------------------------------ */

static transfer *to_transfer(lua_State *L) {
  transfer *t = lua_touserdata(L, 1);
  if (t == NULL || !lua_getmetatable(L, 1) || !lua_rawequal(L, -1, lua_upvalueindex(1)))
    fail_argument(L, 1, "transfer expected");
  lua_pop(L, 1);
  return t;
}

/* Copies a text to `at`; returns where its final NUL is there. */
static char *put(char *at, const char *text) {
  size_t length = strlen(text);
  memcpy(at, text, length + 1);
  return at + length;
}

static char *put_line(char *at, const char *name, const char *value, struct curl_slist *line) {
  line->data = at;
  return put(put(at, name), value) + 1;
}

static transfer *push_transfer(lua_State *L, int metatable, int company, size_t strings) {
  transfer *t = compat_newuserdata(L, sizeof *t + strings);
  memset(t, 0, sizeof *t);
  t->reference = LUA_NOREF;
  t->started = t->finished = NAN;
  t->url = t->request_id = "";
  forget_headers(&t->headers);
  lua_pushvalue(L, metatable);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, company);
  lua_setuservalue(L, -2);
  return t;
}

transfer *transfer_new_timer(lua_State *L, int metatable, int company) {
  transfer *t = push_transfer(L, metatable, company, 0);
  t->origin = -1;
  return t;
}

transfer *transfer_new(lua_State *L, int metatable, int company, const request *r) {
  static const char key_name[] = "X-Api-Key: ";
  static const char id_name[] = "x-request-id: ";
  size_t strings = strlen(r->prefix) + 3 * r->id_length + 1 + sizeof key_name + strlen(r->api_key) +
                   sizeof id_name + strlen(r->request_id);
  transfer *t = push_transfer(L, metatable, company, strings);
  t->url = t->strings;
  t->https = strncmp(r->prefix, "https:", 6) == 0;
  char *at = url_put_segment(put(t->strings, r->prefix), r->id, r->id_length) + 1;
  at = put_line(at, key_name, r->api_key, &t->header_lines[0]);
  put_line(at, id_name, r->request_id, &t->header_lines[1]);
  t->request_id = t->header_lines[1].data + sizeof id_name - 1;
  return t;
}

/** Takes the transfer out of the engine at once, whatever it is doing. It is then done, its result the
 * failure `cancelled`, and handed out by `engine:next` like any other. Harmless on one that is done.
 * @function transfer:cancel */
static int l_cancel(lua_State *L) {
  transfer *t = to_transfer(L);
  if (t->state != TRANSFER_DONE)
    engine_end(t, "cancelled", "the call was cancelled");
  return 0;
}

/** Ends a timer before its time.
 * @function transfer:fire */
static int l_fire(lua_State *L) {
  transfer *t = to_transfer(L);
  luaL_argcheck(L, t->origin < 0, 1, "timer expected");
  if (t->state != TRANSFER_DONE)
    engine_end(t, NULL, NULL);
  return 0;
}

/** @function transfer:is_done
 * @treturn boolean whether its result can be read */
static int l_is_done(lua_State *L) {
  lua_pushboolean(L, to_transfer(L)->state == TRANSFER_DONE);
  return 1;
}

/** @function transfer:ending
 * @treturn string|nil how it was ended before its time: `cancelled`, `closed`, `timeout` (its deadline
 *   passed in the queue); nil where it ran its course, as a timer does when it fires */
static int l_ending(lua_State *L) {
  lua_pushstring(L, to_transfer(L)->ending); /* nil for NULL */
  return 1;
}

static void push_number_or_nil(lua_State *L, double value) {
  if (isnan(value))
    lua_pushnil(L);
  else
    lua_pushnumber(L, value);
}

/** @function transfer:started_at
 * @treturn number|nil seconds on the monotonic clock when libcurl was given it; nil: not yet */
static int l_started_at(lua_State *L) {
  push_number_or_nil(L, to_transfer(L)->started);
  return 1;
}

/** @function transfer:elapsed
 * @treturn number seconds between `started_at` and its end; 0 where it was never sent */
static int l_elapsed(lua_State *L) {
  const transfer *t = to_transfer(L);
  double seconds = t->finished - t->started;
  lua_pushnumber(L, isnan(seconds) ? 0 : seconds);
  return 1;
}

/** @function transfer:date
 * @treturn number|nil the server's clock (the answer's Date header), Unix seconds */
static int l_date(lua_State *L) {
  push_number_or_nil(L, parse_http_date(to_transfer(L)->headers.date));
  return 1;
}

/** @function transfer:request_id
 * @treturn string the x-request-id that was sent */
static int l_request_id(lua_State *L) {
  lua_pushstring(L, to_transfer(L)->request_id);
  return 1;
}

/* A date is a wish of so many seconds by the server's own clock, where it tells it. One that has passed
 * says nothing. */
static double retry_after_seconds(const answer_headers *headers) {
  if (isnan(headers->retry_at))
    return headers->retry_after;
  double date = parse_http_date(headers->date);
  double now = isnan(date) ? (double)time(NULL) : date;
  return headers->retry_at > now ? headers->retry_at - now : NAN;
}

/* The facts that any failure of a transfer that was sent carries; the failure is on top. */
static void set_answer_facts(lua_State *L, const transfer *t) {
  const answer_headers *headers = &t->headers;
  if (t->http_status > 0)
    fail_set_number(L, "http_status", (double)t->http_status);
  fail_set_number(L, "retry_after", retry_after_seconds(headers));
  fail_set_number(L, "rate_limit_reset", headers->rate_limit_reset);
  fail_set_number(L, "date", parse_http_date(headers->date));
  lua_getfield(L, -1, "request_id"); /* an envelope's own comes first */
  bool known = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (!known)
    fail_set_string(L, "request_id",
                    headers->request_id[0] != '\0' ? headers->request_id : t->request_id);
}

static int push_failure(lua_State *L, transfer *t) {
  char detail[CURL_ERROR_SIZE]; /* a finalizer that runs meanwhile may close the engine */
  if (t->ending != NULL)
    return fail_push(L, t->ending, t->ending_message);
  if (t->handle->over != NULL)
    return fail_push(L, "protocol", t->handle->over);
  memcpy(detail, t->handle->detail, sizeof detail);
  return fail_push_curl(L, t->result, detail);
}

/* Takes the body out of the handle while Lua copies it: a finalizer that runs meanwhile may close the engine,
 * which frees the handles. Should the copy fail, the transfer keeps it. */
static void push_body(lua_State *L, transfer *t) {
  size_t length = t->handle->body_length;
  if (t->body == NULL) {
    t->body = t->handle->body;
    t->handle->body = NULL;
  }
  lua_pushlstring(L, length > 0 ? t->body : "", length);
  if (t->handle != NULL)
    t->handle->body = t->body;
  else
    free(t->body);
  t->body = NULL;
}

/** Reads the result, once.
 * @function transfer:result
 * @treturn table|nil the record
 * @treturn table the failure, as in lua/aitoearn/types.lua */
static int l_result(lua_State *L) {
  transfer *t = to_transfer(L);
  int values;
  if (t->state != TRANSFER_DONE)
    return luaL_error(L, "the transfer is not done");
  lua_settop(L, 1);
  if (t->read || t->origin < 0)
    return luaL_error(L, t->read ? "the result was read before" : "a timer has no result");
  if (t->ending == NULL && t->result == CURLE_OK) {
    push_body(L, t);
    values = envelope_push(L, NULL, t->http_status);
  } else {
    values = push_failure(L, t);
  }
  if (values == 2)
    set_answer_facts(L, t);
  t->read = true;
  engine_release(t);
  return values;
}

/* The engine keeps every transfer it works on alive, so that this one is done, unless the whole Lua state
 * ends; then the engine may have been finalized before, and has cut its ties to all transfers. */
static int l_gc(lua_State *L) {
  transfer *t = lua_touserdata(L, 1);
  if (t->list != NULL || t->handle != NULL)
    engine_forget(t);
  free(t->body);
  return 0;
}

static int l_tostring(lua_State *L) {
  lua_pushfstring(L, "aitoearn transfer (%p)", (void *)to_transfer(L));
  return 1;
}

static const luaL_Reg methods[] = {
    {"is_done", l_is_done},       {"result", l_result},   {"cancel", l_cancel},
    {"fire", l_fire},             {"ending", l_ending},
    {"started_at", l_started_at}, {"elapsed", l_elapsed}, {"date", l_date},
    {"request_id", l_request_id}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__close", l_cancel},
    {"__tostring", l_tostring},
    {NULL, NULL},
};

void transfer_open(lua_State *L, int module) {
  (void)module;
  lua_newtable(L);
  int metatable = lua_gettop(L);
  lua_newtable(L);
  lua_pushvalue(L, metatable);
  luaL_setfuncs(L, methods, 1);
  lua_setfield(L, metatable, "__index");
  lua_pushvalue(L, metatable);
  luaL_setfuncs(L, metamethods, 1); /* sets on the table below its upvalue: the metatable */
  lua_pushcfunction(L, l_gc);
  lua_setfield(L, metatable, "__gc");
  lua_pushliteral(L, "aitoearn transfer");
  lua_setfield(L, metatable, "__metatable");
}
