/* SPDX-License-Identifier: MIT */
/* fork.c - fork() and weir: inherited handles are stale, all that is new works, the parent goes on.
 *
 * A child reports what it finds by its exit code and by one line on standard error. It makes no
 * assertion of Check's, and touches no gate or counter that another thread may have held when the
 * process was forked.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
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

/* Ends a child whose call hangs. */
enum { CHILD_TIMEOUT_S = 40 };

/* In a function that a child runs: leaves it with the line's number if the condition is false. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

static pid_t start_child(int (*fn)(void *arg), void *arg)
{
    (void)fflush(NULL);
    pid_t child = fork();
    if (child != 0)
        return child;
    (void)alarm(CHILD_TIMEOUT_S);
    int line = fn(arg);
    if (line != 0)
        (void)fprintf(stderr, "%s:%d: does not hold in the child\n", __FILE__, line);
    exit(line != 0 ? EXIT_FAILURE : EXIT_SUCCESS); /* with all that is done at exit */
}

/* Whether the child ended by itself, and nothing was wrong. */
static bool child_is_well(pid_t child)
{
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == EXIT_SUCCESS;
}

/* Makes a child, in which fn returns 0 or the number of a line, and waits for its end. */
static void assert_child(int (*fn)(void *arg), void *arg)
{
    threads_await_asleep(); /* one that begins may hold a sanitizer's lock, for the child too */
    ck_assert(child_is_well(start_child(fn, arg)));
}

static int count_itself(weir_context *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

/* For a child: 0 if pools and contexts made here work. */
/* A dump in a child has no line about threads of the parent. */
static int refuse_other_threads(const char *text, size_t n, void *unused)
{
    (void)unused;
    return n > 7 && memcmp(text, "thread ", 7) == 0 ? -EEXIST : 0;
}

static int use_new_objects(void)
{
    weir_context *ctx = NULL, *child = NULL;
    EXPECT(weir_context_new(&ctx, NULL, WEIR_FOREVER) == 0);
    EXPECT(weir_context_new(&child, ctx, WEIR_FOREVER) == 0);
    weir_context_cancel(ctx, -EIO);
    EXPECT(weir_context_wait_until(child, WEIR_FOREVER) == 0);
    EXPECT(weir_context_cause(child) == -EIO);
    weir_context_unref(child);
    weir_context_unref(ctx);
    EXPECT(weir_sleep_until(NULL, weir_after(WEIR_US(100))) == 0);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&wg, 1);
    EXPECT(weir_waitgroup_wait_until(&wg, NULL, weir_after(WEIR_US(100))) == -ETIMEDOUT);
    weir_waitgroup_done(&wg);
    EXPECT(weir_waitgroup_wait(&wg) == 0);
    if (!CHILDREN_HAVE_THREADS)
        return 0;

    weir_pool *pool = NULL;
    weir_task task = WEIR_TASK_INIT;
    atomic_int ran = 0;
    EXPECT(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = 2)) == 0);
    for (int i = 0; i < 20; i++)
        EXPECT(weir_pool_submit(pool, count_itself, &ran) == 0);
    EXPECT(weir_pool_submit_task(pool, &task, count_itself, &ran, NULL) == 0);
    EXPECT(weir_pool_dump(pool, refuse_other_threads, NULL) == 0);
    EXPECT(weir_task_wait(&task) == 0);
    EXPECT(weir_waitgroup_go(&wg, pool, count_itself, &ran) == 0);
    EXPECT(weir_waitgroup_wait(&wg) == 0);
    EXPECT(weir_pool_drain(pool) == 0);
    EXPECT(atomic_load(&ran) == 22);
    weir_pool_free(pool);
    return 0;
}

