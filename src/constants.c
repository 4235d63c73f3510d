/* constants.c: the Lua side of the lists in constants.h. */
#include "constants.h"

#include <stddef.h>

typedef struct {
  const char *constant;
  int value;
  const char *name;
} number_constant;

typedef struct {
  const char *constant;
  const char *value;
} string_constant;

#define NUMBER_ROW(constant, value) {#constant, value, #constant},
#define CODE_ROW(constant, value, name) {#constant, value, name},
#define STRING_ROW(constant, value) {#constant, value},

static const number_constant statuses[] = {STATUS_LIST(NUMBER_ROW){NULL, 0, NULL}};
static const number_constant codes[] = {CODE_LIST(CODE_ROW){NULL, 0, NULL}};
static const string_constant account_types[] = {ACCOUNT_TYPE_LIST(STRING_ROW){NULL, NULL}};
static const string_constant record_types[] = {RECORD_TYPE_LIST(STRING_ROW){NULL, NULL}};
static const string_constant link_statuses[] = {LINK_STATUS_LIST(STRING_ROW){NULL, NULL}};
static const string_constant sources[] = {SOURCE_LIST(STRING_ROW){NULL, NULL}};

static const char *name_of(const number_constant *list, double value) {
  for (; list->constant != NULL; list++)
    if ((double)list->value == value)
      return list->name;
  return NULL;
}

const char *constants_code_name(double code) {
  return name_of(codes, code);
}

static void add_numbers(lua_State *L, const char *table, const number_constant *list) {
  lua_newtable(L);
  for (; list->constant != NULL; list++) {
    lua_pushinteger(L, list->value);
    lua_setfield(L, -2, list->constant);
  }
  lua_setfield(L, -2, table);
}

static void add_strings(lua_State *L, const char *table, const string_constant *list) {
  lua_newtable(L);
  for (; list->constant != NULL; list++) {
    lua_pushstring(L, list->value);
    lua_setfield(L, -2, list->constant);
  }
  lua_setfield(L, -2, table);
}

/** The constant's name of a publish status.
 * @function status_name
 * @tparam number status a record's `status`
 * @treturn string "PUBLISHED" and so on; "UNKNOWN" for a status that this version does not know */
static int l_status_name(lua_State *L) {
  const char *name = name_of(statuses, luaL_checknumber(L, 1));
  lua_pushstring(L, name != NULL ? name : "UNKNOWN");
  return 1;
}

void constants_open(lua_State *L) {
  add_numbers(L, "status", statuses);
  add_numbers(L, "code", codes);
  add_strings(L, "account_type", account_types);
  add_strings(L, "record_type", record_types);
  add_strings(L, "link_status", link_statuses);
  add_strings(L, "source", sources);
  lua_pushcfunction(L, l_status_name);
  lua_setfield(L, -2, "status_name");
}
