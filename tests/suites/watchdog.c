/* SPDX-License-Identifier: MIT */
/* watchdog.c - what on_stuck is told: each incident once, and once more when it is over. */
#include "support/suite.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

/* What was told. */

enum { MOST = 64 };

struct log {
    pthread_mutex_t lock;
    counter told;
    unsigned count;
    weir_stuck what[MOST];
    char name[MOST][32];
};

#define LOG_INIT                                                                                   \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .told = COUNTER_INIT                                    \
    }

static void note(const weir_stuck *what, void *user)
{
    struct log *log = user;
    (void)pthread_mutex_lock(&log->lock);
    if (log->count == MOST)
        give_up("more is told than any test is about");
    (void)strncpy(log->name[log->count], what->name, sizeof log->name[0] - 1);
    log->what[log->count++] = *what;
    (void)pthread_mutex_unlock(&log->lock);
    counter_add(&log->told, 1);
}

/* Waits until n things have been told, and returns the last of them. */
static weir_stuck await(struct log *log, unsigned n)
{
    counter_await(&log->told, n);
    (void)pthread_mutex_lock(&log->lock);
    weir_stuck what = log->what[n - 1];
    (void)pthread_mutex_unlock(&log->lock);
    return what;
}

/* How many of them are so. */
static unsigned told(struct log *log, weir_stuck_reason reason, int recovered, int worker)
{
    unsigned n = 0;
    (void)pthread_mutex_lock(&log->lock);
    for (unsigned i = 0; i < log->count; i++)
        n += log->what[i].reason == reason && log->what[i].recovered == recovered &&
             log->what[i].worker == worker;
    (void)pthread_mutex_unlock(&log->lock);
    return n;
}

/* How often a task was told of, or that it is over. */
static unsigned told_so(struct log *log, const char *name, int recovered)
{
    unsigned n = 0;
    (void)pthread_mutex_lock(&log->lock);
    for (unsigned i = 0; i < log->count; i++)
        n += strcmp(log->name[i], name) == 0 && log->what[i].recovered == recovered;
    (void)pthread_mutex_unlock(&log->lock);
    return n;
}

static unsigned told_of(struct log *log, const char *name)
{
    return told_so(log, name, 0) + told_so(log, name, 1);
}

static weir_pool *new_watched_pool(unsigned workers, int64_t stuck_after, struct log *log)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = 16,
                                                            .stuck_after = stuck_after,
                                                            .on_stuck = note, .user = log)),
                     0);
    return pool;
}

/* Lets the watchdog look again and again: so many tasks are told, and are over. */
static void let_it_look(weir_pool *pool, struct log *log, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        gate hold = GATE_INIT;
        weir_task task = WEIR_TASK_INIT;
        unsigned before = told_so(log, "look", 0);
        ck_assert_int_eq(
            weir_pool_submit_task(pool, &task, gate_task, &hold,
                                  WEIR_TASK_OPTIONS(.name = "look", .stuck_after = WEIR_MS(1))),
            0);
        for (size_t seen = counter_get(&log->told); told_so(log, "look", 0) == before; seen++)
            counter_await(&log->told, seen + 1);
        gate_open(&hold);
        ck_assert_int_eq(weir_task_wait(&task), 0);
    }
}

/* Incidents. */

/* For tasks that must have come to wait by then, on a machine that is busy too: else they are told
 * as running. */
#define LONG WEIR_MS(300)

START_TEST(a_task_that_runs_too_long_is_told_once_and_once_over)
{
    struct log log = LOG_INIT;
    gate hold = GATE_INIT;
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool = new_watched_pool(1, WEIR_MS(5), &log);
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &task, gate_task, &hold, WEIR_TASK_OPTIONS(.name = "slow")), 0);
    weir_stuck what = await(&log, 1);
    ck_assert_uint_eq(what.size, sizeof what);
    ck_assert_ptr_eq(what.pool, pool);
    ck_assert_int_eq(what.reason, WEIR_STUCK_RUNNING);
    ck_assert_int_eq(what.recovered, 0);
    ck_assert_int_eq(what.worker, 0);
    ck_assert_int_ne(what.thread, 0);
    ck_assert_int_ge(what.ns, WEIR_MS(5));
    ck_assert_ptr_null(what.call);
    ck_assert(what.fn == gate_task);
    ck_assert_uint_eq(told_of(&log, "slow"), 1u);
    gate_open(&hold);
    what = await(&log, 2);
    ck_assert_int_eq(what.reason, WEIR_STUCK_RUNNING);
    ck_assert_int_eq(what.recovered, 1);
    ck_assert_int_eq(what.worker, 0);
    ck_assert_uint_eq(told_of(&log, "slow"), 2u);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    weir_pool_free(pool);
    ck_assert_uint_eq(log.count, 2u);
}
END_TEST

