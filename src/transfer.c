/* transfer.c: doubly linked lists, so that one can be taken out of the middle. */
#include "transfer.h"

#include <math.h>
#include <string.h>

void transfer_init(transfer *t) {
  memset(t, 0, sizeof *t);
  t->started = t->finished = NAN;
  t->url = t->request_id = "";
  headers_clear(&t->headers);
}

void transfer_reset(transfer *t) {
  t->state = TRANSFER_QUEUED;
  t->result = CURLE_OK;
  t->http_status = 0;
  t->is_sent = t->is_reused = false;
  t->started = t->finished = NAN;
  t->headers.bytes = 0;
  headers_clear(&t->headers);
}

void transfer_append(transfer_list *list, transfer *t) {
  t->list = list;
  t->next = NULL;
  t->previous = list->last;
  if (list->last != NULL)
    list->last->next = t;
  else
    list->first = t;
  list->last = t;
}

void transfer_prepend(transfer_list *list, transfer *t) {
  t->list = list;
  t->previous = NULL;
  t->next = list->first;
  if (list->first != NULL)
    list->first->previous = t;
  else
    list->last = t;
  list->first = t;
}

void transfer_unlink(transfer *t) {
  if (t->list == NULL)
    return;
  if (t->previous != NULL)
    t->previous->next = t->next;
  else
    t->list->first = t->next;
  if (t->next != NULL)
    t->next->previous = t->previous;
  else
    t->list->last = t->previous;
  t->list = NULL;
  t->previous = t->next = NULL;
}
