/* SPDX-License-Identifier: MIT */
/* fork.c - fork() in the middle of traffic: the parent does not notice, the children find what is
 * promised and end; what a child gives back is all that it inherited; a child that ends its thread
 * where it must not is aborted with a message.
 *
 * A child makes no assertion of Check's and touches no lock that a thread of the parent may have
 * held; it tells by its exit code, and by a line on standard error, what does not hold.
 */
#include "support/suite.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/covered.h"
#include "support/faults.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

/* A child whose last thread ends exits with all that it has, which a leak checker must not see. */
#if defined(__SANITIZE_ADDRESS__)
#define LEAKS_ARE_CHECKED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_ARE_CHECKED true
#endif
#endif
#ifndef LEAKS_ARE_CHECKED
#define LEAKS_ARE_CHECKED false
#endif

enum { CHILD_TIMEOUT_S = 40 };

/* In a function that a child runs: leaves it with the line's number if the condition is false. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

static int told(int line)
{
    if (line != 0)
        (void)fprintf(stderr, "%s:%d: does not hold in the child\n", __FILE__, line);
    return line != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static bool ended_well(pid_t child)
{
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == EXIT_SUCCESS;
}

/* Traffic. */

enum { PRODUCERS = 3, FORKS = 40 };

struct traffic {
    weir_pool *pool;
    atomic_bool stop;
    atomic_ulong accepted, ran, forked;
    atomic_int failed; /* the line of what went wrong */
    caller producers[PRODUCERS];
};

static int run(weir_context *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add(&((struct traffic *)arg)->ran, 1);
    return 0;
}

/* Also forks, in the middle of a task: that child does nothing. */
static int run_and_fork(weir_context *ctx, void *arg)
{
    struct traffic *self = arg;
    pid_t child = fork();
    if (child == 0)
        _exit(weir_pool_submit(self->pool, run, self) == -ESTALE ? EXIT_SUCCESS : EXIT_FAILURE);
    if (!ended_well(child))
        atomic_store(&self->failed, __LINE__);
    atomic_fetch_add(&self->forked, 1);
    return run(ctx, self);
}

static int produce(void *arg)
{
    struct traffic *self = arg;
    for (unsigned long n = 0; !atomic_load(&self->stop); n++) {
        weir_task task = WEIR_TASK_INIT;
        weir_waitgroup wg = WEIR_WAITGROUP_INIT;
        weir_task_fn *fn = n % 512 == 100 ? run_and_fork : run;
        EXPECT(weir_pool_submit(self->pool, fn, self) == 0);
        EXPECT(weir_pool_submit_task(self->pool, &task, run, self, NULL) == 0);
        EXPECT(weir_waitgroup_go(&wg, self->pool, run, self) == 0);
        EXPECT(weir_task_wait_until(&task, NULL, patience()) == 0);
        EXPECT(weir_waitgroup_wait_until(&wg, NULL, patience()) == 0);
        atomic_fetch_add(&self->accepted, 3);
    }
    return 0;
}

static int use_new_pool(void)
{
    weir_pool *pool = NULL;
    struct traffic mine = {.failed = 0};
    if (!CHILDREN_HAVE_THREADS)
        return 0;
    EXPECT(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = 1)) == 0);
    for (int i = 0; i < 50; i++)
        EXPECT(weir_pool_submit(pool, run, &mine) == 0);
    EXPECT(weir_pool_drain(pool) == 0);
    EXPECT(atomic_load(&mine.ran) == 50);
    weir_pool_free(pool);
    return 0;
}

static int find_stale(struct traffic *self)
{
    weir_pool_counts counts;
    EXPECT(weir_pool_submit(self->pool, run, self) == -ESTALE);
    EXPECT(weir_pool_drain(self->pool) == -ESTALE);
    EXPECT(weir_pool_shutdown(self->pool, 0, 0, NULL) == -ESTALE);
    weir_pool_read_counts(self->pool, &counts);
    return 0;
}

/* What a child does: each way that a program may go on after fork(). */

static int leave_at_once(struct traffic *self)
{
    (void)self;
    _exit(EXIT_SUCCESS);
}

static int find_stale_and_leave(struct traffic *self)
{
    return find_stale(self);
}

static int free_and_use_new(struct traffic *self)
{
    int line = find_stale(self);
    weir_pool_free(self->pool);
    return line != 0 ? line : use_new_pool();
}

