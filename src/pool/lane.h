/* SPDX-License-Identifier: MIT */
/* lane.h - one lane of a queue: jobs first in, first out, a capacity of its own, and the submitters
 * that wait for room in it. A queue has one, or several (lanes.h). */
#ifndef WEIR_POOL_LANE_H
#define WEIR_POOL_LANE_H

#include "pool/room.h"
#include "ring/index_ring.h"

struct lane {
    struct ring ring;
    _Alignas(CACHE_LINE) struct room room;      /* submitters */
    atomic(uint32_t) turns;                     /* serials that have a place */
    _Alignas(CACHE_LINE) atomic(uint64_t) peak; /* most jobs queued at once */
    atomic(uint64_t) head_seen;                 /* a past head, for peak */
    uint64_t first;                             /* constant: position of the first push */
};

static inline bool lane_full(const struct lane *lane)
{
    return ring_full(&lane->ring);
}

static inline bool lane_empty(const struct lane *lane)
{
    uint64_t position;
    uint32_t index;
    return !ring_peek(&lane->ring, &position, &index);
}

/* Are there turns in the ring? Asked after a ticket was seen, which shows that there are. */
static inline bool lane_has_turns(const struct lane *lane)
{
    return unlikely(load_rlx(&lane->turns) != 0);
}

#endif
