/* SPDX-License-Identifier: MIT */
/* serial.c - serials: order, turns, places, limits, and all that can happen to their tasks. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

enum { MANY = 200 };

/* A task that records its number, and how many of its kind run at once. */
struct step {
    weir_task task;
    recorder *log;
    int number;
    gate *door; /* to wait at first; or NULL */
};

static int record(weir_context *ctx, void *arg)
{
    struct step *step = arg;
    (void)ctx;
    if (step->door != NULL)
        gate_wait(step->door);
    recorder_add(step->log, step->number);
    return 0;
}

static void begin(weir_serial *serial, weir_pool *pool, const weir_serial_options *options)
{
    ck_assert_int_eq(weir_serial_init(serial, pool, options), 0);
}

static void add(weir_serial *serial, struct step *step, recorder *log, int number)
{
    *step = (struct step){.log = log, .number = number};
    ck_assert_int_eq(weir_serial_submit(serial, &step->task, record, step, NULL), 0);
}

static int try_add(weir_serial *serial, struct step *step, recorder *log, int number)
{
    *step = (struct step){.log = log, .number = number};
    return weir_serial_try_submit(serial, &step->task, record, step, NULL);
}

/* The first task of a serial, which keeps a worker at the door. */
static void hold(weir_serial *serial, struct step *step, recorder *log, gate *door)
{
    *step = (struct step){.log = log, .door = door};
    ck_assert_int_eq(weir_serial_submit(serial, &step->task, record, step, NULL), 0);
    gate_await(door, 1);
}

static void drain(weir_serial *serial)
{
    ck_assert_int_eq(weir_serial_drain_until(serial, NULL, patience()), 0);
}

static void end(weir_serial *serial)
{
    drain(serial);
    weir_serial_destroy(serial);
}

static void assert_order(recorder *log, const int numbers[], size_t n)
{
    recorder_await(log, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(recorder_at(log, i), numbers[i]);
}

static void assert_rest(weir_pool *pool, uint64_t submitted)
{
    weir_pool_counts counts;
    assert_quiet(pool);
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.submitted, submitted);
}

/* Order and turns. */

static int inside_now, most_inside; /* plain: two at once are a race */

static int one_at_a_time(weir_context *ctx, void *arg)
{
    if (++inside_now > most_inside)
        most_inside = inside_now;
    (void)record(ctx, arg);
    inside_now--;
    return 0;
}

START_TEST(tasks_run_one_after_the_other_in_order)
{
    recorder log = RECORDER_INIT;
    static struct step steps[MANY];
    weir_serial serial;
    weir_pool *pool = new_pool(4, 64);
    begin(&serial, pool, NULL);
    for (int i = 0; i < MANY; i++) {
        steps[i] = (struct step){.log = &log, .number = i};
        ck_assert_int_eq(
            weir_serial_submit(&serial, &steps[i].task, one_at_a_time, &steps[i], NULL), 0);
    }
    drain(&serial);
    ck_assert_int_eq(most_inside, 1);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(recorder_at(&log, (size_t)i), i);
        ck_assert_int_eq(weir_task_state(&steps[i].task), WEIR_TASK_DONE);
    }
    weir_serial_destroy(&serial);
    assert_rest(pool, MANY);
    finish_pool(pool);
}
END_TEST

START_TEST(serials_and_tasks_get_their_turns_round_robin_a_batch_at_a_time)
{
    recorder log = RECORDER_INIT;
    gate busy = GATE_INIT;
    struct step a[5], b[5], plain = {.log = &log, .number = 50};
    weir_serial first, second;
    weir_pool *pool = new_pool(1, 8);
    begin(&first, pool, WEIR_SERIAL_OPTIONS(.batch = 2));
    begin(&second, pool, WEIR_SERIAL_OPTIONS(.batch = 2));
    saturate(pool, &busy, 1);
    for (int i = 0; i < 5; i++)
        add(&first, &a[i], &log, i);
    ck_assert_int_eq(weir_pool_submit(pool, record, &plain), 0);
    for (int i = 0; i < 5; i++)
        add(&second, &b[i], &log, 10 + i);
    ck_assert_uint_eq(weir_serial_queued(&first), 5);
    ck_assert_uint_eq(weir_pool_queued(pool), 11);
    gate_open(&busy);
    static const int order[] = {0, 1, 50, 10, 11, 2, 3, 12, 13, 4, 14};
    assert_order(&log, order, 11);
    end(&first);
    end(&second);
    assert_rest(pool, 12);
    finish_pool(pool);
}
END_TEST

static int meet(weir_context *ctx, void *arg)
{
    (void)ctx;
    meeting_wait(arg);
    return 0;
}

START_TEST(as_many_as_parallel_says_run_at_once_and_no_more)
{
    recorder log = RECORDER_INIT;
    gate door = GATE_INIT;
    meeting three = MEETING_INIT(3);
    weir_task meets[6] = {WEIR_TASK_INIT};
    struct step steps[5];
    weir_serial serial;
    weir_pool *pool = new_pool(4, 8);
    begin(&serial, pool, WEIR_SERIAL_OPTIONS(.parallel = 3));
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(weir_serial_submit(&serial, &meets[i], meet, &three, NULL), 0);
    drain(&serial);
    for (int i = 0; i < 5; i++) {
        steps[i] = (struct step){.log = &log, .number = i, .door = &door};
        ck_assert_int_eq(weir_serial_submit(&serial, &steps[i].task, record, &steps[i], NULL), 0);
    }
    gate_await(&door, 3);
    ck_assert_uint_eq(weir_serial_queued(&serial), 2);
    struct step other; /* the fourth worker is free, and the serial does not take it */
    weir_serial beside;
    begin(&beside, pool, NULL);
    add(&beside, &other, &log, 9);
    ck_assert_int_eq(weir_task_wait(&other.task), 0);
    ck_assert_uint_eq(gate_arrived(&door), 3);
    gate_open(&door);
    end(&serial);
    end(&beside);
    finish_pool(pool);
}
END_TEST

/* Places. */

START_TEST(a_serial_takes_one_place_however_long_it_is)
{
    recorder log = RECORDER_INIT;
    gate busy = GATE_INIT;
    struct step steps[10], more;
    struct step plain = {.log = &log, .number = 99};
    weir_serial serial, other;
    weir_pool *pool = new_pool(1, 2);
    begin(&serial, pool, NULL);
    begin(&other, pool, NULL);
    saturate(pool, &busy, 1);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(try_add(&serial, &steps[i], &log, i), 0);
    ck_assert_int_eq(weir_pool_try_submit(pool, record, &plain), 0);
    ck_assert_int_eq(weir_pool_try_submit(pool, record, &plain), -EAGAIN);
    ck_assert_int_eq(try_add(&other, &more, &log, 50), -EAGAIN);
    ck_assert_int_eq(weir_task_state(&more.task), WEIR_TASK_IDLE);
    gate_open(&busy);
    end(&serial);
    end(&other);
    assert_rest(pool, 12);
    finish_pool(pool);
}
END_TEST

