/* SPDX-License-Identifier: MIT */
/* deques.h - the workers' own deques, as a whole; none in a pool whose order is FIFO. */
#ifndef WEIR_POOL_DEQUES_H
#define WEIR_POOL_DEQUES_H

#include "pool/deque.h"

/* A worker's: the deque, and what its owner remembers. */
struct local {
    struct deque deque;
    unsigned since_ring;  /* starts from deques, since it last looked at the ring */
    unsigned since_other; /* starts, since it last looked at the deque of another in turn */
    unsigned takes;       /* from its own end, since it last took the oldest */
    uint32_t other;       /* whose that was: so many behind its own; 0: none yet */
};

struct deques {
    struct local *of_workers; /* constant, as are the others; NULL: none */
    atomic(uint32_t) *words;
    uint32_t count;    /* of workers; 0: none */
    uint32_t capacity; /* of each */
};

/* Makes `count` deques for `capacity` numbers each; 0: none. Returns 0, or -ENOMEM; to be destroyed
 * either way. */
int weir__deques_init(struct deques *deques, uint32_t count, uint32_t capacity);
void weir__deques_destroy(struct deques *deques);

static inline bool deques_used(const struct deques *deques)
{
    return deques->count != 0;
}

/* How many numbers fit into all of them. */
static inline uint64_t deques_capacity(const struct deques *deques)
{
    return (uint64_t)deques->count * deques->capacity;
}

/* How many numbers are in all of them: exact at rest, and not 0 by mistake. */
uint64_t weir__deques_count(const struct deques *deques);

#endif
