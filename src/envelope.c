/* envelope.c: the answer's JSON, parsed by lua-cjson, judged here. */
#include "envelope.h"

#include <math.h>
#include <string.h>

#include "constants.h"
#include "fail.h"
#include "record.h"

/* A record nests up to 100 levels, the envelope around it is one more. lua-cjson's default of 1000 would
 * let an answer make us recurse as deep. */
#define MAX_DEPTH 101
#define TOO_DEEP "the answer nests deeper than 100 levels"

static bool is_success(long http_status) {
  return http_status >= 200 && http_status < 300;
}

/* No envelope in the body: the HTTP status says what it was, if it says anything. `message` is at the
 * top of the stack, the body at `body`. */
static int fail_no_envelope(lua_State *L, int body, long http_status) {
  size_t length;
  const char *bytes = lua_tolstring(L, body, &length);
  const char *message = lua_tostring(L, -1);
  if (is_success(http_status))
    fail_push(L, "protocol", message);
  else
    fail_push(L, "http", lua_pushfstring(L, "HTTP status %d", (int)http_status));
  fail_set_body(L, bytes, length);
  return 2;
}

static int fail_not_json(lua_State *L, int body, long http_status) {
  bool too_deep = strcmp(lua_tostring(L, -1), TOO_DEEP) == 0;
  fail_no_envelope(L, body, http_status);
  if (!too_deep)
    fail_set_true(L, "not_json");
  return 2;
}

/* Leaves the decoded value on the stack; false with a message there where the text is not JSON. */
static bool decode(lua_State *L, int body) {
  size_t length;
  const char *bytes = lua_tolstring(L, body, &length);
  if (memchr(bytes, '\0', length) != NULL) { /* lua-cjson would stop reading there */
    lua_pushliteral(L, "the answer is not JSON: it holds a NUL byte");
    return false;
  }
  lua_pushvalue(L, ENVELOPE_DECODE);
  lua_pushvalue(L, body);
  int status = lua_pcall(L, 1, 1, 0);
  if (status == LUA_OK)
    return true;
  if (status == LUA_ERRMEM)
    lua_error(L);
  const char *problem = lua_tostring(L, -1);
  if (problem != NULL && strstr(problem, "too many nested") != NULL)
    lua_pushliteral(L, TOO_DEEP);
  else
    lua_pushfstring(L, "the answer is not JSON: %s", problem);
  return false;
}

/* A number of `name` in the table at `index`, NaN where there is none. */
static double number_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  double value = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : NAN;
  lua_pop(L, 1);
  return value;
}

/* A string that may be gone after this call's own stack is: keep the envelope on the stack. */
static const char *string_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  const char *value = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  lua_pop(L, 1);
  return value;
}

static int fail_api(lua_State *L, int envelope, double code) {
  const char *name = constants_code_name(code);
  const char *message = string_field(L, envelope, "message");
  const char *request_id = string_field(L, envelope, "requestId");
  if (message == NULL || *message == '\0')
    message = name != NULL ? name : "error without a message";
  fail_push(L, "api", message);
  fail_set_number(L, "code", code);
  if (name != NULL)
    fail_set_string(L, "name", name);
  if (request_id != NULL)
    fail_set_string(L, "request_id", request_id);
  lua_getfield(L, envelope, "data");
  if (lua_istable(L, -1)) {
    double ttl = number_field(L, lua_gettop(L), "ttl");
    lua_pop(L, 1);
    fail_set_number(L, "ttl", ttl);
  } else {
    lua_pop(L, 1);
  }
  return 2;
}

static int fail_protocol(lua_State *L, int body) {
  size_t length;
  const char *bytes = lua_tolstring(L, body, &length);
  fail_push(L, "protocol", lua_tostring(L, -1));
  fail_set_body(L, bytes, length);
  return 2;
}

int envelope_push_record(lua_State *L, long http_status) {
  int body = lua_gettop(L);
  luaL_checkstack(L, 12, "envelope");
  if (!decode(L, body))
    return fail_not_json(L, body, http_status);
  int envelope = body + 1;
  if (!lua_istable(L, envelope)) {
    lua_pushfstring(L, "not an envelope: object expected, got %s", record_type_name(L, envelope));
    return fail_no_envelope(L, body, http_status);
  }
  lua_getfield(L, envelope, "code");
  double code = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : NAN;
  if (code != floor(code) || fabs(code) >= 9007199254740992.0) { /* NaN is unequal to itself */
    lua_pushfstring(L, "not an envelope: code: integer expected, got %s", record_type_name(L, -1));
    return fail_no_envelope(L, body, http_status);
  }
  if (code != 0)
    return fail_api(L, envelope, code);
  lua_getfield(L, envelope, "data");
  if (!lua_istable(L, -1)) {
    lua_pushfstring(L, "data: object expected, got %s", record_type_name(L, -1));
    return fail_protocol(L, body);
  }
  if (!record_check(L, -1))
    return fail_protocol(L, body);
  lua_pushvalue(L, ENVELOPE_RECORD);
  lua_setmetatable(L, -2);
  return 1;
}

/** Decodes the body of an answer, as `get_record` does with what came over the wire.
 * @function decode
 * @tparam string body
 * @treturn table|nil the record
 * @treturn table the failure: kind `api` or `protocol` and what is known of it */
static int l_decode(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  lua_settop(L, 1);
  return envelope_push_record(L, 200);
}

void envelope_push_upvalues(lua_State *L, int module) {
  lua_getfield(L, module, "cjson_decode");
  lua_getfield(L, module, "record_metatable");
}

/* A private instance: neither the user's settings of lua-cjson nor ours reach the other. */
static void push_cjson_decode(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "cjson");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "new");
  lua_call(L, 0, 1);
  lua_getfield(L, -1, "decode_max_depth");
  lua_pushinteger(L, MAX_DEPTH);
  lua_call(L, 1, 0);
  lua_getfield(L, -1, "decode_invalid_numbers"); /* no NaN, Infinity, hexadecimal */
  lua_pushboolean(L, 0);
  lua_call(L, 1, 0);
  lua_getfield(L, -1, "decode");
  lua_insert(L, -3);
  lua_pop(L, 2);
}

void envelope_open(lua_State *L) {
  int module = lua_gettop(L);
  push_cjson_decode(L);
  lua_setfield(L, module, "cjson_decode");
  lua_newtable(L);
  lua_setfield(L, module, "record_metatable");
  lua_pushnil(L); /* upvalue 1: decode is nobody's method */
  envelope_push_upvalues(L, module);
  lua_pushcclosure(L, l_decode, 3);
  lua_setfield(L, module, "decode");
}
