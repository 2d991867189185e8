/* SPDX-License-Identifier: MIT */
/* wait.c - the loop of every wait by address: enter, look, enter again, sleep.
 *
 * A wake takes a waiter out of the table. A thread that was woken for something that is not (yet)
 * what it waits for enters again and then looks again, before it sleeps: what changed before it was
 * entered is seen by the look, what changes later finds it entered.
 *
 * The park's word is read before the look. A wake that comes after that changes the word, and the
 * sleep ends at once.
 */
#include "wait/wait.h"

#include <errno.h>

#include "base/deadline.h"
#include "os/thread.h"

/* A function of its own, so that what it has on the stack is gone while the thread runs tasks. */
static __attribute__((noinline)) void watch_contexts(struct watch *watch, const weir_context *ctx,
                                                     const weir_context *const also[2],
                                                     struct park *park)
{
    const weir_context *const contexts[3] = {ctx, also != NULL ? also[0] : NULL,
                                             also != NULL ? also[1] : NULL};
    weir__watch_begin(watch, contexts, park, weir__wake_thread);
}

int weir__wait_until(struct told told, const void *key, bool (*ready)(void *arg), void *arg,
                     weir_context *ctx, const weir_context *const also[2], int64_t deadline)
{
    int err = context_err(ctx);
    if (err != 0)
        return err;
    if (ready(arg))
        return 0;
    if (deadline != WEIR_FOREVER && deadline <= weir_now())
        return -ETIMEDOUT;
    int64_t until = ctx != NULL ? earlier(deadline, ctx->deadline) : deadline;
    struct park *park = &this_thread()->park;
    struct waiter object = {
        .node.key = key, .sleeper = {.wake = weir__wake_thread, .park = park}, .arg = arg};
    struct watch watch;
    if (key != NULL)
        weir__waiter_add(&object);
    watch_contexts(&watch, ctx, also, park);
    note_block(told);
    bool asleep = false, begun = false;
    for (int slept = 0;;) {
        uint32_t seen = load_acq(&park->word); /* pairs with weir__wake_thread; before the looks */
        if (ready(arg)) {
            err = 0;
            break;
        }
        if ((err = context_err(ctx)) != 0)
            break;
        if (slept == -ETIMEDOUT) {
            err = -ETIMEDOUT;
            break;
        }
        bool again = weir__watch_again(&watch);
        if (key != NULL && sleeper_woken(&object.sleeper)) {
            weir__waiter_add(&object);
            again = true;
        }
        if (again)
            continue;
        begun = asleep ? begun : sleep_begin();
        asleep = true;
        slept = weir__park_wait(park, seen, until);
    }
    sleep_end(begun);
    note_unblock();
    if (key != NULL)
        weir__waiter_remove(&object);
    weir__watch_end(&watch);
    return err;
}

static bool never(void *unused)
{
    (void)unused;
    return false;
}

static bool context_over(void *ctx)
{
    return weir_context_err(ctx) != 0;
}

int weir_sleep_until(weir_context *ctx, int64_t deadline)
{
    int err =
        weir__wait_until(TELL("weir_sleep_until", ctx), NULL, never, NULL, ctx, NULL, deadline);
    return err == -ETIMEDOUT && weir_context_err(ctx) == 0 ? 0 : err;
}

int weir_context_wait_until(weir_context *ctx, int64_t deadline)
{
    if (context_over(ctx))
        return 0;
    int err = weir__wait_until(TELL("weir_context_wait", ctx), NULL, context_over, ctx, ctx, NULL,
                               deadline);
    return context_over(ctx) ? 0 : err;
}
