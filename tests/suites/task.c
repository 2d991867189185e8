/* SPDX-License-Identifier: MIT */
/* task.c - handles: a task's states, waiting for it, cancelling it, its deadlines, its memory. */
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

/* What a task is to do, and what it and its on_done record. The fields without atomics are read
 * after the end of the task: weir orders them. */
struct record {
    gate *hold; /* where the task waits, or NULL */
    int result; /* what it returns */
    atomic_int runs, ends;
    weir_state end;
    int status;
    int err; /* of its context when it ended */
};

static int record_run(weir_context *ctx, void *arg)
{
    struct record *record = arg;
    atomic_fetch_add(&record->runs, 1);
    if (record->hold != NULL)
        gate_wait(record->hold);
    record->err = weir_context_err(ctx);
    return record->result;
}

static void record_end(void *arg, weir_state end, int status)
{
    struct record *record = arg;
    record->end = end;
    record->status = status;
    atomic_fetch_add(&record->ends, 1);
}

static const weir_task_options told = {.size = sizeof(weir_task_options), .on_done = record_end};

static int submit_record(weir_pool *pool, weir_task *task, struct record *record)
{
    return weir_pool_submit_task(pool, task, record_run, record, &told);
}

#define assert_end(task, record, state, code)                                                      \
    do {                                                                                           \
        ck_assert_int_eq(weir_task_state(task), (state));                                          \
        ck_assert_int_eq(weir_task_status(task), (code));                                          \
        ck_assert_int_eq(atomic_load(&(record)->ends), 1);                                         \
        ck_assert_int_eq((record)->end, (state));                                                  \
        ck_assert_int_eq((record)->status, (code));                                                \
        ck_assert_int_eq(atomic_load(&(record)->runs), (state) <= WEIR_TASK_FAILED ? 1 : 0);       \
    } while (0)

static int call_wait(void *arg)
{
    return weir_task_wait(arg);
}

struct bounded_wait {
    weir_task *task;
    weir_context *ctx;
    int64_t deadline;
};

static int call_wait_until(void *arg)
{
    const struct bounded_wait *wait = arg;
    return weir_task_wait_until(wait->task, wait->ctx, wait->deadline);
}

static weir_context *new_context(int64_t deadline)
{
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, deadline), 0);
    return ctx;
}

START_TEST(a_task_is_idle_then_queued_then_running_then_done)
{
    weir_task task = WEIR_TASK_INIT;
    gate busy = GATE_INIT, hold = GATE_INIT;
    struct record record = {.hold = &hold};
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
    ck_assert_int_eq(weir_task_status(&task), -EINVAL);
    saturate(pool, &busy, 1);
    ck_assert_int_eq(submit_record(pool, &task, &record), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
    ck_assert_int_eq(weir_task_status(&task), -EINPROGRESS);
    gate_open(&busy);
    gate_await(&hold, 1);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_RUNNING);
    ck_assert_int_eq(weir_task_status(&task), -EINPROGRESS);
    ck_assert_int_eq(atomic_load(&record.ends), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    assert_end(&task, &record, WEIR_TASK_DONE, 0);
    finish_pool(pool);
    assert_end(&task, &record, WEIR_TASK_DONE, 0);
}
END_TEST

START_TEST(a_task_that_returns_something_else_has_failed_with_it)
{
    static const int results[] = {-EIO, -EINPROGRESS, -1, 1, 7, INT_MAX, INT_MIN, -ECANCELED};
    weir_pool *pool = new_pool(1, 1);
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        weir_task task = WEIR_TASK_INIT;
        struct record record = {.result = results[i]};
        ck_assert_int_eq(submit_record(pool, &task, &record), 0);
        ck_assert_int_eq(weir_task_wait(&task), 0);
        assert_end(&task, &record, WEIR_TASK_FAILED, results[i]);
    }
    finish_pool(pool);
}
END_TEST

START_TEST(all_zero_memory_is_a_valid_task)
{
    weir_task *task = calloc(1, sizeof *task);
    ck_assert_ptr_nonnull(task);
    struct record record = {.result = 0};
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, task, record_run, &record, NULL), 0);
    ck_assert_int_eq(weir_task_wait(task), 0);
    ck_assert_int_eq(weir_task_state(task), WEIR_TASK_DONE);
    ck_assert_int_eq(atomic_load(&record.runs), 1);
    free(task);
    finish_pool(pool);
}
END_TEST

START_TEST(any_memory_can_be_made_a_task)
{
    static const weir_task zero;
    weir_task task;
    struct record record = {.result = 0};
    weir_pool *pool = new_pool(1, 1);
    memset(&task, 0x5a, sizeof task);
    weir_task_init(&task);
    ck_assert_mem_eq(&task, &zero, sizeof zero); /* either way of making one is as good */
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, record_run, &record, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(atomic_load(&record.runs), 1);
    weir_task_init(&task); /* one that is over, too */
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
    ck_assert_int_eq(weir_task_wait(&task), -EINVAL);
    finish_pool(pool);
}
END_TEST

START_TEST(a_task_that_is_over_can_be_submitted_again)
{
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pools[] = {new_pool(1, 1), new_pool(2, 3)};
    for (int i = 0; i < 300; i++) {
        struct record record = {.result = i % 3 == 0 ? 0 : -i};
        ck_assert_int_eq(submit_record(pools[i % 2], &task, &record), 0);
        ck_assert_int_eq(weir_task_wait(&task), 0);
        assert_end(&task, &record, i % 3 == 0 ? WEIR_TASK_DONE : WEIR_TASK_FAILED, record.result);
    }
    finish_pool(pools[0]);
    finish_pool(pools[1]);
}
END_TEST

