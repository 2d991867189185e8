/* SPDX-License-Identifier: MIT */
/* gates.c - tasks behind a gate: when they start, in which order, and what they give back. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

static const int64_t hour = 3600 * WEIR_S(1);

static weir_pool *new_pool_with_places(unsigned workers, unsigned capacity, unsigned timers)
{
    return new_pool_as(
        WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity, .timers = timers));
}

static void submit(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg, weir_gate *way)
{
    ck_assert_int_eq(weir_pool_submit_task(pool, task, fn, arg, WEIR_TASK_OPTIONS(.gate = way)), 0);
}

static void assert_ends(weir_task *task, weir_state end, int status)
{
    ck_assert_int_eq(weir_task_wait_until(task, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_state(task), end);
    ck_assert_int_eq(weir_task_status(task), status);
}

/* How many of them are inside, and were at most. */
struct load {
    atomic_int inside, most, calls;
    gate *hold; /* or NULL */
    int status;
};

static int carry(weir_context *ctx, void *arg)
{
    struct load *load = arg;
    (void)ctx;
    int inside = atomic_fetch_add(&load->inside, 1) + 1, most = atomic_load(&load->most);
    while (inside > most && !atomic_compare_exchange_weak(&load->most, &most, inside))
        continue;
    if (load->hold != NULL)
        gate_wait(load->hold);
    atomic_fetch_add(&load->calls, 1);
    atomic_fetch_sub(&load->inside, 1);
    return load->status;
}

static int do_nothing(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

/* Without conditions. */

START_TEST(a_gate_without_conditions_lets_every_task_in)
{
    weir_pool *pool = new_pool_with_places(2, 4, 16);
    weir_gate way;
    weir_task tasks[16] = {WEIR_TASK_INIT};
    struct load load = {0};
    ck_assert_int_eq(weir_gate_init(&way, NULL), 0);
    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < 16; i++)
            submit(pool, &tasks[i], carry, &load, &way);
        for (size_t i = 0; i < 16; i++)
            assert_ends(&tasks[i], WEIR_TASK_DONE, 0);
    }
    ck_assert_int_eq(atomic_load(&load.calls), 1600);
    ck_assert_uint_eq(weir_gate_waiting(&way), 0u);
    weir_gate_destroy(&way);
    finish_counted(pool);
}
END_TEST

/* Permits. */

static void *new_tasks(size_t n)
{
    void *tasks = calloc(n, sizeof(weir_task));
    ck_assert_ptr_nonnull(tasks);
    return tasks;
}

START_TEST(no_more_run_than_there_are_permits_and_others_do_not_wait)
{
    enum { N = 40, PERMITS = 3 };
    weir_pool *pool = new_pool_with_places(8, 64, N);
    weir_semaphore sem;
    weir_gate calls;
    gate hold = GATE_INIT;
    struct load load = {.hold = &hold}, other = {0};
    weir_task tasks[N] = {WEIR_TASK_INIT}, stranger = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_semaphore_init(&sem, PERMITS), 0);
    ck_assert_int_eq(weir_gate_init(&calls, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    for (size_t i = 0; i < N; i++)
        submit(pool, &tasks[i], carry, &load, &calls);
    gate_await(&hold, PERMITS);
    ck_assert_uint_eq(weir_gate_waiting(&calls), N - PERMITS);
    ck_assert_uint_eq(weir_semaphore_available(&sem), 0u);
    ck_assert_uint_eq(weir_semaphore_waiting(&sem), 1u); /* the gate, for its first task */
    ck_assert_int_eq(weir_task_state(&tasks[N - 1]), WEIR_TASK_QUEUED);
    submit(pool, &stranger, carry, &other, NULL);
    assert_ends(&stranger, WEIR_TASK_DONE, 0);
    gate_open(&hold);
    for (size_t i = 0; i < N; i++)
        assert_ends(&tasks[i], WEIR_TASK_DONE, 0);
    ck_assert_int_eq(atomic_load(&load.most), PERMITS);
    ck_assert_uint_eq(weir_semaphore_available(&sem), PERMITS);
    weir_gate_destroy(&calls);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

struct entry {
    recorder *log;
    int number;
};

static int note_number(weir_context *ctx, void *arg)
{
    const struct entry *entry = arg;
    (void)ctx;
    recorder_add(entry->log, entry->number);
    return 0;
}

START_TEST(tasks_are_let_in_in_the_order_in_which_they_came)
{
    enum { N = 300 };
    static recorder log = RECORDER_INIT;
    weir_pool *pool = new_pool_with_places(4, 8, N);
    weir_semaphore sem;
    weir_gate one;
    weir_task *tasks = new_tasks(N);
    struct entry entries[N];
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(&one, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    for (int i = 0; i < N; i++) {
        entries[i] = (struct entry){&log, i};
        submit(pool, &tasks[i], note_number, &entries[i], &one);
    }
    recorder_await(&log, N);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(recorder_at(&log, (size_t)i), i);
    finish_counted(pool);
    weir_gate_destroy(&one);
    weir_semaphore_destroy(&sem);
    free(tasks);
}
END_TEST

START_TEST(a_gate_stands_in_the_line_of_the_semaphore)
{
    weir_pool *pool = new_pool(2, 4);
    weir_semaphore sem;
    weir_gate pair;
    weir_task task = WEIR_TASK_INIT;
    struct load load = {0};
    ck_assert_int_eq(weir_semaphore_init(&sem, 2), 0);
    ck_assert_int_eq(weir_gate_init(&pair, WEIR_GATE_OPTIONS(.semaphore = &sem, .permits = 2)), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), 0);
    submit(pool, &task, carry, &load, &pair);
    ck_assert_uint_eq(weir_semaphore_waiting(&sem), 1u);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), -EAGAIN); /* it came later */
    ck_assert_int_eq(weir_task_cancel(&task), 0);
    ck_assert_uint_eq(weir_semaphore_waiting(&sem), 0u);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), 0);
    submit(pool, &task, carry, &load, &pair);
    weir_semaphore_release(&sem, 1);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
    weir_semaphore_release(&sem, 1); /* this thread lets it in */
    assert_ends(&task, WEIR_TASK_DONE, 0);
    ck_assert_uint_eq(weir_semaphore_available(&sem), 2u);
    weir_gate_destroy(&pair);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

struct request {
    weir_semaphore *sem;
    weir_context *ctx;
};

static int acquire_two(void *arg)
{
    const struct request *request = arg;
    return weir_semaphore_acquire_until(request->sem, 2, request->ctx, patience());
}

