/* SPDX-License-Identifier: MIT */
/* blocking.c - submits that wait for room: what wakes and ends them, what they leave behind. */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

/* One call of weir_pool_submit_until by another thread. */
struct submission {
    weir_pool *pool;
    weir_task_fn *fn;
    void *arg;
    weir_context *ctx;
    int64_t deadline;
    counter *returned; /* counts the accepted ones, if not NULL */
    caller thread;
};

static int call_submit(void *arg)
{
    const struct submission *self = arg;
    int err =
        self->ctx == NULL && self->deadline == WEIR_FOREVER
            ? weir_pool_submit(self->pool, self->fn, self->arg)
            : weir_pool_submit_until(self->pool, self->fn, self->arg, self->ctx, self->deadline);
    if (err == 0 && self->returned != NULL)
        counter_add(self->returned, 1);
    return err;
}

static void submit_elsewhere(struct submission *self)
{
    caller_start(&self->thread, call_submit, self);
}

static weir_context *new_context(int64_t deadline)
{
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, deadline), 0);
    return ctx;
}

static weir_pool_counts counts_of(const weir_pool *pool)
{
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    return counts;
}

/* Fills the queue; how many it took. */
static unsigned fill(weir_pool *pool, weir_task_fn *fn, void *arg)
{
    unsigned n = 0;
    while (weir_pool_try_submit(pool, fn, arg) == 0)
        n++;
    return n;
}

/* Tasks of a pool with one worker that end one at a time. */
struct steps {
    counter entered, allowed;
};

static int step_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct steps *steps = arg;
    size_t own = counter_get(&steps->entered) + 1;
    counter_add(&steps->entered, 1);
    counter_await(&steps->allowed, own);
    return 0;
}

START_TEST(a_submit_blocks_while_the_pool_is_full_and_goes_on_when_there_is_room)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_pool(1, 2);
    saturate(pool, &hold, 1);
    ck_assert_uint_eq(fill(pool, counter_task, &ran), 2u);
    struct submission blocked = {pool, counter_task, &ran, NULL, WEIR_FOREVER, NULL, {0}};
    submit_elsewhere(&blocked);
    ck_assert(caller_await_asleep(&blocked.thread));
    ck_assert_uint_eq(weir_pool_queued(pool), 2u);
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&blocked.thread), 0);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), 3u);
}
END_TEST

enum { SUBMITTERS = 4 };

START_TEST(each_place_that_becomes_free_wakes_one_blocked_submitter)
{
    static const unsigned capacities[] = {1, 2, 5};
    unsigned capacity = capacities[_i];
    struct steps steps = {COUNTER_INIT, COUNTER_INIT};
    struct submission blocked[SUBMITTERS];
    counter returned = COUNTER_INIT;
    weir_pool *pool = new_pool(1, capacity);
    ck_assert_int_eq(weir_pool_submit(pool, step_task, &steps), 0);
    counter_await(&steps.entered, 1);
    ck_assert_uint_eq(fill(pool, step_task, &steps), capacity);
    for (int i = 0; i < SUBMITTERS; i++) {
        blocked[i] = (struct submission){.pool = pool,
                                         .fn = step_task,
                                         .arg = &steps,
                                         .deadline = WEIR_FOREVER,
                                         .returned = &returned};
        submit_elsewhere(&blocked[i]);
    }
    for (int i = 0; i < SUBMITTERS; i++)
        ck_assert(caller_await_asleep(&blocked[i].thread));
    for (size_t i = 1; i <= SUBMITTERS; i++) {
        ck_assert_uint_eq(counter_get(&returned), i - 1);
        counter_add(&steps.allowed, 1);
        counter_await(&returned, i);
        counter_await(&steps.entered, i + 1);
        ck_assert_int_eq(weir_pool_try_submit(pool, step_task, &steps), -EAGAIN);
    }
    counter_add(&steps.allowed, capacity + 1);
    for (int i = 0; i < SUBMITTERS; i++)
        ck_assert_int_eq(caller_join(&blocked[i].thread), 0);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&steps.entered), 1 + capacity + SUBMITTERS);
}
END_TEST

