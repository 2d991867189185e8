/* SPDX-License-Identifier: MIT */
/* threads.c - threads that cannot be made, and workers that cannot start: a pool is made with all
 * of its workers, or not at all, and a hook is set or not.
 */
#include "support/suite.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/covered.h"
#include "support/faults.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

enum { WORKERS = 5 };

/* The hooks' log: which workers were started and stopped, and which refuse to start. */
struct hooks {
    pthread_mutex_t lock;
    unsigned starts[WORKERS], stops[WORKERS];
    pthread_t thread[WORKERS];
    int refusals[WORKERS]; /* what on_worker_start returns */
    bool foreign_stop;     /* a stop was called on another thread than its start */
};

#define HOOKS_INIT                                                                                 \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                          \
    }

static int note_start(unsigned index, void *user)
{
    struct hooks *hooks = user;
    (void)pthread_mutex_lock(&hooks->lock);
    hooks->starts[index]++;
    hooks->thread[index] = pthread_self();
    int refusal = hooks->refusals[index];
    (void)pthread_mutex_unlock(&hooks->lock);
    return refusal;
}

static void note_stop(unsigned index, void *user)
{
    struct hooks *hooks = user;
    (void)pthread_mutex_lock(&hooks->lock);
    hooks->stops[index]++;
    if (!pthread_equal(hooks->thread[index], pthread_self()))
        hooks->foreign_stop = true;
    (void)pthread_mutex_unlock(&hooks->lock);
}

static int make_pool(weir_pool **ret, struct hooks *hooks)
{
    return weir_pool_new(ret, WEIR_POOL_OPTIONS(.workers = WORKERS, .capacity = 4,
                                                .on_worker_start = note_start,
                                                .on_worker_stop = note_stop, .user = hooks));
}

static unsigned count_threads(void)
{
    unsigned n = 0;
    DIR *all = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(all);
    for (const struct dirent *entry; (entry = readdir(all)) != NULL;)
        n += entry->d_name[0] != '.' ? 1 : 0;
    ck_assert_int_eq(closedir(all), 0);
    return n;
}

/* How many threads there are when all that weir started are gone. A sanitizer may keep one of its
 * own from the first thread on; so this makes one, and waits for it to leave the list. */
static unsigned count_threads_at_rest(void)
{
    enum { LOOKS = 1000 };
    unsigned alone = count_threads();
    weir_pool_free(new_pool(1, 1));
    unsigned least = count_threads();
    for (int i = 0; i < LOOKS && least > alone; i++) {
        (void)sched_yield();
        unsigned now = count_threads();
        least = now < least ? now : least;
    }
    return least;
}

/* A thread that was joined may be listed a moment longer, one that was left behind for good. */
static void await_threads(unsigned n)
{
    int64_t deadline = patience();
    while (count_threads() > n) {
        ck_assert_int_lt(weir_now(), deadline);
        (void)sched_yield();
    }
}

/* By the time that weir_pool_new has failed, every worker that was started has been stopped. */
static void assert_all_stopped(const struct hooks *hooks)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        unsigned served = hooks->refusals[i] == 0 ? hooks->starts[i] : 0;
        ck_assert_uint_le(hooks->starts[i], 1);
        ck_assert_uint_eq(hooks->stops[i], served);
    }
    ck_assert(!hooks->foreign_stop);
}

START_TEST(a_thread_that_cannot_be_made_fails_the_pool_and_leaves_nothing)
{
    unsigned before = count_threads_at_rest(), nth = 1;
    weir_pool *untouched = (weir_pool *)&untouched;
    for (;; nth++) {
        struct hooks hooks = HOOKS_INIT;
        weir_pool *pool = untouched;
        faults_begin(FAULT_THREAD, nth);
        int err = make_pool(&pool, &hooks);
        struct faults seen = faults_end();
        if (seen.threads < nth) {
            ck_assert_int_eq(err, 0);
            weir_pool_free(pool);
            break;
        }
        ck_assert_int_eq(err, -EAGAIN);
        ck_assert_ptr_eq(pool, untouched);
        ck_assert_uint_eq(seen.threads, nth);
        ck_assert_int_eq(seen.live, 0);
        assert_all_stopped(&hooks);
        await_threads(before);
    }
    ck_assert_uint_eq(nth, WORKERS + 1);
    covered("thread starts failed", nth - 1);
}
END_TEST