static int use_new_first(struct traffic *self)
{
    int line = use_new_pool();
    return line != 0 ? line : find_stale(self);
}

static int fork_again(struct traffic *self)
{
    pid_t child = fork();
    if (child == 0)
        _exit(told(find_stale(self)));
    EXPECT(ended_well(child));
    return find_stale(self);
}

static int (*const children[])(struct traffic *self) = {
    leave_at_once, find_stale_and_leave, free_and_use_new, use_new_first, fork_again,
};
enum { CHILDREN = sizeof children / sizeof children[0] };

static pid_t start_child(struct traffic *self, unsigned kind)
{
    (void)fflush(NULL);
    pid_t child = fork();
    if (child != 0)
        return child;
    (void)alarm(CHILD_TIMEOUT_S);
    exit(told(children[kind](self))); /* with all that is done at exit */
}

/* Waits until traffic has moved on. */
static bool moves_on(struct traffic *self)
{
    unsigned long before = atomic_load(&self->ran);
    int64_t deadline = patience();
    while (atomic_load(&self->ran) == before && weir_now() < deadline)
        (void)usleep(100);
    return atomic_load(&self->ran) != before;
}

START_TEST(fork_in_the_middle_of_traffic_disturbs_neither_side)
{
    static struct traffic self;
    self.pool = new_pool(2, 2);
    for (int i = 0; i < PRODUCERS; i++)
        caller_start(&self.producers[i], produce, &self);
    bool well = moves_on(&self);
    for (unsigned i = 0; i < FORKS && well; i++)
        well = ended_well(start_child(&self, i % CHILDREN)) && moves_on(&self);
    atomic_store(&self.stop, true);
    for (int i = 0; i < PRODUCERS; i++)
        ck_assert_int_eq(caller_join(&self.producers[i]), 0);
    ck_assert(well);
    ck_assert_int_eq(atomic_load(&self.failed), 0);
    ck_assert_int_eq(weir_pool_drain_until(self.pool, NULL, patience()), 0);
    ck_assert_uint_eq(atomic_load(&self.ran), atomic_load(&self.accepted));
    weir_pool_counts counts;
    weir_pool_read_counts(self.pool, &counts);
    ck_assert_uint_eq(counts.done, atomic_load(&self.accepted));
    weir_pool_free(self.pool);
    covered("forks in the middle of traffic", FORKS);
    covered("forks inside tasks", atomic_load(&self.forked));
    covered("tasks run meanwhile", atomic_load(&self.ran));
}
END_TEST

/* A child that lives on while its parent shuts down and frees the pool, and only then looks. */
START_TEST(a_child_outlives_the_pool_of_its_parent)
{
    static struct traffic self;
    int go[2];
    ck_assert_int_eq(pipe(go), 0);
    self.pool = new_pool(2, 2);
    for (int i = 0; i < PRODUCERS; i++)
        caller_start(&self.producers[i], produce, &self);
    bool well = moves_on(&self);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        (void)alarm(CHILD_TIMEOUT_S);
        int line = read(go[0], &byte, 1) == 1 ? 0 : __LINE__;
        exit(told(line != 0 ? line : free_and_use_new(&self)));
    }
    atomic_store(&self.stop, true);
    for (int i = 0; i < PRODUCERS; i++)
        ck_assert_int_eq(caller_join(&self.producers[i]), 0);
    weir_pool_free(self.pool);
    ck_assert_int_eq(write(go[1], "!", 1), 1);
    ck_assert(ended_well(child));
    ck_assert(well);
    (void)close(go[0]);
    (void)close(go[1]);
    covered("children that outlived the pool", 1);
}
END_TEST

/* What hangs on the queue and the places of a pool when it is inherited. */

struct heritage {
    weir_pool *pool;
    weir_errgroup *group;
    gate hold;
    counter ran;
    weir_task queued, cancelled, gated, waiting;
    weir_waitgroup wg;
    weir_semaphore taken;
    weir_gate way;
    int ends[2];
};

enum { CONTEXTS = 7 };

