/* SPDX-License-Identifier: MIT */
/* chain.c - a handle that is submitted again by its own on_done. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

/* Steps that follow one another: what they write needs no atomics. */
struct chain {
    weir_task task;
    weir_pool *pool;
    long left; /* steps after the next one */
    long steps, ends;
    int refused;    /* what a submit that failed returned */
    int status;     /* of the next step */
    weir_state end; /* of the last one */
    int end_status;
    weir_completion *completion;
    gate *hold; /* where the first step waits, or NULL */
};

static int return_0(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

static void go_on(void *arg, weir_state end, int status);

static int submit_step(struct chain *chain);

static int step(weir_context *ctx, void *arg)
{
    struct chain *chain = arg;
    (void)ctx;
    if (chain->steps++ == 0 && chain->hold != NULL)
        gate_wait(chain->hold);
    return chain->status;
}

static int submit_step(struct chain *chain)
{
    return weir_pool_submit_task(
        chain->pool, &chain->task, step, chain,
        WEIR_TASK_OPTIONS(.on_done = go_on, .completion = chain->completion));
}

static void go_on(void *arg, weir_state end, int status)
{
    struct chain *chain = arg;
    chain->end = end;
    chain->end_status = status;
    chain->ends++;
    if (end > WEIR_TASK_FAILED || chain->left == 0)
        return;
    chain->left--;
    int err = submit_step(chain);
    if (err != 0)
        chain->refused = err;
}

static void assert_whole(const struct chain *chain, long steps)
{
    ck_assert_int_eq(chain->refused, 0);
    ck_assert_int_eq(chain->steps, steps);
    ck_assert_int_eq(chain->ends, steps);
    ck_assert_int_eq(weir_task_state(&chain->task), WEIR_TASK_DONE);
}

START_TEST(a_million_steps_need_one_handle)
{
    enum { STEPS = 1000000 };
    struct chain chain = {.pool = new_pool((unsigned)_i, 4), .left = STEPS - 1};
    ck_assert_int_eq(submit_step(&chain), 0);
    ck_assert_int_eq(weir_task_wait(&chain.task), 0);
    assert_whole(&chain, STEPS);
    finish_pool(chain.pool);
}
END_TEST

START_TEST(a_drain_waits_for_the_whole_chain)
{
    struct chain chain = {.pool = new_pool(2, 4), .left = 9999};
    ck_assert_int_eq(submit_step(&chain), 0);
    ck_assert_int_eq(weir_pool_drain(chain.pool), 0);
    assert_whole(&chain, 10000);
    weir_pool_counts counts;
    weir_pool_read_counts(chain.pool, &counts);
    ck_assert_uint_eq(counts.submitted, 10000u);
    ck_assert_uint_eq(counts.done, 10000u);
    weir_pool_free(chain.pool);
}
END_TEST

/* A worker that waits for the handle runs its steps itself. */
static int wait_for_chain(weir_context *ctx, void *arg)
{
    struct chain *chain = arg;
    (void)ctx;
    int err = submit_step(chain);
    return err == 0 ? weir_task_wait(&chain->task) : err;
}

START_TEST(a_chain_may_be_waited_for_on_the_only_worker)
{
    struct chain chain = {.pool = new_pool(1, 4), .left = 999};
    weir_task waiter = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(chain.pool, &waiter, wait_for_chain, &chain, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&waiter), 0);
    ck_assert_int_eq(weir_task_status(&waiter), 0);
    assert_whole(&chain, 1000);
    finish_pool(chain.pool);
}
END_TEST

/* Where there is no room the next step waits for it, and no step runs within another one. */
struct crowd {
    weir_pool *pool;
    atomic_bool over;
    counter ran;
};

static int keep_full(void *arg)
{
    struct crowd *crowd = arg;
    int err = 0;
    while (!atomic_load(&crowd->over) && err == 0)
        err = weir_pool_submit(crowd->pool, counter_task, &crowd->ran);
    return err;
}

