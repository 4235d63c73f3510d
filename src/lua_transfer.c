/* lua_transfer.c: makes transfers, and their methods. Every method has the type's metatable as
 * upvalue 1. */
#include "lua_transfer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "envelope.h"
#include "fail.h"
#include "url.h"

transfer *lua_transfer_check(lua_State *L, int index, int metatable) {
  transfer *t = lua_touserdata(L, index);
  if (t == NULL || !lua_getmetatable(L, index) || !lua_rawequal(L, -1, metatable))
    fail_argument(L, index, "transfer expected");
  lua_pop(L, 1);
  return t;
}

static transfer *to_transfer(lua_State *L) {
  return lua_transfer_check(L, 1, lua_upvalueindex(1));
}

/* -- making one -------------------------------------------------------------------------------- */

/* Copies a text to `at`; returns the address of its final NUL. */
static char *put(char *at, const char *text) {
  size_t length = strlen(text);
  memcpy(at, text, length + 1);
  return at + length;
}

static char *put_line(char *at, const char *name, const char *value, struct curl_slist *line) {
  line->data = at;
  return put(put(at, name), value) + 1;
}

static transfer *push_transfer(lua_State *L, int metatable, int uservalue, size_t strings) {
  transfer *t = compat_newuserdata(L, sizeof *t + strings);
  transfer_init(t);
  t->reference = LUA_NOREF;
  lua_pushvalue(L, metatable);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, uservalue);
  lua_setuservalue(L, -2);
  return t;
}

transfer *lua_transfer_new_timer(lua_State *L, int metatable, int uservalue) {
  transfer *t = push_transfer(L, metatable, uservalue, 0);
  t->is_timer = true;
  return t;
}

/* Without a line for the body's type libcurl would call it a form's; and a body of a megabyte would
 * wait for the server's consent. */
static void put_body(transfer *t, char *at, const request *r) {
  t->method = r->method;
  t->header_lines[2].data =
      r->body != NULL ? (char *)"Content-Type: application/json" : (char *)"Content-Type:";
  t->header_lines[3].data = (char *)"Expect:";
  if (r->body == NULL)
    return;
  memcpy(at, r->body, r->body_length);
  t->body = at;
  t->body_length = r->body_length;
}

transfer *lua_transfer_new(lua_State *L, int metatable, int uservalue, const request *r) {
  static const char key_name[] = "X-Api-Key: ";
  static const char id_name[] = "x-request-id: ";
  size_t strings = strlen(r->prefix) + 3 * r->id_length + 1 + sizeof key_name + strlen(r->api_key) +
                   sizeof id_name + strlen(r->request_id) + r->body_length;
  transfer *t = push_transfer(L, metatable, uservalue, strings);
  t->url = t->strings;
  t->is_https = strncmp(r->prefix, "https:", 6) == 0;
  char *at = put(t->strings, r->prefix);
  if (r->id != NULL)
    at = url_put_segment(at, r->id, r->id_length);
  at = put_line(at + 1, key_name, r->api_key, &t->header_lines[0]);
  at = put_line(at, id_name, r->request_id, &t->header_lines[1]);
  t->request_id = t->header_lines[1].data + sizeof id_name - 1;
  if (r->method != NULL)
    put_body(t, at, r);
  return t;
}

/* -- methods ----------------------------------------------------------------------------------- */

/** Takes the transfer out of the engine at once, whatever it is doing. It is then done, its result
 * the failure `cancelled`, and handed out by `engine:next` like any other. Harmless on one that is
 * done.
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
  luaL_argcheck(L, t->is_timer, 1, "timer expected");
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
 * @treturn string|nil how it was ended early: `cancelled`, `closed`, `timeout` (its deadline passed
 *   in the queue); nil if it ran its course, as a timer does when it fires */
static int l_ending(lua_State *L) {
  lua_pushstring(L, to_transfer(L)->failure); /* nil for NULL */
  return 1;
}

