/* sigpipe.h: keeps SIGPIPE from ending the program while libcurl writes to a connection that its
 * server has closed.
 *
 * Before 7.88 libcurl lets OpenSSL write with plain write(2). The signal is blocked in this thread
 * alone and taken away if one came, so that the program's handler neither changes nor runs. */
#ifndef AITOEARN_SIGPIPE_H
#define AITOEARN_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

#include "hidden.h"

HIDDEN_BEGIN

typedef struct {
  bool blocked; /* by this guard */
  sigset_t before;
} sigpipe_guard;

/* Whether the libcurl that was loaded needs it. */
bool sigpipe_is_needed(void);

/* Both do nothing if it is not `needed`. */
void sigpipe_block(sigpipe_guard *guard, bool needed);
void sigpipe_restore(const sigpipe_guard *guard);

HIDDEN_END

#endif