START_TEST(a_chain_goes_on_in_a_pool_that_is_full)
{
    static const weir_overflow policies[] = {WEIR_OVERFLOW_BLOCK, WEIR_OVERFLOW_CALLER_RUNS};
    enum { STEPS = 2000 };
    struct crowd crowd = {.ran = COUNTER_INIT};
    ck_assert_int_eq(
        weir_pool_new(&crowd.pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .timers = 1,
                                                     .overflow = policies[_i])),
        0);
    struct chain chain = {.pool = crowd.pool, .left = STEPS - 1};
    caller producer;
    caller_start(&producer, keep_full, &crowd);
    ck_assert_int_eq(submit_step(&chain), 0);
    ck_assert_int_eq(weir_task_wait(&chain.task), 0);
    assert_whole(&chain, STEPS);
    atomic_store(&crowd.over, true);
    ck_assert_int_eq(caller_join(&producer), 0);
    finish_pool(crowd.pool);
}
END_TEST

START_TEST(in_a_full_pool_that_rejects_the_chain_ends)
{
    gate hold = GATE_INIT;
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1,
                                                            .overflow = WEIR_OVERFLOW_REJECT)),
                     0);
    struct chain chain = {.pool = pool, .left = 5, .status = -EIO, .hold = &hold};
    ck_assert_int_eq(submit_step(&chain), 0);
    gate_await(&hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait(&chain.task), 0);
    ck_assert_int_eq(chain.refused, -EAGAIN);
    ck_assert_int_eq(chain.steps, 1);
    ck_assert_int_eq(weir_task_state(&chain.task), WEIR_TASK_FAILED);
    ck_assert_int_eq(weir_task_status(&chain.task), -EIO);
    finish_pool(pool);
}
END_TEST

/* Without a place to wait in, the same. */
START_TEST(without_room_and_place_the_chain_ends)
{
    gate hold = GATE_INIT;
    weir_pool *pool = NULL;
    weir_task later = WEIR_TASK_INIT;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .timers = 1)), 0);
    struct chain chain = {.pool = pool, .left = 5, .hold = &hold};
    ck_assert_int_eq(submit_step(&chain), 0);
    gate_await(&hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &later, counter_task, NULL, NULL, weir_after(WEIR_S(3600))),
        0);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait(&chain.task), 0);
    ck_assert_int_eq(chain.refused, -EAGAIN);
    ck_assert_int_eq(weir_task_state(&chain.task), WEIR_TASK_DONE);
    weir_pool_free(pool);
}
END_TEST

struct dropped {
    weir_task task;
    weir_pool *pool;
    int ends, err;
};

static void submit_dropped(void *arg, weir_state end, int status)
{
    struct dropped *dropped = arg;
    (void)status;
    dropped->ends++;
    if (end == WEIR_TASK_DROPPED)
        dropped->err =
            weir_pool_submit_task(dropped->pool, &dropped->task, counter_task, NULL, NULL);
}

/* Else two that are dropped in turn would keep out the one that they are dropped for. */
START_TEST(a_task_that_was_dropped_cannot_be_submitted_again_as_it_ends)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1,
                                                            .overflow = WEIR_OVERFLOW_DROP_OLDEST)),
                     0);
    saturate(pool, &hold, 1);
    struct dropped dropped = {.pool = pool};
    ck_assert_int_eq(weir_pool_submit_task(pool, &dropped.task, counter_task, &dropped,
                                           WEIR_TASK_OPTIONS(.on_done = submit_dropped)),
                     0);
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    ck_assert_int_eq(dropped.err, -EBUSY);
    ck_assert_int_eq(dropped.ends, 1);
    ck_assert_int_eq(weir_task_state(&dropped.task), WEIR_TASK_DROPPED);
    gate_open(&hold);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), 1);
}
END_TEST

/* Waiting, cancelling, reporting. */

