/* SPDX-License-Identifier: MIT */
/* common.h - what every benchmark shares: the clock, rounds that take turns, medians, the table.
 *
 * The same program can run at half the speed a minute later, so a time means little by itself. What
 * is compared therefore runs in one process and in turns: in every round each contender runs once,
 * beginning with another one each time, and the ratio is the median of the rounds' own ratios.
 *
 *     int main(int argc, char **argv)
 *     {
 *         bench_begin(argc, argv);
 *         struct contender contenders[] = {{.name = "new", ...}, {.name = "old", ...}};
 *         bench_compare(&(struct comparison){..., .against = &contenders[1]});
 *         return bench_end();
 *     }
 *
 * Goals are printed beside the numbers and never fail a benchmark. A wrong count or sum does, and a
 * limit that is passed: limits are so wide that only a loss of about half the speed passes them,
 * and are judged by the best quarter of the rounds, so that a busy machine does not.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_METRICS = 4 };

typedef enum { NO_GOAL, VALUE_AT_MOST, RATIO_AT_MOST } goal_kind;

struct goal {
    goal_kind kind;
    double limit;
};

struct contender {
    const char *name;
    void (*round)(void *arg, double ret_values[]); /* one round; one value for each metric */
    void *arg;
    struct goal goals[MAX_METRICS];
    struct goal limits[MAX_METRICS];
};

struct comparison {
    const char *title;
    const char *metrics[MAX_METRICS + 1]; /* what is measured, in which unit; ends with NULL */
    const struct contender *contenders;
    size_t n;
    const struct contender *against; /* the one that ratios are relative to; NULL: no ratios */
    const struct contender *limit_against; /* ... that limits are; NULL: `against` */
    unsigned rounds;
};

/* Reads the arguments; "-q" asks for a hundredth of the work, to see that all is right: too little
 * for limits. */
void bench_begin(int argc, char **argv);

/* Are there limits? Not with "-q", nor without optimisation. */
bool bench_has_limits(void);

/* `n`, or with "-q" a hundredth of it, at least 1. */
size_t bench_scaled(size_t n);

/* Runs the rounds, after one that does not count, and prints the table. */
void bench_compare(const struct comparison *comparison);

/* Unless `right`: says what is wrong and makes bench_end return a failure. For the main thread. */
void bench_check(bool right, const char *what);

/* As bench_check, but ends the program: for what nothing can go on without. */
void bench_require(bool right, const char *what);

/* The exit status of the program: a failure if something was wrong or beyond its limit. */
int bench_end(void);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t bench_now(void);

/* Sleeps until `at` on that clock. */
void bench_sleep_until(int64_t at);

/* Sorts `values` and returns the smallest that is not less than the fraction `p` of them. */
double bench_percentile(double values[], size_t n, double p);

/* What the process has done so far. */
struct bench_usage {
    uint64_t wakes;           /* see wakes.h */
    uint64_t switches;        /* voluntary context switches of all threads */
    uint64_t others_switches; /* ... of all but the caller */
    int64_t cpu;              /* ns of processor time of all threads */
    int64_t others_cpu;       /* ... of all but the caller */
};

struct bench_usage bench_read_usage(void);

#endif