START_TEST(an_incident_is_not_told_again_while_it_lasts)
{
    struct log log = LOG_INIT;
    gate hold = GATE_INIT;
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool = new_watched_pool(2, WEIR_MS(5), &log);
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &task, gate_task, &hold, WEIR_TASK_OPTIONS(.name = "slow")), 0);
    (void)await(&log, 1);
    let_it_look(pool, &log, 5);
    ck_assert_uint_eq(told_of(&log, "slow"), 1u);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    weir_pool_free(pool);
    ck_assert_uint_eq(told_of(&log, "slow"), 2u);
    ck_assert_uint_eq(told_of(&log, "look"), 10u);
}
END_TEST

static int receive(weir_context *ctx, void *channel)
{
    char element;
    return weir_channel_recv_until(channel, &element, ctx, WEIR_FOREVER);
}

START_TEST(a_task_that_waits_too_long_is_told_with_its_call)
{
    struct log log = LOG_INIT;
    weir_channel *channel;
    weir_pool *pool = new_watched_pool(2, LONG, &log);
    ck_assert_int_eq(weir_channel_new(&channel, 1, 1), 0);
    ck_assert_int_eq(weir_pool_submit(pool, receive, channel), 0);
    weir_stuck what = await(&log, 1);
    ck_assert_int_eq(what.reason, WEIR_STUCK_BLOCKED);
    ck_assert_str_eq(what.call, "weir_channel_recv");
    ck_assert_ptr_eq(what.object, channel);
    ck_assert_int_ge(what.call_ns, LONG);
    ck_assert_int_ge(what.ns, what.call_ns);
    ck_assert(what.fn == receive);
    ck_assert_int_eq(weir_channel_send(channel, "x"), 0);
    what = await(&log, 2);
    ck_assert_int_eq(what.reason, WEIR_STUCK_BLOCKED);
    ck_assert_int_eq(what.recovered, 1);
    finish_pool(pool);
    weir_channel_free(channel);
    ck_assert_uint_eq(log.count, 2u);
}
END_TEST

static int wait_for_task(weir_context *ctx, void *task)
{
    return weir_task_wait_until(task, ctx, WEIR_FOREVER);
}

START_TEST(a_task_that_waits_for_another_is_told_with_its_worker)
{
    struct log log = LOG_INIT;
    gate hold = GATE_INIT;
    weir_task slow = WEIR_TASK_INIT, waits = WEIR_TASK_INIT;
    weir_pool *pool = new_watched_pool(2, LONG, &log);
    ck_assert_int_eq(weir_pool_submit_task(pool, &slow, gate_task, &hold,
                                           WEIR_TASK_OPTIONS(.name = "slow", .stuck_after = -1)),
                     0);
    gate_await(&hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &waits, wait_for_task, &slow, NULL), 0);
    weir_stuck what = await(&log, 1);
    ck_assert_int_eq(what.reason, WEIR_STUCK_BLOCKED);
    ck_assert_str_eq(what.call, "weir_task_wait");
    ck_assert_int_eq(what.holder, 1 - what.worker);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait(&waits), 0);
    finish_pool(pool);
}
END_TEST

