/* SPDX-License-Identifier: MIT */
#include "record/times.h"

#include "weir/clock.h"

/* A task that was due later than it ran has not waited, nor has one whose clock lags. */
static uint64_t span(int64_t from, int64_t to)
{
    return to > from ? (uint64_t)(to - from) : 0;
}

COLD int64_t weir__times_start(struct times *times, uint64_t stamp)
{
    int64_t now = weir_now();
    uint64_t waited = span(stamp_time(stamp), now);
    histogram_note(&times->wait, waited, stamp_weight(stamp), times->shared);
    count_more(&times->measured, 1, times->shared);
    return now;
}

COLD int64_t weir__times_end(struct times *times, uint64_t stamp, int64_t began)
{
    int64_t now = weir_now();
    histogram_note(&times->run, span(began, now), stamp_weight(stamp), times->shared);
    return now;
}
