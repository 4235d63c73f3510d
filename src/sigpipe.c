/* sigpipe.c: a thread's signal mask, and the one signal taken out of what is pending. */
#include "sigpipe.h"

#include <curl/curl.h>
#include <pthread.h>
#include <time.h>

bool sigpipe_is_needed(void) {
  return curl_version_info(CURLVERSION_NOW)->version_num < 0x075800;
}

static sigset_t only_sigpipe(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  return set;
}

static bool is_pending(void) {
  sigset_t set;
  return sigpending(&set) == 0 && sigismember(&set, SIGPIPE) == 1;
}

/* One that is pending already is the program's, which has blocked it: change nothing. */
void sigpipe_block(sigpipe_guard *guard, bool needed) {
  guard->blocked = false;
  if (!needed || is_pending())
    return;
  sigset_t set = only_sigpipe();
  guard->blocked = pthread_sigmask(SIG_BLOCK, &set, &guard->before) == 0;
}

void sigpipe_restore(const sigpipe_guard *guard) {
  if (!guard->blocked)
    return;
  sigset_t set = only_sigpipe();
#ifdef __APPLE__
  int number;
  if (is_pending())
    sigwait(&set, &number);
#else
  const struct timespec none = {0, 0};
  if (is_pending())
    sigtimedwait(&set, NULL, &none);
#endif
  pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
}
