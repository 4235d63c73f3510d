/* terminal.c: what the command needs and Lua's own library does not have. Nothing is kept. */
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lualib.h>

/** Whether a descriptor is a terminal.
 * @function is_terminal
 * @tparam integer fd 0, 1 or 2
 * @treturn boolean */
static int l_is_terminal(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

/** A terminal's size.
 * @function terminal_size
 * @tparam integer fd
 * @treturn integer|nil columns; nil: it is no terminal, or does not say
 * @treturn integer|nil rows */
static int l_terminal_size(lua_State *L) {
  struct winsize size;
  int fd = (int)luaL_checkinteger(L, 1);
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
    return 0;
  lua_pushinteger(L, size.ws_col);
  lua_pushinteger(L, size.ws_row);
  return 2;
}

/* The file behind a value of Lua's io library; NULL if it is closed. */
static FILE *open_file(lua_State *L, int index) {
#if LUA_VERSION_NUM >= 502
  luaL_Stream *stream = luaL_checkudata(L, index, LUA_FILEHANDLE);
  return stream->closef != NULL ? stream->f : NULL;
#else
  return *(FILE **)luaL_checkudata(L, index, LUA_FILEHANDLE);
#endif
}

/** Whose an open file is, and who may do what with it. Asked of the open file, so that what is read
 * afterwards is what was looked at.
 * @function file_status
 * @tparam file file as io.open returns it
 * @treturn integer permission bits
 * @treturn integer its owner
 * @treturn integer the user that this process acts as */
static int l_file_status(lua_State *L) {
  struct stat status;
  FILE *file = open_file(L, 1);
  if (file == NULL || fstat(fileno(file), &status) != 0)
    return luaL_argerror(L, 1, "open file expected");
  lua_pushinteger(L, (lua_Integer)(status.st_mode & 07777));
  lua_pushinteger(L, (lua_Integer)status.st_uid);
  lua_pushinteger(L, (lua_Integer)geteuid());
  return 3;
}

/** Reads what there is, past the buffer of Lua's own files. A signal ends the waiting, so that
 * Ctrl-C is noticed under every Lua.
 * @function read_available
 * @tparam integer fd
 * @tparam integer ms how long to wait for something; -1: no limit
 * @treturn string|boolean|nil bytes; "" at the end; false: nothing came; nil: it failed
 * @treturn string|nil why */
static int l_read_available(lua_State *L) {
  char bytes[8192];
  struct pollfd waited = {(int)luaL_checkinteger(L, 1), POLLIN, 0};
  int ready = poll(&waited, 1, (int)luaL_checkinteger(L, 2));
  ssize_t length = ready > 0 ? read(waited.fd, bytes, sizeof bytes) : -1;
  int problem = errno;
  if (length >= 0) {
    lua_pushlstring(L, bytes, (size_t)length);
    return 1;
  }
  if (ready == 0 || problem == EINTR || problem == EAGAIN) {
    lua_pushboolean(L, 0);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, strerror(problem));
  return 2;
}

/** Whether nobody is left to read what a descriptor's pipe is given.
 * @function is_hung_up
 * @tparam integer fd
 * @treturn boolean */
static int l_is_hung_up(lua_State *L) {
  struct pollfd asked = {(int)luaL_checkinteger(L, 1), 0, 0};
  lua_pushboolean(L, poll(&asked, 1, 0) == 1 && (asked.revents & (POLLERR | POLLHUP)) != 0);
  return 1;
}

void terminal_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"is_terminal", l_is_terminal}, {"terminal_size", l_terminal_size},
      {"file_status", l_file_status}, {"read_available", l_read_available},
      {"is_hung_up", l_is_hung_up},   {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
