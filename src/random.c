/* random.c: xoroshiro128+ (Blackman and Vigna, 2018). */
#include "random.h"

#include <time.h>
#include <unistd.h>

#ifdef __APPLE__
#include <sys/random.h>
#endif

void random_seed(random_source *r) {
  if (getentropy(r->state, sizeof r->state) != 0) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    r->state[0] = (uint64_t)now.tv_sec ^ ((uint64_t)now.tv_nsec << 32);
    r->state[1] = (uint64_t)getpid();
  }
  r->state[0] |= 1; /* all zero would stay so */
}

static uint64_t next_bits(random_source *r) {
  uint64_t a = r->state[0];
  uint64_t b = r->state[1];
  uint64_t result = a + b;
  b ^= a;
  r->state[0] = ((a << 24) | (a >> 40)) ^ b ^ (b << 16);
  r->state[1] = (b << 37) | (b >> 27);
  return result;
}

double random_fraction(random_source *r) {
  return (double)(next_bits(r) >> 11) / 9007199254740992.0; /* 2^53 */
}

/* Twelve random hexadecimal digits. The lowest bits are the weakest, and left out. */
static void put_twelve_digits(random_source *r, char *at) {
  static const char digits[] = "0123456789abcdef";
  uint64_t bits = next_bits(r) >> 16;
  for (int i = 0; i < 12; i++, bits >>= 4)
    at[i] = digits[bits & 15];
}

/* xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx, where y is one of 8, 9, a and b. */
void random_uuid(random_source *r, char uuid[RANDOM_UUID_BYTES]) {
  put_twelve_digits(r, uuid);
  put_twelve_digits(r, uuid + 12);
  put_twelve_digits(r, uuid + 24);
  uuid[8] = uuid[13] = uuid[18] = uuid[23] = '-';
  uuid[14] = '4';
  uuid[19] = "89ab"[next_bits(r) >> 62];
  uuid[RANDOM_UUID_BYTES - 1] = '\0';
}