START_TEST(workers_that_all_wait_beside_queued_tasks_are_told)
{
    struct log log = LOG_INIT;
    weir_channel *channel;
    counter ran = COUNTER_INIT;
    weir_task queued = WEIR_TASK_INIT; /* never told, however long it takes */
    weir_pool *pool = new_watched_pool(2, LONG, &log);
    ck_assert_int_eq(weir_channel_new(&channel, 1, 3), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weir_pool_submit(pool, receive, channel), 0);
    (void)await(&log, 2); /* each by itself; nothing is queued */
    ck_assert_uint_eq(told(&log, WEIR_STUCK_ALL_BLOCKED, 0, -1), 0u);
    ck_assert_int_eq(weir_pool_submit_task(pool, &queued, counter_task, &ran,
                                           WEIR_TASK_OPTIONS(.stuck_after = -1)),
                     0);
    weir_stuck what = await(&log, 3);
    ck_assert_int_eq(what.reason, WEIR_STUCK_ALL_BLOCKED);
    ck_assert_int_eq(what.recovered, 0);
    ck_assert_int_eq(what.worker, -1);
    ck_assert_uint_eq(what.queued, 1u);
    ck_assert_int_ge(what.ns, LONG);
    ck_assert_int_eq(weir_channel_send(channel, "x"), 0);
    ck_assert_int_eq(weir_channel_send(channel, "x"), 0);
    finish_pool(pool);
    weir_channel_free(channel);
    ck_assert_uint_eq(told(&log, WEIR_STUCK_ALL_BLOCKED, 1, -1), 1u);
    ck_assert_uint_eq(told(&log, WEIR_STUCK_BLOCKED, 0, 0), 1u);
    ck_assert_uint_eq(told(&log, WEIR_STUCK_BLOCKED, 1, 0), 1u);
    ck_assert_uint_eq(told(&log, WEIR_STUCK_BLOCKED, 0, 1), 1u);
    ck_assert_uint_eq(told(&log, WEIR_STUCK_BLOCKED, 1, 1), 1u);
    ck_assert_uint_eq(log.count, 6u);
}
END_TEST

START_TEST(a_task_may_have_a_time_of_its_own)
{
    struct log log = LOG_INIT;
    gate hold = GATE_INIT;
    weir_task slow = WEIR_TASK_INIT, plain = WEIR_TASK_INIT;
    weir_pool *pool = new_watched_pool(3, WEIR_S(3600), &log);
    ck_assert_int_eq(weir_pool_submit_task(pool, &plain, gate_task, &hold, NULL), 0);
    gate_await(&hold, 1);
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &slow, gate_task, &hold,
                              WEIR_TASK_OPTIONS(.name = "slow", .stuck_after = WEIR_MS(1))),
        0);
    (void)await(&log, 1);
    ck_assert_uint_eq(told_of(&log, "slow"), 1u);
    let_it_look(pool, &log, 2); /* while the tick that is due is an hour off */
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait(&slow), 0);
    finish_pool(pool);
    ck_assert_uint_eq(told_of(&log, "slow"), 2u);
    ck_assert_uint_eq(log.count, 6u);
}
END_TEST

START_TEST(a_pool_may_watch_only_tasks_with_a_time_of_their_own)
{
    struct log log = LOG_INIT;
    gate hold = GATE_INIT;
    weir_pool *pool = new_watched_pool(2, 0, &log);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
    let_it_look(pool, &log, 3);
    gate_open(&hold);
    finish_pool(pool);
    ck_assert_uint_eq(log.count, 6u);
}
END_TEST

START_TEST(a_task_that_may_take_for_ever_is_never_told)
{
    struct log log = LOG_INIT;
    gate hold = GATE_INIT;
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool = new_watched_pool(2, WEIR_MS(1), &log);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, gate_task, &hold,
                                           WEIR_TASK_OPTIONS(.name = "service", .stuck_after = -1)),
                     0);
    let_it_look(pool, &log, 3);
    gate_open(&hold);
    finish_pool(pool);
    ck_assert_uint_eq(told_of(&log, "service"), 0u);
}
END_TEST

struct nest {
    weir_pool *pool;
    gate hold;
    weir_task inner;
};

/* Waits for a task that its own worker then runs. */
static int wait_for_inner(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct nest *nest = arg;
    int err = weir_pool_submit_task(nest->pool, &nest->inner, gate_task, &nest->hold,
                                    WEIR_TASK_OPTIONS(.name = "inner", .stuck_after = WEIR_MS(1)));
    return err != 0 ? err : weir_task_wait(&nest->inner);
}

START_TEST(runs_within_each_other_are_told_each_by_itself)
{
    struct log log = LOG_INIT;
    struct nest nest = {.hold = GATE_INIT, .inner = WEIR_TASK_INIT};
    weir_task outer = WEIR_TASK_INIT;
    weir_pool *pool = nest.pool = new_watched_pool(1, WEIR_MS(1), &log);
    ck_assert_int_eq(weir_pool_submit_task(pool, &outer, wait_for_inner, &nest,
                                           WEIR_TASK_OPTIONS(.name = "outer")),
                     0);
    (void)await(&log, 2);
    gate_open(&nest.hold);
    ck_assert_int_eq(weir_task_wait(&outer), 0);
    finish_pool(pool);
    ck_assert_uint_eq(told_of(&log, "outer"), 2u);
    ck_assert_uint_eq(told_of(&log, "inner"), 2u);
    ck_assert_uint_eq(told(&log, WEIR_STUCK_RUNNING, 0, 0), 2u);
}
END_TEST

