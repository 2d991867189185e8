/* SPDX-License-Identifier: MIT */
/* common.c - the clock, rounds that take turns, medians, and the one table of the benchmarks. */
#include "common.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QUICK_DIVISOR = 100, QUICK_ROUNDS = 2 };

/* The part of the rounds that may be slow for other reasons. */
static const double limit_percentile = 0.25;

static bool quick;
static bool failed;

void bench_begin(int argc, char **argv)
{
    quick = argc == 2 && strcmp(argv[1], "-q") == 0;
    if (argc > 1 && !quick) {
        fprintf(stderr, "usage: %s [-q]\n", argv[0]);
        exit(2);
    }
#ifndef __OPTIMIZE__
    printf("Built without optimisation: the numbers below say nothing.\n");
#elif defined(BENCH_DEBUG_CHECKS)
    printf("The library checks itself (debug_checks): a release build is faster.\n");
#endif
}

bool bench_has_limits(void)
{
#ifdef __OPTIMIZE__
    return !quick;
#else
    return false;
#endif
}

size_t bench_scaled(size_t n)
{
    size_t scaled = quick ? n / QUICK_DIVISOR : n;
    return scaled > 0 ? scaled : 1;
}

void bench_check(bool right, const char *what)
{
    if (right)
        return;
    failed = true;
    fprintf(stderr, "WRONG: %s\n", what);
}

void bench_require(bool right, const char *what)
{
    bench_check(right, what);
    if (!right)
        exit(EXIT_FAILURE);
}