START_TEST(a_live_task_is_busy)
{
    weir_task task = WEIR_TASK_INIT;
    gate busy = GATE_INIT, hold = GATE_INIT;
    struct record record = {.hold = &hold}, other = {.result = 0};
    weir_pool *pool = new_pool(1, 4), *elsewhere = new_pool(1, 4);
    saturate(pool, &busy, 1);
    ck_assert_int_eq(submit_record(pool, &task, &record), 0);
    ck_assert_int_eq(submit_record(pool, &task, &other), -EBUSY);
    ck_assert_int_eq(submit_record(elsewhere, &task, &other), -EBUSY);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
    gate_open(&busy);
    gate_await(&hold, 1);
    ck_assert_int_eq(weir_pool_try_submit_task(pool, &task, record_run, &other, &told), -EBUSY);
    ck_assert_int_eq(
        weir_pool_submit_task_until(pool, &task, record_run, &other, &told, NULL, WEIR_FOREVER),
        -EBUSY);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    assert_end(&task, &record, WEIR_TASK_DONE, 0);
    finish_pool(pool);
    finish_pool(elsewhere);
    ck_assert_int_eq(atomic_load(&other.runs), 0);
    ck_assert_int_eq(atomic_load(&other.ends), 0);
}
END_TEST

START_TEST(a_refused_task_is_as_it_was)
{
    weir_task fresh = WEIR_TASK_INIT, used = WEIR_TASK_INIT;
    gate busy = GATE_INIT;
    struct record first = {.result = -EIO}, never = {.result = 0};
    weir_pool *pool = new_pool(1, 1);
    weir_context *ctx = new_context(WEIR_FOREVER);
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(submit_record(pool, &used, &first), 0);
    ck_assert_int_eq(weir_task_wait(&used), 0);

    saturate(pool, &busy, 1);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &busy), 0);
    weir_task *tasks[] = {&fresh, &used};
    for (int i = 0; i < 2; i++) {
        weir_task *task = tasks[i];
        ck_assert_int_eq(weir_pool_try_submit_task(pool, task, record_run, &never, &told), -EAGAIN);
        ck_assert_int_eq(
            weir_pool_submit_task_until(pool, task, record_run, &never, &told, NULL, 0),
            -ETIMEDOUT);
        ck_assert_int_eq(
            weir_pool_submit_task_until(pool, task, record_run, &never, &told, ctx, WEIR_FOREVER),
            -ECANCELED);
        ck_assert_int_eq(weir_pool_submit_task(pool, task, NULL, &never, &told), -EINVAL);
    }
    gate_open(&busy);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_close(pool);
    ck_assert_int_eq(submit_record(pool, &fresh, &never), -EPIPE);
    ck_assert_int_eq(submit_record(pool, &used, &never), -EPIPE);

    ck_assert_int_eq(weir_task_state(&fresh), WEIR_TASK_IDLE);
    ck_assert_int_eq(weir_task_status(&fresh), -EINVAL);
    ck_assert_int_eq(weir_task_wait(&fresh), -EINVAL);
    assert_end(&used, &first, WEIR_TASK_FAILED, -EIO);
    ck_assert_int_eq(weir_task_wait(&used), 0);
    ck_assert_int_eq(atomic_load(&never.runs), 0);
    ck_assert_int_eq(atomic_load(&never.ends), 0);
    weir_context_unref(ctx);
    finish_pool(pool);

    /* Both are as good as before. */
    weir_pool *another = new_pool(1, 2);
    struct record again = {.result = 0}, more = {.result = 0};
    ck_assert_int_eq(submit_record(another, &fresh, &again), 0);
    ck_assert_int_eq(submit_record(another, &used, &more), 0);
    ck_assert_int_eq(weir_task_wait(&fresh), 0);
    ck_assert_int_eq(weir_task_wait(&used), 0);
    assert_end(&fresh, &again, WEIR_TASK_DONE, 0);
    assert_end(&used, &more, WEIR_TASK_DONE, 0);
    finish_pool(another);
}
END_TEST

static void assert_refused(weir_pool *pool, const weir_task_options *options, int code)
{
    weir_task task = WEIR_TASK_INIT;
    struct record never = {.result = 0};
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, record_run, &never, options), code);
    ck_assert_int_eq(weir_pool_try_submit_task(pool, &task, record_run, &never, options), code);
    ck_assert_int_eq(
        weir_pool_submit_task_until(pool, &task, record_run, &never, options, NULL, WEIR_FOREVER),
        code);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_eq(atomic_load(&never.runs), 0);
    ck_assert_int_eq(atomic_load(&never.ends), 0);
}

START_TEST(options_that_cannot_be_are_refused)
{
    weir_pool *pool = new_pool(1, 4);
    weir_task_options options;
    memset(&options, 0x5a, sizeof options);
    weir_task_options_init(&options);
    ck_assert_uint_eq(options.size, sizeof options);
    ck_assert_int_eq(options.start_by, 0);
    ck_assert_int_eq(options.timeout, 0);
    ck_assert_ptr_null(options.name);
    ck_assert(options.on_done == NULL);

    assert_refused(pool, WEIR_TASK_OPTIONS(.start_by = -1, .on_done = record_end), -EINVAL);
    assert_refused(pool, WEIR_TASK_OPTIONS(.timeout = -1, .on_done = record_end), -EINVAL);
    assert_refused(pool, WEIR_TASK_OPTIONS(.timeout = INT64_MIN, .on_done = record_end), -EINVAL);
    options.size = 0;
    assert_refused(pool, &options, -EINVAL);
    options.size = offsetof(weir_task_options, on_done);
    assert_refused(pool, &options, -EINVAL);

    struct newer {
        weir_task_options known;
        unsigned char unknown[32];
    } newer;
    memset(&newer, 0, sizeof newer);
    newer.known = (weir_task_options){.size = sizeof newer, .on_done = record_end};
    weir_task task = WEIR_TASK_INIT;
    struct record record = {.result = 0};
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, record_run, &record, &newer.known), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    assert_end(&task, &record, WEIR_TASK_DONE, 0);
    newer.unknown[0] = 1;
    assert_refused(pool, &newer.known, -E2BIG);
    finish_pool(pool);
}
END_TEST

START_TEST(options_are_copied)
{
    weir_task task = WEIR_TASK_INIT;
    gate busy = GATE_INIT;
    struct record record = {.result = 0};
    weir_pool *pool = new_pool(1, 1);
    saturate(pool, &busy, 1);
    weir_task_options options = {
        .size = sizeof options, .timeout = WEIR_FOREVER, .on_done = record_end};
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, record_run, &record, &options), 0);
    memset(&options, 0x5a, sizeof options);
    gate_open(&busy);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    assert_end(&task, &record, WEIR_TASK_DONE, 0);
    finish_pool(pool);
}
END_TEST

