/* SPDX-License-Identifier: MIT */
/* stats.c - histograms, and how long tasks wait and run. */
#include "support/suite.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

/* Histograms. */

START_TEST(buckets_cover_every_value_once)
{
    uint64_t next = 0;
    for (size_t i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++) {
        uint64_t first, last;
        ck_assert_int_eq(weir_histogram_bounds(i, &first, &last), 0);
        ck_assert_uint_eq(first, next);
        ck_assert_uint_ge(last, first);
        next = last + 1;
    }
    ck_assert_uint_eq(next, 0); /* the last one goes up to UINT64_MAX */
}
END_TEST

/* The bucket that a value was put into, which must be one only. */
static size_t bucket_of(int64_t value)
{
    weir_histogram histogram = {0};
    weir_histogram_record(&histogram, value);
    size_t found = WEIR_HISTOGRAM_BUCKETS;
    for (size_t i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++)
        if (histogram.buckets[i] != 0) {
            ck_assert_uint_eq(found, WEIR_HISTOGRAM_BUCKETS);
            ck_assert_uint_eq(histogram.buckets[i], 1);
            found = i;
        }
    return found;
}

START_TEST(values_go_where_the_bounds_say)
{
    for (size_t i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++) {
        uint64_t first, last;
        ck_assert_int_eq(weir_histogram_bounds(i, &first, &last), 0);
        ck_assert_uint_eq(bucket_of((int64_t)first), i);
        ck_assert_uint_eq(bucket_of(last > INT64_MAX ? INT64_MAX : (int64_t)last), i);
    }
    ck_assert_uint_eq(bucket_of(-1), 0);
    ck_assert_uint_eq(bucket_of(INT64_MIN), 0);
}
END_TEST

/* One value below the largest: so it is not exact by chance. */
START_TEST(a_quantile_is_off_by_a_sixteenth_at_most)
{
    double worst = 0;
    int64_t hour = INT64_C(3600) * 1000000000;
    for (int64_t value = 0; value <= hour; value += value < 4096 ? 1 : value / 4099 + 1) {
        weir_histogram histogram = {0};
        weir_histogram_record(&histogram, value);
        weir_histogram_record(&histogram, INT64_MAX);
        int64_t found = weir_histogram_quantile(&histogram, 0.5);
        double off = fabs((double)found - (double)value);
        if (value < 64)
            ck_assert(off <= 4);
        else if (off / (double)value > worst)
            worst = off / (double)value;
        ck_assert_int_eq(weir_histogram_quantile(&histogram, 1), INT64_MAX);
    }
    ck_assert_msg(worst <= 0.0625, "off by %f", worst);
    ck_assert_msg(worst > 0.05, "nothing was tried: off by %f", worst);
}
END_TEST

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

START_TEST(quantiles_of_many_values)
{
    enum { N = 10007 };
    static int64_t values[N];
    weir_histogram histogram = {0};
    uint64_t state = 1, sum = 0;
    for (size_t i = 0; i < N; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        values[i] = (int64_t)(state >> (24 + (state >> 59))); /* of all sizes */
        sum += (uint64_t)values[i];
        weir_histogram_record(&histogram, values[i]);
    }
    qsort(values, N, sizeof values[0], compare);
    ck_assert_uint_eq(histogram.count, N);
    ck_assert_uint_eq(histogram.sum, sum);
    ck_assert_uint_eq(histogram.max, (uint64_t)values[N - 1]);
    for (int percent = 0; percent <= 100; percent++) {
        double rank = ceil(percent / 100.0 * N);
        int64_t value = values[rank < 1 ? 0 : (size_t)rank - 1];
        int64_t found = weir_histogram_quantile(&histogram, percent / 100.0);
        double off = fabs((double)found - (double)value);
        ck_assert_msg(off <= (double)value * 0.0625 + 4, "at %d %%: %lld is told as %lld", percent,
                      (long long)value, (long long)found);
    }
}
END_TEST

START_TEST(a_quantile_is_never_above_the_largest)
{
    weir_histogram histogram = {0};
    ck_assert_int_eq(weir_histogram_quantile(&histogram, 0.5), 0);
    weir_histogram_record(&histogram, 64);
    for (int i = 0; i <= 10; i++)
        ck_assert_int_eq(weir_histogram_quantile(&histogram, i / 10.0), 64);
}
END_TEST