START_TEST(its_place_is_kept_while_its_task_runs_and_it_is_put_back_into_a_full_pool)
{
    recorder log = RECORDER_INIT;
    gate door = GATE_INIT;
    struct step steps[4];
    struct step plain = {.log = &log, .number = 99};
    weir_serial serial;
    weir_pool *pool = new_pool_as(
        WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2, .overflow = WEIR_OVERFLOW_REJECT));
    begin(&serial, pool, WEIR_SERIAL_OPTIONS(.batch = 1));
    hold(&serial, &steps[0], &log, &door);
    ck_assert_int_eq(weir_pool_submit(pool, record, &plain), 0);
    ck_assert_int_eq(weir_pool_submit(pool, record, &plain), -EAGAIN);
    for (int i = 1; i < 4; i++)
        add(&serial, &steps[i], &log, i);
    ck_assert_int_eq(weir_pool_submit(pool, record, &plain), -EAGAIN);
    gate_open(&door);
    static const int order[] = {0, 99, 1, 2, 3};
    assert_order(&log, order, 5);
    end(&serial);
    for (int i = 0; i < 2; i++) { /* both places are there again */
        gate_reset(&door);
        saturate(pool, &door, 1);
        ck_assert_int_eq(weir_pool_submit(pool, record, &plain), 0);
        ck_assert_int_eq(weir_pool_submit(pool, record, &plain), 0);
        ck_assert_int_eq(weir_pool_submit(pool, record, &plain), -EAGAIN);
        gate_open(&door);
        ck_assert_int_eq(weir_pool_drain(pool), 0);
    }
    finish_pool(pool);
}
END_TEST

START_TEST(the_place_of_a_serial_whose_tasks_were_cancelled_is_cleared_for_others)
{
    recorder log = RECORDER_INIT;
    gate busy = GATE_INIT;
    struct step steps[2], plain = {.log = &log, .number = 9};
    weir_serial serial;
    weir_pool *pool = new_pool(1, 1);
    begin(&serial, pool, NULL);
    saturate(pool, &busy, 1);
    add(&serial, &steps[0], &log, 0);
    add(&serial, &steps[1], &log, 1);
    ck_assert_int_eq(weir_pool_try_submit(pool, record, &plain), -EAGAIN);
    ck_assert_int_eq(weir_task_cancel(&steps[0].task), 0);
    ck_assert_int_eq(weir_pool_try_submit(pool, record, &plain), -EAGAIN);
    ck_assert_int_eq(weir_task_cancel(&steps[1].task), 0);
    weir_serial_destroy(&serial); /* its worker is busy: nothing is left of it in the queue */
    memset(&serial, 0xee, sizeof serial);
    ck_assert_int_eq(weir_pool_try_submit(pool, record, &plain), 0);
    gate_open(&busy);
    assert_rest(pool, 4);
    finish_pool(pool);
}
END_TEST

static void count_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)arg;
    if (why == WEIR_TASK_DROPPED)
        counter_add(user, 1);
}

START_TEST(drop_oldest_drops_no_turn_and_fails_where_there_are_only_turns)
{
    recorder log = RECORDER_INIT;
    gate busy = GATE_INIT;
    counter drops = COUNTER_INIT;
    struct step a[2], b, plain[3];
    weir_serial first, second;
    weir_pool *pool = new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2,
                                                    .overflow = WEIR_OVERFLOW_DROP_OLDEST,
                                                    .on_drop = count_drop, .user = &drops));
    begin(&first, pool, NULL);
    begin(&second, pool, NULL);
    saturate(pool, &busy, 1);
    add(&first, &a[0], &log, 0);
    add(&first, &a[1], &log, 1);
    for (int i = 0; i < 3; i++) {
        plain[i] = (struct step){.log = &log, .number = 10 + i};
        ck_assert_int_eq(weir_pool_submit(pool, record, &plain[i]), 0);
        ck_assert_uint_eq(counter_get(&drops), (size_t)i);
    }
    add(&second, &b, &log, 20); /* takes the place of the last one */
    ck_assert_uint_eq(counter_get(&drops), 3);
    ck_assert_int_eq(weir_pool_submit(pool, record, &plain[0]), -EAGAIN);
    gate_open(&busy);
    end(&first);
    end(&second);
    ck_assert_uint_eq(recorder_count(&log), 3);
    assert_rest(pool, 7);
    finish_pool(pool);
}
END_TEST

struct within {
    weir_pool *pool;
    gate *door;
    counter runs;
    int result;
};

static int submit_within(weir_context *ctx, void *arg)
{
    struct within *within = arg;
    (void)ctx;
    gate_wait(within->door);
    within->result = weir_pool_submit(within->pool, counter_task, &within->runs);
    return 0;
}

START_TEST(drop_oldest_fails_while_the_serials_that_run_have_all_places)
{
    gate door = GATE_INIT;
    struct within within = {.door = &door, .runs = COUNTER_INIT};
    weir_task task = WEIR_TASK_INIT;
    weir_serial serial;
    ck_assert_int_eq(
        weir_pool_new(&within.pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1,
                                                      .overflow = WEIR_OVERFLOW_DROP_OLDEST)),
        0);
    begin(&serial, within.pool, NULL);
    ck_assert_int_eq(weir_serial_submit(&serial, &task, submit_within, &within, NULL), 0);
    gate_await(&door, 1);
    ck_assert_int_eq(weir_pool_submit(within.pool, counter_task, &within.runs), -EAGAIN);
    gate_open(&door);
    end(&serial);
    ck_assert_int_eq(within.result, -EAGAIN);
    assert_rest(within.pool, 1);
    finish_pool(within.pool);
}
END_TEST

START_TEST(caller_runs_runs_a_task_in_the_turn_of_its_serial)
{
    recorder log = RECORDER_INIT;
    gate busy = GATE_INIT;
    struct step step, plain = {.log = &log, .number = 9};
    weir_serial serial;
    weir_pool *pool = new_pool_as(
        WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .overflow = WEIR_OVERFLOW_CALLER_RUNS));
    begin(&serial, pool, NULL);
    saturate(pool, &busy, 1);
    ck_assert_int_eq(weir_pool_submit(pool, record, &plain), 0);
    ck_assert_int_eq(try_add(&serial, &step, &log, 1), -EAGAIN);
    add(&serial, &step, &log, 1);
    ck_assert_int_eq(recorder_at(&log, 0), 1);
    ck_assert_int_eq(weir_task_state(&step.task), WEIR_TASK_DONE);
    weir_serial_destroy(&serial);
    gate_open(&busy);
    assert_rest(pool, 3);
    finish_pool(pool);
}
END_TEST

/* What others add while a serial runs in place. */
struct in_place {
    weir_serial serial;
    weir_pool *pool;
    recorder log;
    struct step steps[3];
    int results[3];
    bool dies;
};

static int first_in_place(weir_context *ctx, void *arg)
{
    struct in_place *here = arg;
    (void)ctx;
    for (int i = 1; i < 3; i++)
        here->results[i] = try_add(&here->serial, &here->steps[i], &here->log, i);
    recorder_add(&here->log, 0);
    if (here->dies)
        pthread_exit(NULL);
    return 0;
}

static int submit_in_place(weir_context *ctx, void *arg)
{
    struct in_place *here = arg;
    struct step *step = &here->steps[0];
    static struct step plain;
    plain.log = &here->log;
    plain.number = 9;
    (void)ctx;
    while (weir_pool_try_submit(here->pool, record, &plain) == 0)
        continue;
    here->results[0] = weir_serial_submit(&here->serial, &step->task, first_in_place, here, NULL);
    recorder_add(&here->log, 7);
    return 0;
}

START_TEST(a_task_that_meets_a_full_pool_runs_the_serial_in_place_until_it_is_done)
{
    static struct in_place here;
    here = (struct in_place){.log = RECORDER_INIT};
    here.pool = new_pool(1, 1);
    begin(&here.serial, here.pool, WEIR_SERIAL_OPTIONS(.batch = 1));
    ck_assert_int_eq(weir_pool_submit(here.pool, submit_in_place, &here), 0);
    static const int order[] = {0, 1, 2, 7, 9};
    assert_order(&here.log, order, 5);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(here.results[i], 0);
    end(&here.serial);
    assert_rest(here.pool, 5);
    finish_pool(here.pool);
}
END_TEST