START_TEST(no_submitter_stays_asleep_while_there_is_room)
{
    enum { ROUNDS = 50 };
    for (int round = 0; round < ROUNDS; round++) {
        gate hold = GATE_INIT;
        counter ran = COUNTER_INIT;
        struct submission blocked[SUBMITTERS];
        weir_pool *pool = new_pool(1, SUBMITTERS);
        saturate(pool, &hold, 1);
        ck_assert_uint_eq(fill(pool, gate_task, &hold), (unsigned)SUBMITTERS);
        for (int i = 0; i < SUBMITTERS; i++) {
            blocked[i] = (struct submission){
                .pool = pool, .fn = counter_task, .arg = &ran, .deadline = WEIR_FOREVER};
            submit_elsewhere(&blocked[i]);
        }
        for (int i = 0; i < SUBMITTERS && round % 2 == 0; i++)
            ck_assert(caller_await_asleep(&blocked[i].thread));
        /* The whole queue is emptied in one go: the wakes must not be lost in each other. */
        gate_open(&hold);
        for (int i = 0; i < SUBMITTERS; i++)
            ck_assert_int_eq(caller_join(&blocked[i].thread), 0);
        finish_pool(pool);
        ck_assert_uint_eq(counter_get(&ran), (unsigned)SUBMITTERS);
    }
}
END_TEST

START_TEST(whoever_is_woken_wakes_the_next_while_the_worker_is_held_up)
{
    enum { ROUNDS = 50 };
    for (int round = 0; round < ROUNDS; round++) {
        gate hold = GATE_INIT, hold_again = GATE_INIT;
        counter ran = COUNTER_INIT;
        struct submission blocked[2];
        weir_pool *pool = new_pool(1, 2);
        saturate(pool, &hold, 1);
        ck_assert_int_eq(weir_pool_try_submit(pool, counter_task, &ran), 0);
        ck_assert_int_eq(weir_pool_try_submit(pool, gate_task, &hold_again), 0);
        for (int i = 0; i < 2; i++) {
            blocked[i] = (struct submission){
                .pool = pool, .fn = counter_task, .arg = &ran, .deadline = WEIR_FOREVER};
            submit_elsewhere(&blocked[i]);
            ck_assert(caller_await_asleep(&blocked[i].thread));
        }
        /* Both places become free at once; the worker, which is held again, wakes one of them. */
        gate_open(&hold);
        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(caller_join(&blocked[i].thread), 0);
        gate_open(&hold_again);
        finish_pool(pool);
        ck_assert_uint_eq(counter_get(&ran), 3u);
    }
}
END_TEST

enum { PRODUCERS = 4, EACH = 500 };

struct producer {
    weir_pool *pool;
    atomic_int *ran;
    weir_context *ctx; /* never over, if not NULL */
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
        int err = i % 2 == 0 ? weir_pool_submit(self->pool, count_itself, self->ran)
                             : weir_pool_submit_until(self->pool, count_itself, self->ran,
                                                      self->ctx, patience());
        if (err != 0)
            return err;
    }
    return 0;
}

