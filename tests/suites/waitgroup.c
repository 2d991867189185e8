/* SPDX-License-Identifier: MIT */
/* waitgroup.c - counting things down and waiting for it. What a wait does inside tasks besides
 * (running what it waits for) is in nesting.c.
 */
#include "support/suite.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

static int wait_for(void *wg)
{
    return weir_waitgroup_wait(wg);
}

static int return_0(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

static int return_error(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return -EIO;
}

/* Contract. */

START_TEST(a_waitgroup_of_zeroes_counts_nothing)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    static weir_waitgroup implicit;
    weir_waitgroup *cleared = calloc(1, sizeof *cleared);
    ck_assert_ptr_nonnull(cleared);
    weir_waitgroup *all[] = {&wg, &implicit, cleared};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(weir_waitgroup_wait(all[i]), 0);
        ck_assert_int_eq(weir_waitgroup_try_wait(all[i]), 0);
        ck_assert_int_eq(weir_waitgroup_wait_until(all[i], NULL, WEIR_FOREVER), 0);
    }
    free(cleared);
}
END_TEST

START_TEST(it_waits_for_as_many_as_were_added)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&wg, 0);
    ck_assert_int_eq(weir_waitgroup_try_wait(&wg), 0);
    weir_waitgroup_add(&wg, 2);
    weir_waitgroup_add(&wg, 0);
    weir_waitgroup_add(&wg, 1);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(weir_waitgroup_try_wait(&wg), -EAGAIN);
        weir_waitgroup_done(&wg);
    }
    ck_assert_int_eq(weir_waitgroup_try_wait(&wg), 0);
    ck_assert_int_eq(weir_waitgroup_wait(&wg), 0);
}
END_TEST

START_TEST(the_full_form_fails_by_context_first_and_by_deadline_last)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_context *over, *late;
    ck_assert_int_eq(weir_context_new(&over, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_context_new(&late, NULL, 0), 0);
    weir_context_cancel(over, -EIO);

    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, over, WEIR_FOREVER), -ECANCELED);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, late, WEIR_FOREVER), -ETIMEDOUT);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, 0), 0);

    weir_waitgroup_add(&wg, 1);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, over, WEIR_FOREVER), -ECANCELED);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, late, WEIR_FOREVER), -ETIMEDOUT);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, 0), -ETIMEDOUT);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, INT64_MIN), -ETIMEDOUT);
    int64_t deadline = weir_after(WEIR_MS(20));
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, deadline), -ETIMEDOUT);
    ck_assert_int_ge(weir_now(), deadline);
    weir_waitgroup_done(&wg);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, 0), 0);
    weir_context_unref(late);
    weir_context_unref(over);
}
END_TEST

/* Plain data that one done must publish to the waiter. */
struct message {
    weir_waitgroup wg;
    int written;
};

static int write_and_count_down(void *arg)
{
    struct message *message = arg;
    message->written = 4711;
    weir_waitgroup_done(&message->wg);
    return 0;
}

START_TEST(what_came_before_done_is_seen_after_the_wait)
{
    for (int round = 0; round < 100; round++) {
        struct message message = {.wg = WEIR_WAITGROUP_INIT};
        weir_waitgroup_add(&message.wg, 1);
        caller writer;
        caller_start(&writer, write_and_count_down, &message);
        ck_assert_int_eq(weir_waitgroup_wait(&message.wg), 0);
        ck_assert_int_eq(message.written, 4711);
        ck_assert_int_eq(caller_join(&writer), 0);
    }
}
END_TEST

/* Blocking. */

START_TEST(the_last_done_wakes_every_waiter)
{
    enum { WAITERS = 8 };
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&wg, 2);
    caller waiters[WAITERS];
    for (int i = 0; i < WAITERS; i++)
        caller_start(&waiters[i], wait_for, &wg);
    for (int i = 0; i < WAITERS; i++)
        ck_assert(caller_await_asleep(&waiters[i]));
    weir_waitgroup_done(&wg);
    for (int i = 0; i < WAITERS; i++)
        ck_assert(caller_await_asleep(&waiters[i]));
    weir_waitgroup_done(&wg);
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(caller_join(&waiters[i]), 0);
}
END_TEST