START_TEST(a_gate_gets_its_turn_behind_a_thread_also_if_that_gives_up)
{
    weir_pool *pool = new_pool(1, 1);
    weir_semaphore sem;
    weir_gate one;
    weir_task task = WEIR_TASK_INIT;
    struct load load = {0};
    struct request large = {.sem = &sem};
    ck_assert_int_eq(weir_context_new(&large.ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_semaphore_init(&sem, 2), 0);
    ck_assert_int_eq(weir_gate_init(&one, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), 0);
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        caller thread;
        caller_start(&thread, acquire_two, &large);
        ck_assert(caller_await_asleep(&thread));
        submit(pool, &task, carry, &load, &one);
        ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
        if (cancelled) {
            weir_context_cancel(large.ctx,
                                -ECANCELED); /* the thread that gives up lets the gate in */
            ck_assert_int_eq(caller_join(&thread), -ECANCELED);
        } else {
            weir_semaphore_release(&sem, 1);
            ck_assert_int_eq(caller_join(&thread), 0);
            ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
            weir_semaphore_release(&sem, 1);
        }
        assert_ends(&task, WEIR_TASK_DONE, 0);
    }
    weir_semaphore_release(&sem, 1);
    weir_context_unref(large.ctx);
    weir_gate_destroy(&one);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

/* Tokens. */

START_TEST(tasks_start_no_faster_than_their_tokens_come)
{
    enum { N = 60, BURST = 10, RATE = 500 };
    weir_pool *pool = new_pool_with_places(2, 4, N);
    weir_limiter limiter;
    weir_gate calls;
    struct load load = {0};
    weir_task *tasks = new_tasks(N);
    ck_assert_int_eq(weir_limiter_init(&limiter, RATE, BURST), 0);
    ck_assert_int_eq(weir_gate_init(&calls, WEIR_GATE_OPTIONS(.limiter = &limiter)), 0);
    int64_t begin = weir_now();
    for (size_t i = 0; i < N; i++)
        submit(pool, &tasks[i], carry, &load, &calls);
    for (size_t i = 0; i < N; i++)
        assert_ends(&tasks[i], WEIR_TASK_DONE, 0);
    ck_assert_int_ge(weir_now() - begin, WEIR_S(1) / RATE * (N - BURST));
    weir_gate_destroy(&calls);
    finish_counted(pool);
    free(tasks);
}
END_TEST

START_TEST(tokens_of_a_first_task_that_is_cancelled_are_the_next_ones)
{
    weir_pool *pool = new_pool(1, 2);
    weir_limiter limiter;
    weir_gate calls;
    struct load load = {0};
    weir_task first = WEIR_TASK_INIT, second = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_limiter_init(&limiter, 1e-3, 1), 0);
    ck_assert_int_eq(weir_gate_init(&calls, WEIR_GATE_OPTIONS(.limiter = &limiter)), 0);
    submit(pool, &first, carry, &load, &calls);
    assert_ends(&first, WEIR_TASK_DONE, 0);
    ck_assert_int_eq(weir_limiter_tokens(&limiter), 0);
    submit(pool, &first, carry, &load, &calls);
    submit(pool, &second, carry, &load, &calls);
    ck_assert_int_eq(weir_limiter_tokens(&limiter), -1); /* ahead, for the first alone */
    ck_assert_int_eq(weir_task_cancel(&first), 0);
    ck_assert_int_eq(weir_limiter_tokens(&limiter), -1);
    ck_assert_uint_eq(weir_gate_waiting(&calls), 1u);
    ck_assert_int_eq(weir_task_cancel(&second), 0);
    ck_assert_int_eq(weir_limiter_tokens(&limiter), 0); /* given back */
    ck_assert_int_eq(atomic_load(&load.calls), 1);
    weir_gate_destroy(&calls);
    finish_counted(pool);
}
END_TEST

START_TEST(a_task_that_was_let_in_and_cannot_start_gives_everything_back)
{
    weir_pool *pool = new_pool(1, 2);
    weir_semaphore sem;
    weir_limiter limiter;
    weir_breaker breaker;
    weir_gate calls;
    gate hold = GATE_INIT;
    struct load load = {0};
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_limiter_init(&limiter, 0, 1), 0);
    ck_assert_int_eq(weir_breaker_init(&breaker, NULL), 0);
    ck_assert_int_eq(
        weir_gate_init(
            &calls, WEIR_GATE_OPTIONS(.semaphore = &sem, .limiter = &limiter, .breaker = &breaker)),
        0);
    saturate(pool, &hold, 1);
    submit(pool, &task, carry, &load, &calls);
    ck_assert_uint_eq(weir_gate_waiting(&calls), 0u); /* it is in the queue */
    ck_assert_uint_eq(weir_semaphore_available(&sem), 0u);
    ck_assert_int_eq(weir_limiter_tokens(&limiter), 0);
    ck_assert_int_eq(weir_task_cancel(&task), 0);
    ck_assert_uint_eq(weir_semaphore_available(&sem), 1u);
    ck_assert_int_eq(weir_limiter_tokens(&limiter), 1);
    weir_breaker_counts counts;
    weir_breaker_read_counts(&breaker, &counts);
    ck_assert_uint_eq(counts.allowed, 1u);
    ck_assert_uint_eq(counts.succeeded + counts.failed, 0u);
    gate_open(&hold);
    weir_gate_destroy(&calls);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

START_TEST(a_rate_that_is_no_longer_0_counts_once_the_gate_looks)
{
    weir_pool *pool = new_pool(1, 1);
    weir_semaphore sem;
    weir_limiter limiter;
    weir_gate calls;
    struct load load = {0};
    weir_task first = WEIR_TASK_INIT, second = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_limiter_init(&limiter, 0, 1), 0);
    ck_assert_int_eq(
        weir_gate_init(&calls, WEIR_GATE_OPTIONS(.semaphore = &sem, .limiter = &limiter)), 0);
    submit(pool, &first, carry, &load, &calls);
    assert_ends(&first, WEIR_TASK_DONE, 0);
    submit(pool, &second, carry, &load, &calls);
    ck_assert_uint_eq(weir_gate_waiting(&calls), 1u);
    ck_assert_uint_eq(weir_semaphore_available(&sem), 1u); /* not held for tokens that never come */
    weir_gate_look(&calls);
    ck_assert_uint_eq(weir_gate_waiting(&calls), 1u);
    ck_assert_int_eq(weir_limiter_set_rate(&limiter, 1e6), 0);
    weir_gate_look(&calls);
    assert_ends(&second, WEIR_TASK_DONE, 0);
    weir_gate_destroy(&calls);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

/* The breaker. */

