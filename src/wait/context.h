/* SPDX-License-Identifier: MIT */
/* context.h - contexts inside weir: what ends a wait before its time. */
#ifndef WEIR_WAIT_CONTEXT_H
#define WEIR_WAIT_CONTEXT_H

#include "base/assert.h"
#include "base/deadline.h"
#include "wait/follow.h"

/* Fills a context that nobody else knows yet; the parents may be NULL. */
static inline void context_init(weir_context *ctx, weir_context *parent, weir_context *also,
                                int64_t deadline)
{
    if (parent != NULL)
        deadline = earlier(deadline, parent->deadline); /* I3 of context_state.c */
    if (also != NULL)
        deadline = earlier(deadline, also->deadline);
    ctx->parent = parent;
    ctx->also = also;
    ctx->deadline = deadline;
    ctx->key = NULL;
    ctx->value = NULL;
    ctx->task_flag = NULL;
    store_rlx(&ctx->cause, 0); /* nobody else knows it, as for the next ones */
    store_rlx(&ctx->cancelled_at, 0);
    store_rlx(&ctx->heap_copy, NULL);
    store_rlx(&ctx->refs, 0);
    store_rlx(&ctx->followed, 0);
}

/* The context of a task that is about to run: `parent` (may be NULL) and `pool` must outlive it.
 * weir__context_end must be called before it goes away. */
static inline void weir__context_begin(weir_context *ctx, weir_context *parent, weir_context *pool,
                                       int64_t deadline, const atomic(uint32_t) *task_flag)
{
    context_init(ctx, parent, pool, deadline);
    ctx->task_flag = task_flag;
}

void weir__context_end_heap_copy(weir_context *ctx);

/* weir_context_new in memory of weir__alloc (NULL: -ENOMEM), of which it is the first member: all
 * of it goes with the last reference, or at once after an error. */
int weir__context_new_at(weir_context *memory, weir_context *parent, int64_t deadline);

/* weir_context_err, quickly for a context that only a cancellation of its own can end. */
static inline int context_err(const weir_context *ctx)
{
    if (ctx == NULL)
        return 0;
    bool alone = ((uintptr_t)ctx->parent | (uintptr_t)ctx->also | (uintptr_t)ctx->task_flag) == 0;
    /* pairs with weir__write_cancellation; relaxed would do, but so weir__own_cancellation looks */
    if (likely(alone && ctx->deadline == WEIR_FOREVER && load_seqcst(&ctx->cause) == 0))
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

#endif