START_TEST(a_new_round_does_not_hold_the_waiters_of_the_last_one)
{
    enum { WAITERS = 3, ROUNDS = 40 };
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&wg, 1);
    for (int round = 0; round < ROUNDS; round++) {
        caller waiters[WAITERS];
        for (int i = 0; i < WAITERS; i++)
            caller_start(&waiters[i], wait_for, &wg);
        for (int i = 0; i < WAITERS; i++)
            ck_assert(caller_await_asleep(&waiters[i]));
        weir_waitgroup_done(&wg);
        weir_waitgroup_add(&wg, 1);
        for (int i = 0; i < WAITERS; i++)
            ck_assert_int_eq(caller_join(&waiters[i]), 0);
        ck_assert_int_eq(weir_waitgroup_try_wait(&wg), -EAGAIN);
    }
    weir_waitgroup_done(&wg);
    ck_assert_int_eq(weir_waitgroup_wait(&wg), 0);
}
END_TEST

struct bounded_wait {
    weir_waitgroup *wg;
    weir_context *ctx;
    int64_t deadline;
};

static int wait_bounded(void *arg)
{
    const struct bounded_wait *wait = arg;
    return weir_waitgroup_wait_until(wait->wg, wait->ctx, wait->deadline);
}

START_TEST(a_cancellation_ends_the_waits_that_it_bounds_and_leaves_no_residue)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&wg, 1);
    weir_context *ctx;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    struct bounded_wait bounded = {&wg, ctx, WEIR_FOREVER};
    caller waiter, other;
    caller_start(&waiter, wait_bounded, &bounded);
    caller_start(&other, wait_for, &wg);
    ck_assert(caller_await_asleep(&waiter));
    ck_assert(caller_await_asleep(&other));
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(caller_join(&waiter), -ECANCELED);
    ck_assert(caller_await_asleep(&other));
    weir_waitgroup_done(&wg);
    ck_assert_int_eq(caller_join(&other), 0);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(waits_that_time_out_leave_no_residue)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&wg, 1);
    for (int i = 0; i < 20; i++) {
        /* On the heap, so that whatever still pointed to the waiter would point to freed memory. */
        struct bounded_wait *bounded = malloc(sizeof *bounded);
        ck_assert_ptr_nonnull(bounded);
        *bounded = (struct bounded_wait){&wg, NULL, weir_after(WEIR_MS(2))};
        caller waiter;
        caller_start(&waiter, wait_bounded, bounded);
        ck_assert_int_eq(caller_join(&waiter), -ETIMEDOUT);
        free(bounded);
    }
    caller waiter;
    caller_start(&waiter, wait_for, &wg);
    ck_assert(caller_await_asleep(&waiter));
    weir_waitgroup_done(&wg);
    ck_assert_int_eq(caller_join(&waiter), 0);
}
END_TEST

/* Tasks given to a waitgroup. */

static const char key;

struct seen {
    void *arg, *value;
    weir_pool *pool;
    bool has_context;
};

static int see(weir_context *ctx, void *arg)
{
    struct seen *seen = arg;
    *seen = (struct seen){arg, weir_context_value(ctx, &key), weir_pool_current(), ctx != NULL};
    return 0;
}

START_TEST(go_runs_the_task_on_the_pool_and_counts_it)
{
    weir_pool *pool = new_pool(2, 4);
    weir_context *ctx;
    ck_assert_int_eq(weir_context_with_value(&ctx, NULL, &key, &pool), 0);
    struct seen plain = {0}, tried = {0}, bounded = {0};
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, see, &plain), 0);
    ck_assert_int_eq(weir_waitgroup_try_go(&wg, pool, see, &tried), 0);
    ck_assert_int_eq(weir_waitgroup_go_until(&wg, pool, see, &bounded, ctx, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_waitgroup_wait(&wg), 0);
    struct seen *all[] = {&plain, &tried, &bounded};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_ptr_eq(all[i]->arg, all[i]);
        ck_assert_ptr_eq(all[i]->pool, pool);
        ck_assert(all[i]->has_context);
    }
    ck_assert_ptr_null(plain.value);
    ck_assert_ptr_eq(bounded.value, &pool);
    weir_context_unref(ctx);
    finish_pool(pool);
}
END_TEST

START_TEST(a_task_that_fails_is_counted_down_too)
{
    weir_pool *pool = new_pool(2, 4);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(weir_waitgroup_go(&wg, pool, return_error, NULL), 0);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, patience()), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.failed, 20);
    ck_assert_uint_eq(counts.done, 0);
    weir_pool_free(pool);
}
END_TEST

