/* SPDX-License-Identifier: MIT */
/* pool.c - the pool by itself: how it is made, its workers, submit, capacity, order, drain. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

/* A task that records its number. */
struct numbered {
    recorder *log;
    int number;
};

static int record_number(weir_context *ctx, void *arg)
{
    (void)ctx;
    const struct numbered *self = arg;
    recorder_add(self->log, self->number);
    return 0;
}

static void number_them(struct numbered tasks[], int n, recorder *log)
{
    for (int i = 0; i < n; i++)
        tasks[i] = (struct numbered){.log = log, .number = i};
}

static int call_drain(void *arg)
{
    return weir_pool_drain(arg);
}

static weir_pool_counts counts_of(const weir_pool *pool)
{
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    return counts;
}

START_TEST(a_pool_without_options_has_the_usable_cpus_and_1024_places)
{
    cpu_set_t cpus;
    ck_assert_int_eq(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, NULL), 0);
    ck_assert_uint_ge(weir_pool_workers(pool), 1u);
    /* A quota of the process's control group may make it fewer. */
    ck_assert_uint_le(weir_pool_workers(pool), (unsigned)CPU_COUNT(&cpus));
    ck_assert_uint_eq(weir_pool_capacity(pool), 1024u);
    weir_pool_free(pool);

    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 0, .capacity = 0)), 0);
    ck_assert_uint_ge(weir_pool_workers(pool), 1u);
    ck_assert_uint_eq(weir_pool_capacity(pool), 1024u);
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_pool_without_options_respects_the_affinity)
{
    cpu_set_t before, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    weir_pool *pool = NULL;
    int err = weir_pool_new(&pool, NULL);
    ck_assert_int_eq(sched_setaffinity(0, sizeof before, &before), 0);
    ck_assert_int_eq(err, 0);
    ck_assert_uint_eq(weir_pool_workers(pool), 1u);
    weir_pool_free(pool);
}
END_TEST

START_TEST(options_init_gives_what_the_macro_gives)
{
    weir_pool_options options;
    memset(&options, 0x5a, sizeof options);
    weir_pool_options_init(&options);
    ck_assert_uint_eq(options.size, sizeof options);
    options.workers = 3;
    options.capacity = 5;
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, &options), 0);
    ck_assert_uint_eq(weir_pool_workers(pool), 3u);
    ck_assert_uint_eq(weir_pool_capacity(pool), 5u);
    finish_pool(pool);
}
END_TEST

static void assert_no_pool(const weir_pool_options *options, int code)
{
    weir_pool *const untouched = (weir_pool *)(void *)&code;
    weir_pool *pool = untouched;
    ck_assert_int_eq(weir_pool_new(&pool, options), code);
    ck_assert_ptr_eq(pool, untouched);
}

START_TEST(options_out_of_range_are_refused)
{
    ck_assert_int_eq(weir_pool_new(NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_pool_new(NULL, WEIR_POOL_OPTIONS(.workers = 1)), -EINVAL);
    assert_no_pool(WEIR_POOL_OPTIONS(.workers = 1025), -EINVAL);
    assert_no_pool(WEIR_POOL_OPTIONS(.workers = UINT_MAX), -EINVAL);
    assert_no_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = (1u << 22) + 1), -EINVAL);
    assert_no_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = UINT_MAX), -EINVAL);
    assert_no_pool(WEIR_POOL_OPTIONS(.workers = 1, .overflow = (weir_overflow)4), -EINVAL);
    assert_no_pool(WEIR_POOL_OPTIONS(.workers = 1, .overflow = (weir_overflow)INT_MAX), -EINVAL);
}
END_TEST

START_TEST(options_of_another_version_are_read_by_their_size)
{
    weir_pool_options options = {.size = 0, .workers = 1, .capacity = 1};
    assert_no_pool(&options, -EINVAL);
    options.size = sizeof options.size;
    assert_no_pool(&options, -EINVAL);
    options.size = offsetof(weir_pool_options, outside_waiters_help);
    assert_no_pool(&options, -EINVAL);

    struct newer {
        weir_pool_options known;
        unsigned char unknown[32];
    } newer;
    memset(&newer, 0, sizeof newer);
    newer.known = (weir_pool_options){.size = sizeof newer, .workers = 1, .capacity = 3};
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, &newer.known), 0);
    ck_assert_uint_eq(weir_pool_capacity(pool), 3u);
    weir_pool_free(pool);
    newer.unknown[sizeof newer.unknown - 1] = 1;
    assert_no_pool(&newer.known, -E2BIG);
}
END_TEST

START_TEST(the_largest_capacity_is_accepted)
{
    weir_pool *pool = NULL;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1u << 22));
    ck_assert(err == 0 || err == -ENOMEM);
    if (err == 0) {
        counter ran = COUNTER_INIT;
        ck_assert_uint_eq(weir_pool_capacity(pool), 1u << 22);
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
        finish_pool(pool);
        ck_assert_uint_eq(counter_get(&ran), 1u);
    }
}
END_TEST

