/* SPDX-License-Identifier: MIT */
/* time.c - a clock that stands still, or jumps only now and then.
 *
 * What is promised then: a wait that has a deadline ends when either the clock that weir reads or
 * the timer of the system says that it has come, so a clock that stands still blocks no thread
 * and makes none spin; what does not depend on time works as before.
 */
#include "support/suite.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "support/covered.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/scene.h"
#include "support/threads.h"
#include "weir.h"

/* What the clock says: the truth at 0, the same time for ever if below 0, else the truth rounded
 * down to a multiple. */
static atomic_llong granule, stands_at;
static atomic_ulong reads;

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

static int64_t true_time(void)
{
    struct timespec now;
    (void)__real_clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * WEIR_S(1) + now.tv_nsec;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
    long long each = atomic_load(&granule);
    if (clock != CLOCK_MONOTONIC || each == 0)
        return __real_clock_gettime(clock, ret);
    (void)atomic_fetch_add(&reads, 1);
    int64_t now = each < 0 ? atomic_load(&stands_at) : true_time() / each * each;
    *ret =
        (struct timespec){.tv_sec = (time_t)(now / WEIR_S(1)), .tv_nsec = (long)(now % WEIR_S(1))};
    return 0;
}

static void stop_clock_at(int64_t time)
{
    atomic_store(&stands_at, time);
    atomic_store(&granule, -1);
}

static void let_clock_run(void)
{
    atomic_store(&granule, 0);
    covered("reads of a false clock", atomic_exchange(&reads, 0));
}

struct wait {
    int (*fn)(int64_t deadline);
    int64_t deadline;
    bool early; /* by the true time */
    caller thread;
};

static int call_wait(void *arg)
{
    struct wait *self = arg;
    int err = self->fn(self->deadline);
    self->early = self->deadline != WEIR_FOREVER && true_time() < self->deadline;
    return err;
}

static void assert_waits_time_out(int64_t deadline)
{
    static struct wait all[SCENE_WAITS];
    for (unsigned i = 0; i < SCENE_WAITS; i++) {
        all[i] = (struct wait){.fn = scene_waits[i], .deadline = deadline};
        caller_start(&all[i].thread, call_wait, &all[i]);
    }
    for (unsigned i = 0; i < SCENE_WAITS; i++) {
        ck_assert_int_eq(caller_join(&all[i].thread), -ETIMEDOUT);
        ck_assert(!all[i].early);
    }
    covered("timed waits ended", SCENE_WAITS);
}

START_TEST(timed_waits_end_though_the_clock_stands_still)
{
    set_scene(new_pool(1, 1));
    int64_t now = true_time();
    stop_clock_at(now);
    assert_waits_time_out(now + WEIR_MS(30));
    let_clock_run();
    strike_scene();
}
END_TEST

START_TEST(deadlines_that_have_passed_end_a_wait_though_the_clock_stands_still)
{
    const int64_t now = true_time(), past[] = {now, now - 1, 1, 0, -1, INT64_MIN};
    set_scene(new_pool(1, 1));
    stop_clock_at(now);
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++)
        assert_waits_time_out(past[i]);
    let_clock_run();
    strike_scene();
}
END_TEST

START_TEST(timed_waits_are_neither_early_nor_lost_when_the_clock_seldom_moves)
{
    set_scene(new_pool(1, 1));
    atomic_store(&granule, WEIR_MS(100));
    for (int64_t ms = 1; ms < 250; ms += 60)
        assert_waits_time_out(weir_after(WEIR_MS(ms)));
    let_clock_run();
    strike_scene();
}
END_TEST

struct tick {
    int64_t not_before[2];
    unsigned runs;
};

static int tick_twice(weir_context *ctx, void *arg)
{
    struct tick *tick = arg;
    (void)ctx;
    tick->not_before[tick->runs++] = true_time();
    return tick->runs == 2;
}

static int await_task(weir_context *ctx, void *task)
{
    (void)ctx;
    return weir_task_wait(task);
}

/* Its waiter runs it when the timer says so, and the clock says that it is not time yet. */
START_TEST(a_periodic_task_keeps_its_times_when_the_clock_lags_behind_the_timer)
{
    const int64_t period = WEIR_MS(1000), granule_ns = WEIR_MS(100);
    weir_pool *pool = new_pool(1, 1);
    weir_task ticker = WEIR_TASK_INIT, waiter = WEIR_TASK_INIT;
    struct tick tick = {.runs = 0};
    atomic_store(&granule, granule_ns);
    int64_t first = true_time() / granule_ns * granule_ns + WEIR_MS(350);
    ck_assert_int_eq(weir_pool_submit_every(pool, &ticker, tick_twice, &tick, NULL, first, period),
                     0);
    ck_assert_int_eq(weir_pool_submit_task(pool, &waiter, await_task, &ticker, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&waiter), 0);
    let_clock_run();
    ck_assert_uint_eq(tick.runs, 2u);
    ck_assert_int_ge(tick.not_before[0], first);
    ck_assert_int_ge(tick.not_before[1], first + period);
    finish_pool(pool);
}
END_TEST

