/* SPDX-License-Identifier: MIT */
/* size.c - pools whose number of workers changes: they grow, shrink, and are resized. */
#include "support/suite.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

static weir_pool_stats stats_of(const weir_pool *pool)
{
    weir_pool_stats stats = {.size = sizeof stats};
    ck_assert_int_eq(weir_pool_read_stats(pool, &stats), 0);
    return stats;
}

static void await_workers(const weir_pool *pool, unsigned n)
{
    int64_t deadline = patience();
    while (weir_pool_workers(pool) != n) {
        ck_assert_int_lt(weir_now(), deadline);
        (void)sched_yield();
    }
}

static void submit_gate_tasks(weir_pool *pool, gate *door, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        ck_assert_int_eq(weir_pool_submit(pool, gate_task, door), 0);
}

/* Arguments. */

static void assert_wrong(const weir_pool_options *options, const char *text)
{
    weir_pool *untouched = (weir_pool *)&untouched, *pool = untouched;
    ck_assert_str_eq(weir_pool_options_error(options), text);
    ck_assert_int_eq(weir_pool_new(&pool, options), -EINVAL);
    ck_assert_ptr_eq(pool, untouched);
}

START_TEST(options_out_of_range_are_refused)
{
    assert_wrong(WEIR_POOL_OPTIONS(.workers_max = 1025), "workers_max: above 1024");
    assert_wrong(WEIR_POOL_OPTIONS(.workers = 3, .workers_max = 2), "workers_max: below workers");
    assert_wrong(WEIR_POOL_OPTIONS(.workers_max = 2, .idle_timeout = -1), "idle_timeout: negative");
    assert_wrong(WEIR_POOL_OPTIONS(.workers = 2, .idle_timeout = 1),
                 "idle_timeout: set without workers_max");
    assert_wrong(WEIR_POOL_OPTIONS(.growth_rule = weir_growth_rule),
                 "growth_rule: set without workers_max");
}
END_TEST

START_TEST(the_default_number_of_workers_is_at_most_workers_max)
{
    weir_pool *pool = new_pool_as(WEIR_POOL_OPTIONS(.workers_max = 1));
    ck_assert_uint_eq(weir_pool_workers(pool), 1);
    ck_assert_uint_eq(weir_pool_workers_max(pool), 1);
    finish_pool(pool);
}
END_TEST

START_TEST(resize_refuses_what_it_cannot_do)
{
    weir_pool *fixed = new_pool(2, 4);
    weir_pool *pool = new_pool_as(WEIR_POOL_OPTIONS(.workers = 2, .workers_max = 4));
    ck_assert_int_eq(weir_pool_resize(NULL, 2), -EINVAL);
    ck_assert_int_eq(weir_pool_resize(fixed, 2), -EINVAL);
    ck_assert_int_eq(weir_pool_resize(pool, 0), -EINVAL);
    ck_assert_int_eq(weir_pool_resize(pool, 5), -EINVAL);
    ck_assert_int_eq(weir_pool_resize(pool, UINT_MAX), -EINVAL);
    ck_assert_uint_eq(weir_pool_workers(pool), 2);
    ck_assert_uint_eq(weir_pool_workers_max(pool), 4);
    ck_assert_uint_eq(weir_pool_workers_max(fixed), 2);
    ck_assert_uint_eq(weir_pool_workers_max(NULL), 0);
    weir_pool_close(pool);
    ck_assert_int_eq(weir_pool_resize(pool, 4), 0);
    await_workers(pool, 4);
    ck_assert_int_eq(weir_pool_shutdown(pool, WEIR_FOREVER, WEIR_FOREVER, NULL), 0);
    ck_assert_int_eq(weir_pool_resize(pool, 1), -EPIPE);
    weir_pool_free(pool);
    finish_pool(fixed);
}
END_TEST

START_TEST(the_rule_takes_null)
{
    ck_assert_int_eq(weir_growth_rule(NULL, NULL), 0);
    weir_growth growth = {.workers = 2, .queued = 5, .stalled_ns = WEIR_MS(1)};
    ck_assert_int_ne(weir_growth_rule(&growth, NULL), 0);
    growth.queued = 4;
    ck_assert_int_eq(weir_growth_rule(&growth, NULL), 0);
    growth.queued = 5;
    growth.stalled_ns--;
    ck_assert_int_eq(weir_growth_rule(&growth, NULL), 0);
    growth.full = 1;
    ck_assert_int_eq(weir_growth_rule(&growth, NULL), 0);
    growth.queued = 1;
    growth.stalled_ns++;
    ck_assert_int_ne(weir_growth_rule(&growth, NULL), 0);
}
END_TEST

/* Resizing. */

START_TEST(a_resize_adds_workers)
{
    gate door = GATE_INIT;
    weir_pool *pool = new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 4));
    ck_assert_int_eq(weir_pool_resize(pool, 3), 0);
    saturate(pool, &door, 3);
    ck_assert_uint_eq(weir_pool_workers(pool), 3);
    gate_open(&door);
    finish_pool(pool);
}
END_TEST