START_TEST(a_thread_that_ends_itself_in_place_drops_the_rest)
{
    static struct in_place here;
    here = (struct in_place){.log = RECORDER_INIT, .dies = true};
    here.pool = new_pool(1, 1);
    begin(&here.serial, here.pool, NULL);
    ck_assert_int_eq(weir_pool_submit(here.pool, submit_in_place, &here), 0);
    ck_assert_int_eq(weir_pool_drain_until(here.pool, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_state(&here.steps[0].task), WEIR_TASK_FAILED);
    for (int i = 1; i < 3; i++)
        ck_assert_int_eq(weir_task_state(&here.steps[i].task), WEIR_TASK_DROPPED);
    static const int order[] = {0, 9};
    assert_order(&here.log, order, 2);
    end(&here.serial);
    assert_rest(here.pool, 5);
    finish_pool(here.pool);
}
END_TEST

/* The limit. */

struct blocked {
    weir_serial *serial;
    struct step step;
    weir_context *ctx;
    int64_t deadline;
};

static int submit_blocked(void *arg)
{
    struct blocked *blocked = arg;
    return weir_serial_submit_until(blocked->serial, &blocked->step.task, record, &blocked->step,
                                    NULL, blocked->ctx, blocked->deadline);
}

START_TEST(the_limit_is_exact_and_a_place_is_free_once_a_task_starts_or_is_cancelled)
{
    recorder log = RECORDER_INIT;
    gate door = GATE_INIT;
    struct step steps[5];
    weir_serial serial;
    weir_pool *pool = new_pool(1, 4);
    begin(&serial, pool, WEIR_SERIAL_OPTIONS(.limit = 3));
    hold(&serial, &steps[0], &log, &door);
    for (int i = 1; i < 4; i++)
        ck_assert_int_eq(try_add(&serial, &steps[i], &log, i), 0);
    ck_assert_int_eq(try_add(&serial, &steps[4], &log, 4), -EAGAIN);
    ck_assert_int_eq(weir_task_cancel(&steps[2].task), 0);
    ck_assert_int_eq(try_add(&serial, &steps[2], &log, 2), 0);
    ck_assert_int_eq(try_add(&serial, &steps[4], &log, 4), -EAGAIN);
    caller thread;
    struct blocked blocked = {&serial, {.log = &log, .number = 5}, NULL, WEIR_FOREVER};
    caller_start(&thread, submit_blocked, &blocked);
    ck_assert(caller_await_asleep(&thread));
    gate_open(&door);
    ck_assert_int_eq(caller_join(&thread), 0);
    static const int order[] = {0, 1, 3, 2, 5};
    assert_order(&log, order, 5);
    end(&serial);
    finish_pool(pool);
}
END_TEST

START_TEST(a_wait_below_the_limit_ends_by_deadline_context_close_and_shutdown)
{
    recorder log = RECORDER_INIT;
    gate door = GATE_INIT;
    struct step steps[2];
    weir_serial serial;
    weir_context *ctx = NULL;
    weir_pool *pool = new_pool(1, 4);
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    begin(&serial, pool, WEIR_SERIAL_OPTIONS(.limit = 1));
    hold(&serial, &steps[0], &log, &door);
    add(&serial, &steps[1], &log, 1);
    struct blocked blocked = {&serial, {.log = &log, .number = 2}, NULL, weir_after(WEIR_MS(1))};
    ck_assert_int_eq(submit_blocked(&blocked), -ETIMEDOUT);
    blocked.deadline = WEIR_FOREVER;
    blocked.ctx = ctx;
    caller thread;
    caller_start(&thread, submit_blocked, &blocked);
    ck_assert(caller_await_asleep(&thread));
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(caller_join(&thread), -ECANCELED);
    blocked.ctx = NULL;
    caller_start(&thread, submit_blocked, &blocked);
    ck_assert(caller_await_asleep(&thread));
    weir_pool_close(pool);
    ck_assert_int_eq(caller_join(&thread), -EPIPE);
    ck_assert_int_eq(weir_task_state(&blocked.step.task), WEIR_TASK_IDLE);
    gate_open(&door);
    end(&serial);
    finish_pool(pool);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(close_refuses_all_who_come_and_wakes_all_who_wait)
{
    recorder log = RECORDER_INIT;
    gate door = GATE_INIT;
    struct step steps[3];
    weir_serial serial;
    weir_pool *pool = new_pool(1, 4);
    begin(&serial, pool, WEIR_SERIAL_OPTIONS(.limit = 1));
    hold(&serial, &steps[0], &log, &door);
    add(&serial, &steps[1], &log, 1);
    struct blocked blocked[2];
    caller threads[2];
    for (int i = 0; i < 2; i++) {
        blocked[i] = (struct blocked){&serial, {.log = &log, .number = 2}, NULL, WEIR_FOREVER};
        caller_start(&threads[i], submit_blocked, &blocked[i]);
        ck_assert(caller_await_asleep(&threads[i]));
    }
    weir_serial_close(&serial);
    weir_serial_close(&serial);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(caller_join(&threads[i]), -EPIPE);
    ck_assert_int_eq(try_add(&serial, &steps[2], &log, 3), -EPIPE);
    gate_open(&door);
    static const int order[] = {0, 1};
    assert_order(&log, order, 2);
    end(&serial);
    finish_pool(pool);
}
END_TEST

START_TEST(a_submit_that_waits_for_room_in_the_pool_ends_by_close_and_goes_on_with_room)
{
    recorder log = RECORDER_INIT;
    gate busy = GATE_INIT;
    struct step plain = {.log = &log, .number = 9};
    weir_serial serials[2];
    struct blocked blocked[2];
    caller threads[2];
    weir_pool *pool = new_pool(1, 1);
    saturate(pool, &busy, 1);
    ck_assert_int_eq(weir_pool_submit(pool, record, &plain), 0);
    for (int i = 0; i < 2; i++) {
        begin(&serials[i], pool, NULL);
        blocked[i] = (struct blocked){&serials[i], {.log = &log, .number = i}, NULL, WEIR_FOREVER};
        caller_start(&threads[i], submit_blocked, &blocked[i]);
        ck_assert(caller_await_asleep(&threads[i]));
    }
    weir_serial_close(&serials[0]);
    ck_assert_int_eq(caller_join(&threads[0]), -EPIPE);
    ck_assert(!caller_is_over(&threads[1]));
    gate_open(&busy);
    ck_assert_int_eq(caller_join(&threads[1]), 0);
    end(&serials[0]);
    end(&serials[1]);
    assert_rest(pool, 3);
    finish_pool(pool);
}
END_TEST

/* The place below the limit that one of them was woken for is there for the other one. */
START_TEST(a_submit_that_fails_after_its_wait_leaves_the_place_to_the_next)
{
    recorder log = RECORDER_INIT;
    gate busy = GATE_INIT;
    struct step plain = {.log = &log}, only;
    struct blocked blocked[2];
    caller threads[2];
    weir_serial serial;
    weir_pool *pool = new_pool_as(
        WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2, .overflow = WEIR_OVERFLOW_REJECT));
    begin(&serial, pool, WEIR_SERIAL_OPTIONS(.limit = 1));
    saturate(pool, &busy, 1);
    ck_assert_int_eq(weir_pool_submit(pool, record, &plain), 0);
    add(&serial, &only, &log, 1);
    for (int i = 0; i < 2; i++) {
        blocked[i] = (struct blocked){&serial, {.log = &log, .number = 2}, NULL, WEIR_FOREVER};
        caller_start(&threads[i], submit_blocked, &blocked[i]);
        ck_assert(caller_await_asleep(&threads[i]));
    }
    ck_assert_int_eq(weir_task_cancel(&only.task), 0); /* its place in the pool comes later */
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(caller_join(&threads[i]), -EAGAIN);
    gate_open(&busy);
    end(&serial);
    assert_rest(pool, 3);
    finish_pool(pool);
}
END_TEST

enum { DEEP = 64, EXPIRED = 200 };

/* A task that expires, and whose on_done submits two. */
struct fertile {
    weir_task task, children[2];
};

static weir_serial *field;
static counter field_runs = COUNTER_INIT;
static int depth, deepest, born;

static void submit_two(void *arg, weir_state state, int status)
{
    struct fertile *fertile = arg;
    (void)status;
    if (state != WEIR_TASK_EXPIRED)
        return;
    if (++depth > deepest)
        deepest = depth;
    for (int i = 0; i < 2; i++)
        if (weir_serial_try_submit(field, &fertile->children[i], counter_task, &field_runs, NULL) ==
            0)
            born++;
    depth--;
}

static int run_fertile(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

START_TEST(expired_tasks_whose_on_done_submits_more_do_not_pile_up_on_the_stack)
{
    recorder log = RECORDER_INIT;
    gate door = GATE_INIT;
    static struct fertile all[EXPIRED];
    weir_task more = WEIR_TASK_INIT;
    struct step first;
    weir_serial serial;
    weir_pool *pool = new_pool(1, 4);
    field = &serial;
    begin(&serial, pool, WEIR_SERIAL_OPTIONS(.limit = EXPIRED));
    hold(&serial, &first, &log, &door);
    int64_t soon = weir_after(WEIR_MS(300));
    for (int i = 0; i < EXPIRED; i++)
        ck_assert_int_eq(
            weir_serial_submit(&serial, &all[i].task, run_fertile, &all[i],
                               WEIR_TASK_OPTIONS(.start_by = soon, .on_done = submit_two)),
            0);
    ck_assert_int_eq(weir_sleep_until(NULL, soon), 0);
    /* Their children have all the places by then. */
    ck_assert_int_eq(weir_serial_try_submit(&serial, &more, counter_task, &field_runs, NULL),
                     -EAGAIN);
    ck_assert_int_eq(born, EXPIRED);
    ck_assert_int_eq(deepest, DEEP);
    gate_open(&door);
    end(&serial);
    finish_pool(pool);
}
END_TEST

enum { ROW = 100 };

/* Each is at its limit, by a task that submits to the next one. */
static struct link {
    weir_serial serial;
    weir_task task, more;
    int result;
} row[ROW];

static counter row_runs = COUNTER_INIT;

static int submit_to_next(weir_context *ctx, void *arg)
{
    struct link *link = arg;
    (void)ctx;
    if (++depth > deepest)
        deepest = depth;
    if (link + 1 < row + ROW)
        link->result =
            weir_serial_submit(&link[1].serial, &link->more, counter_task, &row_runs, NULL);
    depth--;
    return 0;
}

START_TEST(a_chain_of_serials_at_their_limits_ends_before_the_stack)
{
    gate busy = GATE_INIT;
    unsigned refused = 0;
    weir_pool *pool = new_pool(1, 2 * ROW);
    saturate(pool, &busy, 1);
    for (int i = 0; i < ROW; i++) {
        begin(&row[i].serial, pool, WEIR_SERIAL_OPTIONS(.limit = 1));
        ck_assert_int_eq(
            weir_serial_submit(&row[i].serial, &row[i].task, submit_to_next, &row[i], NULL), 0);
    }
    gate_open(&busy);
    for (int i = 0; i < ROW; i++) {
        end(&row[i].serial);
        ck_assert(row[i].result == 0 || row[i].result == -EDEADLK);
        refused += row[i].result != 0;
    }
    ck_assert_int_eq(deepest, DEEP + 1);
    ck_assert_uint_eq(refused, 1);
    ck_assert_uint_eq(counter_get(&row_runs), ROW - 2);
    finish_pool(pool);
}
END_TEST

/* Waiting. */

START_TEST(drain_waits_for_the_last_on_done_and_can_be_bounded)
{
    recorder log = RECORDER_INIT;
    gate door = GATE_INIT;
    struct step steps[2];
    weir_serial serial;
    weir_context *ctx = NULL;
    weir_pool *pool = new_pool(1, 4);
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    weir_context_cancel(ctx, 0);
    begin(&serial, pool, NULL);
    ck_assert_int_eq(weir_serial_try_drain(&serial), 0);
    ck_assert_int_eq(weir_serial_drain(&serial), 0);
    hold(&serial, &steps[0], &log, &door);
    add(&serial, &steps[1], &log, 1);
    ck_assert_int_eq(weir_serial_try_drain(&serial), -EAGAIN);
    ck_assert_int_eq(weir_serial_drain_until(&serial, NULL, 0), -ETIMEDOUT);
    ck_assert_int_eq(weir_serial_drain_until(&serial, ctx, WEIR_FOREVER), -ECANCELED);
    gate_open(&door);
    ck_assert_int_eq(weir_serial_drain(&serial), 0);
    ck_assert_uint_eq(recorder_count(&log), 2);
    weir_serial_destroy(&serial);
    weir_context_unref(ctx);
    finish_pool(pool);
}
END_TEST

/* A task that submits to a serial of its pool and waits there. */
struct insider {
    weir_serial *serial;
    recorder *log;
    struct step steps[3];
    bool drains;
    int result;
};

static int submit_and_wait(weir_context *ctx, void *arg)
{
    struct insider *in = arg;
    (void)ctx;
    for (int i = 0; i < 3; i++)
        if (try_add(in->serial, &in->steps[i], in->log, i) != 0)
            return -1;
    in->result = in->drains ? weir_serial_drain(in->serial) : weir_task_wait(&in->steps[1].task);
    recorder_add(in->log, 7);
    return 0;
}

START_TEST(a_worker_that_waits_runs_the_tasks_before_in_their_order)
{
    for (int drains = 0; drains < 2; drains++) {
        recorder log = RECORDER_INIT;
        weir_serial serial;
        weir_pool *pool = new_pool(1, 4);
        begin(&serial, pool, NULL);
        struct insider in = {.serial = &serial, .log = &log, .drains = drains != 0};
        ck_assert_int_eq(weir_pool_submit(pool, submit_and_wait, &in), 0);
        static const int waited[] = {0, 1, 7, 2}, drained[] = {0, 1, 2, 7};
        assert_order(&log, drains ? drained : waited, 4);
        ck_assert_int_eq(in.result, 0);
        end(&serial);
        assert_rest(pool, 4);
        finish_pool(pool);
    }
}
END_TEST

static int wait_for_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_task_wait(arg);
}

struct napping {
    weir_task *task;
    _Atomic pid_t tid;
    counter started;
};

static int wait_and_tell(weir_context *ctx, void *arg)
{
    struct napping *napping = arg;
    (void)ctx;
    napping->tid = thread_id();
    counter_add(&napping->started, 1);
    return weir_task_wait(napping->task);
}

START_TEST(a_worker_that_sleeps_for_a_serial_at_work_is_woken_to_help_it)
{
    recorder log = RECORDER_INIT;
    gate door = GATE_INIT;
    struct step steps[2];
    weir_task waits = WEIR_TASK_INIT, waits_for_that = WEIR_TASK_INIT;
    weir_serial serial;
    weir_pool *pool = new_pool(2, 4);
    begin(&serial, pool, WEIR_SERIAL_OPTIONS(.batch = 1));
    hold(&serial, &steps[0], &log, &door);
    add(&serial, &steps[1], &log, 1);
    struct napping napping = {&steps[1].task, 0, COUNTER_INIT};
    ck_assert_int_eq(weir_pool_submit_task(pool, &waits, wait_and_tell, &napping, NULL), 0);
    counter_await(&napping.started, 1);
    thread_await_asleep(napping.tid);
    /* The worker of the serial takes this one next, and sleeps for the other worker. */
    ck_assert_int_eq(weir_pool_submit_task(pool, &waits_for_that, wait_for_task, &waits, NULL), 0);
    gate_open(&door);
    ck_assert_int_eq(weir_task_wait_until(&waits_for_that, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_status(&waits), 0);
    end(&serial);
    finish_pool(pool);
}
END_TEST

struct own {
    weir_serial serial;
    recorder log;
    struct step later, other;
    weir_pool *pool;
    weir_task self;
    int submitted, later_wait, self_wait, any_wait, other_wait, drained, limited;
};

static int wait_for_later(weir_context *ctx, void *arg)
{
    struct own *own = arg;
    struct step more = {.log = &own->log};
    weir_task *all[] = {&own->later.task, &own->self};
    (void)ctx;
    own->submitted = try_add(&own->serial, &own->later, &own->log, 1);
    own->later_wait = weir_task_wait(&own->later.task);
    own->self_wait = weir_task_wait(&own->self);
    own->any_wait = weir_task_wait_any(all, 2);
    own->other = (struct step){.log = &own->log, .number = 2};
    if (weir_pool_submit_task(own->pool, &own->other.task, record, &own->other, NULL) == 0) {
        all[1] = &own->other.task;
        own->other_wait = weir_task_wait_any(all, 2);
    }
    own->drained = weir_serial_drain(&own->serial);
    own->limited = weir_serial_submit(&own->serial, &more.task, record, &more, NULL);
    return 0;
}

START_TEST(to_wait_for_what_comes_later_in_ones_own_serial_is_a_deadlock)
{
    static struct own own;
    own = (struct own){.log = RECORDER_INIT};
    weir_pool *pool = own.pool = new_pool(1, 4);
    begin(&own.serial, pool, WEIR_SERIAL_OPTIONS(.limit = 1));
    ck_assert_int_eq(weir_serial_submit(&own.serial, &own.self, wait_for_later, &own, NULL), 0);
    end(&own.serial);
    ck_assert_int_eq(own.submitted, 0);
    ck_assert_int_eq(own.later_wait, -EDEADLK);
    ck_assert_int_eq(own.self_wait, -EDEADLK);
    ck_assert_int_eq(own.any_wait, -EDEADLK);
    ck_assert_int_eq(own.other_wait, 1);
    ck_assert_int_eq(own.drained, -EDEADLK);
    ck_assert_int_eq(own.limited, -EDEADLK);
    ck_assert_int_eq(weir_task_state(&own.later.task), WEIR_TASK_DONE);
    finish_pool(pool);
}
END_TEST

struct comes_later {
    weir_serial serial;
    weir_task task, waiter;
    gate door, waits;
    counter runs;
    pid_t tid;
    int submitted, result;
};

static int wait_at_door(weir_context *ctx, void *arg)
{
    struct comes_later *later = arg;
    (void)ctx;
    gate_wait(&later->door);
    return 0;
}

static void submit_behind(void *arg, weir_state state, int status)
{
    struct comes_later *later = arg;
    (void)state;
    (void)status;
    later->submitted =
        weir_serial_submit(&later->serial, &later->task, counter_task, &later->runs, NULL);
}

static int wait_for_moving(weir_context *ctx, void *arg)
{
    struct comes_later *later = arg;
    (void)ctx;
    later->tid = thread_id();
    gate_wait(&later->waits);
    later->result = weir_task_wait(&later->task);
    return 0;
}

/* The task of the pool that is waited for goes on as one of the waiter's own serial. */
START_TEST(what_comes_to_be_later_in_ones_own_serial_ends_the_wait_too)
{
    static struct comes_later later = {.door = GATE_INIT, .waits = GATE_INIT, .runs = COUNTER_INIT};
    weir_pool *pool = new_pool(2, 4);
    begin(&later.serial, pool, NULL);
    ck_assert_int_eq(weir_pool_submit_task(pool, &later.task, wait_at_door, &later,
                                           WEIR_TASK_OPTIONS(.on_done = submit_behind)),
                     0);
    gate_await(&later.door, 1);
    ck_assert_int_eq(
        weir_serial_submit(&later.serial, &later.waiter, wait_for_moving, &later, NULL), 0);
    gate_await(&later.waits, 1);
    gate_open(&later.waits);
    thread_await_asleep(later.tid);
    gate_open(&later.door);
    ck_assert_int_eq(weir_task_wait(&later.waiter), 0);
    ck_assert_int_eq(later.submitted, 0);
    ck_assert_int_eq(later.result, -EDEADLK);
    end(&later.serial);
    ck_assert_uint_eq(counter_get(&later.runs), 1);
    finish_pool(pool);
}
END_TEST

enum { HELPERS = 5 };

struct helped_wait {
    weir_task *task;
    counter *asleep;
    pid_t tid;
};

static int wait_to_help(weir_context *ctx, void *arg)
{
    struct helped_wait *wait = arg;
    (void)ctx;
    wait->tid = thread_id();
    counter_add(wait->asleep, 1);
    return weir_task_wait(wait->task);
}

/* The worker of the first task is stuck afterwards, so one of those has to run the others. */
START_TEST(any_of_many_workers_that_sleep_for_tasks_of_a_serial_is_woken_to_help)
{
    recorder log = RECORDER_INIT;
    gate door = GATE_INIT, stuck = GATE_INIT;
    counter asleep = COUNTER_INIT;
    struct step first, steps[HELPERS];
    struct helped_wait waits[HELPERS];
    weir_serial serial;
    weir_pool *pool = new_pool(HELPERS + 1, 16);
    begin(&serial, pool, WEIR_SERIAL_OPTIONS(.batch = 1));
    hold(&serial, &first, &log, &door);
    for (int i = 0; i < HELPERS; i++)
        add(&serial, &steps[i], &log, i + 1);
    for (int i = 0; i < HELPERS; i++) {
        waits[i] = (struct helped_wait){.task = &steps[i].task, .asleep = &asleep};
        ck_assert_int_eq(weir_pool_submit(pool, wait_to_help, &waits[i]), 0);
    }
    counter_await(&asleep, HELPERS);
    for (int i = 0; i < HELPERS; i++)
        thread_await_asleep(waits[i].tid);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &stuck), 0); /* before the next turn */
    gate_open(&door);
    static const int order[] = {0, 1, 2, 3, 4, 5};
    assert_order(&log, order, HELPERS + 1);
    gate_open(&stuck);
    end(&serial);
    finish_pool(pool);
}
END_TEST