static int ignore(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

START_TEST(without_a_thread_for_the_timer_a_delayed_task_is_refused_and_no_place_is_lost)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .timers = 1)), 0);
    weir_task task = WEIR_TASK_INIT;
    unsigned without = count_threads();
    for (int i = 0; i < 3; i++) {
        faults_begin(FAULT_THREAD, 1);
        int err = weir_pool_submit_task_at(pool, &task, ignore, NULL, NULL, WEIR_FOREVER);
        struct faults seen = faults_end();
        ck_assert_int_eq(err, -EAGAIN);
        ck_assert_uint_eq(seen.threads, 1u);
        ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
        ck_assert_int_eq(weir_pool_submit_task_at(pool, &task, ignore, NULL, NULL, WEIR_FOREVER),
                         0);
        ck_assert_int_eq(weir_task_cancel(&task), 0);
        task = (weir_task)WEIR_TASK_INIT;
        await_threads(without);
    }
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    weir_pool_free(pool);
}
END_TEST

/* Fails the first time. */
static int fail_once(weir_context *ctx, void *arg)
{
    int *calls = arg;
    (void)ctx;
    return ++*calls == 1 ? -EIO : 0;
}

START_TEST(without_a_thread_for_its_pause_a_task_is_not_retried)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    int calls = 0;
    faults_begin(FAULT_THREAD, 1);
    int err = weir_pool_submit_retry(pool, &task, fail_once, &calls, NULL, NULL);
    int waited = weir_task_wait_until(&task, NULL, patience());
    struct faults seen = faults_end();
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(waited, 0);
    ck_assert_uint_eq(seen.threads, 1u);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_FAILED);
    ck_assert_int_eq(weir_task_status(&task), -EIO);
    ck_assert_int_eq(calls, 1);
    weir_pool_free(pool);
}
END_TEST

static void note_stuck(const weir_stuck *what, void *user)
{
    if (!what->recovered)
        counter_add(user, 1);
}

struct held_worker {
    gate hold;
    pid_t tid;
};

static int hold_worker(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct held_worker *worker = arg;
    worker->tid = thread_id();
    gate_wait(&worker->hold);
    return 0;
}

START_TEST(without_a_thread_the_watchdog_is_blind_until_a_worker_wakes_again)
{
    struct held_worker worker = {.hold = GATE_INIT};
    counter told = COUNTER_INIT;
    weir_pool *pool;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .stuck_after = WEIR_MS(1),
                                                            .on_stuck = note_stuck, .user = &told)),
                     0);
    faults_begin(FAULT_THREAD, 1);
    int err = weir_pool_submit(pool, hold_worker, &worker);
    gate_await(&worker.hold, 1);
    struct faults seen = faults_end();
    ck_assert_int_eq(err, 0);
    ck_assert_uint_eq(seen.threads, 1);
    gate_open(&worker.hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(counter_get(&told), 0);
    thread_await_asleep(worker.tid); /* it parks */
    gate_reset(&worker.hold);
    ck_assert_int_eq(weir_pool_submit(pool, hold_worker, &worker), 0);
    counter_await(&told, 1);
    gate_open(&worker.hold);
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_worker_that_refuses_to_start_fails_the_pool_and_leaves_nothing)
{
    static const int refusals[] = {-EIO, 7};
    unsigned before = count_threads_at_rest();
    for (unsigned i = 0; i < 2 * WORKERS; i++) {
        struct hooks hooks = HOOKS_INIT;
        int refusal = refusals[i / WORKERS];
        hooks.refusals[i % WORKERS] = refusal;
        weir_pool *untouched = (weir_pool *)&untouched, *pool = untouched;
        faults_begin(FAULT_THREAD, 0);
        int err = make_pool(&pool, &hooks);
        struct faults seen = faults_end();
        ck_assert_int_eq(err, refusal);
        ck_assert_int_eq(seen.live, 0);
        ck_assert_ptr_eq(pool, untouched);
        ck_assert_uint_eq(hooks.starts[i % WORKERS], 1);
        assert_all_stopped(&hooks);
        await_threads(before);
        covered("workers refused to start", 1);
    }
}
END_TEST

START_TEST(of_many_workers_that_refuse_one_is_told)
{
    unsigned before = count_threads_at_rest();
    struct hooks hooks = HOOKS_INIT;
    for (int i = 0; i < WORKERS; i++)
        hooks.refusals[i] = -1000 - i;
    weir_pool *untouched = (weir_pool *)&untouched, *pool = untouched;
    int err = make_pool(&pool, &hooks);
    ck_assert_int_le(err, -1000);
    ck_assert_int_gt(err, -1000 - WORKERS);
    ck_assert_ptr_eq(pool, untouched);
    assert_all_stopped(&hooks);
    await_threads(before);
}
END_TEST

