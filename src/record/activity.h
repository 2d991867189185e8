/* SPDX-License-Identifier: MIT */
/* activity.h - what a thread is doing, for others to read: the tasks that it runs, within each
 * other, and the call that it is blocked in.
 *
 * One writer, the thread itself; readers at any time, without a lock. Workers have an activity in
 * their own memory. Any other thread has one only while it runs a task or is blocked, from a table
 * that is always there. So a reader never touches a thread's stack or what a thread frees.
 *
 * No torn reads. `state` says how many levels are in use and whether the thread is blocked or
 * parked, and has a generation that grows with every change. The fields of a level are written only
 * while the state says that it is not in use, those of a wait only while it says that there is
 * none; with release stores, and then the state. A reader reads the state, the fields and the state
 * again. If it met a field of a later time, it sees a later state, for that was stored before the
 * field: so what it read between two equal states belongs together. (The generation wraps after
 * 2^40 changes, some hours of nothing but changes between two reads.)
 *
 * Names are copied, since a task's may be gone with the task, and cut to fit.
 *
 * A run costs its thread a few stores to a line of its own, measured or not.
 */
#ifndef WEIR_RECORD_ACTIVITY_H
#define WEIR_RECORD_ACTIVITY_H

#include <string.h>

#include "base/assert.h"
#include "os/thread.h"
#include "record/stopwatch.h"

enum {
    ACTIVITY_LEVELS = 8,   /* that are told apart; what is deeper is only counted */
    ACTIVITY_NAME = 96,    /* bytes of a name, the NUL included */
    ACTIVITY_OTHERS = 256, /* threads that are not workers */
};

/* {generation:40, levels:16, ..., flags:3}. */
#define ACTIVITY_BLOCKED UINT64_C(1) /* in `call` */
#define ACTIVITY_PARKED UINT64_C(2)  /* an idle worker, or one that has left */
#define ACTIVITY_OTHER UINT64_C(4)   /* of a thread that is no worker */
#define ACTIVITY_LEVEL (UINT64_C(1) << 8)
#define ACTIVITY_CHANGE (UINT64_C(1) << 24)

/* What is told of a task that runs. */
struct run_notes {
    uintptr_t fn;      /* its function */
    const char *name;  /* or NULL */
    const void *sink;  /* whatever waits for it, or NULL: an address only */
    const void *owner; /* the pool that it is a task of: an address only */
    int64_t since;     /* when it was started, if it is measured; or 0 */
};

/* What is told of a thread that is about to block. */
struct told {
    const char *call;   /* a string literal; NULL: nothing is told */
    const void *object; /* that it is called on; addresses only, as the next one */
    const void *sink;   /* whose tasks it waits for, or NULL */
};

#define TELL(call, object) ((struct told){(call), (object), NULL})
#define TELL_NOTHING TELL(NULL, NULL)

struct activity_level {
    _Alignas(CACHE_LINE) atomic(uintptr_t) fn;
    atomic(const void *) sink;
    atomic(const void *) owner;
    atomic(int64_t) since;
    atomic(uint64_t) name[ACTIVITY_NAME / sizeof(uint64_t)];
};

struct activity {
    _Alignas(2 * CACHE_LINE) atomic(uint64_t) state;
    atomic(int64_t) stamp;     /* when the thread last read the clock; a run that is deeper, or not
                              measured, began a few tasks later at most */
    atomic(const char *) call; /* of a wait */
    atomic(const void *) object;
    atomic(const void *) awaited; /* a sink */
    atomic(int64_t) since;        /* of a wait or a park */
    atomic(int64_t) begun;        /* of a worker: when */
    struct stopwatch idle, blocked;
    atomic(uint64_t) parks, wakes;
    atomic(int) thread;     /* its number */
    atomic(uint32_t) taken; /* by a thread that is no worker */
    struct activity_level levels[ACTIVITY_LEVELS];
};

static inline unsigned activity_levels(uint64_t state)
{
    return (unsigned)(state >> 8) & 0xffff;
}

/* Of threads that are no workers; a place with `taken` 0 is free. */
extern struct activity weir__other_activities[ACTIVITY_OTHERS];

/* Gives the calling thread a place there; NULL: all are taken, and it goes unnoticed. */
struct activity *weir__activity_take(struct self *self);
void weir__activity_give(struct self *self);

/* For a worker, as its thread begins, also one that takes the place of another. */
void weir__activity_begin(struct self *self, struct activity *activity);
/* As it leaves for good. */
void weir__activity_end(struct self *self);

static inline void activity_set_name(struct activity_level *level, const char *name)
{
    uint64_t words[ACTIVITY_NAME / sizeof(uint64_t)] = {0};
    memcpy(words, name, strnlen(name, ACTIVITY_NAME - 1));
    for (size_t i = 0; i < ACTIVITY_NAME / sizeof(uint64_t); i++)
        store_rel(&level->name[i], words[i]); /* pairs with read_levels */
}

/* A task begins on this thread. */
static inline void activity_run(struct self *self, const struct run_notes *run)
{
    struct activity *activity = self->activity;
    if (unlikely(activity == NULL) && (activity = weir__activity_take(self)) == NULL)
        return;
    uint64_t state = load_rlx(&activity->state); /* ours */
    unsigned depth = activity_levels(state);
    if (likely(depth < ACTIVITY_LEVELS)) {
        struct activity_level *level = &activity->levels[depth];
        store_rel(&level->fn, run->fn);       /* pairs with read_levels */
        store_rel(&level->sink, run->sink);   /* pairs with read_levels */
        store_rel(&level->owner, run->owner); /* pairs with read_levels */
        store_rel(&level->since, run->since); /* pairs with read_levels */
        if (unlikely(run->name != NULL))
            activity_set_name(level, run->name);
        else
            store_rel(&level->name[0], 0); /* pairs with read_levels */
    }
    if (run->since != 0)
        store_rlx(&activity->stamp, run->since); /* a number by itself */
    /* pairs with weir__activity_read */
    store_rel(&activity->state, state + ACTIVITY_LEVEL + ACTIVITY_CHANGE);
}

/* The innermost task has ended. `now`: if the clock was read, or 0. */
static inline void activity_ran(struct self *self, int64_t now)
{
    struct activity *activity = self->activity;
    if (unlikely(activity == NULL))
        return;
    if (now != 0)
        store_rlx(&activity->stamp, now); /* a number by itself */
    uint64_t state = load_rlx(&activity->state) - ACTIVITY_LEVEL + ACTIVITY_CHANGE;
    store_rel(&activity->state, state); /* pairs with weir__activity_read */
    if (unlikely((state & ACTIVITY_OTHER) != 0) && activity_levels(state) == 0)
        weir__activity_give(self);
}

/* The thread is about to sleep in a call, and goes on. */
void weir__activity_block(struct self *self, struct told told);
void weir__activity_unblock(struct self *self);

/* An idle worker is about to sleep, and goes on. */
void weir__activity_park(struct self *self);
void weir__activity_unpark(struct self *self, bool woken);

/* Reading. */

struct activity_view {
    uint64_t state;
    int64_t stamp, since;
    const char *call;
    const void *object, *awaited;
    int thread;
    unsigned levels; /* of these; the state says how many there are */
    struct {
        struct run_notes run; /* its name is the next field, or NULL */
        char name[ACTIVITY_NAME];
    } level[ACTIVITY_LEVELS];
};

/* Reads it as it was at one time. False: it changed each time that this was tried; then only what
 * was read of the state is right. */
bool weir__activity_read(const struct activity *activity, struct activity_view *ret);

#endif