START_TEST(pools_come_and_go)
{
    counter ran = COUNTER_INIT;
    enum { ROUNDS = 50 };
    for (unsigned i = 0; i < ROUNDS; i++) {
        weir_pool *pool = new_pool(1 + i % 4, 1 + i % 3);
        if (i % 2 == 0)
            ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
        if (i % 4 == 0)
            ck_assert_int_eq(weir_pool_drain(pool), 0);
        weir_pool_free(pool);
    }
    weir_pool_free(NULL);
    ck_assert_uint_ge(counter_get(&ran), ROUNDS / 4u);
    ck_assert_uint_le(counter_get(&ran), ROUNDS / 2u);
}
END_TEST

enum { HOOKED = 4 };

/* What the callbacks of a pool with HOOKED workers saw. Each index has its own fields, written by
 * that worker alone. */
struct hooks {
    atomic_int starts[HOOKED], stops[HOOKED];
    pthread_t threads[HOOKED];
    atomic_int strangers; /* calls with a wrong index, on a wrong thread, or out of turn */
    unsigned failing;     /* the worker whose start fails */
    int failure;          /* with this, if it is not 0 */
};

static int hook_start(unsigned index, void *user)
{
    struct hooks *hooks = user;
    if (index >= HOOKED || weir_pool_worker_index() != (int)index) {
        atomic_fetch_add(&hooks->strangers, 1);
        return 0;
    }
    hooks->threads[index] = pthread_self();
    atomic_fetch_add(&hooks->starts[index], 1);
    return index == hooks->failing ? hooks->failure : 0;
}

static void hook_stop(unsigned index, void *user)
{
    struct hooks *hooks = user;
    if (index >= HOOKED || !pthread_equal(hooks->threads[index], pthread_self()) ||
        atomic_load(&hooks->starts[index]) != 1)
        atomic_fetch_add(&hooks->strangers, 1);
    else
        atomic_fetch_add(&hooks->stops[index], 1);
}

struct hooked_task {
    struct hooks *hooks;
    meeting *place;
};

static int check_thread(weir_context *ctx, void *arg)
{
    (void)ctx;
    const struct hooked_task *self = arg;
    int index = weir_pool_worker_index();
    if (index < 0 || index >= HOOKED || !pthread_equal(self->hooks->threads[index], pthread_self()))
        atomic_fetch_add(&self->hooks->strangers, 1);
    meeting_wait(self->place);
    return 0;
}

START_TEST(each_worker_is_told_of_its_start_and_its_stop_on_its_own_thread)
{
    struct hooks hooks = {.failure = 0};
    weir_pool *pool = NULL;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = HOOKED, .capacity = HOOKED,
                                               .on_worker_start = hook_start,
                                               .on_worker_stop = hook_stop, .user = &hooks)),
        0);
    for (int i = 0; i < HOOKED; i++) {
        ck_assert_int_eq(atomic_load(&hooks.starts[i]), 1);
        ck_assert_int_eq(atomic_load(&hooks.stops[i]), 0);
    }
    meeting place = MEETING_INIT(HOOKED);
    struct hooked_task task = {&hooks, &place};
    for (int i = 0; i < HOOKED; i++)
        ck_assert_int_eq(weir_pool_submit(pool, check_thread, &task), 0);
    finish_pool(pool);
    for (int i = 0; i < HOOKED; i++) {
        ck_assert_int_eq(atomic_load(&hooks.starts[i]), 1);
        ck_assert_int_eq(atomic_load(&hooks.stops[i]), 1);
    }
    ck_assert_int_eq(atomic_load(&hooks.strangers), 0);
}
END_TEST

START_TEST(a_worker_whose_start_fails_fails_the_pool_with_its_value)
{
    static const int failures[] = {-EPERM, 7, -EINVAL};
    struct hooks hooks = {.failing = (unsigned)_i % HOOKED, .failure = failures[_i % 3]};
    weir_pool *pool = NULL;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = HOOKED, .on_worker_start = hook_start,
                                               .on_worker_stop = hook_stop, .user = &hooks)),
        hooks.failure);
    ck_assert_ptr_null(pool);
    ck_assert_int_eq(atomic_load(&hooks.starts[hooks.failing]), 1);
    ck_assert_int_eq(atomic_load(&hooks.strangers), 0);
    /* A worker that was started was stopped, and one that failed to start was not. */
    for (unsigned i = 0; i < HOOKED; i++)
        ck_assert_int_eq(atomic_load(&hooks.stops[i]),
                         i == hooks.failing ? 0 : atomic_load(&hooks.starts[i]));
}
END_TEST

static int read_thread_name(weir_context *ctx, void *arg)
{
    (void)ctx;
    return -pthread_getname_np(pthread_self(), arg, 16);
}