START_TEST(a_wait_for_what_is_over_returns_at_once_and_as_often_as_one_likes)
{
    weir_task task = WEIR_TASK_INIT;
    struct record record = {.result = 3};
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(submit_record(pool, &task, &record), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_try_wait(&task), 0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, 0), 0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, INT64_MIN), 0);
    weir_context *ctx = new_context(WEIR_FOREVER);
    ck_assert_int_eq(weir_task_wait_until(&task, ctx, 0), 0);
    /* A context that is over fails first. */
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(weir_task_wait_until(&task, ctx, WEIR_FOREVER), -ECANCELED);
    weir_context_unref(ctx);
    finish_pool(pool);
    ck_assert_int_eq(weir_task_wait(&task), 0);
}
END_TEST

START_TEST(a_wait_for_what_is_not_over_can_be_bounded)
{
    weir_task running = WEIR_TASK_INIT, queued = WEIR_TASK_INIT;
    gate hold = GATE_INIT;
    struct record record = {.hold = &hold}, later = {.result = 0};
    weir_pool *pool = new_pool(1, 1);
    weir_context *ctx = new_context(WEIR_FOREVER);
    ck_assert_int_eq(submit_record(pool, &running, &record), 0);
    gate_await(&hold, 1);
    ck_assert_int_eq(submit_record(pool, &queued, &later), 0);
    weir_task *tasks[] = {&running, &queued};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(weir_task_try_wait(tasks[i]), -EAGAIN);
        ck_assert_int_eq(weir_task_wait_until(tasks[i], ctx, 0), -ETIMEDOUT);
        int64_t deadline = weir_after(WEIR_MS(5));
        ck_assert_int_eq(weir_task_wait_until(tasks[i], ctx, deadline), -ETIMEDOUT);
        ck_assert_int_ge(weir_now(), deadline);
    }
    weir_context *brief = new_context(weir_after(WEIR_MS(5)));
    ck_assert_int_eq(weir_task_wait_until(&running, brief, WEIR_FOREVER), -ETIMEDOUT);
    ck_assert_int_ge(weir_now(), weir_context_deadline(brief));
    ck_assert_int_eq(weir_task_wait_until(&queued, brief, WEIR_FOREVER), -ETIMEDOUT);
    weir_context_unref(brief);

    for (int i = 0; i < 2; i++) {
        struct bounded_wait wait = {tasks[i], new_context(WEIR_FOREVER), WEIR_FOREVER};
        caller thread;
        caller_start(&thread, call_wait_until, &wait);
        ck_assert(caller_await_asleep(&thread));
        weir_context_cancel(wait.ctx, -EIO);
        ck_assert_int_eq(caller_join(&thread), -ECANCELED);
        weir_context_unref(wait.ctx);
    }
    /* None of that touched the tasks. */
    ck_assert_int_eq(weir_task_state(&running), WEIR_TASK_RUNNING);
    ck_assert_int_eq(weir_task_state(&queued), WEIR_TASK_QUEUED);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait_until(&queued, ctx, patience()), 0);
    ck_assert_int_eq(weir_task_wait_until(&running, ctx, patience()), 0);
    assert_end(&running, &record, WEIR_TASK_DONE, 0);
    assert_end(&queued, &later, WEIR_TASK_DONE, 0);
    ck_assert_int_eq(record.err, 0);
    ck_assert_int_eq(later.err, 0);
    weir_context_unref(ctx);
    finish_pool(pool);
}
END_TEST

enum { WAITERS = 6 };

START_TEST(every_waiter_wakes_when_the_task_ends)
{
    weir_task task = WEIR_TASK_INIT;
    gate hold = GATE_INIT;
    struct record record = {.hold = &hold, .result = -EIO};
    caller threads[WAITERS];
    weir_pool *pool = new_pool(2, 2);
    ck_assert_int_eq(submit_record(pool, &task, &record), 0);
    for (int i = 0; i < WAITERS; i++)
        caller_start(&threads[i], call_wait, &task);
    for (int i = 0; i < WAITERS; i++)
        ck_assert(caller_await_asleep(&threads[i]));
    gate_open(&hold);
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    assert_end(&task, &record, WEIR_TASK_FAILED, -EIO);
    finish_pool(pool);
}
END_TEST

START_TEST(every_waiter_wakes_when_the_task_is_cancelled)
{
    weir_task task = WEIR_TASK_INIT;
    gate busy = GATE_INIT;
    struct record record = {.result = 0};
    caller threads[WAITERS];
    weir_pool *pool = new_pool(1, 1);
    saturate(pool, &busy, 1);
    ck_assert_int_eq(submit_record(pool, &task, &record), 0);
    for (int i = 0; i < WAITERS; i++)
        caller_start(&threads[i], call_wait, &task);
    for (int i = 0; i < WAITERS; i++)
        ck_assert(caller_await_asleep(&threads[i]));
    ck_assert_int_eq(weir_task_cancel(&task), 0);
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    assert_end(&task, &record, WEIR_TASK_CANCELLED, -ECANCELED);
    gate_open(&busy);
    finish_pool(pool);
    assert_end(&task, &record, WEIR_TASK_CANCELLED, -ECANCELED);
}
END_TEST

struct self_wait {
    weir_task task;
    int wait, wait_until, try_wait, cancel;
};

static int wait_for_itself(weir_context *ctx, void *arg)
{
    struct self_wait *self = arg;
    self->wait = weir_task_wait(&self->task);
    self->wait_until = weir_task_wait_until(&self->task, ctx, weir_after(WEIR_S(1)));
    self->try_wait = weir_task_try_wait(&self->task);
    self->cancel = weir_task_cancel(&self->task);
    return weir_context_err(ctx);
}

START_TEST(a_task_cannot_wait_for_itself_but_can_cancel_itself)
{
    struct self_wait self = {.task = WEIR_TASK_INIT};
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &self.task, wait_for_itself, &self, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&self.task), 0);
    ck_assert_int_eq(self.wait, -EDEADLK);
    ck_assert_int_eq(self.wait_until, -EDEADLK);
    ck_assert(self.try_wait == -EDEADLK || self.try_wait == -EAGAIN);
    ck_assert_int_eq(self.cancel, -EINPROGRESS);
    ck_assert_int_eq(weir_task_status(&self.task), -ECANCELED);
    finish_pool(pool);
}
END_TEST

