/* SPDX-License-Identifier: MIT */
/* overflow.c - what a submit to a full pool does: the four policies, and clearing the head. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

/* What ran and what was dropped, by number. */
struct logs {
    recorder ran, dropped;
    atomic_int strange; /* drops with something other than what was submitted */
    weir_state why;     /* what on_drop is expected to be told */
};

#define LOGS_INIT(state)                                                                           \
    {                                                                                              \
        .ran = RECORDER_INIT, .dropped = RECORDER_INIT, .why = (state)                             \
    }

struct numbered {
    struct logs *logs;
    int number;
};

static int run_numbered(weir_context *ctx, void *arg)
{
    (void)ctx;
    const struct numbered *self = arg;
    recorder_add(&self->logs->ran, self->number);
    return 0;
}

static void drop_numbered(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    struct logs *logs = user;
    const struct numbered *self = arg;
    if (fn != run_numbered || self->logs != logs || why != logs->why)
        atomic_fetch_add(&logs->strange, 1);
    else
        recorder_add(&logs->dropped, self->number);
}

enum { NUMBERED = 32 };

static void number_them(struct numbered tasks[NUMBERED], struct logs *logs)
{
    for (int i = 0; i < NUMBERED; i++)
        tasks[i] = (struct numbered){.logs = logs, .number = i};
}

/* Asserts that the numbers from `first` to before `end` were recorded, in order, and no more. */
static void assert_numbers(recorder *log, int first, int end)
{
    ck_assert_uint_eq(recorder_count(log), (unsigned)(end - first));
    for (int i = first; i < end; i++)
        ck_assert_int_eq(recorder_at(log, (size_t)(i - first)), i);
}

static weir_pool *new_overflow_pool(unsigned workers, unsigned capacity, weir_overflow overflow,
                                    struct logs *logs)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(
        weir_pool_new(
            &pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity, .overflow = overflow,
                                     .on_drop = logs != NULL ? drop_numbered : NULL, .user = logs)),
        0);
    return pool;
}

static weir_pool_counts counts_of(const weir_pool *pool)
{
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    return counts;
}

static weir_context *new_context(int64_t deadline)
{
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, deadline), 0);
    return ctx;
}

START_TEST(a_reject_pool_refuses_when_it_is_full)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_overflow_pool(1, 2, WEIR_OVERFLOW_REJECT, NULL);
    weir_context *ctx = new_context(WEIR_FOREVER);
    weir_task task = WEIR_TASK_INIT;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_job jobs[] = {{counter_task, &ran}, {counter_task, &ran}, {counter_task, &ran}};
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_many(pool, jobs, 3), 2);
    uint64_t before = counts_of(pool).rejected;
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), -EAGAIN);
    ck_assert_int_eq(weir_pool_submit_until(pool, counter_task, &ran, ctx, WEIR_FOREVER), -EAGAIN);
    ck_assert_int_eq(weir_pool_try_submit(pool, counter_task, &ran), -EAGAIN);
    ck_assert_int_eq(weir_pool_submit_many(pool, jobs, 3), -EAGAIN);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, counter_task, &ran, NULL), -EAGAIN);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, counter_task, &ran), -EAGAIN);
    ck_assert_int_eq(weir_waitgroup_try_wait(&wg), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
    ck_assert_uint_eq(counts_of(pool).rejected, before + 6);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), 3u);
    weir_context_unref(ctx);
}
END_TEST

struct witness {
    pthread_t thread;
    weir_pool *current;
    int index, runs, result;
    bool had_context;
};

static int note_thread(weir_context *ctx, void *arg)
{
    struct witness *witness = arg;
    witness->thread = pthread_self();
    witness->current = weir_pool_current();
    witness->index = weir_pool_worker_index();
    witness->had_context = ctx != NULL && weir_context_err(ctx) == 0;
    witness->runs++;
    return witness->result;
}