START_TEST(bad_arguments_of_histograms)
{
    weir_histogram histogram = {0};
    uint64_t a = 7, b = 7;
    ck_assert_int_eq(weir_histogram_quantile(NULL, 0.5), -EINVAL);
    ck_assert_int_eq(weir_histogram_quantile(&histogram, -0.1), -EINVAL);
    ck_assert_int_eq(weir_histogram_quantile(&histogram, 1.1), -EINVAL);
    ck_assert_int_eq(weir_histogram_quantile(&histogram, (double)NAN), -EINVAL);
    ck_assert_int_eq(weir_histogram_bounds(WEIR_HISTOGRAM_BUCKETS, &a, &b), -EINVAL);
    ck_assert_int_eq(weir_histogram_bounds(0, NULL, &b), -EINVAL);
    ck_assert_int_eq(weir_histogram_bounds(0, &a, NULL), -EINVAL);
    ck_assert(a == 7 && b == 7);
    weir_histogram_record(NULL, 1);
    weir_histogram_add(NULL, &histogram);
    weir_histogram_add(&histogram, NULL);
    weir_histogram_sub(NULL, &histogram);
    weir_histogram_sub(&histogram, NULL);
    ck_assert_uint_eq(histogram.count, 0);
}
END_TEST

START_TEST(the_last_minute_is_a_difference)
{
    weir_histogram before = {0}, after, both = {0};
    weir_histogram_record(&before, 1000000);
    weir_histogram_record(&before, 100);
    after = before;
    weir_histogram_record(&after, 100);
    weir_histogram_record(&after, 300);
    weir_histogram_sub(&after, &before);
    ck_assert_uint_eq(after.count, 2);
    ck_assert_uint_eq(after.sum, 400);
    uint64_t first, last;
    ck_assert_int_eq(weir_histogram_bounds(bucket_of(300), &first, &last), 0);
    ck_assert_uint_eq(after.max, last); /* all that is known of it */
    weir_histogram_add(&both, &before);
    weir_histogram_add(&both, &after);
    ck_assert_uint_eq(both.count, 4);
    ck_assert_uint_eq(both.sum, 1000500);
    ck_assert_uint_eq(both.max, 1000000);
    weir_histogram_sub(&before, &both); /* the wrong way round: never below zero */
    ck_assert_uint_eq(before.count, 0);
    ck_assert_uint_eq(before.sum, 0);
    ck_assert_uint_eq(before.max, 0);
}
END_TEST

/* Stats of a pool. */

static weir_pool_stats read_stats(const weir_pool *pool)
{
    weir_pool_stats stats = {.size = sizeof stats};
    ck_assert_int_eq(weir_pool_read_stats(pool, &stats), 0);
    return stats;
}

static weir_pool *measuring_pool(unsigned workers, unsigned capacity, weir_measure measure)
{
    weir_pool *pool;
    int err = weir_pool_new(
        &pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity, .measure = measure));
    ck_assert_int_eq(err, 0);
    return pool;
}

