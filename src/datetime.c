/* datetime.c: RFC 3339, section 5.6, to Unix seconds and back. */
#include "datetime.h"

#include <math.h>
#include <stdio.h>

typedef struct {
  const char *at;
  const char *end;
} cursor;

static bool read_digits(cursor *c, int count, int *value) {
  *value = 0;
  for (int i = 0; i < count; i++, c->at++) {
    if (c->at == c->end || *c->at < '0' || *c->at > '9')
      return false;
    *value = *value * 10 + (*c->at - '0');
  }
  return true;
}

static bool read_one_of(cursor *c, const char *characters) {
  for (; c->at != c->end && *characters != '\0'; characters++)
    if (*c->at == *characters) {
      c->at++;
      return true;
    }
  return false;
}

/* The fraction is read as digits, not as a double, so that .123 stays what it is. */
static bool read_fraction(cursor *c, double *fraction) {
  double scale = 1;
  double value = 0;
  *fraction = 0;
  if (!read_one_of(c, "."))
    return true;
  const char *first = c->at;
  for (; c->at != c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
    if (scale < 1e15) { /* digits beyond a double's reach change nothing */
      value = value * 10 + (*c->at - '0');
      scale *= 10;
    }
  *fraction = value / scale;
  return c->at != first;
}

static bool read_offset(cursor *c, int *seconds) {
  int hours = 0;
  int minutes = 0;
  *seconds = 0;
  if (read_one_of(c, "Zz"))
    return true;
  int sign = c->at != c->end && *c->at == '-' ? -1 : 1;
  if (!read_one_of(c, "+-") || !read_digits(c, 2, &hours) || !read_one_of(c, ":") ||
      !read_digits(c, 2, &minutes) || hours > 23 || minutes > 59)
    return false;
  *seconds = sign * (hours * 3600 + minutes * 60);
  return true;
}

static int days_in_month(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar. A year is taken to begin in March, so
 * that the leap day is its last one and the months' lengths follow one formula. */
static double days_since_epoch(int year, int month, int day) {
  int y = month > 2 ? year : year - 1;
  int months_from_march = (month + 9) % 12;
  int leap_days = y / 4 - y / 100 + y / 400;
  if (y < 0) /* January and February of year 0 belong to year -1, the only negative one here */
    leap_days = -1;
  int day_of_year = (months_from_march * 153 + 2) / 5 + day - 1;
  return y * 365.0 + leap_days + day_of_year - 719468.0;
}

bool datetime_parse(const char *text, size_t length, double *seconds) {
  cursor c = {text, text + length};
  int year, month, day, hour, minute, second, offset;
  double fraction;
  if (!read_digits(&c, 4, &year) || !read_one_of(&c, "-") || !read_digits(&c, 2, &month) ||
      !read_one_of(&c, "-") || !read_digits(&c, 2, &day) || !read_one_of(&c, "Tt ") ||
      !read_digits(&c, 2, &hour) || !read_one_of(&c, ":") || !read_digits(&c, 2, &minute) ||
      !read_one_of(&c, ":") || !read_digits(&c, 2, &second) || !read_fraction(&c, &fraction) ||
      !read_offset(&c, &offset) || c.at != c.end)
    return false;
  if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
      minute > 59 || second > 60) /* 60: a leap second */
    return false;
  *seconds = days_since_epoch(year, month, day) * 86400.0 + hour * 3600.0 + minute * 60.0 + second -
             offset + fraction;
  return true;
}

bool datetime_format(double seconds, char text[DATETIME_BYTES]) {
  double total = floor(seconds * 1000 + 0.5);
  double days = floor(total / 86400000);
  if (!(total >= -62167219200000.0 && total < 253402300800000.0)) /* also refuses NaN */
    return false;
  int left = (int)(total - days * 86400000);
  /* Days since 0000-03-01, in eras of 400 years: the inverse of days_since_epoch. */
  int day = (int)days + 719468;
  int era = (day >= 0 ? day : day - 146096) / 146097;
  int of_era = day - era * 146097;
  int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int of_year = of_era - (365 * year + year / 4 - year / 100);
  int from_march = (5 * of_year + 2) / 153;
  int month = from_march < 10 ? from_march + 3 : from_march - 9;
  (void)snprintf(text, DATETIME_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                 era * 400 + year + (month <= 2), month, of_year - (153 * from_march + 2) / 5 + 1,
                 left / 3600000, left / 60000 % 60, left / 1000 % 60, left % 1000);
  return true;
}

/** Reads an RFC 3339 date-time.
 * @function parse_datetime
 * @tparam string text such as `2026-07-02T12:00:00.000Z`; without `Z` or an offset it is none
 * @treturn number|nil Unix seconds, an integer if they are whole; nil if the text is no date-time */
static int l_parse_datetime(lua_State *L) {
  size_t length;
  double seconds;
  const char *text = luaL_checklstring(L, 1, &length);
  if (!datetime_parse(text, length, &seconds))
    lua_pushnil(L);
  else if (seconds == floor(seconds))
    lua_pushinteger(L, (lua_Integer)seconds);
  else
    lua_pushnumber(L, seconds);
  return 1;
}

/** Writes a date-time as the platform does, in UTC and to the millisecond.
 * @function format_datetime
 * @tparam number seconds Unix seconds
 * @treturn string|nil such as `2026-07-02T12:00:00.000Z`; nil outside the years 0000 to 9999 */
static int l_format_datetime(lua_State *L) {
  char text[DATETIME_BYTES];
  if (datetime_format(luaL_checknumber(L, 1), text))
    lua_pushstring(L, text);
  else
    lua_pushnil(L);
  return 1;
}

void datetime_open(lua_State *L) {
  lua_pushcfunction(L, l_parse_datetime);
  lua_setfield(L, -2, "parse_datetime");
  lua_pushcfunction(L, l_format_datetime);
  lua_setfield(L, -2, "format_datetime");
}