int bench_end(void)
{
    bench_check(fflush(stdout) == 0, "the table could not be written");
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int64_t bench_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void bench_sleep_until(int64_t at)
{
    struct timespec t = {.tv_sec = (time_t)(at / 1000000000), .tv_nsec = (long)(at % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_percentile(double values[], size_t n, double p)
{
    qsort(values, n, sizeof values[0], compare_doubles);
    size_t rank = (size_t)ceil(p * (double)n);
    return values[rank > 0 ? rank - 1 : 0];
}

/* Where the value of one metric, contender and round lies; rounds are adjacent. */
static double *sample(double *samples, const struct comparison *c, size_t metric, size_t contender)
{
    return samples + (metric * c->n + contender) * c->rounds;
}

static void run_rounds(const struct comparison *c, size_t metrics, double *samples)
{
    double values[MAX_METRICS] = {0};
    for (size_t i = 0; i < c->n; i++)
        c->contenders[i].round(c->contenders[i].arg, values);
    for (unsigned r = 0; r < c->rounds; r++) {
        for (size_t turn = 0; turn < c->n; turn++) {
            size_t i = (r + turn) % c->n;
            c->contenders[i].round(c->contenders[i].arg, values);
            for (size_t m = 0; m < metrics; m++)
                sample(samples, c, m, i)[r] = values[m];
        }
    }
}

/* Three significant digits or more, without an exponent. */
static const char *number(char *buffer, size_t size, double value)
{
    int digits = value == 0 || value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 4;
    (void)snprintf(buffer, size, "%.*f", digits, value);
    return buffer;
}

/* A percentile of the rounds' ratios; false if a round of the reference measured nothing. */
static bool ratio_at(double p, const double *own, const double *reference, unsigned rounds,
                     double *scratch, double *ret_ratio)
{
    for (unsigned r = 0; r < rounds; r++) {
        if (!(reference[r] > 0))
            return false;
        scratch[r] = own[r] / reference[r];
    }
    *ret_ratio = bench_percentile(scratch, rounds, p);
    return true;
}

/* Says so and makes the program fail if most rounds are beyond the limit. */
static void check_limit(const struct comparison *c, size_t m, size_t i, double *samples,
                        double *scratch)
{
    const struct goal *limit = &c->contenders[i].limits[m];
    const struct contender *against = c->limit_against != NULL ? c->limit_against : c->against;
    const double *own = sample(samples, c, m, i);
    double value = 0;
    if (limit->kind == NO_GOAL || !bench_has_limits())
        return;
    if (limit->kind == VALUE_AT_MOST) {
        memcpy(scratch, own, c->rounds * sizeof *scratch);
        value = bench_percentile(scratch, c->rounds, limit_percentile);
    } else if (!ratio_at(limit_percentile, own,
                         sample(samples, c, m, (size_t)(against - c->contenders)), c->rounds,
                         scratch, &value)) {
        bench_check(false, "what a limit is relative to measured nothing");
        return;
    }
    if (value <= limit->limit)
        return;
    failed = true;
    char a[32], b[32];
    printf("  BEYOND THE LIMIT: %s, %s: in three rounds of four the %s%s is at least %s, the limit "
           "is %s\n",
           c->contenders[i].name, c->metrics[m],
           limit->kind == VALUE_AT_MOST ? "value" : "ratio to ",
           limit->kind == VALUE_AT_MOST ? "" : against->name, number(a, sizeof a, value),
           number(b, sizeof b, limit->limit));
}

static void print_row(const struct comparison *c, size_t m, size_t i, double *samples,
                      double *scratch)
{
    const struct contender *contender = &c->contenders[i];
    const double *own = sample(samples, c, m, i);
    double ratio = 0;
    bool has_ratio = c->against != NULL &&
                     ratio_at(0.5, own, sample(samples, c, m, (size_t)(c->against - c->contenders)),
                              c->rounds, scratch, &ratio);
    memcpy(scratch, own, c->rounds * sizeof *scratch);
    double median = bench_percentile(scratch, c->rounds, 0.5);
    char a[32], b[32], spread[80], goal[64] = "";
    (void)snprintf(spread, sizeof spread, "%s..%s", number(a, sizeof a, scratch[0]),
                   number(b, sizeof b, scratch[c->rounds - 1]));
    const struct goal *g = &contender->goals[m];
    if (g->kind == VALUE_AT_MOST || (g->kind == RATIO_AT_MOST && has_ratio)) {
        bool met = (g->kind == VALUE_AT_MOST ? median : ratio) <= g->limit;
        (void)snprintf(goal, sizeof goal, "  %s <= %s: %s",
                       g->kind == VALUE_AT_MOST ? "median" : "ratio", number(a, sizeof a, g->limit),
                       met ? "met" : "missed");
    }
    if (has_ratio)
        (void)snprintf(b, sizeof b, "%.2f", ratio);
    else
        (void)snprintf(b, sizeof b, "-");
    printf("  %-30s %-16s %10s %8s  %-20s%s\n", contender->name, c->metrics[m],
           number(a, sizeof a, median), b, spread, goal);
}

void bench_compare(const struct comparison *comparison)
{
    struct comparison c = *comparison;
    size_t metrics = 0;
    while (metrics < MAX_METRICS && c.metrics[metrics] != NULL)
        metrics++;
    if (quick && c.rounds > QUICK_ROUNDS)
        c.rounds = QUICK_ROUNDS;
    double *samples = calloc(metrics * c.n * c.rounds + c.rounds, sizeof *samples);
    bench_require(samples != NULL, "no memory");
    double *scratch = samples + metrics * c.n * c.rounds;
    run_rounds(&c, metrics, samples);

    printf("%s; %u rounds\n", c.title, c.rounds);
    printf("  %-30s %-16s %10s %8s  %-20s  %s\n", "", "", "median", "ratio", "spread", "goal");
    for (size_t m = 0; m < metrics; m++)
        for (size_t i = 0; i < c.n; i++)
            print_row(&c, m, i, samples, scratch);
    for (size_t m = 0; m < metrics; m++)
        for (size_t i = 0; i < c.n; i++)
            check_limit(&c, m, i, samples, scratch);
    printf("\n");
    free(samples);
}
