/* SPDX-License-Identifier: MIT */
/* weir/ring.h - a bounded lock-free FIFO queue of pointers, many producers, many consumers.
 *
 * Strictly lock-free: a thread that is stopped anywhere inside a call does not delay any other, and
 * no thread sees a false "full" or "empty" (on CPUs other than x86-64: with up to 1024 stopped
 * threads). An operation takes effect at one instant, a single compare-and-swap on the slot;
 * elements come out in the order in which their pushes took effect. Nothing here blocks, spins for
 * another thread or allocates, apart from new and free.
 *
 * The algorithm: slots that carry their sequence number (D. Vyukov, "Bounded MPMC queue", 2010),
 * entered by one CAS on number and pointer together, with head and tail that may lag behind
 * (P. Tsigas and Y. Zhang, "A simple, fast and scalable non-blocking concurrent FIFO queue for
 * shared memory multiprocessor systems", SPAA 2001).
 *
 * Thread-safety: push, pop, count and capacity may be called by any number of threads at once.
 * A task and a child process made by fork() may make every call; not for a signal handler.
 */
#ifndef WEIR_RING_H
#define WEIR_RING_H

#include "base.h"

WEIR_BEGIN_DECLS

typedef struct weir_ring weir_ring;

/* Makes a ring for `capacity` elements: a power of two, at least 2 and at most 2^23.
 * Never blocks. Returns 0; -EINVAL (`ret` is NULL, or another capacity); -ENOMEM. */
WEIR_API WEIR_NODISCARD int weir_ring_new(weir_ring **ret, size_t capacity);

/* Frees the ring; what the elements point to stays the caller's. free(NULL) is fine. No other call
 * on the ring may be under way. */
WEIR_API void weir_ring_free(weir_ring *ring);

/* Appends `item`, any pointer value, NULL too. Never blocks. Returns 0; -EAGAIN when exactly
 * `capacity` elements are queued; -EINVAL (`ring` is NULL).
 * Ordering: what came before the push happens-before what follows the pop that returns `item`. */
WEIR_API WEIR_NODISCARD int weir_ring_push(weir_ring *ring, void *item);

/* Takes the oldest element. Never blocks. Returns 0; -EAGAIN when the ring is empty; -EINVAL (an
 * argument is NULL). On failure `*ret_item` is untouched. */
WEIR_API WEIR_NODISCARD int weir_ring_pop(weir_ring *ring, void **ret_item);

/* Pushes items[0], items[1], ... one after the other until all `n` are in or the ring is full.
 * Elements of other producers may come between them. Never blocks. Returns how many were pushed;
 * 0 if an argument is NULL. */
WEIR_API WEIR_NODISCARD size_t weir_ring_push_burst(weir_ring *ring, void *const items[], size_t n);

/* Pops up to `n` elements, oldest first, until the ring is empty. Never blocks. Returns how many
 * were written to `ret_items`; 0 if an argument is NULL. */
WEIR_API WEIR_NODISCARD size_t weir_ring_pop_burst(weir_ring *ring, void *ret_items[], size_t n);

/* How many elements are queued: exact while no other thread pushes or pops, else a value near it,
 * never above the capacity. Never blocks. 0 for NULL. */
WEIR_API size_t weir_ring_count(const weir_ring *ring);

/* The capacity that the ring was made with. Never blocks. 0 for NULL. */
WEIR_API size_t weir_ring_capacity(const weir_ring *ring);

WEIR_END_DECLS

#endif