static int resize_to_one(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return weir_pool_resize(weir_pool_current(), 1);
}

/* No two may be inside at once. */
static int count_alone(weir_context *ctx, void *arg)
{
    atomic_int *inside = arg;
    (void)ctx;
    int before = atomic_fetch_add(inside, 1);
    (void)sched_yield();
    atomic_fetch_sub(inside, 1);
    return before == 0 ? 0 : -EBUSY;
}

static int never(const weir_growth *growth, void *user)
{
    (void)growth;
    (void)user;
    return 0;
}

START_TEST(a_resize_from_a_task_below_what_runs_waits_for_no_task)
{
    gate door = GATE_INIT;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 4, .workers_max = 4, .growth_rule = never));
    saturate(pool, &door, 3);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, resize_to_one, NULL, NULL), 0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_status(&task), 0);
    gate_open(&door);
    await_workers(pool, 1);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    atomic_int inside = 0;
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(weir_pool_submit(pool, count_alone, &inside), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.failed, 0);
    ck_assert_uint_eq(stats_of(pool).shrunk, 3);
    finish_pool(pool);
}
END_TEST

/* A pool that is always busy: no worker is ever idle, and they leave all the same. */
static int submit_itself(weir_context *ctx, void *arg)
{
    (void)ctx;
    atomic_bool *over = arg;
    return atomic_load(over) ? 0 : weir_pool_submit(weir_pool_current(), submit_itself, arg);
}

START_TEST(workers_leave_a_pool_that_is_always_busy)
{
    atomic_bool over = false;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 4, .workers_max = 4, .growth_rule = never));
    for (int i = 0; i < 16; i++)
        ck_assert_int_eq(weir_pool_submit(pool, submit_itself, &over), 0);
    ck_assert_int_eq(weir_pool_resize(pool, 2), 0);
    await_workers(pool, 2);
    ck_assert_int_eq(weir_pool_resize(pool, 4), 0);
    await_workers(pool, 4);
    atomic_store(&over, true);
    finish_pool(pool);
}
END_TEST

START_TEST(workers_that_block_leave_too_when_they_are_back)
{
    gate door = GATE_INIT;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 4, .workers_max = 4, .growth_rule = never));
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_pool_submit(pool, blocking_gate_task, &door), 0);
    gate_await(&door, 3);
    ck_assert_int_eq(weir_pool_resize(pool, 1), 0);
    gate_open(&door);
    await_workers(pool, 1);
    finish_pool(pool);
}
END_TEST

START_TEST(a_resize_serves_all_that_wait_for_a_turn)
{
    enum { BLOCKED = 3, JOBS = 4 };
    gate door = GATE_INIT, hold = GATE_INIT;
    counter jobs = COUNTER_INIT;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 5, .growth_rule = never));
    weir_task tasks[BLOCKED] = {WEIR_TASK_INIT, WEIR_TASK_INIT, WEIR_TASK_INIT};
    for (int i = 0; i < BLOCKED; i++)
        ck_assert_int_eq(weir_pool_submit_task(pool, &tasks[i], blocking_gate_task, &door, NULL),
                         0);
    gate_await(&door, BLOCKED);
    saturate(pool, &hold, 1); /* it has the only turn, and keeps it */
    gate_open(&door);
    for (int i = 0; i < JOBS; i++)
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &jobs), 0);
    ck_assert_int_eq(weir_pool_resize(pool, 5), 0);
    for (int i = 0; i < BLOCKED; i++)
        ck_assert_int_eq(weir_task_wait_until(&tasks[i], NULL, patience()), 0);
    counter_await(&jobs, JOBS);
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

struct resizer {
    weir_pool *pool;
    unsigned most;
    int err;
};

static void *resize_often(void *arg)
{
    struct resizer *resizer = arg;
    for (unsigned i = 0; i < 50 && resizer->err == 0; i++)
        resizer->err = weir_pool_resize(resizer->pool, 1 + i % resizer->most);
    return NULL;
}

START_TEST(two_threads_may_resize_at_once)
{
    counter runs = COUNTER_INIT;
    struct resizer resizers[2] = {{.most = 4}, {.most = 3}};
    pthread_t threads[2];
    weir_pool *pool = new_pool_as(WEIR_POOL_OPTIONS(.workers = 2, .workers_max = 4));
    for (int i = 0; i < 2; i++) {
        resizers[i].pool = pool;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, resize_often, &resizers[i]), 0);
    }
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &runs), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(resizers[i].err, 0);
    }
    ck_assert_int_eq(weir_pool_resize(pool, 2), 0);
    await_workers(pool, 2);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(counter_get(&runs), 1000);
    finish_pool(pool);
}
END_TEST

/* Growth. */

START_TEST(a_pool_in_which_nothing_starts_grows_to_workers_max)
{
    gate door = GATE_INIT;
    weir_pool *pool = new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 3));
    submit_gate_tasks(pool, &door, 12);
    gate_await(&door, 3); /* without another submit */
    ck_assert_uint_eq(weir_pool_workers(pool), 3);
    ck_assert_uint_eq(gate_arrived(&door), 3);
    ck_assert_uint_eq(weir_pool_queued(pool), 9);
    gate_open(&door);
    finish_pool(pool);
}
END_TEST