static int submit_without_end(void *pool)
{
    counter ran = COUNTER_INIT;
    int err = weir_pool_submit(pool, counter_task, &ran);
    counter_await(&ran, err == 0 ? 1 : 0);
    return err;
}

/* A thread that waits for room knows when the task at the head will have expired. */
START_TEST(a_task_that_expires_at_the_head_makes_room_though_the_clock_stands_still)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_task head = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(1, 1);
    saturate(pool, &hold, 1);
    int64_t now = true_time();
    stop_clock_at(now);
    ck_assert_int_eq(weir_pool_submit_task(pool, &head, counter_task, &ran,
                                           WEIR_TASK_OPTIONS(.start_by = now + WEIR_MS(30))),
                     0);
    caller submitter;
    caller_start(&submitter, submit_without_end, pool);
    ck_assert_int_eq(weir_task_wait(&head), 0); /* expires it too, if it is the first */
    ck_assert_int_eq(weir_task_state(&head), WEIR_TASK_EXPIRED);
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&submitter), 0);
    ck_assert_uint_eq(counter_get(&ran), 0);
    let_clock_run();
    finish_pool(pool);
}
END_TEST

static int submit_and_leave(void *arg)
{
    static counter ran = COUNTER_INIT;
    return weir_pool_submit(arg, counter_task, &ran);
}

START_TEST(a_submitter_alone_clears_what_expires_at_the_head_though_the_clock_stands_still)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_task head = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(1, 1);
    saturate(pool, &hold, 1);
    int64_t now = true_time();
    stop_clock_at(now);
    ck_assert_int_eq(weir_pool_submit_task(pool, &head, counter_task, &ran,
                                           WEIR_TASK_OPTIONS(.start_by = now + WEIR_MS(30))),
                     0);
    caller submitter;
    caller_start(&submitter, submit_and_leave, pool);
    ck_assert_int_eq(caller_join(&submitter), 0); /* while the worker is held */
    ck_assert_int_eq(weir_task_state(&head), WEIR_TASK_EXPIRED);
    gate_open(&hold);
    let_clock_run();
    finish_pool(pool);
}
END_TEST

/* The clock may also stand where sums overflow and quotients are zero. */
static const int64_t places[] = {0, 1, WEIR_S(1), INT64_MAX - 1};
enum { PLACES = sizeof places / sizeof places[0] };

START_TEST(what_does_not_depend_on_time_goes_on_wherever_the_clock_stands)
{
    int64_t limit = patience();
    counter ran = COUNTER_INIT;
    stop_clock_at(places[_i]);
    weir_pool *pool = new_pool(2, 3);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_errgroup *group = NULL;
    weir_context *ctx = NULL;
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_errgroup_new(&group, pool, ctx, WEIR_ERRGROUP_OPTIONS(.limit = 2)), 0);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
        ck_assert_int_eq(weir_waitgroup_go(&wg, pool, counter_task, &ran), 0);
        ck_assert_int_eq(weir_errgroup_go(group, counter_task, &ran), 0);
        ck_assert_int_eq(weir_pool_submit_task(pool, &task, counter_task, &ran, NULL), 0);
        ck_assert_int_eq(weir_task_wait(&task), 0);
    }
    ck_assert_int_eq(weir_waitgroup_wait(&wg), 0);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(counter_get(&ran), 400);
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(weir_sleep_until(ctx, WEIR_FOREVER), -ECANCELED);
    weir_errgroup_free(group);
    weir_context_unref(ctx);
    weir_pool_free(pool);
    let_clock_run();
    ck_assert_int_lt(weir_now(), limit);
    covered("tasks run while the clock stood still", 400);
}
END_TEST

START_TEST(a_time_from_now_saturates_wherever_the_clock_stands)
{
    stop_clock_at(places[_i]);
    ck_assert_int_eq(weir_now(), places[_i]);
    ck_assert_int_eq(weir_after(0), places[_i]);
    ck_assert_int_eq(weir_after(INT64_MAX), WEIR_FOREVER);
    ck_assert_int_eq(weir_after(INT64_MAX - places[_i]), WEIR_FOREVER);
    if (places[_i] < INT64_MAX)
        ck_assert_int_eq(weir_after(1), places[_i] + 1);
    let_clock_run();
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("faults_time");
    TCase *still = add_group(suite, "still");
    tcase_add_test(still, timed_waits_end_though_the_clock_stands_still);
    tcase_add_test(still, deadlines_that_have_passed_end_a_wait_though_the_clock_stands_still);
    tcase_add_test(still, a_task_that_expires_at_the_head_makes_room_though_the_clock_stands_still);
    tcase_add_test(still,
                   a_submitter_alone_clears_what_expires_at_the_head_though_the_clock_stands_still);
    tcase_add_loop_test(still, what_does_not_depend_on_time_goes_on_wherever_the_clock_stands, 0,
                        PLACES);
    tcase_add_loop_test(still, a_time_from_now_saturates_wherever_the_clock_stands, 0, PLACES);
    TCase *seldom = add_group(suite, "seldom");
    tcase_add_test(seldom, timed_waits_are_neither_early_nor_lost_when_the_clock_seldom_moves);
    tcase_add_test(seldom, a_periodic_task_keeps_its_times_when_the_clock_lags_behind_the_timer);
    return suite;
}
