/* SPDX-License-Identifier: MIT */
/* lane.h - one lane of a queue: jobs first in, first out, a capacity of its own, and the submitters
 * that wait for room in it. A queue has one, or several (lanes.h). */
#ifndef WEIR_POOL_LANE_H
#define WEIR_POOL_LANE_H

#include "pool/room.h"
#include "ring/index_ring.h"

/* What comes of it that a lane is full: as in weir_lane_stats. What runs in place is counted by the
 * threads, in struct times. */
enum lane_overflow { LANE_REJECTED, LANE_DROPPED, LANE_BLOCKED, LANE_OVERFLOWS };

struct lane {
    struct ring ring;
    _Alignas(CACHE_LINE) struct room room;       /* submitters */
    atomic(uint32_t) turns;                      /* serials that have a place */
    _Alignas(CACHE_LINE) atomic(uint64_t) peak;  /* most places taken at once */
    atomic(uint64_t) head_seen;                  /* a past head, for peak */
    uint64_t first;                              /* constant: position of the first push */
    uint32_t number;                             /* constant: in jobs */
    _Alignas(CACHE_LINE) atomic(uint64_t) meter; /* of more urgent starts: see lanes.h */
    _Alignas(CACHE_LINE) atomic(uint64_t) overflows[LANE_OVERFLOWS];
};

/* Counts what has become of a submit that found the lane full, or of a task there. */
static inline void lane_overflows(struct lane *lane, enum lane_overflow what)
{
    add_rlx(&lane->overflows[what], 1); /* a number by itself */
}

static inline uint64_t lane_overflowed(const struct lane *lane, enum lane_overflow what)
{
    return load_rlx(&lane->overflows[what]); /* likewise */
}

/* In sets of lanes. */
static inline uint32_t lane_bit(const struct lane *lane)
{
    return UINT32_C(1) << lane->number;
}

static inline bool lane_full(const struct lane *lane)
{
    return ring_full(&lane->ring);
}

/* Places without a ticket, of turns that are under way: a number by itself. */
static inline int64_t lane_kept(const struct lane *lane)
{
    return (int64_t)lane->ring.capacity - (int64_t)load_rlx(&lane->ring.room);
}

/* How many places are taken: exact at rest. A turn that comes or goes just now may count twice. */
static inline uint64_t lane_taken(const struct lane *lane)
{
    uint64_t taken = ring_count(&lane->ring) + (uint64_t)lane_kept(lane);
    return taken < lane->ring.capacity ? taken : lane->ring.capacity;
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