START_TEST(an_outside_waiter_that_helps_keeps_to_the_order_too)
{
    recorder log = RECORDER_INIT;
    gate busy = GATE_INIT;
    struct step steps[3];
    weir_serial serial;
    weir_pool *pool =
        new_pool_as(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 4, .outside_waiters_help = 1));
    begin(&serial, pool, NULL);
    saturate(pool, &busy, 1);
    for (int i = 0; i < 3; i++)
        add(&serial, &steps[i], &log, i);
    ck_assert_int_eq(weir_task_wait(&steps[1].task), 0);
    ck_assert_uint_eq(recorder_count(&log), 2);
    drain(&serial);
    static const int order[] = {0, 1, 2};
    assert_order(&log, order, 3);
    weir_serial_destroy(&serial);
    gate_open(&busy);
    assert_rest(pool, 4);
    finish_pool(pool);
}
END_TEST

/* A worker helps to get below the limit. */
static int submit_five(weir_context *ctx, void *arg)
{
    struct insider *in = arg;
    static struct step steps[5];
    (void)ctx;
    for (int i = 0; i < 5; i++) {
        steps[i] = (struct step){.log = in->log, .number = i};
        if (weir_serial_submit(in->serial, &steps[i].task, record, &steps[i], NULL) != 0)
            return -1;
    }
    recorder_add(in->log, 7);
    return 0;
}

