/* SPDX-License-Identifier: MIT */
/* timer.c - delayed and periodic tasks: when they start, what ends them, whose places they take. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

static const int64_t hour = 3600 * WEIR_S(1);

static weir_pool *new_timing_pool(unsigned workers, unsigned capacity, unsigned timers,
                                  weir_overflow overflow)
{
    return new_pool_as(WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity, .timers = timers,
                                         .overflow = overflow));
}

static weir_pool_counts counts_of(const weir_pool *pool)
{
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    return counts;
}

static void assert_waited(weir_task *task)
{
    ck_assert_int_eq(weir_task_wait_until(task, NULL, patience()), 0);
}

#define assert_end(task, state, code)                                                              \
    do {                                                                                           \
        ck_assert_int_eq(weir_task_try_wait(task), 0);                                             \
        ck_assert_int_eq(weir_task_state(task), (state));                                          \
        ck_assert_int_eq(weir_task_status(task), (code));                                          \
    } while (0)

/* What was told of the end of a task. */
struct told {
    atomic_int ends, end, status;
};

static void tell(void *arg, weir_state end, int status)
{
    struct told *told = arg;
    atomic_store(&told->end, (int)end);
    atomic_store(&told->status, status);
    atomic_fetch_add(&told->ends, 1);
}

static int ignore(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

/* Delayed tasks. */

static int note_time(weir_context *ctx, void *arg)
{
    (void)ctx;
    *(int64_t *)arg = weir_now();
    return 0;
}

START_TEST(a_delayed_task_starts_when_its_time_has_come_and_not_before)
{
    weir_pool *pool = new_pool(2, 4);
    for (int i = 0; i < 5; i++) {
        weir_task task = WEIR_TASK_INIT;
        int64_t at = weir_after(WEIR_MS(5 * i)), started = 0;
        ck_assert_int_eq(weir_pool_submit_task_at(pool, &task, note_time, &started, NULL, at), 0);
        assert_waited(&task);
        assert_end(&task, WEIR_TASK_DONE, 0);
        ck_assert_int_ge(started, at);
    }
    finish_counted(pool);
}
END_TEST

START_TEST(a_time_that_has_passed_means_at_once)
{
    static const int64_t past[] = {0, -1, 1, INT64_MIN};
    weir_pool *pool = new_pool(1, 1);
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        weir_task task = WEIR_TASK_INIT;
        ck_assert_int_eq(weir_pool_submit_task_at(pool, &task, ignore, NULL, NULL, past[i]), 0);
        assert_waited(&task);
        assert_end(&task, WEIR_TASK_DONE, 0);
    }
    finish_counted(pool);
}
END_TEST

struct numbered {
    recorder *log;
    int number;
};

static int record_number(weir_context *ctx, void *arg)
{
    struct numbered *numbered = arg;
    (void)ctx;
    recorder_add(numbered->log, numbered->number);
    return 0;
}

enum { ORDERED = 12 };

/* Submits three tasks for each of four times, the latest first. False: the machine was so slow that
 * the first was due before the last was submitted. */
static bool run_in_order(recorder *log, int64_t lead)
{
    weir_pool *pool = new_timing_pool(1, 2, ORDERED, WEIR_OVERFLOW_BLOCK);
    weir_task tasks[ORDERED] = {WEIR_TASK_INIT};
    struct numbered numbered[ORDERED];
    int64_t base = weir_after(lead);
    for (int i = 0; i < ORDERED; i++) {
        int group = (ORDERED - 1 - i) / 3;
        numbered[i] = (struct numbered){log, group * 3 + i % 3};
        ck_assert_int_eq(weir_pool_submit_task_at(pool, &tasks[i], record_number, &numbered[i],
                                                  NULL, base + WEIR_US(100) * group),
                         0);
    }
    bool in_time = weir_now() < base;
    for (int i = 0; i < ORDERED; i++)
        assert_waited(&tasks[i]);
    finish_counted(pool);
    return in_time;
}

START_TEST(delayed_tasks_start_in_order_of_time_and_equal_times_in_order_of_submit)
{
    static recorder logs[12];
    size_t last = 0;
    for (int64_t lead = WEIR_MS(5);; lead *= 2) {
        logs[last] = (recorder)RECORDER_INIT;
        if (run_in_order(&logs[last], lead))
            break;
        ck_assert_uint_lt(++last, sizeof logs / sizeof logs[0]);
    }
    for (int i = 0; i < ORDERED; i++)
        ck_assert_int_eq(recorder_at(&logs[last], (size_t)i), i);
}
END_TEST

START_TEST(a_task_that_waits_for_its_time_is_queued_but_takes_no_room_in_the_queue)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_timing_pool(1, 1, 3, WEIR_OVERFLOW_BLOCK);
    weir_task tasks[3] = {WEIR_TASK_INIT, WEIR_TASK_INIT, WEIR_TASK_INIT};
    saturate(pool, &hold, 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(
            weir_pool_submit_task_at(pool, &tasks[i], ignore, NULL, NULL, weir_after(hour)), 0);
    weir_pool_counts counts = counts_of(pool);
    ck_assert_uint_eq(counts.submitted, 4u);
    ck_assert_uint_eq(counts.delayed, 3u);
    ck_assert_uint_eq(counts.queued, 0u);
    ck_assert_uint_eq(counts.running, 1u);
    ck_assert_uint_eq(weir_pool_queued(pool), 0u);
    ck_assert_int_eq(weir_task_state(&tasks[0]), WEIR_TASK_QUEUED);
    ck_assert_int_eq(weir_task_status(&tasks[0]), -EINPROGRESS);
    ck_assert_int_eq(weir_task_try_wait(&tasks[0]), -EAGAIN);
    ck_assert_int_eq(weir_task_wait_until(&tasks[0], NULL, weir_after(WEIR_MS(1))), -ETIMEDOUT);
    ck_assert_int_eq(weir_pool_try_submit(pool, ignore, NULL), 0);
    ck_assert_int_eq(weir_pool_try_submit(pool, ignore, NULL), -EAGAIN);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(weir_task_cancel(&tasks[i]), 0);
        assert_end(&tasks[i], WEIR_TASK_CANCELLED, -ECANCELED);
    }
    ck_assert_uint_eq(counts_of(pool).delayed, 0u);
    gate_open(&hold);
    finish_counted(pool);
}
END_TEST

START_TEST(a_pool_has_as_many_places_as_its_option_says_and_a_cancel_gives_one_back)
{
    enum { MOST = 5 };
    for (unsigned timers = 0; timers <= MOST; timers++) {
        unsigned places = timers != 0 ? timers : 3;
        weir_pool *pool = new_timing_pool(1, 3, timers, WEIR_OVERFLOW_BLOCK);
        weir_task tasks[MOST + 1] = {WEIR_TASK_INIT};
        struct told told = {0};
        const weir_task_options *options = WEIR_TASK_OPTIONS(.on_done = tell);
        for (unsigned i = 0; i < places; i++)
            ck_assert_int_eq(
                weir_pool_submit_task_at(pool, &tasks[i], ignore, &told, options, weir_after(hour)),
                0);
        for (int lap = 0; lap < 3; lap++) {
            ck_assert_int_eq(
                weir_pool_submit_task_at(pool, &tasks[places], ignore, &told, options, 0), -EAGAIN);
            ck_assert_int_eq(weir_task_state(&tasks[places]), WEIR_TASK_IDLE);
            ck_assert_int_eq(weir_task_cancel(&tasks[0]), 0);
            ck_assert_int_eq(atomic_load(&told.ends), lap + 1);
            ck_assert_int_eq(
                weir_pool_submit_task_at(pool, &tasks[0], ignore, &told, options, WEIR_FOREVER), 0);
        }
        ck_assert_uint_eq(counts_of(pool).rejected, 3u);
        weir_pool_free(pool);
        ck_assert_int_eq(atomic_load(&told.ends), (int)places + 3);
    }
}
END_TEST

