/* alloc.h: put before every C file of ours (-include), it sends our allocations through the driver. */
#ifndef TORTURE_ALLOC_H
#define TORTURE_ALLOC_H

#include <stdlib.h>

void *torture_malloc(size_t size);
void *torture_calloc(size_t count, size_t size);
void *torture_realloc(void *block, size_t size);
void torture_free(void *block);

#define malloc torture_malloc
#define calloc torture_calloc
#define realloc torture_realloc
#define free torture_free

#endif
