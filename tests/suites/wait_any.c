/* SPDX-License-Identifier: MIT */
/* wait_any.c - waiting for whichever of several tasks is done first. */
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

enum { MANY = 100 };

static int fail_with(weir_context *ctx, void *arg)
{
    (void)ctx;
    return *(int *)arg;
}

static void submit_gate(weir_pool *pool, weir_task *task, gate *door)
{
    ck_assert_int_eq(weir_pool_submit_task(pool, task, gate_task, door, NULL), 0);
}

static void submit_now(weir_pool *pool, weir_task *task)
{
    static int zero;
    ck_assert_int_eq(weir_pool_submit_task(pool, task, fail_with, &zero, NULL), 0);
}

struct any {
    weir_task **tasks;
    size_t n;
    weir_context *ctx;
};

static int call_wait_any(void *arg)
{
    const struct any *any = arg;
    return weir_task_wait_any_until(any->tasks, any->n, any->ctx, WEIR_FOREVER);
}

START_TEST(the_first_task_that_is_over_ends_the_wait)
{
    gate doors[3] = {GATE_INIT, GATE_INIT, GATE_INIT};
    weir_task tasks[3] = {WEIR_TASK_INIT, WEIR_TASK_INIT, WEIR_TASK_INIT};
    weir_task *all[3];
    weir_pool *pool = new_pool(3, 3);
    for (int i = 0; i < 3; i++) {
        submit_gate(pool, &tasks[i], &doors[i]);
        all[i] = &tasks[i];
    }
    static const int order[] = {1, 2, 0};
    for (int i = 0; i < 3; i++) {
        caller waiter;
        caller_start(&waiter, call_wait_any, &(struct any){all, 3, NULL});
        ck_assert(caller_await_asleep(&waiter));
        gate_open(&doors[order[i]]);
        ck_assert_int_eq(caller_join(&waiter), order[i]);
        ck_assert_int_eq(weir_task_state(&tasks[order[i]]), WEIR_TASK_DONE);
        all[order[i]] = NULL;
    }
    ck_assert_int_eq(weir_task_wait_any(all, 3), -EINVAL);
    finish_pool(pool);
}
END_TEST

