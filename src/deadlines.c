/* deadlines.c: each transfer knows its place (from 1; 0: none), so that one can be taken out. */
#include "deadlines.h"

#include <stdlib.h>

static void put(deadlines *d, size_t place, transfer *t) {
  d->items[place - 1] = t;
  t->deadline_place = place;
}

static void sift_up(deadlines *d, size_t place, transfer *t) {
  while (place > 1 && d->items[place / 2 - 1]->deadline > t->deadline) {
    put(d, place, d->items[place / 2 - 1]);
    place /= 2;
  }
  put(d, place, t);
}

static void sift_down(deadlines *d, size_t place, transfer *t) {
  for (size_t child = place * 2; child <= d->count; child = place * 2) {
    if (child < d->count && d->items[child]->deadline < d->items[child - 1]->deadline)
      child++;
    if (d->items[child - 1]->deadline >= t->deadline)
      break;
    put(d, place, d->items[child - 1]);
    place = child;
  }
  put(d, place, t);
}

bool deadlines_reserve(deadlines *d) {
  if (d->count < d->capacity)
    return true;
  size_t capacity = d->capacity > 0 ? d->capacity * 2 : 16;
  transfer **items = realloc(d->items, capacity * sizeof *items);
  if (items == NULL)
    return false;
  d->items = items;
  d->capacity = capacity;
  return true;
}

void deadlines_add(deadlines *d, transfer *t) {
  sift_up(d, ++d->count, t);
}

void deadlines_remove(deadlines *d, transfer *t) {
  size_t place = t->deadline_place;
  if (place == 0)
    return;
  transfer *last = d->items[--d->count];
  t->deadline_place = 0;
  if (last == t)
    return;
  if (place > 1 && d->items[place / 2 - 1]->deadline > last->deadline)
    sift_up(d, place, last);
  else
    sift_down(d, place, last);
}

transfer *deadlines_first(const deadlines *d) {
  return d->count > 0 ? d->items[0] : NULL;
}

void deadlines_free(deadlines *d) {
  free(d->items);
  *d = (deadlines){NULL, 0, 0};
}
