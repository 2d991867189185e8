/* SPDX-License-Identifier: MIT */
/* timers.h - the places of tasks that wait for their time: see timers.c. */
#ifndef WEIR_POOL_TIMERS_H
#define WEIR_POOL_TIMERS_H

#include "weir/pool.h"

#include "base/list.h"
#include "pool/slab.h"
#include "sync/alarm.h"

enum timer_state {
    TIMER_FREE,    /* nobody's, or about to be rung for nothing */
    TIMER_WAITING, /* for its time: in `waiting` */
    TIMER_DUE,     /* for room in the queue: in `due` */
    TIMER_LEFT,    /* kept for a repeating task that is queued or runs */
};

struct timer { /* all of it under the lock, `pool` is constant */
    struct alarm alarm;
    struct list link;
    weir_pool *pool;
    uint32_t slot;      /* index+1 of the task's slot, while it is WAITING or DUE */
    uint32_t next_free; /* index+1 */
    enum timer_state state;
    bool counted; /* in due_in, and not yet in due_out */
    bool repeats;
    bool stray; /* its alarm was taken out of the clock but is not to ring any more */
};

/* For a task that may run again when a run of it has failed: filled by the code above the pool. */
struct repeat {
    weir_task_fn *run; /* what the pool runs, with this struct for its argument */
    /* Is it to run again, now that a run has returned `status`? Then *ret_at is when, before
     * `deadline`. Called without a lock. */
    bool (*again)(struct repeat *self, int status, int64_t deadline, int64_t *ret_at);
    uint64_t words[14]; /* its own; they need no destruction */
    uint32_t next_free; /* index+1, of the pool */
};

/* How a task repeats, in a word that its handle keeps: 0: not; the place (index+1) of its timer; or
 * the index+1 of its struct repeat, with this bit. */
#define REPETITION_ON_FAILURE (UINT32_C(1) << 31)

struct timers {
    struct lock lock;
    struct alarm_clock clock;
    struct timer *all; /* one more than places: for the one that may be stray */
    uint32_t places, used;
    uint32_t free;  /* a list of index+1, by next_free */
    uint32_t fresh; /* from this index on none was ever used */
    struct list waiting, due;
    struct repeat *repeats; /* as many as there can be tasks, with some to spare */
    uint32_t repeat_count, free_repeat, fresh_repeat;
    bool closed; /* takes no more */

    /* Changed under the lock, read without. */
    atomic(uint64_t) accepted; /* tasks that came in here first */
    atomic(uint64_t) left;     /* how often a task left, or is about to: pushed, or taken here */
    atomic(uint64_t) due_in;   /* how often one was due, and how often such a one left */
    atomic(uint64_t) due_out;
    atomic(uint64_t) delayed; /* WAITING or DUE now */
};

/* 0 or -ENOMEM; to be released either way. */
int weir__timers_init(weir_pool *pool, uint32_t places, uint32_t repeats);
void weir__timers_release(weir_pool *pool);
/* Waits for the clock's thread, after the last task has ended. */
void weir__timers_join(weir_pool *pool);

/* Has the task wait for its time: 0, -EAGAIN (no place), -EPIPE, or why there is no thread. */
int weir__timer_add(weir_pool *pool, const struct job *job, int64_t at, bool repeats);
/* Keeps a copy of `repeat` and has `job` run that. Returns its repetition; 0: there is no room. */
uint32_t weir__repeat_keep(weir_pool *pool, const struct repeat *repeat, struct job *job);
/* A run of a task with a repetition has returned `status`, and it may be that it repeats: it waits
 * for the next run. False: it is to end as *ret_end, FAILED with that status or CANCELLED. */
bool weir__timer_repeat(weir_pool *pool, const struct job *job, int status, weir_state *ret_end);
/* The task ends, or is refused: gives back what it keeps for its repetition. */
void weir__repetition_end(weir_pool *pool, uint32_t repetition);

/* The task in `slot` was claimed by `claim`. True: it waited in a timer, which it has left now, and
 * the slot was given back. False: its ticket is in the queue, or was. */
bool weir__timer_left(weir_pool *pool, struct slot *slot, uint64_t claim);
/* Waits until nobody is at work on a timer: so a flag that was raised before is seen by whoever
 * wants to repeat a task from now on. */
void weir__timer_fence(weir_pool *pool);

/* Takes no more, and ends as CANCELLED what waits for its time; `all`: also what is due. */
void weir__timers_close(weir_pool *pool, bool all);

#endif
