/* SPDX-License-Identifier: MIT */
/* context.c - cancellation and deadline.
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
 * Blocked threads are entered under one key for all contexts; a cancellation wakes those whose
 * context is over by then. It walks over all threads that are blocked with a context, which costs
 * little beside waking one.
 *
 * A task's own context lives on the stack of the thread that runs it, with `refs` 0. A reference to
 * it, or a child of it, makes a copy on the heap that has the same parents. The heap copy is
 * entered as a waiter, so that a cancellation of the task reaches it while the task runs. What a
 * task calls may put a context of its own on the stack, under the task's: then both get a heap
 * copy.
 *
 * Recursion: over `also`, as deep as pools are nested in each other; over contexts on one stack.
 *
 * Orders. write_cancellation publishes what came before the cancellation to own_cancellation. Both
 * are seq_cst, for a waiter looks at its context as it does at its object (wait.h). So are a heap
 * copy's entry in its context and weir_context_cancel's look at it: weir_context_cancel writes the
 * cause and then looks for a heap copy, hold_heap_copy enters one and then looks at the cause
 * (pass_on). One of the two sees the other. Hooks: see sync/hook.c.
 */
#include "wait/context.h"

#include <errno.h>

#include "base/assert.h"
#include "base/deadline.h"
#include "base/tsan.h"
#include "os/alloc.h"
#include "os/fork.h"

#define CAUSE_SET (UINT64_C(1) << 32)
#define NEVER INT64_MAX

struct heap_copy {
    weir_context context;
    struct waiter task;                /* while the task runs: entered under every_context */
    const atomic(uint32_t) *task_flag; /* compared only */
    uint32_t fork; /* fork_count() when it was entered: a child's table does not have it */
};

/* Every thread that waits with a context is entered under this address. */
static const char every_context;

void (*weir__hooks_run)(void);

