/* seed.c: preloaded into a Lua whose instructions are counted: the same hash seed in every run.
 *
 * Lua makes its seed of addresses, which valgrind keeps, and of the time. That moves what a call costs by several
 * per cent, as other strings collide. So the first time that the program asks for is 1; that is the new state's. */
#include <stdbool.h>
#include <sys/time.h>
#include <time.h>

time_t time(time_t *at) {
  static bool asked;
  struct timeval now = {1, 0};
  if (asked)
    gettimeofday(&now, NULL);
  asked = true;
  if (at != NULL)
    *at = now.tv_sec;
  return now.tv_sec;
}