START_TEST(caller_runs_runs_the_task_on_the_caller)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_overflow_pool(1, 1, WEIR_OVERFLOW_CALLER_RUNS, NULL);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    struct witness witness = {.result = 0};
    for (int i = 1; i <= 3; i++) {
        ck_assert_int_eq(weir_pool_submit(pool, note_thread, &witness), 0);
        ck_assert_int_eq(witness.runs, i);
        ck_assert(pthread_equal(witness.thread, pthread_self()));
        ck_assert_ptr_null(witness.current);
        ck_assert_int_eq(witness.index, -1);
        ck_assert(witness.had_context);
        ck_assert_uint_eq(counts_of(pool).done, (unsigned)i);
        ck_assert_uint_eq(counts_of(pool).submitted, (unsigned)i + 2);
    }
    /* A failure is the task's, not the submit's. */
    witness.result = -EIO;
    ck_assert_int_eq(weir_pool_submit(pool, note_thread, &witness), 0);
    ck_assert_uint_eq(counts_of(pool).failed, 1u);
    ck_assert_uint_eq(counter_get(&ran), 0u);
    ck_assert_uint_eq(counts_of(pool).queued, 1u);
    ck_assert_uint_eq(counts_of(pool).running, 1u);
    ck_assert_uint_eq(counts_of(pool).rejected, 0u);
    gate_open(&hold);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), 1u);
}
END_TEST

START_TEST(caller_runs_queues_while_there_is_room)
{
    weir_pool *pool = new_overflow_pool(1, 4, WEIR_OVERFLOW_CALLER_RUNS, NULL);
    for (int i = 0; i < 50; i++) {
        struct witness witness = {.result = 0};
        ck_assert_int_eq(weir_pool_submit(pool, note_thread, &witness), 0);
        ck_assert_int_eq(weir_pool_drain(pool), 0);
        ck_assert_int_eq(witness.runs, 1);
        ck_assert_ptr_eq(witness.current, pool);
    }
    finish_pool(pool);
}
END_TEST

START_TEST(caller_runs_ends_a_handle_before_the_submit_returns)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_overflow_pool(1, 1, WEIR_OVERFLOW_CALLER_RUNS, NULL);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
    weir_task task = WEIR_TASK_INIT;
    struct witness witness = {.result = 7};
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, note_thread, &witness, NULL), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_FAILED);
    ck_assert_int_eq(weir_task_status(&task), 7);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, note_thread, &witness), 0);
    ck_assert_int_eq(weir_waitgroup_try_wait(&wg), 0);
    ck_assert_int_eq(witness.runs, 2);
    /* The try_ form says that it is full, whatever the policy; and who is too late is too late. */
    ck_assert_int_eq(weir_pool_try_submit(pool, note_thread, &witness), -EAGAIN);
    ck_assert_int_eq(weir_pool_try_submit_task(pool, &task, note_thread, &witness, NULL), -EAGAIN);
    weir_context *ctx = new_context(WEIR_FOREVER);
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(weir_pool_submit_until(pool, note_thread, &witness, ctx, WEIR_FOREVER),
                     -ECANCELED);
    weir_context_unref(ctx);
    ck_assert_int_eq(witness.runs, 2);
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

struct recursion {
    weir_pool *pool;
    int runs, refusal;
};

static int submit_itself(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct recursion *self = arg;
    self->runs++;
    int err = weir_pool_submit(self->pool, submit_itself, self);
    if (err != 0)
        self->refusal = err;
    return 0;
}

START_TEST(caller_runs_nests_64_deep)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_overflow_pool(1, 1, WEIR_OVERFLOW_CALLER_RUNS, NULL);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
    struct recursion recursion = {.pool = pool};
    for (int i = 1; i <= 2; i++) {
        ck_assert_int_eq(weir_pool_submit(pool, submit_itself, &recursion), 0);
        ck_assert_int_eq(recursion.runs, 64 * i);
        ck_assert_int_eq(recursion.refusal, -EDEADLK);
        ck_assert_uint_eq(counts_of(pool).done, 64u * (unsigned)i);
        ck_assert_uint_eq(counts_of(pool).rejected, (unsigned)i);
    }
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

