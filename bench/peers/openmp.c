/* SPDX-License-Identifier: MIT */
/* openmp.c - OpenMP tasks (gcc's libgomp).
 *
 * Usage: PROGRAM WORKLOAD N, as in workloads.c.
 *
 * A task belongs to the team of threads of a parallel region. The team has the producers and the
 * two workers; a thread that does not produce waits at the end of the region and runs tasks there,
 * and so does a producer that has ended. Fork and join has a team of two. A task cannot come from a
 * thread outside the team.
 */
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common.h"
#include "measure.h"
#include "peer.h"

enum {
    WORKERS = 2,
    CROWD_WORKERS = 16,
    CROWD_PRODUCERS = 8,
    WARM_UP_TASKS = 10000,
    PERIOD_NS = 200000,
    SETTLE_NS = 100000000,
    TIME_OUT_S = 900,
};

static uint64_t sum_to(uint64_t n)
{
    return n * (n + 1) / 2;
}

static void print_usage(const struct bench_usage *before, uint64_t tasks)
{
    struct bench_usage after = bench_read_usage();
    double n = (double)tasks;
    print_metric("switches_per_task", (double)(after.switches - before->switches) / n);
    print_metric("cpu_ns_per_task", (double)(after.cpu - before->cpu) / n);
}

/* Thread p of the team submits the p-th part of the tasks 1 to n. */
static void flood(int producers, int workers, uint64_t n)
{
#pragma omp parallel num_threads(producers + workers)
    {
        int p = omp_get_thread_num();
        if (p < producers) {
            uint64_t first = n * (uint64_t)p / (uint64_t)producers + 1;
            uint64_t last = n * (uint64_t)(p + 1) / (uint64_t)producers;
            for (uint64_t i = first; i <= last; i++) {
#pragma omp task firstprivate(i)
                tally_add(i);
            }
        }
    }
}

static void warm_up(int producers, int workers)
{
    flood(producers, workers, WARM_UP_TASKS);
    tally_check(WARM_UP_TASKS, sum_to(WARM_UP_TASKS));
    tally_reset();
}

static void flood_from(int producers, uint64_t n)
{
    warm_up(producers, WORKERS);
    uint64_t resident = memory_resident();
    memory_reset_peak();
    struct bench_usage before = bench_read_usage();
    int64_t began = bench_now();
    flood(producers, WORKERS, n);
    print_metric("ns_per_task", (double)(bench_now() - began) / (double)n);
    print_usage(&before, n);
    uint64_t peak = memory_peak();
    print_metric("growth_kb", peak > resident ? (double)(peak - resident) / 1024 : 0);
    tally_check(n, sum_to(n));
}

static void flood1(uint64_t n)
{
    flood_from(1, n);
}

static void flood4(uint64_t n)
{
    flood_from(4, n);
}

static void visit(uint64_t node, uint64_t first_leaf)
{
    if (node < first_leaf) {
#pragma omp task firstprivate(node)
        visit(2 * node, first_leaf);
#pragma omp task firstprivate(node)
        visit(2 * node + 1, first_leaf);
    }
    tally_add(node);
}

static void tree(uint64_t n)
{
    uint64_t first_leaf = (uint64_t)1 << n, nodes = 2 * first_leaf - 1;
    warm_up(1, WORKERS - 1);
    struct bench_usage before = bench_read_usage();
    int64_t began = bench_now();
#pragma omp parallel num_threads(WORKERS)
#pragma omp single
    visit(1, first_leaf);
    print_metric("ns_per_task", (double)(bench_now() - began) / (double)nodes);
    print_usage(&before, nodes);
    tally_check(nodes, sum_to(nodes));
}

static uint64_t fib_of(unsigned n)
{
    if (n < 2)
        return n;
    uint64_t forked, own;
#pragma omp task shared(forked) firstprivate(n)
    forked = fib_of(n - 1);
    own = fib_of(n - 2);
#pragma omp taskwait
    return forked + own;
}

static void fib(uint64_t n)
{
    uint64_t value = 0;
    warm_up(1, WORKERS - 1);
    struct bench_usage before = bench_read_usage();
    int64_t began = bench_now();
#pragma omp parallel num_threads(WORKERS)
#pragma omp single
    value = fib_of((unsigned)n);
    double calls = (double)fib_calls((unsigned)n);
    print_metric("ns_per_call", (double)(bench_now() - began) / calls);
    print_usage(&before, fib_calls((unsigned)n));
    bench_check(value == fib_value((unsigned)n), "a wrong sum");
}

static volatile uint64_t work_sink;

static void work_for(double ns, uint64_t n)
{
    warm_up(1, WORKERS);
    uint64_t steps = work_steps(ns);
    struct bench_usage before = bench_read_usage();
    int64_t began = bench_now();
#pragma omp parallel num_threads(1 + WORKERS)
#pragma omp master
    for (uint64_t i = 1; i <= n; i++) {
#pragma omp task firstprivate(i)
        {
            if (work(i, steps) == 0)
                work_sink = 1;
            tally_add(i);
        }
    }
    int64_t elapsed = bench_now() - began;
    print_metric("efficiency", (double)n * ns / WORKERS / (double)elapsed);
    print_usage(&before, n);
    tally_check(n, sum_to(n));
}

static void work1us(uint64_t n)
{
    work_for(1000, n);
}