struct asked {
    counter times;
    weir_growth last;
    int answer;
};

static int ask(const weir_growth *growth, void *user)
{
    struct asked *asked = user;
    asked->last = *growth; /* one thread at a time: the answers are a millisecond apart */
    int answer = asked->answer == 0 ? weir_growth_rule(growth, user) : asked->answer;
    counter_add(&asked->times, 1);
    return answer;
}

START_TEST(two_tasks_a_worker_may_wait_without_growth)
{
    gate door = GATE_INIT;
    struct asked asked = {.times = COUNTER_INIT};
    weir_pool *pool = new_pool_as(
        WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2, .growth_rule = ask, .user = &asked));
    submit_gate_tasks(pool, &door, 3);
    counter_await(&asked.times, 4);
    ck_assert_uint_eq(weir_pool_workers(pool), 1);
    ck_assert_uint_eq(gate_arrived(&door), 1);
    gate_open(&door);
    finish_pool(pool);
}
END_TEST

START_TEST(another_rule_takes_the_place_of_the_first)
{
    gate door = GATE_INIT;
    struct asked asked = {.times = COUNTER_INIT, .answer = 1};
    weir_pool *pool = new_pool_as(
        WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2, .growth_rule = ask, .user = &asked));
    submit_gate_tasks(pool, &door, 2);
    gate_await(&door, 2);
    gate_open(&door);
    finish_pool(pool);
    ck_assert_uint_ge(counter_get(&asked.times), 1);
    ck_assert_uint_eq(asked.last.size, sizeof(weir_growth));
    ck_assert_uint_eq(asked.last.workers, 1);
    ck_assert_uint_eq(asked.last.workers_min, 1);
    ck_assert_uint_eq(asked.last.workers_max, 2);
    ck_assert_uint_eq(asked.last.queued, 1);
    ck_assert_uint_eq(asked.last.blocked, 0);
    ck_assert_int_ge(asked.last.stalled_ns, 0);
}
END_TEST

/* What a worker starts while another task of its own runs. */

struct moves {
    counter asked;
    unsigned told; /* so often that a worker has just taken a task */
};

static int note_moves(const weir_growth *growth, void *user)
{
    struct moves *moves = user;
    moves->told += growth->stalled_ns == 0; /* one thread at a time, as above */
    counter_add(&moves->asked, 1);
    return 0;
}

/* The second of these questions is asked after this task has started. */
static int await_two_questions(weir_context *ctx, void *arg)
{
    struct moves *moves = arg;
    (void)ctx;
    counter_await(&moves->asked, counter_get(&moves->asked) + 2);
    return 0;
}

enum { STEPS_WITHIN = 5 };

static int help_with_tasks(weir_context *ctx, void *arg)
{
    weir_waitgroup group = WEIR_WAITGROUP_INIT;
    (void)ctx;
    for (int i = 0; i < STEPS_WITHIN; i++) {
        int err = weir_waitgroup_go(&group, weir_pool_current(), await_two_questions, arg);
        if (err != 0)
            return err;
    }
    return weir_waitgroup_wait(&group);
}

static int run_tasks_in_place(weir_context *ctx, void *arg)
{
    int err = 0;
    (void)ctx;
    for (int i = 0; i < STEPS_WITHIN && err == 0; i++)
        err = weir_pool_submit(weir_pool_current(), await_two_questions, arg);
    return err;
}

/* A plain task waits behind it all the time. */
static void is_told_of_starts_within(weir_task_fn *outer, unsigned capacity)
{
    struct moves moves = {.asked = COUNTER_INIT};
    counter runs = COUNTER_INIT;
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2, .capacity = capacity,
                                      .growth_rule = note_moves, .user = &moves));
    gate door = GATE_INIT;
    saturate(pool, &door, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, outer, &moves, NULL), 0);
    if (capacity > 1)
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &runs), 0);
    gate_open(&door);
    if (capacity == 1)
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &runs), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_status(&task), 0);
    finish_pool(pool);
    ck_assert_uint_ge(moves.told, STEPS_WITHIN);
}

START_TEST(what_a_waiting_worker_helps_with_is_no_stall)
{
    is_told_of_starts_within(help_with_tasks, 16);
}
END_TEST

START_TEST(what_a_worker_runs_in_place_is_no_stall)
{
    is_told_of_starts_within(run_tasks_in_place, 1);
}
END_TEST

/* One worker is busy; what else is submitted goes round it, or pushes out what waits. */
static void grows_although_the_queue_moves(weir_overflow overflow)
{
    gate door = GATE_INIT;
    counter runs = COUNTER_INIT;
    weir_pool *pool = new_pool_as(
        WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2, .capacity = 8, .overflow = overflow));
    saturate(pool, &door, 1);
    int64_t deadline = patience();
    while (weir_pool_workers(pool) == 1) {
        ck_assert_int_lt(weir_now(), deadline);
        int err = weir_pool_submit(pool, counter_task, &runs);
        ck_assert(err == 0 || err == -EAGAIN);
    }
    gate_open(&door);
    finish_pool(pool);
}