START_TEST(many_producers_get_all_their_tasks_through_a_small_queue)
{
    static const unsigned capacities[] = {1, 2, 3};
    atomic_int ran = 0;
    caller threads[PRODUCERS];
    weir_pool *pool = new_pool(2, capacities[_i]);
    weir_context *ctx = new_context(WEIR_FOREVER);
    struct producer plain = {pool, &ran, NULL}, bounded = {pool, &ran, ctx};
    for (int i = 0; i < PRODUCERS; i++)
        caller_start(&threads[i], produce, i % 2 == 0 ? &plain : &bounded);
    for (int i = 0; i < PRODUCERS; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_int_eq(atomic_load(&ran), PRODUCERS * EACH);
    ck_assert_uint_le(counts_of(pool).peak_queued, capacities[_i]);
    weir_context_unref(ctx);
    finish_pool(pool);
}
END_TEST

/* A pool with one worker that is held at a gate, and a full queue. */
struct full {
    weir_pool *pool;
    gate hold;
    counter ran;
    unsigned queued;
};

static void make_full(struct full *full, unsigned capacity)
{
    *full = (struct full){.hold = GATE_INIT, .ran = COUNTER_INIT};
    full->pool = new_pool(1, capacity);
    saturate(full->pool, &full->hold, 1);
    full->queued = fill(full->pool, counter_task, &full->ran);
    ck_assert_uint_eq(full->queued, capacity);
}

/* Lets it run out; only what filled it may have run, and `more`. */
static void finish_full(struct full *full, unsigned more)
{
    gate_open(&full->hold);
    finish_pool(full->pool);
    ck_assert_uint_eq(counter_get(&full->ran), full->queued + more);
}

START_TEST(close_wakes_every_blocked_submitter)
{
    struct full full;
    struct submission blocked[SUBMITTERS];
    weir_context *ctx = new_context(WEIR_FOREVER);
    make_full(&full, 2);
    for (int i = 0; i < SUBMITTERS; i++) {
        blocked[i] = (struct submission){.pool = full.pool,
                                         .fn = counter_task,
                                         .arg = &full.ran,
                                         .ctx = i < _i * SUBMITTERS / 2 ? ctx : NULL,
                                         .deadline = WEIR_FOREVER};
        submit_elsewhere(&blocked[i]);
    }
    for (int i = 0; i < SUBMITTERS; i++)
        ck_assert(caller_await_asleep(&blocked[i].thread));
    weir_pool_close(full.pool);
    for (int i = 0; i < SUBMITTERS; i++)
        ck_assert_int_eq(caller_join(&blocked[i].thread), -EPIPE);
    ck_assert_uint_eq(counts_of(full.pool).submitted, 3u);
    weir_context_unref(ctx);
    finish_full(&full, 0);
}
END_TEST

START_TEST(a_cancelled_context_wakes_the_submitters_that_were_given_it_and_no_other)
{
    struct full full;
    struct submission blocked[SUBMITTERS];
    weir_context *parent = new_context(WEIR_FOREVER), *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, parent, WEIR_FOREVER), 0);
    make_full(&full, 2);
    for (int i = 0; i < SUBMITTERS; i++) {
        blocked[i] = (struct submission){.pool = full.pool,
                                         .fn = counter_task,
                                         .arg = &full.ran,
                                         .ctx = i % 2 == 0 ? NULL : ctx,
                                         .deadline = WEIR_FOREVER};
        submit_elsewhere(&blocked[i]);
    }
    for (int i = 0; i < SUBMITTERS; i++)
        ck_assert(caller_await_asleep(&blocked[i].thread));
    weir_context_cancel(_i == 0 ? ctx : parent, -EIO);
    for (int i = 1; i < SUBMITTERS; i += 2)
        ck_assert_int_eq(caller_join(&blocked[i].thread), -ECANCELED);
    for (int i = 0; i < SUBMITTERS; i += 2)
        ck_assert(caller_await_asleep(&blocked[i].thread));
    gate_open(&full.hold);
    for (int i = 0; i < SUBMITTERS; i += 2)
        ck_assert_int_eq(caller_join(&blocked[i].thread), 0);
    weir_context_unref(ctx);
    weir_context_unref(parent);
    finish_full(&full, SUBMITTERS / 2);
}
END_TEST

START_TEST(a_deadline_ends_a_blocked_submit)
{
    struct full full;
    make_full(&full, 2);
    int64_t deadline = weir_after(WEIR_MS(10));
    ck_assert_int_eq(weir_pool_submit_until(full.pool, counter_task, &full.ran, NULL, deadline),
                     -ETIMEDOUT);
    ck_assert_int_ge(weir_now(), deadline);

    weir_context *ctx = new_context(weir_after(WEIR_MS(10)));
    ck_assert_int_eq(weir_pool_submit_until(full.pool, counter_task, &full.ran, ctx, WEIR_FOREVER),
                     -ETIMEDOUT);
    ck_assert_int_ge(weir_now(), weir_context_deadline(ctx));
    weir_context_unref(ctx);
    finish_full(&full, 0);
}
END_TEST

START_TEST(a_deadline_that_has_passed_succeeds_if_there_is_room)
{
    static const int64_t past[] = {0, -1, INT64_MIN, 1};
    enum { PASTS = sizeof past / sizeof past[0] };
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_pool(1, PASTS);
    saturate(pool, &hold, 1);
    for (int i = 0; i < PASTS; i++)
        ck_assert_int_eq(weir_pool_submit_until(pool, counter_task, &ran, NULL, past[i]), 0);
    for (int i = 0; i < PASTS; i++)
        ck_assert_int_eq(weir_pool_submit_until(pool, counter_task, &ran, NULL, past[i]),
                         -ETIMEDOUT);
    gate_open(&hold);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), (unsigned)PASTS);
}
END_TEST

