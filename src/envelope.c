/* envelope.c: the answer's JSON, parsed by lua-cjson, judged here.
 *
 * What lua-cjson cannot do is made up for around it: it ends the process if malloc fails, it keeps
 * the locale's decimal point in a variable of the process, and it refuses half a surrogate pair. */
#include "envelope.h"

#include <langinfo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "constants.h"
#include "fail.h"
#include "shape.h"

/* A record nests up to 100 levels, the envelope around it is one more. lua-cjson's default of 1000
 * would let an answer make us recurse as deep. */
#define MAX_DEPTH 101

/* A table costs Lua 56 bytes or more, however short its text: 8 MiB of "[],[],…" would be 200 MB. And
 * where Lua hashes only every second byte of a long string (5.1 to 5.3), 100,000 long names that differ
 * in the other bytes take minutes. So a body has at most MAX_VALUES values, or one per BYTES_PER_VALUE
 * bytes if that is more; a table counts as VALUES_PER_TABLE, a long name as VALUES_PER_LONG_NAME. Real
 * records have fewer than one per 20 bytes, and no long names outside of linkMeta. */
#define MAX_VALUES 1000000
#define BYTES_PER_VALUE 8
#define VALUES_PER_TABLE 4
#define VALUES_PER_LONG_NAME 100
#define LONG_NAME 32

/* Addresses in here are the keys of the registry's two functions: the private instance's decode, and
 * lua-cjson's new. */
static const char registry_keys[2] = {0, 0};
#define DECODE_KEY (&registry_keys[0])
#define NEW_KEY (&registry_keys[1])

typedef enum { OK, NOT_JSON, TOO_DEEP, TOO_MANY, NO_MEMORY } decode_status;