/* For a child: 0 if every call that gives a task to the pool, or waits for it, says -ESTALE. */
static int use_stale_pool(weir_pool *pool)
{
    atomic_int ran = 0;
    weir_job job = {count_itself, &ran};
    weir_task task = WEIR_TASK_INIT;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_errgroup *group = NULL;
    weir_shutdown_report report = {77, 77, 77};
    weir_pool_counts counts;
    EXPECT(weir_pool_submit(pool, count_itself, &ran) == -ESTALE);
    EXPECT(weir_pool_try_submit(pool, count_itself, &ran) == -ESTALE);
    EXPECT(weir_pool_submit_until(pool, count_itself, &ran, NULL, WEIR_FOREVER) == -ESTALE);
    EXPECT(weir_pool_submit_many(pool, &job, 1) == -ESTALE);
    EXPECT(weir_pool_try_submit_many(pool, &job, 1) == -ESTALE);
    EXPECT(weir_pool_submit_many_until(pool, &job, 1, NULL, WEIR_FOREVER) == -ESTALE);
    EXPECT(weir_pool_submit_task(pool, &task, count_itself, &ran, NULL) == -ESTALE);
    EXPECT(weir_pool_try_submit_task(pool, &task, count_itself, &ran, NULL) == -ESTALE);
    EXPECT(weir_pool_submit_task_until(pool, &task, count_itself, &ran, NULL, NULL, WEIR_FOREVER) ==
           -ESTALE);
    EXPECT(weir_task_state(&task) == WEIR_TASK_IDLE);
    EXPECT(weir_waitgroup_go(&wg, pool, count_itself, &ran) == -ESTALE);
    EXPECT(weir_waitgroup_try_go(&wg, pool, count_itself, &ran) == -ESTALE);
    EXPECT(weir_waitgroup_go_until(&wg, pool, count_itself, &ran, NULL, WEIR_FOREVER) == -ESTALE);
    EXPECT(weir_waitgroup_wait(&wg) == 0);
    EXPECT(weir_errgroup_new(&group, pool, NULL, NULL) == -ESTALE);
    EXPECT(group == NULL);
    EXPECT(weir_pool_drain(pool) == -ESTALE);
    EXPECT(weir_pool_drain_until(pool, NULL, 0) == -ESTALE);
    weir_pool_close(pool);
    weir_pool_cancel_queued(pool);
    EXPECT(weir_pool_shutdown(pool, WEIR_FOREVER, WEIR_FOREVER, &report) == -ESTALE);
    EXPECT(report.drained == 77 && report.cancelled == 77 && report.running == 77);
    /* The observers have no code to return; they return. */
    (void)weir_pool_workers(pool);
    (void)weir_pool_capacity(pool);
    (void)weir_pool_queued(pool);
    weir_pool_read_counts(pool, &counts);
    EXPECT(weir_pool_submit(pool, count_itself, &ran) == -ESTALE);
    EXPECT(atomic_load(&ran) == 0);
    return 0;
}

static int use_and_free_stale_pool(void *arg)
{
    int line = use_stale_pool(arg);
    if (line != 0)
        return line;
    weir_pool_free(arg);
    return use_new_objects();
}

static int use_stale_pool_and_leave_it(void *arg)
{
    return use_stale_pool(arg);
}

static void assert_pool_works(weir_pool *pool)
{
    counter ran = COUNTER_INIT;
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_uint_eq(counter_get(&ran), 5u);
}

START_TEST(an_inherited_pool_is_stale_and_can_be_freed)
{
    weir_pool *pool = new_pool(2, 2);
    assert_pool_works(pool);
    assert_child(use_and_free_stale_pool, pool);
    assert_pool_works(pool);
    assert_child(use_stale_pool_and_leave_it, pool);
    assert_pool_works(pool);
    finish_pool(pool);
}
END_TEST

START_TEST(an_inherited_pool_that_is_closed_or_shut_down_is_stale_too)
{
    weir_pool *pool = new_pool(2, 2);
    weir_pool_close(pool);
    assert_child(use_and_free_stale_pool, pool);
    ck_assert_int_eq(weir_pool_shutdown(pool, WEIR_FOREVER, WEIR_FOREVER, NULL), 0);
    assert_child(use_and_free_stale_pool, pool);
    weir_pool_free(pool);
}
END_TEST

