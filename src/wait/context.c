/* SPDX-License-Identifier: MIT */
/* context.c - contexts as their users have them: cancelled, made, kept and freed.
 *
 * A task's own context lives on the stack of the thread that runs it, with `refs` 0. A reference to
 * it, or a child of it, makes a copy on the heap that has the same parents. The heap copy follows
 * it (follow.h), so that a cancellation of the task reaches it while the task runs. What a task
 * calls may put a context of its own on the stack, under the task's: then both get a heap copy.
 *
 * Recursion: over `also`, as deep as pools are nested in each other; over contexts on one stack.
 *
 * Orders. Whether a context is over: context_state.c. Who is told: follow.c. A heap copy follows
 * its context, and then the thread that made it looks whether that was cancelled (pass_on).
 */
#include "wait/context.h"

#include <errno.h>

#include "base/deadline.h"
#include "os/alloc.h"
#include "os/fork.h"

void weir_context_cancel(weir_context *ctx, int cause)
{
    if (ctx == NULL || weir_context_err(ctx) != 0)
        return;
    weir__write_cancellation(ctx, cause);
    weir__follow_tell(ctx);
}

/* Making and freeing. */

static bool on_stack(const weir_context *ctx)
{
    return load_rlx(&ctx->refs) == 0; /* constant for a task's own, never 0 for another */
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
    if (weir__own_cancellation(ctx, &cause) != NOT_CANCELLED)
        weir_context_cancel(&copy->context, cause);
}

/* Enters a heap copy, unless another thread has been faster. Returns the one that counts. */
static struct heap_copy *enter_heap_copy(weir_context *ctx, struct heap_copy *made)
{
    lock_acquire(&weir__follow_lock);
    struct heap_copy *copy = load_rlx(&ctx->heap_copy); /* set under the lock */
    if (copy == NULL) {
        copy = made;
        weir__follow_locked(&made->task, FOLLOWER_HEAP_COPY, ctx);
        store_rel(&ctx->heap_copy, made); /* pairs with hold_heap_copy */
    }
    lock_release(&weir__follow_lock);
    return copy;
}

/* The heap copy of a task's own context, made now if need be; a reference for the caller, or NULL.
 */
static weir_context *hold_heap_copy(weir_context *ctx)
{
    struct heap_copy *copy = load_acq(&ctx->heap_copy); /* pairs with enter_heap_copy */
    if (copy == NULL) {
        struct heap_copy *made = weir__alloc_unaligned_untouched(sizeof *made);
        weir_context *parent = made != NULL ? weir_context_ref(ctx->parent) : NULL;
        if (made == NULL || (parent == NULL && ctx->parent != NULL)) {
            weir__free(made);
            return NULL;
        }
        context_init(&made->context, parent, hold(ctx->also), ctx->deadline);
        store_rlx(&made->context.refs, 1); /* the task's, until weir__context_end_heap_copy */
        made->fork = fork_count();
        copy = enter_heap_copy(ctx, made);
        pass_on(ctx, copy);
        if (copy != made)
            weir_context_unref(&made->context);
    }
    return hold(&copy->context);
}

void weir__context_end_heap_copy(weir_context *ctx)
{
    struct heap_copy *copy = load_rlx(&ctx->heap_copy); /* as in weir__context_end */
    if (copy->fork == fork_count()) {
        lock_acquire(&weir__follow_lock);
        if (follows(&copy->task))
            weir__unfollow_locked(&copy->task);
        lock_release(&weir__follow_lock);
    }
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
    context_init(memory, held, NULL, deadline);
    store_rlx(&memory->refs, 1);
    return 0;
}

static int new_child(weir_context **ret, weir_context *parent, int64_t deadline)
{
    weir_context *ctx = weir__alloc_unaligned_untouched(sizeof *ctx);
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