static void assert_thread_name(const char *given, const char *beginning)
{
    char copy[64] = "", found[16] = "";
    if (given != NULL)
        (void)strncpy(copy, given, sizeof copy - 1);
    weir_pool *pool = NULL;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .name = given != NULL ? copy : NULL)),
        0);
    memset(copy, 'x', sizeof copy);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, read_thread_name, found, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_status(&task), 0);
    weir_pool_free(pool);
    ck_assert_msg(strncmp(found, beginning, strlen(beginning)) == 0,
                  "the thread's name is \"%s\", not \"%s...\"", found, beginning);
}

START_TEST(the_workers_bear_the_name_of_the_pool)
{
    assert_thread_name(NULL, "weir");
    assert_thread_name("mill", "mill");
    assert_thread_name("", "");
    assert_thread_name("a-name-that-is-far-too-long-for-a-thread", "a-name-th");
}
END_TEST

static int read_stack_size(weir_context *ctx, void *arg)
{
    (void)ctx;
    pthread_attr_t attributes;
    int err = pthread_getattr_np(pthread_self(), &attributes);
    if (err == 0) {
        err = pthread_attr_getstacksize(&attributes, arg);
        (void)pthread_attr_destroy(&attributes);
    }
    return -err;
}

START_TEST(the_workers_have_the_stack_that_was_asked_for)
{
    static const size_t sizes[] = {1, 256 * 1024, 3 * 1024 * 1024 + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        weir_pool *pool = NULL;
        size_t found = 0;
        int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .stack_size = sizes[i]));
        if (i == 0 && err == -EINVAL)
            continue; /* too small a stack is refused or made larger */
        ck_assert_int_eq(err, 0);
        weir_task task = WEIR_TASK_INIT;
        ck_assert_int_eq(weir_pool_submit_task(pool, &task, read_stack_size, &found, NULL), 0);
        ck_assert_int_eq(weir_task_wait(&task), 0);
        ck_assert_int_eq(weir_task_status(&task), 0);
        weir_pool_free(pool);
        /* The C library takes its own data and whole pages out of it. */
        ck_assert_uint_ge(found + 64 * 1024, sizes[i]);
    }
}
END_TEST

START_TEST(an_absurd_stack_is_an_error)
{
    weir_pool *pool = NULL;
    ck_assert_int_lt(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .stack_size = SIZE_MAX)),
                     0);
    ck_assert_ptr_null(pool);
}
END_TEST

struct seen {
    const weir_pool *pool;
    atomic_int wrong;
    atomic_int indexes[HOOKED];
    meeting *place;
};

static int look_around(weir_context *ctx, void *arg)
{
    struct seen *seen = arg;
    int index = weir_pool_worker_index();
    if (ctx == NULL || weir_context_err(ctx) != 0 || weir_pool_current() != seen->pool ||
        index < 0 || index >= HOOKED)
        atomic_fetch_add(&seen->wrong, 1);
    else
        atomic_fetch_add(&seen->indexes[index], 1);
    meeting_wait(seen->place);
    return 0;
}

START_TEST(a_task_sees_a_context_its_pool_and_its_worker)
{
    ck_assert_ptr_null(weir_pool_current());
    ck_assert_int_eq(weir_pool_worker_index(), -1);
    weir_pool *pool = new_pool(HOOKED, HOOKED);
    meeting place = MEETING_INIT(HOOKED);
    struct seen seen = {.pool = pool, .place = &place};
    for (int i = 0; i < HOOKED; i++)
        ck_assert_int_eq(weir_pool_submit(pool, look_around, &seen), 0);
    finish_pool(pool);
    ck_assert_int_eq(atomic_load(&seen.wrong), 0);
    for (int i = 0; i < HOOKED; i++)
        ck_assert_int_eq(atomic_load(&seen.indexes[i]), 1);
    ck_assert_ptr_null(weir_pool_current());
    ck_assert_int_eq(weir_pool_worker_index(), -1);
}
END_TEST

