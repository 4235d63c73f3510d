/* fork_guard.c: a page that the kernel clears in every child, since getpid at each call is a system
 * call. */
#include "fork_guard.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__linux__) && !defined(MADV_WIPEONFORK)
#define MADV_WIPEONFORK 18 /* Linux 4.14; older headers do not have it */
#endif

#ifdef MADV_WIPEONFORK

/* One byte will do; the kernel gives a whole page. */
static const char *map_mark(void) {
  char *mark = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mark == MAP_FAILED)
    return NULL;
  if (madvise(mark, 1, MADV_WIPEONFORK) != 0) {
    munmap(mark, 1);
    return NULL;
  }
  *mark = 1;
  return mark;
}

static void unmap_mark(const char *mark) {
  munmap((void *)mark, 1);
}

#else

static const char *map_mark(void) {
  return NULL;
}

static void unmap_mark(const char *mark) {
  (void)mark;
}

#endif

void fork_guard_open(fork_guard *guard) {
  guard->mark = map_mark();
  guard->owner = getpid();
}

bool fork_guard_is_child(const fork_guard *guard) {
  return guard->mark != NULL ? *guard->mark == 0 : guard->owner != getpid();
}

void fork_guard_close(fork_guard *guard) {
  if (guard->mark != NULL)
    unmap_mark(guard->mark);
  guard->mark = NULL;
}
