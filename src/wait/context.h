/* SPDX-License-Identifier: MIT */
/* context.h - contexts inside weir: what ends a wait before its time. */
#ifndef WEIR_WAIT_CONTEXT_H
#define WEIR_WAIT_CONTEXT_H

#include "weir/context.h"

#include "base/assert.h"
#include "wait/waiter.h"

struct weir_context {
    weir_context *parent; /* holds a reference, but a task's own borrows it */
    weir_context *also;   /* a second parent: the pool of a task; likewise */
    int64_t deadline;     /* the earliest of own and ancestors' */
    const void *key;      /* what `value` answers to, or NULL */
    void *value;
    atomic(uint32_t) *task_flag; /* a task's own: non-zero once the task was cancelled; else NULL */
    atomic(uint64_t) cause;      /* 0, or CAUSE_SET | the cause */
    atomic(int64_t) cancelled_at;         /* 0, or the time of the first cancellation */
    atomic(struct heap_copy *) heap_copy; /* a task's own: what outlives it, or NULL */
    atomic(uint32_t) refs;                /* 0: a task's own, which lives on a stack */
    atomic(uint32_t) hooks;               /* set on it or on its descendants */
};

/* The context of a task that is about to run: `parent` (may be NULL) and `pool` must outlive it.
 * weir__context_end must be called before it goes away. */
void weir__context_begin(weir_context *ctx, weir_context *parent, weir_context *pool,
                         int64_t deadline, atomic(uint32_t) *task_flag);
void weir__context_end_heap_copy(weir_context *ctx);

/* weir_context_new in memory of weir__alloc (NULL: -ENOMEM), of which it is the first member: all
 * of it goes with the last reference, or at once after an error. */
int weir__context_new_at(weir_context *memory, weir_context *parent, int64_t deadline);

/* weir_context_err, quickly for a context that only a cancellation of its own can end. */
static inline int context_err(const weir_context *ctx)
{
    /* pairs with write_cancellation; relaxed would do, but this is own_cancellation's look */
    if (ctx == NULL || likely(ctx->parent == NULL && ctx->also == NULL && ctx->task_flag == NULL &&
                              ctx->deadline == WEIR_FOREVER && load_seqcst(&ctx->cause) == 0))
        return 0;
    return weir_context_err(ctx);
}

static inline void weir__context_end(weir_context *ctx)
{
    /* Relaxed: the task knows that no other thread uses the context any more. */
    if (load_rlx(&ctx->heap_copy) != NULL)
        weir__context_end_heap_copy(ctx);
}

/* Does anybody but the caller have a reference, and so can see whether it was cancelled? */
static inline bool context_shared(const weir_context *ctx)
{
    return load_acq(&ctx->refs) != 1; /* pairs with weir_context_unref */
}

/* The task whose own context has `task_flag` was cancelled (the flag is set): wakes the threads
 * that are blocked with it, and cancels what outlives it. */
void weir__context_task_cancelled(const atomic(uint32_t) *task_flag);

/* Enters a waiter that is woken when one of its contexts is cancelled; these, `wake` and `park` are
 * the caller's. */
void weir__context_watch(struct waiter *waiter);

/* Runs the hooks of contexts that are over by now. Set before main() by sync/hook.c, the only file
 * that sets hooks; NULL in a program that uses none. The caller holds no lock. */
extern void (*weir__hooks_run)(void);

/* Lets every thread that is blocked with a context look again, whatever the context. */
void weir__context_wake_everybody(void);

#endif
