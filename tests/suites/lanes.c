/* SPDX-License-Identifier: MIT */
/* lanes.c - which lane a task goes to, which one starts next, and what a full lane does. */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

#define new_lanes(...) new_pool_as(WEIR_POOL_OPTIONS(__VA_ARGS__))

static weir_lane_stats stats_of(const weir_pool *pool, unsigned lane)
{
    weir_lane_stats stats = {.size = sizeof stats};
    ck_assert_int_eq(weir_pool_read_lane_stats(pool, lane, &stats), 0);
    return stats;
}

/* Tasks that record their number. */
static recorder order = RECORDER_INIT, dropped = RECORDER_INIT;

/* Before each test, also where all of them run in one process. */
static void forget(void)
{
    order.count = dropped.count = 0; /* no thread is there */
}

static int note(weir_context *ctx, void *arg)
{
    (void)ctx;
    recorder_add(&order, (int)(intptr_t)arg);
    return 0;
}

static void *number(int n)
{
    return (void *)(intptr_t)n;
}

static void assert_order(const int *expected, size_t n)
{
    ck_assert_uint_eq(recorder_count(&order), n);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(recorder_at(&order, i), expected[i]);
}

#define assert_recorded(...)                                                                       \
    assert_order((const int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int))

static void submit_all(weir_pool *pool, unsigned lane, int first, int n)
{
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(weir_pool_try_submit_lane(pool, lane, note, number(first + i)), 0);
}

static void release(weir_pool *pool, gate *hold)
{
    gate_open(hold);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
}

/* What can never be. */

START_TEST(a_pool_has_one_to_eight_lanes)
{
    for (unsigned lanes = 0; lanes <= 8; lanes++) {
        weir_pool *pool = new_lanes(.workers = 1, .lanes = lanes, .capacity = 3);
        unsigned have = lanes == 0 ? 1 : lanes;
        counter ran = COUNTER_INIT;
        ck_assert_uint_eq(weir_pool_lanes(pool), have);
        ck_assert_uint_eq(weir_pool_capacity(pool), 3 * have);
        for (unsigned k = 0; k < have; k++)
            ck_assert_int_eq(weir_pool_submit_lane(pool, k, counter_task, &ran), 0);
        ck_assert_int_eq(weir_pool_submit_lane(pool, have, counter_task, &ran), -EINVAL);
        ck_assert_int_eq(weir_pool_try_submit_lane(pool, 8, counter_task, &ran), -EINVAL);
        ck_assert_int_eq(
            weir_pool_submit_lane_until(pool, 0U - 1, counter_task, &ran, NULL, WEIR_FOREVER),
            -EINVAL);
        finish_counted(pool);
        ck_assert_uint_eq(counter_get(&ran), have);
    }
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.lanes = 9)), -EINVAL);
    ck_assert_ptr_null(pool);
    ck_assert_uint_eq(weir_pool_lanes(NULL), 0u);
    ck_assert_int_eq(weir_pool_submit_lane(NULL, 0, note, NULL), -EINVAL);
}
END_TEST

START_TEST(a_lane_that_is_none_is_refused)
{
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 2);
    static const unsigned wrong[] = {1, 2, 0xff, WEIR_LANE(2), WEIR_LANE(8), WEIR_LANE(256)};
    weir_task task = WEIR_TASK_INIT;
    weir_serial serial;
    weir_keyed *keyed = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        unsigned lane = wrong[i];
        weir_task_options options = *WEIR_TASK_OPTIONS(.lane = lane);
        ck_assert_int_eq(weir_pool_submit_task(pool, &task, note, NULL, &options), -EINVAL);
        ck_assert_int_eq(weir_pool_submit_task_at(pool, &task, note, NULL, &options, weir_now()),
                         -EINVAL);
        ck_assert_int_eq(weir_serial_init(&serial, pool, WEIR_SERIAL_OPTIONS(.lane = lane)),
                         -EINVAL);
        ck_assert_int_eq(weir_keyed_new(&keyed, pool, WEIR_KEYED_OPTIONS(.lane = lane)), -EINVAL);
    }
    ck_assert_ptr_null(keyed);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
    ck_assert_int_eq(weir_pool_submit_lane(pool, 0, NULL, NULL), -EINVAL);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.submitted + counts.rejected, 0u);
    finish_counted(pool);
}
END_TEST

START_TEST(a_task_of_a_serial_has_the_lane_of_the_serial)
{
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 2);
    weir_task task = WEIR_TASK_INIT;
    weir_serial serial;
    ck_assert_int_eq(weir_serial_init(&serial, pool, WEIR_SERIAL_OPTIONS(.lane = WEIR_LANE(0))), 0);
    for (unsigned k = 0; k < 2; k++)
        ck_assert_int_eq(
            weir_serial_submit(&serial, &task, note, NULL, WEIR_TASK_OPTIONS(.lane = WEIR_LANE(k))),
            -EINVAL);
    ck_assert_int_eq(weir_serial_submit(&serial, &task, note, NULL, NULL), 0);
    ck_assert_int_eq(weir_serial_drain_until(&serial, NULL, patience()), 0);
    ck_assert_uint_eq(stats_of(pool, 0).submitted, 1u);
    ck_assert_uint_eq(stats_of(pool, 1).submitted, 0u);
    weir_serial_destroy(&serial);
    finish_counted(pool);
}
END_TEST

START_TEST(options_say_what_is_wrong_with_the_lanes)
{
#define wrong_with(...) weir_pool_options_error(WEIR_POOL_OPTIONS(__VA_ARGS__))
    ck_assert_str_eq(wrong_with(.lanes = 9), "lanes: above 8");
    ck_assert_str_eq(wrong_with(.lanes = 2, .lane_capacity = {1, 1, 1}),
                     "lane_capacity: of a lane that there is not");
    ck_assert_str_eq(wrong_with(.lane_capacity = {[1] = 1}),
                     "lane_capacity: of a lane that there is not");
    ck_assert_str_eq(wrong_with(.lanes = 2, .lane_capacity = {1U << 22, 1}),
                     "lane_capacity: above 2^22 in all");
    ck_assert_str_eq(wrong_with(.lanes = 2, .lane_capacity = {1U << 22}),
                     "lane_capacity: above 2^22 in all"); /* the other has the usual one */
    ck_assert_str_eq(wrong_with(.lanes = 8, .lane_capacity = {~0U, ~0U, ~0U, ~0U}),
                     "lane_capacity: above 2^22 in all");
    ck_assert_str_eq(wrong_with(.lanes = 2, .default_lane = 1),
                     "default_lane: not WEIR_LANE of one that there is");
    ck_assert_str_eq(wrong_with(.lanes = 2, .default_lane = WEIR_LANE(2)),
                     "default_lane: not WEIR_LANE of one that there is");
    ck_assert_ptr_nonnull(wrong_with(.lanes = 2, .order = WEIR_ORDER_LOCAL));
    ck_assert_ptr_null(wrong_with(.lanes = 1, .order = WEIR_ORDER_LOCAL));
    ck_assert_ptr_null(wrong_with(.default_lane = WEIR_LANE(0)));
    ck_assert_ptr_null(wrong_with(.lanes = 8, .lane_burst = ~0U, .default_lane = WEIR_LANE(7)));
    ck_assert_str_eq(weir_task_options_error(WEIR_TASK_OPTIONS(.lane = 1)),
                     "lane: not WEIR_LANE of 0 to 7");
    ck_assert_ptr_null(weir_task_options_error(WEIR_TASK_OPTIONS(.lane = WEIR_LANE(7))));
    ck_assert_str_eq(weir_serial_options_error(WEIR_SERIAL_OPTIONS(.lane = WEIR_LANE(8))),
                     "lane: not WEIR_LANE of 0 to 7");
    ck_assert_str_eq(weir_keyed_options_error(WEIR_KEYED_OPTIONS(.lane = 7)),
                     "lane: not WEIR_LANE of 0 to 7");
}
END_TEST