START_TEST(a_thread_that_cannot_be_made_and_a_worker_that_refuses_fail_it_too)
{
    unsigned before = count_threads_at_rest();
    for (unsigned nth = 2; nth <= WORKERS; nth++) {
        struct hooks hooks = HOOKS_INIT;
        hooks.refusals[0] = -EIO;
        weir_pool *untouched = (weir_pool *)&untouched, *pool = untouched;
        faults_begin(FAULT_THREAD, nth);
        int err = make_pool(&pool, &hooks);
        struct faults seen = faults_end();
        ck_assert(err == -EIO || err == -EAGAIN);
        ck_assert_int_eq(seen.live, 0);
        ck_assert_ptr_eq(pool, untouched);
        assert_all_stopped(&hooks);
        await_threads(before);
    }
}
END_TEST

START_TEST(a_pool_that_starts_tells_every_start_and_every_stop)
{
    struct hooks hooks = HOOKS_INIT;
    weir_pool *pool;
    ck_assert_int_eq(make_pool(&pool, &hooks), 0);
    (void)pthread_mutex_lock(&hooks.lock);
    for (unsigned i = 0; i < WORKERS; i++) {
        ck_assert_uint_eq(hooks.starts[i], 1);
        ck_assert_uint_eq(hooks.stops[i], 0);
    }
    (void)pthread_mutex_unlock(&hooks.lock);
    weir_pool_free(pool);
    for (unsigned i = 0; i < WORKERS; i++)
        ck_assert_uint_eq(hooks.starts[i], 1);
    assert_all_stopped(&hooks);
}
END_TEST

static int end_thread(weir_context *ctx, void *arg)
{
    (void)ctx;
    counter_add(arg, 1);
    pthread_exit(NULL);
}

static void never_called(void *arg)
{
    counter_add(arg, 1);
}

START_TEST(a_hook_whose_deadline_nobody_can_watch_is_not_set)
{
    counter calls = COUNTER_INIT;
    weir_context *ctx;
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, weir_after(WEIR_S(1000))), 0);
    faults_begin(FAULT_THREAD, 1);
    int err = weir_context_on_done(ctx, &hook, never_called, &calls);
    (void)faults_end();
    ck_assert_int_eq(err, -EAGAIN);
    ck_assert_int_eq(weir_context_hook_stop(&hook), 0);
    ck_assert_int_eq(weir_context_on_done(ctx, &hook, never_called, &calls), 0);
    ck_assert_int_eq(weir_context_hook_stop(&hook), 0);
    weir_context_cancel(ctx, 0);
    ck_assert_uint_eq(counter_get(&calls), 0);
    weir_context_unref(ctx);
}
END_TEST

/* The first is the pool's for times, the second the one that waits for descriptors. */
START_TEST(a_descriptor_that_no_thread_can_wait_for_is_refused)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .descriptors = 1)), 0);
    counter ran = COUNTER_INIT;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    weir_task task = WEIR_TASK_INIT;
    for (unsigned nth = 1; nth <= 2; nth++) {
        faults_begin_many(FAULT_THREAD, nth, 1);
        int err =
            weir_pool_submit_when(pool, &task, ends[0], WEIR_READABLE, counter_task, &ran, NULL);
        (void)faults_end();
        ck_assert_int_eq(err, -EAGAIN);
        ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
    }
    ck_assert_int_eq(
        weir_pool_submit_when(pool, &task, ends[0], WEIR_READABLE, counter_task, &ran, NULL), 0);
    ck_assert_int_eq((int)write(ends[1], "x", 1), 1);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_uint_eq(counter_get(&ran), 1);
    weir_pool_free(pool);
    (void)close(ends[0]);
    (void)close(ends[1]);
}
END_TEST

