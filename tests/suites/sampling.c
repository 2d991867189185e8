/* SPDX-License-Identifier: MIT */
/* sampling.c - is what a sampled histogram says true of all tasks? By a clock and a pool that are
 * made up, so that each run is the same: weir_now is replaced as this is linked, and the sampler of
 * record/sample.h chooses among tasks whose waits and runs are known.
 *
 * A sample is never exact. So each traffic is played with many seeds: a bias stays in the mean, and
 * chance does not.
 */
#include "support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/pace.h"
#include "record/histogram.h"
#include "record/sample.h"
#include "support/slow.h"

int64_t __wrap_weir_now(void);

static int64_t clock_now;

int64_t __wrap_weir_now(void)
{
    return clock_now;
}

/* Next submit: how long after the last one, and how long the task runs. */
struct traffic {
    void (*next)(size_t i, int64_t *ret_gap, int64_t *ret_run);
    size_t tasks;
    unsigned workers;
    int64_t wake; /* how long it takes to wake one */
};

enum { MOST_WORKERS = 4, SEEDS = 100, FEWER_SEEDS = 20 };

struct histograms {
    struct histogram wait, run;
    double wait_squares, run_squares; /* of all */
};

/* A queue that is served in order by the worker that is free first. */
static void play(const struct traffic *traffic, struct histograms *all, struct histograms *sampled,
                 uint64_t *ret_measured)
{
    struct sampler *sampler = &this_thread()->sampler;
    int64_t free_at[MOST_WORKERS] = {0}, last_wake = 0;
    for (size_t i = 0; i < traffic->tasks; i++) {
        int64_t gap, run;
        traffic->next(i, &gap, &run);
        clock_now += gap;
        uint64_t stamp = sample(sampler);
        unsigned first = 0;
        for (unsigned k = 1; k < traffic->workers; k++)
            if (free_at[k] < free_at[first])
                first = k;
        int64_t start = clock_now;
        if (free_at[first] > clock_now) {
            start = free_at[first];
        } else {
            start += traffic->wake;
            if (clock_now - last_wake >= WORKER_SHORT_GAP_NS) /* as weir__queue_woke */
                sample_woke(sampler);
            last_wake = clock_now;
        }
        free_at[first] = start + run;
        uint64_t wait = (uint64_t)(start - clock_now);
        histogram_note(&all->wait, wait, 1, false);
        histogram_note(&all->run, (uint64_t)run, 1, false);
        all->wait_squares += (double)wait * (double)wait;
        all->run_squares += (double)run * (double)run;
        if (stamp != 0) {
            ck_assert_int_eq(stamp_time(stamp), clock_now);
            histogram_note(&sampled->wait, wait, stamp_weight(stamp), false);
            histogram_note(&sampled->run, (uint64_t)run, stamp_weight(stamp), false);
            ++*ret_measured;
        }
    }
}

static double fraction_above(const weir_histogram *histogram, uint64_t value)
{
    uint64_t above = 0;
    for (size_t i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++) {
        uint64_t first, last;
        (void)weir_histogram_bounds(i, &first, &last);
        if (first >= value)
            above += histogram->buckets[i];
    }
    return (double)above / (double)histogram->count;
}

static double mean(const weir_histogram *histogram)
{
    return (double)histogram->sum / (double)histogram->count;
}

struct sums {
    double count, mean_wait, mean_run, tail_wait, tail_run;
    double wait_squares, run_squares; /* means of them */
};

static void add_sums(struct sums *sums, const struct histograms *histograms,
                     const struct histograms *all)
{
    weir_histogram wait = {0}, run = {0}, all_wait = {0}, all_run = {0};
    histogram_read(&histograms->wait, &wait);
    histogram_read(&histograms->run, &run);
    histogram_read(&all->wait, &all_wait);
    histogram_read(&all->run, &all_run);
    sums->count += (double)wait.count;
    sums->mean_wait += mean(&wait);
    sums->mean_run += mean(&run);
    sums->wait_squares += histograms->wait_squares / (double)wait.count;
    sums->run_squares += histograms->run_squares / (double)run.count;
    sums->tail_wait += fraction_above(&wait, (uint64_t)weir_histogram_quantile(&all_wait, 0.9));
    sums->tail_run += fraction_above(&run, (uint64_t)weir_histogram_quantile(&all_run, 0.9));
}

static void assert_near(double sampled, double all, double off, const char *what)
{
    ck_assert_msg(fabs(sampled - all) <= off * all, "%s: %g, sampled %g", what, all, sampled);
}

static unsigned seeds(void)
{
    return slow() ? FEWER_SEEDS : SEEDS;
}

/* By how much a share of `measured` tasks may be off: four times what is usual. */
static double chance(double share_of_all_seeds, uint64_t measured)
{
    double met = share_of_all_seeds / seeds() * (double)measured;
    return met > 0 ? 4 / sqrt(met) : 0;
}

/* The same for a mean, by the mean of the squares; both summed over all seeds. */
static double chance_of_mean(double mean, double squares, uint64_t measured)
{
    double variance = squares / seeds() - mean / seeds() * (mean / seeds());
    return 4 * sqrt(variance / (double)measured) / (mean / seeds());
}

/* Plays it with many seeds; all that is told is right on average, and the count each time. Returns
 * the share of tasks that were measured. */