START_TEST(a_wait_ends_with_the_last_step)
{
    gate hold = GATE_INIT;
    struct chain chain = {.pool = new_pool(1, 4), .left = 1, .hold = &hold};
    ck_assert_int_eq(submit_step(&chain), 0);
    ck_assert_int_eq(weir_task_try_wait(&chain.task), -EAGAIN);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait(&chain.task), 0);
    assert_whole(&chain, 2);
    finish_pool(chain.pool);
}
END_TEST

START_TEST(a_cancelled_step_is_the_last)
{
    gate busy = GATE_INIT;
    struct chain chain = {.pool = new_pool(1, 4), .left = 1000};
    saturate(chain.pool, &busy, 1);
    ck_assert_int_eq(submit_step(&chain), 0);
    ck_assert_int_eq(weir_task_cancel(&chain.task), 0);
    ck_assert_int_eq(chain.ends, 1);
    ck_assert_int_eq(chain.end, WEIR_TASK_CANCELLED);
    ck_assert_int_eq(weir_task_state(&chain.task), WEIR_TASK_CANCELLED);
    gate_open(&busy);
    finish_pool(chain.pool);
}
END_TEST

static void insist(void *arg, weir_state end, int status)
{
    struct chain *chain = arg;
    (void)status;
    chain->ends++;
    if (end == WEIR_TASK_CANCELLED)
        chain->refused = submit_step(chain);
}

/* By a thread that is no worker: the pool is not full. */
START_TEST(a_cancelled_task_may_be_submitted_again_as_it_ends)
{
    gate busy = GATE_INIT;
    struct chain chain = {.pool = new_pool(1, 4), .refused = 77};
    saturate(chain.pool, &busy, 1);
    ck_assert_int_eq(weir_pool_submit_task(chain.pool, &chain.task, step, &chain,
                                           WEIR_TASK_OPTIONS(.on_done = insist)),
                     0);
    ck_assert_int_eq(weir_task_cancel(&chain.task), 0);
    ck_assert_int_eq(chain.refused, 0);
    ck_assert_int_eq(weir_task_state(&chain.task), WEIR_TASK_QUEUED);
    gate_open(&busy);
    ck_assert_int_eq(weir_task_wait(&chain.task), 0);
    ck_assert_int_eq(chain.steps, 1);
    ck_assert_int_eq(chain.ends, 2);
    finish_pool(chain.pool);
}
END_TEST

START_TEST(a_shutdown_ends_a_chain)
{
    for (int i = 0; i < 50; i++) {
        struct chain chain = {.pool = new_pool(2, 1), .left = 1000000000};
        ck_assert_int_eq(submit_step(&chain), 0);
        ck_assert_int_eq(
            weir_pool_shutdown(chain.pool, weir_after(WEIR_US(i * 10)), WEIR_FOREVER, NULL), 0);
        ck_assert_int_eq(chain.steps + (chain.end == WEIR_TASK_CANCELLED), chain.ends);
        ck_assert(chain.end == WEIR_TASK_CANCELLED || chain.refused == -EPIPE);
        weir_pool_free(chain.pool);
    }
}
END_TEST

/* An end that goes on is none: one place and one report are enough for all steps. */
START_TEST(the_last_step_is_reported)
{
    weir_completion *completion = NULL;
    weir_task *reaped[2];
    ck_assert_int_eq(weir_completion_new(&completion, 1), 0);
    struct chain chain = {.pool = new_pool(2, 4), .left = 1000, .completion = completion};
    ck_assert_int_eq(submit_step(&chain), 0);
    ck_assert_int_eq(weir_pool_drain(chain.pool), 0);
    assert_whole(&chain, 1001);
    ck_assert_uint_eq(weir_completion_reap(completion, reaped, 2), 1);
    ck_assert_ptr_eq(reaped[0], &chain.task);
    weir_pool_free(chain.pool);
    weir_completion_free(completion);
}
END_TEST