/* Callers that were compiled before there were lanes. */
START_TEST(shorter_options_have_one_lane)
{
    weir_pool_options options = *WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2, .lanes = 9);
    options.size = offsetof(weir_pool_options, lanes);
    weir_pool *pool = new_pool_as(&options);
    ck_assert_uint_eq(weir_pool_lanes(pool), 1u);
    ck_assert_uint_eq(weir_pool_capacity(pool), 2u);
    weir_serial serial;
    weir_serial_options short_ones = *WEIR_SERIAL_OPTIONS(.lane = 1);
    short_ones.size = offsetof(weir_serial_options, lane);
    ck_assert_int_eq(weir_serial_init(&serial, pool, &short_ones), 0);
    finish_counted(pool);
    weir_serial_destroy(&serial);
}
END_TEST

/* Which one starts next. */

START_TEST(the_most_urgent_starts_first)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 3);
    weir_task task = WEIR_TASK_INIT;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, note, number(20)), 0); /* the last lane */
    submit_all(pool, 2, 21, 2);
    submit_all(pool, 1, 10, 2);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, note, number(1),
                                           WEIR_TASK_OPTIONS(.lane = WEIR_LANE(0))),
                     0);
    ck_assert_int_eq(weir_pool_submit_lane_until(pool, 0, note, number(2), NULL, WEIR_FOREVER), 0);
    ck_assert_uint_eq(weir_pool_queued(pool), 7u);
    release(pool, &hold);
    assert_recorded(1, 2, 10, 11, 20, 21, 22);
    finish_counted(pool);
}
END_TEST

START_TEST(what_names_no_lane_goes_to_the_default_one)
{
    for (unsigned k = 0; k < 3; k++) {
        gate hold = GATE_INIT;
        counter ran = COUNTER_INIT;
        weir_pool *pool = new_lanes(.workers = 1, .lanes = 3, .default_lane = WEIR_LANE(k));
        weir_waitgroup wg = WEIR_WAITGROUP_INIT;
        weir_errgroup *group = NULL;
        weir_task task = WEIR_TASK_INIT;
        weir_job job = {counter_task, &ran};
        saturate(pool, &hold, 1);
        ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, NULL), 0);
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
        ck_assert_int_eq(weir_pool_submit_many(pool, &job, 1), 1);
        ck_assert_int_eq(weir_pool_submit_task(pool, &task, counter_task, &ran, NULL), 0);
        ck_assert_int_eq(weir_waitgroup_go(&wg, pool, counter_task, &ran), 0);
        ck_assert_int_eq(weir_errgroup_go(group, counter_task, &ran), 0);
        for (unsigned i = 0; i < 3; i++)
            ck_assert_uint_eq(stats_of(pool, i).queued, i == k ? 5u : 0u);
        release(pool, &hold);
        ck_assert_uint_eq(counter_get(&ran), 5u);
        ck_assert_int_eq(weir_errgroup_wait(group), 0);
        weir_errgroup_free(group);
        finish_counted(pool);
    }
}
END_TEST

START_TEST(after_a_burst_the_less_urgent_has_its_turn)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 2, .lane_burst = 3);
    saturate(pool, &hold, 1); /* one from lane 1 */
    submit_all(pool, 1, 100, 3);
    submit_all(pool, 0, 0, 8);
    release(pool, &hold);
    assert_recorded(0, 1, 2, 100, 3, 4, 5, 101, 6, 7, 102);
    finish_counted(pool);
}
END_TEST

/* What lanes.h promises for one worker, played with counts. */
struct replay {
    unsigned lanes, burst, passed[WEIR_MAX_LANES];
    int left[WEIR_MAX_LANES], next[WEIR_MAX_LANES];
};

static int replay_next(struct replay *replay)
{
    int from = -1;
    for (unsigned k = replay->lanes; from < 0 && k-- > 1;) {
        if (replay->passed[k] >= replay->burst && replay->left[k] > 0)
            from = (int)k;
        else if (replay->passed[k] >= replay->burst)
            replay->passed[k] = 0;
    }
    for (unsigned k = 0; from < 0 && k < replay->lanes; k++)
        if (replay->left[k] > 0)
            from = (int)k;
    replay->passed[from] = 0;
    for (unsigned k = (unsigned)from + 1; k < replay->lanes; k++)
        replay->passed[k]++;
    replay->left[from]--;
    return 100 * from + replay->next[from]++;
}

START_TEST(eight_lanes_share_one_worker_exactly)
{
    enum { EACH = 40 };
    for (unsigned burst = 1; burst < 12; burst += 5) {
        gate hold = GATE_INIT;
        weir_pool *pool = new_lanes(.workers = 1, .lanes = 8, .lane_burst = burst);
        struct replay replay = {.lanes = 8, .burst = burst};
        size_t before = recorder_count(&order);
        saturate(pool, &hold, 1);
        for (unsigned k = 1; k < 7; k++) /* what the held one has left behind: it is of lane 7 */
            ck_assert_uint_eq(stats_of(pool, k).queued, 0u);
        for (unsigned k = 0; k < 8; k++) {
            submit_all(pool, k, (int)k * 100, EACH);
            replay.left[k] = EACH;
        }
        release(pool, &hold);
        for (size_t i = 0; i < 8 * EACH; i++)
            ck_assert_int_eq(recorder_at(&order, before + i), replay_next(&replay));
        finish_counted(pool);
    }
}
END_TEST

START_TEST(a_dead_ticket_is_no_turn)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 2, .lane_burst = 2);
    weir_task tasks[3] = {WEIR_TASK_INIT};
    saturate(pool, &hold, 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_pool_submit_task(pool, &tasks[i], note, number(100 + i), NULL), 0);
    submit_all(pool, 0, 0, 4);
    ck_assert_int_eq(weir_task_cancel(&tasks[0]), 0);
    ck_assert_int_eq(weir_task_cancel(&tasks[1]), 0);
    release(pool, &hold);
    assert_recorded(0, 1, 102, 2, 3);
    finish_counted(pool);
}
END_TEST