/* When this context itself was cancelled, or NEVER. */
static int64_t own_cancellation(const weir_context *ctx, int *ret_cause)
{
    uint64_t cause = load_seqcst(&ctx->cause); /* pairs with write_cancellation */
    if (likely(cause == 0)) {
        /* pairs with weir_task_cancel */
        if (ctx->task_flag == NULL || load_seqcst(ctx->task_flag) == 0)
            return NEVER;
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
    int64_t first = NEVER;
    for (; ctx != NULL; ctx = ctx->parent) {
        int cause = 0;
        int64_t time = own_cancellation(ctx, &cause);
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
    if (cancellation(ctx, ret_cause) == NEVER &&
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

/* Cancelling. */

/* After a cancellation was written: finds the waiters that it ended. */
static bool is_over(const struct waiter *waiter, const void *unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof waiter->contexts / sizeof waiter->contexts[0]; i++)
        if (weir_context_err(waiter->contexts[i]) != 0)
            return true;
    return false;
}

static void write_cancellation(weir_context *ctx, uint64_t set)
{
    uint64_t none = 0;
    tsan_release(ctx);
    (void)cas_seqcst(&ctx->cause, &none, set); /* I1; pairs with own_cancellation, context_err */
    int ignored;
    (void)own_cancellation(ctx, &ignored); /* I2 */
}

void weir_context_cancel(weir_context *ctx, int cause)
{
    if (ctx == NULL || weir_context_err(ctx) != 0)
        return;
    uint64_t set = CAUSE_SET | (uint32_t)(cause != 0 ? cause : -ECANCELED);
    write_cancellation(ctx, set);
    struct heap_copy *copy = load_seqcst(&ctx->heap_copy); /* pairs with hold_heap_copy */
    if (copy != NULL) /* it gets the cause that won, which is set by now, and once */
        write_cancellation(&copy->context, load_rlx(&ctx->cause));
    bool hooked = load_seqcst(&ctx->hooks) != 0 || /* pairs with count in sync/hook.c */
                  (copy != NULL && load_seqcst(&copy->context.hooks) != 0);
    weir__wake_matching(&every_context, is_over, NULL);
    if (hooked)
        weir__hooks_run();
}

static void cancel_heap_copy(struct waiter *waiter)
{
    write_cancellation(&container_of(waiter, struct heap_copy, task)->context,
                       CAUSE_SET | (uint32_t)-ECANCELED);
}

static bool is_blocked(const struct waiter *waiter, const void *unused)
{
    (void)unused;
    return waiter->wake != cancel_heap_copy;
}

void weir__context_wake_everybody(void)
{
    weir__wake_matching(&every_context, is_blocked, NULL);
}

static bool is_heap_copy(const struct waiter *waiter, const void *task_flag)
{
    return waiter->wake == cancel_heap_copy &&
           container_of(waiter, const struct heap_copy, task)->task_flag == task_flag;
}

void weir__context_task_cancelled(const atomic(uint32_t) *task_flag)
{
    weir__wake_matching(&every_context, is_heap_copy, (const void *)task_flag);
    weir__wake_matching(&every_context, is_over, NULL);
    if (weir__hooks_run != NULL) /* the heap copy, which may have some, may be gone */
        weir__hooks_run();
}

/* Making and freeing. */

static void init(weir_context *ctx, weir_context *parent, weir_context *also, int64_t deadline)
{
    ctx->parent = parent;
    ctx->also = also;
    ctx->deadline = deadline;
    if (parent != NULL)
        ctx->deadline = earlier(ctx->deadline, parent->deadline); /* I3 */
    if (also != NULL)
        ctx->deadline = earlier(ctx->deadline, also->deadline);
    ctx->key = NULL;
    ctx->value = NULL;
    ctx->task_flag = NULL;
    store_rlx(&ctx->cause, 0); /* nobody else knows the context yet */
    store_rlx(&ctx->cancelled_at, 0);
    store_rlx(&ctx->heap_copy, NULL);
    store_rlx(&ctx->refs, 0);
    store_rlx(&ctx->hooks, 0);
}

static bool on_stack(const weir_context *ctx)
{
    return load_rlx(&ctx->refs) == 0; /* constant for a task's own, never 0 for another */
}

void weir__context_begin(weir_context *ctx, weir_context *parent, weir_context *pool,
                         int64_t deadline, atomic(uint32_t) *task_flag)
{
    init(ctx, parent, pool, deadline);
    ctx->task_flag = task_flag;
}

/* Takes a reference on a heap context. */
static weir_context *hold(weir_context *ctx)
{
    if (ctx != NULL)
        add_rlx(&ctx->refs, 1); /* the caller has one, so the context stays meanwhile */
    return ctx;
}

/* Passes on what cancelled the task's own context while the heap copy could not be reached yet. */
static void pass_on(const weir_context *ctx, struct heap_copy *copy)
{
    int cause = 0;
    if (own_cancellation(ctx, &cause) != NEVER)
        weir_context_cancel(&copy->context, cause);
}

/* The heap copy of a task's own context, made now if need be; a reference for the caller, or NULL.
 */
static weir_context *hold_heap_copy(weir_context *ctx)
{
    struct heap_copy *copy = load_acq(&ctx->heap_copy); /* pairs with hold_heap_copy */
    if (copy == NULL) {
        struct heap_copy *made = weir__alloc_unaligned(sizeof *made);
        weir_context *parent = made != NULL ? weir_context_ref(ctx->parent) : NULL;
        if (made == NULL || (parent == NULL && ctx->parent != NULL)) {
            weir__free(made);
            return NULL;
        }
        init(&made->context, parent, hold(ctx->also), ctx->deadline);
        store_rlx(&made->context.refs, 1); /* the task's, until weir__context_end_heap_copy */
        made->task_flag = ctx->task_flag;
        made->task = (struct waiter){.key = &every_context, .wake = cancel_heap_copy};
        made->fork = fork_count();
        weir__waiter_add(&made->task);
        /* pairs with hold_heap_copy, weir_context_cancel */
        if (cas_seqcst(&ctx->heap_copy, &copy, made)) {
            copy = made;
            pass_on(ctx, copy);
        } else {
            weir__waiter_remove(&made->task);
            weir_context_unref(&made->context);
        }
    }
    return hold(&copy->context);
}

void weir__context_end_heap_copy(weir_context *ctx)
{
    struct heap_copy *copy = load_rlx(&ctx->heap_copy); /* as in weir__context_end */
    if (copy->fork == fork_count())
        weir__waiter_remove(&copy->task);
    pass_on(ctx, copy);
    weir_context_unref(&copy->context);
}

weir_context *weir_context_ref(weir_context *ctx)
{
    return ctx == NULL || !on_stack(ctx) ? hold(ctx) : hold_heap_copy(ctx);
}

void weir_context_unref(weir_context *ctx)
{
    while (ctx != NULL) {
        if (on_stack(ctx))
            weir__misuse("weir_context_unref",
                         "the context that a task was given is not the task's to give back.");
        /* pairs with weir_context_unref, context_shared: the last one sees what all others did */
        if (sub_acqrel(&ctx->refs, 1) != 1)
            return;
        weir_context *parent = ctx->parent;
        if (ctx->also != NULL)
            weir_context_unref(ctx->also);
        weir__free(ctx); /* and what it is the first member of */
        ctx = parent;
    }
}

int weir__context_new_at(weir_context *memory, weir_context *parent, int64_t deadline)
{
    weir_context *held = memory != NULL ? weir_context_ref(parent) : NULL;
    if (memory == NULL || (parent != NULL && held == NULL)) {
        weir__free(memory);
        return -ENOMEM;
    }
    init(memory, held, NULL, deadline);
    store_rlx(&memory->refs, 1);
    return 0;
}

static int new_child(weir_context **ret, weir_context *parent, int64_t deadline)
{
    weir_context *ctx = weir__alloc_unaligned(sizeof *ctx);
    int err = weir__context_new_at(ctx, parent, deadline);
    if (err == 0)
        *ret = ctx;
    return err;
}

int weir_context_new(weir_context **ret, weir_context *parent, int64_t deadline)
{
    return ret != NULL ? new_child(ret, parent, deadline) : -EINVAL;
}

int weir_context_with_value(weir_context **ret, weir_context *parent, const void *key, void *value)
{
    if (ret == NULL || key == NULL)
        return -EINVAL;
    weir_context *ctx;
    int err = new_child(&ctx, parent, WEIR_FOREVER);
    if (err != 0)
        return err;
    ctx->key = key;
    ctx->value = value;
    *ret = ctx;
    return 0;
}

void weir__context_watch(struct waiter *waiter)
{
    waiter->key = &every_context;
    weir__waiter_add(waiter);
}