/* The step after the first names another completion, or none: that of the first is not told. */
static void change_completion(void *arg, weir_state end, int status)
{
    struct chain *chain = arg;
    (void)end;
    (void)status;
    if (chain->ends++ > 0)
        return;
    int err = submit_step(chain);
    if (err != 0)
        chain->refused = err;
}

START_TEST(the_completion_of_the_last_step_reports)
{
    weir_completion *first = NULL, *second = NULL;
    weir_task *reaped[2];
    ck_assert_int_eq(weir_completion_new(&first, 1), 0);
    if (_i == 1)
        ck_assert_int_eq(weir_completion_new(&second, 1), 0);
    struct chain chain = {.pool = new_pool(1, 4), .completion = second};
    ck_assert_int_eq(
        weir_pool_submit_task(chain.pool, &chain.task, step, &chain,
                              WEIR_TASK_OPTIONS(.on_done = change_completion, .completion = first)),
        0);
    ck_assert_int_eq(weir_pool_drain(chain.pool), 0);
    assert_whole(&chain, 2);
    ck_assert_uint_eq(weir_completion_reap(first, reaped, 2), 0);
    ck_assert_uint_eq(weir_completion_reap(second, reaped, 2), (size_t)_i);
    weir_pool_free(chain.pool);
    weir_completion_free(first);
    weir_completion_free(second);
}
END_TEST

/* A submit that is refused in the on_done of a task which another worker runs already. */
struct refused {
    struct chain chain;
    gate hold, leave;
    int err;
};

static void submit_and_be_refused(void *arg, weir_state end, int status)
{
    struct refused *self = arg;
    struct chain *chain = &self->chain;
    (void)end;
    (void)status;
    if (chain->ends++ > 0)
        return;
    if (submit_step(chain) != 0)
        return;
    while (weir_task_try_wait(&chain->task) != 0) /* on the other worker */
        (void)sched_yield();
    self->err = weir_pool_submit_task(chain->pool, &chain->task, step, chain,
                                      WEIR_TASK_OPTIONS(.start_by = 1));
    gate_wait(&self->leave);
}

START_TEST(a_submit_that_is_refused_leaves_the_next_run_alone)
{
    struct refused self = {
        .chain = {.pool = new_pool(2, 4)}, .hold = GATE_INIT, .leave = GATE_INIT};
    struct chain *chain = &self.chain;
    ck_assert_int_eq(weir_pool_submit_task(chain->pool, &chain->task, step, &self,
                                           WEIR_TASK_OPTIONS(.on_done = submit_and_be_refused)),
                     0);
    gate_await(&self.leave, 1);
    ck_assert_int_eq(self.err, -ETIMEDOUT);
    ck_assert_int_eq(weir_pool_submit_task(chain->pool, &chain->task, gate_task, &self.hold, NULL),
                     0);
    gate_await(&self.hold, 1);
    gate_open(&self.leave);
    /* The first worker is through when it has run this. */
    weir_task other = WEIR_TASK_INIT;
    counter ran = COUNTER_INIT;
    ck_assert_int_eq(weir_pool_submit_task(chain->pool, &other, counter_task, &ran, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&other), 0);
    ck_assert_int_eq(weir_task_state(&chain->task), WEIR_TASK_RUNNING);
    gate_open(&self.hold);
    ck_assert_int_eq(weir_task_wait(&chain->task), 0);
    finish_pool(chain->pool);
}
END_TEST

/* A cancel that comes between two steps stops the chain. */
struct stopped {
    struct chain chain;
    gate hold;
};

static void hold_and_go_on(void *arg, weir_state end, int status)
{
    struct stopped *self = arg;
    (void)end;
    (void)status;
    self->chain.ends++;
    gate_wait(&self->hold);
    self->chain.refused = submit_step(&self->chain);
}