START_TEST(what_does_not_start_is_no_turn)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 2, .lane_burst = 2);
    weir_context *over = NULL;
    weir_task late = WEIR_TASK_INIT;
    int64_t start_by;
    int err;
    ck_assert_int_eq(weir_context_new(&over, NULL, WEIR_FOREVER), 0);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_lane_until(pool, 1, note, number(100), over, WEIR_FOREVER),
                     0);
    do {
        start_by = weir_after(WEIR_MS(1));
        err = weir_pool_submit_task(pool, &late, note, number(101),
                                    WEIR_TASK_OPTIONS(.start_by = start_by));
    } while (err == -ETIMEDOUT);
    ck_assert_int_eq(err, 0);
    submit_all(pool, 1, 102, 2);
    submit_all(pool, 0, 0, 6);
    weir_context_cancel(over, 0);
    while (weir_now() < start_by)
        (void)sched_yield();
    release(pool, &hold);
    assert_recorded(0, 1, 102, 2, 3, 103, 4, 5);
    ck_assert_int_eq(weir_task_state(&late), WEIR_TASK_EXPIRED);
    weir_context_unref(over);
    finish_counted(pool);
}
END_TEST

static void note_order(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)why;
    (void)user;
    if (fn == note)
        recorder_add(&order, (int)(intptr_t)arg);
}

static weir_pool *new_noting_pool(gate *hold, weir_context **ret_ctx)
{
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 2, .lane_burst = 2, .on_drop = note_order);
    ck_assert_int_eq(weir_context_new(ret_ctx, NULL, WEIR_FOREVER), 0);
    saturate(pool, hold, 1);
    return pool;
}

static void submit_cancelled(weir_pool *pool, unsigned lane, int first, int n, weir_context *ctx)
{
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(
            weir_pool_submit_lane_until(pool, lane, note, number(first + i), ctx, WEIR_FOREVER), 0);
}

START_TEST(urgent_tasks_that_do_not_start_starve_nobody)
{
    gate hold = GATE_INIT;
    weir_context *ctx = NULL;
    weir_pool *pool = new_noting_pool(&hold, &ctx);
    submit_cancelled(pool, 0, 0, 6, ctx);
    submit_all(pool, 1, 100, 2);
    weir_context_cancel(ctx, 0);
    release(pool, &hold);
    assert_recorded(0, 1, 100, 2, 3, 101, 4, 5);
    weir_context_unref(ctx);
    finish_counted(pool);
}
END_TEST

/* 16 of them are as good as a start. */
START_TEST(tasks_that_do_not_start_do_not_hold_up_urgent_ones)
{
    enum { IN_ROW = 16, LAST = 100 + 2 * IN_ROW + 1 };
    gate hold = GATE_INIT;
    weir_context *ctx = NULL;
    weir_pool *pool = new_noting_pool(&hold, &ctx);
    submit_cancelled(pool, 1, 100, 2 * IN_ROW + 1, ctx);
    submit_all(pool, 1, LAST, 1);
    submit_all(pool, 0, 0, 8);
    weir_context_cancel(ctx, 0);
    release(pool, &hold);
    int expected[8 + 2 * IN_ROW + 2], n = 0, low = 100;
    for (int urgent = 0; urgent < 6; urgent += 2) {
        expected[n++] = urgent;
        expected[n++] = urgent + 1;
        for (int i = 0; i < IN_ROW && low < LAST; i++)
            expected[n++] = low++;
    }
    expected[n++] = LAST; /* what it is owed is still owed */
    expected[n++] = 6;
    expected[n++] = 7;
    assert_order(expected, (size_t)n);
    weir_context_unref(ctx);
    finish_counted(pool);
}
END_TEST

struct inner {
    weir_pool *pool;
    int errs[3];
};

static int wait_in_lanes(weir_context *ctx, void *arg)
{
    struct inner *inner = arg;
    (void)ctx;
    weir_task tasks[3] = {WEIR_TASK_INIT};
    for (unsigned k = 0; k < 3; k++)
        inner->errs[k] = weir_pool_submit_task(inner->pool, &tasks[k], note, number((int)k),
                                               WEIR_TASK_OPTIONS(.lane = WEIR_LANE(k)));
    for (unsigned k = 3; k-- > 0;)
        if (inner->errs[k] == 0)
            inner->errs[k] = weir_task_wait(&tasks[k]);
    return 0;
}

START_TEST(a_worker_waits_for_tasks_of_any_lane)
{
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 3, .capacity = 4);
    weir_task outer = WEIR_TASK_INIT;
    struct inner inner = {.pool = pool};
    ck_assert_int_eq(weir_pool_submit_task(pool, &outer, wait_in_lanes, &inner, NULL), 0);
    ck_assert_int_eq(weir_task_wait_until(&outer, NULL, patience()), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(inner.errs[i], 0);
    assert_recorded(2, 1, 0);
    finish_counted(pool);
}
END_TEST

/* Full lanes. */

START_TEST(each_lane_is_bounded_by_itself)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .capacity = 3, .lanes = 3, .lane_capacity = {1, 5},
                                .overflow = WEIR_OVERFLOW_REJECT);
    static const unsigned capacity[] = {1, 5, 3};
    counter ran = COUNTER_INIT;
    saturate(pool, &hold, 1);
    ck_assert_uint_eq(weir_pool_capacity(pool), 9u);
    for (unsigned k = 3; k-- > 0;) {
        ck_assert_uint_eq(stats_of(pool, k).capacity, capacity[k]);
        for (unsigned i = 0; i < capacity[k]; i++)
            ck_assert_int_eq(weir_pool_submit_lane(pool, k, counter_task, &ran), 0);
        ck_assert_int_eq(weir_pool_submit_lane(pool, k, counter_task, &ran), -EAGAIN);
        ck_assert_int_eq(weir_pool_try_submit_lane(pool, k, counter_task, &ran), -EAGAIN);
        ck_assert_uint_eq(stats_of(pool, k).queued, capacity[k]);
        ck_assert_uint_eq(stats_of(pool, k).peak_queued, capacity[k]);
    }
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), -EAGAIN);
    ck_assert_uint_eq(weir_pool_queued(pool), 9u);
    release(pool, &hold);
    ck_assert_uint_eq(counter_get(&ran), 9u);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.rejected, 7u);
    finish_counted(pool);
}
END_TEST

struct blocked {
    weir_pool *pool;
    unsigned lane;
    counter *ran;
    weir_context *ctx;
    int64_t deadline;
};

static int submit_blocked(void *arg)
{
    const struct blocked *blocked = arg;
    return weir_pool_submit_lane_until(blocked->pool, blocked->lane, counter_task, blocked->ran,
                                       blocked->ctx, blocked->deadline);
}

/* A worker takes from lane 0: the submitter to lane 0 gets on, and the one to lane 1 sleeps on. */
START_TEST(a_submitter_waits_for_room_in_its_own_lane)
{
    gate hold = GATE_INIT, second = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .capacity = 1, .lanes = 2);
    struct blocked calls[2];
    caller callers[2];
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_lane(pool, 0, gate_task, &second), 0);
    ck_assert_int_eq(weir_pool_submit_lane(pool, 1, counter_task, &ran), 0);
    for (unsigned k = 0; k < 2; k++) {
        calls[k] = (struct blocked){pool, 1 - k, &ran, NULL, patience()};
        caller_start(&callers[k], submit_blocked, &calls[k]);
        ck_assert(caller_await_asleep(&callers[k]));
    }
    gate_open(&hold);
    gate_await(&second, 1);
    ck_assert_int_eq(caller_join(&callers[1]), 0);
    ck_assert(!caller_is_over(&callers[0]));
    ck_assert(caller_await_asleep(&callers[0]));
    gate_open(&second);
    ck_assert_int_eq(caller_join(&callers[0]), 0);
    finish_counted(pool);
    ck_assert_uint_eq(counter_get(&ran), 3u);
}
END_TEST