START_TEST(while_the_breaker_is_open_tasks_wait_and_hold_no_permit)
{
    enum { N = 5 };
    weir_pool *pool = new_pool(2, 8);
    weir_semaphore sem;
    weir_breaker breaker;
    weir_gate calls;
    struct load bad = {.status = -EIO}, good = {0};
    weir_task task = WEIR_TASK_INIT, tasks[N] = {WEIR_TASK_INIT};
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(
        weir_breaker_init(&breaker, WEIR_BREAKER_OPTIONS(.window = 1, .open_for = WEIR_MS(200))),
        0);
    ck_assert_int_eq(
        weir_gate_init(&calls, WEIR_GATE_OPTIONS(.semaphore = &sem, .breaker = &breaker)), 0);
    submit(pool, &task, carry, &bad, &calls);
    assert_ends(&task, WEIR_TASK_FAILED, -EIO);
    int64_t opened = weir_now();
    ck_assert_int_ne(weir_breaker_read_state(&breaker), WEIR_BREAKER_CLOSED);
    for (size_t i = 0; i < N; i++)
        submit(pool, &tasks[i], carry, &good, &calls);
    ck_assert_uint_eq(weir_semaphore_available(&sem), 1u);
    for (size_t i = 0; i < N; i++)
        assert_ends(&tasks[i], WEIR_TASK_DONE, 0);
    ck_assert_int_ge(weir_now() - opened, WEIR_MS(150)); /* it was opened a little before */
    ck_assert_int_eq(weir_breaker_read_state(&breaker), WEIR_BREAKER_CLOSED);
    weir_breaker_counts counts;
    weir_breaker_read_counts(&breaker, &counts);
    ck_assert_uint_eq(counts.opened, 1u);
    ck_assert_uint_eq(counts.succeeded, N);
    weir_gate_destroy(&calls);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

static void note_change(weir_breaker_state from, weir_breaker_state to, void *user)
{
    (void)from;
    (void)to;
    weir_gate_look(user); /* what the header recommends; also from inside a look */
}

START_TEST(a_breaker_that_others_close_lets_in_what_waits)
{
    weir_pool *pool = new_pool(1, 1);
    weir_breaker breaker;
    weir_gate calls;
    struct load load = {0};
    weir_task task = WEIR_TASK_INIT;
    uint64_t ticket = 0;
    ck_assert_int_eq(
        weir_breaker_init(&breaker, WEIR_BREAKER_OPTIONS(.window = 1, .open_for = hour,
                                                         .on_change = note_change, .user = &calls)),
        0);
    ck_assert_int_eq(weir_gate_init(&calls, WEIR_GATE_OPTIONS(.breaker = &breaker)), 0);
    int64_t now = weir_now();
    ck_assert_int_eq(weir_breaker_allow_at(&breaker, &ticket, now), 0);
    weir_breaker_record_at(&breaker, ticket, -EIO, now);
    submit(pool, &task, carry, &load, &calls);
    ck_assert_uint_eq(weir_gate_waiting(&calls), 1u);
    ck_assert_int_eq(weir_breaker_allow_at(&breaker, &ticket, now + hour), 0); /* a probe */
    ck_assert_uint_eq(weir_gate_waiting(&calls), 1u);
    weir_breaker_record_at(&breaker, ticket, 0, now + hour);
    assert_ends(&task, WEIR_TASK_DONE, 0);
    weir_gate_destroy(&calls);
    finish_counted(pool);
}
END_TEST

/* Ends before the start. */

/* It expires soon, but not before it is accepted. */
static void submit_to_expire(weir_pool *pool, weir_task *task, struct load *load, weir_gate *way)
{
    int err = -ETIMEDOUT;
    for (int64_t span = WEIR_MS(5); err == -ETIMEDOUT; span *= 2)
        err = weir_pool_submit_task(pool, task, carry, load,
                                    WEIR_TASK_OPTIONS(.gate = way, .start_by = weir_after(span)));
    ck_assert_int_eq(err, 0);
}

START_TEST(a_task_expires_at_its_gate_when_its_time_has_come)
{
    weir_pool *pool = new_pool(1, 4);
    weir_semaphore sem;
    weir_gate one;
    struct load load = {0};
    weir_task tasks[3] = {WEIR_TASK_INIT}, late = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(&one, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), 0);
    for (size_t i = 0; i < 3; i++)
        submit_to_expire(pool, &tasks[i], &load, &one);
    submit(pool, &late, carry, &load, &one);
    /* Nobody waits for them: the clock ends them. */
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, weir_after(WEIR_MS(50))), -ETIMEDOUT);
    for (int64_t until = patience(); weir_task_try_wait(&tasks[2]) != 0 && weir_now() < until;)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(1))), 0);
    for (size_t i = 0; i < 3; i++)
        assert_ends(&tasks[i], WEIR_TASK_EXPIRED, -ETIMEDOUT);
    ck_assert_uint_eq(weir_gate_waiting(&one), 1u);
    weir_semaphore_release(&sem, 1);
    assert_ends(&late, WEIR_TASK_DONE, 0);
    ck_assert_int_eq(atomic_load(&load.calls), 1);
    weir_gate_destroy(&one);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

START_TEST(a_task_with_a_time_expires_at_its_gate_also_while_the_queue_is_full)
{
    weir_pool *pool = new_pool_with_places(1, 1, 3);
    weir_semaphore sem;
    weir_gate one, wide;
    gate hold = GATE_INIT;
    struct load load = {0};
    weir_task timed = WEIR_TASK_INIT, queued[2] = {WEIR_TASK_INIT};
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(&one, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(&wide, NULL), 0);
    saturate(pool, &hold, 1);
    for (size_t i = 0; i < 2; i++)
        submit(pool, &queued[i], carry, &load, i == 0 ? NULL : &wide);
    threads_await_asleep(); /* the clock's waits for room for the second one */
    int64_t at = weir_after(WEIR_MS(5));
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &timed, carry, &load,
                                 WEIR_TASK_OPTIONS(.gate = &one, .start_by = at + WEIR_MS(5)), at),
        0);
    for (int64_t until = patience(); weir_task_try_wait(&timed) != 0 && weir_now() < until;)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(1))), 0);
    assert_ends(&timed, WEIR_TASK_EXPIRED, -ETIMEDOUT);
    gate_open(&hold);
    for (size_t i = 0; i < 2; i++)
        assert_ends(&queued[i], WEIR_TASK_DONE, 0);
    weir_gate_destroy(&wide);
    weir_gate_destroy(&one);
    weir_semaphore_release(&sem, 1);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

START_TEST(a_task_that_expires_in_a_busy_pool_stops_no_other)
{
    weir_pool *busy = new_pool(1, 1), *idle = new_pool(1, 1);
    weir_limiter limiter;
    weir_gate calls;
    gate hold = GATE_INIT;
    struct load load = {0};
    weir_task first = WEIR_TASK_INIT, second = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_limiter_init(&limiter, 20, 1), 0);
    ck_assert_int_eq(weir_limiter_allow(&limiter, 1), 0);
    ck_assert_int_eq(weir_gate_init(&calls, WEIR_GATE_OPTIONS(.limiter = &limiter)), 0);
    saturate(busy, &hold, 1);
    submit_to_expire(busy, &first, &load, &calls);
    submit(idle, &second, carry, &load, &calls);
    assert_ends(&second, WEIR_TASK_DONE, 0); /* the worker of the first is still held */
    assert_ends(&first, WEIR_TASK_EXPIRED, -ETIMEDOUT);
    gate_open(&hold);
    finish_counted(busy);
    finish_counted(idle);
    weir_gate_destroy(&calls);
}
END_TEST

