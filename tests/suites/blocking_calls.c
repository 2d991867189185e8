/* SPDX-License-Identifier: MIT */
/* blocking_calls.c - tasks that say that they block: others run meanwhile, and at the end they wait
 * for their turn. */
#include "support/suite.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

static weir_pool *make_pool(unsigned workers, unsigned most)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .workers_max = most)), 0);
    return pool;
}

static weir_pool_stats stats_of(const weir_pool *pool)
{
    weir_pool_stats stats = {.size = sizeof stats};
    ck_assert_int_eq(weir_pool_read_stats(pool, &stats), 0);
    return stats;
}

/* A task that blocks at a gate, having said so. */
struct blocker {
    gate door;
    pid_t tid;
    atomic_int over; /* the end has returned */
};

#define BLOCKER_INIT                                                                               \
    {                                                                                              \
        .door = GATE_INIT                                                                          \
    }

static int block(weir_context *ctx, void *arg)
{
    struct blocker *blocker = arg;
    (void)ctx;
    blocker->tid = thread_id();
    weir_blocking_begin();
    gate_wait(&blocker->door);
    weir_blocking_end();
    atomic_store(&blocker->over, 1);
    return 0;
}

static void submit(weir_pool *pool, weir_task_fn *fn, void *arg)
{
    ck_assert_int_eq(weir_pool_submit(pool, fn, arg), 0);
}

START_TEST(another_task_runs_while_one_blocks)
{
    struct blocker blocker = BLOCKER_INIT;
    counter runs = COUNTER_INIT;
    weir_pool *pool = make_pool(1, 2);
    submit(pool, block, &blocker);
    gate_await(&blocker.door, 1);
    for (int i = 0; i < 3; i++)
        submit(pool, counter_task, &runs);
    counter_await(&runs, 3);
    ck_assert_uint_eq(weir_pool_workers(pool), 2);
    ck_assert_uint_eq(stats_of(pool).workers_blocked, 1);
    gate_open(&blocker.door);
    finish_pool(pool);
    ck_assert_int_eq(atomic_load(&blocker.over), 1);
}
END_TEST

START_TEST(there_are_never_more_threads_than_workers_max)
{
    enum { MOST = 3, TASKS = 10 };
    struct blocker blocker = BLOCKER_INIT;
    weir_pool *pool = make_pool(1, MOST);
    for (int i = 0; i < TASKS; i++)
        submit(pool, block, &blocker);
    gate_await(&blocker.door, MOST);
    ck_assert_uint_eq(weir_pool_workers(pool), MOST);
    ck_assert_uint_eq(weir_pool_queued(pool), TASKS - MOST);
    gate_open(&blocker.door);
    finish_pool(pool);
}
END_TEST

static bool waits_in_the_end(const weir_pool *pool)
{
    return dump_has(pool, "blocked in weir_blocking_end on ");
}

START_TEST(the_end_waits_for_a_turn)
{
    struct blocker blocker = BLOCKER_INIT;
    gate door = GATE_INIT;
    weir_pool *pool = make_pool(1, 2);
    submit(pool, block, &blocker);
    gate_await(&blocker.door, 1);
    saturate(pool, &door, 1); /* it has the only turn */
    gate_open(&blocker.door);
    while (atomic_load(&blocker.over) == 0 && !waits_in_the_end(pool))
        (void)sched_yield();
    ck_assert_int_eq(atomic_load(&blocker.over), 0);
    gate_open(&door);
    finish_pool(pool);
    ck_assert_int_eq(atomic_load(&blocker.over), 1);
}
END_TEST

/* The only turn is with a worker that has more and more to do: it is given up between two tasks. */
static int submit_itself(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct blocker *blocker = arg;
    return atomic_load(&blocker->over) != 0
               ? 0
               : weir_pool_submit(weir_pool_current(), submit_itself, arg);
}

START_TEST(a_worker_that_is_always_busy_gives_its_turn_up)
{
    struct blocker blocker = BLOCKER_INIT;
    weir_pool *pool = make_pool(1, 2);
    submit(pool, block, &blocker);
    gate_await(&blocker.door, 1);
    submit(pool, submit_itself, &blocker);
    submit(pool, submit_itself, &blocker);
    gate_open(&blocker.door);
    finish_pool(pool);
    ck_assert_int_eq(atomic_load(&blocker.over), 1);
}
END_TEST

struct waiter {
    weir_task blocks;
    struct blocker blocker;
    int err;
};

static int wait_for_it(weir_context *ctx, void *arg)
{
    struct waiter *waiter = arg;
    (void)ctx;
    gate_open(&waiter->blocker.door);
    waiter->err = weir_task_wait(&waiter->blocks);
    return 0;
}

