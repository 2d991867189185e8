/* SPDX-License-Identifier: MIT */
/* clock.c - the one clock. */
#include "weir/clock.h"

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