START_TEST(a_wait_for_room_in_a_lane_ends_by_deadline_context_and_close)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .capacity = 1, .lanes = 3);
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    saturate(pool, &hold, 1);
    for (unsigned k = 0; k < 3; k++)
        ck_assert_int_eq(weir_pool_submit_lane(pool, k, counter_task, &ran), 0);
    struct blocked late = {pool, 0, &ran, NULL, weir_after(WEIR_MS(5))};
    ck_assert_int_eq(submit_blocked(&late), -ETIMEDOUT);
    struct blocked calls[4] = {{pool, 0, &ran, ctx, WEIR_FOREVER},
                               {pool, 0, &ran, NULL, WEIR_FOREVER},
                               {pool, 1, &ran, NULL, WEIR_FOREVER},
                               {pool, 2, &ran, NULL, WEIR_FOREVER}};
    caller callers[4];
    for (int i = 0; i < 4; i++) {
        caller_start(&callers[i], submit_blocked, &calls[i]);
        ck_assert(caller_await_asleep(&callers[i]));
    }
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(caller_join(&callers[0]), -ECANCELED);
    weir_pool_close(pool);
    for (int i = 1; i < 4; i++)
        ck_assert_int_eq(caller_join(&callers[i]), -EPIPE);
    ck_assert_int_eq(weir_pool_submit_lane(pool, 0, counter_task, &ran), -EPIPE);
    gate_open(&hold);
    finish_counted(pool);
    ck_assert_uint_eq(counter_get(&ran), 3u);
    weir_context_unref(ctx);
}
END_TEST

static void note_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)user;
    recorder_add(&dropped, fn == note ? (int)why * 1000 + (int)(intptr_t)arg : -1);
}

START_TEST(drop_oldest_drops_from_the_lane_that_is_full)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .capacity = 2, .lanes = 2, .on_drop = note_drop,
                                .overflow = WEIR_OVERFLOW_DROP_OLDEST);
    saturate(pool, &hold, 1);
    submit_all(pool, 1, 10, 2);
    submit_all(pool, 0, 0, 2);
    ck_assert_int_eq(weir_pool_submit_lane(pool, 0, note, number(2)), 0);
    ck_assert_int_eq(weir_pool_submit(pool, note, number(12)), 0);
    ck_assert_uint_eq(recorder_count(&dropped), 2u);
    ck_assert_int_eq(recorder_at(&dropped, 0), WEIR_TASK_DROPPED * 1000 + 0);
    ck_assert_int_eq(recorder_at(&dropped, 1), WEIR_TASK_DROPPED * 1000 + 10);
    release(pool, &hold);
    assert_recorded(1, 2, 11, 12);
    finish_counted(pool);
}
END_TEST

START_TEST(caller_runs_what_its_lane_has_no_room_for)
{
    gate hold = GATE_INIT;
    weir_pool *pool =
        new_lanes(.workers = 1, .capacity = 1, .lanes = 2, .overflow = WEIR_OVERFLOW_CALLER_RUNS);
    saturate(pool, &hold, 1);
    submit_all(pool, 1, 10, 1);
    ck_assert_int_eq(weir_pool_submit_lane(pool, 1, note, number(11)), 0);
    assert_recorded(11);
    ck_assert_int_eq(weir_pool_submit_lane(pool, 0, note, number(0)), 0);
    ck_assert_uint_eq(recorder_count(&order), 1u);
    release(pool, &hold);
    assert_recorded(11, 0, 10);
    finish_counted(pool);
}
END_TEST

struct nested {
    weir_pool *pool;
    int errs[4];
    size_t recorded;
};

static int submit_from_task(weir_context *ctx, void *arg)
{
    struct nested *nested = arg;
    (void)ctx;
    for (int i = 0; i < 4; i++) /* 0 and 1 to lane 0, 2 and 3 to lane 1; one of each fits */
        nested->errs[i] = weir_pool_submit_lane(nested->pool, (unsigned)i / 2, note, number(i));
    nested->recorded = recorder_count(&order);
    return 0;
}

START_TEST(a_task_runs_in_place_what_its_lane_has_no_room_for)
{
    weir_pool *pool = new_lanes(.workers = 1, .capacity = 1, .lanes = 2);
    struct nested nested = {.pool = pool};
    ck_assert_int_eq(weir_pool_submit(pool, submit_from_task, &nested), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(nested.errs[i], 0);
    ck_assert_uint_eq(nested.recorded, 2u);
    assert_recorded(1, 3, 0, 2);
    finish_counted(pool);
}
END_TEST

START_TEST(a_submitter_clears_the_head_of_its_lane)
{
    gate hold = GATE_INIT;
    weir_pool *pool =
        new_lanes(.workers = 1, .capacity = 1, .lanes = 2, .overflow = WEIR_OVERFLOW_REJECT);
    weir_task tasks[2] = {WEIR_TASK_INIT};
    saturate(pool, &hold, 1);
    for (unsigned k = 0; k < 2; k++)
        ck_assert_int_eq(weir_pool_submit_task(pool, &tasks[k], note, number(9),
                                               WEIR_TASK_OPTIONS(.lane = WEIR_LANE(k))),
                         0);
    ck_assert_int_eq(weir_task_cancel(&tasks[0]), 0);
    ck_assert_int_eq(weir_pool_submit_lane(pool, 1, note, number(1)), -EAGAIN);
    ck_assert_uint_eq(stats_of(pool, 0).queued, 1u); /* the place of the cancelled one */
    ck_assert_int_eq(weir_pool_submit_lane(pool, 0, note, number(0)), 0);
    release(pool, &hold);
    assert_recorded(0, 9);
    finish_counted(pool);
}
END_TEST

/* A sleeping submitter is woken by the cancel of a task in its lane. */
START_TEST(a_cancel_in_a_lane_wakes_its_submitter)
{
    for (unsigned k = 0; k < 2; k++) {
        gate hold = GATE_INIT;
        counter ran = COUNTER_INIT;
        weir_pool *pool = new_lanes(.workers = 1, .capacity = 1, .lanes = 2);
        weir_task task = WEIR_TASK_INIT;
        saturate(pool, &hold, 1);
        ck_assert_int_eq(weir_pool_submit_task(pool, &task, counter_task, &ran,
                                               WEIR_TASK_OPTIONS(.lane = WEIR_LANE(k))),
                         0);
        struct blocked call = {pool, k, &ran, NULL, patience()};
        caller blocked;
        caller_start(&blocked, submit_blocked, &call);
        ck_assert(caller_await_asleep(&blocked));
        ck_assert_int_eq(weir_task_cancel(&task), 0);
        ck_assert_int_eq(caller_join(&blocked), 0);
        release(pool, &hold);
        ck_assert_uint_eq(counter_get(&ran), 1u);
        finish_counted(pool);
    }
}
END_TEST

/* The end. */

START_TEST(a_cancel_ends_the_tasks_of_all_lanes)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 8, .on_drop = note_drop);
    saturate(pool, &hold, 1);
    for (unsigned k = 0; k < 8; k++)
        submit_all(pool, k, (int)k, 2);
    weir_pool_cancel_queued(pool);
    ck_assert_uint_eq(recorder_count(&dropped), 16u);
    ck_assert_uint_eq(weir_pool_queued(pool), 0u);
    gate_open(&hold);
    finish_counted(pool);
    ck_assert_uint_eq(recorder_count(&order), 0u);
}
END_TEST

