/* SPDX-License-Identifier: MIT */
/* follow.c - what follows a context, and the walk of a cancellation down to all that is over by it.
 *
 * A context knows its parents only. It has a list of followers, which is empty mostly: only while
 * somebody follows it, a context follows its parents too, and so on up to the roots. So a task that
 * nobody waits in costs nothing here, and a cancel walks over what is over by it and nothing else.
 *
 * Invariants, under the lock:
 *   I1  `followed` is set while `followers` has an element, and not else; while it is not, nothing
 *       of the fields behind it is valid. A child process takes no context for followed that was
 *       followed in the parent process.
 *   I2  While a context is followed, it is in the lists of its `parent` and its `also`, unless they
 *       were told: then it is over, and so is whatever follows it.
 *   I3  What is in a list is alive: a child holds its parents, a hook its context, a blocked thread
 *       is told or leaves the list before it returns.
 *
 * No end is missed: a follower is entered, which sets `followed` all the way up, and then its
 * thread looks whether the context is over. A thread that cancels writes the cancellation, and then
 * looks at `followed`. All are sequentially consistent: one of the two sees the other. The same
 * goes for the flag of a task and `of_tasks_count`.
 *
 * Told once: the walk takes followers out of the lists before it tells them. A context that was
 * told has no followers until somebody enters anew, who then sees that it is over. A context with
 * two parents that are both over is met once, for it is taken out of both lists.
 *
 * Lock: one for all contexts. Blocked threads are woken under it. No other lock but a park's is
 * taken under it, and it is taken under no lock of a bucket.
 *
 * fork: a child has no blocked threads; hooks that the parent process has set are not called there.
 *
 * Recursion: over `also` only, as in context_state.c.
 */
#include "wait/follow.h"

#include <string.h>

#include "base/assert.h"
#include "base/tsan.h"
#include "os/fork.h"

struct lock weir__follow_lock = LOCK_INIT;
void (*weir__hooks_run)(struct list *told);

/* The tasks' own contexts that are followed: lists by `task_flag`, short ones, for there are not
 * more than threads. */
enum { TASK_BITS = 8 };
static weir_context *of_tasks[1 << TASK_BITS];
static atomic(uint32_t) of_tasks_count;

static void reset_after_fork(void)
{
    lock_init(&weir__follow_lock);
    memset(of_tasks, 0, sizeof of_tasks);
    store_rlx(&of_tasks_count, 0); /* one thread */
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)weir__at_fork_child(reset_after_fork); /* fails only if memory ends while loading */
}

/* Following. */

/* Where in a list the context with this flag is, or where the list ends. */
static weir_context **find_of_task(const atomic(uint32_t) *task_flag)
{
    weir_context **at = &of_tasks[tree_path((const void *)task_flag) >> (64 - TASK_BITS)];
    while (*at != NULL && (*at)->task_flag != task_flag)
        at = &(*at)->next_of_task;
    return at;
}

static bool is_followed(const weir_context *ctx)
{
    return load_rlx(&ctx->followed) != 0 && ctx->followed_in == fork_count(); /* under the lock */
}

static void set_followed(weir_context *ctx)
{
    ctx->followed_in = fork_count();
    list_init(&ctx->followers);
    ctx->as_child.link.next = ctx->as_child_also.link.next = NULL;
    (void)xchg_seqcst(&ctx->followed, 1); /* pairs with weir__follow_tell, weir__follow_wake */
    if (ctx->task_flag == NULL)
        return;
    weir_context **at = find_of_task(ctx->task_flag);
    weir_assert(*at == NULL); /* one run of a task at a time */
    ctx->next_of_task = NULL;
    *at = ctx;
    add_seqcst(&of_tasks_count, 1); /* pairs with weir__follow_tell_task */
}

static void set_unfollowed(weir_context *ctx)
{
    /* Pairs with weir__follow_tell, weir__follow_wake: who sees it sees what was done before. */
    store_rel(&ctx->followed, 0);
    if (ctx->task_flag == NULL)
        return;
    *find_of_task(ctx->task_flag) = ctx->next_of_task;
    sub_rlx(&of_tasks_count, 1); /* a thread that misses it looks for nothing */
}

void weir__follow_locked(struct follower *follower, enum follower_kind kind, weir_context *ctx)
{
    for (;;) {
        bool above = is_followed(ctx);
        if (!above)
            set_followed(ctx);
        follower->of = (uintptr_t)ctx | kind;
        list_append(&ctx->followers, &follower->link);
        if (above)
            return;
        if (ctx->also != NULL)
            weir__follow_locked(&ctx->as_child_also, FOLLOWER_CHILD_ALSO, ctx->also);
        if (ctx->parent == NULL)
            return;
        follower = &ctx->as_child;
        kind = FOLLOWER_CHILD;
        ctx = ctx->parent;
    }
}

static void take_out(struct follower *follower)
{
    list_remove(&follower->link);
    follower->link.next = NULL;
}

void weir__unfollow_locked(struct follower *follower)
{
    for (;;) {
        weir_context *ctx = follower_context(follower);
        take_out(follower);
        /* The walk may have taken the whole list: then it is not followed any more. */
        if (ctx == NULL || !is_followed(ctx) || !list_empty(&ctx->followers))
            return;
        set_unfollowed(ctx);
        if (follows(&ctx->as_child_also))
            weir__unfollow_locked(&ctx->as_child_also);
        if (!follows(&ctx->as_child))
            return;
        follower = &ctx->as_child;
    }
}

/* Telling. */