START_TEST(a_task_that_is_over_wins_at_once_and_the_lowest_of_several)
{
    gate busy = GATE_INIT;
    weir_task blocked = WEIR_TASK_INIT, over[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    weir_task *all[] = {NULL, &blocked, &over[0], &over[1]};
    weir_pool *pool = new_pool(2, 4);
    submit_gate(pool, &blocked, &busy);
    for (int i = 0; i < 2; i++) {
        submit_now(pool, &over[i]);
        ck_assert_int_eq(weir_task_wait(&over[i]), 0);
    }
    ck_assert_int_eq(weir_task_wait_any(all, 4), 2);
    ck_assert_int_eq(weir_task_try_wait_any(all, 4), 2);
    ck_assert_int_eq(weir_task_wait_any_until(all, 4, NULL, 0), 2);
    ck_assert_int_eq(weir_task_wait_any(all + 3, 1), 0);
    gate_open(&busy);
    finish_pool(pool);
}
END_TEST

START_TEST(every_kind_of_end_counts)
{
    gate busy = GATE_INIT;
    static int error = -EIO;
    weir_task failed = WEIR_TASK_INIT, cancelled = WEIR_TASK_INIT;
    weir_task *one[] = {&failed}, *other[] = {NULL, &cancelled};
    weir_pool *pool = new_pool(1, 4);
    ck_assert_int_eq(weir_pool_submit_task(pool, &failed, fail_with, &error, NULL), 0);
    ck_assert_int_eq(weir_task_wait_any(one, 1), 0);
    ck_assert_int_eq(weir_task_status(&failed), -EIO);
    saturate(pool, &busy, 1);
    submit_now(pool, &cancelled);
    caller waiter;
    caller_start(&waiter, call_wait_any, &(struct any){other, 2, NULL});
    ck_assert(caller_await_asleep(&waiter));
    ck_assert_int_eq(weir_task_cancel(&cancelled), 0);
    ck_assert_int_eq(caller_join(&waiter), 1);
    gate_open(&busy);
    finish_pool(pool);
}
END_TEST

START_TEST(bad_arguments_are_invalid)
{
    weir_task never = WEIR_TASK_INIT, over = WEIR_TASK_INIT;
    weir_task *none[] = {NULL, NULL}, *idle[] = {&over, &never};
    weir_pool *pool = new_pool(1, 1);
    submit_now(pool, &over);
    ck_assert_int_eq(weir_task_wait(&over), 0);
    ck_assert_int_eq(weir_task_wait_any(NULL, 3), -EINVAL);
    ck_assert_int_eq(weir_task_wait_any(idle, 0), -EINVAL);
    ck_assert_int_eq(weir_task_wait_any(none, 2), -EINVAL);
    ck_assert_int_eq(weir_task_wait_any(idle, 2), -EINVAL);
    ck_assert_int_eq(weir_task_try_wait_any(idle, 2), -EINVAL);
    ck_assert_int_eq(weir_task_wait_any(idle, (size_t)INT_MAX + 1), -EINVAL);
    finish_pool(pool);
}
END_TEST

START_TEST(the_try_form_and_a_deadline_end_without_a_task)
{
    gate busy = GATE_INIT;
    weir_task tasks[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    weir_task *all[] = {&tasks[0], &tasks[1]};
    weir_pool *pool = new_pool(1, 2);
    submit_gate(pool, &tasks[0], &busy);
    submit_gate(pool, &tasks[1], &busy);
    ck_assert_int_eq(weir_task_try_wait_any(all, 2), -EAGAIN);
    ck_assert_int_eq(weir_task_wait_any_until(all, 2, NULL, 0), -ETIMEDOUT);
    ck_assert_int_eq(weir_task_wait_any_until(all, 2, NULL, weir_after(WEIR_MS(5))), -ETIMEDOUT);
    gate_open(&busy);
    ck_assert_int_ge(weir_task_wait_any(all, 2), 0);
    finish_pool(pool);
}
END_TEST

START_TEST(a_cancelled_context_ends_the_wait_and_fails_the_next)
{
    gate busy = GATE_INIT;
    weir_task task = WEIR_TASK_INIT;
    weir_task *all[] = {&task};
    weir_context *ctx = NULL;
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    submit_gate(pool, &task, &busy);
    caller waiter;
    caller_start(&waiter, call_wait_any, &(struct any){all, 1, ctx});
    ck_assert(caller_await_asleep(&waiter));
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(caller_join(&waiter), -ECANCELED);
    gate_open(&busy);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_wait_any_until(all, 1, ctx, WEIR_FOREVER), -ECANCELED);
    weir_context_unref(ctx);
    finish_pool(pool);
}
END_TEST

START_TEST(a_queued_task_that_expires_ends_the_wait)
{
    gate busy = GATE_INIT;
    weir_task tasks[3] = {WEIR_TASK_INIT, WEIR_TASK_INIT, WEIR_TASK_INIT};
    weir_task *all[] = {&tasks[0], &tasks[1], &tasks[2]};
    weir_pool *pool = new_pool(1, 3);
    submit_gate(pool, &tasks[0], &busy);
    gate_await(&busy, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &tasks[1], gate_task, &busy,
                                           WEIR_TASK_OPTIONS(.start_by = weir_after(WEIR_S(1000)))),
                     0);
    int err = -ETIMEDOUT; /* if the machine stands still meanwhile */
    for (int64_t lead = WEIR_MS(20); err == -ETIMEDOUT && lead < WEIR_S(1000); lead *= 2)
        err = weir_pool_submit_task(pool, &tasks[2], gate_task, &busy,
                                    WEIR_TASK_OPTIONS(.start_by = weir_after(lead)));
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(weir_task_wait_any(all, 3), 2);
    ck_assert_int_eq(weir_task_state(&tasks[2]), WEIR_TASK_EXPIRED);
    ck_assert_int_eq(weir_task_state(&tasks[1]), WEIR_TASK_QUEUED);
    gate_open(&busy);
    finish_pool(pool);
}
END_TEST

/* Inside tasks. */

struct nest {
    weir_task tasks[MANY];
    weir_task self;
    int results[MANY];
    int own, own_try, mixed;
};

static int wait_for_each_of_many(weir_context *ctx, void *arg)
{
    struct nest *nest = arg;
    weir_task *all[MANY];
    (void)ctx;
    for (int i = 0; i < MANY; i++) {
        nest->results[i] = i;
        int err = weir_pool_submit_task(weir_pool_current(), &nest->tasks[i], fail_with,
                                        &nest->results[i], NULL);
        if (err != 0)
            return err;
        all[i] = &nest->tasks[i];
    }
    int index, seen = 0;
    while ((index = weir_task_wait_any(all, MANY)) >= 0) {
        if (weir_task_status(all[index]) != index)
            return -EIO;
        all[index] = NULL;
        seen++;
    }
    return index == -EINVAL ? seen : index;
}