/* A pool in the middle of its work. */
struct busy {
    weir_pool *pool;
    gate hold;
    counter ran;
    weir_task running, queued, idle;
    weir_waitgroup wg;
    weir_errgroup *group;
    weir_context *ctx; /* of a queued task */
    atomic_int dropped;
};

static void count_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)arg;
    (void)why;
    atomic_fetch_add((atomic_int *)user, 1);
}

static void make_busy(struct busy *busy)
{
    *busy = (struct busy){.hold = GATE_INIT, .ran = COUNTER_INIT};
    ck_assert_int_eq(weir_pool_new(&busy->pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 4,
                                                                  .on_drop = count_drop,
                                                                  .user = &busy->dropped)),
                     0);
    ck_assert_int_eq(weir_context_new(&busy->ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_errgroup_new(&busy->group, busy->pool, NULL, NULL), 0);
    ck_assert_int_eq(
        weir_pool_submit_task(busy->pool, &busy->running, gate_task, &busy->hold, NULL), 0);
    gate_await(&busy->hold, 1);
    ck_assert_int_eq(
        weir_pool_submit_task(busy->pool, &busy->queued, counter_task, &busy->ran, NULL), 0);
    ck_assert_int_eq(weir_waitgroup_go(&busy->wg, busy->pool, counter_task, &busy->ran), 0);
    ck_assert_int_eq(weir_errgroup_go(busy->group, counter_task, &busy->ran), 0);
    ck_assert_int_eq(
        weir_pool_submit_until(busy->pool, counter_task, &busy->ran, busy->ctx, WEIR_FOREVER), 0);
}