START_TEST(a_task_that_waits_in_weir_gives_its_turn_to_the_one_that_it_waits_for)
{
    struct waiter waiter = {.blocks = WEIR_TASK_INIT, .blocker = BLOCKER_INIT, .err = -1};
    weir_pool *pool = make_pool(1, 2);
    ck_assert_int_eq(weir_pool_submit_task(pool, &waiter.blocks, block, &waiter.blocker, NULL), 0);
    gate_await(&waiter.blocker.door, 1);
    submit(pool, wait_for_it, &waiter);
    finish_pool(pool);
    ck_assert_int_eq(waiter.err, 0);
    ck_assert_int_eq(atomic_load(&waiter.blocker.over), 1);
}
END_TEST

static int wait_for_the_group(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_waitgroup_wait(arg);
}

static int end_the_wait(weir_context *ctx, void *arg)
{
    (void)ctx;
    weir_waitgroup_done(arg);
    return 0;
}

START_TEST(a_wait_in_weir_counts_as_blocking)
{
    weir_waitgroup group = WEIR_WAITGROUP_INIT;
    weir_pool *pool = make_pool(1, 2);
    weir_waitgroup_add(&group, 1);
    submit(pool, wait_for_the_group, &group);
    submit(pool, end_the_wait, &group); /* nobody helps with it: it is not a task of the group */
    finish_pool(pool);
}
END_TEST

static int nest(weir_context *ctx, void *arg)
{
    struct blocker *blocker = arg;
    weir_blocking_begin();
    int err = block(ctx, blocker);
    weir_blocking_end();
    return err;
}

START_TEST(the_two_may_be_nested)
{
    struct blocker blocker = BLOCKER_INIT;
    counter runs = COUNTER_INIT;
    weir_pool *pool = make_pool(1, 2);
    submit(pool, nest, &blocker);
    gate_await(&blocker.door, 1);
    submit(pool, counter_task, &runs);
    counter_await(&runs, 1);
    gate_open(&blocker.door);
    finish_pool(pool);
}
END_TEST

START_TEST(elsewhere_they_do_nothing)
{
    struct blocker blocker = BLOCKER_INIT;
    weir_blocking_begin();
    weir_blocking_begin();
    weir_blocking_end();
    weir_blocking_end();
    weir_pool *fixed = new_pool(1, 4);
    submit(fixed, nest, &blocker);
    gate_await(&blocker.door, 1);
    ck_assert_uint_eq(weir_pool_workers(fixed), 1);
    gate_open(&blocker.door);
    finish_pool(fixed);
}
END_TEST

static void *end_between(void *arg)
{
    (void)arg;
    weir_blocking_begin();
    return NULL;
}

static int end_thread_between(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    weir_blocking_begin();
    pthread_exit(NULL);
}

static void *run_in_place(void *arg)
{
    ck_assert_int_eq(weir_pool_submit(arg, end_thread_between, NULL), 0);
    return NULL;
}

static void run_to_its_end(void *(*run)(void *arg), void *arg)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run, arg), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

START_TEST(a_thread_outside_that_ends_between_the_two_leaves_no_note)
{
    gate door = GATE_INIT;
    weir_pool *pool = new_pool_as(
        WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .overflow = WEIR_OVERFLOW_CALLER_RUNS));
    saturate(pool, &door, 1);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &door), 0);
    run_to_its_end(end_between, NULL);
    run_to_its_end(run_in_place, pool);
    ck_assert(!dump_has(pool, "weir_blocking_begin"));
    gate_open(&door);
    finish_pool(pool);
}
END_TEST

START_TEST(they_work_in_a_pool_that_was_closed)
{
    struct blocker blocker = BLOCKER_INIT;
    counter runs = COUNTER_INIT;
    gate door = GATE_INIT;
    weir_pool *pool = make_pool(1, 2);
    saturate(pool, &door, 1);
    submit(pool, block, &blocker);
    submit(pool, counter_task, &runs);
    weir_pool_close(pool);
    gate_open(&door);
    counter_await(&runs, 1);
    gate_open(&blocker.door);
    ck_assert_int_eq(weir_pool_shutdown(pool, patience(), WEIR_FOREVER, NULL), 0);
    ck_assert_int_eq(atomic_load(&blocker.over), 1);
    weir_pool_free(pool);
}
END_TEST

static int die(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    weir_blocking_begin();
    pthread_exit(NULL);
}

START_TEST(a_task_may_end_its_thread_between_the_two)
{
    weir_pool *pool = make_pool(1, 2);
    for (int i = 0; i < 20; i++)
        submit(pool, die, NULL);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    int64_t deadline = patience();
    while (stats_of(pool).workers_blocked != 0) { /* the task ends before the thread does */
        ck_assert_int_lt(weir_now(), deadline);
        (void)sched_yield();
    }
    finish_pool(pool);
}
END_TEST