START_TEST(a_worker_at_the_limit_makes_room_by_running_the_first)
{
    recorder log = RECORDER_INIT;
    weir_serial serial;
    weir_pool *pool = new_pool(1, 4);
    begin(&serial, pool, WEIR_SERIAL_OPTIONS(.limit = 2));
    struct insider in = {.serial = &serial, .log = &log};
    ck_assert_int_eq(weir_pool_submit(pool, submit_five, &in), 0);
    static const int order[] = {0, 1, 2, 7, 3, 4};
    assert_order(&log, order, 6);
    end(&serial);
    finish_pool(pool);
}
END_TEST

/* Ends. */

START_TEST(a_cancelled_task_leaves_the_others_in_order)
{
    recorder log = RECORDER_INIT;
    gate door = GATE_INIT;
    struct step steps[4];
    weir_serial serial;
    weir_pool *pool = new_pool(1, 4);
    begin(&serial, pool, NULL);
    hold(&serial, &steps[0], &log, &door);
    for (int i = 1; i < 4; i++)
        add(&serial, &steps[i], &log, i);
    ck_assert_int_eq(weir_task_cancel(&steps[2].task), 0);
    ck_assert_int_eq(weir_task_cancel(&steps[2].task), -EALREADY);
    ck_assert_int_eq(weir_task_status(&steps[2].task), -ECANCELED);
    memset(&steps[2].task, 0, sizeof steps[2].task);
    ck_assert_int_eq(weir_task_cancel(&steps[0].task), -EINPROGRESS);
    ck_assert_uint_eq(weir_serial_queued(&serial), 2);
    gate_open(&door);
    static const int order[] = {0, 1, 3};
    assert_order(&log, order, 3);
    end(&serial);
    assert_rest(pool, 4);
    finish_pool(pool);
}
END_TEST