/* The first thread is that of the parent's deadline, if it has one. */
START_TEST(signals_that_no_thread_can_wait_for_are_not_taken_over)
{
    static const int usr1 = SIGUSR1;
    weir_context *parent = NULL, *ctx = NULL;
    int64_t deadline = _i == 0 ? WEIR_FOREVER : weir_after(WEIR_S(3600));
    ck_assert_int_eq(weir_context_new(&parent, NULL, deadline), 0);
    for (unsigned nth = 1; nth <= 1 + (unsigned)_i; nth++) {
        faults_begin(FAULT_THREAD, nth);
        int err = weir_context_from_signals(&ctx, parent, &usr1, 1);
        struct faults seen = faults_end();
        ck_assert_int_eq(err, -EAGAIN);
        ck_assert_ptr_null(ctx);
        /* Less: the thread of an earlier context may free what is its own only now. */
        ck_assert_int_le(seen.live, 0);
        struct sigaction action;
        ck_assert_int_eq(sigaction(SIGUSR1, NULL, &action), 0);
        ck_assert(action.sa_handler == SIG_DFL);
    }
    ck_assert_int_eq(weir_context_from_signals(&ctx, parent, &usr1, 1), 0);
    weir_context_cancel(ctx, 0);
    weir_context_unref(ctx);
    weir_context_unref(parent);
}
END_TEST

/* Submits a task that ends its thread, to a pool whose workers are all free, and waits for it. */
static void kill_a_worker(weir_pool *pool, counter *begun)
{
    weir_task dying = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &dying, end_thread, begun, NULL), 0);
    ck_assert_int_eq(weir_task_wait_until(&dying, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_state(&dying), WEIR_TASK_FAILED);
    ck_assert_int_eq(weir_task_status(&dying), -ECANCELED);
}

START_TEST(a_worker_that_dies_and_cannot_be_replaced_loses_no_task)
{
    weir_pool *pool = new_pool(1, 8);
    counter begun = COUNTER_INIT, ran = COUNTER_INIT;
    gate hold = GATE_INIT;
    saturate(pool, &hold, 1);
    weir_task dying = WEIR_TASK_INIT, after = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &dying, end_thread, &begun, NULL), 0);
    ck_assert_int_eq(weir_pool_submit_task(pool, &after, counter_task, &ran, NULL), 0);
    faults_begin(FAULT_THREAD, 1);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait_until(&dying, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_wait_until(&after, NULL, patience()), 0);
    struct faults seen = faults_end();
    ck_assert_uint_eq(seen.threads, 1);
    ck_assert_int_eq(weir_task_state(&dying), WEIR_TASK_FAILED);
    ck_assert_int_eq(weir_task_status(&dying), -ECANCELED);
    ck_assert_int_eq(weir_task_state(&after), WEIR_TASK_DONE);

    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_uint_eq(counter_get(&ran), 21);
    weir_pool_free(pool);
    covered("replacements of dead workers failed", 1);
}
END_TEST

/* One start and one stop for each life of a worker, whichever thread serves it. */
static void assert_lives(const struct hooks *hooks, unsigned lives)
{
    unsigned starts = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        ck_assert_uint_eq(hooks->starts[i], hooks->stops[i]);
        starts += hooks->starts[i];
    }
    ck_assert_uint_eq(starts, lives);
    ck_assert(!hooks->foreign_stop);
}

/* The thread that dies continues as its own replacement, dies again, and so on; then threads can be
 * made again. Every thread that was made is joined, once: also one that was replaced. */
START_TEST(each_death_is_survived_whether_or_not_the_worker_can_be_replaced)
{
    enum { DEATHS = 6, MOST_FAILURES = 4 };
    unsigned before = count_threads_at_rest();
    for (unsigned failures = 0; failures <= MOST_FAILURES; failures++) {
        struct hooks hooks = HOOKS_INIT;
        counter begun = COUNTER_INIT, ran = COUNTER_INIT;
        weir_pool *pool = NULL;
        faults_begin_many(FAULT_THREAD, failures > 0 ? WORKERS + 1 : 0,
                          failures > 0 ? failures - 1 : 0);
        ck_assert_int_eq(make_pool(&pool, &hooks), 0);
        for (unsigned i = 0; i < DEATHS; i++)
            kill_a_worker(pool, &begun);
        for (int i = 0; i < 20; i++)
            ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
        ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
        weir_pool_free(pool);
        struct faults seen = faults_end();
        ck_assert_uint_eq(counter_get(&begun), DEATHS);
        ck_assert_uint_eq(counter_get(&ran), 20);
        ck_assert_uint_eq(seen.threads, WORKERS + DEATHS);
        ck_assert_uint_eq(seen.joins, WORKERS + DEATHS - failures);
        assert_lives(&hooks, WORKERS + DEATHS);
        await_threads(before);
        covered("replacements of dead workers failed", failures);
        covered("dead workers replaced and joined", DEATHS - failures);
    }
}
END_TEST