START_TEST(arguments_that_can_never_be_valid_are_refused)
{
    weir_pool *pool = new_pool(1, 1), *none = NULL;
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_new(&none, WEIR_POOL_OPTIONS(.timers = (1u << 22) + 1)), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_task_at(NULL, &task, ignore, NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, NULL, ignore, NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &task, NULL, NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &task, ignore, NULL, WEIR_TASK_OPTIONS(.start_by = -1), 0),
        -EINVAL);
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &task, ignore, NULL, WEIR_TASK_OPTIONS(.timeout = -1), 0),
        -EINVAL);
    ck_assert_int_eq(weir_pool_submit_every(NULL, &task, ignore, NULL, NULL, 0, 1), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_every(pool, NULL, ignore, NULL, NULL, 0, 1), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_every(pool, &task, NULL, NULL, NULL, 0, 1), -EINVAL);
    static const int64_t never[] = {0, -1, INT64_MIN};
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(weir_pool_submit_every(pool, &task, ignore, NULL, NULL, 0, never[i]),
                         -EINVAL);
    weir_task_options options;
    weir_task_options_init(&options);
    options.size = 1;
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &task, ignore, NULL, &options, 0), -EINVAL);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
    ck_assert_uint_eq(counts_of(pool).submitted, 0u);
    finish_counted(pool);
}
END_TEST

START_TEST(a_start_by_that_cannot_be_met_is_refused)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    int64_t at = weir_after(hour);
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &task, ignore, NULL, WEIR_TASK_OPTIONS(.start_by = 1), 0),
        -ETIMEDOUT);
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &task, ignore, NULL, WEIR_TASK_OPTIONS(.start_by = at), at),
        -ETIMEDOUT);
    ck_assert_int_eq(weir_pool_submit_every(pool, &task, ignore, NULL,
                                            WEIR_TASK_OPTIONS(.start_by = at - 1), at, 1),
                     -ETIMEDOUT);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &task, ignore, NULL,
                                              WEIR_TASK_OPTIONS(.start_by = at + 1), at),
                     0);
    ck_assert_int_eq(weir_task_cancel(&task), 0);
    ck_assert_uint_eq(counts_of(pool).rejected, 3u);
    finish_counted(pool);
}
END_TEST

START_TEST(a_live_task_cannot_be_submitted_again_and_one_that_is_over_can_in_any_way)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    counter ran = COUNTER_INIT;
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &task, counter_task, &ran, NULL, weir_after(hour)), 0);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &task, counter_task, &ran, NULL, 0), -EBUSY);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, counter_task, &ran, NULL), -EBUSY);
    ck_assert_int_eq(weir_pool_submit_every(pool, &task, counter_task, &ran, NULL, 0, 1), -EBUSY);
    ck_assert_int_eq(weir_task_cancel(&task), 0);
    ck_assert_int_eq(weir_task_cancel(&task), -EALREADY);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, counter_task, &ran, NULL), 0);
    assert_waited(&task);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &task, counter_task, &ran, NULL, weir_now()),
                     0);
    assert_waited(&task);
    ck_assert_uint_eq(counter_get(&ran), 2u);
    finish_counted(pool);
}
END_TEST

/* Due, but the queue is full. */

struct crowd {
    gate hold;
    counter ran;
    weir_pool *pool;
    weir_task queued;
};

#define CROWD_INIT                                                                                 \
    {                                                                                              \
        .hold = GATE_INIT, .ran = COUNTER_INIT, .queued = WEIR_TASK_INIT                           \
    }

/* A pool with its one worker held and its queue full. */
static void make_crowd(struct crowd *crowd, weir_overflow overflow)
{
    crowd->pool = new_timing_pool(1, 1, 4, overflow);
    saturate(crowd->pool, &crowd->hold, 1);
    ck_assert_int_eq(
        weir_pool_submit_task(crowd->pool, &crowd->queued, counter_task, &crowd->ran, NULL), 0);
}

static void release_crowd(struct crowd *crowd)
{
    gate_open(&crowd->hold);
    assert_waited(&crowd->queued);
    assert_end(&crowd->queued, WEIR_TASK_DONE, 0);
}

static pid_t timer_thread(void);

/* Until the clock's thread sleeps, most likely because it has found no room. */
static void await_no_room(void)
{
    thread_await_asleep(timer_thread());
}

START_TEST(a_due_task_waits_for_room_whatever_the_overflow_policy)
{
    for (int policy = WEIR_OVERFLOW_BLOCK; policy <= WEIR_OVERFLOW_DROP_OLDEST; policy++) {
        struct crowd crowd = CROWD_INIT;
        weir_task task = WEIR_TASK_INIT;
        make_crowd(&crowd, (weir_overflow)policy);
        ck_assert_int_eq(
            weir_pool_submit_task_at(crowd.pool, &task, counter_task, &crowd.ran, NULL, 0), 0);
        await_no_room();
        ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
        ck_assert_uint_eq(counts_of(crowd.pool).delayed, 1u);
        ck_assert_uint_eq(weir_pool_queued(crowd.pool), 1u);
        release_crowd(&crowd);
        assert_waited(&task);
        assert_end(&task, WEIR_TASK_DONE, 0);
        ck_assert_uint_eq(counter_get(&crowd.ran), 2u);
        finish_counted(crowd.pool);
    }
}
END_TEST

START_TEST(a_task_that_is_due_and_waits_for_room_can_be_cancelled_at_once)
{
    struct crowd crowd = CROWD_INIT;
    weir_task tasks[3] = {WEIR_TASK_INIT, WEIR_TASK_INIT, WEIR_TASK_INIT};
    struct told told = {0};
    make_crowd(&crowd, WEIR_OVERFLOW_BLOCK);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_pool_submit_task_at(crowd.pool, &tasks[i], ignore, &told,
                                                  WEIR_TASK_OPTIONS(.on_done = tell), 0),
                         0);
    await_no_room();
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(weir_task_cancel(&tasks[i]), 0);
        assert_end(&tasks[i], WEIR_TASK_CANCELLED, -ECANCELED);
        ck_assert_int_eq(atomic_load(&told.ends), i + 1);
    }
    release_crowd(&crowd);
    assert_waited(&tasks[2]);
    assert_end(&tasks[2], WEIR_TASK_DONE, 0);
    finish_counted(crowd.pool);
}
END_TEST

