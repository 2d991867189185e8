/* SPDX-License-Identifier: MIT */
/* alloc.h - memory, zeroed; it begins on a cache line unless said. */
#ifndef WEIR_OS_ALLOC_H
#define WEIR_OS_ALLOC_H

#include <stddef.h>

/* `count` times `size` bytes, zeroed; NULL if there is no memory or the product would wrap. */
void *weir__alloc(size_t count, size_t size);
/* The same without the zeroes: pages that are never written to cost nothing. */
void *weir__alloc_untouched(size_t count, size_t size);
/* For what is made and freed again and again: not aligned to a cache line. */
void *weir__alloc_unaligned(size_t size);
/* The same without the zeroes, which is faster by half. */
void *weir__alloc_unaligned_untouched(size_t size);
void weir__free(void *memory);

#endif
