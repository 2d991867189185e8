/* SPDX-License-Identifier: MIT */
/* weir/stats.h - how long tasks wait and run, what workers do with their time; and histograms.
 *
 *     weir_pool_stats stats = {.size = sizeof stats};
 *     weir_pool_read_stats(pool, &stats);
 *     printf("p99 of the wait: %" PRId64 " ns\n", weir_histogram_quantile(&stats.wait, 0.99));
 *
 * A pool always measures (weir_pool_options.measure), but not every task where they come thick: to
 * read the clock can cost more than an empty task. Tasks are chosen when they are submitted, at
 * random, and each one that is measured counts for as many as it was chosen from. So the histograms
 * of a mix of busy and quiet times are those of all tasks, up to chance. Where tasks are rare, all
 * of them are measured: those that find an idle worker to wake, those of a thread that submits
 * fewer than one in 32 us, and those that waited for their time (timer.h, retry.h).
 *
 * The last minute: keep the stats of a minute ago, and weir_histogram_sub them from those of now.
 */
#ifndef WEIR_STATS_H
#define WEIR_STATS_H

#include "pool.h"

WEIR_BEGIN_DECLS

/* Values below 64 have buckets 8 wide; from there on each power of two has 8 buckets, up to 2^43 ns
 * (two hours and a half). The last bucket has all that is above it as well. */
#define WEIR_HISTOGRAM_BUCKETS 304

/* Durations in ns, or whatever else is counted. All-zero is an empty one. A plain value: to be read
 * and changed by one thread at a time. */
typedef struct weir_histogram {
    uint64_t count; /* values: the sum of the buckets */
    uint64_t sum;   /* of the values */
    uint64_t max;   /* the largest value */
    uint64_t buckets[WEIR_HISTOGRAM_BUCKETS];
} weir_histogram;

/* The value below which the fraction `q` of all lies, in 0..1: 0.5 is the median, 1 the largest.
 * From 64 ns to an hour it is off by 6.25 % at most; below 64 ns by 4 ns. 0 if it is empty;
 * -EINVAL: NULL, or `q` is not in 0..1. */
WEIR_API int64_t weir_histogram_quantile(const weir_histogram *histogram, double q);

/* Adds one value; a negative one counts as 0. NULL: nothing. */
WEIR_API void weir_histogram_record(weir_histogram *histogram, int64_t value);

/* Adds all values of `from`; takes away those of an earlier state of the same histogram. After the
 * latter `max` is the largest that the buckets which are left allow. NULL: nothing. */
WEIR_API void weir_histogram_add(weir_histogram *to, const weir_histogram *from);
WEIR_API void weir_histogram_sub(weir_histogram *from, const weir_histogram *earlier);

/* The values of a bucket: from *ret_first to *ret_last, which is UINT64_MAX for the last bucket.
 * Returns 0; -EINVAL: there is no such bucket, or NULL. */
WEIR_API int weir_histogram_bounds(size_t bucket, uint64_t *ret_first, uint64_t *ret_last);

typedef struct weir_pool_stats {
    size_t size; /* filled by the caller: sizeof of this struct */
    weir_pool_counts counts;
    weir_histogram wait; /* of tasks that have started: from the submit, or the time that it was
                            due, to the start; each run of a task that repeats */
    weir_histogram run;  /* from the start to the end, waits inside included */
    uint64_t measured;   /* how many runs the histograms rest on; `count` is what they stand for */
    uint64_t in_place;   /* tasks that were run by the thread that submitted them: no room */
    uint64_t helped;     /* tasks that were run by a thread that waited for them */
    uint64_t parks;      /* sleeps of workers for want of tasks */
    uint64_t wakes;      /* those that a wake has ended */
    uint64_t busy_ns;    /* time of the workers, all together: running tasks or looking for one */
    uint64_t blocked_ns; /* in a wait of weir inside a task, or between weir_blocking_begin and
                            _end; the rest they were parked */
    unsigned workers_busy;    /* now running a task, and not blocked */
    unsigned workers_blocked; /* now in a wait, as in blocked_ns */
    uint64_t gated;           /* now at a gate, of counts.delayed */
    unsigned workers;         /* threads, now */
    /* Of a pool with workers_max: workers that were added; that left again; and that could not be
       added, for want of a thread or because on_worker_start refused, each try */
    uint64_t grown, shrunk, not_grown;
} weir_pool_stats;

/* Reads the stats of a pool. Each number is read by itself, while tasks move; at rest all agree
 * (a worker that has just ended a task may take a moment to park). Times of workers never go back.
 * Never blocks, takes no lock.
 * Returns 0; -EINVAL (NULL, or a size that never was); -ESTALE. Fields that this version does not
 * know are set to 0. */
WEIR_API WEIR_NODISCARD int weir_pool_read_stats(const weir_pool *pool, weir_pool_stats *ret);

/* What the tasks of one name took, all runs together, in ns. */
typedef struct weir_name_times {
    char name[64];  /* the task's, cut to fit, or its function's, as in dump.h; empty: all others */
    uint64_t count; /* runs: those that were measured, each for as many as it stands for */
    uint64_t wait_ns, run_ns;
    uint64_t
        cpu_ns; /* on a CPU, while it ran; read for some runs, and true of the rest up to chance;
                        0: for none so far */
} weir_name_times;

/* Reads the times of the commonest names, those that took most first, and the rest in one entry at
 * the end. Each thread keeps 32 names apart; one that is rare may give way to others, and then its
 * times are in the rest. 64 entries hold what there is, mostly. Never blocks, but looks up names
 * of functions in files.
 * Returns how many of the `n` entries are filled; -EINVAL (NULL, or n is 0); -ESTALE. */
WEIR_API WEIR_NODISCARD int64_t weir_pool_read_names(const weir_pool *pool, weir_name_times ret[],
                                                     size_t n);

WEIR_END_DECLS

#endif