/* Each context is left to the task that was given it. No assertion: allocations are counted. */
static int make_heritage(struct heritage *self)
{
    weir_context *ctx[CONTEXTS] = {NULL};
    int err = weir_pool_new(&self->pool,
                            WEIR_POOL_OPTIONS(.workers = 1, .capacity = 8, .descriptors = 2));
    for (int i = 0; i < CONTEXTS && err == 0; i++)
        err = weir_context_new(&ctx[i], NULL, WEIR_FOREVER);
    if (err == 0)
        err = pipe(self->ends);
    if (err == 0)
        err = weir_semaphore_init(&self->taken, 1);
    if (err == 0)
        err = weir_semaphore_try_acquire(&self->taken, 1);
    if (err == 0)
        err = weir_gate_init(&self->way, WEIR_GATE_OPTIONS(.semaphore = &self->taken));
    if (err == 0)
        err = weir_errgroup_new(&self->group, self->pool, ctx[0], NULL);
    if (err == 0)
        err = weir_pool_submit(self->pool, gate_task, &self->hold);
    if (err != 0)
        return err;
    gate_await(&self->hold, 1);
    const int errs[] = {
        weir_errgroup_go(self->group, counter_task, &self->ran),
        weir_pool_submit_until(self->pool, counter_task, &self->ran, ctx[1], 0),
        weir_pool_submit_task_until(self->pool, &self->queued, counter_task, &self->ran, NULL,
                                    ctx[2], 0),
        weir_waitgroup_go_until(&self->wg, self->pool, counter_task, &self->ran, ctx[3], 0),
        weir_pool_submit_task_until(self->pool, &self->cancelled, counter_task, &self->ran, NULL,
                                    ctx[4], 0),
        weir_task_cancel(&self->cancelled), /* its ticket stays */
        weir_pool_submit_task_until(self->pool, &self->gated, counter_task, &self->ran,
                                    WEIR_TASK_OPTIONS(.gate = &self->way), ctx[5], 0),
        weir_pool_submit_when_until(self->pool, &self->waiting, self->ends[0], WEIR_READABLE,
                                    counter_task, &self->ran, NULL, ctx[6], WEIR_FOREVER),
    };
    for (size_t i = 0; i < sizeof errs / sizeof errs[0] && err == 0; i++)
        err = errs[i];
    for (int i = 0; i < CONTEXTS; i++)
        weir_context_unref(ctx[i]);
    return err;
}

/* In a child: frees what it can, and counts what is left. Two arrays are of the process's poller
 * where that is poll(): those the parent may have been changing. */
static int give_all_back(struct heritage *self)
{
    enum { LEFT = WEIR_TESTS_EPOLL ? 0 : 2 };
    weir_errgroup_free(self->group);
    weir_pool_free(self->pool);
    struct faults seen = faults_end();
    if (seen.live != LEFT)
        (void)fprintf(stderr, "%d allocations are left\n", seen.live);
    EXPECT(seen.live == LEFT);
    return 0;
}

START_TEST(a_child_that_frees_an_inherited_pool_has_nothing_of_it_left)
{
    struct heritage self = {.hold = GATE_INIT, .ran = COUNTER_INIT};
    (void)fflush(NULL);
    faults_begin(FAULT_ALLOC, 0);
    int err = make_heritage(&self);
    threads_await_asleep(); /* one that begins may hold a sanitizer's lock, for the child too */
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(CHILD_TIMEOUT_S);
        exit(told(give_all_back(&self)));
    }
    bool well = ended_well(child);
    gate_open(&self.hold);
    int waited = weir_errgroup_wait_until(self.group, NULL, patience());
    weir_errgroup_free(self.group);
    int cancelled = weir_task_cancel(&self.gated);
    if (cancelled == 0)
        cancelled = weir_task_cancel(&self.waiting);
    if (waited == 0)
        waited = weir_pool_drain_until(self.pool, NULL, patience());
    weir_pool_free(self.pool);
    weir_gate_destroy(&self.way);
    struct faults seen = faults_end();
    (void)close(self.ends[0]);
    (void)close(self.ends[1]);
    ck_assert_int_eq(err, 0);
    ck_assert(well);
    ck_assert_int_eq(cancelled, 0);
    ck_assert_int_eq(waited, 0);
    ck_assert_int_eq(seen.live, 0); /* in the parent too */
    ck_assert_uint_eq(counter_get(&self.ran), 4);
    covered("contexts of tasks given back in a child", CONTEXTS - 1);
}
END_TEST

