/* SPDX-License-Identifier: MIT */
/* storms.c - a storm of signals at threads that are blocked in weir, in all its blocking calls at
 * once. Handlers are installed without SA_RESTART, and the system calls that are interrupted are
 * counted on their way back: a storm that interrupts nothing proves nothing.
 *
 * Weir's threads block all signals; so that these are hit too, the storm unblocks theirs.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/park.h"
#include "support/covered.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/scene.h"
#include "support/threads.h"
#include "weir.h"

/* Futex calls that a signal ended, where parking is done with futexes. */
static atomic_ulong interrupted;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* weir makes calls of six arguments; others must not be made through this name. */
long __wrap_syscall(long number, ...)
{
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    long result = __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (result == -1 && errno == EINTR)
        (void)atomic_fetch_add(&interrupted, 1);
    return result;
}

/* Sleeps of the thread that waits for descriptors. */
static atomic_ulong polls_interrupted;

int __real_epoll_wait(int epoll, struct epoll_event *events, int n, int timeout);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int n, int timeout);
int __real_poll(struct pollfd *polled, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *polled, nfds_t n, int timeout);

static int counted_poll(int result)
{
    if (result == -1 && errno == EINTR)
        (void)atomic_fetch_add(&polls_interrupted, 1);
    return result;
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int n, int timeout)
{
    return counted_poll(__real_epoll_wait(epoll, events, n, timeout));
}

int __wrap_poll(struct pollfd *polled, nfds_t n, int timeout)
{
    return counted_poll(__real_poll(polled, n, timeout));
}

static atomic_ulong delivered;

static void count_signal(int signal_number)
{
    (void)signal_number;
    (void)atomic_fetch_add(&delivered, 1);
}

/* The storm: each of its targets gets a signal 2000 times a second, or as often as it can be. */
enum { TARGETS = 16, PERIOD_NS = 500000 };

static struct {
    pthread_t targets[TARGETS];
    unsigned count;
    atomic_bool over;
    counter rounds;
    caller thread;
} storm;

static int rage(void *unused)
{
    (void)unused;
    int err = 0;
    while (!atomic_load(&storm.over) && err == 0) {
        for (unsigned i = 0; i < storm.count && err == 0; i++)
            err = pthread_kill(storm.targets[i], SIGUSR2);
        counter_add(&storm.rounds, 1);
        (void)nanosleep(&(struct timespec){.tv_nsec = PERIOD_NS}, NULL);
    }
    return -err;
}

static void begin_storm(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = count_signal;
    (void)sigemptyset(&action.sa_mask);
    ck_assert_int_eq(sigaction(SIGUSR2, &action, NULL), 0);
    atomic_store(&interrupted, 0);
    atomic_store(&polls_interrupted, 0);
    atomic_store(&delivered, 0);
    atomic_store(&storm.over, false);
    storm.rounds = (counter)COUNTER_INIT;
    caller_start(&storm.thread, rage, NULL);
}

/* While all targets still exist. The handler stays: a signal may be pending. */
static void end_storm(void)
{
    atomic_store(&storm.over, true);
    ck_assert_int_eq(caller_join(&storm.thread), 0);
    storm.count = 0;
    covered("signals delivered", atomic_load(&delivered));
    covered("sleeps interrupted (EINTR)", atomic_load(&interrupted));
}

/* Makes the calling thread, which is one of weir's, a target. */
static int join_as(unsigned index)
{
    sigset_t wanted;
    (void)sigemptyset(&wanted);
    (void)sigaddset(&wanted, SIGUSR2);
    storm.targets[index] = pthread_self();
    return -pthread_sigmask(SIG_UNBLOCK, &wanted, NULL);
}

/* A worker's callback. */
static int join_targets(unsigned index, void *user)
{
    (void)user;
    return join_as(index);
}

/* A pool whose workers are the first targets. */
static weir_pool *new_target_pool(unsigned workers, unsigned capacity)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity,
                                               .descriptors = 4, .on_worker_start = join_targets)),
        0);
    storm.count = workers;
    return pool;
}

struct wait {
    int (*fn)(int64_t deadline);
    int64_t deadline;
    bool early;
    caller thread;
};

static int call_wait(void *arg)
{
    struct wait *self = arg;
    int err = self->fn(self->deadline);
    self->early = self->deadline != WEIR_FOREVER && weir_now() < self->deadline;
    return err;
}

static void start_waits(struct wait all[], int64_t deadline)
{
    for (unsigned i = 0; i < SCENE_WAITS; i++) {
        all[i] = (struct wait){.fn = scene_waits[i], .deadline = deadline};
        caller_start(&all[i].thread, call_wait, &all[i]);
        storm.targets[storm.count++] = all[i].thread.thread;
    }
}