/* Moves the followers of a context, which is over, to `told`. */
static void take_followers(weir_context *ctx, struct list *told)
{
    if (!is_followed(ctx))
        return;
    list_move_all(told, &ctx->followers);
    set_unfollowed(ctx);
    if (follows(&ctx->as_child))
        weir__unfollow_locked(&ctx->as_child);
    if (follows(&ctx->as_child_also))
        weir__unfollow_locked(&ctx->as_child_also);
}

static void take_heap_copy(struct heap_copy *copy, struct list *told)
{
    int cause = 0;
    if (weir__own_cancellation(follower_context(&copy->task), &cause) != NOT_CANCELLED)
        weir__write_cancellation(&copy->context, cause);
    take_followers(&copy->context, told);
}

static void leave_all(struct watch *watch)
{
    for (size_t i = 0; i < 3; i++)
        if (follows(&watch->follows[i]))
            weir__unfollow_locked(&watch->follows[i]);
}

/* Wakes the thread of a follower that is a watch. Then it may be gone. */
static void wake_watch(struct follower *follower)
{
    struct follower *first = follower - (follower_kind(follower) - FOLLOWER_WATCH);
    struct watch *watch = container_of(first, struct watch, follows[0]);
    leave_all(watch);
    weir__sleeper_wake_locked(&watch->sleeper);
}

static void tell_locked(weir_context *ctx, struct list *hooks)
{
    struct list told;
    list_init(&told);
    take_followers(ctx, &told);
    while (!list_empty(&told)) {
        struct follower *next = container_of(told.next, struct follower, link);
        enum follower_kind kind = follower_kind(next);
        take_out(next);
        if (kind == FOLLOWER_CHILD)
            take_followers(container_of(next, weir_context, as_child), &told);
        else if (kind == FOLLOWER_CHILD_ALSO)
            take_followers(container_of(next, weir_context, as_child_also), &told);
        else if (kind == FOLLOWER_HEAP_COPY)
            take_heap_copy(container_of(next, struct heap_copy, task), &told);
        else if (kind == FOLLOWER_HOOK)
            list_append(hooks, &next->link);
        else
            wake_watch(next);
    }
}

/* Of `ctx` or, if that is NULL, of the context with this flag. */
static COLD void tell(weir_context *ctx, const atomic(uint32_t) *task_flag)
{
    struct list hooks;
    list_init(&hooks);
    lock_acquire(&weir__follow_lock);
    if (ctx == NULL)
        ctx = *find_of_task(task_flag);
    if (ctx != NULL)
        tell_locked(ctx, &hooks);
    bool hooked = !list_empty(&hooks);
    lock_release(&weir__follow_lock);
    if (hooked)
        weir__hooks_run(&hooks);
}

void weir__follow_tell(weir_context *ctx)
{
    if (load_seqcst(&ctx->followed) != 0) /* pairs with set_followed, set_unfollowed */
        tell(ctx, NULL);
}

void weir__follow_tell_task(const atomic(uint32_t) *task_flag)
{
    if (load_seqcst(&of_tasks_count) != 0) /* pairs with set_followed */
        tell(NULL, task_flag);
}

/* How far it has come is marked in the list by a follower of its own, for a watch that is woken may
 * take its neighbours along: contexts below this one that only it has followed. */
void weir__follow_wake(weir_context *ctx)
{
    if (load_seqcst(&ctx->followed) == 0) /* pairs with set_followed, set_unfollowed */
        return;
    lock_acquire(&weir__follow_lock);
    if (is_followed(ctx)) {
        struct follower mark = {.of = (uintptr_t)ctx};
        list_insert(ctx->followers.next, &mark.link);
        struct list *next;
        while ((next = mark.link.next) != &ctx->followers) {
            struct follower *follower = container_of(next, struct follower, link);
            if (follower_kind(follower) <= FOLLOWER_WATCH_LAST) {
                wake_watch(follower); /* takes it out, and others of its thread */
            } else {
                list_remove(&mark.link);
                list_insert(next->next, &mark.link);
            }
        }
        weir__unfollow_locked(&mark);
    }
    lock_release(&weir__follow_lock);
}

/* Blocked threads. */

static void enter(struct watch *watch)
{
    lock_acquire(&weir__follow_lock); /* an earlier waker has finished */
    store_rlx(&watch->sleeper.woken, WAITING);
    for (unsigned i = 0; i < 3; i++) {
        weir_context *ctx = follower_context(&watch->follows[i]);
        if (ctx != NULL)
            weir__follow_locked(&watch->follows[i], FOLLOWER_WATCH + i, ctx);
    }
    lock_release(&weir__follow_lock);
}

void weir__watch_begin(struct watch *watch, const weir_context *const contexts[3],
                       struct park *park, void (*wake)(struct sleeper *sleeper))
{
    watch->on = contexts[0] != NULL || contexts[1] != NULL || contexts[2] != NULL;
    if (!watch->on)
        return;
    watch->sleeper.wake = wake;
    watch->sleeper.park = park;
    for (size_t i = 0; i < 3; i++) {
        watch->follows[i].link.next = NULL;
        watch->follows[i].of = (uintptr_t)contexts[i];
    }
    enter(watch);
}

bool weir__watch_again(struct watch *watch)
{
    if (!watch->on || !sleeper_woken(&watch->sleeper))
        return false;
    enter(watch);
    return true;
}

void weir__watch_end(struct watch *watch)
{
    if (!watch->on)
        return;
    /* pairs with weir__sleeper_wake_locked: the waker has finished with the watch */
    if (load_acq(&watch->sleeper.woken) == RELEASED) {
        tsan_acquire(&watch->sleeper);
        return;
    }
    lock_acquire(&weir__follow_lock);
    leave_all(watch);
    lock_release(&weir__follow_lock);
}