static int count_itself(weir_context *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

START_TEST(every_task_runs_exactly_once)
{
    enum { TASKS = 2000 };
    atomic_int *runs = calloc(TASKS, sizeof *runs);
    ck_assert_ptr_nonnull(runs);
    weir_pool *pool = new_pool(3, 7);
    for (int i = 0; i < TASKS; i++)
        ck_assert_int_eq(weir_pool_submit(pool, count_itself, &runs[i]), 0);
    finish_pool(pool);
    for (int i = 0; i < TASKS; i++)
        ck_assert_int_eq(atomic_load(&runs[i]), 1);
    free(runs);
}
END_TEST

static int expect_no_argument(weir_context *ctx, void *arg)
{
    (void)ctx;
    return arg == NULL ? 0 : -EINVAL;
}

START_TEST(the_argument_may_be_null)
{
    weir_pool *pool = new_pool(1, 4);
    ck_assert_int_eq(weir_pool_submit(pool, expect_no_argument, NULL), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(counts_of(pool).done, 1u);
    finish_pool(pool);
}
END_TEST

START_TEST(one_worker_starts_tasks_in_the_order_of_their_submits)
{
    enum { TASKS = 200 };
    struct numbered tasks[TASKS];
    recorder log = RECORDER_INIT;
    gate hold = GATE_INIT;
    number_them(tasks, TASKS, &log);
    weir_pool *pool = new_pool(1, TASKS);
    saturate(pool, &hold, 1);
    for (int i = 0; i < TASKS; i++)
        ck_assert_int_eq(weir_pool_submit(pool, record_number, &tasks[i]), 0);
    ck_assert_uint_eq(recorder_count(&log), 0u);
    gate_open(&hold);
    finish_pool(pool);
    ck_assert_uint_eq(recorder_count(&log), (unsigned)TASKS);
    for (int i = 0; i < TASKS; i++)
        ck_assert_int_eq(recorder_at(&log, (size_t)i), i);
}
END_TEST

START_TEST(several_workers_start_the_oldest_tasks_first)
{
    enum { WORKERS = 3, YOUNGER = 5, ROUNDS = 20 };
    weir_pool *pool = new_pool(WORKERS, WORKERS + YOUNGER);
    for (int round = 0; round < ROUNDS; round++) {
        gate first = GATE_INIT, second = GATE_INIT;
        counter ran = COUNTER_INIT;
        saturate(pool, &first, WORKERS);
        for (int i = 0; i < WORKERS; i++)
            ck_assert_int_eq(weir_pool_submit(pool, gate_task, &second), 0);
        for (int i = 0; i < YOUNGER; i++)
            ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
        gate_open(&first);
        /* The older ones hold every worker, so none of the younger can have started. */
        gate_await(&second, WORKERS);
        ck_assert_uint_eq(counter_get(&ran), 0u);
        ck_assert_uint_eq(weir_pool_queued(pool), (unsigned)YOUNGER);
        gate_open(&second);
        ck_assert_int_eq(weir_pool_drain(pool), 0);
        ck_assert_uint_eq(counter_get(&ran), (unsigned)YOUNGER);
    }
    finish_pool(pool);
}
END_TEST

enum { PRODUCERS = 4, EACH = 300 };

struct producer {
    weir_pool *pool;
    struct numbered tasks[EACH];
};

static int produce(void *arg)
{
    struct producer *self = arg;
    for (int i = 0; i < EACH; i++) {
        int err = weir_pool_submit(self->pool, record_number, &self->tasks[i]);
        if (err != 0)
            return err;
    }
    return 0;
}

START_TEST(tasks_of_each_producer_start_in_its_order)
{
    static struct producer producers[PRODUCERS];
    recorder log = RECORDER_INIT;
    caller threads[PRODUCERS];
    weir_pool *pool = new_pool(1, 3);
    for (int p = 0; p < PRODUCERS; p++) {
        producers[p].pool = pool;
        for (int i = 0; i < EACH; i++)
            producers[p].tasks[i] = (struct numbered){.log = &log, .number = p * EACH + i};
    }
    for (int p = 0; p < PRODUCERS; p++)
        caller_start(&threads[p], produce, &producers[p]);
    for (int p = 0; p < PRODUCERS; p++)
        ck_assert_int_eq(caller_join(&threads[p]), 0);
    finish_pool(pool);
    ck_assert_uint_eq(recorder_count(&log), (unsigned)(PRODUCERS * EACH));
    int next[PRODUCERS] = {0};
    for (size_t i = 0; i < PRODUCERS * EACH; i++) {
        int p = recorder_at(&log, i) / EACH;
        ck_assert_int_eq(recorder_at(&log, i) % EACH, next[p]);
        next[p]++;
    }
}
END_TEST

static const unsigned meeting_sizes[] = {1, 2, 3, 8};
enum { MEETING_SIZES = sizeof meeting_sizes / sizeof meeting_sizes[0], MOST_WORKERS = 8 };

START_TEST(as_many_tasks_as_workers_run_at_once)
{
    enum { ROUNDS = 100 };
    unsigned workers = meeting_sizes[_i];
    weir_pool *pool = new_pool(workers, workers);
    meeting place = MEETING_INIT(workers);
    weir_job jobs[MOST_WORKERS];
    for (unsigned i = 0; i < workers; i++)
        jobs[i] = (weir_job){meeting_task, &place};
    for (int round = 0; round < ROUNDS; round++) {
        if (round % 2 == 0) {
            for (unsigned i = 0; i < workers; i++)
                ck_assert_int_eq(weir_pool_submit(pool, meeting_task, &place), 0);
        } else {
            ck_assert_int_eq(weir_pool_submit_many(pool, jobs, workers), workers);
        }
        if (round % 4 < 2)
            ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    }
    finish_pool(pool);
}
END_TEST

struct worker_threads {
    pid_t ids[MOST_WORKERS];
    pthread_t threads[MOST_WORKERS];
};

static int remember_thread(unsigned index, void *user)
{
    struct worker_threads *workers = user;
    workers->ids[index] = thread_id();
    workers->threads[index] = pthread_self();
    return 0;
}

START_TEST(as_many_tasks_as_workers_run_at_once_after_all_have_slept)
{
    enum { ROUNDS = 10 };
    unsigned workers = meeting_sizes[_i];
    struct worker_threads threads;
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = workers,
                                                            .on_worker_start = remember_thread,
                                                            .user = &threads)),
                     0);
    meeting place = MEETING_INIT(workers);
    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < workers; i++)
            thread_await_asleep(threads.ids[i]);
        for (unsigned i = 0; i < workers; i++)
            ck_assert_int_eq(weir_pool_submit(pool, meeting_task, &place), 0);
        ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    }
    finish_pool(pool);
}
END_TEST