static void finish_busy(struct busy *busy)
{
    gate_open(&busy->hold);
    ck_assert_int_eq(weir_task_wait_until(&busy->running, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_wait_until(&busy->queued, NULL, patience()), 0);
    ck_assert_int_eq(weir_waitgroup_wait_until(&busy->wg, NULL, patience()), 0);
    ck_assert_int_eq(weir_errgroup_wait_until(busy->group, NULL, patience()), 0);
    weir_errgroup_free(busy->group);
    ck_assert_int_eq(weir_pool_drain(busy->pool), 0);
    ck_assert_uint_eq(counter_get(&busy->ran), 4u);
    weir_context_unref(busy->ctx);
    weir_pool_free(busy->pool);
    ck_assert_int_eq(atomic_load(&busy->dropped), 0);
}

static int use_stale_handles(void *arg)
{
    struct busy *busy = arg;
    weir_task *const live[] = {&busy->running, &busy->queued};
    for (int i = 0; i < 2; i++) {
        EXPECT(weir_task_wait(live[i]) == -ESTALE);
        EXPECT(weir_task_try_wait(live[i]) == -ESTALE);
        EXPECT(weir_task_wait_until(live[i], NULL, WEIR_FOREVER) == -ESTALE);
        EXPECT(weir_task_cancel(live[i]) == -ESTALE);
        (void)weir_task_state(live[i]);
        (void)weir_task_status(live[i]);
    }
    EXPECT(weir_task_wait(&busy->idle) == -EINVAL);
    EXPECT(weir_waitgroup_wait(&busy->wg) == -ESTALE);
    EXPECT(weir_waitgroup_try_wait(&busy->wg) == -ESTALE);
    EXPECT(weir_waitgroup_wait_until(&busy->wg, NULL, WEIR_FOREVER) == -ESTALE);

    atomic_int ran = 0;
    int code = 77;
    weir_errgroup *group = busy->group;
    EXPECT(weir_errgroup_go(group, count_itself, &ran) == -ESTALE);
    EXPECT(weir_errgroup_try_go(group, count_itself, &ran) == -ESTALE);
    EXPECT(weir_errgroup_go_until(group, count_itself, &ran, NULL, WEIR_FOREVER) == -ESTALE);
    EXPECT(weir_errgroup_set_limit(group, 1) == -ESTALE);
    EXPECT(weir_errgroup_wait(group) == -ESTALE);
    EXPECT(weir_errgroup_try_wait(group) == -ESTALE);
    EXPECT(weir_errgroup_wait_until(group, NULL, WEIR_FOREVER) == -ESTALE);
    EXPECT(weir_errgroup_stop(group) == -ESTALE);
    EXPECT(weir_errgroup_errors(group, &code, 1) == 0);
    EXPECT(weir_errgroup_failures(group, NULL, 1) == 0);
    EXPECT(code == 77);
    (void)weir_errgroup_context(group);
    weir_errgroup_free(group);

    int line = use_stale_pool(busy->pool);
    if (line != 0)
        return line;
    weir_pool_free(busy->pool);
    weir_context_unref(busy->ctx);
    /* Its tasks are the parent's: no callback is called for them here. */
    EXPECT(atomic_load(&busy->dropped) == 0);
    EXPECT(atomic_load(&ran) == 0);
    return use_new_objects();
}

START_TEST(inherited_tasks_waitgroups_and_errgroups_are_stale)
{
    struct busy busy;
    make_busy(&busy);
    assert_child(use_stale_handles, &busy);
    assert_child(use_stale_handles, &busy);
    finish_busy(&busy);
}
END_TEST

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

START_TEST(a_child_may_just_exit)
{
    struct busy busy;
    make_busy(&busy);
    assert_child(do_nothing, NULL);
    finish_busy(&busy);
}
END_TEST

static int submit_counter(void *arg)
{
    struct busy *busy = arg;
    return weir_pool_submit(busy->pool, counter_task, &busy->ran);
}

static int call_drain(void *arg)
{
    return weir_pool_drain(arg);
}

static int call_wait(void *arg)
{
    return weir_task_wait(arg);
}

static int call_wait_group(void *arg)
{
    return weir_waitgroup_wait(arg);
}

START_TEST(a_child_is_not_held_up_by_what_other_threads_were_blocked_in)
{
    struct busy busy;
    make_busy(&busy);
    caller submitter, drainer, waiter, group_waiter;
    caller_start(&submitter, submit_counter, &busy);
    caller_start(&drainer, call_drain, busy.pool);
    caller_start(&waiter, call_wait, &busy.queued);
    caller_start(&group_waiter, call_wait_group, &busy.wg);
    ck_assert(caller_await_asleep(&submitter));
    ck_assert(caller_await_asleep(&drainer));
    ck_assert(caller_await_asleep(&waiter));
    ck_assert(caller_await_asleep(&group_waiter));
    assert_child(use_stale_handles, &busy);
    gate_open(&busy.hold);
    ck_assert_int_eq(caller_join(&submitter), 0);
    ck_assert_int_eq(caller_join(&drainer), 0);
    ck_assert_int_eq(caller_join(&waiter), 0);
    ck_assert_int_eq(caller_join(&group_waiter), 0);
    ck_assert_int_eq(weir_pool_drain(busy.pool), 0);
    ck_assert_uint_eq(counter_get(&busy.ran), 5u);
    weir_errgroup_free(busy.group);
    weir_context_unref(busy.ctx);
    weir_pool_free(busy.pool);
}
END_TEST

struct generations {
    weir_pool *grandparents, *parents;
};

static int use_both_stale_pools(void *arg)
{
    struct generations *pools = arg;
    int line = use_stale_pool(pools->grandparents);
    if (line == 0)
        line = use_stale_pool(pools->parents);
    weir_pool_free(pools->grandparents);
    weir_pool_free(pools->parents);
    return line != 0 ? line : use_new_objects();
}

static int be_a_parent(void *arg)
{
    struct generations pools = {.grandparents = arg};
    atomic_int ran = 0;
    EXPECT(weir_pool_new(&pools.parents, WEIR_POOL_OPTIONS(.workers = 2)) == 0);
    EXPECT(weir_pool_submit(pools.parents, count_itself, &ran) == 0);
    EXPECT(weir_pool_submit(pools.grandparents, count_itself, &ran) == -ESTALE);
    EXPECT(child_is_well(start_child(use_both_stale_pools, &pools)));
    EXPECT(weir_pool_drain(pools.parents) == 0);
    EXPECT(atomic_load(&ran) == 1);
    weir_pool_free(pools.parents);
    weir_pool_free(pools.grandparents);
    return 0;
}

START_TEST(a_pool_made_in_a_child_is_stale_in_the_grandchild)
{
    weir_pool *pool = new_pool(2, 2);
    assert_child(be_a_parent, pool);
    assert_pool_works(pool);
    finish_pool(pool);
}
END_TEST

static int reuse_a_task(void *arg)
{
    struct busy *busy = arg;
    weir_pool *pool = NULL;
    atomic_int ran = 0;
    EXPECT(weir_task_state(&busy->idle) == WEIR_TASK_DONE);
    EXPECT(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1)) == 0);
    EXPECT(weir_pool_submit_task(pool, &busy->idle, count_itself, &ran, NULL) == 0);
    EXPECT(weir_task_wait(&busy->idle) == 0);
    EXPECT(weir_task_status(&busy->idle) == 0);
    EXPECT(atomic_load(&ran) == 1);
    weir_pool_free(pool);
    return 0;
}

