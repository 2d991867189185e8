/* SPDX-License-Identifier: MIT */
/* repeats.h - what is kept, from its submit to its end, of a task that is retried. */
#ifndef WEIR_POOL_REPEATS_H
#define WEIR_POOL_REPEATS_H

#include "weir/pool.h"

#include "base/atomic.h"
#include "os/lock.h"

/* Filled by the code above the pool, and copied. */
struct repeat {
    weir_task_fn *run; /* what the pool runs, with this struct for its argument */
    /* Is it to run again, now that a run has returned `status`? Then *ret_at is when, before
     * `deadline`. Called without a lock. */
    bool (*again)(struct repeat *self, int status, int64_t deadline, int64_t *ret_at);
    weir_task_fn *shown; /* what it is called after */
    uint64_t words[14];  /* its own; they need no destruction */
    uint32_t next_free;  /* index+1 */
};

struct repeats {
    struct lock lock;
    struct repeat *all;
    uint32_t count;
    uint32_t free;  /* a list of index+1, by next_free */
    uint32_t fresh; /* from this index on none was ever used */
};

/* 0 or -ENOMEM; to be released either way. */
int weir__repeats_init(struct repeats *repeats, uint32_t count);
void weir__repeats_release(struct repeats *repeats);

/* Keeps a copy. NULL: there is no room. */
struct repeat *weir__repeats_keep(struct repeats *repeats, const struct repeat *given);
void weir__repeats_give(struct repeats *repeats, struct repeat *kept);

#endif
