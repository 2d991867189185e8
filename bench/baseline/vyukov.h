/* SPDX-License-Identifier: MIT */
/* vyukov.h - the queue that weir_ring is measured against: D. Vyukov's bounded MPMC queue (2010).
 *
 * It is fast and not lock-free: a thread that is stopped between its claim of a cell and the
 * publication of the cell blocks everybody behind it.
 */
#ifndef BENCH_BASELINE_VYUKOV_H
#define BENCH_BASELINE_VYUKOV_H

#include <stddef.h>

struct vyukov;

/* `capacity`: a power of two >= 2. NULL: no memory. */
struct vyukov *vyukov_new(size_t capacity);
void vyukov_free(struct vyukov *queue);

/* 0, or -EAGAIN: full; empty. */
int vyukov_push(struct vyukov *queue, void *item);
int vyukov_pop(struct vyukov *queue, void **ret_item);

#endif