static int64_t cpu_time(const struct worker_threads *workers, unsigned n)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < n; i++) {
        clockid_t clock;
        struct timespec used;
        ck_assert_int_eq(pthread_getcpuclockid(workers->threads[i], &clock), 0);
        ck_assert_int_eq(clock_gettime(clock, &used), 0);
        sum += WEIR_S(used.tv_sec) + used.tv_nsec;
    }
    return sum;
}

START_TEST(a_parked_pool_uses_no_cpu)
{
    enum { WORKERS = 2 };
    struct worker_threads threads;
    weir_pool *pool = NULL;
    counter ran = COUNTER_INIT;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = WORKERS,
                                                            .on_worker_start = remember_thread,
                                                            .user = &threads)),
                     0);
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    /* A worker may need a while to fall asleep; one that polls never has such a window. */
    int64_t before = 0, after = 1, deadline = patience();
    while (before != after && weir_now() < deadline) {
        for (int i = 0; i < WORKERS; i++)
            thread_await_asleep(threads.ids[i]);
        before = cpu_time(&threads, WORKERS);
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(200))), 0);
        after = cpu_time(&threads, WORKERS);
    }
    ck_assert_int_eq(after - before, 0);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), 1u);
}
END_TEST

static const unsigned capacities[] = {1, 2, 3, 5, 7, 8, 1000};
enum { CAPACITIES = sizeof capacities / sizeof capacities[0], SMALL_CAPACITIES = 6 };

START_TEST(exactly_capacity_tasks_can_be_queued)
{
    enum { WORKERS = 2, LAPS = 3 };
    unsigned capacity = capacities[_i];
    weir_pool *pool = new_pool(WORKERS, capacity);
    ck_assert_uint_eq(weir_pool_capacity(pool), capacity);
    counter ran = COUNTER_INIT;
    for (unsigned lap = 1; lap <= LAPS; lap++) {
        gate hold = GATE_INIT;
        saturate(pool, &hold, WORKERS);
        for (unsigned i = 0; i < capacity; i++) {
            ck_assert_uint_eq(weir_pool_queued(pool), i);
            ck_assert_int_eq(weir_pool_try_submit(pool, counter_task, &ran), 0);
        }
        ck_assert_uint_eq(weir_pool_queued(pool), capacity);
        ck_assert_int_eq(weir_pool_try_submit(pool, counter_task, &ran), -EAGAIN);
        ck_assert_int_eq(weir_pool_submit_until(pool, counter_task, &ran, NULL, 0), -ETIMEDOUT);
        ck_assert_int_eq(weir_pool_try_submit(pool, counter_task, &ran), -EAGAIN);
        ck_assert_uint_eq(weir_pool_queued(pool), capacity);
        gate_open(&hold);
        ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
        ck_assert_uint_eq(weir_pool_queued(pool), 0u);
        ck_assert_uint_eq(counter_get(&ran), lap * capacity);
    }
    finish_pool(pool);
}
END_TEST

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

START_TEST(a_place_is_free_as_soon_as_a_task_is_seen_to_run)
{
    unsigned capacity = capacities[_i];
    struct steps steps = {COUNTER_INIT, COUNTER_INIT};
    weir_pool *pool = new_pool(1, capacity);
    ck_assert_int_eq(weir_pool_submit(pool, step_task, &steps), 0);
    counter_await(&steps.entered, 1);
    for (unsigned i = 0; i < capacity; i++)
        ck_assert_int_eq(weir_pool_try_submit(pool, step_task, &steps), 0);
    size_t rounds = 5 * (size_t)capacity;
    for (size_t i = 1; i <= rounds; i++) {
        ck_assert_int_eq(weir_pool_try_submit(pool, step_task, &steps), -EAGAIN);
        counter_add(&steps.allowed, 1);
        counter_await(&steps.entered, i + 1);
        ck_assert_uint_eq(weir_pool_queued(pool), capacity - 1);
        ck_assert_int_eq(weir_pool_try_submit(pool, step_task, &steps), 0);
    }
    ck_assert_int_eq(weir_pool_try_submit(pool, step_task, &steps), -EAGAIN);
    counter_add(&steps.allowed, capacity + 1);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&steps.entered), rounds + capacity + 1);
}
END_TEST

struct relay {
    weir_pool *target;
    counter *ran;
    atomic_int result;
};

static int submit_another(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct relay *relay = arg;
    atomic_store(&relay->result, weir_pool_submit(relay->target, counter_task, relay->ran));
    return 0;
}