START_TEST(a_task_expires_at_a_wait_at_the_limit_and_in_its_turn)
{
    recorder log = RECORDER_INIT;
    gate door = GATE_INIT;
    struct step steps[5];
    weir_serial serial;
    weir_pool *pool = new_pool(1, 4);
    begin(&serial, pool, WEIR_SERIAL_OPTIONS(.limit = 2));
    hold(&serial, &steps[0], &log, &door);
    for (int i = 1; i < 3; i++) {
        steps[i] = (struct step){.log = &log, .number = i};
        ck_assert_int_eq(weir_serial_submit(&serial, &steps[i].task, record, &steps[i],
                                            WEIR_TASK_OPTIONS(.start_by = weir_after(WEIR_MS(1)))),
                         0);
    }
    ck_assert_int_eq(weir_task_wait(&steps[2].task), 0);
    ck_assert_int_eq(weir_task_state(&steps[2].task), WEIR_TASK_EXPIRED);
    add(&serial, &steps[3], &log, 3);
    ck_assert_int_eq(try_add(&serial, &steps[4], &log, 4), 0); /* in the place of the first */
    ck_assert_int_eq(weir_task_state(&steps[1].task), WEIR_TASK_EXPIRED);
    struct step late = {.log = &log, .number = 5};
    ck_assert_int_eq(weir_task_cancel(&steps[4].task), 0);
    ck_assert_int_eq(weir_serial_submit(&serial, &late.task, record, &late,
                                        WEIR_TASK_OPTIONS(.start_by = weir_after(WEIR_MS(1)))),
                     0);
    ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(2))), 0);
    gate_open(&door);
    end(&serial);
    ck_assert_int_eq(weir_task_state(&late.task), WEIR_TASK_EXPIRED);
    ck_assert_uint_eq(recorder_count(&log), 2);
    finish_pool(pool);
}
END_TEST

/* A chain of one handle, submitted by its own on_done. */
struct chain {
    weir_serial serial;
    weir_task task;
    recorder log;
    int steps;
};

static int one_step(weir_context *ctx, void *arg)
{
    struct chain *chain = arg;
    (void)ctx;
    recorder_add(&chain->log, chain->steps);
    return 0;
}

static void next_step(void *arg, weir_state end_state, int status)
{
    struct chain *chain = arg;
    (void)end_state;
    (void)status;
    if (++chain->steps < MANY && weir_serial_submit(&chain->serial, &chain->task, one_step, chain,
                                                    WEIR_TASK_OPTIONS(.on_done = next_step)) != 0)
        recorder_add(&chain->log, -1);
}

START_TEST(a_task_submits_itself_again_from_its_on_done)
{
    static struct chain chain;
    chain = (struct chain){.log = RECORDER_INIT};
    weir_pool *pool = new_pool(2, 2);
    begin(&chain.serial, pool, NULL);
    ck_assert_int_eq(weir_serial_submit(&chain.serial, &chain.task, one_step, &chain,
                                        WEIR_TASK_OPTIONS(.on_done = next_step)),
                     0);
    ck_assert_int_eq(weir_task_wait(&chain.task), 0);
    ck_assert_uint_eq(recorder_count(&chain.log), MANY);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(recorder_at(&chain.log, (size_t)i), i);
    end(&chain.serial);
    finish_pool(pool);
}
END_TEST

static int leave_thread(weir_context *ctx, void *unused)
{
    (void)ctx;
    (void)unused;
    pthread_exit(NULL);
}

START_TEST(a_task_that_ends_its_thread_does_not_end_the_serial)
{
    recorder log = RECORDER_INIT;
    gate busy = GATE_INIT;
    weir_task dies = WEIR_TASK_INIT;
    struct step steps[2];
    weir_serial serial;
    weir_pool *pool = new_pool(1, 4);
    begin(&serial, pool, NULL);
    saturate(pool, &busy, 1);
    add(&serial, &steps[0], &log, 0);
    ck_assert_int_eq(weir_serial_submit(&serial, &dies, leave_thread, NULL, NULL), 0);
    add(&serial, &steps[1], &log, 1);
    gate_open(&busy);
    static const int order[] = {0, 1};
    assert_order(&log, order, 2);
    end(&serial);
    ck_assert_int_eq(weir_task_state(&dies), WEIR_TASK_FAILED);
    assert_rest(pool, 4);
    finish_pool(pool);
}
END_TEST

/* Shutdown. */

START_TEST(a_closed_pool_runs_what_serials_have_and_takes_what_their_tasks_submit)
{
    recorder log = RECORDER_INIT;
    gate door = GATE_INIT;
    struct step steps[3];
    weir_serial serial;
    weir_pool *pool = new_pool(1, 4);
    static struct own own;
    own = (struct own){.log = RECORDER_INIT};
    begin(&own.serial, pool, WEIR_SERIAL_OPTIONS(.limit = 1));
    begin(&serial, pool, NULL);
    hold(&serial, &steps[0], &log, &door);
    add(&serial, &steps[1], &log, 1);
    ck_assert_int_eq(weir_serial_submit(&own.serial, &own.self, wait_for_later, &own, NULL), 0);
    weir_pool_close(pool);
    ck_assert_int_eq(try_add(&serial, &steps[2], &log, 2), -EPIPE);
    gate_open(&door);
    ck_assert_int_eq(weir_pool_shutdown(pool, patience(), patience(), NULL), 0);
    ck_assert_uint_eq(recorder_count(&log), 2);
    ck_assert_int_eq(weir_task_state(&own.later.task), WEIR_TASK_DONE);
    ck_assert_int_eq(try_add(&serial, &steps[2], &log, 2), -EPIPE);
    weir_serial_destroy(&serial);
    weir_serial_destroy(&own.serial);
    finish_pool(pool);
}
END_TEST