START_TEST(a_task_that_was_over_can_be_submitted_to_a_pool_of_the_child)
{
    struct busy busy;
    make_busy(&busy);
    weir_pool *pool = new_pool(1, 1);
    atomic_int ran = 0;
    ck_assert_int_eq(weir_pool_submit_task(pool, &busy.idle, count_itself, &ran, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&busy.idle), 0);
    assert_child(reuse_a_task, &busy);
    finish_pool(pool);
    finish_busy(&busy);
}
END_TEST

struct shared_context {
    weir_context *ctx;
    int go[2]; /* a pipe by which the parent lets the child go on */
};

static int use_inherited_context(void *arg)
{
    struct shared_context *shared = arg;
    char byte;
    /* What the parent cancelled since is not cancelled here. */
    EXPECT(read(shared->go[0], &byte, 1) == 1);
    EXPECT(weir_context_err(shared->ctx) == 0);
    EXPECT(weir_context_wait_until(shared->ctx, weir_after(WEIR_US(100))) == -ETIMEDOUT);
    weir_context *child = NULL;
    EXPECT(weir_context_new(&child, shared->ctx, WEIR_FOREVER) == 0);
    weir_context_cancel(shared->ctx, -EIO);
    EXPECT(weir_context_wait_until(child, WEIR_FOREVER) == 0);
    EXPECT(weir_context_cause(child) == -EIO);
    weir_context_unref(child);
    weir_context_unref(shared->ctx);
    return 0;
}

START_TEST(an_inherited_context_works_in_the_child_and_is_its_own)
{
    weir_pool *pool = new_pool(1, 1); /* so that there are threads */
    struct shared_context shared;
    ck_assert_int_eq(pipe(shared.go), 0);
    ck_assert_int_eq(weir_context_new(&shared.ctx, NULL, WEIR_FOREVER), 0);
    pid_t child = start_child(use_inherited_context, &shared);
    ck_assert_int_gt(child, 0);
    weir_context_cancel(shared.ctx, -EPERM);
    ck_assert_int_eq(write(shared.go[1], "!", 1), 1);
    ck_assert(child_is_well(child));
    ck_assert_int_eq(weir_context_cause(shared.ctx), -EPERM);
    weir_context_unref(shared.ctx);
    (void)close(shared.go[0]);
    (void)close(shared.go[1]);
    finish_pool(pool);
}
END_TEST

enum { PRODUCERS = 3, CONTEXTS = 500 };

/* Threads that use all of weir while the process is forked. Their contexts are made by the test, so
 * that those which a thread is about to make or to free are not lost in the child. */