START_TEST(a_task_may_submit_to_its_own_and_to_another_pool)
{
    counter ran = COUNTER_INIT;
    weir_pool *here = new_pool(1, 2), *there = new_pool(1, 2);
    struct relay own = {.target = here, .ran = &ran, .result = 1};
    struct relay other = {.target = there, .ran = &ran, .result = 1};
    ck_assert_int_eq(weir_pool_submit(here, submit_another, &own), 0);
    ck_assert_int_eq(weir_pool_submit(here, submit_another, &other), 0);
    ck_assert_int_eq(weir_pool_drain(here), 0);
    ck_assert_int_eq(weir_pool_drain(there), 0);
    ck_assert_int_eq(atomic_load(&own.result), 0);
    ck_assert_int_eq(atomic_load(&other.result), 0);
    ck_assert_uint_eq(counter_get(&ran), 2u);
    ck_assert_uint_eq(counts_of(here).done, 3u);
    ck_assert_uint_eq(counts_of(there).done, 1u);
    finish_pool(here);
    finish_pool(there);
}
END_TEST

/* Its value is written without a lock: the pool orders it. */
static int double_it(weir_context *ctx, void *arg)
{
    (void)ctx;
    *(int *)arg *= 2;
    return 0;
}

START_TEST(what_came_before_a_submit_is_seen_by_the_task_and_what_it_did_by_a_drain)
{
    weir_pool *pool = new_pool(2, 4);
    for (int i = 1; i <= 500; i++) {
        int value = i;
        ck_assert_int_eq(weir_pool_submit(pool, double_it, &value), 0);
        ck_assert_int_eq(weir_pool_drain(pool), 0);
        ck_assert_int_eq(value, 2 * i);
    }
    finish_pool(pool);
}
END_TEST

START_TEST(submit_many_takes_all_in_order)
{
    enum { TASKS = 50 };
    struct numbered tasks[TASKS];
    weir_job jobs[TASKS];
    recorder log = RECORDER_INIT;
    number_them(tasks, TASKS, &log);
    for (int i = 0; i < TASKS; i++)
        jobs[i] = (weir_job){record_number, &tasks[i]};
    weir_pool *pool = new_pool(1, 4);
    ck_assert_int_eq(weir_pool_submit_many(pool, jobs, TASKS), TASKS);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_eq(weir_pool_submit_many_until(pool, jobs, TASKS, NULL, WEIR_FOREVER), TASKS);
    finish_pool(pool);
    for (int i = 0; i < 2 * TASKS; i++)
        ck_assert_int_eq(recorder_at(&log, (size_t)i), i % TASKS);
    ck_assert_uint_eq(recorder_count(&log), 2u * TASKS);
}
END_TEST

START_TEST(submit_many_says_how_many_fitted)
{
    counter ran = COUNTER_INIT;
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(1, 5);
    weir_job jobs[8];
    for (int i = 0; i < 8; i++)
        jobs[i] = (weir_job){counter_task, &ran};
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_try_submit_many(pool, jobs, 3), 3);
    ck_assert_int_eq(weir_pool_try_submit_many(pool, jobs, 8), 2);
    ck_assert_int_eq(weir_pool_try_submit_many(pool, jobs, 8), -EAGAIN);
    ck_assert_int_eq(weir_pool_submit_many_until(pool, jobs, 8, NULL, 0), -ETIMEDOUT);
    ck_assert_int_eq(weir_pool_try_submit_many(pool, jobs, 0), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(counter_get(&ran), 5u);

    gate_reset(&hold);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_many_until(pool, jobs, 8, NULL, weir_after(WEIR_MS(1))), 5);
    gate_open(&hold);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), 10u);
}
END_TEST

START_TEST(submit_many_stops_at_a_job_that_can_never_be_valid)
{
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_pool(1, 8);
    weir_job jobs[] = {
        {counter_task, &ran}, {counter_task, &ran}, {NULL, &ran}, {counter_task, &ran}};
    ck_assert_int_eq(weir_pool_submit_many(pool, jobs, 4), 2);
    ck_assert_int_eq(weir_pool_try_submit_many(pool, jobs, 4), 2);
    ck_assert_int_eq(weir_pool_submit_many(pool, jobs + 2, 2), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_many(pool, jobs, 0), 0);
    ck_assert_int_eq(weir_pool_submit_many(pool, NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_many(NULL, jobs, 1), -EINVAL);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), 4u);
}
END_TEST

struct batch {
    weir_pool *pool;
    weir_job *jobs;
    size_t n;
    weir_context *ctx;
};

static int call_submit_many(void *arg)
{
    const struct batch *batch = arg;
    return (int)weir_pool_submit_many_until(batch->pool, batch->jobs, batch->n, batch->ctx,
                                            WEIR_FOREVER);
}