static int nothing(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

START_TEST(bad_arguments_of_read_stats)
{
    weir_pool *pool = new_pool(1, 1);
    weir_pool_stats stats = {.size = sizeof stats};
    ck_assert_int_eq(weir_pool_read_stats(NULL, &stats), -EINVAL);
    ck_assert_int_eq(weir_pool_read_stats(pool, NULL), -EINVAL);
    stats.size = 0;
    ck_assert_int_eq(weir_pool_read_stats(pool, &stats), -EINVAL);
    stats.size = SIZE_MAX;
    ck_assert_int_eq(weir_pool_read_stats(pool, &stats), -EINVAL);
    struct {
        weir_pool_stats stats;
        char newer[64];
    } later;
    memset(&later, 0xff, sizeof later);
    later.stats.size = sizeof later;
    ck_assert_int_eq(weir_pool_read_stats(pool, &later.stats), 0);
    for (size_t i = 0; i < sizeof later.newer; i++)
        ck_assert_int_eq(later.newer[i], 0);
    weir_pool *other = NULL;
    ck_assert_int_eq(weir_pool_new(&other, WEIR_POOL_OPTIONS(.measure = (weir_measure)3)), -EINVAL);
    ck_assert_ptr_null(other);
    weir_pool_free(pool);
}
END_TEST

START_TEST(all_means_all)
{
    enum { N = 5000 };
    weir_pool *pool = measuring_pool(2, 64, WEIR_MEASURE_ALL);
    for (size_t i = 0; i < N; i++)
        ck_assert_int_eq(weir_pool_submit(pool, nothing, NULL), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_stats stats = read_stats(pool);
    ck_assert_uint_eq(stats.wait.count, N);
    ck_assert_uint_eq(stats.run.count, N);
    ck_assert_uint_eq(stats.measured, N);
    ck_assert_uint_eq(stats.counts.done, N);
    finish_pool(pool);
}
END_TEST

START_TEST(none_means_none)
{
    weir_pool *pool = measuring_pool(2, 64, WEIR_MEASURE_NONE);
    weir_task task = WEIR_TASK_INIT;
    for (size_t i = 0; i < 1000; i++)
        ck_assert_int_eq(weir_pool_submit(pool, nothing, NULL), 0);
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &task, nothing, NULL, NULL, weir_after(WEIR_US(100))), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_stats stats = read_stats(pool);
    ck_assert_uint_eq(stats.wait.count, 0);
    ck_assert_uint_eq(stats.run.count, 0);
    ck_assert_uint_eq(stats.measured, 0);
    ck_assert_uint_eq(stats.counts.done, 1001);
    finish_pool(pool);
}
END_TEST

static pid_t worker_tid;

static int note_worker(unsigned index, void *user)
{
    (void)index;
    (void)user;
    worker_tid = thread_id();
    return 0;
}

/* Each task finds the worker asleep. */
START_TEST(a_quiet_pool_is_measured_in_full)
{
    enum { N = 50 };
    weir_pool *pool;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .on_worker_start = note_worker)), 0);
    for (size_t i = 0; i < N; i++) {
        thread_await_asleep(worker_tid);
        ck_assert_int_eq(weir_pool_submit(pool, nothing, NULL), 0);
        ck_assert_int_eq(weir_pool_drain(pool), 0);
    }
    weir_pool_stats stats = read_stats(pool);
    ck_assert_uint_eq(stats.wait.count, N);
    ck_assert_uint_eq(stats.measured, N);
    ck_assert_uint_ge(stats.parks, N - 1); /* it may sleep for the first time or the last */
    finish_pool(pool);
}
END_TEST

START_TEST(what_did_not_start_has_no_wait)
{
    gate hold = GATE_INIT;
    weir_pool *pool = measuring_pool(1, 4, WEIR_MEASURE_ALL);
    weir_task cancelled = WEIR_TASK_INIT, expired = WEIR_TASK_INIT;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &cancelled, nothing, NULL, NULL), 0);
    int err;
    do /* that may be over before the submit has begun */
        err = weir_pool_submit_task(pool, &expired, nothing, NULL,
                                    WEIR_TASK_OPTIONS(.start_by = weir_after(WEIR_MS(1))));
    while (err == -ETIMEDOUT);
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(weir_task_cancel(&cancelled), 0);
    ck_assert_int_eq(weir_task_wait(&expired), 0);
    ck_assert_int_eq(weir_task_state(&expired), WEIR_TASK_EXPIRED);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(read_stats(pool).wait.count, 1); /* that of the gate */
    finish_pool(pool);
}
END_TEST

START_TEST(waits_and_runs_are_what_they_were)
{
    gate hold = GATE_INIT;
    weir_pool *pool = measuring_pool(1, 4, WEIR_MEASURE_ALL);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, nothing, NULL), 0);
    int64_t from = weir_now();
    while (weir_now() - from < WEIR_MS(20))
        continue;
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_stats stats = read_stats(pool);
    ck_assert_uint_eq(stats.wait.count, 2);
    ck_assert_uint_ge(stats.wait.max, 20000000); /* of the second, behind the gate */
    ck_assert_uint_ge(stats.run.max, 20000000);  /* of the first, at the gate */
    ck_assert_int_ge(weir_histogram_quantile(&stats.wait, 1), 20000000);
    finish_pool(pool);
}
END_TEST

static int wait_for_gate_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_task_wait(arg);
}

START_TEST(workers_are_busy_blocked_or_parked)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(2, 4);
    weir_task held = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &held, gate_task, &hold, NULL), 0);
    gate_await(&hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, wait_for_gate_task, &held), 0);
    while (read_stats(pool).workers_blocked != 1)
        continue;
    weir_pool_stats before = read_stats(pool);
    ck_assert_uint_eq(before.workers_busy, 1); /* it blocks in what weir knows nothing of */
    int64_t from = weir_now();
    while (weir_now() - from < WEIR_MS(20))
        continue;
    weir_pool_stats after = read_stats(pool);
    ck_assert_uint_ge(after.blocked_ns - before.blocked_ns, 19000000);
    ck_assert_uint_ge(after.busy_ns - before.busy_ns, 19000000);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    do
        after = read_stats(pool);
    while (after.workers_busy + after.workers_blocked != 0);
    finish_pool(pool);
}
END_TEST

