/* SPDX-License-Identifier: MIT */
/* context_state.c - whether a context is over, since when and why.
 *
 * States of a context: live -> over, never back. Nothing is propagated: a cancellation is written
 * in the context that was cancelled, and a check of a descendant walks up to it. Since when a
 * context is over, and why, follows from times alone: the earliest `cancelled_at` of it and its
 * ancestors against its deadline. So every observer gets the same answer, at any time.
 *
 * Invariants:
 *   I1  cause is set once, by CAS. It is set before the clock is read for cancelled_at; so a check
 *       that ran after the deadline and saw no cancellation stays right: the time will be later.
 *       (The language says nothing of clocks: a look at one is taken to be in order with seq_cst
 *       accesses.)
 *   I2  A thread that sees a cause without a time fills in the time first; the first time stays.
 *   I3  `deadline` is at most the parents'.
 *
 * Recursion: over `also`, as deep as pools are nested in each other.
 *
 * Orders. weir__write_cancellation publishes what came before the cancellation to
 * weir__own_cancellation. Both are seq_cst, for a waiter looks at its context as it does at its
 * object (wait.h).
 */
#include "wait/context_state.h"

#include <errno.h>

#include "base/assert.h"
#include "base/tsan.h"

#define CAUSE_SET (UINT64_C(1) << 32)

/* When this context itself was cancelled, or NOT_CANCELLED. */
int64_t weir__own_cancellation(const weir_context *ctx, int *ret_cause)
{
    uint64_t cause = load_seqcst(&ctx->cause); /* pairs with weir__write_cancellation */
    if (likely(cause == 0)) {
        /* pairs with weir_task_cancel */
        if (ctx->task_flag == NULL || load_seqcst(ctx->task_flag) == 0)
            return NOT_CANCELLED;
        tsan_acquire(ctx->task_flag);
        cause = CAUSE_SET | (uint32_t)-ECANCELED;
    }
    tsan_acquire(ctx);
    atomic(int64_t) *at = (atomic(int64_t) *)&ctx->cancelled_at;
    int64_t time = load_rlx(at); /* set once, and orders nothing */
    if (time == 0) {             /* I2 */
        int64_t now = weir_now();
        if (cas_rlx(at, &time, now))
            time = now;
    }
    *ret_cause = (int)(uint32_t)cause;
    return time;
}

/* The earliest cancellation of ctx and its ancestors, the nearest one among equals. */
static int64_t cancellation(const weir_context *ctx, int *ret_cause)
{
    int64_t first = NOT_CANCELLED;
    for (; ctx != NULL; ctx = ctx->parent) {
        int cause = 0;
        int64_t time = weir__own_cancellation(ctx, &cause);
        if (time < first) {
            first = time;
            *ret_cause = cause;
        }
        if (ctx->also != NULL && (time = cancellation(ctx->also, &cause)) < first) {
            first = time;
            *ret_cause = cause;
        }
    }
    return first;
}

/* 0: it is live. -ECANCELED, and why; or -ETIMEDOUT. */
static int end_of(const weir_context *ctx, int *ret_cause)
{
    if (cancellation(ctx, ret_cause) == NOT_CANCELLED &&
        (ctx->deadline == WEIR_FOREVER || ctx->deadline > weir_now()))
        return 0;
    /* It is over. An earlier end than the one that was seen may have been written behind the first
     * walk: the second one finds it. What that one does not find will be later (I1). */
    return cancellation(ctx, ret_cause) < ctx->deadline ? -ECANCELED : -ETIMEDOUT;
}

int weir_context_cause(const weir_context *ctx)
{
    int cause = 0;
    int err = ctx != NULL ? end_of(ctx, &cause) : 0;
    return err == -ECANCELED ? cause : err;
}

int weir_context_err(const weir_context *ctx)
{
    int ignored;
    return ctx != NULL ? end_of(ctx, &ignored) : 0;
}

int64_t weir_context_deadline(const weir_context *ctx)
{
    return ctx != NULL ? ctx->deadline : WEIR_FOREVER;
}

void *weir_context_value(const weir_context *ctx, const void *key)
{
    for (; ctx != NULL && key != NULL; ctx = ctx->parent) {
        if (ctx->key == key)
            return ctx->value;
        void *value;
        if (ctx->also != NULL && (value = weir_context_value(ctx->also, key)) != NULL)
            return value;
    }
    return NULL;
}

void weir__write_cancellation(weir_context *ctx, int cause)
{
    uint64_t none = 0, set = CAUSE_SET | (uint32_t)(cause != 0 ? cause : -ECANCELED);
    tsan_release(ctx);
    /* I1; pairs with weir__own_cancellation, context_err */
    (void)cas_seqcst(&ctx->cause, &none, set);
    int ignored;
    (void)weir__own_cancellation(ctx, &ignored); /* I2 */
}