static void registry_set(lua_State *L, const char *key) { /* pops the value */
  lua_pushlightuserdata(L, (void *)key);
  lua_insert(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

static void registry_get(lua_State *L, const char *key) {
  lua_pushlightuserdata(L, (void *)key);
  lua_rawget(L, LUA_REGISTRYINDEX);
}

static bool is_success(long http_status) {
  return http_status >= 200 && http_status < 300;
}

/* No envelope in the body: the HTTP status says what it was, if it says anything. `message` is on top
 * of the stack, the body at `body`. */
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

/* The closing quote of the string that begins at `at`, or the end of the text. */
static const char *end_of_string(const char *at) {
  for (at++; *at != '"' && *at != '\0'; at++)
    at += *at == '\\' && at[1] != '\0';
  return at;
}

/* What is no JSON counts as it comes: lua-cjson will refuse it. */
static bool has_too_many_values(const char *text, size_t length) {
  size_t limit = length / BYTES_PER_VALUE > MAX_VALUES ? length / BYTES_PER_VALUE : MAX_VALUES;
  size_t values = 0;
  if (length < MAX_VALUES / VALUES_PER_TABLE)
    return false;
  const char *string = text; /* the last one */
  const char *end = text;
  for (const char *at = text; *at != '\0' && values <= limit; at++) {
    if (*at == '"') {
      string = at;
      at = end = end_of_string(at);
      if (*at == '\0')
        break;
    } else if (*at == ',') {
      values++;
    } else if (*at == ':') {
      values += end - string > LONG_NAME ? VALUES_PER_LONG_NAME : 0;
    } else if (*at == '[' || *at == '{') {
      values += VALUES_PER_TABLE;
    }
  }
  return values > limit;
}

/* lua-cjson begins with a buffer as long as the text, and calls exit if it gets none. */
static bool has_memory_for(size_t length) {
  volatile char *probe = malloc(length + 256);
  if (probe == NULL)
    return false;
  *probe = 0; /* the compiler must not do without it */
  free((void *)probe);
  return true;
}

/* The position in an error message of lua-cjson, from 1; 0 for any other error value: a
 * debug hook's, such as the interpreter's "interrupted!", or a finalizer's. */
static size_t error_position(const char *message) {
  static const char before[] = " at character ";
  if (message == NULL || (strncmp(message, "Expected ", 9) != 0 &&
                          strncmp(message, "Found too many nested data structures (", 39) != 0))
    return 0;
  const char *digits = strstr(message, before);
  if (digits == NULL)
    return 0;
  digits += sizeof before - 1;
  size_t count = strspn(digits, "0123456789");
  return count > 0 && digits[count] == '\0' ? strtoul(digits, NULL, 10) : 0;
}

/* Lets lua-cjson look at the locale's decimal point again, which it does when an instance is made. */
static void renew_decimal_point(lua_State *L) {
  registry_get(L, NEW_KEY);
  lua_call(L, 0, 0);
}

/* One run of lua-cjson over the string at `body`. Leaves the value on the stack or, if NOT_JSON, its
 * message, and its position in `at`. */
static decode_status run_cjson(lua_State *L, int body, size_t *at) {
  registry_get(L, DECODE_KEY);
  lua_pushvalue(L, body);
  int status = lua_pcall(L, 1, 1, 0);
  if (status == LUA_OK)
    return OK;
  if (status == LUA_ERRMEM) {
    lua_gc(L, LUA_GCCOLLECT, 0); /* what was decoded so far */
    return NO_MEMORY;
  }
  const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  *at = error_position(message);
  if (*at == 0 || *at > lua_rawlen(L, body) + 1) {
    lua_error(L);
    return NOT_JSON; /* not reached */
  }
  return message[0] == 'F' ? TOO_DEEP : NOT_JSON;
}

/* The UTF-16 code unit of the escape \uXXXX at `at`, -1 if there is none. */
static long unit_at(const char *at) {
  long unit = 0;
  if (at[0] != '\\' || at[1] != 'u')
    return -1;
  for (int i = 2; i < 6; i++) {
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *digit = at[i] != '\0' ? strchr(digits, at[i]) : NULL;
    if (digit == NULL)
      return -1;
    long value = digit - digits;
    unit = unit * 16 + (value < 16 ? value : value - 6);
  }
  return unit;
}

static bool is_surrogate(long unit, long first) {
  return unit >= first && unit < first + 0x400;
}

/* Pushes the string at `body` with U+FFFD, which is as long an escape, for each surrogate that is not
 * one of a pair: JavaScript makes those when it cuts a text within an emoji. */
static void push_without_lone_surrogates(lua_State *L, int body) {
  size_t length;
  const char *text = lua_tolstring(L, body, &length);
  char *copy = lua_newuserdata(L, length + 1);
  memcpy(copy, text, length + 1);
  for (char *at = copy; (at = strchr(at, '\\')) != NULL;) {
    long unit = unit_at(at);
    if (is_surrogate(unit, 0xD800) && is_surrogate(unit_at(at + 6), 0xDC00)) {
      at += 12;
    } else if (is_surrogate(unit, 0xD800) || is_surrogate(unit, 0xDC00)) {
      memcpy(at + 2, "fffd", 4);
      at += 6;
    } else {
      at += at[1] != '\0' ? 2 : 1;
    }
  }
  lua_pushlstring(L, copy, length);
}

/* Decodes once more what lua-cjson may have refused without need, at the byte `at`. */
static decode_status retry_cjson(lua_State *L, int body, size_t at) {
  const char *text = lua_tostring(L, body);
  int message = lua_gettop(L);
  if (strstr(lua_tostring(L, message), "unicode escape") != NULL)
    push_without_lone_surrogates(L, body);
  else if (text[at - 1] == '.') /* the locale was another when the program last made an instance */
    lua_pushvalue(L, body);
  else
    return NOT_JSON;
  renew_decimal_point(L);
  return run_cjson(L, lua_gettop(L), &at);
}

/* Leaves the value on top of the stack, or a message if the text is no JSON. */
static decode_status decode(lua_State *L, int body) {
  size_t length;
  size_t at = 0;
  const char *bytes = lua_tolstring(L, body, &length);
  if (memchr(bytes, '\0', length) != NULL) { /* lua-cjson would stop reading there */
    lua_pushliteral(L, "it holds a NUL byte");
    return NOT_JSON;
  }
  if (has_too_many_values(bytes, length))
    return TOO_MANY;
  if (!has_memory_for(length))
    return NO_MEMORY;
  if (*nl_langinfo(RADIXCHAR) != '.')
    renew_decimal_point(L);
  decode_status status = run_cjson(L, body, &at);
  return status == NOT_JSON ? retry_cjson(L, body, at) : status;
}

static int fail_decode(lua_State *L, int body, decode_status status, long http_status) {
  switch (status) {
  case NO_MEMORY:
    fail_push(L, "transport", "not enough memory to decode the answer");
    fail_set_true(L, "no_memory");
    return 2;
  case TOO_DEEP: lua_pushliteral(L, "the answer nests deeper than 100 levels"); break;
  case TOO_MANY: lua_pushliteral(L, "the answer holds too many values"); break;
  default: lua_pushfstring(L, "the answer is not JSON: %s", lua_tostring(L, -1));
  }
  fail_no_envelope(L, body, http_status);
  if (status == NOT_JSON)
    fail_set_true(L, "not_json");
  return 2;
}

/* The table at `index` owns the string: keep it on the stack. */
static const char *string_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  const char *value = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  lua_pop(L, 1);
  return value;
}

/* Copies a field of the table at `from` into the failure on top of the stack, if it has that type. */
static void copy_field(lua_State *L, int from, const char *name, int type, const char *as) {
  lua_getfield(L, from, name);
  if (lua_type(L, -1) == LUA_TNUMBER && type == LUA_TNUMBER) {
    lua_Number value = lua_tonumber(L, -1);
    lua_pop(L, 1);
    fail_set_number(L, as, value);
  } else if (lua_type(L, -1) == type) {
    lua_setfield(L, -2, as);
  } else {
    lua_pop(L, 1);
  }
}

/* What some codes say in `data`: when to try again (429), the flow that exists already (15025),
 * whether trying again helps (15071, 15094), what is wrong with a post (15051). The failure is on top. */
static void set_data_facts(lua_State *L, int envelope) {
  int failure = lua_gettop(L);
  lua_getfield(L, envelope, "data");
  if (lua_istable(L, -1)) {
    int data = failure + 1;
    lua_pushvalue(L, failure);
    copy_field(L, data, "ttl", LUA_TNUMBER, "ttl");
    copy_field(L, data, "flowId", LUA_TSTRING, "flowId");
    copy_field(L, data, "retryable", LUA_TBOOLEAN, "data_retryable");
    lua_getfield(L, data, "issues");
    if (lua_istable(L, -1)) {
      lua_pushvalue(L, data);
      lua_setfield(L, failure, "issues");
    }
  }
  lua_settop(L, failure);
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
  set_data_facts(L, envelope);
  return 2;
}

/* Why it is no envelope is on top of the stack. */
static int fail_shape(lua_State *L, int body) {
  size_t length;
  const char *bytes = lua_tolstring(L, body, &length);
  fail_push(L, "protocol", lua_tostring(L, -1));
  fail_set_body(L, bytes, length);
  return 2;
}

int envelope_push(lua_State *L, const char *kind, long http_status) {
  const shape *expected = shape_find(kind);
  if (expected == NULL)
    return luaL_error(L, "no such kind of answer: %s", kind);
  int body = lua_gettop(L);
  luaL_checkstack(L, 16, "envelope");
  decode_status status = decode(L, body);
  if (status != OK)
    return fail_decode(L, body, status, http_status);
  int envelope = lua_gettop(L);
  if (!lua_istable(L, envelope)) {
    lua_pushfstring(L, "not an envelope: object expected, got %s", shape_type_name(L, envelope));
    return fail_no_envelope(L, body, http_status);
  }
  lua_getfield(L, envelope, "code");
  double code = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : NAN;
  if (code != floor(code) || fabs(code) >= 9007199254740992.0) { /* NaN is unequal to itself */
    lua_pushfstring(L, "not an envelope: code: integer expected, got %s", shape_type_name(L, -1));
    return fail_no_envelope(L, body, http_status);
  }
  if (code != 0)
    return fail_api(L, envelope, code);
  lua_getfield(L, envelope, "data");
  return shape_check(L, expected) ? 1 : fail_shape(L, body);
}

/** Decodes the body of an answer, as a call does with what came over the wire.
 * @function decode
 * @tparam string body
 * @tparam ?string kind `record` (the default), `records`, `flow`, `action`, `task`, `nothing`
 * @tparam ?integer http_status of the answer; default: 200
 * @treturn table|nil the value: a record, without its metatable, …
 * @treturn table the failure: kind `api` or `protocol` and what is known of it */
static int l_decode(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  const char *kind = luaL_optstring(L, 2, NULL);
  lua_Integer http_status = luaL_optinteger(L, 3, 200);
  lua_settop(L, 3);
  lua_pushvalue(L, 1);
  return envelope_push(L, kind, (long)http_status);
}

static void push_cjson(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "cjson");
  if (lua_pcall(L, 1, 1, 0) == LUA_OK)
    return;
  const char *problem = lua_tostring(L, -1);
  if (problem == NULL || strncmp(problem, "module 'cjson' not found", 24) != 0)
    lua_error(L);
  luaL_error(L, "aitoearn needs lua-cjson: install it with `luarocks install lua-cjson`, or from "
                "your system's packages (Debian, Ubuntu: `apt install lua-cjson`)");
}

/* A private instance: neither the user's settings of lua-cjson nor ours reach the other. */
static void open_cjson(lua_State *L) {
  push_cjson(L);
  lua_getfield(L, -1, "new");
  lua_pushvalue(L, -1);
  registry_set(L, NEW_KEY);
  lua_call(L, 0, 1);
  lua_getfield(L, -1, "decode_max_depth");
  lua_pushinteger(L, MAX_DEPTH);
  lua_call(L, 1, 0);
  lua_getfield(L, -1, "decode_invalid_numbers"); /* no NaN, Infinity, hexadecimal */
  lua_pushboolean(L, 0);
  lua_call(L, 1, 0);
  lua_getfield(L, -1, "decode");
  registry_set(L, DECODE_KEY);
  lua_pop(L, 2);
}

void envelope_open(lua_State *L) {
  open_cjson(L);
  lua_pushcfunction(L, l_decode);
  lua_setfield(L, -2, "decode");
}
