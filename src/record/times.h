/* SPDX-License-Identifier: MIT */
/* times.h - how long the tasks of a pool waited and ran. Each worker has a set of its own; all
 * other threads share one.
 *
 * A read of the CPU's time of a thread is a system call. So it is read only if it has not been for
 * CPU_PAUSE_NS. That does not favour tasks of one name, but those that come after a pause or a long
 * one; so what counts is the share of the CPU in the runs for which it was read.
 */
#ifndef WEIR_RECORD_TIMES_H
#define WEIR_RECORD_TIMES_H

#include "weir/lane.h"

#include "record/activity.h"
#include "record/histogram.h"
#include "record/names.h"
#include "record/sample.h"

enum { CPU_PAUSE_NS = 250000 };

/* Of the tasks of one lane. */
struct lane_times {
    struct histogram wait, run;
};

struct times {
    _Alignas(CACHE_LINE) atomic(uint64_t) measured, helped;
    atomic(int64_t) cpu_read;                  /* when the CPU's time was last read */
    atomic(uint64_t) in_place[WEIR_MAX_LANES]; /* by their numbers in jobs */
    bool shared;                               /* constant */
    struct lane_times *lanes; /* constant: by their numbers in jobs; NULL: there is one lane */
    struct histogram wait, run;
    struct names names;
};

/* Of a run that is measured. */
struct timing {
    int64_t began; /* 0: it is not */
    int64_t cpu;   /* of the thread, then; -1: it was not read */
};

/* A task with this stamp starts. */
void weir__times_start(struct times *times, uint64_t stamp, uint32_t lane, struct timing *ret);
/* It has ended, and is still the innermost of the calling thread. */
void weir__times_end(struct times *times, uint64_t stamp, uint32_t lane,
                     const struct timing *timing);

#endif