struct way_out {
    weir_gate gate;
    gate *hold; /* or NULL */
};

static void destroy_way(void *arg, weir_state end, int status)
{
    struct way_out *way = arg;
    (void)end;
    (void)status;
    if (way->hold != NULL)
        gate_wait(way->hold);
    weir_gate_destroy(&way->gate);
}

static void submit_until(weir_pool *pool, weir_task *task, struct way_out *way, weir_context *ctx,
                         int64_t start_by)
{
    ck_assert_int_eq(
        weir_pool_submit_task_until(
            pool, task, do_nothing, way,
            WEIR_TASK_OPTIONS(.gate = &way->gate, .start_by = start_by, .on_done = destroy_way),
            ctx, WEIR_FOREVER),
        0);
}

START_TEST(on_done_of_the_last_task_may_destroy_the_gate)
{
    weir_pool *pool = new_pool(1, 1);
    weir_semaphore sem;
    struct way_out way = {.hold = NULL};
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), 0);
    for (int how = 0; how < 3; how++) {
        weir_context *ctx = NULL;
        weir_task task = WEIR_TASK_INIT;
        ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
        ck_assert_int_eq(weir_gate_init(&way.gate, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
        submit_until(pool, &task, &way, ctx, how == 0 ? weir_after(WEIR_MS(20)) : 0);
        if (how == 1)
            weir_context_cancel(ctx, 0);
        else if (how == 2)
            ck_assert_int_eq(weir_task_cancel(&task), 0);
        assert_ends(&task, how == 0 ? WEIR_TASK_EXPIRED : WEIR_TASK_CANCELLED,
                    how == 0 ? -ETIMEDOUT : -ECANCELED);
        ck_assert_uint_eq(weir_semaphore_waiting(&sem), 0u);
        weir_context_unref(ctx);
    }
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

/* While the thread of the timers is held, in on_done of a task that ended at a gate. */
START_TEST(a_full_lane_keeps_no_task_of_another_lane_from_its_queue)
{
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .lanes = 2, .timers = 3));
    weir_semaphore sem;
    weir_gate wide;
    gate hold = GATE_INIT, hold_clock = GATE_INIT;
    struct way_out way = {.hold = &hold_clock};
    struct load load = {0};
    counter ran = COUNTER_INIT;
    weir_context *ctx = NULL;
    weir_task first = WEIR_TASK_INIT, slow = WEIR_TASK_INIT, urgent = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(&way.gate, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    ck_assert_int_eq(weir_gate_init(&wide, NULL), 0);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_lane(pool, 1, counter_task, &ran), 0);
    submit_until(pool, &first, &way, ctx, 0);
    weir_context_cancel(ctx, 0);
    gate_await(&hold_clock, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &slow, carry, &load,
                                           WEIR_TASK_OPTIONS(.gate = &wide, .lane = WEIR_LANE(1))),
                     0);
    ck_assert_int_eq(weir_pool_submit_task(pool, &urgent, carry, &load,
                                           WEIR_TASK_OPTIONS(.gate = &wide, .lane = WEIR_LANE(0))),
                     0);
    gate_open(&hold);
    assert_ends(&urgent, WEIR_TASK_DONE, 0);
    ck_assert_int_eq(weir_task_state(&slow), WEIR_TASK_QUEUED); /* it was let in before room came */
    gate_open(&hold_clock);
    assert_ends(&slow, WEIR_TASK_DONE, 0);
    assert_ends(&first, WEIR_TASK_CANCELLED, -ECANCELED);
    weir_context_unref(ctx);
    weir_gate_destroy(&wide);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
    ck_assert_uint_eq(counter_get(&ran), 1u);
}
END_TEST

/* How often a thread gave up its CPU while it was blocked in a submit. */
static int submit_blocked(void *arg)
{
    struct rusage before, after;
    ck_assert_int_eq(getrusage(RUSAGE_THREAD, &before), 0);
    if (weir_pool_submit(arg, do_nothing, NULL) != 0)
        give_up("a blocked submit failed.");
    ck_assert_int_eq(getrusage(RUSAGE_THREAD, &after), 0);
    return (int)(after.ru_nvcsw - before.ru_nvcsw);
}

START_TEST(tasks_at_a_gate_do_not_wake_blocked_submitters_one_by_one)
{
    enum { N = 2000, SUBMITTERS = 8 };
    weir_pool *pool = new_pool_with_places(1, 1, N + 1);
    weir_semaphore sem;
    weir_gate one;
    gate hold = GATE_INIT;
    struct load load = {0};
    weir_context *ctx = NULL;
    weir_task due = WEIR_TASK_INIT, *tasks = new_tasks(N);
    caller submitters[SUBMITTERS];
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(&one, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, do_nothing, NULL), 0);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &due, carry, &load, NULL, weir_now()), 0);
    for (size_t i = 0; i < SUBMITTERS; i++) {
        caller_start(&submitters[i], submit_blocked, pool);
        ck_assert(caller_await_asleep(&submitters[i]));
    }
    for (size_t i = 0; i < N; i++)
        ck_assert_int_eq(weir_pool_submit_task_until(
                             pool, &tasks[i], carry, &load,
                             WEIR_TASK_OPTIONS(.gate = &one, .start_by = weir_after(hour)), ctx,
                             WEIR_FOREVER),
                         0);
    weir_context_cancel(ctx, 0);
    for (size_t i = 0; i < N; i++)
        assert_ends(&tasks[i], WEIR_TASK_CANCELLED, -ECANCELED);
    gate_open(&hold);
    int switches = 0;
    for (size_t i = 0; i < SUBMITTERS; i++)
        switches += caller_join(&submitters[i]);
    ck_assert_int_lt(switches, SUBMITTERS * N / 4);
    assert_ends(&due, WEIR_TASK_DONE, 0);
    weir_context_unref(ctx);
    weir_gate_destroy(&one);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
    free(tasks);
}
END_TEST