struct traffic {
    weir_pool *pool;
    atomic_bool stop;
    atomic_int ran;
};

struct producer {
    struct traffic *traffic;
    weir_context *contexts[CONTEXTS];
    caller thread;
};

static int make_traffic(void *arg)
{
    struct producer *self = arg;
    struct traffic *traffic = self->traffic;
    int rounds = 0;
    for (; !atomic_load(&traffic->stop); rounds++) {
        weir_task task = WEIR_TASK_INIT;
        weir_waitgroup wg = WEIR_WAITGROUP_INIT;
        weir_context *ctx = self->contexts[rounds < CONTEXTS ? rounds : CONTEXTS - 1];
        if (weir_pool_submit(traffic->pool, count_itself, &traffic->ran) != 0 ||
            weir_pool_submit_task_until(traffic->pool, &task, count_itself, &traffic->ran, NULL,
                                        ctx, WEIR_FOREVER) != 0 ||
            weir_waitgroup_go(&wg, traffic->pool, count_itself, &traffic->ran) != 0 ||
            weir_task_wait_until(&task, ctx, patience()) != 0 ||
            weir_waitgroup_wait_until(&wg, ctx, patience()) != 0 ||
            weir_context_wait_until(ctx, weir_after(WEIR_US(20))) != -ETIMEDOUT)
            return -1;
        if (rounds < CONTEXTS - 1)
            weir_context_cancel(ctx, 0);
    }
    return 3 * rounds;
}

/* In the child returns from the call that forked, with a context of its own kept. */
static int fork_in_an_attempt(weir_context *ctx, void *arg)
{
    *(weir_context **)arg = weir_context_ref(ctx);
    (void)fflush(NULL);
    return (int)fork();
}

static void *cancel_soon(void *ctx)
{
    if (weir_sleep_until(NULL, weir_after(WEIR_MS(100))) == 0)
        weir_context_cancel(ctx, -EIO);
    return NULL;
}