START_TEST(a_cancel_between_two_steps_stops_the_chain)
{
    struct stopped self = {.chain = {.pool = new_pool(1, 4)}, .hold = GATE_INIT};
    struct chain *chain = &self.chain;
    ck_assert_int_eq(weir_pool_submit_task(chain->pool, &chain->task, return_0, &self,
                                           WEIR_TASK_OPTIONS(.on_done = hold_and_go_on)),
                     0);
    gate_await(&self.hold, 1);
    ck_assert_int_eq(weir_task_cancel(&chain->task), -EINPROGRESS);
    gate_open(&self.hold);
    ck_assert_int_eq(weir_task_wait(&chain->task), 0);
    ck_assert_int_eq(chain->refused, -ECANCELED);
    ck_assert_int_eq(weir_task_state(&chain->task), WEIR_TASK_DONE);
    finish_pool(chain->pool);
}
END_TEST

/* Whichever thread has run the step: it counts as a task of the pool. */
START_TEST(a_chain_goes_on_in_a_pool_that_was_closed)
{
    gate busy = GATE_INIT;
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 4,
                                                            .outside_waiters_help = 1)),
                     0);
    struct chain chain = {.pool = pool, .left = 9};
    saturate(pool, &busy, 1);
    ck_assert_int_eq(submit_step(&chain), 0);
    weir_pool_close(pool);
    if (_i == 0)
        gate_open(&busy);
    ck_assert_int_eq(weir_task_wait(&chain.task), 0);
    assert_whole(&chain, 10);
    if (_i != 0)
        gate_open(&busy);
    weir_pool_free(pool);
}
END_TEST

/* Other ways to submit, and what stays refused. */

static void submit_twice(void *arg, weir_state end, int status)
{
    struct chain *chain = arg;
    (void)end;
    (void)status;
    if (chain->ends++ > 0)
        return;
    int err = submit_step(chain);
    chain->refused = submit_step(chain);
    chain->end_status = err;
}

START_TEST(on_done_may_submit_the_task_once)
{
    struct chain chain = {.pool = new_pool(1, 4)};
    gate hold = GATE_INIT;
    chain.hold = &hold;
    ck_assert_int_eq(weir_pool_submit_task(chain.pool, &chain.task, step, &chain,
                                           WEIR_TASK_OPTIONS(.on_done = submit_twice)),
                     0);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(chain.pool), 0);
    ck_assert_int_eq(chain.refused, -EBUSY);
    ck_assert_int_eq(chain.steps, 2);
    weir_pool_free(chain.pool);
}
END_TEST

static int submit_itself(weir_context *ctx, void *arg)
{
    struct chain *chain = arg;
    (void)ctx;
    chain->steps++;
    chain->refused = submit_step(chain);
    return 0;
}

START_TEST(a_task_cannot_submit_itself_while_it_runs)
{
    struct chain chain = {.pool = new_pool(1, 4)};
    ck_assert_int_eq(weir_pool_submit_task(chain.pool, &chain.task, submit_itself, &chain, NULL),
                     0);
    ck_assert_int_eq(weir_task_wait(&chain.task), 0);
    ck_assert_int_eq(chain.refused, -EBUSY);
    ck_assert_int_eq(chain.steps, 1);
    finish_pool(chain.pool);
}
END_TEST

static void submit_later(void *arg, weir_state end, int status)
{
    struct chain *chain = arg;
    (void)end;
    (void)status;
    if (++chain->ends == 5)
        return;
    chain->refused = weir_pool_submit_task_at(chain->pool, &chain->task, step, chain,
                                              WEIR_TASK_OPTIONS(.on_done = submit_later),
                                              weir_after(WEIR_US(10)));
}

START_TEST(a_step_may_be_delayed)
{
    struct chain chain = {.pool = new_pool(1, 1)};
    ck_assert_int_eq(weir_pool_submit_task(chain.pool, &chain.task, step, &chain,
                                           WEIR_TASK_OPTIONS(.on_done = submit_later)),
                     0);
    ck_assert_int_eq(weir_task_wait(&chain.task), 0);
    assert_whole(&chain, 5);
    finish_pool(chain.pool);
}
END_TEST

/* Two handles that submit each other: each is done when it is submitted, or in its own on_done. */
struct ball {
    struct chain player[2];
    long left;
    int refused;
};

