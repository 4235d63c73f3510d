/* url.c: libcurl reads the URL, so that what is checked is what will be asked. */
#include "url.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <string.h>

#define MAX_ID_BYTES 256

/* RFC 3986, 2.3. */
static bool is_unreserved(unsigned char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
         (byte >= 'A' && byte <= 'Z') || (byte != '\0' && strchr("-._~", byte) != NULL);
}

char *url_put_segment(char *at, const char *text, size_t length) {
  static const char digits[] = "0123456789ABCDEF";
  for (size_t i = 0; i < length; i++) {
    unsigned char byte = (unsigned char)text[i];
    if (is_unreserved(byte)) {
      *at++ = text[i];
    } else {
      *at++ = '%';
      *at++ = digits[byte >> 4];
      *at++ = digits[byte & 15];
    }
  }
  *at = '\0';
  return at;
}

static const struct {
  CURLUPart part;
  const char *name;
} parts[] = {
    {CURLUPART_SCHEME, "scheme"},     {CURLUPART_USER, "user"},
    {CURLUPART_PASSWORD, "password"}, {CURLUPART_HOST, "host"},
    {CURLUPART_PORT, "port"},         {CURLUPART_PATH, "path"},
    {CURLUPART_QUERY, "query"},       {CURLUPART_FRAGMENT, "fragment"},
};

/* What libcurl allocates lives in a userdata, so that a Lua error on the way does not leak it. */
typedef struct {
  CURLU *url;
  char *part;
} parsed_url;

static int l_gc(lua_State *L) {
  parsed_url *p = lua_touserdata(L, 1);
  curl_free(p->part);
  curl_url_cleanup(p->url);
  *p = (parsed_url){NULL, NULL};
  return 0;
}

static parsed_url *new_parsed_url(lua_State *L) {
  parsed_url *p = compat_newuserdata(L, sizeof *p);
  *p = (parsed_url){NULL, NULL};
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  p->url = curl_url();
  if (p->url == NULL)
    luaL_error(L, "out of memory");
  return p;
}

static CURLUcode check_memory(lua_State *L, CURLUcode code) {
  if (code == CURLUE_OUT_OF_MEMORY)
    luaL_error(L, "out of memory");
  return code;
}

/** Takes a URL apart.
 * @function parse_url
 * @tparam string text with its scheme
 * @treturn table|nil those of scheme, user, password, host, port, path, query, fragment that it has
 * @treturn nil|string what is wrong with it */
static int l_parse_url(lua_State *L) {
  const char *text = luaL_checkstring(L, 1);
  parsed_url *p = new_parsed_url(L);
  CURLUcode code = curl_url_set(p->url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
  if (check_memory(L, code) != CURLUE_OK) {
    lua_pushnil(L);
    lua_pushliteral(L, "not a URL");
    return 2;
  }
  lua_createtable(L, 0, 8);
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    code = curl_url_get(p->url, parts[i].part, &p->part, 0);
    if (check_memory(L, code) != CURLUE_OK)
      continue;
    lua_pushstring(L, p->part);
    lua_setfield(L, -2, parts[i].name);
    curl_free(p->part);
    p->part = NULL;
  }
  return 1;
}

static bool has_control(const char *text, size_t length) {
  const unsigned char *at = (const unsigned char *)text;
  const unsigned char *end = at + length;
  while (at < end && *at >= ' ' && *at != 0x7F)
    at++;
  return at < end;
}

/** @function has_control
 * @tparam string text
 * @treturn boolean whether it holds a control character (ASCII), which no header and no id may */
static int l_has_control(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  lua_pushboolean(L, has_control(text, length));
  return 1;
}

/** @function is_id
 * @tparam any value
 * @treturn boolean whether it is a string of 1 to MAX_ID_BYTES bytes without control characters */
static int l_is_id(lua_State *L) {
  size_t length = 0;
  const char *text = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &length) : NULL;
  lua_pushboolean(L, length > 0 && length <= MAX_ID_BYTES && !has_control(text, length));
  return 1;
}

/** Percent-encodes a text as one path segment or one value of a query.
 * @function encode_segment
 * @tparam string text
 * @treturn string */
static int l_encode_segment(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  char *encoded = lua_newuserdata(L, 3 * length + 1);
  lua_pushlstring(L, encoded, (size_t)(url_put_segment(encoded, text, length) - encoded));
  return 1;
}

void url_open(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, l_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcclosure(L, l_parse_url, 1);
  lua_setfield(L, -2, "parse_url");
  lua_pushcfunction(L, l_has_control);
  lua_setfield(L, -2, "has_control");
  lua_pushcfunction(L, l_is_id);
  lua_setfield(L, -2, "is_id");
  lua_pushinteger(L, MAX_ID_BYTES);
  lua_setfield(L, -2, "MAX_ID_BYTES");
  lua_pushcfunction(L, l_encode_segment);
  lua_setfield(L, -2, "encode_segment");
}