START_TEST(any_task_of_the_line_can_be_cancelled_at_once)
{
    enum { N = 9 };
    weir_pool *pool = new_pool(1, N);
    weir_semaphore sem;
    weir_gate one;
    struct load load = {0};
    weir_task tasks[N] = {WEIR_TASK_INIT};
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(&one, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), 0);
    for (size_t i = 0; i < N; i++)
        submit(pool, &tasks[i], carry, &load, &one);
    for (size_t i = 0; i < N; i += 2) { /* the first and the last among them */
        ck_assert_int_eq(weir_task_cancel(&tasks[i]), 0);
        assert_ends(&tasks[i], WEIR_TASK_CANCELLED, -ECANCELED);
    }
    ck_assert_uint_eq(weir_gate_waiting(&one), N / 2);
    weir_semaphore_release(&sem, 1);
    for (size_t i = 1; i < N; i += 2)
        assert_ends(&tasks[i], WEIR_TASK_DONE, 0);
    ck_assert_int_eq(atomic_load(&load.calls), N / 2);
    weir_gate_destroy(&one);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

START_TEST(a_context_ends_a_task_at_its_gate_beside_a_busy_worker)
{
    weir_pool *pool = new_pool_with_places(1, 1, 3);
    weir_semaphore sem;
    weir_gate one, wide;
    gate hold = GATE_INIT;
    struct load load = {0};
    weir_context *ctx = NULL;
    weir_task first = WEIR_TASK_INIT, second = WEIR_TASK_INIT, queued[2] = {WEIR_TASK_INIT};
    weir_pool_stats stats = {.size = sizeof stats};
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(&one, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(&wide, NULL), 0);
    saturate(pool, &hold, 1);
    for (size_t i = 0; i < 2; i++) /* for the second there is no room: the clock waits for it */
        submit(pool, &queued[i], carry, &load, i == 0 ? NULL : &wide);
    ck_assert_int_eq(weir_pool_submit_task_until(pool, &first, carry, &load,
                                                 WEIR_TASK_OPTIONS(.gate = &one), ctx,
                                                 WEIR_FOREVER),
                     0);
    submit(pool, &second, carry, &load, &one);
    ck_assert_int_eq(weir_pool_read_stats(pool, &stats), 0);
    ck_assert_uint_eq(stats.gated, 2u);
    weir_context_cancel(ctx, 0);
    assert_ends(&first, WEIR_TASK_CANCELLED, -ECANCELED);
    ck_assert_uint_eq(weir_gate_waiting(&one), 1u);
    ck_assert_int_eq(weir_pool_read_stats(pool, &stats), 0);
    ck_assert_uint_eq(stats.gated, 1u);
    submit(pool, &first, carry, &load, &one); /* its place is free */
    gate_open(&hold);
    weir_semaphore_release(&sem, 1);
    assert_ends(&second, WEIR_TASK_DONE, 0);
    assert_ends(&first, WEIR_TASK_DONE, 0);
    ck_assert_int_eq(weir_pool_read_stats(pool, &stats), 0);
    ck_assert_uint_eq(stats.gated, 0u);
    for (size_t i = 0; i < 2; i++)
        assert_ends(&queued[i], WEIR_TASK_DONE, 0);
    weir_context_unref(ctx);
    weir_gate_destroy(&wide);
    weir_gate_destroy(&one);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

START_TEST(shutdown_ends_what_waits_at_a_gate)
{
    enum { N = 6 };
    weir_pool *pool = new_pool(1, N);
    weir_semaphore sem;
    weir_gate one;
    struct load load = {0};
    weir_task tasks[N] = {WEIR_TASK_INIT}, refused = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(&one, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), 0);
    for (size_t i = 0; i < N; i++)
        submit(pool, &tasks[i], carry, &load, &one);
    weir_pool_close(pool);
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &refused, carry, &load, WEIR_TASK_OPTIONS(.gate = &one)),
        -EPIPE);
    ck_assert_uint_eq(weir_gate_waiting(&one), N);
    ck_assert_int_eq(weir_pool_shutdown(pool, weir_now(), patience(), NULL), 0);
    for (size_t i = 0; i < N; i++)
        assert_ends(&tasks[i], WEIR_TASK_CANCELLED, -ECANCELED);
    ck_assert_uint_eq(weir_gate_waiting(&one), 0u);
    ck_assert_uint_eq(weir_semaphore_waiting(&sem), 0u);
    weir_gate_destroy(&one);
    weir_semaphore_release(&sem, 1);
    weir_semaphore_destroy(&sem);
    weir_pool_free(pool);
}
END_TEST

/* Together with other kinds of tasks. */

static int wait_for_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_task_wait_until(arg, NULL, patience());
}

START_TEST(a_worker_that_waits_for_a_task_runs_it_once_it_is_let_in)
{
    weir_pool *pool = new_pool(1, 4);
    weir_semaphore sem;
    weir_gate one;
    struct load load = {0};
    weir_task waiter = WEIR_TASK_INIT, task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(&one, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), 0);
    submit(pool, &task, carry, &load, &one);
    submit(pool, &waiter, wait_for_task, &task, NULL); /* on the only worker */
    ck_assert_int_eq(weir_task_wait_until(&waiter, NULL, weir_after(WEIR_MS(20))), -ETIMEDOUT);
    ck_assert_int_eq(atomic_load(&load.calls), 0);
    weir_semaphore_release(&sem, 1);
    assert_ends(&waiter, WEIR_TASK_DONE, 0);
    assert_ends(&task, WEIR_TASK_DONE, 0);
    weir_gate_destroy(&one);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

START_TEST(a_task_with_a_time_comes_to_the_gate_at_that_time)
{
    weir_pool *pool = new_pool(1, 2);
    weir_semaphore sem;
    weir_gate one;
    struct load load = {0};
    weir_task timed = WEIR_TASK_INIT, every = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(&one, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &timed, carry, &load,
                                              WEIR_TASK_OPTIONS(.gate = &one), weir_after(hour)),
                     0);
    ck_assert_uint_eq(weir_gate_waiting(&one), 0u);
    ck_assert_int_eq(weir_task_cancel(&timed), 0);
    int64_t at = weir_after(WEIR_MS(20));
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &timed, carry, &load, WEIR_TASK_OPTIONS(.gate = &one), at),
        0);
    assert_ends(&timed, WEIR_TASK_DONE, 0);
    ck_assert_int_ge(weir_now(), at);
    ck_assert_int_eq(weir_pool_submit_every(pool, &every, carry, &load,
                                            WEIR_TASK_OPTIONS(.gate = &one), weir_now(), hour),
                     -EINVAL);
    weir_gate_destroy(&one);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

static int fail_twice(weir_context *ctx, void *arg)
{
    struct load *load = arg;
    (void)ctx;
    return atomic_fetch_add(&load->calls, 1) < 2 ? -EIO : 0;
}

