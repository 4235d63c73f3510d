/* shape.c: tables of fields drive the check; a new field of the API is one more line in one. */
#include "shape.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* ANY: a type that the API's page does not say. LIST: an array of objects. From INTEGER on, a string
 * is wrong. */
typedef enum { ANY, STRING, INTEGER, OBJECT, STRINGS, LIST } field_type;

typedef struct field {
  const char *name;
  field_type type;
  bool required;
  const struct field *members; /* of an OBJECT or of a LIST's objects; NULL: free-form */
} field;

/* errorData */
static const field error_data_fields[] = {
    {"type", STRING, true, NULL},
    {"code", STRING, true, NULL},
    {"message", STRING, true, NULL},
    {NULL, ANY, false, NULL},
};

/* ChannelPublishRecordVo, in the order of the API's page. Date-times stay the strings they are. */
static const field record_fields[] = {
    {"id", STRING, true, NULL},
    {"flowId", STRING, false, NULL},
    {"taskId", STRING, false, NULL},
    {"userTaskId", STRING, false, NULL},
    {"accountId", STRING, false, NULL},
    {"accountType", STRING, true, NULL},
    {"type", STRING, true, NULL},
    {"status", INTEGER, true, NULL},
    {"title", STRING, false, NULL},
    {"desc", STRING, false, NULL},
    {"publishTime", STRING, true, NULL},
    {"platformWorkId", STRING, false, NULL},
    {"workLink", STRING, false, NULL},
    {"linkStatus", STRING, false, NULL},
    {"linkError", STRING, false, NULL},
    {"linkMeta", OBJECT, false, NULL},
    {"videoUrl", STRING, false, NULL},
    {"coverUrl", STRING, false, NULL},
    {"imgUrlList", STRINGS, false, NULL},
    {"source", STRING, false, NULL},
    {"errorMsg", STRING, false, NULL},
    {"errorData", OBJECT, false, error_data_fields},
    {"createdAt", STRING, false, NULL},
    {"updatedAt", STRING, false, NULL},
    {NULL, ANY, false, NULL},
};

/* One task of a flow: what a flow says about a record. */
static const field task_fields[] = {
    {"id", STRING, true, NULL},           {"accountId", STRING, true, NULL},
    {"platform", STRING, true, NULL},     {"status", INTEGER, false, NULL},
    {"publishTime", STRING, false, NULL}, {"platformWorkId", STRING, false, NULL},
    {"workLink", STRING, false, NULL},    {"linkStatus", STRING, false, NULL},
    {"linkError", STRING, false, NULL},   {"linkMeta", OBJECT, false, NULL},
    {"errorMsg", STRING, false, NULL},    {NULL, ANY, false, NULL},
};

static const field flow_fields[] = {
    {"flowId", STRING, true, NULL},
    {"tasks", LIST, true, task_fields},
    {NULL, ANY, false, NULL},
};

static const field action_fields[] = {
    {"recordId", STRING, true, NULL},  {"platform", STRING, true, NULL},
    {"shareId", STRING, true, NULL},   {"schemeUrl", STRING, true, NULL},
    {"shortLink", STRING, true, NULL}, {"expiresAt", ANY, false, NULL},
    {NULL, ANY, false, NULL},
};

static const field task_id_fields[] = {
    {"taskId", STRING, true, NULL},
    {NULL, ANY, false, NULL},
};

static const char *const type_names[] = {"value", "string", "integer", "object", "array", "array"};

/* The place of a value: a member of its parent, or (without a name) the index-th element. Only a message
 * makes text of it. */
typedef struct place {
  const struct place *parent;
  const char *name;
  int index;
} place;

/* lua-cjson's null is a light userdata. */
static bool is_null(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TLIGHTUSERDATA;
}

const char *shape_type_name(lua_State *L, int index) {
  if (is_null(L, index))
    return "null";
  switch (lua_type(L, index)) {
  case LUA_TNIL: return "nothing";
  case LUA_TTABLE: return lua_rawlen(L, index) > 0 ? "array" : "object";
  default: return luaL_typename(L, index);
  }
}

static bool is_whole(lua_Number value) {
  return value == floor(value) && fabs(value) < 9007199254740992.0; /* 2^53 */
}

#if LUA_VERSION_NUM >= 503

/* lua-cjson reads every number as a float. The value is on top of the stack, its key below it. Giving
 * an existing key another value is allowed in a traversal. */
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

static void push_path(lua_State *L, const place *at) {
  if (at->parent == NULL) {
    lua_pushstring(L, at->name);
    return;
  }
  push_path(L, at->parent);
  if (at->name != NULL)
    lua_pushfstring(L, "%s.%s", lua_tostring(L, -1), at->name);
  else
    lua_pushfstring(L, "%s[%d]", lua_tostring(L, -1), at->index);
}

/* The value is on top of the stack; the message goes above it. */
static bool fail_type(lua_State *L, const place *at, field_type expected) {
  const char *got = shape_type_name(L, -1);
  push_path(L, at);
  lua_pushfstring(L, "%s: %s expected, got %s", lua_tostring(L, -1), type_names[expected], got);
  return false;
}

/* Whether the value on top is an array. An empty table may be one: lua-cjson does not say. */
static bool is_array(lua_State *L) {
  if (!lua_istable(L, -1))
    return false;
  if (lua_rawlen(L, -1) > 0)
    return true;
  lua_pushnil(L);
  if (!lua_next(L, -2))
    return true;
  lua_pop(L, 2);
  return false;
}

static bool check_strings(lua_State *L, const place *at) {
  int length = (int)lua_rawlen(L, -1);
  for (int i = 1; i <= length; i++) {
    lua_rawgeti(L, -1, i);
    if (lua_type(L, -1) != LUA_TSTRING)
      return fail_type(L, &(place){at, NULL, i}, STRING);
    lua_pop(L, 1);
  }
  return true;
}