/* Submits to a full pool: the end of what is expired at its head is told on this thread, while it
 * waits for room, and runs a task in place that waits in its turn. */

struct crowded {
    weir_pool *pool;
    counter napped;
};

static int nap(weir_context *ctx, void *unused)
{
    (void)unused;
    return weir_sleep_until(ctx, weir_after(WEIR_MS(5)));
}

static void submit_naps(void *arg, weir_state end, int status)
{
    (void)end;
    (void)status;
    struct crowded *crowded = arg;
    for (int i = 0; i < 2; i++) /* one takes the room, the other runs here */
        ck_assert_int_eq(weir_pool_submit(crowded->pool, nap, NULL), 0);
    counter_add(&crowded->napped, 1);
}

static int submit_to_crowded(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct crowded *crowded = arg;
    return weir_pool_submit(crowded->pool, nothing, NULL);
}

START_TEST(a_wait_of_a_task_that_runs_within_a_wait_for_room_counts_once)
{
    int64_t from = weir_now();
    gate hold = GATE_INIT;
    struct crowded crowded = {.pool = new_pool(1, 1), .napped = COUNTER_INIT};
    weir_task expires = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(1, 4);
    saturate(crowded.pool, &hold, 1);
    int err = weir_pool_submit_task(
        crowded.pool, &expires, nothing, &crowded,
        WEIR_TASK_OPTIONS(.start_by = weir_after(WEIR_MS(100)), .on_done = submit_naps));
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(weir_pool_submit(pool, submit_to_crowded, &crowded), 0);
    counter_await(&crowded.napped, 1);
    while (read_stats(pool).workers_blocked != 1) /* the nap is over, and it waits for room again */
        continue;
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_eq(weir_pool_submit(pool, nap, NULL), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_stats stats = read_stats(pool);
    ck_assert_uint_ge(stats.blocked_ns, WEIR_MS(5)); /* that of the last nap */
    ck_assert_uint_le(stats.blocked_ns + stats.busy_ns, (uint64_t)(weir_now() - from));
    finish_pool(pool);
    finish_pool(crowded.pool);
}
END_TEST

static int blink(weir_context *ctx, void *unused)
{
    (void)unused;
    return weir_sleep_until(ctx, weir_after(WEIR_US(1)));
}

/* Worth something only because it is tried often: a worker is to be met in between. */
START_TEST(times_of_workers_never_go_back)
{
    enum { READS = 50000 };
    weir_pool *pool = new_pool(4, 4);
    weir_pool_stats last = read_stats(pool);
    for (unsigned i = 0; i < READS; i++) {
        if (weir_pool_queued(pool) == 0)
            ck_assert_int_eq(weir_pool_submit(pool, blink, NULL), 0);
        weir_pool_stats stats = read_stats(pool);
        ck_assert_uint_ge(stats.busy_ns, last.busy_ns);
        ck_assert_uint_ge(stats.blocked_ns, last.blocked_ns);
        last = stats;
    }
    finish_pool(pool);
}
END_TEST

enum { STARTERS = 8 };

static int read_own_stats(unsigned index, void *ret)
{
    weir_pool_stats *stats = (weir_pool_stats *)ret + index;
    stats->size = sizeof *stats;
    return weir_pool_workers(weir_pool_current()) == STARTERS
               ? weir_pool_read_stats(weir_pool_current(), stats)
               : -1;
}

/* Those that have not begun have done nothing. */
START_TEST(stats_can_be_read_while_workers_start)
{
    static weir_pool_stats seen[STARTERS];
    int64_t from = weir_now();
    weir_pool *pool;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = STARTERS,
                                               .on_worker_start = read_own_stats, .user = seen)),
        0);
    int64_t most = STARTERS * (weir_now() - from);
    for (unsigned i = 0; i < STARTERS; i++)
        ck_assert_uint_le(seen[i].busy_ns, (uint64_t)most);
    finish_pool(pool);
}
END_TEST

static int submit_to_own_pool(weir_context *ctx, void *arg)
{
    (void)ctx;
    weir_pool *pool = weir_pool_current();
    for (int i = 0; i < 3; i++)
        if (weir_pool_submit(pool, counter_task, arg) != 0)
            return -1;
    return 0;
}