/* What the system itself says when it has no more threads for a user. */

enum { NO_LIMIT_HERE = 77 };

static void *return_null(void *arg)
{
    return arg;
}

/* Forbids this process to make threads; false: it is not held to that. */
static bool forbid_threads(void)
{
    enum { NOBODY = 65534 };
    pthread_t thread;
    if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) != 0)
        return false; /* root may make any number */
    if (setrlimit(RLIMIT_NPROC, &(struct rlimit){1, 1}) != 0)
        return false;
    if (pthread_create(&thread, NULL, return_null, NULL) != 0)
        return true;
    (void)pthread_join(thread, NULL);
    return false;
}

/* In a child, which has another user then: 0, NO_LIMIT_HERE, or the line that does not hold. */
static int live_without_threads(void)
{
    weir_pool *pool = NULL, *other = NULL;
    counter ran = COUNTER_INIT;
    weir_task dying = WEIR_TASK_INIT;
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = 4)) != 0)
        return __LINE__;
    if (!forbid_threads())
        return NO_LIMIT_HERE;
    if (weir_pool_new(&other, WEIR_POOL_OPTIONS(.workers = 2)) != -EAGAIN || other != NULL)
        return __LINE__;
    for (int i = 0; i < 5; i++) {
        if (weir_pool_submit_task(pool, &dying, end_thread, &ran, NULL) != 0 ||
            weir_task_wait_until(&dying, NULL, patience()) != 0 ||
            weir_task_state(&dying) != WEIR_TASK_FAILED)
            return __LINE__;
        if (weir_pool_submit(pool, counter_task, &ran) != 0 ||
            weir_pool_drain_until(pool, NULL, patience()) != 0)
            return __LINE__;
    }
    if (counter_get(&ran) != 10)
        return __LINE__;
    weir_pool_free(pool);
    return 0;
}

START_TEST(a_pool_outlives_the_limit_on_threads_of_the_system)
{
    (void)fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)alarm(60);
        int line = live_without_threads();
        if (line != 0 && line != NO_LIMIT_HERE)
            (void)fprintf(stderr, "%s:%d: does not hold in the child\n", __FILE__, line);
        _exit(line == 0 || line == NO_LIMIT_HERE ? line : 1); /* no leak checker as another user */
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == NO_LIMIT_HERE);
    covered("deaths at the system's limit on threads", WEXITSTATUS(status) == 0 ? 5 : 0);
}
END_TEST

/* A pool whose size may change: a thread that cannot be made is tried again, and nobody fails. */

static weir_pool *new_elastic_pool(void)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 3)), 0);
    return pool;
}

static uint64_t failed_starts(const weir_pool *pool)
{
    weir_pool_stats stats = {.size = sizeof stats};
    ck_assert_int_eq(weir_pool_read_stats(pool, &stats), 0);
    return stats.not_grown;
}

static void await_workers(const weir_pool *pool, unsigned n)
{
    int64_t deadline = patience();
    while (weir_pool_workers(pool) != n) {
        ck_assert_int_lt(weir_now(), deadline);
        (void)sched_yield();
    }
}

static uint64_t await_failed_starts(const weir_pool *pool, uint64_t n)
{
    int64_t deadline = patience();
    while (failed_starts(pool) < n && weir_now() < deadline)
        (void)sched_yield();
    return failed_starts(pool);
}

enum { ALL_THREADS = 1000000 };