START_TEST(a_context_that_is_over_fails_first_and_without_effect)
{
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_pool(1, 4);
    weir_context *cancelled = new_context(WEIR_FOREVER), *late = new_context(0);
    weir_context_cancel(cancelled, 0);
    ck_assert_int_eq(weir_pool_submit_until(pool, counter_task, &ran, cancelled, WEIR_FOREVER),
                     -ECANCELED);
    ck_assert_int_eq(weir_pool_submit_until(pool, counter_task, &ran, late, WEIR_FOREVER),
                     -ETIMEDOUT);
    ck_assert_int_eq(weir_pool_submit_until(pool, counter_task, &ran, cancelled, 0), -ECANCELED);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(
        weir_pool_submit_task_until(pool, &task, counter_task, &ran, NULL, cancelled, WEIR_FOREVER),
        -ECANCELED);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
    ck_assert_uint_eq(weir_pool_queued(pool), 0u);
    ck_assert_uint_eq(counts_of(pool).submitted, 0u);
    weir_context_unref(cancelled);
    weir_context_unref(late);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), 0u);
}
END_TEST

struct task_submission {
    weir_pool *pool;
    weir_task task;
    counter *ran;
    weir_context *ctx;
    caller thread;
};

static int call_submit_task(void *arg)
{
    struct task_submission *self = arg;
    return weir_pool_submit_task_until(self->pool, &self->task, counter_task, self->ran, NULL,
                                       self->ctx, WEIR_FOREVER);
}

START_TEST(a_task_whose_submit_is_blocked_is_busy)
{
    struct full full;
    make_full(&full, 1);
    struct task_submission blocked = {.pool = full.pool, .task = WEIR_TASK_INIT, .ran = &full.ran};
    caller_start(&blocked.thread, call_submit_task, &blocked);
    ck_assert(caller_await_asleep(&blocked.thread));
    ck_assert_int_eq(
        weir_pool_try_submit_task(full.pool, &blocked.task, counter_task, &full.ran, NULL), -EBUSY);
    gate_open(&full.hold);
    ck_assert_int_eq(caller_join(&blocked.thread), 0);
    ck_assert_int_eq(weir_task_wait(&blocked.task), 0);
    ck_assert_int_eq(weir_task_state(&blocked.task), WEIR_TASK_DONE);
    finish_full(&full, 1);
}
END_TEST

START_TEST(a_task_whose_blocked_submit_was_cancelled_is_as_it_was)
{
    struct full full;
    make_full(&full, 1);
    struct task_submission blocked = {.pool = full.pool,
                                      .task = WEIR_TASK_INIT,
                                      .ran = &full.ran,
                                      .ctx = new_context(WEIR_FOREVER)};
    caller_start(&blocked.thread, call_submit_task, &blocked);
    ck_assert(caller_await_asleep(&blocked.thread));
    weir_context_cancel(blocked.ctx, 0);
    ck_assert_int_eq(caller_join(&blocked.thread), -ECANCELED);
    ck_assert_int_eq(weir_task_state(&blocked.task), WEIR_TASK_IDLE);
    ck_assert_int_eq(weir_task_wait(&blocked.task), -EINVAL);
    weir_context_unref(blocked.ctx);
    finish_full(&full, 0);
}
END_TEST

START_TEST(a_task_that_is_cancelled_at_the_head_makes_room_for_a_blocked_submitter)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT, returned = COUNTER_INIT;
    weir_task first = WEIR_TASK_INIT, second = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(1, 2);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &first, counter_task, &ran, NULL), 0);
    ck_assert_int_eq(weir_pool_submit_task(pool, &second, counter_task, &ran, NULL), 0);
    struct submission blocked[3];
    for (int i = 0; i < 3; i++) {
        blocked[i] = (struct submission){.pool = pool,
                                         .fn = counter_task,
                                         .arg = &ran,
                                         .deadline = WEIR_FOREVER,
                                         .returned = &returned};
        submit_elsewhere(&blocked[i]);
    }
    for (int i = 0; i < 3; i++)
        ck_assert(caller_await_asleep(&blocked[i].thread));
    /* Behind the head its place is not free yet ... */
    ck_assert_int_eq(weir_task_cancel(&second), 0);
    ck_assert_int_eq(weir_pool_try_submit(pool, counter_task, &ran), -EAGAIN);
    ck_assert_uint_eq(counter_get(&returned), 0u);
    /* ... but now both are, and the worker has not moved. */
    ck_assert_int_eq(weir_task_cancel(&first), 0);
    counter_await(&returned, 2);
    ck_assert_int_eq(weir_pool_try_submit(pool, counter_task, &ran), -EAGAIN);
    ck_assert_uint_eq(counter_get(&ran), 0u);
    gate_open(&hold);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(caller_join(&blocked[i].thread), 0);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), 3u);
}
END_TEST