static double assert_no_bias(const struct traffic *traffic, double off)
{
    static struct histograms all, sampled;
    struct sums of_all = {0}, of_sampled = {0};
    uint64_t measured = 0;
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        memset(&all, 0, sizeof all);
        memset(&sampled, 0, sizeof sampled);
        memset(&this_thread()->sampler, 0, sizeof this_thread()->sampler);
        this_thread()->random = seed * UINT64_C(0x9E3779B97F4A7C15);
        clock_now = 1000000000;
        play(traffic, &all, &sampled, &measured);
        add_sums(&of_all, &all, &all);
        add_sums(&of_sampled, &sampled, &all);
    }
    assert_near(of_sampled.count, of_all.count, 0.02, "tasks");
    assert_near(of_sampled.mean_wait, of_all.mean_wait,
                off + chance_of_mean(of_all.mean_wait, of_all.wait_squares, measured),
                "mean of the waits");
    assert_near(of_sampled.mean_run, of_all.mean_run,
                off + chance_of_mean(of_all.mean_run, of_all.run_squares, measured),
                "mean of the runs");
    assert_near(of_sampled.tail_wait, of_all.tail_wait, off + chance(of_all.tail_wait, measured),
                "waits above the 9th decile");
    assert_near(of_sampled.tail_run, of_all.tail_run, off + chance(of_all.tail_run, measured),
                "runs above the 9th decile");
    return (double)measured / (double)(seeds() * traffic->tasks);
}

/* Traffics. */

/* Every 64th task is long: a sample of each 64th or 128th would meet all of them, or none. */
static void in_step(size_t i, int64_t *ret_gap, int64_t *ret_run)
{
    *ret_gap = 60;
    *ret_run = i % 64 == 0 ? 3000 : 40;
}

START_TEST(a_flood_whose_tasks_repeat)
{
    struct traffic traffic = {in_step, 100000, 2, 5000};
    double share = assert_no_bias(&traffic, 0.01);
    ck_assert_msg(share < 0.01, "%g were measured", share);
}
END_TEST

/* The last of a burst wait longest, and after the pause the first finds a worker asleep. */
static void in_bursts(size_t i, int64_t *ret_gap, int64_t *ret_run)
{
    *ret_gap = i % 700 == 0 ? 5000000 : 30;
    *ret_run = 200;
}

START_TEST(bursts)
{
    struct traffic traffic = {in_bursts, 105000, 2, 20000};
    double share = assert_no_bias(&traffic, 0.01);
    ck_assert_msg(share < 0.02, "%g were measured", share);
}
END_TEST

/* A busy and a quiet time after each other, with tasks that have nothing in common. */
static void in_phases(size_t i, int64_t *ret_gap, int64_t *ret_run)
{
    bool busy = i % 11000 < 10000;
    *ret_gap = busy ? 80 : 100000;
    *ret_run = busy ? 100 : 70000;
}

START_TEST(busy_and_quiet_times)
{
    struct traffic traffic = {in_phases, 110000, 2, 20000};
    double share = assert_no_bias(&traffic, 0.01);
    ck_assert_msg(share > 0.08, "of the quiet times %g were measured", share * 11);
    ck_assert_msg(share < 0.12, "of the busy times %g were measured", share * 1.1);
}
END_TEST

/* The same without a worker that is ever idle: nothing but the clock tells them apart. */
static void in_phases_without_rest(size_t i, int64_t *ret_gap, int64_t *ret_run)
{
    bool busy = i % 11000 < 10000;
    *ret_gap = busy ? 80 : 20000;
    *ret_run = busy ? 90 : 21000;
}

START_TEST(busy_and_quiet_times_of_workers_without_rest)
{
    struct traffic traffic = {in_phases_without_rest, 110000, 1, 20000};
    (void)assert_no_bias(&traffic, 0.01);
}
END_TEST

/* Two kinds of tasks, a few thousand times apart. */
static void in_two_modes(size_t i, int64_t *ret_gap, int64_t *ret_run)
{
    uint64_t dice = (uint64_t)(i + 1) * UINT64_C(0x9E3779B97F4A7C15) >> 40;
    *ret_gap = (int64_t)(100 + dice % 900);
    *ret_run = dice % 5 == 0 ? 4000 : 1;
}

START_TEST(two_kinds_of_tasks)
{
    struct traffic traffic = {in_two_modes, 100000, 4, 5000};
    (void)assert_no_bias(&traffic, 0.01);
}
END_TEST

/* Rare tasks are all measured, whatever came before. */
static void rare_after_flood(size_t i, int64_t *ret_gap, int64_t *ret_run)
{
    *ret_gap = i < 10000 ? 50 : 1000000;
    *ret_run = 1000;
}

START_TEST(rare_tasks_are_measured_in_full)
{
    static struct histograms all, sampled;
    struct traffic flood = {rare_after_flood, 10000, 4, 5000};
    uint64_t before = 0, after = 0;
    memset(&this_thread()->sampler, 0, sizeof this_thread()->sampler);
    this_thread()->random = 1;
    clock_now = 1000000000;
    play(&flood, &all, &sampled, &before);
    for (size_t i = 0; i < 100; i++) {
        clock_now += 1000000;
        uint64_t stamp = sample(&this_thread()->sampler);
        sample_woke(&this_thread()->sampler);
        if (stamp != 0) {
            ck_assert(i == 0 || stamp_weight(stamp) == 1);
            after++;
        }
    }
    ck_assert_uint_ge(after, 99); /* the first may be one of the flood's blocks */
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("sampling");
    TCase *bias = add_group(suite, "bias");
    tcase_add_test(bias, a_flood_whose_tasks_repeat);
    tcase_add_test(bias, bursts);
    tcase_add_test(bias, busy_and_quiet_times);
    tcase_add_test(bias, busy_and_quiet_times_of_workers_without_rest);
    tcase_add_test(bias, two_kinds_of_tasks);
    tcase_add_test(bias, rare_tasks_are_measured_in_full);
    return suite;
}