static int end_thread(weir_context *ctx, void *arg)
{
    (void)ctx;
    gate_wait(arg);
    pthread_exit(NULL);
}

START_TEST(a_task_that_ends_its_thread_is_over)
{
    struct log log = LOG_INIT;
    gate hold = GATE_INIT;
    weir_pool *pool = new_watched_pool(1, WEIR_MS(1), &log);
    ck_assert_int_eq(weir_pool_submit(pool, end_thread, &hold), 0);
    (void)await(&log, 1);
    gate_open(&hold);
    ck_assert_int_eq(await(&log, 2).recovered, 1);
    let_it_look(pool, &log, 1); /* the worker that took its place is watched too */
    finish_pool(pool);
    ck_assert_uint_eq(log.count, 4u);
}
END_TEST

/* The thread. */

static unsigned threads(void)
{
    unsigned n = 0;
    DIR *folder = opendir("/proc/self/task");
    if (folder == NULL)
        give_up("there is no /proc/self/task");
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += entry->d_name[0] != '.';
    (void)closedir(folder);
    return n;
}

/* A thread that was joined may be seen for a moment longer. */
static void await_threads(unsigned n)
{
    int64_t deadline = patience();
    while (threads() != n)
        ck_assert_int_lt(weir_now(), deadline);
}

START_TEST(an_idle_pool_has_no_thread_for_it)
{
    struct log log = LOG_INIT;
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(2, 1); /* without a watchdog, for comparison */
    unsigned idle = threads();
    weir_pool_free(pool);
    await_threads(idle - 2);
    pool = new_watched_pool(2, WEIR_MS(2), &log);
    ck_assert_uint_eq(threads(), idle);
    for (unsigned round = 1; round <= 3; round++) {
        ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
        (void)await(&log, 2 * round - 1);
        ck_assert_uint_eq(threads(), idle + 1);
        gate_open(&hold);
        (void)await(&log, 2 * round);
        await_threads(idle); /* it leaves by itself */
        gate_reset(&hold);
    }
    finish_pool(pool);
}
END_TEST

struct holder {
    gate hold;
    counter over;
};

static void hold_on(const weir_stuck *what, void *user)
{
    struct holder *holder = user;
    if (what->recovered)
        return;
    gate_wait(&holder->hold);
    counter_add(&holder->over, 1);
}

static int free_pool(void *pool)
{
    weir_pool_free(pool);
    return 0;
}

START_TEST(free_waits_until_on_stuck_has_returned)
{
    struct holder holder = {GATE_INIT, COUNTER_INIT};
    gate hold = GATE_INIT;
    weir_pool *pool;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .stuck_after = WEIR_MS(1),
                                                            .on_stuck = hold_on, .user = &holder)),
                     0);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
    gate_await(&holder.hold, 1);
    gate_open(&hold);
    caller thread;
    caller_start(&thread, free_pool, pool);
    ck_assert(caller_await_asleep(&thread));
    ck_assert_uint_eq(counter_get(&holder.over), 0u);
    gate_open(&holder.hold);
    ck_assert_int_eq(caller_join(&thread), 0);
    ck_assert_uint_eq(counter_get(&holder.over), 1u);
}
END_TEST

struct user {
    weir_pool *pool;
    counter ran, told;
    int submitted, shut_down;
};

static void use_pool(const weir_stuck *what, void *arg)
{
    struct user *user = arg;
    if (what->recovered == 0 && counter_get(&user->told) == 0) {
        user->submitted = weir_pool_submit(what->pool, counter_task, &user->ran);
        user->shut_down = weir_pool_shutdown(what->pool, 0, 0, NULL);
        weir_pool_close(what->pool);
    }
    counter_add(&user->told, 1);
}

START_TEST(on_stuck_may_use_the_pool)
{
    struct user user = {.ran = COUNTER_INIT, .told = COUNTER_INIT};
    gate hold = GATE_INIT;
    ck_assert_int_eq(
        weir_pool_new(&user.pool, WEIR_POOL_OPTIONS(.workers = 2, .stuck_after = WEIR_MS(1),
                                                    .on_stuck = use_pool, .user = &user)),
        0);
    ck_assert_int_eq(weir_pool_submit(user.pool, gate_task, &hold), 0);
    counter_await(&user.told, 1);
    ck_assert_int_eq(user.submitted, 0);
    ck_assert_int_eq(user.shut_down, -EDEADLK);
    ck_assert_int_eq(weir_pool_submit(user.pool, counter_task, &user.ran), -EPIPE);
    counter_await(&user.ran, 1);
    gate_open(&hold);
    finish_pool(user.pool);
}
END_TEST