START_TEST(runs_in_place_and_helped_ones_are_counted)
{
    counter ran = COUNTER_INIT;
    weir_pool *pool = measuring_pool(1, 1, WEIR_MEASURE_ALL);
    ck_assert_int_eq(weir_pool_submit(pool, submit_to_own_pool, &ran), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(counter_get(&ran), 3);
    weir_pool_stats stats = read_stats(pool);
    ck_assert_uint_eq(stats.in_place, 2);
    ck_assert_uint_eq(stats.helped, 0);
    ck_assert_uint_eq(stats.wait.count, 4);
    finish_pool(pool);

    pool = measuring_pool(1, 4, WEIR_MEASURE_ALL);
    gate hold = GATE_INIT;
    weir_task first = WEIR_TASK_INIT, second = WEIR_TASK_INIT;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &first, wait_for_gate_task, &second, NULL), 0);
    ck_assert_int_eq(weir_pool_submit_task(pool, &second, counter_task, &ran, NULL), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait(&first), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    stats = read_stats(pool);
    ck_assert_uint_eq(stats.helped, 1);
    ck_assert_uint_eq(stats.run.count, 3);
    finish_pool(pool);
}
END_TEST

/* Times by name. */

static const weir_name_times *named(const weir_name_times all[], int64_t n, const char *name)
{
    for (int64_t i = 0; i < n; i++)
        if (strcmp(all[i].name, name) == 0)
            return &all[i];
    return NULL;
}

static int run_named(weir_pool *pool, weir_task_fn *fn, void *arg, const char *name)
{
    weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(pool, &task, fn, arg, WEIR_TASK_OPTIONS(.name = name));
    return err != 0 ? err : weir_task_wait(&task);
}