START_TEST(a_worker_runs_what_it_waits_for)
{
    struct nest *nest = calloc(1, sizeof *nest);
    ck_assert_ptr_nonnull(nest);
    weir_pool *pool = new_pool(1, MANY);
    ck_assert_int_eq(weir_pool_submit_task(pool, &nest->self, wait_for_each_of_many, nest, NULL),
                     0);
    ck_assert_int_eq(weir_task_wait(&nest->self), 0);
    ck_assert_int_eq(weir_task_status(&nest->self), MANY);
    finish_pool(pool);
    free(nest);
}
END_TEST

static int wait_for_itself(weir_context *ctx, void *arg)
{
    struct nest *nest = arg;
    static int zero;
    weir_task *only[] = {NULL, &nest->self}, *both[] = {&nest->self, &nest->tasks[0]};
    (void)ctx;
    nest->own = weir_task_wait_any(only, 2);
    nest->own_try = weir_task_try_wait_any(only, 2);
    int err = weir_pool_submit_task(weir_pool_current(), &nest->tasks[0], fail_with, &zero, NULL);
    nest->mixed = err != 0 ? err : weir_task_wait_any(both, 2);
    return 0;
}

START_TEST(a_wait_for_oneself_alone_is_a_deadlock_and_beside_others_is_none)
{
    struct nest *nest = calloc(1, sizeof *nest);
    ck_assert_ptr_nonnull(nest);
    weir_pool *pool = new_pool(1, 4);
    ck_assert_int_eq(weir_pool_submit_task(pool, &nest->self, wait_for_itself, nest, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&nest->self), 0);
    ck_assert_int_eq(nest->own, -EDEADLK);
    ck_assert_int_eq(nest->own_try, -EAGAIN);
    ck_assert_int_eq(nest->mixed, 1);
    finish_pool(pool);
    free(nest);
}
END_TEST

START_TEST(an_outside_waiter_that_helps_runs_one_of_them)
{
    gate busy = GATE_INIT;
    weir_task tasks[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    weir_task *all[] = {&tasks[0], &tasks[1]};
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2,
                                                            .outside_waiters_help = 1)),
                     0);
    submit_gate(pool, &tasks[0], &busy);
    gate_await(&busy, 1);
    submit_now(pool, &tasks[1]);
    ck_assert_int_eq(weir_task_wait_any(all, 2), 1);
    gate_open(&busy);
    finish_pool(pool);
}
END_TEST

/* Delayed tasks: nobody but the waiter can run them when they are due. */

struct delayed {
    weir_task tasks[3];
    atomic_int runs[3];
    int first, second;
};

static int count_run(weir_context *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static int wait_for_delayed(weir_context *ctx, void *arg)
{
    struct delayed *delayed = arg;
    static const int64_t delays[] = {WEIR_S(1000), WEIR_MS(40), WEIR_MS(10)};
    weir_task *all[3];
    (void)ctx;
    for (int i = 0; i < 3; i++) {
        int err = weir_pool_submit_task_at(weir_pool_current(), &delayed->tasks[i], count_run,
                                           &delayed->runs[i], NULL, weir_after(delays[i]));
        if (err != 0)
            return err;
        all[i] = &delayed->tasks[i];
    }
    delayed->first = weir_task_wait_any(all, 3);
    all[2] = NULL;
    delayed->second = weir_task_wait_any(all, 3);
    return weir_task_cancel(all[0]);
}

START_TEST(a_worker_runs_a_delayed_one_when_it_is_due)
{
    struct delayed *delayed = calloc(1, sizeof *delayed);
    ck_assert_ptr_nonnull(delayed);
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(1, 4);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, wait_for_delayed, delayed, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_status(&task), 0);
    ck_assert(delayed->first == 2 || delayed->first == 1); /* 1: by then both were due */
    ck_assert_int_eq(delayed->second, 1);
    ck_assert_int_eq(atomic_load(&delayed->runs[0]), 0);
    finish_pool(pool);
    free(delayed);
}
END_TEST