START_TEST(a_task_that_is_due_and_waits_for_room_expires_at_its_start_by)
{
    struct crowd crowd = CROWD_INIT;
    weir_task task = WEIR_TASK_INIT;
    struct told told = {0};
    make_crowd(&crowd, WEIR_OVERFLOW_BLOCK);
    int err = -ETIMEDOUT; /* if the machine stands still meanwhile */
    for (int64_t lead = WEIR_MS(10); err == -ETIMEDOUT && lead < hour; lead *= 2)
        err = weir_pool_submit_task_at(
            crowd.pool, &task, ignore, &told,
            WEIR_TASK_OPTIONS(.on_done = tell, .start_by = weir_after(lead)), 0);
    ck_assert_int_eq(err, 0);
    /* Nobody waits for it: the clock's thread ends it. */
    while (weir_task_state(&task) == WEIR_TASK_QUEUED)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(1))), 0);
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_EXPIRED, -ETIMEDOUT);
    ck_assert_int_eq(atomic_load(&told.ends), 1);
    release_crowd(&crowd);
    finish_counted(crowd.pool);
}
END_TEST

/* False: the machine was so slow that the later one may have been due before both were there. */
static bool serve_an_earlier_alarm(recorder *log, int64_t lead)
{
    struct crowd crowd = CROWD_INIT;
    weir_task first = WEIR_TASK_INIT, second = WEIR_TASK_INIT, third = WEIR_TASK_INIT;
    struct numbered one = {log, 1}, two = {log, 2}, three = {log, 3};
    make_crowd(&crowd, WEIR_OVERFLOW_BLOCK);
    ck_assert_int_eq(weir_pool_submit_task_at(crowd.pool, &first, record_number, &one, NULL, 0), 0);
    await_no_room();
    int64_t later = weir_after(lead);
    ck_assert_int_eq(
        weir_pool_submit_task_at(crowd.pool, &third, record_number, &three, NULL, later), 0);
    ck_assert_int_eq(
        weir_pool_submit_task_at(crowd.pool, &second, record_number, &two, NULL, later - lead / 2),
        0);
    bool in_time = weir_now() < later;
    ck_assert_int_eq(weir_sleep_until(NULL, later + WEIR_MS(1)), 0);
    release_crowd(&crowd);
    assert_waited(&third);
    assert_waited(&second);
    finish_counted(crowd.pool);
    return in_time;
}

START_TEST(an_earlier_alarm_is_served_while_others_wait_for_room)
{
    static recorder logs[12];
    size_t last = 0;
    for (int64_t lead = WEIR_MS(2);; lead *= 2) {
        logs[last] = (recorder)RECORDER_INIT;
        if (serve_an_earlier_alarm(&logs[last], lead))
            break;
        ck_assert_uint_lt(++last, sizeof logs / sizeof logs[0]);
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(recorder_at(&logs[last], (size_t)i), i + 1);
}
END_TEST

/* Waiting for a delayed task inside the pool. */

static int wait_for_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_task_wait(arg);
}

START_TEST(workers_that_all_wait_for_delayed_tasks_run_them_when_they_are_due)
{
    for (unsigned workers = 1; workers <= 3; workers++) {
        weir_pool *pool = new_pool(workers, 4);
        weir_task tasks[3] = {WEIR_TASK_INIT}, waits[3] = {WEIR_TASK_INIT};
        int64_t started[3] = {0}, at = weir_after(WEIR_MS(20));
        for (unsigned i = 0; i < workers; i++) {
            ck_assert_int_eq(
                weir_pool_submit_task_at(pool, &tasks[i], note_time, &started[i], NULL, at), 0);
            ck_assert_int_eq(weir_pool_submit_task(pool, &waits[i], wait_for_task, &tasks[i], NULL),
                             0);
        }
        for (unsigned i = 0; i < workers; i++) {
            assert_waited(&waits[i]);
            assert_end(&waits[i], WEIR_TASK_DONE, 0);
            assert_end(&tasks[i], WEIR_TASK_DONE, 0);
            ck_assert_int_ge(started[i], at);
        }
        finish_counted(pool);
    }
}
END_TEST

START_TEST(a_worker_that_waits_for_a_delayed_task_needs_no_room_in_the_queue)
{
    weir_pool *pool = new_timing_pool(1, 1, 2, WEIR_OVERFLOW_BLOCK);
    weir_task task = WEIR_TASK_INIT, wait = WEIR_TASK_INIT, before = WEIR_TASK_INIT;
    counter ran = COUNTER_INIT;
    gate hold = GATE_INIT;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &wait, wait_for_task, &task, NULL), 0);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &before, counter_task, &ran, NULL, 0), 0);
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &task, counter_task, &ran, NULL, weir_after(WEIR_MS(10))),
        0);
    gate_open(&hold);
    assert_waited(&wait);
    assert_waited(&before);
    ck_assert_uint_eq(counter_get(&ran), 2u);
    finish_counted(pool);
}
END_TEST

START_TEST(a_thread_outside_that_helps_runs_a_delayed_task_when_it_is_due)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1,
                                                            .outside_waiters_help = 1)),
                     0);
    gate hold = GATE_INIT;
    weir_task task = WEIR_TASK_INIT;
    int64_t started = 0, at = weir_after(WEIR_MS(10));
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &task, note_time, &started, NULL, at), 0);
    assert_waited(&task);
    ck_assert_int_ge(started, at);
    gate_open(&hold);
    finish_counted(pool);
}
END_TEST

static int wait_shortly(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_task_wait_until(arg, NULL, weir_after(WEIR_MS(5)));
}

START_TEST(a_worker_may_give_up_waiting_for_a_delayed_task)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT, wait = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &task, ignore, NULL, NULL, weir_after(hour)),
                     0);
    ck_assert_int_eq(weir_pool_submit_task(pool, &wait, wait_shortly, &task, NULL), 0);
    assert_waited(&wait);
    ck_assert_int_eq(weir_task_status(&wait), -ETIMEDOUT);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
    ck_assert_int_eq(weir_task_cancel(&task), 0);
    finish_counted(pool);
}
END_TEST

/* Periodic tasks. */

struct ticker {
    int64_t first, period;
    atomic_int runs, inside, overlaps, repeated, last_run, result;
    atomic_llong last; /* number of the period in which the last run started */
    gate *hold;        /* the run number last_run waits here */
};

static int tick(weir_context *ctx, void *arg)
{
    struct ticker *ticker = arg;
    (void)ctx;
    if (atomic_fetch_add(&ticker->inside, 1) != 0)
        atomic_fetch_add(&ticker->overlaps, 1);
    long long number = (weir_now() - ticker->first) / ticker->period;
    if (weir_now() < ticker->first || number <= atomic_exchange(&ticker->last, number))
        atomic_fetch_add(&ticker->repeated, 1);
    int run = atomic_fetch_add(&ticker->runs, 1) + 1;
    if (run == atomic_load(&ticker->last_run) && ticker->hold != NULL)
        gate_wait(ticker->hold);
    atomic_fetch_sub(&ticker->inside, 1);
    return run == atomic_load(&ticker->last_run) ? atomic_load(&ticker->result) : 0;
}

static void init_ticker(struct ticker *ticker, int64_t first, int64_t period, int last_run)
{
    memset(ticker, 0, sizeof *ticker);
    ticker->first = first;
    ticker->period = period;
    atomic_store(&ticker->last, -1);
    atomic_store(&ticker->last_run, last_run);
    atomic_store(&ticker->result, -EIO);
}