START_TEST(a_start_by_that_passes_at_the_head_makes_room_for_a_blocked_submitter)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(1, 1);
    saturate(pool, &hold, 1);
    int err = -ETIMEDOUT;
    for (int64_t delay = WEIR_MS(50); err == -ETIMEDOUT; delay *= 2)
        err = weir_pool_submit_task(pool, &task, counter_task, &ran,
                                    WEIR_TASK_OPTIONS(.start_by = weir_after(delay)));
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(weir_pool_submit_until(pool, counter_task, &ran, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_EXPIRED);
    gate_open(&hold);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), 1u);
}
END_TEST

START_TEST(a_timed_out_submit_leaves_no_residue)
{
    enum { TRIES = 100 };
    struct full full;
    make_full(&full, 2);
    weir_context *ctx = new_context(WEIR_FOREVER);
    for (int i = 0; i < TRIES; i++)
        ck_assert_int_eq(weir_pool_submit_until(full.pool, counter_task, &full.ran,
                                                i % 2 == 0 ? NULL : ctx, weir_after(WEIR_US(100))),
                         -ETIMEDOUT);
    ck_assert_uint_eq(weir_pool_queued(full.pool), 2u);
    ck_assert_uint_eq(counts_of(full.pool).submitted, 3u);
    struct submission blocked = {full.pool, counter_task, &full.ran, ctx, WEIR_FOREVER, NULL, {0}};
    submit_elsewhere(&blocked);
    ck_assert(caller_await_asleep(&blocked.thread));
    gate_open(&full.hold);
    ck_assert_int_eq(caller_join(&blocked.thread), 0);
    ck_assert_int_eq(weir_pool_drain(full.pool), 0);
    /* The whole capacity is there as before. */
    gate_reset(&full.hold);
    saturate(full.pool, &full.hold, 1);
    ck_assert_uint_eq(fill(full.pool, counter_task, &full.ran), 2u);
    weir_context_unref(ctx);
    finish_full(&full, 3);
}
END_TEST

START_TEST(a_submit_that_is_given_up_passes_its_wake_on)
{
    enum { ROUNDS = 200 };
    for (int round = 0; round < ROUNDS; round++) {
        struct full full;
        make_full(&full, 1);
        weir_context *ctx = new_context(WEIR_FOREVER);
        struct submission leaving = {full.pool,    counter_task, &full.ran, ctx,
                                     WEIR_FOREVER, NULL,         {0}};
        struct submission staying = {full.pool,    counter_task, &full.ran, NULL,
                                     WEIR_FOREVER, NULL,         {0}};
        submit_elsewhere(&leaving);
        if (round % 2 == 0)
            ck_assert(caller_await_asleep(&leaving.thread));
        submit_elsewhere(&staying);
        if (round % 2 == 0)
            ck_assert(caller_await_asleep(&staying.thread));
        /* The wake for the free place may hit the one that is about to leave. */
        if (round % 4 < 2) {
            gate_open(&full.hold);
            weir_context_cancel(ctx, 0);
        } else {
            weir_context_cancel(ctx, 0);
            gate_open(&full.hold);
        }
        int err = caller_join(&leaving.thread);
        ck_assert(err == 0 || err == -ECANCELED);
        ck_assert_int_eq(caller_join(&staying.thread), 0);
        ck_assert_int_eq(weir_pool_drain_until(full.pool, NULL, patience()), 0);
        weir_pool_counts counts = counts_of(full.pool);
        ck_assert_uint_eq(counts.submitted, err == 0 ? 4u : 3u);
        ck_assert_uint_eq(counts.submitted, counts.done + counts.cancelled);
        weir_context_unref(ctx);
        weir_pool_free(full.pool);
    }
}
END_TEST

struct relay {
    struct submission *submission;
    counter entered;
};

static int submit_from_a_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct relay *relay = arg;
    counter_add(&relay->entered, 1);
    return call_submit(relay->submission);
}