static void pass_on(void *arg, weir_state end, int status);

static int submit_player(struct ball *ball, int i)
{
    struct chain *player = &ball->player[i];
    return weir_pool_submit_task(player->pool, &player->task, return_0, player,
                                 WEIR_TASK_OPTIONS(.on_done = pass_on));
}

static struct ball the_ball;

static void pass_on(void *arg, weir_state end, int status)
{
    int from = arg == &the_ball.player[1];
    (void)end;
    (void)status;
    if (the_ball.left-- == 0)
        return;
    int err;
    /* The other one's on_done has called this one's submit, and may still be returning. */
    while ((err = submit_player(&the_ball, 1 - from)) == -EBUSY)
        (void)sched_yield();
    if (err != 0)
        the_ball.refused = err;
}

START_TEST(two_handles_may_submit_each_other)
{
    enum { STEPS = 20000 };
    weir_pool *pool = new_pool(2, 4);
    the_ball.left = STEPS - 1;
    the_ball.player[0].pool = the_ball.player[1].pool = pool;
    ck_assert_int_eq(submit_player(&the_ball, 0), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_eq(the_ball.refused, 0);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.done, STEPS);
    weir_pool_free(pool);
}
END_TEST

static int die_in_a_step(weir_context *ctx, void *arg)
{
    struct chain *chain = arg;
    (void)ctx;
    chain->steps++;
    pthread_exit(NULL);
}

static void go_on_dying(void *arg, weir_state end, int status)
{
    struct chain *chain = arg;
    (void)end;
    (void)status;
    if (++chain->ends < 5)
        chain->refused = weir_pool_submit_task(chain->pool, &chain->task, die_in_a_step, chain,
                                               WEIR_TASK_OPTIONS(.on_done = go_on_dying));
}

START_TEST(a_chain_outlives_its_workers)
{
    struct chain chain = {.pool = new_pool(1, 1)};
    ck_assert_int_eq(weir_pool_submit_task(chain.pool, &chain.task, die_in_a_step, &chain,
                                           WEIR_TASK_OPTIONS(.on_done = go_on_dying)),
                     0);
    ck_assert_int_eq(weir_task_wait(&chain.task), 0);
    ck_assert_int_eq(chain.steps, 5);
    ck_assert_int_eq(chain.ends, 5);
    ck_assert_int_eq(chain.refused, 0);
    finish_pool(chain.pool);
}
END_TEST

/* T0 runs T1 inline, whose on_done runs a task inline that ends the thread. */
struct dying {
    weir_pool *pool;
    weir_task outer, inner;
};

static int end_thread(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    pthread_exit(NULL);
}

static void submit_the_end(void *arg, weir_state end, int status)
{
    (void)end;
    (void)status;
    (void)!weir_pool_submit(((struct dying *)arg)->pool, end_thread, NULL);
}

static int run_inner(weir_context *ctx, void *arg)
{
    struct dying *dying = arg;
    (void)ctx;
    (void)!weir_pool_try_submit(dying->pool, return_0, NULL); /* it is full now */
    return weir_pool_submit_task(dying->pool, &dying->inner, return_0, dying,
                                 WEIR_TASK_OPTIONS(.on_done = submit_the_end));
}