START_TEST(a_cancelled_pool_ends_every_task_of_every_serial_once)
{
    for (int shuts_down = 0; shuts_down < 2; shuts_down++) {
        recorder log = RECORDER_INIT;
        gate door = GATE_INIT;
        struct step held, steps[40];
        weir_serial serials[4];
        weir_pool *pool = new_pool(1, 8);
        for (int i = 0; i < 4; i++)
            begin(&serials[i], pool, NULL);
        hold(&serials[0], &held, &log, &door);
        for (int i = 0; i < 40; i++)
            add(&serials[i % 4], &steps[i], &log, i);
        if (shuts_down)
            ck_assert_int_eq(weir_pool_shutdown(pool, 0, 0, NULL), -ETIMEDOUT);
        else
            weir_pool_cancel_queued(pool);
        for (int i = 0; i < 40; i++)
            if (i % 4 != 0)
                ck_assert_int_eq(weir_task_state(&steps[i].task), WEIR_TASK_CANCELLED);
        gate_open(&door);
        for (int i = 0; i < 4; i++)
            end(&serials[i]);
        for (int i = 0; i < 40; i++)
            ck_assert_int_eq(weir_task_state(&steps[i].task), WEIR_TASK_CANCELLED);
        assert_rest(pool, 41);
        ck_assert_uint_eq(recorder_count(&log), 1);
        weir_pool_free(pool);
    }
}
END_TEST

START_TEST(a_pool_may_be_freed_before_its_serials)
{
    recorder log = RECORDER_INIT;
    gate busy = GATE_INIT;
    struct step step;
    weir_serial serial;
    weir_pool *pool = new_pool(1, 4);
    begin(&serial, pool, NULL);
    saturate(pool, &busy, 1);
    add(&serial, &step, &log, 0);
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, 0, NULL), -ETIMEDOUT);
    gate_open(&busy);
    weir_pool_free(pool);
    ck_assert_int_eq(weir_task_state(&step.task), WEIR_TASK_CANCELLED);
    ck_assert_uint_eq(weir_serial_queued(&serial), 0);
    weir_serial_destroy(&serial);
}
END_TEST

/* Many. */

enum { SERIALS = 16, SUBMITTERS = 3, EACH = 400 };

struct account {
    weir_serial serial;
    int runs; /* plain: two at once are a race */
    int last[SUBMITTERS];
    atomic_int wrong;
};

struct entry {
    weir_task task;
    struct account *account;
    int submitter, number;
};

static int book(weir_context *ctx, void *arg)
{
    struct entry *entry = arg;
    struct account *account = entry->account;
    (void)ctx;
    account->runs++;
    if (entry->number <= account->last[entry->submitter])
        atomic_fetch_add(&account->wrong, 1);
    account->last[entry->submitter] = entry->number;
    return 0;
}

static struct account accounts[SERIALS];
static struct entry entries[SUBMITTERS][SERIALS * EACH];

static int submit_many(void *arg)
{
    int submitter = *(int *)arg, refused = 0;
    for (int i = 0; i < SERIALS * EACH; i++) {
        struct entry *entry = &entries[submitter][i];
        *entry = (struct entry){
            .account = &accounts[i % SERIALS], .submitter = submitter, .number = i / SERIALS + 1};
        refused +=
            weir_serial_submit(&entry->account->serial, &entry->task, book, entry, NULL) != 0;
    }
    return refused;
}

START_TEST(each_of_many_serials_keeps_the_order_of_each_of_many_submitters)
{
    caller threads[SUBMITTERS];
    int numbers[SUBMITTERS];
    weir_pool *pool = new_pool(4, 5);
    memset(accounts, 0, sizeof accounts);
    for (int i = 0; i < SERIALS; i++)
        begin(&accounts[i].serial, pool, WEIR_SERIAL_OPTIONS(.batch = 3, .limit = i % 2 ? 7 : 0));
    for (int i = 0; i < SUBMITTERS; i++) {
        numbers[i] = i;
        caller_start(&threads[i], submit_many, &numbers[i]);
    }
    for (int i = 0; i < SUBMITTERS; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    for (int i = 0; i < SERIALS; i++) {
        end(&accounts[i].serial);
        ck_assert_int_eq(accounts[i].runs, SUBMITTERS * EACH);
        ck_assert_int_eq(atomic_load(&accounts[i].wrong), 0);
    }
    assert_rest(pool, (uint64_t)SUBMITTERS * SERIALS * EACH);
    finish_pool(pool);
}
END_TEST

/* Bad input. */

START_TEST(bad_arguments_are_told)
{
    recorder log = RECORDER_INIT;
    weir_serial serial, zero = {{0}};
    struct step step = {.log = &log};
    weir_serial_options options;
    struct {
        weir_serial_options known;
        uint64_t unknown;
    } newer;
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_serial_init(NULL, pool, NULL), -EINVAL);
    ck_assert_int_eq(weir_serial_init(&serial, NULL, NULL), -EINVAL);
    weir_serial_options_init(NULL);
    weir_serial_options_init(&options);
    options.size = 1;
    ck_assert_int_eq(weir_serial_init(&serial, pool, &options), -EINVAL);
    ck_assert_ptr_nonnull(weir_serial_options_error(&options));
    ck_assert_ptr_null(weir_serial_options_error(NULL));
    memset(&newer, 0, sizeof newer);
    newer.known.size = sizeof newer;
    newer.unknown = 1;
    ck_assert_int_eq(weir_serial_init(&serial, pool, &newer.known), -E2BIG);
    ck_assert_ptr_nonnull(weir_serial_options_error(&newer.known));
    newer.unknown = 0;
    begin(&serial, pool, &newer.known);
    ck_assert_int_eq(weir_serial_submit(NULL, &step.task, record, &step, NULL), -EINVAL);
    ck_assert_int_eq(weir_serial_submit(&serial, NULL, record, &step, NULL), -EINVAL);
    ck_assert_int_eq(weir_serial_submit(&serial, &step.task, NULL, &step, NULL), -EINVAL);
    ck_assert_int_eq(weir_serial_submit(&zero, &step.task, record, &step, NULL), -EINVAL);
    ck_assert_int_eq(
        weir_serial_submit(&serial, &step.task, record, &step, WEIR_TASK_OPTIONS(.timeout = -1)),
        -EINVAL);
    ck_assert_int_eq(
        weir_serial_submit(&serial, &step.task, record, &step, WEIR_TASK_OPTIONS(.start_by = 1)),
        -ETIMEDOUT);
    weir_gate barred;
    ck_assert_int_eq(weir_gate_init(&barred, NULL), 0);
    ck_assert_int_eq(
        weir_serial_submit(&serial, &step.task, record, &step, WEIR_TASK_OPTIONS(.gate = &barred)),
        -EINVAL);
    weir_gate_destroy(&barred);
    ck_assert_int_eq(weir_serial_drain(NULL), -EINVAL);
    ck_assert_int_eq(weir_serial_try_drain(&zero), -EINVAL);
    weir_serial_close(NULL);
    weir_serial_close(&zero);
    weir_serial_destroy(NULL);
    weir_serial_destroy(&zero);
    ck_assert_uint_eq(weir_serial_queued(NULL), 0);
    gate door = GATE_INIT;
    hold(&serial, &step, &log, &door);
    ck_assert_int_eq(weir_serial_submit(&serial, &step.task, record, &step, NULL), -EBUSY);
    ck_assert_int_eq(weir_pool_submit_task(pool, &step.task, record, &step, NULL), -EBUSY);
    gate_open(&door);
    end(&serial);
    ck_assert_int_eq(weir_serial_submit(&serial, &step.task, record, &step, NULL), -EINVAL);
    finish_pool(pool);
}
END_TEST