START_TEST(a_shutdown_runs_what_all_lanes_have)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_lanes(.workers = 2, .lanes = 8);
    saturate(pool, &hold, 2);
    for (unsigned k = 0; k < 8; k++)
        for (int i = 0; i < 50; i++)
            ck_assert_int_eq(weir_pool_submit_lane(pool, k, counter_task, &ran), 0);
    weir_pool_close(pool);
    gate_open(&hold);
    weir_shutdown_report report;
    ck_assert_int_eq(weir_pool_shutdown(pool, patience(), WEIR_FOREVER, &report), 0);
    ck_assert_uint_eq(report.drained, 402u);
    ck_assert_uint_eq(counter_get(&ran), 400u);
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_free_cancels_what_is_queued_in_all_lanes)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 3, .on_drop = note_drop);
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    saturate(pool, &hold, 1);
    for (unsigned k = 0; k < 3; k++) /* each holds a reference on ctx */
        ck_assert_int_eq(
            weir_pool_submit_lane_until(pool, k, note, number((int)k), ctx, WEIR_FOREVER), 0);
    weir_context_unref(ctx);
    gate_open(&hold);
    weir_pool_free(pool);
    ck_assert_uint_eq(recorder_count(&dropped) + recorder_count(&order), 3u);
}
END_TEST

/* Ways in. */

static int fail_once(weir_context *ctx, void *arg)
{
    atomic_int *runs = arg;
    (void)ctx;
    return atomic_fetch_add(runs, 1) == 0 ? -EIO : 0;
}

START_TEST(timers_retries_and_gates_keep_their_lane)
{
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 3);
    weir_task timed = WEIR_TASK_INIT, retried = WEIR_TASK_INIT, gated = WEIR_TASK_INIT;
    const weir_task_options *options = WEIR_TASK_OPTIONS(.lane = WEIR_LANE(1));
    atomic_int runs = 0;
    weir_gate way;
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &timed, note, number(1), options, weir_after(WEIR_MS(1))),
        0);
    ck_assert_int_eq(weir_task_wait_until(&timed, NULL, patience()), 0);
    ck_assert_uint_eq(stats_of(pool, 1).submitted, 1u);
    weir_retry_options retry = *WEIR_RETRY_OPTIONS(.initial_interval = WEIR_US(10));
    ck_assert_int_eq(weir_pool_submit_retry(pool, &retried, fail_once, &runs, options, &retry), 0);
    ck_assert_int_eq(weir_task_wait_until(&retried, NULL, patience()), 0);
    ck_assert_int_eq(atomic_load(&runs), 2);
    ck_assert_uint_eq(stats_of(pool, 1).submitted, 3u);
    ck_assert_int_eq(weir_gate_init(&way, NULL), 0);
    ck_assert_int_eq(weir_pool_submit_task(pool, &gated, note, number(2),
                                           WEIR_TASK_OPTIONS(.lane = WEIR_LANE(1), .gate = &way)),
                     0);
    ck_assert_int_eq(weir_task_wait_until(&gated, NULL, patience()), 0);
    ck_assert_uint_eq(stats_of(pool, 1).submitted, 4u);
    ck_assert_uint_eq(stats_of(pool, 0).submitted + stats_of(pool, 2).submitted, 0u);
    weir_gate_destroy(&way);
    finish_counted(pool);
}
END_TEST

/* What is due for a full lane does not hold up what is due for another one. */
START_TEST(a_full_lane_delays_no_timer_of_another)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 2, .lane_capacity = {2, 1}, .timers = 8, .lanes = 2);
    weir_task low = WEIR_TASK_INIT, urgent = WEIR_TASK_INIT, later = WEIR_TASK_INIT;
    saturate(pool, &hold, 2);
    submit_all(pool, 1, 10, 1);
    int64_t at = weir_now();
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &low, note, number(11), NULL, at), 0);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &urgent, note, number(0),
                                              WEIR_TASK_OPTIONS(.lane = WEIR_LANE(0)),
                                              weir_after(WEIR_MS(1))),
                     0);
    while (stats_of(pool, 0).queued == 0) /* it comes into its lane, while `low` has no room */
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(1))), 0);
    /* The thread of the clock goes to sleep for room now, and knows of no other time. */
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &later, note, number(1),
                                              WEIR_TASK_OPTIONS(.lane = WEIR_LANE(0)),
                                              weir_after(WEIR_MS(1))),
                     0);
    while (stats_of(pool, 0).submitted < 2)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(1))), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait_until(&low, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_wait_until(&later, NULL, patience()), 0);
    finish_counted(pool);
    ck_assert_uint_eq(recorder_count(&order), 4u);
}
END_TEST

/* Ends of due tasks that expire while their lane is full, all on the thread of the clock. */
static struct due {
    weir_pool *pool;
    weir_task more;   /* urgent, and due while those are ended */
    int first, ended; /* which one ended first; how many less urgent ones have */
    int when_more;    /* of these, when `more` was seen in its lane; 0: it was not */
} due;

static counter ends = COUNTER_INIT;

static void note_end(void *arg, weir_state end, int status)
{
    int n = (int)(intptr_t)arg;
    (void)end;
    (void)status;
    if (due.first == 0)
        due.first = n;
    if (n != 1 && due.ended++ == 0)
        ck_assert_int_eq(weir_pool_submit_task_at(due.pool, &due.more, note, NULL,
                                                  WEIR_TASK_OPTIONS(.lane = WEIR_LANE(0)), 0),
                         0);
    else if (due.when_more == 0 && stats_of(due.pool, 0).submitted > 0)
        due.when_more = due.ended;
    counter_add(&ends, 1); /* last: from here on the test may read what was noted */
}

START_TEST(what_is_due_in_an_urgent_lane_comes_first)
{
    enum { LOWS = 200 };
    static weir_task tasks[1 + LOWS];
    size_t awaited = counter_get(&ends);
    for (int64_t pause = WEIR_MS(50);; pause *= 2) {
        gate hold = GATE_INIT;
        weir_task blocked = WEIR_TASK_INIT;
        due = (struct due){
            .pool = new_lanes(.workers = 1, .lanes = 4, .capacity = 1, .timers = LOWS + 4)};
        saturate(due.pool, &hold, 1);
        for (unsigned k = 1; k < 4; k++)
            submit_all(due.pool, k, 0, 1);
        /* For it the thread of the clock waits for room, and then finds all others due at once. */
        ck_assert_int_eq(weir_pool_submit_task_at(due.pool, &blocked, note, NULL,
                                                  WEIR_TASK_OPTIONS(.lane = WEIR_LANE(2)), 0),
                         0);
        int64_t at = weir_after(pause);
        int count = 0, err = 0;
        for (; count <= LOWS && err == 0; count += err == 0) {
            bool urgent = count == LOWS;
            const weir_task_options *options =
                WEIR_TASK_OPTIONS(.lane = WEIR_LANE(urgent ? 1U : 3U), .start_by = at + 1,
                                  .on_done = note_end);
            err = weir_pool_submit_task_at(due.pool, &tasks[count], note, number(urgent ? 1 : 2),
                                           options, at);
        }
        awaited += (size_t)count;
        counter_await(&ends, awaited); /* a wait for the tasks would end them itself */
        gate_open(&hold);
        finish_counted(due.pool);
        if (err == 0)
            break;
        ck_assert_int_eq(err, -ETIMEDOUT); /* this thread was not quick enough: once more */
    }
    ck_assert_int_eq(due.first, 1);
    ck_assert_int_gt(due.when_more, 0);
    ck_assert_int_le(due.when_more, 66);
}
END_TEST

