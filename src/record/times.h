/* SPDX-License-Identifier: MIT */
/* times.h - how long the tasks of a pool waited and ran. Each worker has a set of its own; all
 * other threads share one. */
#ifndef WEIR_RECORD_TIMES_H
#define WEIR_RECORD_TIMES_H

#include "record/histogram.h"
#include "record/sample.h"

struct times {
    _Alignas(CACHE_LINE) atomic(uint64_t) measured, in_place, helped;
    bool shared; /* constant */
    struct histogram wait, run;
};

/* A task with this stamp starts: notes how long it waited, and returns the time. */
int64_t weir__times_start(struct times *times, uint64_t stamp);
/* It has ended; `began` is what that returned. Returns the time. */
int64_t weir__times_end(struct times *times, uint64_t stamp, int64_t began);

#endif
