/* shape.c: tables of fields drive the check; a new field of the API is one more line in one. */
#include "shape.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ANY: a type that the API's page does not say. LIST: an array of objects. From INTEGER on, a string
 * is wrong. */
typedef enum { ANY, STRING, INTEGER, OBJECT, STRINGS, LIST } field_type;

struct object;

typedef struct {
  const char *name;
  field_type type;
  bool required;
  const struct object *members; /* of an OBJECT or of a LIST's objects; NULL: free-form */
} field;

/* Which name_table is whose. */
typedef enum { ERROR_DATA, RECORD, TASK, FLOW, ACTION, TASK_ID, OBJECTS } object_index;

typedef struct object {
  object_index index;
  const field *fields;
} object;

/* errorData */
static const field error_data_fields[] = {
    {"type", STRING, true, NULL},
    {"code", STRING, true, NULL},
    {"message", STRING, true, NULL},
    {NULL, ANY, false, NULL},
};

static const object error_data = {ERROR_DATA, error_data_fields};

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
    {"errorData", OBJECT, false, &error_data},
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

static const object record = {RECORD, record_fields};
static const object task = {TASK, task_fields};

static const field flow_fields[] = {
    {"flowId", STRING, true, NULL},
    {"tasks", LIST, true, &task},
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

static const object flow = {FLOW, flow_fields};
static const object action = {ACTION, action_fields};
static const object task_id = {TASK_ID, task_id_fields};

static const object *const objects[OBJECTS] = {&error_data, &record, &task,
                                               &flow,       &action, &task_id};

/* An object's fields by the addresses of their names: a Lua state has each short string once, so that
 * equal names have the same. A hash table that stays half empty. */
#define NAME_SLOTS 64

typedef struct {
  const char *names[NAME_SLOTS];
  const field *fields[NAME_SLOTS];
  int required; /* how many of them have to be there */
} name_table;

static size_t slot_of(const name_table *table, const char *name) {
  size_t slot = ((uintptr_t)name >> 4) % NAME_SLOTS;
  while (table->names[slot] != NULL && table->names[slot] != name)
    slot = (slot + 1) % NAME_SLOTS;
  return slot;
}

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

/* The same of all numbers at any depth, which the decoder has bounded, where the value is a table. */
static void make_integers(lua_State *L, int index) {
  int type = lua_type(L, -1);
  if (type == LUA_TNUMBER) {
    integer_in_place(L, index);
  } else if (type == LUA_TTABLE) {
    int table = lua_gettop(L);
    luaL_checkstack(L, 6, "too many nested tables");
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
      make_integers(L, table);
  }
}

#else /* one kind of number: nothing to do */

static void make_integers(lua_State *L, int index) {
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

/* Objects hold lists of objects: the one recursion of this file that an answer cannot deepen, since
 * the tables of fields end. */
static bool check_list(lua_State *L, const name_table *tables, const place *at, const object *o);
static bool check_object(lua_State *L, const name_table *tables, const place *at, const object *o);

/* The value of a field is on top of the stack. */
static bool check_value(lua_State *L, const name_table *tables, const place *at, const field *f) {
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
      return f->members == NULL || check_object(L, tables, at, f->members);
    break;
  case STRINGS:
    if (is_array(L))
      return check_strings(L, at);
    break;
  case LIST: return check_list(L, tables, at, f->members);
  }
  return fail_type(L, at, f->type);
}

/* A field's value is on top of the stack, its key below it, in the table at `index`. */
static bool check_field(lua_State *L, const name_table *tables, int index, const place *at,
                        const field *f) {
  int type = lua_type(L, -1);
  if (f->type == STRING && type == LUA_TSTRING)
    return true;
  if (!check_value(L, tables, &(place){at, f->name, 0}, f))
    return false;
  if (is_null(L, -1)) {
    lua_pushvalue(L, -2);
    lua_pushnil(L);
    lua_rawset(L, index);
  } else if (f->members == NULL) { /* else its objects have been seen to */
    make_integers(L, index);
  }
  return true;
}

/* Of several fields that are wrong or missing a message names the first in their order, whatever order
 * the table has. */
static bool fail_object(lua_State *L, const name_table *tables, int index, const place *at,
                        const object *o) {
  lua_settop(L, index);
  for (const field *f = o->fields; f->name != NULL; f++) {
    lua_getfield(L, index, f->name);
    if (!check_value(L, tables, &(place){at, f->name, 0}, f))
      return false;
    lua_pop(L, 1);
  }
  return fail_type(L, at, OBJECT);
}

static bool check_object(lua_State *L, const name_table *tables, const place *at, const object *o) {
  const name_table *table = &tables[o->index];
  int missing = table->required;
  int index = lua_gettop(L);
  if (!lua_istable(L, index))
    return fail_type(L, at, OBJECT);
  if (lua_rawlen(L, index) > 0) /* an array: its keys are no names */
    return fail_object(L, tables, index, at, o);
  luaL_checkstack(L, 16, "shape");
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const field *f = table->fields[slot_of(table, lua_tostring(L, -2))];
    if (f == NULL) /* this version does not know it */
      make_integers(L, index);
    else if (!check_field(L, tables, index, at, f))
      return fail_object(L, tables, index, at, o);
    else
      missing -= f->required;
  }
  return missing == 0 || fail_object(L, tables, index, at, o);
}