START_TEST(submit_many_blocks_for_room_and_goes_on)
{
    enum { TASKS = 10, PLACES = 4 };
    struct numbered tasks[TASKS];
    weir_job jobs[TASKS];
    recorder log = RECORDER_INIT;
    gate hold = GATE_INIT;
    number_them(tasks, TASKS, &log);
    for (int i = 0; i < TASKS; i++)
        jobs[i] = (weir_job){record_number, &tasks[i]};
    weir_pool *pool = new_pool(1, PLACES);
    saturate(pool, &hold, 1);
    struct batch batch = {pool, jobs, TASKS, NULL};
    caller thread;
    caller_start(&thread, call_submit_many, &batch);
    ck_assert(caller_await_asleep(&thread));
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&thread), TASKS);
    finish_pool(pool);
    ck_assert_uint_eq(recorder_count(&log), (unsigned)TASKS);
    for (int i = 0; i < TASKS; i++)
        ck_assert_int_eq(recorder_at(&log, (size_t)i), i);
}
END_TEST

START_TEST(a_cancelled_submit_many_says_how_many_it_had_queued)
{
    enum { TASKS = 10, PLACES = 4 };
    counter ran = COUNTER_INIT;
    gate hold = GATE_INIT;
    weir_job jobs[TASKS];
    for (int i = 0; i < TASKS; i++)
        jobs[i] = (weir_job){counter_task, &ran};
    weir_pool *pool = new_pool(1, PLACES);
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    saturate(pool, &hold, 1);
    struct batch batch = {pool, jobs, TASKS, ctx};
    caller thread;
    caller_start(&thread, call_submit_many, &batch);
    ck_assert(caller_await_asleep(&thread));
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(caller_join(&thread), PLACES);
    ck_assert_int_eq(weir_pool_submit_many_until(pool, jobs, TASKS, ctx, WEIR_FOREVER), -ECANCELED);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(counts_of(pool).cancelled, (unsigned)PLACES);
    ck_assert_uint_eq(counter_get(&ran), 0u);
    weir_context_unref(ctx);
    finish_pool(pool);
}
END_TEST

START_TEST(drain_waits_for_the_running_and_the_queued)
{
    enum { DRAINERS = 3 };
    counter ran = COUNTER_INIT;
    gate hold = GATE_INIT;
    caller threads[DRAINERS];
    weir_pool *pool = new_pool(2, 4);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    saturate(pool, &hold, 2);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    for (int i = 0; i < DRAINERS; i++)
        caller_start(&threads[i], call_drain, pool);
    for (int i = 0; i < DRAINERS; i++)
        ck_assert(caller_await_asleep(&threads[i]));
    gate_open(&hold);
    for (int i = 0; i < DRAINERS; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    ck_assert_uint_eq(counter_get(&ran), 3u);
    finish_pool(pool);
}
END_TEST

START_TEST(drain_waits_for_what_the_tasks_submit)
{
    counter ran = COUNTER_INIT;
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(1, 4);
    saturate(pool, &hold, 1);
    struct relay relay = {.target = pool, .ran = &ran};
    ck_assert_int_eq(weir_pool_submit(pool, submit_another, &relay), 0);
    caller thread;
    caller_start(&thread, call_drain, pool);
    ck_assert(caller_await_asleep(&thread));
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&thread), 0);
    ck_assert_uint_eq(counter_get(&ran), 1u);
    finish_pool(pool);
}
END_TEST

START_TEST(a_drain_can_be_bounded)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(1, 4);
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, ctx, 0), 0);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, 0), -ETIMEDOUT);
    ck_assert_int_eq(weir_pool_drain_until(pool, ctx, -1), -ETIMEDOUT);
    int64_t deadline = weir_after(WEIR_MS(5));
    ck_assert_int_eq(weir_pool_drain_until(pool, ctx, deadline), -ETIMEDOUT);
    ck_assert_int_ge(weir_now(), deadline);
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, ctx, WEIR_FOREVER), -ECANCELED);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    /* A context that is over fails first, even if there is nothing to wait for. */
    ck_assert_int_eq(weir_pool_drain_until(pool, ctx, WEIR_FOREVER), -ECANCELED);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, 0), 0);
    weir_context_unref(ctx);
    finish_pool(pool);
}
END_TEST

struct bounded_drain {
    weir_pool *pool;
    weir_context *ctx;
};

static int call_drain_until(void *arg)
{
    const struct bounded_drain *drain = arg;
    return weir_pool_drain_until(drain->pool, drain->ctx, WEIR_FOREVER);
}

START_TEST(cancel_and_a_context_deadline_wake_a_drain)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(1, 4);
    saturate(pool, &hold, 1);
    struct bounded_drain drain = {.pool = pool};
    ck_assert_int_eq(weir_context_new(&drain.ctx, NULL, WEIR_FOREVER), 0);
    caller thread;
    caller_start(&thread, call_drain_until, &drain);
    ck_assert(caller_await_asleep(&thread));
    weir_context_cancel(drain.ctx, -EIO);
    ck_assert_int_eq(caller_join(&thread), -ECANCELED);
    weir_context_unref(drain.ctx);

    ck_assert_int_eq(weir_context_new(&drain.ctx, NULL, weir_after(WEIR_MS(20))), 0);
    ck_assert_int_eq(call_drain_until(&drain), -ETIMEDOUT);
    weir_context_unref(drain.ctx);
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