START_TEST(each_attempt_of_a_retried_task_passes_the_gate)
{
    weir_pool *pool = new_pool(1, 2);
    weir_semaphore sem;
    weir_limiter limiter;
    weir_gate calls;
    struct load load = {0};
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_limiter_init(&limiter, 0, 10), 0);
    ck_assert_int_eq(
        weir_gate_init(&calls, WEIR_GATE_OPTIONS(.semaphore = &sem, .limiter = &limiter)), 0);
    ck_assert_int_eq(
        weir_pool_submit_retry(pool, &task, fail_twice, &load, WEIR_TASK_OPTIONS(.gate = &calls),
                               WEIR_RETRY_OPTIONS(.initial_interval = WEIR_MS(1), .jitter = -1)),
        0);
    assert_ends(&task, WEIR_TASK_DONE, 0);
    ck_assert_int_eq(atomic_load(&load.calls), 3);
    ck_assert_int_eq(weir_limiter_tokens(&limiter), 7);
    /* It holds nothing during a pause, but the gate cannot be destroyed. */
    atomic_store(&load.calls, 0);
    ck_assert_int_eq(weir_pool_submit_retry(pool, &task, fail_twice, &load,
                                            WEIR_TASK_OPTIONS(.gate = &calls),
                                            WEIR_RETRY_OPTIONS(.initial_interval = hour)),
                     0);
    for (int64_t until = patience(); atomic_load(&load.calls) == 0 && weir_now() < until;)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(1))), 0);
    ck_assert_int_eq(weir_semaphore_acquire_until(&sem, 1, NULL, patience()), 0);
    weir_semaphore_release(&sem, 1);
    while (weir_task_cancel(&task) == -EINPROGRESS) /* until the attempt is over */
        continue;
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_cause(&task), -EIO);
    weir_gate_destroy(&calls);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

struct chain {
    weir_pool *pool;
    weir_gate *gate;
    weir_task task;
    atomic_int steps;
};

static void again(void *arg, weir_state end, int status)
{
    struct chain *chain = arg;
    (void)end;
    (void)status;
    if (atomic_fetch_add(&chain->steps, 1) < 1000 &&
        weir_pool_submit_task(chain->pool, &chain->task, do_nothing, chain,
                              WEIR_TASK_OPTIONS(.gate = chain->gate, .on_done = again)) != 0)
        give_up("on_done could not go on with its task.");
}