START_TEST(an_inline_task_that_ends_its_thread_in_on_done_leaves_all_ended)
{
    struct dying dying = {.pool = new_pool(1, 1)};
    ck_assert_int_eq(weir_pool_submit_task(dying.pool, &dying.outer, run_inner, &dying, NULL), 0);
    ck_assert_int_eq(weir_task_wait_until(&dying.outer, NULL, patience()), 0);
    ck_assert_int_eq(weir_pool_drain_until(dying.pool, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_state(&dying.outer), WEIR_TASK_FAILED);
    ck_assert_int_eq(weir_task_state(&dying.inner), WEIR_TASK_DONE);
    weir_pool_free(dying.pool);
}
END_TEST

/* Each that has expired submits two others: its place has room for one, and the next one that has
 * expired has to make room for the other. */
struct expired {
    weir_pool *pool;
    long depth, most, ends;
};

static void submit_two(void *arg, weir_state end, int status)
{
    struct expired *expired = arg;
    (void)status;
    if (end != WEIR_TASK_EXPIRED)
        return;
    expired->ends++;
    if (++expired->depth > expired->most)
        expired->most = expired->depth;
    (void)!weir_pool_try_submit(expired->pool, return_0, NULL);
    (void)!weir_pool_try_submit(expired->pool, return_0, NULL);
    expired->depth--;
}

START_TEST(callbacks_that_submit_to_a_full_pool_nest_no_deeper_than_64)
{
    enum { TASKS = 20000 };
    gate hold = GATE_INIT;
    struct expired expired = {.pool = new_pool(1, TASKS)};
    weir_task *tasks = calloc(TASKS, sizeof *tasks);
    ck_assert_ptr_nonnull(tasks);
    saturate(expired.pool, &hold, 1);
    int64_t by = weir_after(WEIR_S(2));
    for (int i = 0; i < TASKS; i++) {
        int err = weir_pool_submit_task(expired.pool, &tasks[i], return_0, &expired,
                                        WEIR_TASK_OPTIONS(.start_by = by, .on_done = submit_two));
        ck_assert(err == 0 || err == -ETIMEDOUT);
    }
    ck_assert_int_eq(weir_sleep_until(NULL, by), 0);
    (void)!weir_pool_try_submit(expired.pool, return_0, NULL);
    ck_assert_int_ge(expired.most, 1);
    ck_assert_int_le(expired.most, 64);
    gate_open(&hold);
    finish_pool(expired.pool);
    free(tasks);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("chain");
    TCase *contract = add_group(suite, "contract");
    tcase_add_loop_test(contract, a_million_steps_need_one_handle, 1, 3);
    tcase_add_test(contract, a_drain_waits_for_the_whole_chain);
    tcase_add_test(contract, a_chain_may_be_waited_for_on_the_only_worker);
    tcase_add_test(contract, a_wait_ends_with_the_last_step);
    tcase_add_test(contract, the_last_step_is_reported);
    tcase_add_loop_test(contract, the_completion_of_the_last_step_reports, 0, 2);
    tcase_add_test(contract, a_submit_that_is_refused_leaves_the_next_run_alone);
    tcase_add_test(contract, a_step_may_be_delayed);
    tcase_add_test(contract, two_handles_may_submit_each_other);
    tcase_add_test(contract, on_done_may_submit_the_task_once);
    tcase_add_test(contract, a_task_cannot_submit_itself_while_it_runs);
    TCase *full = add_group(suite, "full");
    tcase_add_loop_test(full, a_chain_goes_on_in_a_pool_that_is_full, 0, 2);
    tcase_add_test(full, in_a_full_pool_that_rejects_the_chain_ends);
    tcase_add_test(full, without_room_and_place_the_chain_ends);
    tcase_add_test(full, a_task_that_was_dropped_cannot_be_submitted_again_as_it_ends);
    TCase *ends = add_group(suite, "ends");
    tcase_add_test(ends, a_cancelled_step_is_the_last);
    tcase_add_test(ends, a_cancelled_task_may_be_submitted_again_as_it_ends);
    tcase_add_test(ends, a_cancel_between_two_steps_stops_the_chain);
    tcase_add_loop_test(ends, a_chain_goes_on_in_a_pool_that_was_closed, 0, 2);
    tcase_add_test(ends, a_shutdown_ends_a_chain);
    tcase_add_test(ends, an_inline_task_that_ends_its_thread_in_on_done_leaves_all_ended);
    tcase_add_test(ends, callbacks_that_submit_to_a_full_pool_nest_no_deeper_than_64);
    tcase_add_test(ends, a_chain_outlives_its_workers);
    return suite;
}