START_TEST(a_periodic_task_runs_once_in_a_period_and_never_beside_itself)
{
    weir_pool *pool = new_pool(3, 4);
    weir_task task = WEIR_TASK_INIT;
    struct ticker ticker;
    init_ticker(&ticker, weir_after(WEIR_MS(2)), WEIR_MS(1), 30);
    ck_assert_int_eq(
        weir_pool_submit_every(pool, &task, tick, &ticker, NULL, ticker.first, ticker.period), 0);
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_FAILED, -EIO);
    ck_assert_int_eq(atomic_load(&ticker.runs), 30);
    ck_assert_int_eq(atomic_load(&ticker.overlaps), 0);
    ck_assert_int_eq(atomic_load(&ticker.repeated), 0);
    ck_assert_uint_eq(counts_of(pool).submitted, 1u);
    ck_assert_uint_eq(counts_of(pool).failed, 1u);
    finish_counted(pool);
}
END_TEST

START_TEST(times_that_pass_during_a_run_are_left_out)
{
    weir_pool *pool = new_pool(2, 4);
    weir_task task = WEIR_TASK_INIT;
    struct ticker ticker;
    gate hold = GATE_INIT;
    init_ticker(&ticker, weir_now(), WEIR_US(500), 3);
    ticker.hold = &hold;
    atomic_store(&ticker.result, 0);
    ck_assert_int_eq(
        weir_pool_submit_every(pool, &task, tick, &ticker, NULL, ticker.first, ticker.period), 0);
    gate_await(&hold, 1);
    ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(10))), 0);
    ck_assert_int_eq(atomic_load(&ticker.runs), 3);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_RUNNING);
    atomic_store(&ticker.last_run, 6);
    atomic_store(&ticker.result, 7);
    gate_open(&hold);
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_FAILED, 7);
    ck_assert_int_eq(atomic_load(&ticker.repeated), 0);
    ck_assert_int_eq(atomic_load(&ticker.overlaps), 0);
    finish_counted(pool);
}
END_TEST

START_TEST(a_period_of_any_length_is_fine)
{
    static const int64_t firsts[] = {INT64_MIN, -1, 0, 1};
    static const int64_t periods[] = {1, 3, INT64_MAX - 1, INT64_MAX};
    weir_pool *pool = new_pool(1, 1);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++) {
            weir_task task = WEIR_TASK_INIT;
            counter ran = COUNTER_INIT;
            ck_assert_int_eq(weir_pool_submit_every(pool, &task, counter_task, &ran, NULL,
                                                    firsts[i], periods[j]),
                             0);
            counter_await(&ran, j < 2 ? 5 : 1);
            int err = weir_task_cancel(&task);
            ck_assert(err == 0 || err == -EINPROGRESS);
            assert_waited(&task);
            assert_end(&task, WEIR_TASK_CANCELLED, -ECANCELED);
            ck_assert_uint_ge(counter_get(&ran), j < 2 ? 5u : 1u);
        }
    }
    finish_counted(pool);
}
END_TEST

START_TEST(a_periodic_task_is_queued_between_two_runs_and_a_cancel_ends_it_there)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    struct told told = {0};
    ck_assert_int_eq(weir_pool_submit_every(pool, &task, ignore, &told,
                                            WEIR_TASK_OPTIONS(.on_done = tell), 0, hour),
                     0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    while (weir_task_state(&task) != WEIR_TASK_QUEUED || counts_of(pool).delayed != 1)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(1))), 0);
    ck_assert_int_eq(weir_task_cancel(&task), 0);
    assert_end(&task, WEIR_TASK_CANCELLED, -ECANCELED);
    ck_assert_int_eq(atomic_load(&told.ends), 1);
    ck_assert_int_eq(atomic_load(&told.end), WEIR_TASK_CANCELLED);
    ck_assert_uint_eq(counts_of(pool).submitted, 1u);
    finish_counted(pool);
}
END_TEST

struct held_run {
    gate *hold;
    atomic_int runs, err;
};

static int run_held(weir_context *ctx, void *arg)
{
    struct held_run *held = arg;
    atomic_fetch_add(&held->runs, 1);
    gate_wait(held->hold);
    atomic_store(&held->err, weir_context_err(ctx));
    return 0;
}

START_TEST(a_periodic_task_that_is_cancelled_during_a_run_does_not_run_again)
{
    weir_pool *pool = new_pool(2, 1);
    weir_task task = WEIR_TASK_INIT;
    gate hold = GATE_INIT;
    struct held_run held = {.hold = &hold};
    ck_assert_int_eq(weir_pool_submit_every(pool, &task, run_held, &held, NULL, 0, 1), 0);
    gate_await(&hold, 1);
    ck_assert_int_eq(weir_task_cancel(&task), -EINPROGRESS);
    ck_assert_int_eq(weir_task_cancel(&task), -EINPROGRESS);
    gate_open(&hold);
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_CANCELLED, -ECANCELED);
    ck_assert_int_eq(weir_task_cancel(&task), -EALREADY);
    ck_assert_int_eq(atomic_load(&held.runs), 1);
    ck_assert_int_eq(atomic_load(&held.err), -ECANCELED);
    finish_counted(pool);
}
END_TEST

struct occupied {
    weir_pool *pool;
    weir_task *other;
    atomic_int err;
};

static int try_another(weir_context *ctx, void *arg)
{
    struct occupied *occupied = arg;
    (void)ctx;
    atomic_store(&occupied->err,
                 weir_pool_submit_task_at(occupied->pool, occupied->other, ignore, NULL, NULL, 0));
    return 1;
}

START_TEST(a_periodic_task_keeps_its_place_while_it_runs)
{
    weir_pool *pool = new_timing_pool(1, 1, 1, WEIR_OVERFLOW_BLOCK);
    weir_task task = WEIR_TASK_INIT, other = WEIR_TASK_INIT;
    struct occupied occupied = {.pool = pool, .other = &other};
    ck_assert_int_eq(weir_pool_submit_every(pool, &task, try_another, &occupied, NULL, 0, 1), 0);
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_FAILED, 1);
    ck_assert_int_eq(atomic_load(&occupied.err), -EAGAIN);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &other, ignore, NULL, NULL, 0), 0);
    assert_waited(&other);
    finish_counted(pool);
}
END_TEST

static int end_thread(weir_context *ctx, void *arg)
{
    (void)ctx;
    counter_add(arg, 1);
    pthread_exit(NULL);
}

START_TEST(a_periodic_task_that_ends_its_thread_is_over)
{
    weir_pool *pool = new_timing_pool(1, 1, 1, WEIR_OVERFLOW_BLOCK);
    weir_task task = WEIR_TASK_INIT;
    counter ran = COUNTER_INIT;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(weir_pool_submit_every(pool, &task, end_thread, &ran, NULL, 0, 1), 0);
        assert_waited(&task);
        assert_end(&task, WEIR_TASK_FAILED, -ECANCELED);
    }
    ck_assert_uint_eq(counter_get(&ran), 3u);
    finish_counted(pool);
}
END_TEST

START_TEST(a_periodic_task_that_is_evicted_from_the_queue_is_dropped)
{
    weir_pool *pool = new_timing_pool(1, 1, 1, WEIR_OVERFLOW_DROP_OLDEST);
    gate hold = GATE_INIT;
    weir_task task = WEIR_TASK_INIT;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_every(pool, &task, ignore, NULL, NULL, 0, 1), 0);
    while (weir_pool_queued(pool) == 0)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(1))), 0);
    ck_assert_int_eq(weir_pool_submit(pool, ignore, NULL), 0);
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_DROPPED, -EPIPE);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &task, ignore, NULL, NULL, 0), 0);
    gate_open(&hold);
    assert_waited(&task);
    finish_counted(pool);
}
END_TEST

