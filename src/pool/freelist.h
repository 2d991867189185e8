/* SPDX-License-Identifier: MIT */
/* freelist.h - which slots are free, as numbers (index+1); it knows nothing of slots.
 *
 * Free slots change hands by the magazine (J. Bonwick and J. Adams, "Magazines and Vmem", 2001):
 * their numbers side by side in memory, so that neither side waits for a line for each of them. A
 * magazine, full or empty, belongs to the thread that popped it from its stack, to a worker until
 * it is exchanged; one that is in a stripe, to the stripe.
 *
 * A free slot is in a full magazine, in a stripe, or in the magazine of a worker. Every thread
 * finds it there, except those in a worker's magazine, MAGAZINE_ROUNDS at most, for which there are
 * spare ones, and what threads inside a call hold: a slot, or a magazine for a moment. A submit
 * runs out of slots only if these come to SLOT_MARGIN.
 */
#ifndef WEIR_POOL_FREELIST_H
#define WEIR_POOL_FREELIST_H

#include "base/sizes.h"
#include "ring/index_stack.h"

struct magazine {
    _Alignas(CACHE_LINE) atomic(uint32_t) slots[MAGAZINE_ROUNDS];
};

/* A magazine (as index+1) and how many slots are in it. */
struct loaded {
    uint32_t magazine;
    uint32_t rounds;
};

/* Where threads outside take slots, each from the one that its address falls on. */
struct stripe {
    _Alignas(CACHE_LINE) atomic(uint64_t) word; /* {tag:37, magazine:20, rounds:7} */
    index_stack loose;                          /* slots that came back one by one */
};

enum { MAGAZINE_BITS = 20, ROUNDS_BITS = 7 };
#define STRIPE_TAG (UINT64_C(1) << (MAGAZINE_BITS + ROUNDS_BITS))

/* What a stripe's word says is in it. */
static inline struct loaded stripe_loaded(uint64_t word)
{
    return (struct loaded){(uint32_t)(word >> ROUNDS_BITS) & ((1U << MAGAZINE_BITS) - 1),
                           (uint32_t)word & ((1U << ROUNDS_BITS) - 1)};
}

struct freelist {
    struct magazine *magazines; /* constant, as are the other pointers */
    index_link *links;          /* of loose slots */
    index_link *magazine_links; /* of the two stacks of magazines */
    const void *lines;          /* a cache line a slot, fetched before the slot is taken */
    _Alignas(CACHE_LINE) index_stack full;
    index_stack empty;
    struct stripe stripes[STRIPES];
};

/* How many slots there must be, so that `capacity` of them can always be in use. */
static inline uint32_t freelist_slots(uint32_t capacity, uint32_t workers)
{
    return capacity + workers * MAGAZINE_ROUNDS + SLOT_MARGIN;
}

/* Makes a list of the slots 1 to `count`; to be given further ones later, `most` in all. Returns 0
 * or -ENOMEM; to be destroyed either way. */
int weir__freelist_init(struct freelist *list, uint32_t count, uint32_t most, uint32_t workers,
                        const void *lines);
void weir__freelist_destroy(struct freelist *list);

/* The magazine that a worker begins with. */
static inline struct loaded freelist_first_magazine(uint32_t worker)
{
    return (struct loaded){worker + 1, 0};
}

/* For threads outside, and for workers whose magazine cannot be exchanged. */
uint32_t weir__freelist_take_shared(struct freelist *list);
void weir__freelist_give_shared(struct freelist *list, uint32_t slot);
/* Exchanges the magazine of a worker: an empty one for a full one, and the other way round. False:
 * there is none. */
bool weir__freelist_reload(struct freelist *list, struct loaded *own);
bool weir__freelist_unload(struct freelist *list, struct loaded *own);

/* Takes a free slot, or LINK_NONE. `own`: what the calling worker has loaded, or NULL. */
static inline uint32_t freelist_take(struct freelist *list, struct loaded *own)
{
    if (own == NULL || (own->rounds == 0 && !weir__freelist_reload(list, own)))
        return weir__freelist_take_shared(list);
    return load_rlx(&list->magazines[own->magazine - 1].slots[--own->rounds]); /* ours */
}

static inline void freelist_give(struct freelist *list, struct loaded *own, uint32_t slot)
{
    if (own == NULL || (own->rounds == MAGAZINE_ROUNDS && !weir__freelist_unload(list, own)))
        weir__freelist_give_shared(list, slot);
    else
        store_rlx(&list->magazines[own->magazine - 1].slots[own->rounds++], slot); /* ours */
}

#endif
