/* deadlines.h: a binary heap of the transfers that have a time to end at: those that wait for
 * a connection, and timers. The earliest is found in constant time. */
#ifndef AITOEARN_DEADLINES_H
#define AITOEARN_DEADLINES_H

#include <stdbool.h>
#include <stddef.h>

#include "transfer.h"

#include "hidden.h"

HIDDEN_BEGIN

typedef struct {
  transfer **items;
  size_t count;
  size_t capacity;
} deadlines;

/* Makes room for one more, so that adding it cannot fail; false if memory runs out. */
bool deadlines_reserve(deadlines *d);
void deadlines_add(deadlines *d, transfer *t);
void deadlines_remove(deadlines *d, transfer *t); /* harmless on one that is not in it */

/* The earliest, or NULL. */
transfer *deadlines_first(const deadlines *d);
void deadlines_free(deadlines *d);

HIDDEN_END

#endif