static const field *find_field(const field *fields, const char *name, size_t length) {
  const field *f = fields;
  while (f->name != NULL && (f->name[0] != name[0] || strcmp(f->name, name) != 0))
    f++;
  return f->name != NULL && strlen(f->name) == length ? f : NULL; /* "status\0x" is not status */
}

/* Objects hold lists of objects: the one recursion of this file that an answer cannot deepen, since
 * the tables of fields end. */
static bool check_list(lua_State *L, const place *at, const field *fields);
static bool check_object(lua_State *L, const place *at, const field *fields);

/* The value of a field is on top of the stack. */
static bool check_value(lua_State *L, const place *at, const field *f) {
  int type = lua_type(L, -1);
  if (!f->required && (type == LUA_TNIL || is_null(L, -1)))
    return true;
  switch (f->type) {
  case ANY: return true;
  case STRING:
    if (type == LUA_TSTRING)
      return true;
    break;
  case INTEGER:
    if (type == LUA_TNUMBER && is_whole(lua_tonumber(L, -1)))
      return true;
    break;
  case OBJECT:
    if (type == LUA_TTABLE && lua_rawlen(L, -1) == 0)
      return f->members == NULL || check_object(L, at, f->members);
    break;
  case STRINGS:
    if (is_array(L))
      return check_strings(L, at);
    break;
  case LIST: return check_list(L, at, f->members);
  }
  return fail_type(L, at, f->type);
}

/* Looks at what is not a string, which is little: a value on top of the stack, its key below it, in
 * the table at `index`. */
static bool check_other(lua_State *L, int index, const place *at, const field *fields) {
  const field *f = NULL;
  if (lua_type(L, -2) == LUA_TSTRING) {
    size_t length;
    const char *name = lua_tolstring(L, -2, &length);
    f = find_field(fields, name, length);
  }
  if (f != NULL && !check_value(L, &(place){at, f->name, 0}, f))
    return false;
  if (f != NULL && is_null(L, -1)) {
    lua_pushvalue(L, -2);
    lua_pushnil(L);
    lua_rawset(L, index);
  } else if (lua_type(L, -1) == LUA_TNUMBER) {
    integer_in_place(L, index);
  } else if (lua_type(L, -1) == LUA_TTABLE && (f == NULL || f->members == NULL)) {
    integers_in_place(L, lua_gettop(L));
  }
  return true;
}

static bool check_object(lua_State *L, const place *at, const field *fields) {
  int index = lua_gettop(L);
  if (!lua_istable(L, index))
    return fail_type(L, at, OBJECT);
  luaL_checkstack(L, 16, "shape");
  /* Fields that have to be there, and those that must not be a string; */
  for (const field *f = fields; f->name != NULL; f++) {
    if (!f->required && f->type < INTEGER)
      continue;
    lua_getfield(L, index, f->name);
    if (lua_type(L, -1) != LUA_TTABLE && !check_value(L, &(place){at, f->name, 0}, f))
      return false;
    lua_pop(L, 1);
  }
  /* for all others it is enough to look at what is no string. */
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
    if (lua_type(L, -1) != LUA_TSTRING && !check_other(L, index, at, fields))
      return false;
  return true;
}

static bool check_list(lua_State *L, const place *at, const field *fields) {
  if (!is_array(L))
    return fail_type(L, at, LIST);
  int length = (int)lua_rawlen(L, -1);
  for (int i = 1; i <= length; i++) {
    lua_rawgeti(L, -1, i);
    if (!check_object(L, &(place){at, NULL, i}, fields))
      return false;
    lua_pop(L, 1);
  }
  return true;
}

/* A bare array, or an object with one: versions of the platform differ. */
static bool check_wrapped_list(lua_State *L, const place *at, const field *fields) {
  static const char *const names[] = {"records", "list", "items", "rows", NULL};
  if (!is_array(L) && lua_istable(L, -1)) {
    for (const char *const *name = names; *name != NULL; name++) {
      lua_getfield(L, -1, *name);
      if (lua_istable(L, -1)) {
        lua_remove(L, -2);
        return check_list(L, &(place){at, *name, 0}, fields);
      }
      lua_pop(L, 1);
    }
  }
  return check_list(L, at, fields);
}

static bool check_nothing(lua_State *L, const place *at, const field *fields) {
  (void)at;
  (void)fields;
  lua_pop(L, 1);
  lua_pushboolean(L, true);
  return true;
}

struct shape {
  const char *kind;
  bool (*check)(lua_State *L, const place *at, const field *fields);
  const field *fields;
};

static const shape shapes[] = {
    {"record", check_object, record_fields}, {"records", check_wrapped_list, record_fields},
    {"flow", check_object, flow_fields},     {"action", check_object, action_fields},
    {"task", check_object, task_id_fields},  {"nothing", check_nothing, NULL},
};

const shape *shape_find(const char *kind) {
  if (kind == NULL)
    return &shapes[0];
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
    if (strcmp(shapes[i].kind, kind) == 0)
      return &shapes[i];
  return NULL;
}

bool shape_check(lua_State *L, const shape *s) {
  return s->check(L, &(place){NULL, "data", 0}, s->fields);
}

static void add_names(lua_State *L, const char *name, const field *fields) {
  lua_newtable(L);
  for (int i = 0; fields[i].name != NULL; i++) {
    lua_pushstring(L, fields[i].name);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, name);
}

void shape_open(lua_State *L) {
  add_names(L, "record_fields", record_fields);
  add_names(L, "task_fields", task_fields);
}