static int fail_third(weir_context *ctx, void *arg)
{
    (void)ctx;
    return atomic_fetch_add((atomic_int *)arg, 1) == 2 ? -EIO : 0;
}

START_TEST(a_worker_that_waits_for_a_periodic_task_runs_it_each_time)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT, wait = WEIR_TASK_INIT;
    atomic_int runs = 0;
    ck_assert_int_eq(weir_pool_submit_every(pool, &task, fail_third, &runs, NULL, 0, WEIR_MS(2)),
                     0);
    ck_assert_int_eq(weir_pool_submit_task(pool, &wait, wait_for_task, &task, NULL), 0);
    assert_waited(&wait);
    assert_end(&wait, WEIR_TASK_DONE, 0);
    assert_end(&task, WEIR_TASK_FAILED, -EIO);
    ck_assert_int_eq(atomic_load(&runs), 3);
    finish_counted(pool);
}
END_TEST

static int run_held_then_fail(weir_context *ctx, void *arg)
{
    struct held_run *held = arg;
    (void)ctx;
    if (atomic_fetch_add(&held->runs, 1) != 0)
        return -EIO;
    gate_wait(held->hold);
    return 0;
}

START_TEST(a_worker_that_waits_runs_what_another_one_ran_before)
{
    weir_pool *pool = new_pool(2, 4);
    weir_task task = WEIR_TASK_INIT, wait = WEIR_TASK_INIT;
    gate first = GATE_INIT, second = GATE_INIT;
    struct held_run held = {.hold = &first};
    ck_assert_int_eq(
        weir_pool_submit_every(pool, &task, run_held_then_fail, &held, NULL, 0, WEIR_MS(1)), 0);
    gate_await(&first, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &wait, wait_for_task, &task, NULL), 0);
    while (weir_task_state(&wait) != WEIR_TASK_RUNNING)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_US(100))), 0);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &second), 0);
    gate_open(&first); /* its worker goes to the second gate or runs it again; the other waits */
    assert_waited(&wait);
    assert_end(&task, WEIR_TASK_FAILED, -EIO);
    gate_open(&second);
    finish_counted(pool);
}
END_TEST

START_TEST(the_start_by_of_a_periodic_task_is_about_its_first_run_only)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    atomic_int runs = 0;
    int64_t start_by = weir_after(WEIR_MS(100));
    int err = weir_pool_submit_every(pool, &task, fail_third, &runs,
                                     WEIR_TASK_OPTIONS(.start_by = start_by), 0, WEIR_MS(80));
    ck_assert(err == 0 || err == -ETIMEDOUT); /* the latter on a machine that stands still */
    if (err == 0) {
        assert_waited(&task);
        ck_assert(weir_task_state(&task) == WEIR_TASK_FAILED || atomic_load(&runs) == 0);
    }
    finish_counted(pool);
}
END_TEST

/* Drain, close, shutdown. */

START_TEST(drain_waits_for_delayed_tasks_and_not_for_periodic_ones)
{
    struct crowd crowd = CROWD_INIT;
    weir_task later = WEIR_TASK_INIT, soon = WEIR_TASK_INIT, due = WEIR_TASK_INIT,
              every = WEIR_TASK_INIT;
    make_crowd(&crowd, WEIR_OVERFLOW_BLOCK);
    ck_assert_int_eq(
        weir_pool_submit_task_at(crowd.pool, &later, ignore, NULL, NULL, weir_after(hour)), 0);
    ck_assert_int_eq(
        weir_pool_submit_every(crowd.pool, &every, ignore, NULL, NULL, weir_after(hour), hour), 0);
    ck_assert_int_eq(weir_pool_submit_task_at(crowd.pool, &due, counter_task, &crowd.ran, NULL, 0),
                     0);
    ck_assert_int_eq(weir_pool_submit_task_at(crowd.pool, &soon, counter_task, &crowd.ran, NULL,
                                              weir_after(WEIR_MS(20))),
                     0);
    await_no_room();
    gate_open(&crowd.hold);
    ck_assert_int_eq(weir_pool_drain_until(crowd.pool, NULL, weir_after(WEIR_MS(50))), -ETIMEDOUT);
    ck_assert_int_eq(weir_task_cancel(&later), 0);
    ck_assert_int_eq(weir_pool_drain_until(crowd.pool, NULL, patience()), 0);
    assert_end(&due, WEIR_TASK_DONE, 0);
    assert_end(&soon, WEIR_TASK_DONE, 0);
    ck_assert_uint_eq(counter_get(&crowd.ran), 3u);
    ck_assert_int_eq(weir_task_state(&every), WEIR_TASK_QUEUED);
    ck_assert_int_eq(weir_task_cancel(&every), 0);
    finish_counted(crowd.pool);
}
END_TEST

START_TEST(drain_waits_for_the_run_of_a_periodic_task_that_is_under_way)
{
    weir_pool *pool = new_pool(1, 2);
    weir_task task = WEIR_TASK_INIT;
    gate hold = GATE_INIT;
    struct held_run held = {.hold = &hold};
    ck_assert_int_eq(weir_pool_submit_every(pool, &task, run_held, &held, NULL, 0, hour), 0);
    gate_await(&hold, 1);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, weir_after(WEIR_MS(20))), -ETIMEDOUT);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
    finish_counted(pool);
    assert_end(&task, WEIR_TASK_CANCELLED, -ECANCELED);
}
END_TEST

static int submit_delayed(weir_context *ctx, void *arg)
{
    struct occupied *occupied = arg;
    return try_another(ctx, occupied), 0;
}

START_TEST(a_closed_pool_ends_periodic_tasks_and_runs_delayed_ones)
{
    struct crowd crowd = CROWD_INIT;
    weir_task later = WEIR_TASK_INIT, every = WEIR_TASK_INIT, due = WEIR_TASK_INIT,
              more = WEIR_TASK_INIT, often = WEIR_TASK_INIT;
    struct told told = {0}, ticks = {0};
    make_crowd(&crowd, WEIR_OVERFLOW_BLOCK);
    ck_assert_int_eq(weir_pool_submit_task_at(crowd.pool, &later, ignore, &told,
                                              WEIR_TASK_OPTIONS(.on_done = tell),
                                              weir_after(WEIR_MS(50))),
                     0);
    ck_assert_int_eq(weir_pool_submit_every(crowd.pool, &often, ignore, NULL, NULL, 0, 1), 0);
    ck_assert_int_eq(weir_pool_submit_every(crowd.pool, &every, ignore, &ticks,
                                            WEIR_TASK_OPTIONS(.on_done = tell), weir_after(hour),
                                            1),
                     0);
    ck_assert_int_eq(weir_pool_submit_task_at(crowd.pool, &due, counter_task, &crowd.ran, NULL, 0),
                     0);
    await_no_room();
    weir_pool_close(crowd.pool);
    assert_end(&every, WEIR_TASK_CANCELLED, -ECANCELED);
    assert_end(&often, WEIR_TASK_CANCELLED, -ECANCELED); /* due, and waiting for room */
    ck_assert_int_eq(atomic_load(&ticks.ends), 1);
    ck_assert_int_eq(atomic_load(&told.ends), 0);
    ck_assert_int_eq(weir_task_state(&due), WEIR_TASK_QUEUED);
    ck_assert_int_eq(weir_pool_submit_task_at(crowd.pool, &more, ignore, NULL, NULL, 0), -EPIPE);
    ck_assert_int_eq(weir_pool_submit_every(crowd.pool, &more, ignore, NULL, NULL, 0, 1), -EPIPE);
    weir_pool_close(crowd.pool);
    gate_open(&crowd.hold);
    weir_shutdown_report report;
    ck_assert_int_eq(weir_pool_shutdown(crowd.pool, patience(), WEIR_FOREVER, &report), 0);
    assert_end(&due, WEIR_TASK_DONE, 0);
    assert_end(&later, WEIR_TASK_DONE, 0);
    ck_assert_int_eq(atomic_load(&told.ends), 1);
    ck_assert_uint_eq(report.drained, 4u);
    ck_assert_uint_eq(report.cancelled, 2u);
    ck_assert_uint_eq(report.running, 0u);
    finish_counted(crowd.pool);
}
END_TEST