enum { CALLERS = 4, EACH = 200 };

struct producer {
    weir_pool *pool;
    atomic_int *ran;
};

static int count_itself(weir_context *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static int produce(void *arg)
{
    const struct producer *self = arg;
    for (int i = 0; i < EACH; i++) {
        int err = weir_pool_submit(self->pool, count_itself, self->ran);
        if (err != 0)
            return err;
    }
    return 0;
}

START_TEST(caller_runs_loses_nothing_under_load)
{
    atomic_int ran = 0;
    caller threads[CALLERS];
    weir_pool *pool = new_overflow_pool(2, 2, WEIR_OVERFLOW_CALLER_RUNS, NULL);
    struct producer producer = {pool, &ran};
    for (int i = 0; i < CALLERS; i++)
        caller_start(&threads[i], produce, &producer);
    for (int i = 0; i < CALLERS; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_int_eq(atomic_load(&ran), CALLERS * EACH);
    weir_pool_counts counts = counts_of(pool);
    ck_assert_uint_eq(counts.submitted, (unsigned)(CALLERS * EACH));
    ck_assert_uint_eq(counts.done, (unsigned)(CALLERS * EACH));
    finish_pool(pool);
}
END_TEST

START_TEST(drop_oldest_drops_the_oldest_and_keeps_the_order_of_the_rest)
{
    enum { PLACES = 3, DROPPED = 5 };
    gate hold = GATE_INIT;
    struct logs logs = LOGS_INIT(WEIR_TASK_DROPPED);
    struct numbered tasks[NUMBERED];
    number_them(tasks, &logs);
    weir_pool *pool = new_overflow_pool(1, PLACES, WEIR_OVERFLOW_DROP_OLDEST, &logs);
    saturate(pool, &hold, 1);
    for (int i = 0; i < PLACES + DROPPED; i++) {
        int dropped = i < PLACES ? 0 : i - PLACES;
        assert_numbers(&logs.dropped, 0, dropped);
        if (i >= PLACES)
            ck_assert_int_eq(weir_pool_try_submit(pool, run_numbered, &tasks[i]), -EAGAIN);
        ck_assert_int_eq(weir_pool_submit(pool, run_numbered, &tasks[i]), 0);
        ck_assert_uint_eq(counts_of(pool).dropped, i < PLACES ? 0u : (unsigned)dropped + 1);
    }
    ck_assert_uint_eq(weir_pool_queued(pool), (unsigned)PLACES);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    assert_numbers(&logs.dropped, 0, DROPPED);
    assert_numbers(&logs.ran, DROPPED, PLACES + DROPPED);
    ck_assert_int_eq(atomic_load(&logs.strange), 0);
    ck_assert_uint_eq(counts_of(pool).submitted, 1u + PLACES + DROPPED);
    ck_assert_uint_eq(counts_of(pool).done, 1u + PLACES);
    finish_pool(pool);
}
END_TEST

START_TEST(drop_oldest_takes_a_whole_batch_and_keeps_the_last)
{
    enum { PLACES = 4 };
    gate hold = GATE_INIT;
    struct logs logs = LOGS_INIT(WEIR_TASK_DROPPED);
    struct numbered tasks[NUMBERED];
    weir_job jobs[NUMBERED];
    number_them(tasks, &logs);
    for (int i = 0; i < NUMBERED; i++)
        jobs[i] = (weir_job){run_numbered, &tasks[i]};
    weir_pool *pool = new_overflow_pool(1, PLACES, WEIR_OVERFLOW_DROP_OLDEST, &logs);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_many(pool, jobs, NUMBERED), NUMBERED);
    gate_open(&hold);
    finish_pool(pool);
    assert_numbers(&logs.dropped, 0, NUMBERED - PLACES);
    assert_numbers(&logs.ran, NUMBERED - PLACES, NUMBERED);
    ck_assert_int_eq(atomic_load(&logs.strange), 0);
}
END_TEST

struct end {
    atomic_int told;
    weir_state state;
    int status;
};

static void note_end(void *arg, weir_state state, int status)
{
    struct end *end = arg;
    end->state = state;
    end->status = status;
    atomic_fetch_add(&end->told, 1);
}

static int never_called(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct end *end = arg;
    atomic_fetch_add(&end->told, 1000);
    return 0;
}

static int call_wait(void *arg)
{
    return weir_task_wait(arg);
}

START_TEST(drop_oldest_tells_a_handle_and_wakes_its_waiter)
{
    gate hold = GATE_INIT;
    struct logs logs = LOGS_INIT(WEIR_TASK_DROPPED);
    counter ran = COUNTER_INIT;
    struct end end = {.told = 0};
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool = new_overflow_pool(1, 1, WEIR_OVERFLOW_DROP_OLDEST, &logs);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, never_called, &end,
                                           WEIR_TASK_OPTIONS(.on_done = note_end)),
                     0);
    caller waiter;
    caller_start(&waiter, call_wait, &task);
    ck_assert(caller_await_asleep(&waiter));
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    ck_assert_int_eq(caller_join(&waiter), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_DROPPED);
    ck_assert_int_eq(weir_task_status(&task), -EPIPE);
    ck_assert_int_eq(weir_task_cancel(&task), -EALREADY);
    ck_assert_int_eq(atomic_load(&end.told), 1);
    ck_assert_int_eq(end.state, WEIR_TASK_DROPPED);
    ck_assert_int_eq(end.status, -EPIPE);
    gate_open(&hold);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), 1u);
    /* A handle has its on_done; on_drop is for those without. */
    ck_assert_uint_eq(recorder_count(&logs.dropped), 0u);
    ck_assert_int_eq(atomic_load(&logs.strange), 0);
    ck_assert_int_eq(atomic_load(&end.told), 1);
}
END_TEST

