/* random.h: random numbers for request ids and jitter, not for secrets.
 *
 * A separate generator leaves math.random's state, which is the program's, alone. */
#ifndef AITOEARN_RANDOM_H
#define AITOEARN_RANDOM_H

#include <stdint.h>

#include "hidden.h"

HIDDEN_BEGIN

typedef struct {
  uint64_t state[2];
} random_source;

#define RANDOM_UUID_BYTES 37 /* with the final NUL */

void random_seed(random_source *r);

/* Uniform in [0, 1). */
double random_fraction(random_source *r);

/* A version 4 UUID (RFC 9562). */
void random_uuid(random_source *r, char uuid[RANDOM_UUID_BYTES]);

HIDDEN_END

#endif