static int get_value(weir_context *ctx, void *arg)
{
    const int *value = weir_context_value(ctx, arg);
    return value != NULL ? *value : -ENOENT;
}

START_TEST(a_task_sees_the_values_and_the_deadline_of_its_context)
{
    int key = 0, value = 42;
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_with_value(&ctx, NULL, &key, &value), 0);
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(
        weir_pool_submit_task_until(pool, &task, get_value, &key, NULL, ctx, WEIR_FOREVER), 0);
    weir_context_unref(ctx); /* the pool keeps its own reference */
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_status(&task), 42);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, get_value, &key, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_status(&task), -ENOENT);
    finish_pool(pool);
}
END_TEST

START_TEST(a_cancelled_queued_task_never_runs)
{
    weir_task task = WEIR_TASK_INIT;
    gate busy = GATE_INIT;
    struct record record = {.result = 0};
    weir_pool *pool = new_pool(1, 1);
    saturate(pool, &busy, 1);
    ck_assert_int_eq(submit_record(pool, &task, &record), 0);
    ck_assert_int_eq(weir_task_cancel(&task), 0);
    /* It has been told by now, though the only worker is busy. */
    assert_end(&task, &record, WEIR_TASK_CANCELLED, -ECANCELED);
    ck_assert_int_eq(weir_task_cancel(&task), -EALREADY);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    gate_open(&busy);
    finish_pool(pool);
    assert_end(&task, &record, WEIR_TASK_CANCELLED, -ECANCELED);
}
END_TEST

START_TEST(a_cancelled_running_task_sees_it_and_may_still_succeed)
{
    static const int results[] = {0, -ECANCELED, 5};
    weir_pool *pool = new_pool(1, 1);
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        weir_task task = WEIR_TASK_INIT;
        gate hold = GATE_INIT;
        struct record record = {.hold = &hold, .result = results[i]};
        ck_assert_int_eq(submit_record(pool, &task, &record), 0);
        gate_await(&hold, 1);
        ck_assert_int_eq(weir_task_cancel(&task), -EINPROGRESS);
        ck_assert_int_eq(weir_task_cancel(&task), -EINPROGRESS);
        ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_RUNNING);
        gate_open(&hold);
        ck_assert_int_eq(weir_task_wait(&task), 0);
        assert_end(&task, &record, results[i] == 0 ? WEIR_TASK_DONE : WEIR_TASK_FAILED, results[i]);
        ck_assert_int_eq(record.err, -ECANCELED);
        ck_assert_int_eq(weir_task_cancel(&task), -EALREADY);
        /* The next use of the handle starts with a clean context. */
        struct record again = {.result = 0};
        ck_assert_int_eq(submit_record(pool, &task, &again), 0);
        ck_assert_int_eq(weir_task_wait(&task), 0);
        ck_assert_int_eq(again.err, 0);
    }
    finish_pool(pool);
}
END_TEST

struct sleeper {
    counter entered;
    int woken, err, cause;
};

static int sleep_until_over(weir_context *ctx, void *arg)
{
    struct sleeper *sleeper = arg;
    counter_add(&sleeper->entered, 1);
    sleeper->woken = weir_context_wait_until(ctx, WEIR_FOREVER);
    sleeper->err = weir_context_err(ctx);
    sleeper->cause = weir_context_cause(ctx);
    return sleeper->err;
}

START_TEST(cancel_wakes_a_task_that_is_blocked_on_its_context)
{
    weir_pool *pool = new_pool(1, 1);
    for (int i = 0; i < 50; i++) {
        weir_task task = WEIR_TASK_INIT;
        struct sleeper sleeper = {.entered = COUNTER_INIT};
        ck_assert_int_eq(weir_pool_submit_task(pool, &task, sleep_until_over, &sleeper, NULL), 0);
        counter_await(&sleeper.entered, 1);
        ck_assert_int_eq(weir_task_cancel(&task), -EINPROGRESS);
        ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
        ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_FAILED);
        ck_assert_int_eq(weir_task_status(&task), -ECANCELED);
        ck_assert_int_eq(sleeper.woken, 0);
        ck_assert_int_eq(sleeper.cause, -ECANCELED);
    }
    finish_pool(pool);
}
END_TEST

enum { CANCELLERS = 4 };

struct cancel_race {
    meeting start;
    weir_task task;
};

static int call_cancel(void *arg)
{
    struct cancel_race *race = arg;
    meeting_wait(&race->start);
    return weir_task_cancel(&race->task);
}

START_TEST(exactly_one_canceller_wins)
{
    weir_pool *pool = new_pool(1, 1);
    gate busy = GATE_INIT;
    saturate(pool, &busy, 1);
    for (int round = 0; round < 20; round++) {
        struct cancel_race race = {.start = MEETING_INIT(CANCELLERS), .task = WEIR_TASK_INIT};
        struct record record = {.result = 0};
        caller threads[CANCELLERS];
        /* A submit that finds the pool full clears what the last round left at its head. */
        ck_assert_int_eq(submit_record(pool, &race.task, &record), 0);
        for (int i = 0; i < CANCELLERS; i++)
            caller_start(&threads[i], call_cancel, &race);
        int won = 0;
        for (int i = 0; i < CANCELLERS; i++) {
            int result = caller_join(&threads[i]);
            /* A caller that comes while the winner is at it is told that it is not done yet. */
            ck_assert(result == 0 || result == -EALREADY || result == -EINPROGRESS);
            won += result == 0;
        }
        ck_assert_int_eq(won, 1);
        assert_end(&race.task, &record, WEIR_TASK_CANCELLED, -ECANCELED);
    }
    gate_open(&busy);
    finish_pool(pool);
}
END_TEST