static void destroy_with_a_task(void *unused)
{
    static gate busy = GATE_INIT;
    static weir_task task;
    weir_serial serial;
    (void)unused;
    weir_pool *pool = new_pool(1, 1);
    begin(&serial, pool, NULL);
    if (weir_serial_submit(&serial, &task, gate_task, &busy, NULL) == 0)
        weir_serial_destroy(&serial);
}

static int destroy_own(weir_context *ctx, void *serial)
{
    (void)ctx;
    weir_serial_destroy(serial);
    return 0;
}

static void destroy_from_its_task(void *unused)
{
    static weir_task task;
    static weir_serial serial;
    (void)unused;
    begin(&serial, new_pool(1, 1), NULL);
    if (weir_serial_submit(&serial, &task, destroy_own, &serial, NULL) == 0)
        _exit(weir_task_wait(&task));
}

START_TEST(to_destroy_a_serial_with_tasks_aborts)
{
    assert_aborts(destroy_with_a_task, NULL,
                  "weir_serial_destroy: a task of the serial has not ended");
    assert_aborts(destroy_from_its_task, NULL, "weir_serial_destroy: a task cannot destroy");
}
END_TEST

static pid_t parent, forked;

static void fork_on_done(void *arg, weir_state state, int status)
{
    (void)arg;
    (void)state;
    (void)status;
    (void)fflush(NULL);
    forked = fork();
}

/* In the child the cancel returns, and nothing of the serial is touched. */
START_TEST(an_on_done_may_fork)
{
    recorder log = RECORDER_INIT;
    gate door = GATE_INIT;
    struct step first, second = {.log = &log};
    weir_serial serial;
    weir_pool *pool = new_pool(1, 2);
    parent = getpid();
    begin(&serial, pool, NULL);
    hold(&serial, &first, &log, &door);
    ck_assert_int_eq(weir_serial_submit(&serial, &second.task, record, &second,
                                        WEIR_TASK_OPTIONS(.on_done = fork_on_done)),
                     0);
    int err = weir_task_cancel(&second.task);
    if (getpid() != parent)
        exit(err == 0 && weir_serial_drain(&serial) == -ESTALE ? 0 : 1);
    int status = 0;
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(waitpid(forked, &status, 0), forked);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    gate_open(&door);
    end(&serial);
    finish_pool(pool);
}
END_TEST

START_TEST(a_child_process_gets_stale)
{
    recorder log = RECORDER_INIT;
    gate door = GATE_INIT;
    struct step held, step, other;
    weir_serial serial;
    weir_pool *pool = new_pool(1, 2);
    begin(&serial, pool, NULL);
    hold(&serial, &held, &log, &door);
    add(&serial, &step, &log, 1);
    (void)fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        weir_serial_close(&serial);
        bool well =
            try_add(&serial, &other, &log, 2) == -ESTALE && weir_serial_drain(&serial) == -ESTALE &&
            weir_serial_try_drain(&serial) == -ESTALE && weir_task_wait(&step.task) == -ESTALE &&
            weir_task_cancel(&step.task) == -ESTALE &&
            weir_serial_init(&serial, pool, NULL) == -ESTALE;
        weir_pool_free(pool);
        weir_serial_destroy(&serial);
        exit(well ? 0 : 1); /* with all that is done at exit */
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    gate_open(&door);
    end(&serial);
    finish_pool(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("serial");
    TCase *order = add_group(suite, "order");
    tcase_add_test(order, tasks_run_one_after_the_other_in_order);
    tcase_add_test(order, serials_and_tasks_get_their_turns_round_robin_a_batch_at_a_time);
    tcase_add_test(order, as_many_as_parallel_says_run_at_once_and_no_more);
    tcase_add_test(order, each_of_many_serials_keeps_the_order_of_each_of_many_submitters);
    TCase *places = add_group(suite, "places");
    tcase_add_test(places, a_serial_takes_one_place_however_long_it_is);
    tcase_add_test(places,
                   its_place_is_kept_while_its_task_runs_and_it_is_put_back_into_a_full_pool);
    tcase_add_test(places, the_place_of_a_serial_whose_tasks_were_cancelled_is_cleared_for_others);
    tcase_add_test(places, drop_oldest_drops_no_turn_and_fails_where_there_are_only_turns);
    tcase_add_test(places, drop_oldest_fails_while_the_serials_that_run_have_all_places);
    tcase_add_test(places, caller_runs_runs_a_task_in_the_turn_of_its_serial);
    tcase_add_test(places, a_task_that_meets_a_full_pool_runs_the_serial_in_place_until_it_is_done);
    tcase_add_test(places, a_thread_that_ends_itself_in_place_drops_the_rest);
    TCase *limit = add_group(suite, "limit");
    tcase_add_test(limit,
                   the_limit_is_exact_and_a_place_is_free_once_a_task_starts_or_is_cancelled);
    tcase_add_test(limit, a_wait_below_the_limit_ends_by_deadline_context_close_and_shutdown);
    tcase_add_test(limit, close_refuses_all_who_come_and_wakes_all_who_wait);
    tcase_add_test(limit,
                   a_submit_that_waits_for_room_in_the_pool_ends_by_close_and_goes_on_with_room);
    tcase_add_test(limit, a_worker_at_the_limit_makes_room_by_running_the_first);
    tcase_add_test(limit, a_submit_that_fails_after_its_wait_leaves_the_place_to_the_next);
    tcase_add_test(limit, expired_tasks_whose_on_done_submits_more_do_not_pile_up_on_the_stack);
    tcase_add_test(limit, a_chain_of_serials_at_their_limits_ends_before_the_stack);
    TCase *waits = add_group(suite, "waits");
    tcase_add_test(waits, drain_waits_for_the_last_on_done_and_can_be_bounded);
    tcase_add_test(waits, a_worker_that_waits_runs_the_tasks_before_in_their_order);
    tcase_add_test(waits, a_worker_that_sleeps_for_a_serial_at_work_is_woken_to_help_it);
    tcase_add_test(waits, any_of_many_workers_that_sleep_for_tasks_of_a_serial_is_woken_to_help);
    tcase_add_test(waits, to_wait_for_what_comes_later_in_ones_own_serial_is_a_deadlock);
    tcase_add_test(waits, what_comes_to_be_later_in_ones_own_serial_ends_the_wait_too);
    tcase_add_test(waits, an_outside_waiter_that_helps_keeps_to_the_order_too);
    TCase *ends = add_group(suite, "ends");
    tcase_add_test(ends, a_cancelled_task_leaves_the_others_in_order);
    tcase_add_test(ends, a_task_expires_at_a_wait_at_the_limit_and_in_its_turn);
    tcase_add_test(ends, a_task_submits_itself_again_from_its_on_done);
    tcase_add_test(ends, a_task_that_ends_its_thread_does_not_end_the_serial);
    TCase *shutdown = add_group(suite, "shutdown");
    tcase_add_test(shutdown,
                   a_closed_pool_runs_what_serials_have_and_takes_what_their_tasks_submit);
    tcase_add_test(shutdown, a_cancelled_pool_ends_every_task_of_every_serial_once);
    tcase_add_test(shutdown, a_pool_may_be_freed_before_its_serials);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, bad_arguments_are_told);
    tcase_add_test(misuse, to_destroy_a_serial_with_tasks_aborts);
    tcase_add_test(misuse, a_child_process_gets_stale);
    tcase_add_test(misuse, an_on_done_may_fork);
    return suite;
}