static void work10us(uint64_t n)
{
    work_for(10000, n);
}

static void print_stamps(int64_t *stamps, uint64_t n)
{
    double *delays = calloc(n, sizeof *delays);
    bench_require(delays != NULL, "no memory");
    for (uint64_t i = 0; i < n; i++) {
        bench_check(stamps[i] >= 0, "a task started before its submit, or never");
        delays[i] = (double)stamps[i];
    }
    tally_check(n, sum_to(n));
    print_delays(delays, n);
    free(delays);
    free(stamps);
}

static int64_t *make_stamps(uint64_t n)
{
    int64_t *stamps = malloc(n * sizeof *stamps);
    bench_require(stamps != NULL, "no memory");
    memset(stamps, -1, n * sizeof *stamps); /* so that the pages are there */
    return stamps;
}

static void stamp(int64_t *stamps, uint64_t i)
{
    stamps[i] = bench_now() - stamps[i];
    tally_add(i + 1);
}

static void paced(uint64_t n)
{
    int64_t *stamps = make_stamps(n);
    warm_up(1, WORKERS);
    struct bench_usage before = bench_read_usage();
#pragma omp parallel num_threads(1 + WORKERS)
#pragma omp master
    {
        int64_t at = bench_now();
        for (uint64_t i = 0; i < n; i++) {
            at += PERIOD_NS;
            bench_sleep_until(at);
            stamps[i] = bench_now();
#pragma omp task firstprivate(i)
            stamp(stamps, i);
        }
    }
    print_usage(&before, n);
    print_stamps(stamps, n);
}

static void idle(uint64_t n)
{
    warm_up(1, WORKERS);
    bench_sleep_until(bench_now() + SETTLE_NS);
    struct bench_usage before = bench_read_usage();
    bench_sleep_until(bench_now() + (int64_t)n * 1000000);
    struct bench_usage after = bench_read_usage();
    double seconds = (double)n / 1000;
    print_metric("cpu_us_per_s", (double)(after.cpu - before.cpu) / 1000 / seconds);
    print_metric("switches_per_s",
                 (double)(after.others_switches - before.others_switches) / seconds);
}

static void crowd(uint64_t n)
{
    int64_t *stamps = make_stamps(n);
    warm_up(CROWD_PRODUCERS, CROWD_WORKERS);
    struct bench_usage before = bench_read_usage();
    int64_t began = bench_now();
#pragma omp parallel num_threads(CROWD_PRODUCERS + CROWD_WORKERS)
    {
        uint64_t p = (uint64_t)omp_get_thread_num();
        if (p < CROWD_PRODUCERS) {
            for (uint64_t i = n * p / CROWD_PRODUCERS; i < n * (p + 1) / CROWD_PRODUCERS; i++) {
                stamps[i] = bench_now();
#pragma omp task firstprivate(i)
                stamp(stamps, i);
            }
        }
    }
    print_metric("ns_per_task", (double)(bench_now() - began) / (double)n);
    print_usage(&before, n);
    print_stamps(stamps, n);
}

static void trips(unsigned group, uint64_t n)
{
    uint64_t wrong = 0;
    int64_t elapsed = 0;
    warm_up(1, WORKERS - 1);
    struct bench_usage before = bench_read_usage();
#pragma omp parallel num_threads(WORKERS)
#pragma omp single
    {
        int64_t began = bench_now();
        for (uint64_t i = 1; i <= n; i++) {
            uint64_t doubled[GROUP_SIZE] = {0};
            for (uint64_t k = 0; k < group; k++) {
#pragma omp task shared(doubled) firstprivate(i, k)
                doubled[k] = 2 * (i + k);
            }
#pragma omp taskwait
            for (uint64_t k = 0; k < group; k++)
                wrong += doubled[k] != 2 * (i + k);
        }
        elapsed = bench_now() - began;
    }
    print_metric("ns_per_task", (double)elapsed / (double)(n * group));
    print_usage(&before, n * group);
    bench_check(wrong == 0, "a task had not run when its wait returned");
}

static void trip_inside(uint64_t n)
{
    trips(1, n);
}

static void groups_inside(uint64_t n)
{
    trips(GROUP_SIZE, n);
}

static void outside(uint64_t n)
{
    (void)n;
    cannot("take a task from outside the team: see the workload inside");
}

static const struct workload {
    const char *name;
    void (*run)(uint64_t n);
} workloads[] = {
    {"flood1", flood1},
    {"flood4", flood4},
    {"tree", tree},
    {"fib", fib},
    {"work1us", work1us},
    {"work10us", work10us},
    {"paced", paced},
    {"idle", idle},
    {"crowd", crowd},
    {"trip_outside", outside},
    {"trip_inside", trip_inside},
    {"groups_outside", outside},
    {"groups_inside", groups_inside},
};

int main(int argc, char **argv)
{
    uint64_t n = argc >= 3 ? strtoull(argv[argc - 1], NULL, 10) : 0;
    end_after(TIME_OUT_S);
    for (size_t i = 0; n > 0 && i < sizeof workloads / sizeof workloads[0]; i++) {
        if (strcmp(workloads[i].name, argv[argc - 2]) == 0) {
            workloads[i].run(n);
            return bench_end();
        }
    }
    fprintf(stderr, "usage: %s WORKLOAD N\n", argv[0]);
    return 2;
}