START_TEST(all_timed_waits_at_once_keep_their_deadlines_in_a_storm)
{
    static struct wait all[SCENE_WAITS];
    set_scene(new_target_pool(1, 1));
    start_waits(all, weir_after(WEIR_MS(300)));
    begin_storm();
    for (unsigned i = 0; i < SCENE_WAITS; i++)
        counter_await(&all[i].thread.over, 1);
    end_storm();
    gate_open(&scene.hold);
    for (unsigned i = 0; i < SCENE_WAITS; i++) {
        ck_assert_int_eq(caller_join(&all[i].thread), -ETIMEDOUT);
        ck_assert(!all[i].early);
    }
    covered("timed waits kept to their deadlines", SCENE_WAITS);
    strike_scene();
}
END_TEST

START_TEST(no_wait_ends_before_its_time_in_a_storm_and_each_ends_then)
{
    enum { ROUNDS = 200 };
    static struct wait all[SCENE_WAITS];
    set_scene(new_target_pool(1, 1));
    start_waits(all, WEIR_FOREVER);
    begin_storm();
    counter_await(&storm.rounds, ROUNDS);
    for (unsigned i = 0; i < SCENE_WAITS; i++)
        ck_assert(!caller_is_over(&all[i].thread));
    let_it_happen();
    for (unsigned i = 0; i < SCENE_WAITS; i++)
        counter_await(&all[i].thread.over, 1);
    end_storm();
    for (unsigned i = 0; i < SCENE_WAITS; i++)
        ck_assert_int_eq(caller_join(&all[i].thread), 0);
    covered("untimed waits ended by what they wait for", SCENE_WAITS);
    strike_scene();
}
END_TEST

/* Traffic: submitters that block at a queue of one, and workers that park after each task. */
enum { PRODUCERS = 4, TASKS = 2000 };

static struct {
    weir_pool *pool;
    counter ran, leave;
} traffic = {.ran = COUNTER_INIT, .leave = COUNTER_INIT};

static int produce(void *unused)
{
    (void)unused;
    for (int i = 0; i < TASKS; i++) {
        weir_task task = WEIR_TASK_INIT;
        int err = i % 8 == 0
                      ? weir_pool_submit_task(traffic.pool, &task, counter_task, &traffic.ran, NULL)
                      : weir_pool_submit(traffic.pool, counter_task, &traffic.ran);
        if (err == 0 && i % 8 == 0)
            err = weir_task_wait_until(&task, NULL, patience());
        if (err != 0)
            return err;
    }
    counter_await(&traffic.leave, 1); /* a target must exist until the storm ends */
    return 0;
}

START_TEST(traffic_in_a_storm_at_its_workers_and_producers_loses_nothing)
{
    caller producers[PRODUCERS];
    traffic.pool = new_target_pool(3, 1);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        caller_start(&producers[i], produce, NULL);
        storm.targets[storm.count++] = producers[i].thread;
    }
    begin_storm();
    counter_await(&traffic.ran, (size_t)PRODUCERS * TASKS);
    end_storm();
    counter_add(&traffic.leave, 1);
    for (unsigned i = 0; i < PRODUCERS; i++)
        ck_assert_int_eq(caller_join(&producers[i]), 0);
    covered("tasks run in a storm", (unsigned long)PRODUCERS * TASKS);
    weir_pool_counts counts;
    ck_assert_int_eq(weir_pool_drain_until(traffic.pool, NULL, patience()), 0);
    weir_pool_read_counts(traffic.pool, &counts);
    ck_assert_uint_eq(counts.done, (uint64_t)PRODUCERS * TASKS);
    weir_pool_free(traffic.pool);
}
END_TEST

/* Descriptors. */

static void join_at_the_end(void *arg, weir_state end, int status)
{
    (void)end;
    (void)status;
    *(int *)arg = join_as(storm.count);
}

static int not_run(weir_context *ctx, void *arg)
{
    (void)ctx;
    *(int *)arg = -EEXIST;
    return 0;
}

/* The thread that waits for descriptors becomes a target: it calls on_done for a task whose
 * descriptor was closed, as a wait for the number finds out. */
static void add_thread_for_descriptors(weir_pool *pool)
{
    int pair[2], joined = 1;
    weir_task closed = WEIR_TASK_INIT, other = WEIR_TASK_INIT;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(weir_pool_submit_when(pool, &closed, pair[0], WEIR_READABLE, not_run, &joined,
                                           WEIR_TASK_OPTIONS(.on_done = join_at_the_end)),
                     0);
    (void)close(pair[0]);
    ck_assert_int_eq(
        weir_pool_submit_when(pool, &other, pair[0], WEIR_READABLE, not_run, &joined, NULL),
        -EBADF);
    ck_assert_int_eq(weir_task_wait_until(&closed, NULL, patience()), 0);
    ck_assert_int_eq(joined, 0);
    storm.count++;
    (void)close(pair[1]);
}