static int go_in_the_child(weir_waitgroup *wg)
{
    weir_pool *pool = NULL;
    struct traffic mine = {.failed = 0};
    if (!CHILDREN_HAVE_THREADS)
        return 0;
    EXPECT(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1)) == 0);
    EXPECT(weir_waitgroup_go(wg, pool, run, &mine) == -ESTALE);
    EXPECT(weir_waitgroup_try_go(wg, pool, run, &mine) == -ESTALE);
    EXPECT(weir_pool_drain(pool) == 0);
    EXPECT(atomic_load(&mine.ran) == 0);
    weir_pool_free(pool);
    return 0;
}

START_TEST(a_waitgroup_that_counts_the_parents_tasks_takes_none_in_the_child)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(1, 1);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, gate_task, &hold), 0);
    (void)fflush(NULL);
    threads_await_asleep(); /* as above */
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(CHILD_TIMEOUT_S);
        exit(told(go_in_the_child(&wg)));
    }
    ck_assert(ended_well(child));
    gate_open(&hold);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, patience()), 0);
    finish_pool(pool);
}
END_TEST

/* A child that ends its thread. Each of these runs on a worker; 0 from the function in the child's
 * place means that it came back. */

/* Waits for the child and ends this process as the child ended. */
static int end_alike(pid_t child)
{
    int status = 0;
    if (child > 0 && waitpid(child, &status, 0) == child) {
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
            abort();
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
    }
    _exit(EXIT_FAILURE);
}

static int fork_and_end_thread(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    pid_t child = fork();
    if (child != 0)
        return end_alike(child);
    (void)alarm(CHILD_TIMEOUT_S);
    pthread_exit(NULL); /* the misuse */
}

static void end_thread_in_the_child_of_a_task(void *arg)
{
    (void)arg;
    weir_pool *pool = NULL;
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1)) == 0 &&
        weir_pool_submit(pool, fork_and_end_thread, NULL) == 0 && weir_pool_drain(pool) == 0)
        weir_pool_free(pool);
}

START_TEST(ending_the_thread_of_a_task_in_a_forked_child_aborts)
{
    assert_aborts(end_thread_in_the_child_of_a_task, NULL, "fork");
    covered("threads ended in a child", 1);
}
END_TEST

static int return_0(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

static void leave_at_exit(void)
{
    _exit(EXIT_SUCCESS);
}

/* Here the task is done, and the child is no worker: its only thread ends, so it ends, by itself
 * and not instead of a worker. */
static void fork_and_end_thread_when_done(void *arg, weir_state end, int status)
{
    pid_t *ret_child = arg;
    (void)end;
    (void)status;
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(CHILD_TIMEOUT_S);
        if (LEAKS_ARE_CHECKED)
            (void)atexit(leave_at_exit);
        pthread_exit(NULL);
    }
    *ret_child = child;
}

START_TEST(ending_the_thread_of_a_callback_in_a_forked_child_ends_the_child_only)
{
    weir_pool *pool = new_pool(1, 4);
    counter ran = COUNTER_INIT;
    for (int i = 0; i < 3; i++) {
        weir_task task = WEIR_TASK_INIT;
        pid_t child = 0;
        int status = 0;
        (void)fflush(NULL);
        ck_assert_int_eq(
            weir_pool_submit_task(pool, &task, return_0, &child,
                                  WEIR_TASK_OPTIONS(.on_done = fork_and_end_thread_when_done)),
            0);
        ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
        ck_assert_int_gt(child, 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status)); /* neither killed by its alarm nor aborted */
        covered("threads ended in a child", 1);
    }
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), 1);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("faults_fork");
    TCase *traffic = add_group(suite, "traffic");
    tcase_add_test(traffic, fork_in_the_middle_of_traffic_disturbs_neither_side);
    tcase_add_test(traffic, a_child_outlives_the_pool_of_its_parent);
    TCase *heritage = add_group(suite, "heritage");
    tcase_add_test(heritage, a_child_that_frees_an_inherited_pool_has_nothing_of_it_left);
    tcase_add_test(heritage, a_waitgroup_that_counts_the_parents_tasks_takes_none_in_the_child);
    TCase *ends = add_group(suite, "ends");
    tcase_add_test(ends, ending_the_thread_of_a_task_in_a_forked_child_aborts);
    tcase_add_test(ends, ending_the_thread_of_a_callback_in_a_forked_child_ends_the_child_only);
    return suite;
}