/* The note goes with the thread: time of blocking does not count on for ever. */
static void blocks_no_more_after_a_death(weir_pool *pool)
{
    struct blocker blocker = BLOCKER_INIT;
    submit(pool, die, NULL);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    submit(pool, gate_task, &blocker.door); /* the thread that came after it is there */
    gate_await(&blocker.door, 1);
    weir_pool_stats before = stats_of(pool);
    ck_assert_uint_eq(before.workers_blocked, 0);
    ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(2))), 0);
    ck_assert_uint_eq(stats_of(pool).blocked_ns, before.blocked_ns);
    gate_open(&blocker.door);
    finish_pool(pool);
}

START_TEST(a_death_between_the_two_ends_the_time_of_blocking)
{
    blocks_no_more_after_a_death(make_pool(1, 1));
    blocks_no_more_after_a_death(new_pool(1, 4));
}
END_TEST

static int sleep_between(weir_context *ctx, void *arg)
{
    struct blocker *blocker = arg;
    weir_blocking_begin();
    int err = weir_sleep_until(ctx, weir_after(1000));
    gate_wait(&blocker->door);
    weir_blocking_end();
    gate_wait(&blocker->door);
    return err;
}

static void blocks_after_a_wait_too(weir_pool *pool)
{
    struct blocker blocker = BLOCKER_INIT;
    submit(pool, sleep_between, &blocker);
    gate_await(&blocker.door, 1);
    ck_assert_uint_eq(stats_of(pool).workers_blocked, 1);
    gate_open(&blocker.door);
    finish_pool(pool);
}

START_TEST(a_wait_of_weir_between_the_two_does_not_end_the_note)
{
    blocks_after_a_wait_too(make_pool(1, 2));
    blocks_after_a_wait_too(new_pool(1, 4));
}
END_TEST

static int fork_between(weir_context *ctx, void *arg)
{
    pid_t *child = arg;
    (void)ctx;
    weir_blocking_begin();
    *child = fork();
    weir_blocking_end();
    if (*child == 0) {
        weir_blocking_begin();
        weir_blocking_end();
        _exit(0);
    }
    return 0;
}

START_TEST(a_task_may_fork_between_the_two)
{
    pid_t child = -1;
    int status = -1;
    weir_pool *pool = make_pool(1, 2);
    submit(pool, fork_between, &child);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_gt(child, 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    finish_pool(pool);
}
END_TEST

/* Misuse. */

static void end_without_begin(void *arg)
{
    (void)arg;
    weir_blocking_end();
}

static int only_begin(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    weir_blocking_begin();
    return 0;
}

static void return_between(void *arg)
{
    const unsigned *most = arg;
    weir_pool *pool = NULL;
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .workers_max = *most)) != 0 ||
        weir_pool_submit(pool, only_begin, NULL) != 0 || weir_pool_drain(pool) != 0)
        return;
    for (;;)
        (void)pause();
}

START_TEST(an_end_without_a_begin_aborts)
{
    assert_aborts(end_without_begin, NULL, "weir_blocking_end");
}
END_TEST

START_TEST(a_task_that_returns_between_the_two_aborts)
{
    unsigned fixed = 0, two = 2;
    assert_aborts(return_between, &fixed, "returned without weir_blocking_end");
    assert_aborts(return_between, &two, "returned without weir_blocking_end");
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("blocking_calls");
    TCase *turns = add_group(suite, "turns");
    tcase_add_test(turns, another_task_runs_while_one_blocks);
    tcase_add_test(turns, there_are_never_more_threads_than_workers_max);
    tcase_add_test(turns, the_end_waits_for_a_turn);
    tcase_add_test(turns, a_worker_that_is_always_busy_gives_its_turn_up);
    tcase_add_test(turns, a_task_that_waits_in_weir_gives_its_turn_to_the_one_that_it_waits_for);
    tcase_add_test(turns, a_wait_in_weir_counts_as_blocking);
    TCase *anywhere = add_group(suite, "anywhere");
    tcase_add_test(anywhere, the_two_may_be_nested);
    tcase_add_test(anywhere, elsewhere_they_do_nothing);
    tcase_add_test(anywhere, a_thread_outside_that_ends_between_the_two_leaves_no_note);
    tcase_add_test(anywhere, they_work_in_a_pool_that_was_closed);
    tcase_add_test(anywhere, a_task_may_end_its_thread_between_the_two);
    tcase_add_test(anywhere, a_death_between_the_two_ends_the_time_of_blocking);
    tcase_add_test(anywhere, a_wait_of_weir_between_the_two_does_not_end_the_note);
    tcase_add_test(anywhere, a_task_may_fork_between_the_two);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, an_end_without_a_begin_aborts);
    tcase_add_test(misuse, a_task_that_returns_between_the_two_aborts);
    return suite;
}