START_TEST(a_pool_that_drops_grows)
{
    grows_although_the_queue_moves(WEIR_OVERFLOW_DROP_OLDEST);
}
END_TEST

START_TEST(a_pool_whose_callers_run_what_does_not_fit_grows)
{
    grows_although_the_queue_moves(WEIR_OVERFLOW_CALLER_RUNS);
}
END_TEST

START_TEST(a_full_queue_is_enough_for_growth)
{
    enum { MOST = 6 };
    gate door = GATE_INIT;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 4, .workers_max = MOST, .capacity = 2));
    int64_t deadline = patience();
    while (gate_arrived(&door) < MOST) {
        ck_assert_int_lt(weir_now(), deadline);
        int err = weir_pool_try_submit(pool, gate_task, &door);
        ck_assert(err == 0 || err == -EAGAIN);
    }
    gate_open(&door);
    finish_pool(pool);
}
END_TEST

struct waiter {
    weir_waitgroup group;
    gate door;
};

static int wait_and_keep_worker(weir_context *ctx, void *arg)
{
    struct waiter *waiter = arg;
    int err = weir_waitgroup_wait(&waiter->group);
    gate_wait(&waiter->door);
    (void)ctx;
    return err;
}

static int as_soon_as_something_waits(const weir_growth *growth, void *user)
{
    (void)user;
    return growth->queued > 0;
}

/* The worker is busy since the end of its wait, and the task comes by the clock: nobody submits. */
START_TEST(a_task_that_comes_due_behind_the_end_of_a_wait_makes_a_pool_grow)
{
    struct waiter waiter = {.group = WEIR_WAITGROUP_INIT, .door = GATE_INIT};
    counter runs = COUNTER_INIT;
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool = new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2,
                                                    .growth_rule = as_soon_as_something_waits));
    weir_waitgroup_add(&waiter.group, 1);
    ck_assert_int_eq(weir_pool_submit(pool, wait_and_keep_worker, &waiter), 0);
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &task, counter_task, &runs, NULL, weir_after(WEIR_MS(20))),
        0);
    weir_waitgroup_done(&waiter.group);
    gate_await(&waiter.door, 1);
    counter_await(&runs, 1);
    gate_open(&waiter.door);
    finish_pool(pool);
}
END_TEST

struct entrant {
    weir_serial serial;
    weir_task task;
    counter asked, runs;
    int err;
};

/* Whoever asks holds nothing of weir's. */
static int enter_the_serial(const weir_growth *growth, void *user)
{
    struct entrant *entrant = user;
    (void)growth;
    if (counter_get(&entrant->asked) == 0)
        entrant->err = weir_serial_try_submit(&entrant->serial, &entrant->task, counter_task,
                                              &entrant->runs, NULL);
    counter_add(&entrant->asked, 1);
    return 0;
}

START_TEST(the_rule_is_asked_with_no_lock_held)
{
    enum { TASKS = 50 };
    gate door = GATE_INIT;
    struct entrant entrant = {
        .task = WEIR_TASK_INIT, .asked = COUNTER_INIT, .runs = COUNTER_INIT, .err = -1};
    weir_task tasks[TASKS] = {WEIR_TASK_INIT};
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2,
                                      .growth_rule = enter_the_serial, .user = &entrant));
    ck_assert_int_eq(weir_serial_init(&entrant.serial, pool, NULL), 0);
    saturate(pool, &door, 1);
    for (int i = 0; i < TASKS; i++)
        ck_assert_int_eq(
            weir_serial_submit(&entrant.serial, &tasks[i], counter_task, &entrant.runs, NULL), 0);
    counter_await(&entrant.asked, 1);
    gate_open(&door);
    counter_await(&entrant.runs, TASKS + 1);
    ck_assert_int_eq(entrant.err, 0);
    ck_assert_int_eq(weir_serial_drain(&entrant.serial), 0);
    weir_serial_destroy(&entrant.serial);
    finish_pool(pool);
}
END_TEST

struct shutter {
    weir_pool *pool;
    counter asked;
    int err;
};

static int shut_down(const weir_growth *growth, void *user)
{
    struct shutter *shutter = user;
    (void)growth;
    shutter->err = weir_pool_shutdown(shutter->pool, 0, WEIR_FOREVER, NULL);
    counter_add(&shutter->asked, 1);
    return 0;
}

START_TEST(the_rule_cannot_shut_its_pool_down)
{
    gate door = GATE_INIT;
    struct shutter shutter = {.asked = COUNTER_INIT};
    weir_pool *pool = new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2,
                                                    .growth_rule = shut_down, .user = &shutter));
    shutter.pool = pool;
    submit_gate_tasks(pool, &door, 2);
    counter_await(&shutter.asked, 1);
    gate_open(&door);
    finish_pool(pool);
    ck_assert_int_eq(shutter.err, -EDEADLK);
}
END_TEST