START_TEST(a_task_either_runs_or_is_cancelled)
{
    enum { ROUNDS = 1000 };
    weir_pool *pool = new_pool(2, 4);
    for (int round = 0; round < ROUNDS; round++) {
        weir_task task = WEIR_TASK_INIT;
        struct record record = {.result = 0};
        ck_assert_int_eq(submit_record(pool, &task, &record), 0);
        for (int i = 0; i < round % 5; i++)
            (void)weir_task_state(&task);
        int result = weir_task_cancel(&task);
        ck_assert_int_eq(weir_task_wait(&task), 0);
        switch (result) {
        case 0:
            assert_end(&task, &record, WEIR_TASK_CANCELLED, -ECANCELED);
            break;
        case -EINPROGRESS:
        case -EALREADY:
            assert_end(&task, &record, WEIR_TASK_DONE, 0);
            break;
        default:
            ck_abort_msg("cancel returned %d", result);
        }
    }
    weir_pool_counts counts;
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.submitted, (unsigned)ROUNDS);
    ck_assert_uint_eq(counts.done + counts.cancelled, (unsigned)ROUNDS);
    finish_pool(pool);
}
END_TEST

START_TEST(what_was_never_submitted_can_be_neither_awaited_nor_cancelled)
{
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_task_wait(&task), -EINVAL);
    ck_assert_int_eq(weir_task_try_wait(&task), -EINVAL);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_task_cancel(&task), -EINVAL);
    ck_assert_int_eq(weir_task_status(&task), -EINVAL);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
}
END_TEST

START_TEST(a_queued_task_whose_context_is_cancelled_never_runs)
{
    weir_task task = WEIR_TASK_INIT;
    gate busy = GATE_INIT;
    struct record record = {.result = 0};
    weir_pool *pool = new_pool(1, 1);
    weir_context *ctx = new_context(WEIR_FOREVER);
    saturate(pool, &busy, 1);
    ck_assert_int_eq(
        weir_pool_submit_task_until(pool, &task, record_run, &record, &told, ctx, WEIR_FOREVER), 0);
    weir_context_cancel(ctx, -EIO);
    gate_open(&busy);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    assert_end(&task, &record, WEIR_TASK_CANCELLED, -ECANCELED);
    weir_context_unref(ctx);
    finish_pool(pool);
}
END_TEST

START_TEST(a_queued_task_whose_context_has_timed_out_never_runs)
{
    weir_task task = WEIR_TASK_INIT;
    gate busy = GATE_INIT;
    struct record record = {.result = 0};
    weir_pool *pool = new_pool(1, 1);
    saturate(pool, &busy, 1);
    /* On a slow machine the deadline may pass before the submit: then it is refused, as it should
     * be, and another try is due. */
    int64_t delay = WEIR_MS(50), deadline = 0;
    int err = -ETIMEDOUT;
    while (err == -ETIMEDOUT) {
        deadline = weir_after(delay);
        weir_context *ctx = new_context(deadline);
        err =
            weir_pool_submit_task_until(pool, &task, record_run, &record, &told, ctx, WEIR_FOREVER);
        weir_context_unref(ctx);
        delay *= 2;
    }
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(weir_sleep_until(NULL, deadline), 0);
    gate_open(&busy);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    assert_end(&task, &record, WEIR_TASK_EXPIRED, -ETIMEDOUT);
    finish_pool(pool);
}
END_TEST

START_TEST(a_running_task_sees_that_its_context_is_cancelled)
{
    weir_task task = WEIR_TASK_INIT;
    struct sleeper sleeper = {.entered = COUNTER_INIT};
    weir_pool *pool = new_pool(1, 1);
    weir_context *ctx = new_context(WEIR_FOREVER);
    ck_assert_int_eq(weir_pool_submit_task_until(pool, &task, sleep_until_over, &sleeper, NULL, ctx,
                                                 WEIR_FOREVER),
                     0);
    counter_await(&sleeper.entered, 1);
    weir_context_cancel(ctx, -EIO);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_FAILED);
    ck_assert_int_eq(weir_task_status(&task), -ECANCELED);
    ck_assert_int_eq(sleeper.woken, 0);
    ck_assert_int_eq(sleeper.cause, -EIO);
    weir_context_unref(ctx);
    finish_pool(pool);
}
END_TEST

START_TEST(a_start_by_that_has_passed_is_refused)
{
    weir_pool *pool = new_pool(1, 4);
    assert_refused(pool, WEIR_TASK_OPTIONS(.start_by = 1, .on_done = record_end), -ETIMEDOUT);
    assert_refused(pool, WEIR_TASK_OPTIONS(.start_by = weir_now(), .on_done = record_end),
                   -ETIMEDOUT);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.submitted, 0u);
    finish_pool(pool);
}
END_TEST

/* Queues the task in a pool whose workers are busy, with a `start_by` in the near future. */
static int64_t submit_brief(weir_pool *pool, weir_task *task, struct record *record)
{
    int64_t delay = WEIR_MS(50), start_by = 0;
    int err = -ETIMEDOUT;
    while (err == -ETIMEDOUT) { /* it passed before the submit: the machine is slow */
        start_by = weir_after(delay);
        err = weir_pool_submit_task(pool, task, record_run, record,
                                    WEIR_TASK_OPTIONS(.start_by = start_by, .on_done = record_end));
        delay *= 2;
    }
    ck_assert_int_eq(err, 0);
    return start_by;
}

START_TEST(a_waiter_ends_a_task_whose_start_by_passes_while_every_worker_is_busy)
{
    weir_task task = WEIR_TASK_INIT;
    gate busy = GATE_INIT;
    struct record record = {.result = 0};
    weir_pool *pool = new_pool(2, 2);
    saturate(pool, &busy, 2);
    int64_t start_by = submit_brief(pool, &task, &record);
    if (_i == 0)
        ck_assert_int_eq(weir_task_wait(&task), 0);
    else
        ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_ge(weir_now(), start_by);
    assert_end(&task, &record, WEIR_TASK_EXPIRED, -ETIMEDOUT);
    ck_assert_int_eq(weir_task_cancel(&task), -EALREADY);
    gate_open(&busy);
    finish_pool(pool);
    assert_end(&task, &record, WEIR_TASK_EXPIRED, -ETIMEDOUT);
}
END_TEST

