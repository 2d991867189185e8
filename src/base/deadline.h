/* SPDX-License-Identifier: MIT */
/* deadline.h - arithmetic on times of the monotonic clock, in ns, that ends at WEIR_FOREVER. */
#ifndef WEIR_BASE_DEADLINE_H
#define WEIR_BASE_DEADLINE_H

#include "weir/clock.h"

static inline int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How long it is from `now` to the deadline; 0 if it has passed, INT64_MAX if there is none. */
static inline int64_t time_left(int64_t deadline, int64_t now)
{
    if (deadline == WEIR_FOREVER)
        return INT64_MAX;
    return deadline > now ? deadline - now : 0;
}

/* The same in milliseconds, rounded up; -1: there is none. */
static inline int milliseconds_left(int64_t deadline, int64_t now)
{
    if (deadline == WEIR_FOREVER)
        return -1;
    int64_t left = time_left(deadline, now);
    return left < WEIR_MS(INT32_MAX) ? (int)((left + WEIR_MS(1) - 1) / WEIR_MS(1)) : INT32_MAX;
}

/* `wait` ns after `now`, neither of which is negative. */
static inline int64_t time_after(int64_t now, int64_t wait)
{
    return wait < WEIR_FOREVER - now ? now + wait : WEIR_FOREVER;
}

#endif