/* Shrinking. */

static void let_grow(weir_pool *pool, gate *door, unsigned to)
{
    submit_gate_tasks(pool, door, 4 * to);
    gate_await(door, to);
    ck_assert_uint_eq(weir_pool_workers(pool), to);
}

START_TEST(workers_that_have_nothing_to_do_leave_and_others_come)
{
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 4, .idle_timeout = WEIR_MS(2)));
    for (unsigned i = 1; i <= 3; i++) {
        gate door = GATE_INIT;
        let_grow(pool, &door, 4);
        gate_open(&door);
        await_workers(pool, 1);
        ck_assert_int_eq(weir_pool_drain(pool), 0);
        ck_assert_uint_ge(stats_of(pool).grown, 3 * i);
    }
    finish_pool(pool);
}
END_TEST

/* Wakes go to all in turn: none is ever idle for long. */
START_TEST(a_light_load_that_keeps_all_of_them_awake_does_not_keep_them)
{
    gate door = GATE_INIT;
    counter runs = COUNTER_INIT;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 4, .idle_timeout = WEIR_MS(20)));
    let_grow(pool, &door, 4);
    gate_open(&door);
    int64_t deadline = patience();
    for (size_t n = 1; weir_pool_workers(pool) > 1; n++) {
        ck_assert_int_lt(weir_now(), deadline);
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &runs), 0);
        counter_await(&runs, n);
    }
    finish_pool(pool);
}
END_TEST

static int default_rule_until(const weir_growth *growth, void *user)
{
    const atomic_bool *over = user;
    return !atomic_load(over) && weir_growth_rule(growth, NULL);
}

/* A right must not outlive its worker: then the next task would bring one without the rule. */
START_TEST(a_pool_that_shrinks_does_not_grow_without_its_rule)
{
    enum { MOST = 6, TOGETHER = 2 };
    gate door = GATE_INIT;
    counter runs = COUNTER_INIT;
    atomic_bool over = false;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = MOST, .idle_timeout = 1,
                                      .growth_rule = default_rule_until, .user = &over));
    let_grow(pool, &door, MOST);
    atomic_store(&over, true);
    gate_open(&door);
    int64_t end = weir_after(WEIR_MS(300));
    for (size_t n = TOGETHER; weir_now() < end; n += TOGETHER) {
        for (int i = 0; i < TOGETHER; i++)
            ck_assert_int_eq(weir_pool_submit(pool, counter_task, &runs), 0);
        counter_await(&runs, n);
    }
    ck_assert_uint_eq(stats_of(pool).grown, MOST - 1);
    finish_pool(pool);
}
END_TEST

/* Time goes by for the manager, in vain: nobody may leave. */
START_TEST(idle_workers_that_may_not_leave_sleep_on)
{
    enum { BLOCKED = 3 };
    gate door = GATE_INIT;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 2, .workers_max = 5, .idle_timeout = 1));
    for (int i = 0; i < BLOCKED; i++)
        ck_assert_int_eq(weir_pool_submit(pool, blocking_gate_task, &door), 0);
    gate_await(&door, BLOCKED);
    ck_assert_int_eq(weir_pool_resize(pool, 5), 0);
    await_workers(pool, 5);
    ck_assert_int_eq(weir_pool_resize(pool, 2), 0);
    int64_t deadline = patience();
    uint64_t before;
    do {
        ck_assert_int_lt(weir_now(), deadline);
        before = stats_of(pool).parks;
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(50))), 0);
    } while (stats_of(pool).parks != before);
    gate_open(&door);
    finish_pool(pool);
}
END_TEST

START_TEST(a_resize_is_the_least_to_which_a_pool_shrinks)
{
    gate door = GATE_INIT;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 4, .idle_timeout = WEIR_MS(2)));
    let_grow(pool, &door, 4);
    ck_assert_int_eq(weir_pool_resize(pool, 2), 0);
    gate_open(&door);
    await_workers(pool, 2);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(weir_pool_workers(pool), 2);
    finish_pool(pool);
}
END_TEST

/* Threads. */

struct hooks {
    atomic_uint starts, stops, refusals;
    int64_t refused[4]; /* when the first ones were */
    atomic_uint present[8];
    atomic_bool twice, refuses;
};

static int note_start(unsigned index, void *user)
{
    struct hooks *hooks = user;
    if (atomic_load(&hooks->refuses)) {
        unsigned before = atomic_load(&hooks->refusals); /* one thread at a time */
        if (before < 4)
            hooks->refused[before] = weir_now();
        atomic_fetch_add(&hooks->refusals, 1);
        return -EIO;
    }
    if (index >= 8 || atomic_fetch_add(&hooks->present[index], 1) != 0)
        atomic_store(&hooks->twice, true);
    atomic_fetch_add(&hooks->starts, 1);
    return 0;
}

