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

/* What is told of a task that runs, besides its function and when it began. */
struct run_more {
    const char *name;  /* or NULL */
    const void *sink;  /* whatever waits for it, or NULL: an address only */
    const void *owner; /* the pool whose task it is: an address only; NULL: the worker's own */
};

/* What is told of a thread that is about to block. Of waits within each other, as in a callback
 * that a wait calls, the outermost is told; it is over with the first that ends. Or, between
 * weir_blocking_begin and weir_blocking_end, with the latter. */
struct told {
    const char *call;   /* a string literal; NULL: nothing is told */
    const void *object; /* that it is called on; addresses only, as the next one */
    const void *sink;   /* whose tasks it waits for, or NULL */
};

#define TELL(call, object) ((struct told){(call), (object), NULL})
#define TELL_NOTHING TELL(NULL, NULL)

struct activity_level {
    _Alignas(CACHE_LINE) atomic(uintptr_t) fn;
    atomic(uint64_t) began; /* {when, if it is measured, or 0:63, the rest is set too:1} */
    atomic(const void *) sink;
    atomic(const void *) owner;
    atomic(uint64_t) name[ACTIVITY_NAME / sizeof(uint64_t)];
};

struct activity {
    _Alignas(2 * CACHE_LINE) atomic(uint64_t) state;
    atomic(int64_t) stamp;     /* when the thread, or one before it in this place, last read the
                              clock outside of tasks: what it runs began later; or 0 */
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

/* Copies the name, cut to fit. */
void weir__activity_tell_name(struct activity_level *level, const char *name);

static inline void activity_tell_more(struct activity_level *level, const struct run_more *more)
{
    store_rel(&level->sink, more->sink);   /* pairs with read_level */
    store_rel(&level->owner, more->owner); /* pairs with read_level */
    if (unlikely(more->name != NULL))
        weir__activity_tell_name(level, more->name);
    else
        store_rel(&level->name[0], 0); /* pairs with read_level */
}

/* A task begins on this thread. `since`: when, if it is measured; or 0. */
static inline void activity_run(struct self *self, uintptr_t fn, int64_t since,
                                const struct run_more *more)
{
    struct activity *activity = self->activity;
    if (unlikely(activity == NULL) && (activity = weir__activity_take(self)) == NULL)
        return;
    uint64_t state = load_rlx(&activity->state); /* ours */
    unsigned depth = activity_levels(state);
    if (likely(depth < ACTIVITY_LEVELS)) {
        struct activity_level *level = &activity->levels[depth];
        store_rel(&level->fn, fn); /* pairs with read_level */
        if (more != NULL)
            activity_tell_more(level, more);
        store_rel(&level->began, (uint64_t)since << 1 | (more != NULL)); /* pairs with read_level */
    }
    /* pairs with weir__activity_read */
    store_rel(&activity->state, state + ACTIVITY_LEVEL + ACTIVITY_CHANGE);
}

/* The innermost task is about to end, and the clock was read. */
static inline void activity_stamp(struct self *self, int64_t now)
{
    struct activity *activity = self->activity;
    if (activity != NULL && activity_levels(load_rlx(&activity->state)) == 1) /* ours */
        store_rlx(&activity->stamp, now); /* a number by itself */
}

/* The innermost task has ended. */
static inline void activity_ran(struct self *self)
{
    struct activity *activity = self->activity;
    if (unlikely(activity == NULL))
        return;
    uint64_t state = load_rlx(&activity->state) - ACTIVITY_LEVEL + ACTIVITY_CHANGE; /* ours */
    store_rel(&activity->state, state); /* pairs with weir__activity_read */
    if (unlikely((state & (ACTIVITY_CHANGE - 1)) == ACTIVITY_OTHER)) /* no level is left */
        weir__activity_give(self);
}

/* The function of the innermost task, and its name in n words, cut to fit, with zeros behind it.
 * All is 0 if it is not known. */
void weir__activity_own_name(const struct self *self, uintptr_t *ret_fn, uint64_t ret[], size_t n);

/* The thread is about to sleep in a call, and goes on. */
void weir__activity_block(struct self *self, struct told told);
void weir__activity_unblock(struct self *self);

/* An idle worker is about to sleep, and goes on. */
void weir__activity_park(struct self *self);
void weir__activity_unpark(struct self *self, bool woken);

/* Reading. */

struct activity_view_level {
    uintptr_t fn;
    int64_t since; /* 0: it is not measured */
    const void *sink, *owner;
    char name[ACTIVITY_NAME]; /* empty: it has none */
};

struct activity_view {
    uint64_t state;
    int64_t stamp, since;
    const char *call;
    const void *object, *awaited;
    int thread;
    unsigned levels; /* of these; the state says how many there are */
    struct activity_view_level level[ACTIVITY_LEVELS];
};

/* Reads it as it was at one time. False: it changed each time that this was tried; then only what
 * was read of the state is right. */
bool weir__activity_read(const struct activity *activity, struct activity_view *ret);

#endif
