/* SPDX-License-Identifier: MIT */
/* context_state.h - what a context is made of, and what is written in it when it is cancelled. */
#ifndef WEIR_WAIT_CONTEXT_STATE_H
#define WEIR_WAIT_CONTEXT_STATE_H

#include "weir/context.h"

#include "base/atomic.h"
#include "base/list.h"

enum follower_kind {
    FOLLOWER_WATCH, /* the first context of a struct watch; then the second, the third */
    FOLLOWER_WATCH_LAST = FOLLOWER_WATCH + 2,
    FOLLOWER_CHILD,      /* a context, of its `parent` */
    FOLLOWER_CHILD_ALSO, /* a context, of its `also` */
    FOLLOWER_HEAP_COPY,  /* of a task's own context */
    FOLLOWER_HOOK,
    FOLLOWER_KINDS = 7, /* a mask */
};

/* Under the lock of follow.h. It is in the list of its context until it was told; a hook then is in
 * one of the thread that will call it. Small: frames of tasks within each other have two each. */
struct follower {
    struct list link; /* `next` is NULL: in no list */
    uintptr_t of;     /* the context, and the kind in its low bits */
};

static inline weir_context *follower_context(const struct follower *follower)
{
    return (weir_context *)(follower->of & ~(uintptr_t)FOLLOWER_KINDS);
}

static inline enum follower_kind follower_kind(const struct follower *follower)
{
    return (enum follower_kind)(follower->of & FOLLOWER_KINDS);
}

static inline bool follows(const struct follower *follower)
{
    return follower->link.next != NULL;
}

/* Aligned, so that a follower can keep its kind in the low bits. */
struct weir_context {
    _Alignas(8) weir_context *parent; /* holds a reference, but a task's own borrows it */
    weir_context *also;               /* a second parent: the pool of a task; likewise */
    int64_t deadline;                 /* the earliest of own and ancestors' */
    const void *key;                  /* what `value` answers to, or NULL */
    void *value;
    const atomic(uint32_t) *task_flag;    /* a task's own: non-zero once the task was cancelled */
    atomic(uint64_t) cause;               /* 0, or CAUSE_SET | the cause */
    atomic(int64_t) cancelled_at;         /* 0, or the time of the first cancellation */
    atomic(struct heap_copy *) heap_copy; /* a task's own: what outlives it, or NULL */
    atomic(uint32_t) refs;                /* 0: a task's own, which lives on a stack */
    /* Of follow.c, under its lock. */
    atomic(uint32_t) followed; /* the rest is valid, and it has followers */
    uint32_t followed_in;      /* fork_count() when that was set */
    struct list followers;
    struct follower as_child, as_child_also; /* of its parents */
    weir_context *next_of_task;              /* with a `task_flag`: see follow.c */
};

struct heap_copy {
    weir_context context;
    struct follower task; /* while the task runs: follows the task's own context */
    uint32_t fork;        /* fork_count() when it was entered: a child's list does not have it */
};

#define NOT_CANCELLED INT64_MAX

/* When this context itself was cancelled, or NOT_CANCELLED. */
int64_t weir__own_cancellation(const weir_context *ctx, int *ret_cause);

/* Cancels it, unless it was cancelled before; 0 means -ECANCELED. Tells nobody. */
void weir__write_cancellation(weir_context *ctx, int cause);

#endif