START_TEST(descriptors_in_a_storm_at_the_thread_that_waits_for_them_start_their_tasks)
{
    enum { ROUNDS = 500 };
    weir_pool *pool = new_target_pool(2, 1);
    counter ran = COUNTER_INIT;
    int pair[2], idle[2];
    weir_task task = WEIR_TASK_INIT, waits = WEIR_TASK_INIT;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, idle), 0);
    ck_assert_int_eq(
        weir_pool_submit_when(pool, &waits, idle[0], WEIR_READABLE, counter_task, &ran, NULL), 0);
    add_thread_for_descriptors(pool);
    begin_storm();
    size_t rounds = 0;
    int64_t until = patience();
    while (rounds < ROUNDS || (atomic_load(&polls_interrupted) == 0 && weir_now() < until)) {
        char byte;
        ck_assert_int_eq(
            weir_pool_submit_when(pool, &task, pair[0], WEIR_READABLE, counter_task, &ran, NULL),
            0);
        ck_assert_int_eq((int)write(pair[1], "x", 1), 1);
        ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
        ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_DONE);
        ck_assert_int_eq((int)read(pair[0], &byte, 1), 1);
        rounds++;
    }
    end_storm();
    ck_assert_uint_gt(atomic_load(&polls_interrupted), 0);
    covered("polls interrupted (EINTR)", atomic_load(&polls_interrupted));
    ck_assert_int_eq(weir_task_state(&waits), WEIR_TASK_QUEUED);
    ck_assert_uint_eq(counter_get(&ran), rounds);
    weir_pool_free(pool);
    ck_assert_int_eq(weir_task_state(&waits), WEIR_TASK_CANCELLED);
    for (int i = 0; i < 2; i++) {
        (void)close(pair[i]);
        (void)close(idle[i]);
    }
}
END_TEST

/* The park by itself: what it returns is how the wakes that were made are counted. */

enum { SLEEPERS = 4, WAKES = 300 };

struct sleeper {
    struct park *park;
    atomic_bool *over;
    unsigned woken; /* how many of its waits have returned 0 */
    caller thread;
};

static int sleep_again_and_again(void *arg)
{
    struct sleeper *self = arg;
    while (!atomic_load(self->over))
        if (weir__park_wait(self->park, 0, patience()) == 0)
            self->woken++;
    return 0;
}

START_TEST(as_many_sleepers_are_told_that_they_were_woken_as_wakers_are_told)
{
    struct park park;
    atomic_bool over = false;
    struct sleeper sleepers[SLEEPERS];
    unsigned woken = 0, told = 0;
    weir__park_init(&park);
    for (unsigned i = 0; i < SLEEPERS; i++) {
        sleepers[i] = (struct sleeper){.park = &park, .over = &over};
        caller_start(&sleepers[i].thread, sleep_again_and_again, &sleepers[i]);
        storm.targets[storm.count++] = sleepers[i].thread.thread;
    }
    begin_storm();
    for (int i = 0; i < WAKES || woken == 0; i++) {
        woken += weir__park_wake(&park, i % 16 == 0 ? PARK_ALL : 1);
        (void)nanosleep(&(struct timespec){.tv_nsec = PERIOD_NS / 2}, NULL);
    }
    atomic_store(&over, true);
    add_seqcst(&park.word, 1);
    woken += weir__park_wake(&park, PARK_ALL);
    for (unsigned i = 0; i < SLEEPERS; i++)
        counter_await(&sleepers[i].thread.over, 1);
    end_storm();
    for (unsigned i = 0; i < SLEEPERS; i++) {
        ck_assert_int_eq(caller_join(&sleepers[i].thread), 0);
        told += sleepers[i].woken;
    }
    ck_assert_uint_eq(told, woken);
    covered("wakes counted on both sides", woken);
    weir__park_destroy(&park);
}
END_TEST

START_TEST(a_deadline_before_the_clock_began_is_one_that_has_passed)
{
    struct park park;
    weir__park_init(&park);
    ck_assert_int_eq(weir__park_wait(&park, 0, -1), -ETIMEDOUT);
    ck_assert_int_eq(weir__park_wait(&park, 0, INT64_MIN), -ETIMEDOUT);
    ck_assert_int_eq(weir__park_wait(&park, 0, 0), -ETIMEDOUT);
    ck_assert_int_eq(weir__park_wait(&park, 1, -1), -EAGAIN);
    weir__park_destroy(&park);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("faults_storms");
    TCase *all = add_group(suite, "storm");
    tcase_add_test(all, all_timed_waits_at_once_keep_their_deadlines_in_a_storm);
    tcase_add_test(all, no_wait_ends_before_its_time_in_a_storm_and_each_ends_then);
    tcase_add_test(all, traffic_in_a_storm_at_its_workers_and_producers_loses_nothing);
    tcase_add_test(all, descriptors_in_a_storm_at_the_thread_that_waits_for_them_start_their_tasks);
    TCase *park = add_group(suite, "park");
    tcase_add_test(park, as_many_sleepers_are_told_that_they_were_woken_as_wakers_are_told);
    tcase_add_test(park, a_deadline_before_the_clock_began_is_one_that_has_passed);
    return suite;
}