START_TEST(a_resize_for_which_no_thread_can_be_made_is_made_up_for_later)
{
    counter runs = COUNTER_INIT;
    weir_pool *pool = new_elastic_pool();
    faults_begin_many(FAULT_THREAD, 1, ALL_THREADS);
    int64_t began = weir_now();
    int err = weir_pool_resize(pool, 3);
    int submitted = weir_pool_submit(pool, counter_task, &runs);
    counter_await(&runs, 1);
    uint64_t failed = await_failed_starts(pool, 5);
    int64_t took = weir_now() - began;
    (void)faults_end();
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(submitted, 0);
    if (failed < 10) /* each pause is twice as long as the one before it, up to a second */
        ck_assert_int_ge(took, WEIR_MS((1 << (failed - 1)) - 1));
    await_workers(pool, 3); /* without anything else that happens */
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_pool_that_cannot_grow_refuses_no_submit_and_grows_when_it_can)
{
    gate door = GATE_INIT;
    weir_pool *pool = new_elastic_pool();
    faults_begin_many(FAULT_THREAD, 1, ALL_THREADS);
    int err = 0;
    int64_t deadline = patience();
    while ((err == 0 || err == -EAGAIN) && failed_starts(pool) == 0 && weir_now() < deadline)
        err = weir_pool_try_submit(pool, gate_task, &door); /* each may look */
    (void)faults_end();
    ck_assert(err == 0 || err == -EAGAIN);
    ck_assert_uint_ge(failed_starts(pool), 1);
    deadline = patience();
    while (gate_arrived(&door) < 3) {
        ck_assert_int_lt(weir_now(), deadline);
        err = weir_pool_try_submit(pool, gate_task, &door);
        ck_assert(err == 0 || err == -EAGAIN);
    }
    gate_open(&door);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_task_that_blocks_goes_on_although_no_other_worker_can_be_made)
{
    gate door = GATE_INIT;
    counter runs = COUNTER_INIT;
    weir_pool *pool = new_elastic_pool();
    faults_begin_many(FAULT_THREAD, 1, ALL_THREADS);
    int err = weir_pool_submit(pool, blocking_gate_task, &door);
    gate_await(&door, 1);
    int submitted = weir_pool_submit(pool, counter_task, &runs);
    uint64_t failed = await_failed_starts(pool, 1);
    (void)faults_end();
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(submitted, 0);
    ck_assert_uint_ge(failed, 1);
    counter_await(&runs, 1); /* it was tried again */
    ck_assert_uint_eq(weir_pool_workers(pool), 2);
    gate_open(&door);
    weir_pool_free(pool);
}
END_TEST

START_TEST(tasks_that_come_one_by_one_make_no_threads)
{
    weir_pool *pool = new_elastic_pool();
    counter runs = COUNTER_INIT;
    int err = 0;
    faults_begin(FAULT_THREAD, 0);
    for (size_t i = 1; i <= 50 && err == 0; i++) {
        err = weir_pool_submit(pool, counter_task, &runs);
        counter_await(&runs, i);
    }
    struct faults seen = faults_end();
    ck_assert_int_eq(err, 0);
    ck_assert_uint_eq(seen.threads, 0);
    weir_pool_free(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("faults_threads");
    TCase *lifecycle = add_group(suite, "lifecycle");
    tcase_add_test(lifecycle, a_thread_that_cannot_be_made_fails_the_pool_and_leaves_nothing);
    tcase_add_test(lifecycle, a_worker_that_refuses_to_start_fails_the_pool_and_leaves_nothing);
    tcase_add_test(lifecycle, of_many_workers_that_refuse_one_is_told);
    tcase_add_test(lifecycle, a_thread_that_cannot_be_made_and_a_worker_that_refuses_fail_it_too);
    tcase_add_test(lifecycle, a_pool_that_starts_tells_every_start_and_every_stop);
    tcase_add_test(lifecycle, a_hook_whose_deadline_nobody_can_watch_is_not_set);
    tcase_add_loop_test(lifecycle, signals_that_no_thread_can_wait_for_are_not_taken_over, 0, 2);
    TCase *death = add_group(suite, "death");
    tcase_add_test(death, a_worker_that_dies_and_cannot_be_replaced_loses_no_task);
    tcase_add_test(death, each_death_is_survived_whether_or_not_the_worker_can_be_replaced);
    tcase_add_test(death, a_pool_outlives_the_limit_on_threads_of_the_system);
    tcase_add_test(lifecycle, a_worker_that_dies_and_cannot_be_replaced_loses_no_task);
    tcase_add_test(lifecycle,
                   without_a_thread_for_the_timer_a_delayed_task_is_refused_and_no_place_is_lost);
    tcase_add_test(lifecycle, without_a_thread_for_its_pause_a_task_is_not_retried);
    tcase_add_test(lifecycle, a_descriptor_that_no_thread_can_wait_for_is_refused);
    tcase_add_test(lifecycle, without_a_thread_the_watchdog_is_blind_until_a_worker_wakes_again);
    TCase *size = add_group(suite, "size");
    tcase_add_test(size, a_resize_for_which_no_thread_can_be_made_is_made_up_for_later);
    tcase_add_test(size, a_pool_that_cannot_grow_refuses_no_submit_and_grows_when_it_can);
    tcase_add_test(size, a_task_that_blocks_goes_on_although_no_other_worker_can_be_made);
    tcase_add_test(size, tasks_that_come_one_by_one_make_no_threads);
    return suite;
}