START_TEST(on_done_goes_on_with_its_task_through_the_gate)
{
    weir_semaphore sem;
    weir_gate one;
    struct chain chain = {.pool = new_pool_with_places(1, 1, 1), .gate = &one};
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(&one, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    ck_assert_int_eq(weir_pool_submit_task(chain.pool, &chain.task, do_nothing, &chain,
                                           WEIR_TASK_OPTIONS(.gate = &one, .on_done = again)),
                     0);
    assert_ends(&chain.task, WEIR_TASK_DONE, 0);
    ck_assert_int_eq(atomic_load(&chain.steps), 1001);
    weir_gate_destroy(&one);
    weir_semaphore_destroy(&sem);
    finish_counted(chain.pool);
}
END_TEST

START_TEST(a_full_queue_keeps_a_task_that_was_let_in_waiting)
{
    enum { N = 12 };
    weir_pool *pool = new_pool_with_places(1, 1, N);
    weir_gate open;
    gate hold = GATE_INIT;
    struct load load = {0};
    weir_task tasks[N] = {WEIR_TASK_INIT};
    ck_assert_int_eq(weir_gate_init(&open, NULL), 0);
    saturate(pool, &hold, 1);
    for (size_t i = 0; i < N; i++)
        submit(pool, &tasks[i], carry, &load, &open);
    ck_assert_uint_eq(weir_gate_waiting(&open), 0u);
    ck_assert_int_eq(weir_task_cancel(&tasks[5]), 0);
    gate_open(&hold);
    for (size_t i = 0; i < N; i++)
        assert_ends(&tasks[i], i == 5 ? WEIR_TASK_CANCELLED : WEIR_TASK_DONE,
                    i == 5 ? -ECANCELED : 0);
    weir_gate_destroy(&open);
    finish_counted(pool);
}
END_TEST

START_TEST(gates_and_pools_share_a_semaphore)
{
    enum { N = 200, PERMITS = 2 };
    weir_pool *pools[2] = {new_pool_with_places(3, 4, N), new_pool_with_places(3, 4, N)};
    weir_semaphore sem;
    weir_gate gates[2];
    struct load load = {0};
    weir_task *tasks = new_tasks(N);
    ck_assert_int_eq(weir_semaphore_init(&sem, PERMITS), 0);
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(weir_gate_init(&gates[i], WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    for (size_t i = 0; i < N; i++)
        submit(pools[i % 2], &tasks[i], carry, &load, &gates[i / 2 % 2]);
    for (size_t i = 0; i < N; i++)
        assert_ends(&tasks[i], WEIR_TASK_DONE, 0);
    ck_assert_int_le(atomic_load(&load.most), PERMITS);
    ck_assert_uint_eq(weir_semaphore_available(&sem), PERMITS);
    for (size_t i = 0; i < 2; i++) {
        weir_gate_destroy(&gates[i]);
        finish_counted(pools[i]);
    }
    weir_semaphore_destroy(&sem);
    free(tasks);
}
END_TEST

static int make_number(void *user, void **ret)
{
    *ret = (char *)user + atomic_fetch_add((atomic_int *)user, 1);
    return 0;
}

static int borrow(weir_context *ctx, void *arg)
{
    void *lease;
    (void)ctx;
    int err = weir_lease_try_acquire(arg, &lease);
    if (err == 0)
        weir_lease_release(arg, lease, 0);
    return err;
}

START_TEST(behind_a_gate_of_as_many_permits_a_lease_is_there)
{
    enum { N = 200, LEASES = 2 };
    weir_pool *pool = new_pool_with_places(4, 8, N);
    weir_lease_pool *leases = NULL;
    weir_semaphore sem;
    weir_gate each;
    atomic_int made = 0;
    weir_task *tasks = new_tasks(N);
    ck_assert_int_eq(
        weir_lease_pool_new(&leases,
                            WEIR_LEASE_OPTIONS(.max = LEASES, .make = make_number, .user = &made)),
        0);
    ck_assert_int_eq(weir_semaphore_init(&sem, LEASES), 0);
    ck_assert_int_eq(weir_gate_init(&each, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    for (size_t i = 0; i < N; i++)
        submit(pool, &tasks[i], borrow, leases, &each);
    for (size_t i = 0; i < N; i++)
        assert_ends(&tasks[i], WEIR_TASK_DONE, 0);
    ck_assert_int_le(atomic_load(&made), LEASES);
    weir_gate_destroy(&each);
    weir_semaphore_destroy(&sem);
    weir_lease_pool_free(leases);
    finish_counted(pool);
    free(tasks);
}
END_TEST

struct last_words {
    weir_pool *pool;
    weir_task task;
    struct load load;
    int err;
};

static void submit_last_words(void *arg)
{
    struct last_words *words = arg;
    words->err = weir_pool_try_submit_task(words->pool, &words->task, carry, &words->load, NULL);
}

START_TEST(a_hook_starts_a_task_when_a_context_is_over)
{
    struct last_words words = {.pool = new_pool(1, 1), .err = -EIO};
    weir_context *ctx = NULL;
    weir_context_hook hook = {{0}};
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_context_on_done(ctx, &hook, submit_last_words, &words), 0);
    ck_assert_int_eq(weir_task_state(&words.task), WEIR_TASK_IDLE);
    weir_context_cancel(ctx, -ECANCELED);
    ck_assert_int_eq(words.err, 0);
    assert_ends(&words.task, WEIR_TASK_DONE, 0);
    weir_context_unref(ctx);
    finish_counted(words.pool);
}
END_TEST

static void *release_one(void *sem)
{
    weir_semaphore_release(sem, 1);
    return NULL;
}

/* Each gate gets the permit, is refused by the breaker, and gives the permit to the next. */
START_TEST(a_permit_that_passes_many_gates_takes_no_stack_for_each)
{
    enum { N = 4000, STACK = 256 * 1024 };
    weir_pool *pool = new_pool_with_places(1, 1, N);
    weir_semaphore sem;
    weir_breaker breaker;
    weir_gate *gates = calloc(N, sizeof *gates);
    weir_task *tasks = new_tasks(N);
    struct load load = {0};
    uint64_t ticket = 0;
    pthread_attr_t small;
    pthread_t thread;
    ck_assert_ptr_nonnull(gates);
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), 0);
    ck_assert_int_eq(
        weir_breaker_init(&breaker, WEIR_BREAKER_OPTIONS(.window = 1, .open_for = hour)), 0);
    for (size_t i = 0; i < N; i++) {
        ck_assert_int_eq(
            weir_gate_init(&gates[i], WEIR_GATE_OPTIONS(.semaphore = &sem, .breaker = &breaker)),
            0);
        submit(pool, &tasks[i], carry, &load, &gates[i]);
    }
    ck_assert_uint_eq(weir_semaphore_waiting(&sem), N);
    ck_assert_int_eq(weir_breaker_allow(&breaker, &ticket), 0);
    weir_breaker_record(&breaker, ticket, -EIO);
    ck_assert_int_eq(pthread_attr_init(&small), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&small, STACK), 0);
    ck_assert_int_eq(pthread_create(&thread, &small, release_one, &sem), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    (void)pthread_attr_destroy(&small);
    ck_assert_uint_eq(weir_semaphore_waiting(&sem), 0u);
    ck_assert_uint_eq(weir_semaphore_available(&sem), 1u);
    weir_pool_free(pool);
    for (size_t i = 0; i < N; i++)
        weir_gate_destroy(&gates[i]);
    weir_semaphore_destroy(&sem);
    free(gates);
    free(tasks);
}
END_TEST

static int try_gate(const weir_gate_options *options)
{
    weir_gate one;
    return weir_gate_init(&one, options);
}

static void check_options(const weir_gate_options *options, const char *wrong)
{
    ck_assert_int_eq(try_gate(options), wrong != NULL ? -EINVAL : 0);
    const char *said = weir_gate_options_error(options);
    ck_assert(wrong != NULL ? said != NULL && strcmp(said, wrong) == 0 : said == NULL);
}

START_TEST(options_that_cannot_be_are_explained)
{
    weir_semaphore sem, no_sem = {{0}};
    weir_limiter limiter, no_limiter = {{0}};
    weir_breaker breaker, no_breaker = {{0}};
    ck_assert_int_eq(weir_semaphore_init(&sem, 2), 0);
    ck_assert_int_eq(weir_limiter_init(&limiter, 1, 2), 0);
    ck_assert_int_eq(weir_breaker_init(&breaker, NULL), 0);
    check_options(WEIR_GATE_OPTIONS(.semaphore = &sem, .limiter = &limiter, .breaker = &breaker,
                                    .permits = 2, .tokens = 2),
                  NULL);
    check_options(WEIR_GATE_OPTIONS(.semaphore = &no_sem, .permits = 1), "semaphore: never made");
    check_options(WEIR_GATE_OPTIONS(.limiter = &no_limiter), "limiter: never made, or of burst 0");
    check_options(WEIR_GATE_OPTIONS(.breaker = &no_breaker), "breaker: never made");
    check_options(WEIR_GATE_OPTIONS(.permits = 1), "permits: without a semaphore");
    check_options(WEIR_GATE_OPTIONS(.tokens = 1), "tokens: without a limiter");
    check_options(WEIR_GATE_OPTIONS(.semaphore = &sem, .permits = 3),
                  "permits: more than the semaphore has");
    check_options(WEIR_GATE_OPTIONS(.limiter = &limiter, .tokens = 3),
                  "tokens: more than the limiter's burst");
    weir_semaphore_destroy(&sem);
}
END_TEST

START_TEST(ten_thousand_tasks_pass_a_gate_on_two_workers)
{
    enum { N = 10000, PERMITS = 3 };
    weir_pool *pool = new_pool_with_places(2, 64, N);
    weir_semaphore sem;
    weir_limiter limiter;
    weir_gate calls;
    struct load load = {0};
    weir_task *tasks = new_tasks(N);
    ck_assert_int_eq(weir_semaphore_init(&sem, PERMITS), 0);
    ck_assert_int_eq(weir_limiter_init(&limiter, 20000, 100), 0);
    ck_assert_int_eq(
        weir_gate_init(&calls, WEIR_GATE_OPTIONS(.semaphore = &sem, .limiter = &limiter)), 0);
    int64_t begin = weir_now();
    for (size_t i = 0; i < N; i++)
        submit(pool, &tasks[i], carry, &load, &calls);
    for (size_t i = 0; i < N; i++)
        assert_ends(&tasks[i], WEIR_TASK_DONE, 0);
    ck_assert_int_ge(weir_now() - begin, WEIR_S(1) / 20000 * (N - 100));
    ck_assert_int_le(atomic_load(&load.most), PERMITS);
    ck_assert_int_eq(atomic_load(&load.calls), N);
    weir_gate_destroy(&calls);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
    free(tasks);
}
END_TEST

/* Bad input. */

START_TEST(bad_arguments_are_refused)
{
    weir_pool *pool = new_pool_with_places(1, 1, 1);
    weir_semaphore sem;
    weir_gate one, never = {{0}};
    struct load load = {0};
    weir_task task = WEIR_TASK_INIT, second = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_gate_init(&one, &(weir_gate_options){.size = 3}), -EINVAL);
    weir_gate_options_init(NULL);
    ck_assert_uint_eq(weir_gate_waiting(NULL), 0u);
    ck_assert_uint_eq(weir_gate_waiting(&never), 0u);
    weir_gate_look(NULL);
    weir_gate_look(&never);
    weir_gate_destroy(NULL);
    weir_gate_destroy(&never);
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &task, carry, &load, WEIR_TASK_OPTIONS(.gate = &never)),
        -EINVAL);
    ck_assert_str_eq(weir_task_options_error(WEIR_TASK_OPTIONS(.gate = &never)),
                     "gate: never made");
    ck_assert_int_eq(weir_gate_init(&one, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), 0);
    submit(pool, &task, carry, &load, &one);
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &task, carry, &load, WEIR_TASK_OPTIONS(.gate = &one)), -EBUSY);
    /* The pool's only place is in use. */
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &second, carry, &load, WEIR_TASK_OPTIONS(.gate = &one)),
        -EAGAIN);
    ck_assert_int_eq(weir_task_state(&second), WEIR_TASK_IDLE);
    ck_assert_uint_eq(weir_gate_waiting(&one), 1u);
    weir_semaphore_release(&sem, 1);
    assert_ends(&task, WEIR_TASK_DONE, 0);
    weir_gate_destroy(&one);
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &task, carry, &load, WEIR_TASK_OPTIONS(.gate = &one)), -EINVAL);
    weir_gate_destroy(&one);
    weir_semaphore_destroy(&sem);
    finish_counted(pool);
}
END_TEST

