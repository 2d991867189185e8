/* SPDX-License-Identifier: MIT */
/* clock.c - the one clock. */
#include "weir/clock.h"

#include <limits.h>
#include <time.h>

int64_t weir_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail: the clock and the address are valid */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t weir_after(int64_t ns)
{
    int64_t now = weir_now();
    return ns > WEIR_FOREVER - now ? WEIR_FOREVER : now + ns;
}

int weir_poll_timeout(int64_t deadline)
{
    int64_t now = weir_now();
    if (deadline == WEIR_FOREVER)
        return -1;
    if (deadline <= now)
        return 0;
    int64_t ms = (deadline - now - 1) / 1000000 + 1; /* now >= 0: no overflow */
    return ms < INT_MAX ? (int)ms : INT_MAX;
}