START_TEST(what_is_not_due_by_the_soft_deadline_is_cancelled)
{
    weir_pool *pool = new_pool(1, 2);
    weir_task soon = WEIR_TASK_INIT, later = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &soon, ignore, NULL, NULL, 0), 0);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &later, ignore, NULL, NULL, weir_after(hour)),
                     0);
    assert_waited(&soon);
    weir_shutdown_report report;
    ck_assert_int_eq(
        weir_pool_shutdown(pool, weir_after(WEIR_MS(50)), weir_after(WEIR_S(30)), &report), 0);
    assert_end(&later, WEIR_TASK_CANCELLED, -ECANCELED);
    ck_assert_uint_eq(report.cancelled, 1u);
    ck_assert_uint_eq(report.running, 0u);
    finish_counted(pool);
}
END_TEST

START_TEST(a_task_of_a_closed_pool_may_still_submit_a_delayed_one)
{
    weir_pool *pool = new_pool(1, 2);
    weir_task task = WEIR_TASK_INIT, other = WEIR_TASK_INIT;
    gate hold = GATE_INIT;
    struct occupied occupied = {.pool = pool, .other = &other};
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, submit_delayed, &occupied, NULL), 0);
    weir_pool_close(pool);
    gate_open(&hold);
    assert_waited(&task);
    ck_assert_int_eq(atomic_load(&occupied.err), 0);
    assert_waited(&other);
    assert_end(&other, WEIR_TASK_DONE, 0);
    finish_counted(pool);
}
END_TEST

START_TEST(a_periodic_task_ends_after_the_run_during_which_its_pool_is_closed)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    gate hold = GATE_INIT;
    struct held_run held = {.hold = &hold};
    ck_assert_int_eq(weir_pool_submit_every(pool, &task, run_held, &held, NULL, 0, 1), 0);
    gate_await(&hold, 1);
    weir_pool_close(pool);
    gate_open(&hold);
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_CANCELLED, -ECANCELED);
    ck_assert_int_eq(atomic_load(&held.runs), 1);
    ck_assert_int_eq(atomic_load(&held.err), 0);
    finish_counted(pool);
}
END_TEST

START_TEST(a_hard_shutdown_ends_what_is_due_as_well)
{
    struct crowd crowd = CROWD_INIT;
    weir_task due = WEIR_TASK_INIT, later = WEIR_TASK_INIT;
    make_crowd(&crowd, WEIR_OVERFLOW_BLOCK);
    ck_assert_int_eq(weir_pool_submit_task_at(crowd.pool, &due, ignore, NULL, NULL, 0), 0);
    ck_assert_int_eq(
        weir_pool_submit_task_at(crowd.pool, &later, ignore, NULL, NULL, weir_after(hour)), 0);
    await_no_room();
    weir_shutdown_report report;
    ck_assert_int_eq(weir_pool_shutdown(crowd.pool, 0, 0, &report), -ETIMEDOUT);
    assert_end(&due, WEIR_TASK_CANCELLED, -ECANCELED);
    assert_end(&later, WEIR_TASK_CANCELLED, -ECANCELED);
    ck_assert_uint_eq(report.cancelled, 3u);
    ck_assert_uint_eq(report.running, 1u);
    gate_open(&crowd.hold);
    finish_counted(crowd.pool);
}
END_TEST

START_TEST(freeing_a_pool_ends_everything_that_waits)
{
    enum { N = 500 };
    static weir_task tasks[N];
    static struct told told;
    weir_pool *pool = new_timing_pool(2, 4, N, WEIR_OVERFLOW_BLOCK);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(weir_pool_submit_every(pool, &tasks[i], ignore, &told,
                                                WEIR_TASK_OPTIONS(.on_done = tell),
                                                weir_after(WEIR_US(20) * i), WEIR_MS(1)),
                         0);
    weir_pool_free(pool);
    for (int i = 0; i < N; i++)
        assert_end(&tasks[i], WEIR_TASK_CANCELLED, -ECANCELED);
    ck_assert_int_eq(atomic_load(&told.ends), N);
}
END_TEST

START_TEST(the_end_of_the_pools_context_ends_what_waits)
{
    for (int by_deadline = 0; by_deadline < 2; by_deadline++) {
        weir_context *ctx = NULL;
        weir_pool *pool = NULL;
        weir_task task = WEIR_TASK_INIT, every = WEIR_TASK_INIT, more = WEIR_TASK_INIT;
        ck_assert_int_eq(
            weir_context_new(&ctx, NULL, by_deadline ? weir_after(WEIR_MS(50)) : WEIR_FOREVER), 0);
        ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .context = ctx)), 0);
        int err = weir_pool_submit_task_at(pool, &task, ignore, NULL, NULL, weir_after(hour));
        ck_assert(err == 0 || by_deadline);
        if (err == 0 && weir_pool_submit_every(pool, &every, ignore, NULL, NULL, 0, hour) == 0) {
            if (!by_deadline)
                weir_context_cancel(ctx, -EIO);
            assert_waited(&task);
            assert_end(&task, WEIR_TASK_CANCELLED, -ECANCELED);
            assert_waited(&every);
            ck_assert(weir_task_state(&every) == WEIR_TASK_CANCELLED ||
                      weir_task_state(&every) == WEIR_TASK_EXPIRED);
            ck_assert_int_eq(weir_pool_submit_task_at(pool, &more, ignore, NULL, NULL, 0), -EPIPE);
        }
        finish_counted(pool);
        weir_context_unref(ctx);
    }
}
END_TEST

START_TEST(the_end_of_the_pools_context_is_seen_while_a_due_task_waits_for_room)
{
    weir_context *ctx = NULL;
    weir_pool *pool = NULL;
    gate hold = GATE_INIT;
    weir_task due = WEIR_TASK_INIT, later = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .context = ctx)), 0);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, ignore, NULL), 0);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &due, ignore, NULL, NULL, 0), 0);
    await_no_room();
    ck_assert_int_eq(weir_task_state(&due), WEIR_TASK_QUEUED);
    weir_context_cancel(ctx, 0);
    assert_waited(&due);
    assert_end(&due, WEIR_TASK_CANCELLED, -ECANCELED);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &later, ignore, NULL, NULL, 0), -EPIPE);
    gate_open(&hold);
    finish_counted(pool);
    weir_context_unref(ctx);
}
END_TEST