START_TEST(drop_oldest_counts_down_the_waitgroup_of_what_it_drops)
{
    gate hold = GATE_INIT;
    struct logs logs = LOGS_INIT(WEIR_TASK_DROPPED);
    struct numbered tasks[NUMBERED];
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    number_them(tasks, &logs);
    weir_pool *pool = new_overflow_pool(1, 1, WEIR_OVERFLOW_DROP_OLDEST, &logs);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, run_numbered, &tasks[0]), 0);
    ck_assert_int_eq(weir_waitgroup_try_wait(&wg), -EAGAIN);
    ck_assert_int_eq(weir_pool_submit(pool, run_numbered, &tasks[1]), 0);
    ck_assert_int_eq(weir_waitgroup_wait(&wg), 0);
    assert_numbers(&logs.dropped, 0, 1);
    gate_open(&hold);
    finish_pool(pool);
    assert_numbers(&logs.ran, 1, 2);
}
END_TEST

START_TEST(drop_oldest_loses_nothing_under_load)
{
    atomic_int ran = 0;
    caller threads[CALLERS];
    weir_pool *pool = new_overflow_pool(2, 2, WEIR_OVERFLOW_DROP_OLDEST, NULL);
    struct producer producer = {pool, &ran};
    for (int i = 0; i < CALLERS; i++)
        caller_start(&threads[i], produce, &producer);
    for (int i = 0; i < CALLERS; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    weir_pool_counts counts = counts_of(pool);
    ck_assert_uint_eq(counts.submitted, (unsigned)(CALLERS * EACH));
    ck_assert_uint_eq(counts.done + counts.dropped, (unsigned)(CALLERS * EACH));
    ck_assert_uint_eq(counts.done, (unsigned)atomic_load(&ran));
    finish_pool(pool);
}
END_TEST

static const weir_overflow policies[] = {WEIR_OVERFLOW_BLOCK, WEIR_OVERFLOW_REJECT,
                                         WEIR_OVERFLOW_CALLER_RUNS, WEIR_OVERFLOW_DROP_OLDEST};
enum { POLICIES = 4, PLACES = 4 };

/* The pool's one worker is held at `hold`, and its queue was full of tasks that are over by now.
 * Asserts that a submit finds the whole capacity, and that nobody ran or was evicted for it. */
static void assert_all_places_are_free(weir_pool *pool, gate *hold)
{
    struct witness witness = {.result = 0};
    weir_job jobs[PLACES];
    for (int i = 0; i < PLACES; i++)
        jobs[i] = (weir_job){note_thread, &witness};
    ck_assert_int_eq(weir_pool_try_submit(pool, note_thread, &witness), 0);
    ck_assert_int_eq(weir_pool_submit(pool, note_thread, &witness), 0);
    ck_assert_int_eq(weir_pool_try_submit_many(pool, jobs, PLACES), PLACES - 2);
    ck_assert_int_eq(weir_pool_try_submit(pool, note_thread, &witness), -EAGAIN);
    ck_assert_uint_eq(weir_pool_queued(pool), (unsigned)PLACES);
    ck_assert_uint_eq(counts_of(pool).done, 0u);
    ck_assert_uint_eq(counts_of(pool).dropped, 0u);
    gate_open(hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_eq(witness.runs, PLACES);
    ck_assert_ptr_eq(witness.current, pool);
}

START_TEST(a_full_pool_is_cleared_of_cancelled_tasks_at_its_head)
{
    gate hold = GATE_INIT;
    struct end ends[PLACES] = {{.told = 0}};
    weir_task tasks[PLACES] = {WEIR_TASK_INIT};
    weir_pool *pool = new_overflow_pool(1, PLACES, policies[_i], NULL);
    saturate(pool, &hold, 1);
    for (int i = 0; i < PLACES; i++)
        ck_assert_int_eq(weir_pool_submit_task(pool, &tasks[i], never_called, &ends[i],
                                               WEIR_TASK_OPTIONS(.on_done = note_end)),
                         0);
    ck_assert_int_eq(weir_pool_try_submit(pool, never_called, &ends[0]), -EAGAIN);
    for (int i = PLACES - 1; i >= 0; i--) {
        ck_assert_int_eq(weir_task_cancel(&tasks[i]), 0);
        /* Only at the head does it make room. */
        if (i > 0)
            ck_assert_int_eq(weir_pool_try_submit(pool, never_called, &ends[0]), -EAGAIN);
    }
    assert_all_places_are_free(pool, &hold);
    for (int i = 0; i < PLACES; i++) {
        ck_assert_int_eq(atomic_load(&ends[i].told), 1);
        ck_assert_int_eq(ends[i].state, WEIR_TASK_CANCELLED);
    }
    finish_pool(pool);
}
END_TEST

START_TEST(a_task_whose_context_is_cancelled_keeps_its_place_until_a_worker_takes_it)
{
    gate hold = GATE_INIT;
    struct logs logs = LOGS_INIT(WEIR_TASK_CANCELLED);
    struct numbered tasks[NUMBERED];
    number_them(tasks, &logs);
    weir_pool *pool = new_overflow_pool(1, PLACES, policies[_i], &logs);
    weir_context *ctx = new_context(WEIR_FOREVER);
    saturate(pool, &hold, 1);
    for (int i = 0; i < PLACES; i++)
        ck_assert_int_eq(weir_pool_submit_until(pool, run_numbered, &tasks[i], ctx, WEIR_FOREVER),
                         0);
    weir_context_cancel(ctx, 0);
    weir_context_unref(ctx);
    ck_assert_int_eq(weir_pool_try_submit(pool, run_numbered, &tasks[PLACES]), -EAGAIN);
    ck_assert_uint_eq(weir_pool_queued(pool), (unsigned)PLACES);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    assert_numbers(&logs.dropped, 0, PLACES);
    ck_assert_uint_eq(recorder_count(&logs.ran), 0u);
    ck_assert_int_eq(atomic_load(&logs.strange), 0);
    ck_assert_uint_eq(counts_of(pool).cancelled, (unsigned)PLACES);
    finish_pool(pool);
}
END_TEST

START_TEST(a_full_pool_is_cleared_of_tasks_that_have_expired)
{
    gate hold = GATE_INIT;
    struct logs logs = LOGS_INIT(WEIR_TASK_EXPIRED);
    struct numbered tasks[NUMBERED];
    struct end ends[PLACES] = {{.told = 0}};
    weir_task handles[PLACES] = {WEIR_TASK_INIT};
    number_them(tasks, &logs);
    weir_pool *pool = new_overflow_pool(1, PLACES, policies[_i], &logs);
    saturate(pool, &hold, 1);
    int64_t latest = 0, delay = WEIR_MS(50);
    int accepted = 0;
    while (accepted < PLACES) { /* a deadline that passes before the submit needs another try */
        latest = weir_after(delay);
        int err;
        if (accepted % 2 == 0) {
            weir_context *ctx = new_context(latest);
            err =
                weir_pool_submit_until(pool, run_numbered, &tasks[accepted / 2], ctx, WEIR_FOREVER);
            weir_context_unref(ctx);
        } else {
            err = weir_pool_submit_task(pool, &handles[accepted], never_called, &ends[accepted],
                                        WEIR_TASK_OPTIONS(.start_by = latest, .on_done = note_end));
        }
        ck_assert(err == 0 || err == -ETIMEDOUT);
        if (err == 0)
            accepted++;
        else
            delay *= 2;
    }
    ck_assert_int_eq(weir_sleep_until(NULL, latest), 0);
    assert_all_places_are_free(pool, &hold);
    for (int i = 1; i < PLACES; i += 2) {
        ck_assert_int_eq(weir_task_state(&handles[i]), WEIR_TASK_EXPIRED);
        ck_assert_int_eq(atomic_load(&ends[i].told), 1);
        ck_assert_int_eq(ends[i].status, -ETIMEDOUT);
    }
    assert_numbers(&logs.dropped, 0, PLACES / 2);
    ck_assert_int_eq(atomic_load(&logs.strange), 0);
    ck_assert_uint_eq(counts_of(pool).expired, (unsigned)PLACES);
    finish_pool(pool);
}
END_TEST

/* On the pool's one worker: fills the queue with tasks that are cancelled, or that expire, and
 * submits one more. */
struct refill {
    weir_pool *pool;
    struct end ends[PLACES];
    weir_task tasks[PLACES];
    struct witness witness;
    int runs_at_return; /* of the witness */
};

static int submit_witness(struct refill *refill)
{
    int err = weir_pool_submit(refill->pool, note_thread, &refill->witness);
    refill->runs_at_return = refill->witness.runs;
    return err;
}

static int submit_behind_cancelled_tasks(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct refill *refill = arg;
    int err = 0;
    for (int i = 0; err == 0 && i < PLACES; i++)
        err = weir_pool_submit_task(refill->pool, &refill->tasks[i], never_called, &refill->ends[i],
                                    NULL);
    for (int i = 0; err == 0 && i < PLACES; i++)
        err = weir_task_cancel(&refill->tasks[i]);
    return err != 0 ? err : submit_witness(refill);
}

static int submit_behind_expired_tasks(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct refill *refill = arg;
    int64_t latest = 0, delay = WEIR_MS(50);
    int accepted = 0;
    while (accepted < PLACES) { /* a deadline that passes before the submit needs another try */
        latest = weir_after(delay);
        int err =
            weir_pool_submit_task(refill->pool, &refill->tasks[accepted], never_called,
                                  &refill->ends[accepted], WEIR_TASK_OPTIONS(.start_by = latest));
        if (err == 0)
            accepted++;
        else if (err == -ETIMEDOUT)
            delay *= 2;
        else
            return err;
    }
    int err = weir_sleep_until(NULL, latest);
    return err != 0 ? err : submit_witness(refill);
}

START_TEST(a_task_clears_the_head_before_it_runs_one_in_place)
{
    struct refill refill = {.witness = {.result = 0}};
    weir_task task = WEIR_TASK_INIT;
    weir_task_fn *fn = _i < POLICIES ? submit_behind_cancelled_tasks : submit_behind_expired_tasks;
    refill.pool = new_overflow_pool(1, PLACES, policies[_i % POLICIES], NULL);
    ck_assert_int_eq(weir_pool_submit_task(refill.pool, &task, fn, &refill, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_pool_drain(refill.pool), 0);
    ck_assert_int_eq(refill.runs_at_return, 0);
    ck_assert_int_eq(refill.witness.runs, 1);
    finish_pool(refill.pool);
}
END_TEST

START_TEST(drop_oldest_evicts_nobody_while_the_head_can_be_cleared)
{
    gate hold = GATE_INIT;
    struct logs logs = LOGS_INIT(WEIR_TASK_DROPPED);
    struct numbered tasks[NUMBERED];
    number_them(tasks, &logs);
    weir_task task = WEIR_TASK_INIT;
    struct end end = {.told = 0};
    weir_pool *pool = new_overflow_pool(1, 2, WEIR_OVERFLOW_DROP_OLDEST, &logs);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, never_called, &end, NULL), 0);
    ck_assert_int_eq(weir_pool_submit(pool, run_numbered, &tasks[0]), 0);
    ck_assert_int_eq(weir_task_cancel(&task), 0);
    ck_assert_int_eq(weir_pool_submit(pool, run_numbered, &tasks[1]), 0);
    ck_assert_uint_eq(recorder_count(&logs.dropped), 0u);
    gate_open(&hold);
    finish_pool(pool);
    assert_numbers(&logs.ran, 0, 2);
    ck_assert_uint_eq(recorder_count(&logs.dropped), 0u);
    ck_assert_int_eq(atomic_load(&end.told), 0);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("overflow");

    TCase *reject = add_group(suite, "reject");
    tcase_add_test(reject, a_reject_pool_refuses_when_it_is_full);

    TCase *caller_runs = add_group(suite, "caller runs");
    tcase_add_test(caller_runs, caller_runs_runs_the_task_on_the_caller);
    tcase_add_test(caller_runs, caller_runs_queues_while_there_is_room);
    tcase_add_test(caller_runs, caller_runs_ends_a_handle_before_the_submit_returns);
    tcase_add_test(caller_runs, caller_runs_nests_64_deep);
    tcase_add_test(caller_runs, caller_runs_loses_nothing_under_load);

    TCase *drop_oldest = add_group(suite, "drop oldest");
    tcase_add_test(drop_oldest, drop_oldest_drops_the_oldest_and_keeps_the_order_of_the_rest);
    tcase_add_test(drop_oldest, drop_oldest_takes_a_whole_batch_and_keeps_the_last);
    tcase_add_test(drop_oldest, drop_oldest_tells_a_handle_and_wakes_its_waiter);
    tcase_add_test(drop_oldest, drop_oldest_counts_down_the_waitgroup_of_what_it_drops);
    tcase_add_test(drop_oldest, drop_oldest_loses_nothing_under_load);
    tcase_add_test(drop_oldest, drop_oldest_evicts_nobody_while_the_head_can_be_cleared);

    TCase *head = add_group(suite, "head");
    tcase_add_loop_test(head, a_full_pool_is_cleared_of_cancelled_tasks_at_its_head, 0, POLICIES);
    tcase_add_loop_test(head,
                        a_task_whose_context_is_cancelled_keeps_its_place_until_a_worker_takes_it,
                        0, POLICIES);
    tcase_add_loop_test(head, a_full_pool_is_cleared_of_tasks_that_have_expired, 0, POLICIES);
    tcase_add_loop_test(head, a_task_clears_the_head_before_it_runs_one_in_place, 0, 2 * POLICIES);
    return suite;
}