START_TEST(every_waiter_wakes_at_the_start_by)
{
    weir_task task = WEIR_TASK_INIT;
    gate busy = GATE_INIT;
    struct record record = {.result = 0};
    caller threads[WAITERS];
    weir_pool *pool = new_pool(1, 1);
    saturate(pool, &busy, 1);
    (void)submit_brief(pool, &task, &record);
    for (int i = 0; i < WAITERS; i++)
        caller_start(&threads[i], call_wait, &task);
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    assert_end(&task, &record, WEIR_TASK_EXPIRED, -ETIMEDOUT);
    gate_open(&busy);
    finish_pool(pool);
}
END_TEST

START_TEST(a_worker_ends_a_task_whose_start_by_has_passed)
{
    weir_task task = WEIR_TASK_INIT;
    gate busy = GATE_INIT;
    struct record record = {.result = 0};
    weir_pool *pool = new_pool(1, 1);
    saturate(pool, &busy, 1);
    int64_t start_by = submit_brief(pool, &task, &record);
    ck_assert_int_eq(weir_sleep_until(NULL, start_by), 0);
    gate_open(&busy);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    assert_end(&task, &record, WEIR_TASK_EXPIRED, -ETIMEDOUT);
    finish_pool(pool);
}
END_TEST

START_TEST(a_start_by_does_not_end_a_task_that_has_started)
{
    weir_task task = WEIR_TASK_INIT;
    gate hold = GATE_INIT;
    struct record record = {.hold = &hold};
    weir_pool *pool = new_pool(1, 1);
    int64_t start_by = 0;
    for (int64_t delay = WEIR_MS(100);; delay *= 2) {
        start_by = weir_after(delay);
        int err = weir_pool_submit_task(pool, &task, record_run, &record,
                                        WEIR_TASK_OPTIONS(.start_by = start_by));
        ck_assert(err == 0 || err == -ETIMEDOUT);
        while (err == 0 && weir_task_state(&task) == WEIR_TASK_QUEUED)
            err = weir_task_wait_until(&task, NULL, weir_after(WEIR_US(100))) == 0 ? -ETIMEDOUT : 0;
        if (err == 0 && weir_task_state(&task) == WEIR_TASK_RUNNING)
            break;
    }
    ck_assert_int_eq(weir_sleep_until(NULL, start_by), 0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, weir_after(WEIR_MS(5))), -ETIMEDOUT);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_RUNNING);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_DONE);
    ck_assert_int_eq(record.err, 0);
    finish_pool(pool);
}
END_TEST

START_TEST(a_wait_may_end_before_the_start_by)
{
    weir_task task = WEIR_TASK_INIT;
    gate busy = GATE_INIT;
    struct record record = {.result = 0};
    weir_pool *pool = new_pool(1, 1);
    saturate(pool, &busy, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, record_run, &record,
                                           WEIR_TASK_OPTIONS(.start_by = weir_after(WEIR_S(3600)),
                                                             .on_done = record_end)),
                     0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, weir_after(WEIR_MS(5))), -ETIMEDOUT);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
    gate_open(&busy);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    assert_end(&task, &record, WEIR_TASK_DONE, 0);
    finish_pool(pool);
}
END_TEST

START_TEST(a_timeout_ends_the_context_of_the_running_task)
{
    weir_task task = WEIR_TASK_INIT;
    struct sleeper sleeper = {.entered = COUNTER_INIT};
    weir_pool *pool = new_pool(1, 1);
    int64_t before = weir_now();
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, sleep_until_over, &sleeper,
                                           WEIR_TASK_OPTIONS(.timeout = WEIR_MS(20))),
                     0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_ge(weir_now(), before + WEIR_MS(20));
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_FAILED);
    ck_assert_int_eq(weir_task_status(&task), -ETIMEDOUT);
    ck_assert_int_eq(sleeper.woken, 0);
    ck_assert_int_eq(sleeper.cause, -ETIMEDOUT);
    finish_pool(pool);
}
END_TEST

struct deadline_seen {
    int64_t deadline, now;
};

static int read_deadline(weir_context *ctx, void *arg)
{
    struct deadline_seen *seen = arg;
    seen->deadline = weir_context_deadline(ctx);
    seen->now = weir_now();
    return 0;
}

START_TEST(a_timeout_counts_from_the_start_of_the_task)
{
    weir_task task = WEIR_TASK_INIT;
    gate busy = GATE_INIT;
    struct deadline_seen seen = {0, 0};
    weir_pool *pool = new_pool(1, 1);
    saturate(pool, &busy, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, read_deadline, &seen,
                                           WEIR_TASK_OPTIONS(.timeout = WEIR_S(3600))),
                     0);
    int64_t opened = weir_now();
    gate_open(&busy);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_ge(seen.deadline, opened + WEIR_S(3600));
    ck_assert_int_le(seen.deadline, seen.now + WEIR_S(3600));

    /* An earlier deadline of the context given at submit holds, and none is none. */
    int64_t earlier = weir_after(WEIR_S(1800));
    weir_context *ctx = new_context(earlier);
    ck_assert_int_eq(weir_pool_submit_task_until(pool, &task, read_deadline, &seen,
                                                 WEIR_TASK_OPTIONS(.timeout = WEIR_S(3600)), ctx,
                                                 WEIR_FOREVER),
                     0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(seen.deadline, earlier);
    weir_context_unref(ctx);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, read_deadline, &seen, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(seen.deadline, WEIR_FOREVER);
    finish_pool(pool);
}
END_TEST

START_TEST(a_huge_timeout_is_none)
{
    weir_task task = WEIR_TASK_INIT;
    struct deadline_seen seen = {0, 0};
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, read_deadline, &seen,
                                           WEIR_TASK_OPTIONS(.timeout = INT64_MAX)),
                     0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(seen.deadline, WEIR_FOREVER);
    finish_pool(pool);
}
END_TEST

static void wait_at_gate(void *arg, weir_state end, int status)
{
    (void)end;
    (void)status;
    gate_wait(arg);
}

static int return_at_once(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

START_TEST(on_done_is_told_before_the_waiters_wake)
{
    weir_task task = WEIR_TASK_INIT;
    gate telling = GATE_INIT;
    caller waiter;
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, return_at_once, &telling,
                                           WEIR_TASK_OPTIONS(.on_done = wait_at_gate)),
                     0);
    gate_await(&telling, 1);
    caller_start(&waiter, call_wait, &task);
    ck_assert(caller_await_asleep(&waiter));
    ck_assert_int_eq(weir_task_try_wait(&task), -EAGAIN);
    ck_assert_int_lt(weir_task_state(&task), WEIR_TASK_DONE);
    gate_open(&telling);
    ck_assert_int_eq(caller_join(&waiter), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_DONE);
    finish_pool(pool);
}
END_TEST