/* The thread. */

static bool is_timer_thread(const char *tid)
{
    char path[64], name[32] = "";
    (void)snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", tid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    bool is = fgets(name, sizeof name, file) != NULL && strcmp(name, "weir/timer\n") == 0;
    (void)fclose(file);
    return is;
}

/* How many clocks have a thread now, and the number of one of them. */
static unsigned count_timer_threads(pid_t *ret_one)
{
    unsigned count = 0;
    DIR *all = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(all);
    for (const struct dirent *entry; (entry = readdir(all)) != NULL;) {
        if (!is_timer_thread(entry->d_name))
            continue;
        count++;
        *ret_one = (pid_t)strtol(entry->d_name, NULL, 10);
    }
    (void)closedir(all);
    return count;
}

/* Until there are so many: one that was started has yet to name itself, one that has left may be
 * listed a moment longer. */
static pid_t await_timer_threads(unsigned n)
{
    pid_t one = 0;
    for (int64_t until = patience(); count_timer_threads(&one) != n && weir_now() < until;)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_US(100))), 0);
    ck_assert_uint_eq(count_timer_threads(&one), n);
    return one;
}

static pid_t timer_thread(void)
{
    return await_timer_threads(1);
}

static long switches_of(pid_t tid)
{
    char path[64], line[128];
    long switches = -1;
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)tid);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
            switches = strtol(line + 24, NULL, 10);
    (void)fclose(file);
    return switches;
}

START_TEST(there_is_no_thread_while_nothing_waits)
{
    weir_pool *pool = new_pool(2, 4);
    pid_t ignored;
    (void)await_timer_threads(0);
    for (int i = 0; i < 3; i++) {
        weir_task tasks[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
        for (int j = 0; j < 2; j++)
            ck_assert_int_eq(
                weir_pool_submit_task_at(pool, &tasks[j], ignore, NULL, NULL, weir_after(hour)), 0);
        (void)await_timer_threads(1);
        ck_assert_int_eq(weir_task_cancel(&tasks[0]), 0);
        ck_assert_uint_eq(count_timer_threads(&ignored), 1u);
        ck_assert_int_eq(weir_task_cancel(&tasks[1]), 0);
        (void)await_timer_threads(0);
    }
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &task, ignore, NULL, NULL, weir_after(WEIR_MS(1))), 0);
    assert_waited(&task);
    (void)await_timer_threads(0);
    finish_counted(pool);
}
END_TEST

START_TEST(the_thread_leaves_when_the_last_task_that_waits_for_room_is_cancelled)
{
    struct crowd crowd = CROWD_INIT;
    weir_task task = WEIR_TASK_INIT;
    make_crowd(&crowd, WEIR_OVERFLOW_BLOCK);
    ck_assert_int_eq(weir_pool_submit_task_at(crowd.pool, &task, ignore, NULL, NULL, 0), 0);
    await_no_room();
    ck_assert_int_eq(weir_task_cancel(&task), 0);
    (void)await_timer_threads(0);
    release_crowd(&crowd);
    finish_counted(crowd.pool);
}
END_TEST

START_TEST(the_thread_sleeps_without_a_tick)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &task, ignore, NULL, NULL, weir_after(hour)),
                     0);
    pid_t tid = timer_thread();
    /* It may need a while to fall asleep; one that ticks never has such a window. */
    long before = 0, after = 1;
    for (int64_t deadline = patience(); before != after && weir_now() < deadline;) {
        thread_await_asleep(tid);
        before = switches_of(tid);
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(300))), 0);
        after = switches_of(tid);
    }
    ck_assert_int_eq(after, before);
    ck_assert_int_eq(weir_task_cancel(&task), 0);
    finish_counted(pool);
}
END_TEST

/* Many. */

START_TEST(a_hundred_thousand_tasks_wait_at_once)
{
    const char *checker = getenv("CK_FORK"); /* "no" under valgrind: forty times slower */
    int n = checker != NULL && strcmp(checker, "no") == 0 ? 3000 : 100000;
    weir_task *tasks = calloc((size_t)n, sizeof *tasks);
    ck_assert_ptr_nonnull(tasks);
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_timing_pool(2, 1024, (unsigned)n, WEIR_OVERFLOW_BLOCK);
    int64_t base = weir_now();
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(weir_pool_submit_task_at(pool, &tasks[i], counter_task, &ran, NULL,
                                                  base + hour + (i * INT64_C(7919)) % n),
                         0);
    ck_assert_uint_eq(counts_of(pool).delayed, (uint64_t)n);
    weir_task more = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &more, ignore, NULL, NULL, 0), -EAGAIN);
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(weir_task_cancel(&tasks[(i * INT64_C(6101)) % n]), 0);
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(weir_pool_submit_task_at(pool, &tasks[i], counter_task, &ran, NULL,
                                                  weir_now() + (i * INT64_C(7919)) % n),
                         0);
    for (int i = 0; i < n; i++)
        assert_waited(&tasks[i]);
    ck_assert_uint_eq(counter_get(&ran), (size_t)n);
    finish_counted(pool);
    free(tasks);
}
END_TEST

/* Threads that submit, cancel and wait at once. */
enum { STORM_TASKS = 300, STORM_THREADS = 4 };

struct storm {
    weir_pool *pool;
    unsigned seed;
    struct told told;
    atomic_int accepted, wrong;
};

