/* SPDX-License-Identifier: MIT */
/* limiter_view.h - a limiter as it was at one moment, and times in its units. See limiter.c, also
 * for the invariant I1. */
#ifndef WEIR_FLOW_LIMITER_VIEW_H
#define WEIR_FLOW_LIMITER_VIEW_H

#include "base/assert.h"
#include "flow/limiter_rate.h"

#define HORIZON (INT64_C(1) << 57)
#define LATEST (INT64_C(3) << 60) /* times beyond it, in either direction, count as it */

enum { ERA_BITS = 3, OFFSET_BITS = 61 };

_Static_assert(ERA_BITS + OFFSET_BITS == 64, "a word");

/* The limiter at one moment. */
struct view {
    uint64_t state;
    uint32_t tag;
    struct rate rate;
    int64_t base;
    int64_t empty;
    int64_t depth;
};

/* Words. */

static inline uint64_t pack_state(uint32_t tag, int64_t empty)
{
    weir_assert(empty >= -FARTHEST && empty < FARTHEST); /* I1 */
    return (uint64_t)tag << OFFSET_BITS | (uint64_t)(empty + FARTHEST);
}

static inline int64_t empty_of(uint64_t state)
{
    return (int64_t)low_bits(state, OFFSET_BITS) - FARTHEST;
}

/* Time. */

static inline int64_t clamp_time(int64_t now)
{
    return now > LATEST ? LATEST : now < -LATEST ? -LATEST : now;
}

/* `now` in units after the base, at most `most` from it. False: it is later than that. */
static inline bool since_base(const struct view *view, int64_t now, int64_t most,
                              int64_t *ret_units)
{
    uint64_t per_ns = view->rate.per_ns;
    bool before = now < view->base;
    uint64_t ns =
        before ? (uint64_t)view->base - (uint64_t)now : (uint64_t)now - (uint64_t)view->base;
    bool far = per_ns != 0 && ns > (uint64_t)most / per_ns;
    int64_t units = far ? most : (int64_t)(ns * per_ns);
    *ret_units = before ? -units : units;
    return before || !far;
}

/* By how many ns `now` is even earlier than what since_base makes of it, rounded up. */
static inline int64_t before_horizon(const struct view *view, int64_t now)
{
    if (now >= view->base || view->rate.per_ns == 0)
        return 0;
    uint64_t before = (uint64_t)view->base - (uint64_t)now;
    uint64_t most = (uint64_t)HORIZON / view->rate.per_ns;
    return before > most ? (int64_t)(before - most) : 0;
}

/* When the bucket counts as empty for a call at `units`: it never holds more than the burst. */
static inline int64_t count_empty(const struct view *view, int64_t units)
{
    int64_t full = units - view->depth;
    return view->empty > full ? view->empty : full;
}

#endif