static void note_stop(unsigned index, void *user)
{
    struct hooks *hooks = user;
    atomic_fetch_sub(&hooks->present[index], 1);
    atomic_fetch_add(&hooks->stops, 1);
}

START_TEST(each_worker_that_comes_and_goes_is_told_and_has_an_index_of_its_own)
{
    struct hooks hooks = {0};
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 8, .idle_timeout = WEIR_MS(2),
                                      .on_worker_start = note_start, .on_worker_stop = note_stop,
                                      .user = &hooks));
    for (int i = 0; i < 2; i++) {
        gate door = GATE_INIT;
        let_grow(pool, &door, 8);
        gate_open(&door);
        await_workers(pool, 1);
    }
    weir_pool_free(pool);
    ck_assert_uint_ge(atomic_load(&hooks.starts), 15);
    ck_assert_uint_eq(atomic_load(&hooks.stops), atomic_load(&hooks.starts));
    ck_assert(!atomic_load(&hooks.twice));
}
END_TEST

START_TEST(a_worker_that_refuses_to_start_is_counted_and_no_task_suffers)
{
    struct hooks hooks = {0};
    gate door = GATE_INIT;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2, .on_worker_start = note_start,
                                      .on_worker_stop = note_stop, .user = &hooks));
    atomic_store(&hooks.refuses, true);
    submit_gate_tasks(pool, &door, 8);
    int64_t deadline = patience();
    while (stats_of(pool).not_grown < 4) {
        ck_assert_int_lt(weir_now(), deadline);
        (void)sched_yield();
    }
    ck_assert_uint_eq(stats_of(pool).grown, 0);
    atomic_store(&hooks.refuses, false);
    gate_await(&door, 2);
    gate_open(&door);
    finish_pool(pool);
    ck_assert_uint_ge(atomic_load(&hooks.refusals), 4);
    for (int i = 0; i < 3; i++) /* each pause is twice as long */
        ck_assert_int_ge(hooks.refused[i + 1] - hooks.refused[i], WEIR_MS(1) << i);
    ck_assert_uint_eq(atomic_load(&hooks.starts), 2);
    ck_assert_uint_eq(atomic_load(&hooks.stops), 2);
}
END_TEST

/* A cancellation that is still to come must not find a worker that is no more. */
static void test_cancel(unsigned index, void *user)
{
    note_stop(index, user);
    pthread_testcancel();
}

static int cancel_own_thread(weir_context *ctx, void *arg)
{
    gate_task(ctx, arg);
    return -pthread_cancel(pthread_self());
}

START_TEST(a_worker_that_leaves_cannot_be_cancelled_any_more)
{
    struct hooks hooks = {0};
    gate door = GATE_INIT;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 2, .workers_max = 2, .on_worker_start = note_start,
                                      .on_worker_stop = test_cancel, .user = &hooks));
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weir_pool_submit(pool, cancel_own_thread, &door), 0);
    gate_await(&door, 2);
    ck_assert_int_eq(weir_pool_resize(pool, 1), 0);
    gate_open(&door);
    await_workers(pool, 1);
    weir_pool_free(pool);
    ck_assert_uint_eq(atomic_load(&hooks.stops), atomic_load(&hooks.starts));
    ck_assert(!atomic_load(&hooks.twice));
}
END_TEST

static void exit_thread(unsigned index, void *user)
{
    note_stop(index, user);
    pthread_exit(NULL);
}

START_TEST(a_worker_whose_hook_ends_its_thread_has_left_all_the_same)
{
    struct hooks hooks = {0};
    gate door = GATE_INIT;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 3, .workers_max = 3, .on_worker_start = note_start,
                                      .on_worker_stop = exit_thread, .user = &hooks));
    ck_assert_int_eq(weir_pool_resize(pool, 1), 0);
    await_workers(pool, 1);
    ck_assert_int_eq(weir_pool_resize(pool, 3), 0);
    saturate(pool, &door, 3);
    ck_assert_uint_eq(weir_pool_workers(pool), 3);
    gate_open(&door);
    finish_pool(pool);
    ck_assert_uint_eq(atomic_load(&hooks.starts), 5);
    ck_assert_uint_eq(atomic_load(&hooks.stops), 5);
    ck_assert(!atomic_load(&hooks.twice));
}
END_TEST

static int note_policy(unsigned index, void *user)
{
    atomic_int *other = user;
    (void)index;
    if (sched_getscheduler(0) != SCHED_OTHER)
        atomic_fetch_add(other, 1);
    return 0;
}

/* The thread that finds a worker missing has another policy than the one that made the pool. */
static int block_as_batch(weir_context *ctx, void *arg)
{
    struct sched_param none = {0};
    if (sched_setscheduler(0, SCHED_BATCH, &none) != 0)
        return -errno;
    return blocking_gate_task(ctx, arg);
}