enum { POISON = 0xa5, POISONED = 64 };

static void poison(weir_task *task)
{
    memset(task, POISON, sizeof *task);
}

static bool is_poisoned(const weir_task *task)
{
    const unsigned char *bytes = (const unsigned char *)task;
    for (size_t i = 0; i < sizeof *task; i++)
        if (bytes[i] != POISON)
            return false;
    return true;
}

/* How a test learns that a task is over. */
enum way { WAIT, WAIT_UNTIL, POLL_WAIT, POLL_STATE, CANCEL, WAYS };

static void await_end(weir_task *task, enum way way)
{
    switch (way) {
    case WAIT_UNTIL:
        ck_assert_int_eq(weir_task_wait_until(task, NULL, patience()), 0);
        break;
    case POLL_WAIT:
        while (weir_task_try_wait(task) == -EAGAIN)
            ;
        break;
    case POLL_STATE:
        while (weir_task_state(task) < WEIR_TASK_DONE)
            ;
        break;
    case CANCEL:
        if (weir_task_cancel(task) != -EINPROGRESS)
            break; /* 0 and -EALREADY say that it is over */
        ck_assert_int_eq(weir_task_wait(task), 0);
        break;
    case WAIT:
    default:
        ck_assert_int_eq(weir_task_wait(task), 0);
        break;
    }
}

START_TEST(nothing_touches_a_task_once_it_is_known_to_be_over)
{
    enum { ROUNDS = 10 };
    enum way way = (enum way)_i;
    weir_task tasks[POISONED];
    struct record record = {.result = 0};
    weir_pool *pool = new_pool(2, 4);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < POISONED; i++) {
            tasks[i] = (weir_task)WEIR_TASK_INIT;
            ck_assert_int_eq(submit_record(pool, &tasks[i], &record), 0);
            await_end(&tasks[i], way);
            poison(&tasks[i]);
        }
        ck_assert_int_eq(weir_pool_drain(pool), 0);
        for (int i = 0; i < POISONED; i++)
            ck_assert(is_poisoned(&tasks[i]));
    }
    ck_assert_int_eq(atomic_load(&record.ends), ROUNDS * POISONED);
    finish_pool(pool);
}
END_TEST

START_TEST(a_task_may_be_freed_once_it_is_known_to_be_over)
{
    enum way way = (enum way)_i;
    struct record record = {.result = 0};
    weir_pool *pool = new_pool(2, 4);
    for (int i = 0; i < 300; i++) {
        weir_task *task = calloc(1, sizeof *task);
        ck_assert_ptr_nonnull(task);
        ck_assert_int_eq(submit_record(pool, task, &record), 0);
        await_end(task, way);
        poison(task);
        free(task);
    }
    finish_pool(pool);
    ck_assert_int_eq(atomic_load(&record.ends), 300);
}
END_TEST

