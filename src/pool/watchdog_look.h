/* SPDX-License-Identifier: MIT */
/* watchdog_look.h - what the watchdog of a pool has, and the look that it takes in each tick. The
 * protocol is in watchdog.h. */
#ifndef WEIR_POOL_WATCHDOG_LOOK_H
#define WEIR_POOL_WATCHDOG_LOOK_H

#include "base/assert.h"
#include "pool/size.h"
#include "record/activity.h"
#include "sync/alarm.h"

enum { WATCH_LEVELS = 4 }; /* runs within each other that are watched, for each worker */

#define WATCH_NONE INT64_C(-1)
#define WATCH_TICKING INT64_MAX

struct watched_run {
    atomic(int64_t) began;  /* 0: there is none */
    atomic(int64_t) limit;  /* ns that it may take; 0: as long as it likes */
    atomic(unsigned) level; /* of the activity */
};

/* Of a worker. */
struct watched {
    _Alignas(CACHE_LINE) bool awake; /* this and the next: its own */
    unsigned depth;                  /* of runs within each other */
    struct activity *activity;       /* constant */
    struct watched_run runs[WATCH_LEVELS];
};

/* What was told of a run and is not over; the clock's thread's. */
struct told_run {
    int64_t began; /* 0: nothing */
    weir_stuck what;
    char name[ACTIVITY_NAME];
};

struct watchdog {
    struct alarm_clock clock;
    struct alarm alarm;
    struct lock lock;
    int64_t hurried; /* under the lock, as is the next one: WEIR_FOREVER, or by when to tick */
    bool closing;
    atomic(int64_t) next;
    _Alignas(CACHE_LINE) atomic(unsigned) awake; /* workers */
    atomic(const struct self *) telling;         /* the thread that is in on_stuck, or NULL */
    int64_t limit;                               /* this and the next four: constant */
    void (*on_stuck)(const weir_stuck *what, void *user);
    void *user;
    weir_pool *pool;           /* to be told only */
    const struct queue *queue; /* asked how many are queued */
    unsigned workers;
    const struct size *size; /* says which of them there are; or NULL: all */
    struct watched *watched;
    struct told_run *told; /* of each run of each worker, and last of all workers at once */
};

/* Looks at all places, and tells. Returns by when to look again; WEIR_FOREVER: no need. */
int64_t weir__watchdog_look(struct watchdog *watchdog);

/* Is the calling thread in on_stuck? */
bool weir__watchdog_telling(const struct watchdog *watchdog);

#endif