START_TEST(workers_are_scheduled_like_the_thread_that_made_the_pool)
{
    gate door = GATE_INIT;
    atomic_int others = 0;
    counter runs = COUNTER_INIT;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2,
                                      .on_worker_start = note_policy, .user = &others));
    ck_assert_int_eq(weir_pool_submit(pool, block_as_batch, &door), 0);
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &runs), 0);
    counter_await(&runs, 1);
    gate_await(&door, 1);
    gate_open(&door);
    finish_pool(pool);
    ck_assert_int_eq(atomic_load(&others), 0);
}
END_TEST

static int end_thread(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    pthread_exit(NULL);
}

START_TEST(a_worker_that_dies_is_replaced_also_where_the_size_changes)
{
    gate door = GATE_INIT;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 3, .idle_timeout = WEIR_MS(2)));
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(weir_pool_submit(pool, end_thread, NULL), 0);
    let_grow(pool, &door, 3);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(weir_pool_submit(pool, end_thread, NULL), 0);
    gate_open(&door);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    await_workers(pool, 1);
    finish_pool(pool);
}
END_TEST

START_TEST(a_dump_says_how_many_there_may_be_and_leaves_out_who_is_not_there)
{
    weir_pool *pool = new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 8, .name = "net"));
    ck_assert(dump_has(pool, "pool \"net\": open, 1 worker of 1 to 8, 0 blocking, 1 turn\n"));
    ck_assert(dump_has(pool, "worker 0 ("));
    ck_assert(!dump_has(pool, "worker 1 ("));
    finish_pool(pool);
}
END_TEST

START_TEST(turns_that_were_not_used_go_although_the_workers_are_needed)
{
    gate door = GATE_INIT, blocked = GATE_INIT;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 3, .idle_timeout = WEIR_MS(2)));
    let_grow(pool, &door, 3);
    ck_assert(dump_has(pool, " 3 turns\n"));
    gate_open(&door);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weir_pool_submit(pool, blocking_gate_task, &blocked), 0);
    gate_await(&blocked, 2);
    int64_t deadline = patience();
    while (!dump_has(pool, ", 2 blocking, 1 turn\n")) {
        ck_assert_int_lt(weir_now(), deadline);
        (void)sched_yield();
    }
    gate_open(&blocked);
    finish_pool(pool);
}
END_TEST

static int only_in_the_parent(weir_context *ctx, void *arg)
{
    atomic_uint *runs = arg;
    (void)ctx;
    atomic_fetch_add(runs, 1);
    return 0;
}

struct forker {
    atomic_uint *runs; /* shared with the child */
    gate door;
    pid_t child;
    int status;
};

/* A wait in the child: it has no worker that could go on in the meantime. */
static int fork_and_wait(weir_context *ctx, void *arg)
{
    struct forker *forker = arg;
    gate_wait(&forker->door);
    forker->child = fork();
    if (forker->child == 0) {
        int err = weir_sleep_until(ctx, weir_after(WEIR_MS(30)));
        _exit(err == 0 ? (int)atomic_load(forker->runs) : 100);
    }
    (void)waitpid(forker->child, &forker->status, 0);
    return 0;
}

START_TEST(a_child_of_fork_that_waits_runs_nothing_of_the_pool)
{
    struct forker forker = {.door = GATE_INIT, .child = -1, .status = -1};
    forker.runs =
        mmap(NULL, sizeof *forker.runs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(forker.runs, MAP_FAILED);
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2, .growth_rule = never));
    ck_assert_int_eq(weir_pool_submit(pool, fork_and_wait, &forker), 0);
    ck_assert_int_eq(weir_pool_submit(pool, only_in_the_parent, forker.runs), 0);
    gate_open(&forker.door);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_int_gt(forker.child, 0);
    ck_assert_int_eq(forker.status, 0);
    ck_assert_uint_eq(atomic_load(forker.runs), 1);
    ck_assert_int_eq(munmap(forker.runs, sizeof *forker.runs), 0);
    finish_pool(pool);
}
END_TEST

START_TEST(a_child_of_fork_cannot_resize)
{
    weir_pool *pool = new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        int err = weir_pool_resize(pool, 2);
        weir_pool_free(pool);
        _exit(err == -ESTALE ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    finish_pool(pool);
}
END_TEST

/* Misuse. */

static int end_this_thread(void)
{
    pthread_exit(NULL);
}

static int end_at_start(unsigned index, void *user)
{
    (void)index;
    (void)user;
    return end_this_thread();
}

static void end_at_stop(unsigned index, void *user)
{
    (void)index;
    (void)user;
    (void)end_this_thread();
}

static int end_in_rule(const weir_growth *growth, void *user)
{
    (void)growth;
    (void)user;
    return end_this_thread();
}

/* A task that waits while others are queued, then tasks that end their thread. */
static void run_deadly_tasks(void *arg)
{
    gate door = GATE_INIT;
    weir_pool *pool = new_pool_as(arg);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(weir_pool_submit(pool, i == 0 ? gate_task : end_thread, &door), 0);
    gate_await(&door, 1);
    if (weir_pool_workers_max(pool) == 1)
        gate_open(&door);
    for (;;)
        (void)pause();
}

START_TEST(a_hook_that_ends_its_thread_aborts)
{
    assert_aborts(run_deadly_tasks,
                  WEIR_POOL_OPTIONS(.workers = 1, .on_worker_start = end_at_start),
                  "on_worker_start: it must not end its thread");
    assert_aborts(run_deadly_tasks, WEIR_POOL_OPTIONS(.workers = 1, .on_worker_stop = end_at_stop),
                  "on_worker_stop: it must not end its thread");
    assert_aborts(run_deadly_tasks,
                  WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 1, .on_worker_stop = end_at_stop),
                  "on_worker_stop: it must not end its thread");
    assert_aborts(run_deadly_tasks,
                  WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2, .growth_rule = end_in_rule),
                  "growth_rule: it must not end its thread");
}
END_TEST

