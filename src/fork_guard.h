/* fork_guard.h: whether what this process uses was opened by its parent. */
#ifndef AITOEARN_FORK_GUARD_H
#define AITOEARN_FORK_GUARD_H

#include <stdbool.h>
#include <sys/types.h>

#include "hidden.h"

HIDDEN_BEGIN

typedef struct {
  const char *mark; /* on a page that is zero in every forked child; NULL: there is none */
  pid_t owner; /* compared if there is none */
} fork_guard;

/* From now on this process is the owner. */
void fork_guard_open(fork_guard *guard);

/* Whether this process is a child of the owner. */
bool fork_guard_is_child(const fork_guard *guard);

/* Harmless on one of zeroes. */
void fork_guard_close(fork_guard *guard);

HIDDEN_END

#endif