START_TEST(two_threads_may_shut_down_a_watched_pool)
{
    struct log log = LOG_INIT;
    gate hold = GATE_INIT;
    weir_pool *pool = new_watched_pool(2, WEIR_MS(1), &log);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
    (void)await(&log, 1);
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, 0, NULL), -ETIMEDOUT);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_shutdown(pool, WEIR_FOREVER, WEIR_FOREVER, NULL), 0);
    ck_assert_uint_eq(log.count, 2u); /* also that it is over */
    ck_assert_int_eq(weir_pool_shutdown(pool, WEIR_FOREVER, WEIR_FOREVER, NULL), 0);
    weir_pool_free(pool);
}
END_TEST

/* Fork, and misuse. */

START_TEST(a_forked_child_frees_a_pool_with_a_watchdog)
{
    struct log log = LOG_INIT;
    gate hold = GATE_INIT;
    weir_pool *pool = new_watched_pool(1, WEIR_MS(1), &log);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
    (void)await(&log, 1);
    pid_t child = fork();
    if (child == 0) {
        weir_pool_free(pool);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    gate_open(&hold);
    finish_pool(pool);
    ck_assert_uint_eq(log.count, 2u);
}
END_TEST

START_TEST(options_that_can_never_be_valid_are_refused)
{
    weir_pool *pool = NULL;
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.stuck_after = 1)), -EINVAL);
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.stuck_after = -1, .on_stuck = note)),
                     -EINVAL);
    ck_assert_ptr_null(pool);
    pool = new_pool(1, 1); /* it has no watchdog: then a task's own time means nothing */
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, gate_task, &(gate)GATE_INIT,
                                           WEIR_TASK_OPTIONS(.stuck_after = 1, .start_by = 1)),
                     -ETIMEDOUT);
    finish_pool(pool);
}
END_TEST

static void free_it(const weir_stuck *what, void *user)
{
    (void)user;
    weir_pool_free(what->pool);
}

static void free_from_on_stuck(void *arg)
{
    weir_pool *pool;
    if (weir_pool_new(
            &pool, WEIR_POOL_OPTIONS(.workers = 1, .stuck_after = 1, .on_stuck = free_it)) == 0 &&
        weir_pool_submit(pool, gate_task, arg) == 0)
        gate_wait(arg);
}

START_TEST(misuse_aborts_with_a_sentence)
{
    static gate hold = GATE_INIT;
    assert_aborts(free_from_on_stuck, &hold,
                  "weir_pool_free: on_stuck cannot free the pool that it is told of.");
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("watchdog");
    TCase *incidents = add_group(suite, "incidents");
    tcase_add_test(incidents, a_task_that_runs_too_long_is_told_once_and_once_over);
    tcase_add_test(incidents, an_incident_is_not_told_again_while_it_lasts);
    tcase_add_test(incidents, a_task_that_waits_too_long_is_told_with_its_call);
    tcase_add_test(incidents, a_task_that_waits_for_another_is_told_with_its_worker);
    tcase_add_test(incidents, workers_that_all_wait_beside_queued_tasks_are_told);
    tcase_add_test(incidents, a_task_may_have_a_time_of_its_own);
    tcase_add_test(incidents, a_pool_may_watch_only_tasks_with_a_time_of_their_own);
    tcase_add_test(incidents, a_task_that_may_take_for_ever_is_never_told);
    tcase_add_test(incidents, runs_within_each_other_are_told_each_by_itself);
    tcase_add_test(incidents, a_task_that_ends_its_thread_is_over);
    TCase *thread = add_group(suite, "thread");
    tcase_add_test(thread, an_idle_pool_has_no_thread_for_it);
    tcase_add_test(thread, free_waits_until_on_stuck_has_returned);
    tcase_add_test(thread, on_stuck_may_use_the_pool);
    tcase_add_test(thread, two_threads_may_shut_down_a_watched_pool);
    TCase *fork_group = add_group(suite, "fork");
    tcase_add_test(fork_group, a_forked_child_frees_a_pool_with_a_watchdog);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, options_that_can_never_be_valid_are_refused);
    tcase_add_test(misuse, misuse_aborts_with_a_sentence);
    return suite;
}