/* The end of a pool, while it grows. */
START_TEST(a_pool_can_be_freed_while_it_grows)
{
    for (int i = 0; i < 20; i++) {
        counter runs = COUNTER_INIT;
        weir_pool *pool =
            new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 8, .capacity = 64));
        for (int k = 0; k < 32; k++)
            ck_assert_int_eq(weir_pool_submit(pool, counter_task, &runs), 0);
        ck_assert_int_eq(weir_pool_resize(pool, 1 + (unsigned)i % 8), 0);
        weir_pool_free(pool);
    }
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("size");
    TCase *arguments = add_group(suite, "arguments");
    tcase_add_test(arguments, options_out_of_range_are_refused);
    tcase_add_test(arguments, the_default_number_of_workers_is_at_most_workers_max);
    tcase_add_test(arguments, resize_refuses_what_it_cannot_do);
    tcase_add_test(arguments, the_rule_takes_null);
    TCase *resize = add_group(suite, "resize");
    tcase_add_test(resize, a_resize_adds_workers);
    tcase_add_test(resize, a_resize_from_a_task_below_what_runs_waits_for_no_task);
    tcase_add_test(resize, workers_leave_a_pool_that_is_always_busy);
    tcase_add_test(resize, workers_that_block_leave_too_when_they_are_back);
    tcase_add_test(resize, a_resize_serves_all_that_wait_for_a_turn);
    tcase_add_test(resize, two_threads_may_resize_at_once);
    TCase *growth = add_group(suite, "growth");
    tcase_add_test(growth, a_pool_in_which_nothing_starts_grows_to_workers_max);
    tcase_add_test(growth, two_tasks_a_worker_may_wait_without_growth);
    tcase_add_test(growth, another_rule_takes_the_place_of_the_first);
    tcase_add_test(growth, what_a_waiting_worker_helps_with_is_no_stall);
    tcase_add_test(growth, what_a_worker_runs_in_place_is_no_stall);
    tcase_add_test(growth, a_pool_that_drops_grows);
    tcase_add_test(growth, a_pool_whose_callers_run_what_does_not_fit_grows);
    tcase_add_test(growth, a_full_queue_is_enough_for_growth);
    tcase_add_test(growth, a_task_that_comes_due_behind_the_end_of_a_wait_makes_a_pool_grow);
    tcase_add_test(growth, the_rule_is_asked_with_no_lock_held);
    tcase_add_test(growth, the_rule_cannot_shut_its_pool_down);
    TCase *shrinking = add_group(suite, "shrinking");
    tcase_add_test(shrinking, workers_that_have_nothing_to_do_leave_and_others_come);
    tcase_add_test(shrinking, a_light_load_that_keeps_all_of_them_awake_does_not_keep_them);
    tcase_add_test(shrinking, a_pool_that_shrinks_does_not_grow_without_its_rule);
    tcase_add_test(shrinking, idle_workers_that_may_not_leave_sleep_on);
    tcase_add_test(shrinking, a_resize_is_the_least_to_which_a_pool_shrinks);
    tcase_add_test(shrinking, turns_that_were_not_used_go_although_the_workers_are_needed);
    TCase *threads = add_group(suite, "threads");
    tcase_add_test(threads, each_worker_that_comes_and_goes_is_told_and_has_an_index_of_its_own);
    tcase_add_test(threads, a_worker_that_refuses_to_start_is_counted_and_no_task_suffers);
    tcase_add_test(threads, a_worker_that_leaves_cannot_be_cancelled_any_more);
    tcase_add_test(threads, a_worker_whose_hook_ends_its_thread_has_left_all_the_same);
    tcase_add_test(threads, workers_are_scheduled_like_the_thread_that_made_the_pool);
    tcase_add_test(threads, a_worker_that_dies_is_replaced_also_where_the_size_changes);
    TCase *others = add_group(suite, "others");
    tcase_add_test(others, a_dump_says_how_many_there_may_be_and_leaves_out_who_is_not_there);
    tcase_add_test(others, a_child_of_fork_that_waits_runs_nothing_of_the_pool);
    tcase_add_test(others, a_child_of_fork_cannot_resize);
    tcase_add_test(others, a_hook_that_ends_its_thread_aborts);
    tcase_add_test(others, a_pool_can_be_freed_while_it_grows);
    return suite;
}