static __attribute__((noinline)) void use_a_task_on_the_stack(weir_pool *pool,
                                                              struct record *record)
{
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(submit_record(pool, &task, record), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
}

static __attribute__((noinline)) bool the_stack_is_quiet(weir_pool *pool)
{
    weir_task filler[4];
    for (int i = 0; i < 4; i++)
        poison(&filler[i]);
    __asm__ volatile("" : : "r"(filler) : "memory");
    bool quiet = weir_pool_drain(pool) == 0;
    for (int i = 0; i < 4; i++)
        quiet = quiet && is_poisoned(&filler[i]);
    return quiet;
}

START_TEST(a_task_may_live_on_the_waiters_stack)
{
    struct record record = {.result = 0};
    weir_pool *pool = new_pool(2, 4);
    for (int i = 0; i < 1000; i++) {
        use_a_task_on_the_stack(pool, &record);
        ck_assert(the_stack_is_quiet(pool));
    }
    finish_pool(pool);
    ck_assert_int_eq(atomic_load(&record.ends), 1000);
}
END_TEST

enum { SHARERS = 3, SHARED_ROUNDS = 200 };

struct shared {
    meeting start, left;
    weir_task task;
    atomic_int errors;
};

static int wait_each_round(void *arg)
{
    struct shared *shared = arg;
    for (int round = 0; round < SHARED_ROUNDS; round++) {
        meeting_wait(&shared->start);
        if (weir_task_wait(&shared->task) != 0)
            atomic_fetch_add(&shared->errors, 1);
        meeting_wait(&shared->left);
    }
    return 0;
}

START_TEST(a_task_may_be_reused_once_all_its_waiters_have_left)
{
    static struct shared shared = {.start = MEETING_INIT(SHARERS + 1),
                                   .left = MEETING_INIT(SHARERS + 1),
                                   .task = WEIR_TASK_INIT};
    struct record record = {.result = 0};
    caller threads[SHARERS];
    weir_pool *pool = new_pool(2, 2);
    for (int i = 0; i < SHARERS; i++)
        caller_start(&threads[i], wait_each_round, &shared);
    for (int round = 0; round < SHARED_ROUNDS; round++) {
        shared.task = (weir_task)WEIR_TASK_INIT;
        ck_assert_int_eq(submit_record(pool, &shared.task, &record), 0);
        meeting_wait(&shared.start);
        if (round % 3 == 0)
            (void)weir_task_cancel(&shared.task);
        meeting_wait(&shared.left);
        poison(&shared.task);
        if (round % 8 == 0)
            ck_assert_int_eq(weir_pool_drain(pool), 0);
        ck_assert(is_poisoned(&shared.task));
    }
    for (int i = 0; i < SHARERS; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    ck_assert_int_eq(atomic_load(&shared.errors), 0);
    ck_assert_int_eq(atomic_load(&record.ends), SHARED_ROUNDS);
    finish_pool(pool);
}
END_TEST

START_TEST(a_cancelled_task_may_be_freed_while_its_ticket_is_queued)
{
    enum { TASKS = 16 };
    gate busy = GATE_INIT;
    struct record records[TASKS] = {{.result = 0}};
    weir_pool *pool = new_pool(1, TASKS);
    saturate(pool, &busy, 1);
    weir_task poisoned[TASKS];
    for (int i = 0; i < TASKS; i++) {
        weir_task *task = i % 2 == 0 ? &poisoned[i] : malloc(sizeof *task);
        ck_assert_ptr_nonnull(task);
        *task = (weir_task)WEIR_TASK_INIT;
        ck_assert_int_eq(submit_record(pool, task, &records[i]), 0);
        ck_assert_int_eq(weir_task_cancel(task), 0);
        poison(task);
        if (i % 2 != 0)
            free(task);
    }
    gate_open(&busy);
    finish_pool(pool);
    for (int i = 0; i < TASKS; i++) {
        ck_assert_int_eq(atomic_load(&records[i].ends), 1);
        ck_assert_int_eq(atomic_load(&records[i].runs), 0);
        ck_assert(i % 2 != 0 || is_poisoned(&poisoned[i]));
    }
}
END_TEST

START_TEST(a_cancelled_task_may_be_submitted_again_while_its_ticket_is_queued)
{
    enum { TRIES = 8 };
    gate busy = GATE_INIT;
    weir_task task = WEIR_TASK_INIT;
    struct record cancelled[TRIES] = {{.result = 0}}, last = {.result = 4};
    weir_pool *pool = new_pool(1, TRIES + 1);
    saturate(pool, &busy, 1);
    for (int i = 0; i < TRIES; i++) {
        ck_assert_int_eq(submit_record(pool, &task, &cancelled[i]), 0);
        ck_assert_int_eq(weir_task_cancel(&task), 0);
        assert_end(&task, &cancelled[i], WEIR_TASK_CANCELLED, -ECANCELED);
    }
    ck_assert_int_eq(submit_record(pool, &task, &last), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
    gate_open(&busy);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    assert_end(&task, &last, WEIR_TASK_FAILED, 4);
    finish_pool(pool);
    assert_end(&task, &last, WEIR_TASK_FAILED, 4);
    for (int i = 0; i < TRIES; i++)
        ck_assert_int_eq(atomic_load(&cancelled[i].runs), 0);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("task");

    TCase *lifecycle = add_group(suite, "lifecycle");
    tcase_add_test(lifecycle, a_task_is_idle_then_queued_then_running_then_done);
    tcase_add_test(lifecycle, a_task_that_returns_something_else_has_failed_with_it);
    tcase_add_test(lifecycle, all_zero_memory_is_a_valid_task);
    tcase_add_test(lifecycle, any_memory_can_be_made_a_task);
    tcase_add_test(lifecycle, a_task_that_is_over_can_be_submitted_again);
    tcase_add_test(lifecycle, a_live_task_is_busy);
    tcase_add_test(lifecycle, a_refused_task_is_as_it_was);
    tcase_add_test(lifecycle, options_that_cannot_be_are_refused);
    tcase_add_test(lifecycle, options_are_copied);
    tcase_add_test(lifecycle, on_done_is_told_before_the_waiters_wake);

    TCase *blocking = add_group(suite, "blocking");
    tcase_add_test(blocking, a_wait_for_what_is_over_returns_at_once_and_as_often_as_one_likes);
    tcase_add_test(blocking, a_wait_for_what_is_not_over_can_be_bounded);
    tcase_add_test(blocking, every_waiter_wakes_when_the_task_ends);
    tcase_add_test(blocking, every_waiter_wakes_when_the_task_is_cancelled);
    tcase_add_test(blocking, a_task_cannot_wait_for_itself_but_can_cancel_itself);
    tcase_add_test(blocking, what_was_never_submitted_can_be_neither_awaited_nor_cancelled);

    TCase *cancel = add_group(suite, "cancel");
    tcase_add_test(cancel, a_cancelled_queued_task_never_runs);
    tcase_add_test(cancel, a_cancelled_running_task_sees_it_and_may_still_succeed);
    tcase_add_test(cancel, cancel_wakes_a_task_that_is_blocked_on_its_context);
    tcase_add_test(cancel, exactly_one_canceller_wins);
    tcase_add_test(cancel, a_task_either_runs_or_is_cancelled);

    TCase *context = add_group(suite, "context");
    tcase_add_test(context, a_task_sees_the_values_and_the_deadline_of_its_context);
    tcase_add_test(context, a_queued_task_whose_context_is_cancelled_never_runs);
    tcase_add_test(context, a_queued_task_whose_context_has_timed_out_never_runs);
    tcase_add_test(context, a_running_task_sees_that_its_context_is_cancelled);

    TCase *expiry = add_group(suite, "expiry");
    tcase_add_test(expiry, a_start_by_that_has_passed_is_refused);
    tcase_add_loop_test(
        expiry, a_waiter_ends_a_task_whose_start_by_passes_while_every_worker_is_busy, 0, 2);
    tcase_add_test(expiry, every_waiter_wakes_at_the_start_by);
    tcase_add_test(expiry, a_worker_ends_a_task_whose_start_by_has_passed);
    tcase_add_test(expiry, a_start_by_does_not_end_a_task_that_has_started);
    tcase_add_test(expiry, a_wait_may_end_before_the_start_by);
    tcase_add_test(expiry, a_timeout_ends_the_context_of_the_running_task);
    tcase_add_test(expiry, a_timeout_counts_from_the_start_of_the_task);
    tcase_add_test(expiry, a_huge_timeout_is_none);

    TCase *memory = add_group(suite, "memory");
    tcase_add_loop_test(memory, nothing_touches_a_task_once_it_is_known_to_be_over, 0, WAYS);
    tcase_add_loop_test(memory, a_task_may_be_freed_once_it_is_known_to_be_over, 0, WAYS);
    tcase_add_test(memory, a_task_may_live_on_the_waiters_stack);
    tcase_add_test(memory, a_task_may_be_reused_once_all_its_waiters_have_left);
    tcase_add_test(memory, a_cancelled_task_may_be_freed_while_its_ticket_is_queued);
    tcase_add_test(memory, a_cancelled_task_may_be_submitted_again_while_its_ticket_is_queued);
    return suite;
}
