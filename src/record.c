/* record.c: one table of fields drives the check; a new field of the API is one more line in it. */
#include "record.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

typedef enum { STRING, INTEGER, OBJECT, STRINGS, ERROR_DATA } field_type;

typedef struct {
  const char *name;
  field_type type;
  bool required;
} field;

/* ChannelPublishRecordVo; those that are no strings stand first, where they are found soonest. Date-times
 * stay the strings they are. */
static const field record_fields[] = {
    {"status", INTEGER, true},
    {"errorData", ERROR_DATA, false},
    {"imgUrlList", STRINGS, false},
    {"linkMeta", OBJECT, false},
    {"id", STRING, true},
    {"accountType", STRING, true},
    {"type", STRING, true},
    {"publishTime", STRING, true},
    {"flowId", STRING, false},
    {"taskId", STRING, false},
    {"userTaskId", STRING, false},
    {"accountId", STRING, false},
    {"title", STRING, false},
    {"desc", STRING, false},
    {"platformWorkId", STRING, false},
    {"workLink", STRING, false},
    {"linkStatus", STRING, false},
    {"linkError", STRING, false},
    {"videoUrl", STRING, false},
    {"coverUrl", STRING, false},
    {"source", STRING, false},
    {"errorMsg", STRING, false},
    {"createdAt", STRING, false},
    {"updatedAt", STRING, false},
    {NULL, STRING, false},
};

static const char *const type_names[] = {"string", "integer", "object", "array", "object"};

/* lua-cjson's null is a light userdata. */
static bool is_null(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TLIGHTUSERDATA;
}

const char *record_type_name(lua_State *L, int index) {
  if (is_null(L, index))
    return "null";
  switch (lua_type(L, index)) {
    case LUA_TNIL:
      return "nothing";
    case LUA_TTABLE:
      return lua_rawlen(L, index) > 0 ? "array" : "object";
    default:
      return luaL_typename(L, index);
  }
}

static bool is_whole(lua_Number value) {
  return value == floor(value) && fabs(value) < 9007199254740992.0; /* 2^53 */
}

#if LUA_VERSION_NUM >= 503

/* lua-cjson reads every number as a float. The value is on top of the stack, its key below it. Giving a
 * key that is there another value is allowed in a traversal. */
static void integer_in_place(lua_State *L, int index) {
  lua_Number value = lua_tonumber(L, -1);
  if (!is_whole(value) || lua_isinteger(L, -1))
    return;
  lua_pushvalue(L, -2);
  lua_pushinteger(L, (lua_Integer)value);
  lua_rawset(L, index);
}

/* At any depth below the table at `index`; the decoder has bounded it. */
static void integers_in_place(lua_State *L, int index) {
  luaL_checkstack(L, 6, "too many nested tables");
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (lua_type(L, -1) == LUA_TTABLE)
      integers_in_place(L, lua_gettop(L));
    else if (lua_type(L, -1) == LUA_TNUMBER)
      integer_in_place(L, index);
  }
}

#else /* one kind of number: nothing to do */

static void integer_in_place(lua_State *L, int index) {
  (void)L;
  (void)index;
}

static void integers_in_place(lua_State *L, int index) {
  (void)L;
  (void)index;
}

#endif

/* The value is on top of the stack; the message takes its place above it. */
static bool fail_type(lua_State *L, const char *path, const char *name, const char *expected) {
  lua_pushfstring(L, "%s.%s: %s expected, got %s", path, name, expected, record_type_name(L, -1));
  return false;
}

static bool check_strings(lua_State *L, const char *name) {
  int length = (int)lua_rawlen(L, -1);
  int keys = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    keys++;
  if (keys != length)
    return fail_type(L, "data", name, "array");
  for (int i = 1; i <= length; i++) {
    lua_rawgeti(L, -1, i);
    if (lua_type(L, -1) != LUA_TSTRING) {
      lua_pushfstring(L, "data.%s[%d]: string expected, got %s", name, i, record_type_name(L, -1));
      return false;
    }
    lua_pop(L, 1);
  }
  return true;
}

static bool check_error_data(lua_State *L) {
  static const char *const names[] = {"type", "code", "message", NULL};
  for (const char *const *name = names; *name != NULL; name++) {
    lua_getfield(L, -1, *name);
    if (lua_type(L, -1) != LUA_TSTRING)
      return fail_type(L, "data.errorData", *name, "string");
    lua_pop(L, 1);
  }
  return true;
}

/* The value of a field is on top of the stack. */
static bool check_value(lua_State *L, const field *f) {
  int type = lua_type(L, -1);
  if (!f->required && (type == LUA_TNIL || is_null(L, -1)))
    return true;
  switch (f->type) {
    case INTEGER:
      if (type == LUA_TNUMBER && is_whole(lua_tonumber(L, -1)))
        return true;
      break;
    case OBJECT:
      if (type == LUA_TTABLE && lua_rawlen(L, -1) == 0)
        return true;
      break;
    case STRINGS:
      if (type == LUA_TTABLE)
        return check_strings(L, f->name);
      break;
    case ERROR_DATA:
      if (type == LUA_TTABLE)
        return check_error_data(L);
      break;
    default:
      if (type == LUA_TSTRING)
        return true;
  }
  return fail_type(L, "data", f->name, type_names[f->type]);
}

static const field *find_field(const char *name) {
  const field *f = record_fields;
  while (f->name != NULL && strcmp(f->name, name) != 0)
    f++;
  return f->name != NULL ? f : NULL;
}

/* Looks at what is not a string, which is little: a value at the top of the stack, its key below it. */
static bool check_other(lua_State *L, int index) {
  const field *f = lua_type(L, -2) == LUA_TSTRING ? find_field(lua_tostring(L, -2)) : NULL;
  if (f != NULL && !check_value(L, f))
    return false;
  if (f != NULL && is_null(L, -1)) {
    lua_pushvalue(L, -2);
    lua_pushnil(L);
    lua_rawset(L, index);
  } else if (lua_type(L, -1) == LUA_TNUMBER) {
    integer_in_place(L, index);
  } else if (lua_type(L, -1) == LUA_TTABLE) {
    integers_in_place(L, lua_gettop(L));
  }
  return true;
}

bool record_check(lua_State *L, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 12, "record");
  /* Fields that have to be there, and those where a string would be wrong; */
  for (const field *f = record_fields; f->name != NULL && (f->required || f->type != STRING); f++) {
    lua_getfield(L, index, f->name);
    if (lua_type(L, -1) != LUA_TTABLE && !check_value(L, f))
      return false;
    lua_pop(L, 1);
  }
  /* for all others it is enough to look at what is no string. */
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
    if (lua_type(L, -1) != LUA_TSTRING && !check_other(L, index))
      return false;
  return true;
}