START_TEST(serials_and_keys_take_their_turns_in_their_lane)
{
    enum { N = 10 };
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 3, .capacity = 2);
    weir_serial serial;
    weir_keyed *keyed = NULL;
    weir_task tasks[2 * N] = {WEIR_TASK_INIT};
    ck_assert_int_eq(weir_serial_init(&serial, pool, WEIR_SERIAL_OPTIONS(.lane = WEIR_LANE(0))), 0);
    ck_assert_int_eq(
        weir_keyed_new(&keyed, pool, WEIR_KEYED_OPTIONS(.keys = 4, .lane = WEIR_LANE(1))), 0);
    saturate(pool, &hold, 1);
    submit_all(pool, 2, 1000, 2); /* its lane is full */
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(weir_keyed_submit(keyed, 7, &tasks[N + i], note, number(100 + i), NULL),
                         0);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(weir_serial_submit(&serial, &tasks[i], note, number(i), NULL), 0);
    ck_assert_uint_eq(stats_of(pool, 0).queued, 1u);
    ck_assert_uint_eq(stats_of(pool, 1).queued, 1u);
    gate_open(&hold);
    ck_assert_int_eq(weir_serial_drain_until(&serial, NULL, patience()), 0);
    ck_assert_int_eq(weir_keyed_drain_until(keyed, NULL, patience()), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(recorder_at(&order, (size_t)i), i);
        ck_assert_int_eq(recorder_at(&order, (size_t)(N + i)), 100 + i);
    }
    weir_serial_destroy(&serial);
    weir_keyed_free(keyed);
    finish_counted(pool);
}
END_TEST

START_TEST(drop_oldest_moves_a_turn_to_the_end_of_its_lane)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 2, .capacity = 2, .on_drop = note_drop,
                                .overflow = WEIR_OVERFLOW_DROP_OLDEST);
    weir_serial serials[2];
    weir_task tasks[2] = {WEIR_TASK_INIT};
    saturate(pool, &hold, 1);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(
            weir_serial_init(&serials[i], pool, WEIR_SERIAL_OPTIONS(.lane = WEIR_LANE(0))), 0);
    ck_assert_int_eq(weir_serial_submit(&serials[0], &tasks[0], note, number(0), NULL), 0);
    submit_all(pool, 0, 1, 1);
    ck_assert_int_eq(weir_pool_submit_lane(pool, 0, note, number(2)), 0);
    ck_assert_int_eq(recorder_at(&dropped, 0), WEIR_TASK_DROPPED * 1000 + 1);
    ck_assert_int_eq(weir_serial_submit(&serials[1], &tasks[1], note, number(3), NULL), 0);
    ck_assert_int_eq(recorder_at(&dropped, 1), WEIR_TASK_DROPPED * 1000 + 2);
    ck_assert_int_eq(weir_pool_submit_lane(pool, 0, note, number(4)), -EAGAIN); /* all are turns */
    ck_assert_int_eq(weir_pool_submit_lane(pool, 1, note, number(5)), 0);
    release(pool, &hold);
    assert_recorded(0, 3, 5);
    for (int i = 0; i < 2; i++)
        weir_serial_destroy(&serials[i]);
    finish_counted(pool);
}
END_TEST

/* Numbers. */

static int append(const char *text, size_t n, void *arg)
{
    char *page = arg;
    size_t length = strlen(page);
    if (length + n >= 4096)
        return -ENOSPC;
    memcpy(page + length, text, n);
    page[length + n] = '\0';
    return 0;
}

START_TEST(stats_of_a_lane_are_its_own)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 2, .measure = WEIR_MEASURE_ALL);
    saturate(pool, &hold, 1);
    submit_all(pool, 0, 0, 3);
    submit_all(pool, 1, 10, 5);
    ck_assert_uint_eq(stats_of(pool, 0).queued, 3u);
    ck_assert_uint_eq(stats_of(pool, 1).queued, 5u);
    release(pool, &hold);
    weir_lane_stats urgent = stats_of(pool, 0), last = stats_of(pool, 1);
    weir_pool_stats all = {.size = sizeof all};
    ck_assert_int_eq(weir_pool_read_stats(pool, &all), 0);
    ck_assert_uint_eq(urgent.wait.count, 3u);
    ck_assert_uint_eq(urgent.run.count, 3u);
    ck_assert_uint_eq(last.wait.count, 6u); /* the held one too */
    ck_assert_uint_eq(last.run.count, 6u);
    ck_assert_uint_eq(all.wait.count, 9u);
    ck_assert_uint_eq(all.wait.sum, urgent.wait.sum + last.wait.sum);
    ck_assert_uint_eq(urgent.peak_queued, 3u);
    ck_assert_uint_eq(last.peak_queued, 5u);
    ck_assert_uint_eq(all.counts.peak_queued, 8u);
    ck_assert_uint_eq(urgent.submitted, 3u);
    ck_assert_uint_eq(last.submitted, 6u);
    finish_counted(pool);
}
END_TEST

static void assert_overflows(const weir_pool *pool, unsigned lane, unsigned rejected,
                             unsigned drops, unsigned in_place, unsigned blocked)
{
    weir_lane_stats stats = stats_of(pool, lane);
    ck_assert_uint_eq(stats.rejected, rejected);
    ck_assert_uint_eq(stats.dropped, drops);
    ck_assert_uint_eq(stats.in_place, in_place);
    ck_assert_uint_eq(stats.blocked, blocked);
}

START_TEST(what_comes_of_a_full_lane_is_counted_there)
{
    static const weir_overflow policies[] = {WEIR_OVERFLOW_REJECT, WEIR_OVERFLOW_DROP_OLDEST,
                                             WEIR_OVERFLOW_CALLER_RUNS, WEIR_OVERFLOW_BLOCK};
    for (unsigned i = 0; i < 4; i++) {
        gate hold = GATE_INIT;
        counter ran = COUNTER_INIT;
        weir_pool *pool =
            new_lanes(.workers = 1, .lanes = 2, .capacity = 1, .overflow = policies[i]);
        saturate(pool, &hold, 1);
        for (unsigned k = 0; k < 2; k++) {
            int err = k == 0 && i == 0 ? -EAGAIN : 0;
            err = k == 0 && i == 3 ? -ETIMEDOUT : err;
            ck_assert_int_eq(weir_pool_submit_lane(pool, k, counter_task, &ran), 0);
            ck_assert_int_eq(weir_pool_try_submit_lane(pool, k, counter_task, &ran), -EAGAIN);
            if (k == 0)
                ck_assert_int_eq(weir_pool_submit_lane_until(pool, k, counter_task, &ran, NULL,
                                                             weir_after(WEIR_MS(1))),
                                 err);
        }
        assert_overflows(pool, 0, i == 0 ? 2 : 1, i == 1, i == 2, i == 3);
        assert_overflows(pool, 1, 1, 0, 0, 0);
        release(pool, &hold);
        ck_assert_uint_eq(counter_get(&ran), i == 2 ? 3u : 2u);
        finish_counted(pool);
    }
}
END_TEST