/* 0 if a cancellation wakes a thread that is blocked with the context. */
static int cancel_and_wake(void)
{
    weir_context *ctx = NULL;
    pthread_t thread;
    EXPECT(weir_context_new(&ctx, NULL, WEIR_FOREVER) == 0);
    EXPECT(pthread_create(&thread, NULL, cancel_soon, ctx) == 0);
    EXPECT(weir_context_wait_until(ctx, WEIR_FOREVER) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    weir_context_unref(ctx);
    return 0;
}

START_TEST(a_child_made_in_an_attempt_may_go_on_with_a_context_that_was_kept)
{
    weir_context *kept = NULL;
    int child = weir_retry_until(WEIR_RETRY_OPTIONS(.max_attempts = 1), fork_in_an_attempt, &kept,
                                 NULL, WEIR_FOREVER);
    weir_context_unref(kept);
    if (child == 0) {
        (void)alarm(CHILD_TIMEOUT_S);
        int line = cancel_and_wake();
        if (line != 0)
            (void)fprintf(stderr, "%s:%d: does not hold in the child\n", __FILE__, line);
        _exit(line != 0 ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    ck_assert(child_is_well(child));
}
END_TEST

struct forking_hooks {
    pid_t parent, child;
    atomic_int calls, calls_in_child;
};

static void fork_in_a_hook(void *arg)
{
    struct forking_hooks *self = arg;
    if (getpid() != self->parent) {
        (void)atomic_fetch_add(&self->calls_in_child, 1);
        return;
    }
    if (atomic_fetch_add(&self->calls, 1) != 0)
        return;
    (void)fflush(NULL);
    self->child = fork();
}

START_TEST(a_child_made_in_a_hook_does_not_call_the_hooks_that_are_to_come)
{
    struct forking_hooks self = {.parent = getpid()};
    weir_context_hook hooks[3];
    memset(hooks, 0, sizeof hooks);
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_context_on_done(ctx, &hooks[i], fork_in_a_hook, &self), 0);
    weir_context_cancel(ctx, 0);
    if (self.child == 0)
        _exit(atomic_load(&self.calls_in_child) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    ck_assert(child_is_well(self.child));
    ck_assert_int_eq(atomic_load(&self.calls), 3);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(fork_works_while_traffic_runs)
{
    enum { FORKS = 20 };
    static struct producer producers[PRODUCERS];
    struct traffic traffic = {.pool = new_pool(2, 2)};
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i].traffic = &traffic;
        for (int k = 0; k < CONTEXTS; k++)
            ck_assert_int_eq(weir_context_new(&producers[i].contexts[k], NULL, WEIR_FOREVER), 0);
    }
    for (int i = 0; i < PRODUCERS; i++)
        caller_start(&producers[i].thread, make_traffic, &producers[i]);
    bool well = true;
    for (int i = 0; i < FORKS && well; i++)
        well = child_is_well(start_child(use_and_free_stale_pool, traffic.pool));
    atomic_store(&traffic.stop, true);
    int accepted = 0;
    for (int i = 0; i < PRODUCERS; i++) {
        int n = caller_join(&producers[i].thread);
        ck_assert_int_ge(n, 0);
        accepted += n;
    }
    ck_assert(well);
    ck_assert_int_eq(weir_pool_drain(traffic.pool), 0);
    ck_assert_int_eq(atomic_load(&traffic.ran), accepted);
    finish_pool(traffic.pool);
    for (int i = 0; i < PRODUCERS; i++)
        for (int k = 0; k < CONTEXTS; k++)
            weir_context_unref(producers[i].contexts[k]);
}
END_TEST

struct forker {
    weir_pool *pool;
    atomic_int ran;
};

/* Forks, and has the child make the calls. The child must neither return nor run what is done at
 * exit, and a leak checker would take the worker that it is for a leaked thread. So it says by a
 * signal that all is well. */
static int fork_and_call(struct forker *self, weir_context *ctx,
                         int (*in_child)(weir_context *ctx, weir_pool *pool))
{
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(CHILD_TIMEOUT_S);
        int line = in_child(ctx, self->pool);
        if (line == 0)
            (void)raise(SIGKILL);
        (void)fprintf(stderr, "%s:%d: does not hold in the child\n", __FILE__, line);
        _exit(EXIT_FAILURE);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
        WTERMSIG(status) != SIGKILL)
        return -ECHILD;
    return weir_pool_submit(self->pool, count_itself, &self->ran);
}

static int use_inherited(weir_context *ctx, weir_pool *pool)
{
    EXPECT(weir_context_err(ctx) == 0);
    int line = use_stale_pool(pool);
    return line != 0 ? line : use_new_objects();
}

static int fork_inside(weir_context *ctx, void *arg)
{
    return fork_and_call(arg, ctx, use_inherited);
}

START_TEST(a_task_may_fork)
{
    struct forker self = {.pool = new_pool(2, 2)};
    for (int i = 0; i < 5; i++) {
        weir_task task = WEIR_TASK_INIT;
        ck_assert_int_eq(weir_pool_submit_task(self.pool, &task, fork_inside, &self, NULL), 0);
        ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
        ck_assert_int_eq(weir_task_status(&task), 0);
    }
    finish_pool(self.pool);
    ck_assert_int_eq(atomic_load(&self.ran), 5);
}
END_TEST

/* The child frees the pool that it is a worker of; new ones may get the same memory. */
static int free_own_pool(weir_context *ctx, weir_pool *pool)
{
    (void)ctx;
    weir_pool_free(pool);
    EXPECT(weir_pool_current() == NULL);
    EXPECT(weir_pool_worker_index() == -1);
    for (int order = WEIR_ORDER_FIFO; order <= WEIR_ORDER_LOCAL; order++) {
        weir_pool *other = NULL;
        atomic_int ran = 0;
        EXPECT(weir_pool_new(&other, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2,
                                                       .order = (weir_order)order)) == 0);
        EXPECT(weir_pool_submit(other, count_itself, &ran) == 0);
        EXPECT(weir_pool_drain(other) == 0);
        EXPECT(atomic_load(&ran) == 1);
        weir_pool_free(other);
    }
    return use_new_objects();
}

