/* datetime.c: RFC 3339, section 5.6, to Unix seconds. */
#include "datetime.h"

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

/** Reads an RFC 3339 date-time.
 * @function parse_datetime
 * @tparam string text such as `2026-07-02T12:00:00.000Z`
 * @treturn number|nil Unix seconds with their fraction; nil where the text is no date-time */
static int l_parse_datetime(lua_State *L) {
  size_t length;
  double seconds;
  const char *text = luaL_checklstring(L, 1, &length);
  if (datetime_parse(text, length, &seconds))
    lua_pushnumber(L, seconds);
  else
    lua_pushnil(L);
  return 1;
}

void datetime_open(lua_State *L) {
  lua_pushcfunction(L, l_parse_datetime);
  lua_setfield(L, -2, "parse_datetime");
}