static int64_t cpu_time(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int use_cpu(weir_context *ctx, void *unused)
{
    (void)ctx;
    (void)unused;
    for (int64_t from = cpu_time(); cpu_time() - from < 20000000;)
        continue;
    return 0;
}

static int use_none(weir_context *ctx, void *unused)
{
    (void)unused;
    return weir_sleep_until(ctx, weir_after(WEIR_MS(20)));
}

START_TEST(times_by_name)
{
    weir_pool *pool = measuring_pool(1, 16, WEIR_MEASURE_ALL);
    weir_name_times all[16];
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(run_named(pool, use_cpu, NULL, "spins"), 0);
        ck_assert_int_eq(run_named(pool, use_none, NULL, "sleeps"), 0);
    }
    ck_assert_int_eq(weir_pool_submit(pool, nothing, NULL), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    int64_t n = weir_pool_read_names(pool, all, 16);
    ck_assert_int_eq(n, 3);
    const weir_name_times *spins = named(all, n, "spins"), *sleeps = named(all, n, "sleeps");
    const weir_name_times *plain = named(all, n, "nothing");
    ck_assert(spins != NULL && sleeps != NULL && plain != NULL);
    ck_assert(spins->count == 3 && sleeps->count == 3 && plain->count == 1);
    ck_assert_uint_ge(spins->run_ns, 60000000);
    ck_assert_uint_ge(sleeps->run_ns, 60000000);
    ck_assert_uint_ge(spins->cpu_ns, 59000000);
    ck_assert_uint_le(sleeps->cpu_ns, sleeps->run_ns / 2);
    ck_assert_ptr_eq(plain, &all[2]); /* what took most comes first */
    n = weir_pool_read_names(pool, all, 2);
    ck_assert_int_eq(n, 2);
    ck_assert_str_eq(all[1].name, ""); /* the rest */
    ck_assert_uint_eq(all[0].count + all[1].count, 7);
    ck_assert_int_eq(weir_pool_read_names(pool, all, 1), 1);
    ck_assert_uint_eq(all[0].count, 7);
    ck_assert_int_eq(weir_pool_read_names(NULL, all, 1), -EINVAL);
    ck_assert_int_eq(weir_pool_read_names(pool, NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_pool_read_names(pool, all, 0), -EINVAL);
    finish_pool(pool);
}
END_TEST

/* Names that come once each do not push out one that comes often, and no run is forgotten. On one
 * worker: each has a table of its own, where a name that it has met once may be pushed out. */
START_TEST(common_names_stay)
{
    enum { N = 2000 };
    weir_pool *pool = measuring_pool(1, 16, WEIR_MEASURE_ALL);
    weir_name_times all[128];
    for (int i = 0; i < N; i++) {
        char name[100];
        (void)snprintf(name, sizeof name, "request %d with a name that is longer than what is kept",
                       i);
        ck_assert_int_eq(run_named(pool, nothing, NULL, i % 4 == 0 ? "common" : name), 0);
    }
    int64_t n = weir_pool_read_names(pool, all, 128);
    const weir_name_times *common = named(all, n, "common");
    ck_assert_ptr_nonnull(common);
    ck_assert_uint_eq(common->count, N / 4);
    ck_assert_str_eq(all[n - 1].name, "");
    uint64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        ck_assert_uint_lt(strlen(all[i].name), sizeof all[i].name);
        count += all[i].count;
    }
    ck_assert_uint_eq(count, N);
    finish_pool(pool);
}
END_TEST

static int submit_many_named(void *pool)
{
    for (int i = 0; i < 2000; i++) {
        weir_task task = WEIR_TASK_INIT;
        if (weir_pool_submit_task(pool, &task, nothing, NULL,
                                  WEIR_TASK_OPTIONS(.name = "outside")) != 0 ||
            weir_task_wait(&task) != 0)
            return -1;
    }
    return 0;
}

/* Threads that are no workers share one table. */
START_TEST(times_by_name_of_runs_outside)
{
    gate hold = GATE_INIT;
    weir_pool *pool;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1,
                                                     .measure = WEIR_MEASURE_ALL,
                                                     .overflow = WEIR_OVERFLOW_CALLER_RUNS));
    ck_assert_int_eq(err, 0);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, nothing, NULL), 0);
    caller callers[3];
    for (int i = 0; i < 3; i++)
        caller_start(&callers[i], submit_many_named, pool);
    weir_name_times all[8];
    for (int i = 0; i < 100; i++)
        ck_assert_int_ge(weir_pool_read_names(pool, all, 8), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(caller_join(&callers[i]), 0);
    int64_t n = weir_pool_read_names(pool, all, 8);
    uint64_t count = 0; /* where two threads met, one of them went to the rest */
    for (int64_t i = 0; i < n; i++)
        count += all[i].count;
    ck_assert_uint_eq(count, 6000);
    ck_assert_ptr_nonnull(named(all, n, "outside"));
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

START_TEST(stats_of_an_inherited_pool_are_stale)
{
    weir_pool *pool = new_pool(1, 1);
    pid_t child = fork();
    if (child == 0) {
        weir_pool_stats stats = {.size = sizeof stats};
        int err = weir_pool_read_stats(pool, &stats);
        weir_name_times name;
        if (weir_pool_read_names(pool, &name, 1) != -ESTALE)
            err = 0;
        weir_pool_free(pool);
        _exit(err == -ESTALE ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    weir_pool_free(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("stats");
    TCase *histogram = add_group(suite, "histogram");
    tcase_add_test(histogram, buckets_cover_every_value_once);
    tcase_add_test(histogram, values_go_where_the_bounds_say);
    tcase_add_test(histogram, a_quantile_is_off_by_a_sixteenth_at_most);
    tcase_add_test(histogram, quantiles_of_many_values);
    tcase_add_test(histogram, a_quantile_is_never_above_the_largest);
    tcase_add_test(histogram, the_last_minute_is_a_difference);
    tcase_add_test(histogram, bad_arguments_of_histograms);
    TCase *pool = add_group(suite, "pool");
    tcase_add_test(pool, bad_arguments_of_read_stats);
    tcase_add_test(pool, all_means_all);
    tcase_add_test(pool, none_means_none);
    tcase_add_test(pool, a_quiet_pool_is_measured_in_full);
    tcase_add_test(pool, what_did_not_start_has_no_wait);
    tcase_add_test(pool, waits_and_runs_are_what_they_were);
    tcase_add_test(pool, workers_are_busy_blocked_or_parked);
    tcase_add_test(pool, a_wait_of_a_task_that_runs_within_a_wait_for_room_counts_once);
    tcase_add_test(pool, times_of_workers_never_go_back);
    tcase_add_test(pool, stats_can_be_read_while_workers_start);
    tcase_add_test(pool, runs_in_place_and_helped_ones_are_counted);
    tcase_add_test(pool, times_by_name);
    tcase_add_test(pool, common_names_stay);
    tcase_add_test(pool, times_by_name_of_runs_outside);
    tcase_add_test(pool, stats_of_an_inherited_pool_are_stale);
    return suite;
}