static int fork_and_free(weir_context *ctx, void *arg)
{
    return fork_and_call(arg, ctx, free_own_pool);
}

static void fork_and_free_on_done(void *arg, weir_state end, int status)
{
    (void)end;
    (void)status;
    (void)fork_and_free(NULL, arg);
}

START_TEST(a_child_inside_a_task_may_free_the_pool)
{
    struct forker self = {.pool = NULL};
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_new(&self.pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2,
                                                                 .order = (weir_order)_i)),
                     0);
    ck_assert_int_eq(weir_pool_submit_task(self.pool, &task, fork_and_free, &self,
                                           WEIR_TASK_OPTIONS(.on_done = fork_and_free_on_done)),
                     0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_status(&task), 0);
    ck_assert_int_eq(weir_pool_drain(self.pool), 0);
    ck_assert_int_eq(atomic_load(&self.ran), 2);
    finish_pool(self.pool);
}
END_TEST

struct member {
    weir_pool *pool;
    weir_errgroup *group;
};

/* The child frees what it has inherited under the feet of the member that it still is. */
static int fork_in_member(weir_context *ctx, void *arg)
{
    struct member *self = arg;
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(CHILD_TIMEOUT_S);
        weir_errgroup_free(self->group);
        if (weir_context_err(ctx) == 0)
            (void)raise(SIGKILL);
        _exit(EXIT_FAILURE);
    }
    int status = 0;
    bool well = child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
                WTERMSIG(status) == SIGKILL;
    return well ? 0 : -ECHILD;
}

START_TEST(a_child_inside_a_member_may_free_the_group)
{
    struct member self = {.pool = new_pool(1, 2)};
    ck_assert_int_eq(weir_errgroup_new(&self.group, self.pool, NULL, NULL), 0);
    ck_assert_int_eq(weir_errgroup_go(self.group, fork_in_member, &self), 0);
    ck_assert_int_eq(weir_errgroup_wait_until(self.group, NULL, patience()), 0);
    weir_errgroup_free(self.group);
    finish_pool(self.pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("fork");

    TCase *stale = add_group(suite, "stale");
    tcase_add_test(stale, an_inherited_pool_is_stale_and_can_be_freed);
    tcase_add_test(stale, an_inherited_pool_that_is_closed_or_shut_down_is_stale_too);
    tcase_add_test(stale, inherited_tasks_waitgroups_and_errgroups_are_stale);
    tcase_add_test(stale, a_child_may_just_exit);
    tcase_add_test(stale, a_child_is_not_held_up_by_what_other_threads_were_blocked_in);

    TCase *new_ones = add_group(suite, "new");
    tcase_add_test(new_ones, an_inherited_context_works_in_the_child_and_is_its_own);
    if (CHILDREN_HAVE_THREADS) {
        tcase_add_test(new_ones, a_pool_made_in_a_child_is_stale_in_the_grandchild);
        tcase_add_test(new_ones, a_child_made_in_an_attempt_may_go_on_with_a_context_that_was_kept);
        tcase_add_test(new_ones, a_task_that_was_over_can_be_submitted_to_a_pool_of_the_child);
    }

    tcase_add_test(new_ones, a_child_made_in_a_hook_does_not_call_the_hooks_that_are_to_come);

    TCase *traffic = add_group(suite, "traffic");
    tcase_add_test(traffic, fork_works_while_traffic_runs);
    tcase_add_test(traffic, a_task_may_fork);
    if (CHILDREN_HAVE_THREADS)
        tcase_add_loop_test(traffic, a_child_inside_a_task_may_free_the_pool, WEIR_ORDER_FIFO,
                            WEIR_ORDER_LOCAL + 1);
    tcase_add_test(traffic, a_child_inside_a_member_may_free_the_group);
    return suite;
}
