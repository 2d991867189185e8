/* SPDX-License-Identifier: MIT */
/* index_stack.h - a lock-free stack of slot indices (R. K. Treiber, "Systems programming: coping
 * with parallelism", 1986), its head tagged against reuse.
 *
 * head: {tag:40, index+1:24}, 0 in the low bits: empty. links[i]: what lies below i, as index+1.
 * The tag grows with every change. So a CAS fails if its thread slept through a pop and a push of
 * the same index. The tag wraps after 2^40 changes, as in index_ring.h. A popper that has already
 * lost may still read a link: so links are atomic, and its CAS then fails.
 *
 * stack_push publishes to stack_pop the links below and the last use of the slots. Either half of
 * acq_rel that has no partner would do without: a pop publishes nothing, and a push only links to
 * what lies below it, which that one's own push has published.
 */
#ifndef WEIR_RING_INDEX_STACK_H
#define WEIR_RING_INDEX_STACK_H

#include "base/atomic.h"

#define STACK_LINK_MASK ((UINT64_C(1) << 24) - 1)
#define STACK_TAG (UINT64_C(1) << 24)

typedef atomic(uint64_t) index_stack;
typedef atomic(uint32_t) index_link;

enum { LINK_NONE = 0 };

/* Pushes one (as index+1). */
static inline void stack_push(index_stack *stack, index_link *links, uint32_t first)
{
    uint64_t head = load_rlx(stack); /* the CAS checks it */
    do
        store_rlx(&links[first - 1], (uint32_t)(head & STACK_LINK_MASK)); /* the CAS publishes it */
    /* pairs with stack_pop; release would do */
    while (!cas_acqrel(stack, &head, ((head & ~STACK_LINK_MASK) + STACK_TAG) | first));
}

/* Pops one slot (as index+1); LINK_NONE: empty. */
static inline uint32_t stack_pop(index_stack *stack, const index_link *links)
{
    uint64_t head = load_acq(stack); /* pairs with stack_push */
    for (;;) {
        uint32_t first = (uint32_t)(head & STACK_LINK_MASK);
        if (first == LINK_NONE)
            return LINK_NONE;
        uint32_t below = load_rlx(&links[first - 1]); /* stale if the CAS fails, else ordered by
                                                       * the look at the head */
        /* pairs with stack_push; acquire would do */
        if (cas_acqrel(stack, &head, ((head & ~STACK_LINK_MASK) + STACK_TAG) | below))
            return first;
    }
}

#endif