static bool check_list(lua_State *L, const name_table *tables, const place *at, const object *o) {
  if (!is_array(L))
    return fail_type(L, at, LIST);
  int length = (int)lua_rawlen(L, -1);
  for (int i = 1; i <= length; i++) {
    lua_rawgeti(L, -1, i);
    if (!check_object(L, tables, &(place){at, NULL, i}, o))
      return false;
    lua_pop(L, 1);
  }
  return true;
}

/* A bare array, or an object with one: versions of the platform differ. */
static bool check_wrapped_list(lua_State *L, const name_table *tables, const place *at,
                               const object *o) {
  static const char *const names[] = {"records", "list", "items", "rows", NULL};
  if (!is_array(L) && lua_istable(L, -1)) {
    for (const char *const *name = names; *name != NULL; name++) {
      lua_getfield(L, -1, *name);
      if (lua_istable(L, -1)) {
        lua_remove(L, -2);
        return check_list(L, tables, &(place){at, *name, 0}, o);
      }
      lua_pop(L, 1);
    }
  }
  return check_list(L, tables, at, o);
}

static bool check_nothing(lua_State *L, const name_table *tables, const place *at,
                          const object *o) {
  (void)tables;
  (void)at;
  (void)o;
  lua_pop(L, 1);
  lua_pushboolean(L, true);
  return true;
}

struct shape {
  const char *kind;
  bool (*check)(lua_State *L, const name_table *tables, const place *at, const object *o);
  const object *object;
};

static const shape shapes[] = {
    {"record", check_object, &record}, {"records", check_wrapped_list, &record},
    {"flow", check_object, &flow},     {"action", check_object, &action},
    {"task", check_object, &task_id},  {"nothing", check_nothing, NULL},
};

const shape *shape_find(const char *kind) {
  if (kind == NULL)
    return &shapes[0];
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
    if (strcmp(shapes[i].kind, kind) == 0)
      return &shapes[i];
  return NULL;
}

/* The address of this is the registry's key of the name tables. */
static const char registry_key;

bool shape_check(lua_State *L, const shape *s) {
  lua_pushlightuserdata(L, (void *)&registry_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  const name_table *tables = lua_touserdata(L, -1); /* the registry keeps it */
  lua_pop(L, 1);
  return s->check(L, tables, &(place){NULL, "data", 0}, s->object);
}

/* The table on top of the stack keeps the names. */
static void intern(lua_State *L, name_table *table, const object *o) {
  for (const field *f = o->fields; f->name != NULL; f++) {
    lua_pushstring(L, f->name);
    size_t slot = slot_of(table, lua_tostring(L, -1));
    table->names[slot] = lua_tostring(L, -1);
    table->fields[slot] = f;
    table->required += f->required;
    luaL_ref(L, -2);
  }
}

static void open_name_tables(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&registry_key);
  name_table *tables = compat_newuserdata(L, OBJECTS * sizeof *tables);
  memset(tables, 0, OBJECTS * sizeof *tables);
  lua_newtable(L);
  for (size_t i = 0; i < OBJECTS; i++)
    intern(L, &tables[objects[i]->index], objects[i]);
  lua_setuservalue(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
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
  open_name_tables(L);
  add_names(L, "record_fields", record_fields);
  add_names(L, "task_fields", task_fields);
}