START_TEST(a_delayed_task_that_is_cancelled_ends_the_wait)
{
    atomic_int runs = 0;
    weir_task tasks[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    weir_task *all[] = {&tasks[0], &tasks[1]};
    weir_pool *pool = new_pool(1, 4);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weir_pool_submit_every(pool, &tasks[i], count_run, &runs, NULL,
                                                weir_after(WEIR_S(1000)), WEIR_S(1)),
                         0);
    caller waiter;
    caller_start(&waiter, call_wait_any, &(struct any){all, 2, NULL});
    ck_assert(caller_await_asleep(&waiter));
    ck_assert_int_eq(weir_task_cancel(&tasks[1]), 0);
    ck_assert_int_eq(caller_join(&waiter), 1);
    ck_assert_int_eq(weir_task_cancel(&tasks[0]), 0);
    ck_assert_int_eq(atomic_load(&runs), 0);
    finish_pool(pool);
}
END_TEST

/* Several waiters for overlapping sets, many laps: each wait ends, with a task that is done. */

struct lap {
    weir_pool *pool;
    weir_task tasks[8];
    meeting start;
    atomic_int wrong;
};

enum { LAPS = 200, WAITERS = 3 };

static int wait_laps(void *arg)
{
    struct lap *lap = arg;
    for (int i = 0; i < LAPS; i++) {
        meeting_wait(&lap->start);
        weir_task *all[8];
        for (int k = 0; k < 8; k++)
            all[k] = &lap->tasks[k];
        for (int k = 0; k < 8; k++) {
            int index = weir_task_wait_any(all, 8);
            if (index < 0 || weir_task_state(all[index]) != WEIR_TASK_DONE) {
                atomic_fetch_add(&lap->wrong, 1);
                break;
            }
            all[index] = NULL;
        }
        meeting_wait(&lap->start);
    }
    return 0;
}

START_TEST(waiters_for_the_same_tasks_all_see_all_of_them)
{
    static struct lap lap = {.start = MEETING_INIT(WAITERS + 1)};
    lap.pool = new_pool(2, 8);
    caller waiters[WAITERS];
    for (int i = 0; i < WAITERS; i++)
        caller_start(&waiters[i], wait_laps, &lap);
    for (int i = 0; i < LAPS; i++) {
        for (int k = 0; k < 8; k++)
            submit_now(lap.pool, &lap.tasks[k]);
        meeting_wait(&lap.start);
        meeting_wait(&lap.start);
    }
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(caller_join(&waiters[i]), 0);
    ck_assert_int_eq(atomic_load(&lap.wrong), 0);
    finish_pool(lap.pool);
}
END_TEST

START_TEST(a_child_process_gets_stale_for_live_tasks_and_the_index_of_one_that_is_over)
{
    gate busy = GATE_INIT;
    weir_task live = WEIR_TASK_INIT, over = WEIR_TASK_INIT;
    weir_task *one[] = {&live}, *both[] = {&live, &over};
    weir_pool *pool = new_pool(2, 2);
    submit_gate(pool, &live, &busy);
    submit_now(pool, &over);
    ck_assert_int_eq(weir_task_wait(&over), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(weir_task_wait_any(one, 1) == -ESTALE && weir_task_wait_any(both, 2) == 1 ? 0 : 1);
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    gate_open(&busy);
    finish_pool(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("wait_any");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, the_first_task_that_is_over_ends_the_wait);
    tcase_add_test(contract, a_task_that_is_over_wins_at_once_and_the_lowest_of_several);
    tcase_add_test(contract, every_kind_of_end_counts);
    tcase_add_test(contract, bad_arguments_are_invalid);
    tcase_add_test(contract, the_try_form_and_a_deadline_end_without_a_task);
    tcase_add_test(contract, a_cancelled_context_ends_the_wait_and_fails_the_next);
    tcase_add_test(contract, a_queued_task_that_expires_ends_the_wait);
    TCase *inside = add_group(suite, "inside tasks");
    tcase_add_test(inside, a_worker_runs_what_it_waits_for);
    tcase_add_test(inside, a_wait_for_oneself_alone_is_a_deadlock_and_beside_others_is_none);
    tcase_add_test(inside, an_outside_waiter_that_helps_runs_one_of_them);
    tcase_add_test(inside, a_worker_runs_a_delayed_one_when_it_is_due);
    tcase_add_test(inside, a_delayed_task_that_is_cancelled_ends_the_wait);
    TCase *many = add_group(suite, "many");
    tcase_add_test(many, waiters_for_the_same_tasks_all_see_all_of_them);
    TCase *forked = add_group(suite, "fork");
    tcase_add_test(forked,
                   a_child_process_gets_stale_for_live_tasks_and_the_index_of_one_that_is_over);
    return suite;
}