START_TEST(one_waitgroup_counts_tasks_of_many_pools_and_other_things)
{
    weir_pool *one = new_pool(1, 4), *two = new_pool(2, 4);
    counter ran = COUNTER_INIT;
    gate hold = GATE_INIT;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&wg, 1);
    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(weir_waitgroup_go(&wg, i % 2 != 0 ? one : two, counter_task, &ran), 0);
    ck_assert_int_eq(weir_waitgroup_go(&wg, one, gate_task, &hold), 0);
    gate_await(&hold, 1);
    caller waiter;
    caller_start(&waiter, wait_for, &wg);
    ck_assert(caller_await_asleep(&waiter));
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(one), 0);
    ck_assert_int_eq(weir_pool_drain(two), 0);
    ck_assert(caller_await_asleep(&waiter));
    weir_waitgroup_done(&wg);
    ck_assert_int_eq(caller_join(&waiter), 0);
    ck_assert_uint_eq(counter_get(&ran), 30);
    weir_pool_free(one);
    weir_pool_free(two);
}
END_TEST

static int add_more(weir_context *ctx, void *arg)
{
    (void)ctx;
    weir_waitgroup *wg = arg;
    for (int i = 0; i < 5; i++)
        if (weir_waitgroup_go(wg, weir_pool_current(), return_0, NULL) != 0)
            return -1;
    return 0;
}

START_TEST(members_may_add_members)
{
    weir_pool *pool = new_pool(2, 2);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(weir_waitgroup_go(&wg, pool, add_more, &wg), 0);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, patience()), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.done, 50 + 50 * 5);
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_refused_go_is_not_counted)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(1, 1);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_context *over;
    ck_assert_int_eq(weir_context_new(&over, NULL, WEIR_FOREVER), 0);
    weir_context_cancel(over, 0);
    saturate(pool, &hold, 1);

    ck_assert_int_eq(weir_waitgroup_go_until(&wg, pool, return_0, NULL, over, WEIR_FOREVER),
                     -ECANCELED);
    ck_assert_int_eq(weir_waitgroup_try_wait(&wg), 0);
    ck_assert_int_eq(weir_waitgroup_try_go(&wg, pool, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_try_wait(&wg), 0);
    ck_assert_uint_eq(weir_pool_queued(pool), 0);

    ck_assert_int_eq(weir_waitgroup_go_until(&wg, pool, return_0, NULL, NULL, 0), 0);
    ck_assert_int_eq(weir_waitgroup_try_go(&wg, pool, return_0, NULL), -EAGAIN);
    ck_assert_int_eq(weir_waitgroup_go_until(&wg, pool, return_0, NULL, NULL, 0), -ETIMEDOUT);
    ck_assert_int_eq(
        weir_waitgroup_go_until(&wg, pool, return_0, NULL, NULL, weir_after(WEIR_MS(5))),
        -ETIMEDOUT);
    ck_assert_int_eq(weir_waitgroup_try_wait(&wg), -EAGAIN);

    gate_open(&hold);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, patience()), 0);
    weir_pool_close(pool);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, return_0, NULL), -EPIPE);
    ck_assert_int_eq(weir_waitgroup_try_go(&wg, pool, return_0, NULL), -EPIPE);
    ck_assert_int_eq(weir_waitgroup_go_until(&wg, pool, return_0, NULL, NULL, 0), -EPIPE);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, patience()), 0);
    weir_context_unref(over);
    finish_pool(pool);
}
END_TEST

START_TEST(a_pool_that_rejects_refuses_go)
{
    gate hold = GATE_INIT;
    weir_pool *pool;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2,
                                                            .overflow = WEIR_OVERFLOW_REJECT)),
                     0);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, return_0, NULL), 0);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, return_0, NULL), 0);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, return_0, NULL), -EAGAIN);
    gate_open(&hold);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, patience()), 0);
    finish_pool(pool);
}
END_TEST

struct blocked_go {
    weir_waitgroup *wg;
    weir_pool *pool;
    weir_context *ctx;
};

static int go_when_there_is_room(void *arg)
{
    const struct blocked_go *go = arg;
    return weir_waitgroup_go_until(go->wg, go->pool, return_0, NULL, go->ctx, WEIR_FOREVER);
}

START_TEST(go_blocks_while_the_pool_is_full)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(1, 1);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, return_0, NULL), 0);
    struct blocked_go go = {&wg, pool, NULL};
    caller submitter;
    caller_start(&submitter, go_when_there_is_room, &go);
    ck_assert(caller_await_asleep(&submitter));
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&submitter), 0);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, patience()), 0);
    finish_pool(pool);
}
END_TEST