static void push_number_or_nil(lua_State *L, double value) {
  if (isnan(value))
    lua_pushnil(L);
  else if (value == floor(value) && fabs(value) < 9007199254740992.0) /* 2^53 */
    lua_pushinteger(L, (lua_Integer)value);
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
 * @treturn number seconds between `started_at` and its end; 0 if it was never sent */
static int l_elapsed(lua_State *L) {
  const transfer *t = to_transfer(L);
  double seconds = t->finished - t->started;
  lua_pushnumber(L, isnan(seconds) ? 0 : seconds);
  return 1;
}

/** @function transfer:date
 * @treturn number|nil the server's clock (the answer's Date header), Unix seconds */
static int l_date(lua_State *L) {
  push_number_or_nil(L, headers_date(&to_transfer(L)->headers));
  return 1;
}

/** @function transfer:request_id
 * @treturn string the x-request-id that was sent */
static int l_request_id(lua_State *L) {
  lua_pushstring(L, to_transfer(L)->request_id);
  return 1;
}

/** @function transfer:is_reused
 * @treturn boolean whether its answer came over a connection that was used before */
static int l_is_reused(lua_State *L) {
  lua_pushboolean(L, to_transfer(L)->is_reused);
  return 1;
}

/** @function transfer:http_status
 * @treturn integer|nil of its answer */
static int l_http_status(lua_State *L) {
  const transfer *t = to_transfer(L);
  if (t->http_status == 0)
    return 0;
  lua_pushinteger(L, t->http_status);
  return 1;
}

/** @function transfer:http_version
 * @treturn string|nil of its answer: `1.0`, `1.1`, `2` */
static int l_http_version(lua_State *L) {
  static const struct {
    long version;
    const char *name;
  } names[] = {
      {CURL_HTTP_VERSION_1_0, "1.0"}, {CURL_HTTP_VERSION_1_1, "1.1"}, {CURL_HTTP_VERSION_2_0, "2"}};
  const transfer *t = to_transfer(L);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (t->http_status > 0 && t->http_version == names[i].version) {
      lua_pushstring(L, names[i].name);
      return 1;
    }
  return 0;
}

/* -- the result -------------------------------------------------------------------------------- */

/* The facts that any failure of a transfer that was sent carries; the failure is on top. */
static void set_answer_facts(lua_State *L, const transfer *t) {
  const answer_headers *headers = &t->headers;
  if (t->http_status > 0)
    fail_set_number(L, "http_status", (double)t->http_status);
  if (t->is_sent)
    fail_set_true(L, "sent");
  fail_set_number(L, "retry_after", headers_retry_after(headers));
  fail_set_number(L, "rate_limit_reset", headers->rate_limit_reset);
  fail_set_number(L, "date", headers_date(headers));
  lua_getfield(L, -1, "request_id"); /* an envelope's own comes first */
  bool known = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (!known)
    fail_set_string(L, "request_id",
                    headers->request_id[0] != '\0' ? headers->request_id : t->request_id);
}

static int push_failure(lua_State *L, const transfer *t) {
  if (t->failure != NULL)
    return fail_push(L, t->failure, t->failure_message);
  if (t->handle->broken_limit != NULL)
    return fail_push(L, "protocol", t->handle->broken_limit);
  return fail_push_curl(L, t->result, t->handle->detail);
}

static int push_result(lua_State *L, const transfer *t, const char *kind) {
  if (t->failure != NULL || t->result != CURLE_OK)
    return push_failure(L, t);
  lua_pushlstring(L, t->handle->body_length > 0 ? t->handle->body : "", t->handle->body_length);
  return envelope_push(L, kind, t->http_status);
}

/** Reads the result, once.
 * @function transfer:result
 * @tparam ?string kind of what the answer holds; default: a record
 * @tparam ?table metatable that what it holds gets
 * @treturn any what it holds, nil after a failure
 * @treturn table the failure: aitoearn.Failure in lua/aitoearn/retry.lua */
static int l_result(lua_State *L) {
  transfer *t = to_transfer(L);
  if (t->state != TRANSFER_DONE)
    return luaL_error(L, "the transfer is not done");
  lua_settop(L, 3);
  const char *kind = luaL_optstring(L, 2, NULL);
  if (t->is_read || t->is_timer)
    return luaL_error(L, t->is_read ? "the result was read before" : "a timer has no result");
  int values = push_result(L, t, kind);
  if (values == 2) {
    set_answer_facts(L, t);
  } else if (lua_istable(L, 3)) {
    lua_pushvalue(L, 3);
    lua_setmetatable(L, -2);
  }
  t->is_read = true;
  handle_free(t->handle);
  t->handle = NULL;
  return values;
}

/* -- the type ---------------------------------------------------------------------------------- */

/* The engine keeps every transfer it works on alive, so that this one is done, unless the whole
 * Lua state ends; then the engine may have been finalized before, and has cut its ties to all
 * transfers. */
static int l_gc(lua_State *L) {
  transfer *t = lua_touserdata(L, 1);
  if (t->list != NULL)
    engine_forget(t);
  handle_free(t->handle);
  t->handle = NULL;
  return 0;
}

static int l_tostring(lua_State *L) {
  lua_pushfstring(L, "aitoearn transfer (%p)", (void *)to_transfer(L));
  return 1;
}

static const luaL_Reg methods[] = {
    {"is_done", l_is_done},
    {"result", l_result},
    {"cancel", l_cancel},
    {"fire", l_fire},
    {"ending", l_ending},
    {"started_at", l_started_at},
    {"elapsed", l_elapsed},
    {"date", l_date},
    {"is_reused", l_is_reused},
    {"http_status", l_http_status},
    {"http_version", l_http_version},
    {"request_id", l_request_id},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__close", l_cancel},
    {"__tostring", l_tostring},
    {NULL, NULL},
};

void lua_transfer_open(lua_State *L) {
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