struct again {
    weir_pool *pool;
    weir_task task;
    bool done;
    int err;
};

static void submit_once_more(void *arg, weir_state state, int status)
{
    struct again *again = arg;
    (void)state;
    (void)status;
    if (again->done)
        return;
    again->done = true;
    again->err = weir_pool_submit_task(again->pool, &again->task, note, again,
                                       WEIR_TASK_OPTIONS(.on_done = submit_once_more));
}

static void assert_rejected_in_all(const weir_pool *pool, uint64_t expected)
{
    weir_pool_stats all = {.size = sizeof all};
    ck_assert_int_eq(weir_pool_read_stats(pool, &all), 0);
    ck_assert_uint_eq(all.counts.rejected, expected);
    ck_assert_uint_eq(stats_of(pool, 0).rejected + stats_of(pool, 1).rejected, expected);
}

/* It waits as one that is due does. */
START_TEST(a_task_that_submits_itself_again_is_not_refused)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 2, .capacity = 1);
    struct again again = {.pool = pool, .task = WEIR_TASK_INIT, .err = 1};
    saturate(pool, &hold, 1);
    submit_all(pool, 1, 0, 1);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &again.task, note, &again,
                                              WEIR_TASK_OPTIONS(.on_done = submit_once_more),
                                              WEIR_FOREVER - 1),
                     0);
    ck_assert_int_eq(weir_task_cancel(&again.task), 0);
    ck_assert_int_eq(again.err, 0);
    assert_rejected_in_all(pool, 0);
    release(pool, &hold);
    ck_assert_int_eq(weir_task_wait_until(&again.task, NULL, patience()), 0);
    finish_counted(pool);
}
END_TEST

START_TEST(lanes_refuse_as_many_as_their_pool)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 2, .capacity = 2);
    weir_errgroup *group = NULL;
    weir_serial serial;
    weir_task tasks[2] = {WEIR_TASK_INIT};
    ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1)), 0);
    ck_assert_int_eq(
        weir_serial_init(&serial, pool, WEIR_SERIAL_OPTIONS(.limit = 1, .lane = WEIR_LANE(0))), 0);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_errgroup_try_go(group, note, NULL), 0);
    ck_assert_int_eq(weir_errgroup_try_go(group, note, NULL), -EAGAIN); /* its limit */
    ck_assert_int_eq(weir_serial_try_submit(&serial, &tasks[0], note, NULL, NULL), 0);
    ck_assert_int_eq(weir_serial_try_submit(&serial, &tasks[1], note, NULL, NULL), -EAGAIN);
    assert_overflows(pool, 0, 1, 0, 0, 0);
    assert_overflows(pool, 1, 1, 0, 0, 0);
    submit_all(pool, 1, 0, 1);
    ck_assert_int_eq(weir_pool_try_submit(pool, note, NULL), -EAGAIN);
    assert_overflows(pool, 1, 2, 0, 0, 0);
    assert_rejected_in_all(pool, 3);
    release(pool, &hold);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    weir_errgroup_free(group);
    ck_assert_int_eq(weir_serial_drain_until(&serial, NULL, patience()), 0);
    weir_serial_destroy(&serial);
    finish_counted(pool);
}
END_TEST

START_TEST(a_submit_that_is_too_late_does_not_wait)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 2, .capacity = 1);
    saturate(pool, &hold, 1);
    submit_all(pool, 1, 0, 1);
    ck_assert_int_eq(weir_pool_submit_until(pool, note, NULL, NULL, weir_now()), -ETIMEDOUT);
    assert_overflows(pool, 1, 0, 0, 0, 0);
    release(pool, &hold);
    finish_counted(pool);
}
END_TEST

START_TEST(a_serial_that_runs_keeps_its_place)
{
    static char page[4096];
    enum { N = 3 };
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = N, .lanes = 2, .lane_capacity = {4, N});
    weir_serial serials[N];
    weir_task tasks[N] = {WEIR_TASK_INIT};
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(weir_serial_init(&serials[i], pool, NULL), 0);
        ck_assert_int_eq(weir_serial_submit(&serials[i], &tasks[i], gate_task, &hold, NULL), 0);
    }
    gate_await(&hold, N);
    ck_assert_int_eq(weir_pool_try_submit_lane(pool, 1, note, NULL), -EAGAIN);
    ck_assert_uint_eq(stats_of(pool, 1).queued, (unsigned)N);
    ck_assert_int_eq(weir_pool_dump(pool, append, page), 0);
    ck_assert_ptr_nonnull(strstr(page, "lane 1: 3 of 3"));
    gate_open(&hold);
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(weir_task_wait_until(&tasks[i], NULL, patience()), 0);
        weir_serial_destroy(&serials[i]);
    }
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_uint_eq(stats_of(pool, 1).queued, 0u);
    finish_counted(pool);
}
END_TEST

START_TEST(a_place_that_a_serial_keeps_counts_for_the_peak)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 2, .lane_capacity = {4, 3});
    weir_serial serial;
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_serial_init(&serial, pool, NULL), 0);
    ck_assert_int_eq(weir_serial_submit(&serial, &task, gate_task, &hold, NULL), 0);
    gate_await(&hold, 1);
    submit_all(pool, 1, 0, 2);
    ck_assert_int_eq(weir_pool_try_submit_lane(pool, 1, note, NULL), -EAGAIN);
    ck_assert_uint_eq(stats_of(pool, 1).peak_queued, 3u);
    release(pool, &hold);
    weir_serial_destroy(&serial);
    finish_counted(pool);
}
END_TEST

START_TEST(a_pool_with_one_lane_has_its_stats)
{
    weir_pool *pool = new_lanes(.workers = 1, .measure = WEIR_MEASURE_ALL, .capacity = 7);
    submit_all(pool, 0, 0, 3);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    weir_lane_stats stats = stats_of(pool, 0);
    ck_assert_uint_eq(stats.wait.count, 3u);
    ck_assert_uint_eq(stats.capacity, 7u);
    ck_assert_int_eq(weir_pool_read_lane_stats(pool, 1, &stats), -EINVAL);
    ck_assert_int_eq(weir_pool_read_lane_stats(NULL, 0, &stats), -EINVAL);
    ck_assert_int_eq(weir_pool_read_lane_stats(pool, 0, NULL), -EINVAL);
    stats.size = sizeof stats - 1;
    ck_assert_int_eq(weir_pool_read_lane_stats(pool, 0, &stats), -EINVAL);
    finish_counted(pool);
}
END_TEST