START_TEST(a_go_that_is_refused_late_lets_the_waiters_go)
{
    for (int closing = 0; closing < 2; closing++) {
        gate hold = GATE_INIT;
        weir_pool *pool = new_pool(1, 1);
        weir_context *ctx;
        ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
        weir_waitgroup wg = WEIR_WAITGROUP_INIT;
        saturate(pool, &hold, 1);
        ck_assert_int_eq(weir_pool_submit(pool, return_0, NULL), 0);
        struct blocked_go go = {&wg, pool, ctx};
        caller submitter, waiter;
        caller_start(&submitter, go_when_there_is_room, &go);
        ck_assert(caller_await_asleep(&submitter));
        caller_start(&waiter, wait_for, &wg);
        if (closing != 0)
            weir_pool_close(pool);
        else
            weir_context_cancel(ctx, 0);
        ck_assert_int_eq(caller_join(&submitter), closing != 0 ? -EPIPE : -ECANCELED);
        ck_assert_int_eq(caller_join(&waiter), 0);
        gate_open(&hold);
        weir_context_unref(ctx);
        finish_pool(pool);
    }
}
END_TEST

/* Tasks that are dropped. */

struct drops {
    recorder log; /* why, for each */
};

static void record_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)arg;
    recorder_add(&((struct drops *)user)->log, (int)why);
}

struct drop_wait {
    weir_waitgroup *wg;
    struct drops *drops;
};

/* Returns how often on_drop was called by the time the wait returned, or the wait's error. */
static int wait_then_count_drops(void *arg)
{
    const struct drop_wait *wait = arg;
    int err = weir_waitgroup_wait(wait->wg);
    return err != 0 ? err : (int)recorder_count(&wait->drops->log);
}

static int shut_down(void *pool)
{
    return weir_pool_shutdown(pool, 0, WEIR_FOREVER, NULL);
}

START_TEST(dropped_tasks_are_told_and_then_counted_down)
{
    enum { DROPPED = 3 };
    struct drops drops = {RECORDER_INIT};
    gate hold = GATE_INIT;
    weir_pool *pool;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 8, .on_drop = record_drop,
                                               .user = &drops)),
        0);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    saturate(pool, &hold, 1);
    for (int i = 0; i < DROPPED; i++)
        ck_assert_int_eq(weir_waitgroup_go(&wg, pool, return_0, NULL), 0);
    struct drop_wait wait = {&wg, &drops};
    caller waiter, closer;
    caller_start(&waiter, wait_then_count_drops, &wait);
    ck_assert(caller_await_asleep(&waiter));
    caller_start(&closer, shut_down, pool);
    ck_assert_int_eq(caller_join(&waiter), DROPPED);
    ck_assert(!caller_is_over(&closer));
    for (size_t i = 0; i < DROPPED; i++)
        ck_assert_int_eq(recorder_at(&drops.log, i), WEIR_TASK_CANCELLED);
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&closer), 0);
    weir_pool_free(pool);
}
END_TEST

START_TEST(tasks_whose_context_ends_are_told_and_then_counted_down)
{
    struct drops drops = {RECORDER_INIT};
    gate hold = GATE_INIT;
    weir_pool *pool;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 8, .on_drop = record_drop,
                                               .user = &drops)),
        0);
    weir_context *ctx;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    counter ran = COUNTER_INIT;
    saturate(pool, &hold, 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_waitgroup_go_until(&wg, pool, counter_task, &ran, ctx, WEIR_FOREVER),
                         0);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, counter_task, &ran), 0);
    weir_context_cancel(ctx, 0);
    struct drop_wait wait = {&wg, &drops};
    caller waiter;
    caller_start(&waiter, wait_then_count_drops, &wait);
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&waiter), 3);
    ck_assert_uint_eq(counter_get(&ran), 1);
    weir_context_unref(ctx);
    finish_pool(pool);
}
END_TEST