static void destroy_with_a_task(void *arg)
{
    weir_pool *pool = new_pool(1, 1);
    weir_semaphore sem;
    weir_gate one;
    weir_task task = WEIR_TASK_INIT;
    (void)arg;
    (void)!weir_semaphore_init(&sem, 1);
    (void)!weir_gate_init(&one, WEIR_GATE_OPTIONS(.semaphore = &sem));
    (void)!weir_semaphore_try_acquire(&sem, 1);
    submit(pool, &task, do_nothing, NULL, &one);
    weir_gate_destroy(&one);
}

START_TEST(to_destroy_a_gate_with_a_task_behind_it_aborts)
{
    assert_aborts(destroy_with_a_task, NULL, "weir_gate_destroy");
}
END_TEST

START_TEST(a_gate_of_the_parent_is_stale_in_a_child)
{
    weir_gate way;
    weir_semaphore sem;
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_gate_init(&way, WEIR_GATE_OPTIONS(.semaphore = &sem)), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        weir_task task = WEIR_TASK_INIT;
        struct load load = {0};
        int line = 0;
#if CHILDREN_HAVE_THREADS
        weir_pool *pool = NULL;
        if (weir_pool_new(&pool, NULL) != 0 ||
            weir_pool_submit_task(pool, &task, carry, &load, WEIR_TASK_OPTIONS(.gate = &way)) !=
                -ESTALE)
            line = __LINE__;
        else if (weir_gate_init(&way, WEIR_GATE_OPTIONS(.semaphore = &sem)) != 0 ||
                 weir_pool_submit_task(pool, &task, carry, &load,
                                       WEIR_TASK_OPTIONS(.gate = &way)) != 0 ||
                 weir_task_wait(&task) != 0)
            line = __LINE__;
        weir_pool_free(pool);
#else
        (void)task;
        (void)load;
#endif
        weir_gate_look(&way);
        weir_gate_destroy(&way);
        _exit(line != 0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    weir_gate_destroy(&way);
    weir_semaphore_destroy(&sem);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("gates");
    TCase *permits = add_group(suite, "permits");
    tcase_add_test(permits, a_gate_without_conditions_lets_every_task_in);
    tcase_add_test(permits, no_more_run_than_there_are_permits_and_others_do_not_wait);
    tcase_add_test(permits, tasks_are_let_in_in_the_order_in_which_they_came);
    tcase_add_test(permits, a_gate_stands_in_the_line_of_the_semaphore);
    tcase_add_test(permits, a_gate_gets_its_turn_behind_a_thread_also_if_that_gives_up);

    TCase *tokens = add_group(suite, "tokens");
    tcase_add_test(tokens, tasks_start_no_faster_than_their_tokens_come);
    tcase_add_test(tokens, tokens_of_a_first_task_that_is_cancelled_are_the_next_ones);
    tcase_add_test(tokens, a_task_that_was_let_in_and_cannot_start_gives_everything_back);
    tcase_add_test(tokens, a_rate_that_is_no_longer_0_counts_once_the_gate_looks);

    TCase *breaker = add_group(suite, "breaker");
    tcase_add_test(breaker, while_the_breaker_is_open_tasks_wait_and_hold_no_permit);
    tcase_add_test(breaker, a_breaker_that_others_close_lets_in_what_waits);

    TCase *ends = add_group(suite, "ends");
    tcase_add_test(ends, a_task_expires_at_its_gate_when_its_time_has_come);
    tcase_add_test(ends, a_task_that_expires_in_a_busy_pool_stops_no_other);
    tcase_add_test(ends, on_done_of_the_last_task_may_destroy_the_gate);
    tcase_add_test(ends, a_task_with_a_time_expires_at_its_gate_also_while_the_queue_is_full);
    tcase_add_test(ends, a_full_lane_keeps_no_task_of_another_lane_from_its_queue);
    tcase_add_test(ends, tasks_at_a_gate_do_not_wake_blocked_submitters_one_by_one);
    tcase_add_test(ends, any_task_of_the_line_can_be_cancelled_at_once);
    tcase_add_test(ends, a_context_ends_a_task_at_its_gate_beside_a_busy_worker);
    tcase_add_test(ends, shutdown_ends_what_waits_at_a_gate);

    TCase *others = add_group(suite, "others");
    tcase_add_test(others, a_worker_that_waits_for_a_task_runs_it_once_it_is_let_in);
    tcase_add_test(others, a_task_with_a_time_comes_to_the_gate_at_that_time);
    tcase_add_test(others, each_attempt_of_a_retried_task_passes_the_gate);
    tcase_add_test(others, on_done_goes_on_with_its_task_through_the_gate);
    tcase_add_test(others, a_full_queue_keeps_a_task_that_was_let_in_waiting);
    tcase_add_test(others, gates_and_pools_share_a_semaphore);
    tcase_add_test(others, behind_a_gate_of_as_many_permits_a_lease_is_there);
    tcase_add_test(others, a_hook_starts_a_task_when_a_context_is_over);
    tcase_add_test(others, a_permit_that_passes_many_gates_takes_no_stack_for_each);
    tcase_add_test(others, ten_thousand_tasks_pass_a_gate_on_two_workers);

    TCase *bad = add_group(suite, "bad input");
    tcase_add_test(bad, bad_arguments_are_refused);
    tcase_add_test(bad, options_that_cannot_be_are_explained);
    tcase_add_test(bad, to_destroy_a_gate_with_a_task_behind_it_aborts);
    tcase_add_test(bad, a_gate_of_the_parent_is_stale_in_a_child);
    return suite;
}