START_TEST(a_task_blocks_like_anybody_else_when_another_pool_is_full)
{
    struct full full;
    make_full(&full, 1);
    weir_pool *other = new_pool(1, 1);
    struct submission blocked = {full.pool, counter_task, &full.ran, NULL, WEIR_FOREVER, NULL, {0}};
    struct relay relay = {.submission = &blocked, .entered = COUNTER_INIT};
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(other, &task, submit_from_a_task, &relay, NULL), 0);
    counter_await(&relay.entered, 1);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, weir_after(WEIR_MS(5))), -ETIMEDOUT);
    ck_assert_uint_eq(counts_of(full.pool).submitted, 2u);
    gate_open(&full.hold);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_status(&task), 0);
    finish_pool(other);
    finish_full(&full, 1);
}
END_TEST

START_TEST(the_try_forms_never_block)
{
    struct full full;
    make_full(&full, 2);
    weir_task task = WEIR_TASK_INIT;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_job job = {counter_task, &full.ran};
    ck_assert_int_eq(weir_pool_try_submit(full.pool, counter_task, &full.ran), -EAGAIN);
    ck_assert_int_eq(weir_pool_try_submit_many(full.pool, &job, 1), -EAGAIN);
    ck_assert_int_eq(weir_pool_try_submit_task(full.pool, &task, counter_task, &full.ran, NULL),
                     -EAGAIN);
    ck_assert_int_eq(weir_waitgroup_try_go(&wg, full.pool, counter_task, &full.ran), -EAGAIN);
    ck_assert_int_eq(weir_waitgroup_try_wait(&wg), 0);
    finish_full(&full, 0);
}
END_TEST

/* A close wakes every thread that waits with a context, in whatever pool. */
START_TEST(the_close_of_another_pool_does_not_part_a_blocked_submitter_from_its_context)
{
    struct full full;
    weir_context *ctx = new_context(WEIR_FOREVER);
    make_full(&full, 2);
    struct submission blocked = {.pool = full.pool,
                                 .fn = counter_task,
                                 .arg = &full.ran,
                                 .ctx = ctx,
                                 .deadline = WEIR_FOREVER};
    submit_elsewhere(&blocked);
    for (int i = 0; i < 5; i++) {
        ck_assert(caller_await_asleep(&blocked.thread));
        weir_pool *other = new_pool(1, 1);
        weir_pool_close(other);
        weir_pool_free(other);
    }
    ck_assert(caller_await_asleep(&blocked.thread));
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(caller_join(&blocked.thread), -ECANCELED);
    weir_context_unref(ctx);
    gate_open(&full.hold);
    finish_full(&full, 0);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("blocking");

    TCase *room = add_group(suite, "room");
    tcase_add_test(room, a_submit_blocks_while_the_pool_is_full_and_goes_on_when_there_is_room);
    tcase_add_loop_test(room, each_place_that_becomes_free_wakes_one_blocked_submitter, 0, 3);
    tcase_add_test(room, no_submitter_stays_asleep_while_there_is_room);
    tcase_add_test(room, whoever_is_woken_wakes_the_next_while_the_worker_is_held_up);
    tcase_add_loop_test(room, many_producers_get_all_their_tasks_through_a_small_queue, 0, 3);
    tcase_add_test(room, a_task_that_is_cancelled_at_the_head_makes_room_for_a_blocked_submitter);
    tcase_add_test(room, a_start_by_that_passes_at_the_head_makes_room_for_a_blocked_submitter);
    tcase_add_test(room, a_task_blocks_like_anybody_else_when_another_pool_is_full);
    tcase_add_test(room, the_try_forms_never_block);

    TCase *ends = add_group(suite, "ends");
    tcase_add_test(ends,
                   the_close_of_another_pool_does_not_part_a_blocked_submitter_from_its_context);
    tcase_add_loop_test(ends, close_wakes_every_blocked_submitter, 0, 3);
    tcase_add_loop_test(
        ends, a_cancelled_context_wakes_the_submitters_that_were_given_it_and_no_other, 0, 2);
    tcase_add_test(ends, a_deadline_ends_a_blocked_submit);
    tcase_add_test(ends, a_deadline_that_has_passed_succeeds_if_there_is_room);
    tcase_add_test(ends, a_context_that_is_over_fails_first_and_without_effect);

    TCase *residue = add_group(suite, "residue");
    tcase_add_test(residue, a_task_whose_submit_is_blocked_is_busy);
    tcase_add_test(residue, a_task_whose_blocked_submit_was_cancelled_is_as_it_was);
    tcase_add_test(residue, a_timed_out_submit_leaves_no_residue);
    tcase_add_test(residue, a_submit_that_is_given_up_passes_its_wake_on);
    return suite;
}