START_TEST(evicted_tasks_are_told_and_then_counted_down)
{
    struct drops drops = {RECORDER_INIT};
    gate hold = GATE_INIT;
    weir_pool *pool;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2,
                                               .overflow = WEIR_OVERFLOW_DROP_OLDEST,
                                               .on_drop = record_drop, .user = &drops)),
        0);
    saturate(pool, &hold, 1);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, return_0, NULL), 0);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, return_0, NULL), 0);
    ck_assert_int_eq(weir_pool_submit(pool, return_0, NULL), 0);
    ck_assert_int_eq(weir_waitgroup_try_wait(&wg), -EAGAIN);
    ck_assert_int_eq(weir_pool_submit(pool, return_0, NULL), 0);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, patience()), 0);
    ck_assert_uint_eq(recorder_count(&drops.log), 2);
    ck_assert_int_eq(recorder_at(&drops.log, 0), WEIR_TASK_DROPPED);
    ck_assert_int_eq(recorder_at(&drops.log, 1), WEIR_TASK_DROPPED);
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

/* Memory. */

START_TEST(the_memory_is_the_callers_again_when_the_wait_has_returned)
{
    enum { ROUNDS = 1000, KEPT = 16 };
    weir_pool *pool = new_pool(2, 8);
    weir_waitgroup *kept[KEPT] = {NULL};
    weir_waitgroup poison;
    memset(&poison, 0xa5, sizeof poison);
    for (int round = 0; round < ROUNDS + KEPT; round++) {
        weir_waitgroup **place = &kept[round % KEPT];
        if (*place != NULL)
            ck_assert_mem_eq(*place, &poison, sizeof poison);
        free(*place);
        *place = NULL;
        if (round >= ROUNDS)
            continue;
        *place = calloc(1, sizeof **place);
        ck_assert_ptr_nonnull(*place);
        for (int i = 0; i <= round % 3; i++)
            ck_assert_int_eq(weir_waitgroup_go(*place, pool, return_0, NULL), 0);
        ck_assert_int_eq(weir_waitgroup_wait(*place), 0);
        memset(*place, 0xa5, sizeof **place);
    }
    finish_pool(pool);
}
END_TEST

static int count_down(void *wg)
{
    weir_waitgroup_done(wg);
    return 0;
}

START_TEST(the_memory_is_the_callers_again_while_done_returns)
{
    for (int round = 0; round < 200; round++) {
        weir_waitgroup *wg = calloc(1, sizeof *wg);
        ck_assert_ptr_nonnull(wg);
        weir_waitgroup_add(wg, 1);
        caller other;
        caller_start(&other, count_down, wg);
        ck_assert_int_eq(weir_waitgroup_wait(wg), 0);
        free(wg);
        ck_assert_int_eq(caller_join(&other), 0);
    }
}
END_TEST

/* Misuse. */

START_TEST(null_is_refused_by_every_call_that_can_say_so)
{
    weir_pool *pool = new_pool(1, 1);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    ck_assert_int_eq(weir_waitgroup_wait(NULL), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_try_wait(NULL), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_wait_until(NULL, NULL, WEIR_FOREVER), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_go(NULL, pool, return_0, NULL), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_try_go(NULL, pool, return_0, NULL), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_go_until(NULL, pool, return_0, NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_go(&wg, NULL, return_0, NULL), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_try_go(&wg, NULL, return_0, NULL), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_go_until(&wg, NULL, return_0, NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_go_until(&wg, pool, NULL, NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_wait(&wg), 0);
    finish_pool(pool);
}
END_TEST

struct self_wait {
    weir_waitgroup *wg;
    int plain, bounded, past;
};

static int wait_for_oneself(weir_context *ctx, void *arg)
{
    struct self_wait *self = arg;
    self->plain = weir_waitgroup_wait(self->wg);
    self->bounded = weir_waitgroup_wait_until(self->wg, ctx, WEIR_FOREVER);
    self->past = weir_waitgroup_wait_until(self->wg, NULL, weir_after(WEIR_S(3600)));
    return 0;
}

START_TEST(a_member_cannot_wait_for_its_own_waitgroup)
{
    weir_pool *pool = new_pool(2, 4);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    struct self_wait self = {.wg = &wg};
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, wait_for_oneself, &self), 0);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, patience()), 0);
    ck_assert_int_eq(self.plain, -EDEADLK);
    ck_assert_int_eq(self.bounded, -EDEADLK);
    ck_assert_int_eq(self.past, -EDEADLK);
    finish_pool(pool);
}
END_TEST

static void count_below_zero(void *arg)
{
    (void)arg;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&wg, 1);
    weir_waitgroup_done(&wg);
    weir_waitgroup_done(&wg);
}

static void done_of_null(void *arg)
{
    (void)arg;
    weir_waitgroup_done(NULL);
}

static void add_to_null(void *arg)
{
    (void)arg;
    weir_waitgroup_add(NULL, 1);
}