static unsigned roll(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

static void storm_once(struct storm *storm)
{
    weir_task task = WEIR_TASK_INIT;
    int64_t at = weir_now() + (int64_t)(roll(&storm->seed) % 200) * 1000;
    const weir_task_options *options = WEIR_TASK_OPTIONS(.on_done = tell);
    bool periodic = roll(&storm->seed) % 3 == 0;
    int before = atomic_load(&storm->told.ends);
    int err =
        periodic
            ? weir_pool_submit_every(storm->pool, &task, ignore, &storm->told, options, at, 20000)
            : weir_pool_submit_task_at(storm->pool, &task, ignore, &storm->told, options, at);
    if (err == -EAGAIN)
        return;
    atomic_fetch_add(&storm->accepted, 1);
    if (err != 0)
        atomic_fetch_add(&storm->wrong, 1);
    if (periodic || roll(&storm->seed) % 2 == 0) {
        if (roll(&storm->seed) % 2 == 0 && weir_task_wait_until(&task, NULL, at + 30000) == -EINVAL)
            atomic_fetch_add(&storm->wrong, 1);
        err = weir_task_cancel(&task);
        if (err != 0 && err != -EINPROGRESS && (err != -EALREADY || periodic))
            atomic_fetch_add(&storm->wrong, 1);
    }
    if (weir_task_wait(&task) != 0 || atomic_load(&storm->told.ends) != before + 1)
        atomic_fetch_add(&storm->wrong, 1);
}

static int make_storm(void *arg)
{
    struct storm *storm = arg;
    for (int i = 0; i < STORM_TASKS; i++)
        storm_once(storm);
    return 0;
}

START_TEST(tasks_of_many_threads_have_one_end_each)
{
    static struct storm storms[STORM_THREADS];
    static caller threads[STORM_THREADS];
    weir_pool *pool = new_timing_pool(2, 2, 3, WEIR_OVERFLOW_BLOCK);
    for (unsigned i = 0; i < STORM_THREADS; i++) {
        storms[i].pool = pool;
        storms[i].seed = i;
        caller_start(&threads[i], make_storm, &storms[i]);
    }
    uint64_t accepted = 0;
    for (unsigned i = 0; i < STORM_THREADS; i++) {
        ck_assert_int_eq(caller_join(&threads[i]), 0);
        ck_assert_int_eq(atomic_load(&storms[i].wrong), 0);
        ck_assert_int_eq(atomic_load(&storms[i].told.ends), atomic_load(&storms[i].accepted));
        accepted += (uint64_t)atomic_load(&storms[i].accepted);
    }
    ck_assert_uint_eq(counts_of(pool).submitted, accepted);
    finish_counted(pool);
}
END_TEST

/* fork: what a child finds is told by its exit code. */

struct inherited {
    weir_pool *pool;
    weir_task waiting, every, fresh;
};

static int use_inherited(struct inherited *inherited)
{
    if (weir_pool_submit_task_at(inherited->pool, &inherited->fresh, ignore, NULL, NULL, 0) !=
        -ESTALE)
        return 1;
    if (weir_pool_submit_every(inherited->pool, &inherited->fresh, ignore, NULL, NULL, 0, 1) !=
        -ESTALE)
        return 2;
    if (weir_task_cancel(&inherited->waiting) != -ESTALE ||
        weir_task_wait(&inherited->waiting) != -ESTALE ||
        weir_task_try_wait(&inherited->every) != -ESTALE ||
        weir_task_cancel(&inherited->every) != -ESTALE)
        return 3;
    weir_pool_close(inherited->pool);
    weir_pool_free(inherited->pool);
    return 0;
}

START_TEST(in_a_forked_child_a_pool_with_waiting_tasks_is_stale)
{
    struct inherited inherited = {.pool = new_pool(1, 4)};
    ck_assert_int_eq(weir_pool_submit_task_at(inherited.pool, &inherited.waiting, ignore, NULL,
                                              NULL, weir_after(hour)),
                     0);
    ck_assert_int_eq(
        weir_pool_submit_every(inherited.pool, &inherited.every, ignore, NULL, NULL, 0, 1000), 0);
    for (int i = 0; i < 5; i++) {
        (void)fflush(NULL);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            (void)alarm(40);
            _exit(use_inherited(&inherited));
        }
        int status = 0;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 0);
    }
    ck_assert_int_eq(weir_task_cancel(&inherited.waiting), 0);
    finish_counted(inherited.pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("timer");
    TCase *delayed = add_group(suite, "delayed");
    tcase_add_test(delayed, a_delayed_task_starts_when_its_time_has_come_and_not_before);
    tcase_add_test(delayed, a_time_that_has_passed_means_at_once);
    tcase_add_test(delayed,
                   delayed_tasks_start_in_order_of_time_and_equal_times_in_order_of_submit);
    tcase_add_test(delayed,
                   a_task_that_waits_for_its_time_is_queued_but_takes_no_room_in_the_queue);
    tcase_add_test(delayed,
                   a_pool_has_as_many_places_as_its_option_says_and_a_cancel_gives_one_back);
    tcase_add_test(delayed, arguments_that_can_never_be_valid_are_refused);
    tcase_add_test(delayed, a_start_by_that_cannot_be_met_is_refused);
    tcase_add_test(delayed,
                   a_live_task_cannot_be_submitted_again_and_one_that_is_over_can_in_any_way);

    TCase *full = add_group(suite, "full");
    tcase_add_test(full, a_due_task_waits_for_room_whatever_the_overflow_policy);
    tcase_add_test(full, a_task_that_is_due_and_waits_for_room_can_be_cancelled_at_once);
    tcase_add_test(full, a_task_that_is_due_and_waits_for_room_expires_at_its_start_by);
    tcase_add_test(full, an_earlier_alarm_is_served_while_others_wait_for_room);

    TCase *inside = add_group(suite, "inside");
    tcase_add_test(inside, workers_that_all_wait_for_delayed_tasks_run_them_when_they_are_due);
    tcase_add_test(inside, a_worker_that_waits_for_a_delayed_task_needs_no_room_in_the_queue);
    tcase_add_test(inside, a_thread_outside_that_helps_runs_a_delayed_task_when_it_is_due);
    tcase_add_test(inside, a_worker_may_give_up_waiting_for_a_delayed_task);

    TCase *periodic = add_group(suite, "periodic");
    tcase_add_test(periodic, a_periodic_task_runs_once_in_a_period_and_never_beside_itself);
    tcase_add_test(periodic, times_that_pass_during_a_run_are_left_out);
    tcase_add_test(periodic, a_period_of_any_length_is_fine);
    tcase_add_test(periodic, a_periodic_task_is_queued_between_two_runs_and_a_cancel_ends_it_there);
    tcase_add_test(periodic, a_periodic_task_that_is_cancelled_during_a_run_does_not_run_again);
    tcase_add_test(periodic, a_periodic_task_keeps_its_place_while_it_runs);
    tcase_add_test(periodic, a_periodic_task_that_ends_its_thread_is_over);
    tcase_add_test(periodic, a_periodic_task_that_is_evicted_from_the_queue_is_dropped);
    tcase_add_test(periodic, a_worker_that_waits_for_a_periodic_task_runs_it_each_time);
    tcase_add_test(periodic, a_worker_that_waits_runs_what_another_one_ran_before);
    tcase_add_test(periodic, the_start_by_of_a_periodic_task_is_about_its_first_run_only);

    TCase *ends = add_group(suite, "shutdown");
    tcase_add_test(ends, drain_waits_for_delayed_tasks_and_not_for_periodic_ones);
    tcase_add_test(ends, a_closed_pool_ends_periodic_tasks_and_runs_delayed_ones);
    tcase_add_test(ends, drain_waits_for_the_run_of_a_periodic_task_that_is_under_way);
    tcase_add_test(ends, what_is_not_due_by_the_soft_deadline_is_cancelled);
    tcase_add_test(ends, a_task_of_a_closed_pool_may_still_submit_a_delayed_one);
    tcase_add_test(ends, a_periodic_task_ends_after_the_run_during_which_its_pool_is_closed);
    tcase_add_test(ends, a_hard_shutdown_ends_what_is_due_as_well);
    tcase_add_test(ends, freeing_a_pool_ends_everything_that_waits);
    tcase_add_test(ends, the_end_of_the_pools_context_ends_what_waits);
    tcase_add_test(ends, the_end_of_the_pools_context_is_seen_while_a_due_task_waits_for_room);

    TCase *thread = add_group(suite, "thread");
    tcase_add_test(thread, there_is_no_thread_while_nothing_waits);
    tcase_add_test(thread, the_thread_leaves_when_the_last_task_that_waits_for_room_is_cancelled);
    tcase_add_test(thread, the_thread_sleeps_without_a_tick);
    tcase_add_test(thread, in_a_forked_child_a_pool_with_waiting_tasks_is_stale);

    TCase *many = add_group(suite, "many");
    tcase_add_test(many, a_hundred_thousand_tasks_wait_at_once);
    tcase_add_test(many, tasks_of_many_threads_have_one_end_each);
    return suite;
}