struct inside {
    weir_pool *own, *other;
    int drain, drain_until, shutdown, drain_other;
};

static int drain_from_inside(weir_context *ctx, void *arg)
{
    struct inside *inside = arg;
    inside->drain = weir_pool_drain(inside->own);
    inside->drain_until = weir_pool_drain_until(inside->own, ctx, weir_after(WEIR_S(1)));
    inside->shutdown = weir_pool_shutdown(inside->own, 0, 0, NULL);
    inside->drain_other = weir_pool_drain(inside->other);
    return 0;
}

START_TEST(a_task_cannot_drain_its_own_pool_but_another)
{
    weir_pool *own = new_pool(1, 1), *other = new_pool(1, 1);
    struct inside inside = {.own = own, .other = other};
    ck_assert_int_eq(weir_pool_submit(own, drain_from_inside, &inside), 0);
    ck_assert_int_eq(weir_pool_drain(own), 0);
    ck_assert_int_eq(inside.drain, -EDEADLK);
    ck_assert_int_eq(inside.drain_until, -EDEADLK);
    ck_assert_int_eq(inside.shutdown, -EDEADLK);
    ck_assert_int_eq(inside.drain_other, 0);
    counter ran = COUNTER_INIT;
    ck_assert_int_eq(weir_pool_submit(own, counter_task, &ran), 0);
    finish_pool(own);
    finish_pool(other);
    ck_assert_uint_eq(counter_get(&ran), 1u);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("pool");

    TCase *lifecycle = add_group(suite, "lifecycle");
    tcase_add_test(lifecycle, a_pool_without_options_has_the_usable_cpus_and_1024_places);
    tcase_add_test(lifecycle, a_pool_without_options_respects_the_affinity);
    tcase_add_test(lifecycle, options_init_gives_what_the_macro_gives);
    tcase_add_test(lifecycle, options_out_of_range_are_refused);
    tcase_add_test(lifecycle, options_of_another_version_are_read_by_their_size);
    tcase_add_test(lifecycle, the_largest_capacity_is_accepted);
    tcase_add_test(lifecycle, pools_come_and_go);
    tcase_add_test(lifecycle, each_worker_is_told_of_its_start_and_its_stop_on_its_own_thread);
    tcase_add_loop_test(lifecycle, a_worker_whose_start_fails_fails_the_pool_with_its_value, 0,
                        HOOKED);
    tcase_add_test(lifecycle, the_workers_bear_the_name_of_the_pool);
    tcase_add_test(lifecycle, the_workers_have_the_stack_that_was_asked_for);
    tcase_add_test(lifecycle, an_absurd_stack_is_an_error);

    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, a_task_sees_a_context_its_pool_and_its_worker);
    tcase_add_test(contract, every_task_runs_exactly_once);
    tcase_add_test(contract, the_argument_may_be_null);
    tcase_add_test(contract, one_worker_starts_tasks_in_the_order_of_their_submits);
    tcase_add_test(contract, several_workers_start_the_oldest_tasks_first);
    tcase_add_test(contract, tasks_of_each_producer_start_in_its_order);
    tcase_add_loop_test(contract, as_many_tasks_as_workers_run_at_once, 0, MEETING_SIZES);
    tcase_add_loop_test(contract, as_many_tasks_as_workers_run_at_once_after_all_have_slept, 0,
                        MEETING_SIZES);
    tcase_add_test(contract, a_parked_pool_uses_no_cpu);
    tcase_add_loop_test(contract, exactly_capacity_tasks_can_be_queued, 0, CAPACITIES);
    tcase_add_loop_test(contract, a_place_is_free_as_soon_as_a_task_is_seen_to_run, 0,
                        SMALL_CAPACITIES);
    tcase_add_test(contract, a_task_may_submit_to_its_own_and_to_another_pool);
    tcase_add_test(contract,
                   what_came_before_a_submit_is_seen_by_the_task_and_what_it_did_by_a_drain);

    TCase *many = add_group(suite, "many");
    tcase_add_test(many, submit_many_takes_all_in_order);
    tcase_add_test(many, submit_many_says_how_many_fitted);
    tcase_add_test(many, submit_many_stops_at_a_job_that_can_never_be_valid);
    tcase_add_test(many, submit_many_blocks_for_room_and_goes_on);
    tcase_add_test(many, a_cancelled_submit_many_says_how_many_it_had_queued);

    TCase *drain = add_group(suite, "drain");
    tcase_add_test(drain, drain_waits_for_the_running_and_the_queued);
    tcase_add_test(drain, drain_waits_for_what_the_tasks_submit);
    tcase_add_test(drain, a_drain_can_be_bounded);
    tcase_add_test(drain, cancel_and_a_context_deadline_wake_a_drain);
    tcase_add_test(drain, a_task_cannot_drain_its_own_pool_but_another);
    return suite;
}