static void add_too_much_at_once(void *n)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&wg, *(unsigned *)n);
}

static void add_too_much_in_two_steps(void *arg)
{
    (void)arg;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&wg, INT32_MAX);
    weir_waitgroup_add(&wg, 1);
}

START_TEST(counting_below_zero_aborts)
{
    assert_aborts(count_below_zero, NULL, "weir_waitgroup_done");
}
END_TEST

START_TEST(counting_on_null_aborts)
{
    assert_aborts(done_of_null, NULL, "weir_waitgroup_done");
    assert_aborts(add_to_null, NULL, "weir_waitgroup_add");
}
END_TEST

START_TEST(counting_above_the_maximum_aborts)
{
    static unsigned too_much[] = {(unsigned)INT32_MAX + 1, UINT_MAX};
    assert_aborts(add_too_much_at_once, &too_much[0], "weir_waitgroup_add");
    assert_aborts(add_too_much_at_once, &too_much[1], "weir_waitgroup_add");
    assert_aborts(add_too_much_in_two_steps, NULL, "weir_waitgroup_add");
}
END_TEST

START_TEST(go_at_the_maximum_is_refused)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 4,
                                                            .outside_waiters_help = _i != 0)),
                     0);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    counter ran = COUNTER_INIT;
    weir_waitgroup_add(&wg, INT32_MAX);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, counter_task, &ran), -EOVERFLOW);
    ck_assert_int_eq(weir_waitgroup_try_go(&wg, pool, counter_task, &ran), -EOVERFLOW);
    ck_assert_int_eq(weir_waitgroup_go_until(&wg, pool, counter_task, &ran, NULL, WEIR_FOREVER),
                     -EOVERFLOW);
    weir_waitgroup_done(&wg);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, counter_task, &ran), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(counter_get(&ran), 1);
    ck_assert_int_eq(weir_waitgroup_try_wait(&wg), -EAGAIN);
    weir_pool_free(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("waitgroup");

    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, a_waitgroup_of_zeroes_counts_nothing);
    tcase_add_test(contract, it_waits_for_as_many_as_were_added);
    tcase_add_test(contract, the_full_form_fails_by_context_first_and_by_deadline_last);
    tcase_add_test(contract, what_came_before_done_is_seen_after_the_wait);
    tcase_add_test(contract, go_runs_the_task_on_the_pool_and_counts_it);
    tcase_add_test(contract, a_task_that_fails_is_counted_down_too);
    tcase_add_test(contract, one_waitgroup_counts_tasks_of_many_pools_and_other_things);
    tcase_add_test(contract, members_may_add_members);
    tcase_add_test(contract, a_refused_go_is_not_counted);
    tcase_add_test(contract, a_pool_that_rejects_refuses_go);
    tcase_add_loop_test(contract, go_at_the_maximum_is_refused, 0, 2);
    tcase_add_test(contract, the_memory_is_the_callers_again_when_the_wait_has_returned);
    tcase_add_test(contract, the_memory_is_the_callers_again_while_done_returns);

    TCase *blocking = add_group(suite, "blocking");
    tcase_add_test(blocking, the_last_done_wakes_every_waiter);
    tcase_add_test(blocking, a_new_round_does_not_hold_the_waiters_of_the_last_one);
    tcase_add_test(blocking, waits_that_time_out_leave_no_residue);
    tcase_add_test(blocking, go_blocks_while_the_pool_is_full);

    TCase *cancel = add_group(suite, "cancel");
    tcase_add_test(cancel, a_cancellation_ends_the_waits_that_it_bounds_and_leaves_no_residue);
    tcase_add_test(cancel, a_go_that_is_refused_late_lets_the_waiters_go);
    tcase_add_test(cancel, tasks_whose_context_ends_are_told_and_then_counted_down);
    tcase_add_test(cancel, evicted_tasks_are_told_and_then_counted_down);

    TCase *shutdown = add_group(suite, "shutdown");
    tcase_add_test(shutdown, dropped_tasks_are_told_and_then_counted_down);

    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, null_is_refused_by_every_call_that_can_say_so);
    tcase_add_test(misuse, a_member_cannot_wait_for_its_own_waitgroup);
    tcase_add_test(misuse, counting_below_zero_aborts);
    tcase_add_test(misuse, counting_on_null_aborts);
    tcase_add_test(misuse, counting_above_the_maximum_aborts);
    return suite;
}
