/* SPDX-License-Identifier: MIT */
/* interplay.c - what happens to one object reaches those that it is for, and no others. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

/* A task that keeps a child of its context and stays at a gate. */
struct keeper {
    gate door;
    weir_context *child;
    counter entered;
};

static int keep_a_child(weir_context *ctx, void *arg)
{
    struct keeper *keeper = arg;
    int err = weir_context_new(&keeper->child, ctx, WEIR_FOREVER);
    counter_add(&keeper->entered, 1);
    gate_wait(&keeper->door);
    return err;
}

START_TEST(closing_a_pool_leaves_alone_what_the_tasks_of_another_keep)
{
    weir_pool *pool = new_pool(1, 4), *other = new_pool(1, 4);
    struct keeper keeper = {.door = GATE_INIT, .entered = COUNTER_INIT};
    ck_assert_int_eq(weir_pool_submit(pool, keep_a_child, &keeper), 0);
    counter_await(&keeper.entered, 1);
    weir_pool_close(other);
    weir_pool_free(other);
    ck_assert_int_eq(weir_context_err(keeper.child), 0);
    gate_open(&keeper.door);
    finish_pool(pool);
    ck_assert_int_eq(weir_context_err(keeper.child), 0); /* it was not cancelled */
    weir_context_unref(keeper.child);
}
END_TEST

START_TEST(a_soft_deadline_after_the_hard_one_does_not_put_that_off)
{
    weir_pool *pool = new_pool(1, 4);
    gate door = GATE_INIT;
    saturate(pool, &door, 1);
    weir_shutdown_report report = {0, 0, 0};
    ck_assert_int_eq(weir_pool_shutdown(pool, WEIR_FOREVER, 0, &report), -ETIMEDOUT);
    ck_assert_uint_eq(report.running, 1);
    gate_open(&door);
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, patience(), &report), 0);
    ck_assert_uint_eq(report.running, 0);
    weir_pool_free(pool);
}
END_TEST

static int nothing(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

struct go_call {
    weir_errgroup *group;
};

static int call_go(void *arg)
{
    struct go_call *call = arg;
    return weir_errgroup_go(call->group, nothing, NULL);
}

/* With a limit of 1 it waits for a place in the group, without one for room in the pool. */
START_TEST(the_context_of_the_pool_ends_a_go_that_waits)
{
    weir_context *context = NULL;
    ck_assert_int_eq(weir_context_new(&context, NULL, WEIR_FOREVER), 0);
    weir_pool *pool = NULL;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .context = context)),
        0);
    gate door = GATE_INIT;
    saturate(pool, &door, 1);
    weir_errgroup *group = NULL;
    ck_assert_int_eq(
        weir_errgroup_new(&group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = (unsigned)_i)), 0);
    ck_assert_int_eq(weir_errgroup_go(group, nothing, NULL), 0);
    struct go_call call = {group};
    caller waiter;
    caller_start(&waiter, call_go, &call);
    ck_assert(caller_await_asleep(&waiter));
    weir_context_cancel(context, 0);
    ck_assert_int_eq(caller_join(&waiter), -EPIPE); /* while the worker is still held */
    gate_open(&door);
    weir_errgroup_free(group);
    finish_pool(pool);
    weir_context_unref(context);
}
END_TEST

START_TEST(cancelling_the_context_of_a_group_is_told_by_its_wait)
{
    weir_pool *pool = new_pool(1, 4);
    weir_errgroup *group = NULL;
    ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, NULL), 0);
    weir_context_cancel(weir_errgroup_context(group), -EIO);
    ck_assert_int_eq(weir_errgroup_go(group, nothing, NULL), -ECANCELED);
    ck_assert_int_eq(weir_errgroup_wait(group), -ECANCELED);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

/* What child(arg) returned in a forked process. */
static int in_a_child(int (*child)(void *arg), void *arg)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(child(arg));
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int use_a_new_round(void *arg)
{
    weir_waitgroup *wg = arg;
    weir_waitgroup_add(wg, 1);
    if (weir_waitgroup_try_wait(wg) != -EAGAIN)
        return 1;
    weir_waitgroup_done(wg);
    return weir_waitgroup_wait(wg) == 0 ? 0 : 2;
}

START_TEST(a_waitgroup_whose_tasks_are_over_can_be_used_in_a_forked_child)
{
    weir_pool *pool = new_pool(1, 4);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, nothing, NULL), 0);
    ck_assert_int_eq(weir_waitgroup_wait(&wg), 0);
    ck_assert_int_eq(in_a_child(use_a_new_round, &wg), 0);
    finish_pool(pool);
}
END_TEST

struct inherited {
    weir_pool *pool;
    weir_task task;
};

static int free_the_pool_and_ask(void *arg)
{
    struct inherited *inherited = arg;
    weir_pool_free(inherited->pool);
    if (weir_task_wait_until(&inherited->task, NULL, WEIR_FOREVER) != -ESTALE)
        return 1;
    if (weir_task_try_wait(&inherited->task) != -ESTALE)
        return 2;
    return weir_task_cancel(&inherited->task) == -ESTALE ? 0 : 3;
}

START_TEST(a_live_task_is_stale_in_a_forked_child_also_without_its_pool)
{
    struct inherited inherited = {new_pool(1, 4), WEIR_TASK_INIT};
    gate door = GATE_INIT;
    saturate(inherited.pool, &door, 1);
    ck_assert_int_eq(weir_pool_submit_task(inherited.pool, &inherited.task, nothing, NULL, NULL),
                     0);
    ck_assert_int_eq(in_a_child(free_the_pool_and_ask, &inherited), 0);
    gate_open(&door);
    ck_assert_int_eq(weir_task_wait(&inherited.task), 0);
    finish_pool(inherited.pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("interplay");
    TCase *cases = add_group(suite, "contract");
    tcase_add_test(cases, closing_a_pool_leaves_alone_what_the_tasks_of_another_keep);
    tcase_add_test(cases, a_soft_deadline_after_the_hard_one_does_not_put_that_off);
    tcase_add_loop_test(cases, the_context_of_the_pool_ends_a_go_that_waits, 0, 2);
    tcase_add_test(cases, cancelling_the_context_of_a_group_is_told_by_its_wait);
    TCase *forks = add_group(suite, "fork");
    tcase_add_test(forks, a_waitgroup_whose_tasks_are_over_can_be_used_in_a_forked_child);
    tcase_add_test(forks, a_live_task_is_stale_in_a_forked_child_also_without_its_pool);
    return suite;
}