START_TEST(a_dump_shows_each_lane)
{
    static char page[4096];
    gate hold = GATE_INIT;
    weir_pool *pool =
        new_lanes(.workers = 1, .lanes = 2, .capacity = 4, .measure = WEIR_MEASURE_NONE);
    saturate(pool, &hold, 1);
    submit_all(pool, 0, 0, 1);
    submit_all(pool, 1, 0, 2);
    ck_assert_int_eq(weir_pool_dump(pool, append, page), 0);
    ck_assert_ptr_nonnull(strstr(page, "queue: 3 of 8; 0 blocked submitters"));
    ck_assert_ptr_nonnull(strstr(page, "lane 0: 1 of 4; 0 blocked submitters; 0 rejected, "
                                       "0 dropped, 0 in place, 0 waited for room\n"));
    ck_assert_ptr_nonnull(strstr(page, "lane 1: 2 of 4; 0 blocked submitters; 0 rejected, "
                                       "0 dropped, 0 in place, 0 waited for room\n"));
    release(pool, &hold);
    finish_counted(pool);
}
END_TEST

static int starving(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

START_TEST(a_dump_looks_into_each_lane_however_many_another_has)
{
    enum { FLOOD = 70000 }; /* more than a dump looks at */
    static char page[4096];
    static counter ran = COUNTER_INIT;
    gate hold = GATE_INIT;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 2, .lane_capacity = {FLOOD, 4},
                                .measure = WEIR_MEASURE_ALL);
    saturate(pool, &hold, 1);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &task, starving, NULL, WEIR_TASK_OPTIONS(.name = "starving")),
        0);
    for (int i = 0; i < FLOOD; i++)
        ck_assert_int_eq(weir_pool_try_submit_lane(pool, 0, counter_task, &ran), 0);
    ck_assert_int_eq(weir_pool_dump(pool, append, page), 0);
    ck_assert_ptr_nonnull(strstr(page, "lane 1: 1 of 4, the oldest for "));
    ck_assert_ptr_nonnull(strstr(page, "queued: 1 x \"starving\"\n"));
    release(pool, &hold);
    finish_counted(pool);
}
END_TEST

/* fork(). */

static int use_in_child(weir_pool *pool)
{
    weir_task task = WEIR_TASK_INIT;
    weir_lane_stats stats = {.size = sizeof stats};
    if (weir_pool_submit_lane(pool, 0, note, NULL) != -ESTALE ||
        weir_pool_try_submit_lane(pool, 1, note, NULL) != -ESTALE ||
        weir_pool_submit_task(pool, &task, note, NULL, WEIR_TASK_OPTIONS(.lane = WEIR_LANE(0))) !=
            -ESTALE ||
        weir_pool_read_lane_stats(pool, 0, &stats) != -ESTALE)
        return 1;
    weir_pool_free(pool);
    return 0;
}

START_TEST(a_forked_child_can_free_a_pool_with_lanes)
{
    gate hold = GATE_INIT;
    weir_context *ctx = NULL;
    weir_pool *pool = new_lanes(.workers = 1, .lanes = 2);
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    saturate(pool, &hold, 1);
    for (unsigned k = 0; k < 2; k++)
        ck_assert_int_eq(weir_pool_submit_lane_until(pool, k, note, NULL, ctx, WEIR_FOREVER), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int wrong = use_in_child(pool);
        weir_context_unref(ctx);
        _exit(wrong);
    }
    int status = -1;
    ck_assert(child > 0 && waitpid(child, &status, 0) == child);
    ck_assert_int_eq(status, 0);
    release(pool, &hold);
    weir_context_unref(ctx);
    finish_counted(pool);
}
END_TEST

static TCase *add_fresh_group(Suite *suite, const char *name)
{
    TCase *group = add_group(suite, name);
    tcase_add_checked_fixture(group, forget, NULL);
    return group;
}

Suite *weir_suite(void)
{
    Suite *suite = suite_create("lanes");
    TCase *contract = add_fresh_group(suite, "contract");
    tcase_add_test(contract, a_pool_has_one_to_eight_lanes);
    tcase_add_test(contract, a_lane_that_is_none_is_refused);
    tcase_add_test(contract, a_task_of_a_serial_has_the_lane_of_the_serial);
    tcase_add_test(contract, options_say_what_is_wrong_with_the_lanes);
    tcase_add_test(contract, shorter_options_have_one_lane);
    TCase *next = add_fresh_group(suite, "order");
    tcase_add_test(next, the_most_urgent_starts_first);
    tcase_add_test(next, what_names_no_lane_goes_to_the_default_one);
    tcase_add_test(next, after_a_burst_the_less_urgent_has_its_turn);
    tcase_add_test(next, eight_lanes_share_one_worker_exactly);
    tcase_add_test(next, a_dead_ticket_is_no_turn);
    tcase_add_test(next, what_does_not_start_is_no_turn);
    tcase_add_test(next, urgent_tasks_that_do_not_start_starve_nobody);
    tcase_add_test(next, tasks_that_do_not_start_do_not_hold_up_urgent_ones);
    tcase_add_test(next, a_worker_waits_for_tasks_of_any_lane);
    TCase *full = add_fresh_group(suite, "full");
    tcase_add_test(full, each_lane_is_bounded_by_itself);
    tcase_add_test(full, a_submitter_waits_for_room_in_its_own_lane);
    tcase_add_test(full, a_wait_for_room_in_a_lane_ends_by_deadline_context_and_close);
    tcase_add_test(full, drop_oldest_drops_from_the_lane_that_is_full);
    tcase_add_test(full, caller_runs_what_its_lane_has_no_room_for);
    tcase_add_test(full, a_task_runs_in_place_what_its_lane_has_no_room_for);
    tcase_add_test(full, a_submitter_clears_the_head_of_its_lane);
    tcase_add_test(full, a_cancel_in_a_lane_wakes_its_submitter);
    TCase *end = add_fresh_group(suite, "end");
    tcase_add_test(end, a_cancel_ends_the_tasks_of_all_lanes);
    tcase_add_test(end, a_shutdown_runs_what_all_lanes_have);
    tcase_add_test(end, a_free_cancels_what_is_queued_in_all_lanes);
    tcase_add_test(end, a_forked_child_can_free_a_pool_with_lanes);
    TCase *ways = add_fresh_group(suite, "ways in");
    tcase_add_test(ways, timers_retries_and_gates_keep_their_lane);
    tcase_add_test(ways, a_full_lane_delays_no_timer_of_another);
    tcase_add_test(ways, what_is_due_in_an_urgent_lane_comes_first);
    tcase_add_test(ways, serials_and_keys_take_their_turns_in_their_lane);
    tcase_add_test(ways, drop_oldest_moves_a_turn_to_the_end_of_its_lane);
    TCase *numbers = add_fresh_group(suite, "numbers");
    tcase_add_test(numbers, stats_of_a_lane_are_its_own);
    tcase_add_test(numbers, what_comes_of_a_full_lane_is_counted_there);
    tcase_add_test(numbers, a_task_that_submits_itself_again_is_not_refused);
    tcase_add_test(numbers, lanes_refuse_as_many_as_their_pool);
    tcase_add_test(numbers, a_submit_that_is_too_late_does_not_wait);
    tcase_add_test(numbers, a_serial_that_runs_keeps_its_place);
    tcase_add_test(numbers, a_place_that_a_serial_keeps_counts_for_the_peak);
    tcase_add_test(numbers, a_pool_with_one_lane_has_its_stats);
    tcase_add_test(numbers, a_dump_shows_each_lane);
    tcase_add_test(numbers, a_dump_looks_into_each_lane_however_many_another_has);
    return suite;
}
