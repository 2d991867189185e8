/* SPDX-License-Identifier: MIT */
/* workloads.c - what the pools of the comparison are asked to do.
 *
 * Usage: PROGRAM [FORM] WORKLOAD N
 *
 * Prints a line "METRIC VALUE" for each thing measured. Exits with 0; with 1 if a task was lost,
 * doubled or given the wrong argument; with 2 for arguments that mean nothing; with 3 after a line
 * "cannot REASON" if the peer has no way to do this. Programs in other languages do the same.
 *
 * Two workers unless said. A pool is warmed up by a few tasks before the clock starts.
 */
#include <pthread.h>
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
    WARM_UP_CALLS = 100,
    PERIOD_NS = 200000,
    SETTLE_NS = 100000000,
    TIME_OUT_S = 900,
};

/* One run has one pool; the tasks find it here. */
static const struct peer *peer;
static void *pool;

static void open_pool(unsigned workers, unsigned producers)
{
    pool = peer->open(workers, producers);
    bench_require(pool != NULL, "the pool could not be made");
}

static void finish_pool(uint64_t count)
{
    if (peer->finish != NULL)
        peer->finish(pool);
    else
        tally_await(count);
}

static void need(bool has)
{
    if (!has)
        cannot(peer->why_not != NULL ? peer->why_not : "another form of the peer is for this");
}

/* A flood: producers that submit tasks as fast as they can. */

struct range {
    weir_task_fn *fn;
    char *args; /* the argument of task i is args + i * stride, stamped at submit if `stamps` */
    size_t stride;
    int64_t *stamps;
    uint64_t first, last;
    pthread_barrier_t *start;
};

static void submit_range(void *arg)
{
    const struct range *range = arg;
    for (uint64_t i = range->first; i <= range->last; i++) {
        if (range->stamps != NULL)
            range->stamps[i - 1] = bench_now();
        peer->submit(pool, range->fn, (void *)((uintptr_t)range->args + i * range->stride));
    }
}

static void produce(struct range *range)
{
    if (peer->produce != NULL)
        peer->produce(pool, submit_range, range);
    else
        submit_range(range);
}

static void *producer(void *arg)
{
    struct range *range = arg;
    (void)pthread_barrier_wait(range->start);
    (void)pthread_barrier_wait(range->start);
    produce(range);
    return NULL;
}

/* Returns how long it took from the first submit until all `all` tasks had run. */
static int64_t flood(unsigned producers, const struct range *all)
{
    enum { MAX_PRODUCERS = 8 };
    struct range ranges[MAX_PRODUCERS];
    pthread_t threads[MAX_PRODUCERS];
    pthread_barrier_t start;
    bench_require(pthread_barrier_init(&start, NULL, producers + 1) == 0, "no barrier");
    uint64_t done = 0;
    for (unsigned p = 0; p < producers; p++) {
        ranges[p] = *all;
        ranges[p].start = &start;
        ranges[p].first = done + 1;
        done = all->last * (p + 1) / producers;
        ranges[p].last = done;
        if (producers > 1)
            bench_require(pthread_create(&threads[p], NULL, producer, &ranges[p]) == 0,
                          "a producer could not start");
    }
    /* All producers are at the barrier, then the clock is read, then they may go: if it were read
     * once they go, it could be late by all that they do before this thread runs again. */
    if (producers > 1)
        (void)pthread_barrier_wait(&start);
    int64_t began = bench_now();
    if (producers > 1)
        (void)pthread_barrier_wait(&start);
    else
        produce(&ranges[0]);
    for (unsigned p = 0; producers > 1 && p < producers; p++)
        (void)pthread_join(threads[p], NULL);
    finish_pool(all->last);
    int64_t elapsed = bench_now() - began;
    (void)pthread_barrier_destroy(&start);
    return elapsed;
}

static int empty_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    tally_add((uintptr_t)arg);
    return 0;
}

static uint64_t sum_to(uint64_t n)
{
    return n * (n + 1) / 2;
}

/* Brings code, allocator and tallies into their working state. */
static void warm_up(unsigned workers, unsigned producers)
{
    open_pool(workers, producers);
    (void)flood(producers, &(struct range){.fn = empty_task, .stride = 1, .last = WARM_UP_TASKS});
    tally_check(WARM_UP_TASKS, sum_to(WARM_UP_TASKS));
    peer->close(pool);
    tally_reset();
}

static void print_usage(const struct bench_usage *before, uint64_t tasks)
{
    struct bench_usage after = bench_read_usage();
    double n = (double)tasks;
    print_metric("switches_per_task", (double)(after.switches - before->switches) / n);
    if (counts_wakes)
        print_metric("wakes_per_task", (double)(after.wakes - before->wakes) / n);
    print_metric("cpu_ns_per_task", (double)(after.cpu - before->cpu) / n);
}

static void flood_from(unsigned producers, uint64_t n)
{
    need(peer->submit != NULL);
    warm_up(WORKERS, producers);
    open_pool(WORKERS, producers);
    uint64_t resident = memory_resident();
    memory_reset_peak();
    struct bench_usage before = bench_read_usage();
    int64_t elapsed = flood(producers, &(struct range){.fn = empty_task, .stride = 1, .last = n});
    print_metric("ns_per_task", (double)elapsed / (double)n);
    print_usage(&before, n);
    uint64_t peak = memory_peak();
    print_metric("growth_kb", peak > resident ? (double)(peak - resident) / 1024 : 0);
    tally_check(n, sum_to(n));
    peer->close(pool);
}

static void flood1(uint64_t n)
{
    flood_from(1, n);
}

static void flood4(uint64_t n)
{
    flood_from(4, n);
}

/* A binary tree: node i, unless it is a leaf, submits the nodes 2i and 2i + 1. */

static uintptr_t first_leaf;

static int node_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    uintptr_t node = (uintptr_t)arg;
    if (node < first_leaf) {
        peer->spawn(pool, node_task, (void *)(2 * node));
        peer->spawn(pool, node_task, (void *)(2 * node + 1));
    }
    tally_add(node);
    return 0;
}

/* n: the depth. The nodes of all levels are counted. */
static void tree(uint64_t n)
{
    need(peer->spawn != NULL);
    warm_up(WORKERS, 1);
    first_leaf = (uintptr_t)1 << n;
    uint64_t nodes = 2 * first_leaf - 1;
    open_pool(WORKERS, 1);
    struct bench_usage before = bench_read_usage();
    int64_t began = bench_now();
    struct range root = {.fn = node_task, .stride = 1, .first = 1, .last = 1};
    produce(&root);
    finish_pool(nodes);
    print_metric("ns_per_task", (double)(bench_now() - began) / (double)nodes);
    print_usage(&before, nodes);
    tally_check(nodes, sum_to(nodes));
    peer->close(pool);
}

/* Recursive fork and join: each call with n >= 2 submits one half, computes the other, waits. */

struct fib {
    unsigned n;
    uint64_t value;
};

static int fib_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct fib *fib = arg;
    if (fib->n < 2) {
        fib->value = fib->n;
        return 0;
    }
    struct fib forked = {.n = fib->n - 1}, own = {.n = fib->n - 2};
    peer->fork(pool, fib_task, &forked, &own);
    fib->value = forked.value + own.value;
    return 0;
}

static void fib(uint64_t n)
{
    need(peer->fork != NULL && peer->call != NULL);
    open_pool(WORKERS, 0);
    struct fib warm = {.n = n < 20 ? (unsigned)n / 2 : 12}, root = {.n = (unsigned)n};
    void *args[] = {&warm};
    peer->call(pool, fib_task, args, 1);
    args[0] = &root;
    struct bench_usage before = bench_read_usage();
    int64_t began = bench_now();
    peer->call(pool, fib_task, args, 1);
    double calls = (double)fib_calls((unsigned)n);
    print_metric("ns_per_call", (double)(bench_now() - began) / calls);
    print_usage(&before, fib_calls((unsigned)n));
    bench_check(root.value == fib_value((unsigned)n), "a wrong sum");
    peer->close(pool);
}

/* Tasks of a known length. */

static uint64_t steps;
static volatile uint64_t work_sink;

static int work_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    if (work((uintptr_t)arg, steps) == 0)
        work_sink = 1;
    tally_add((uintptr_t)arg);
    return 0;
}

static void work_for(double ns, uint64_t n)
{
    need(peer->submit != NULL);
    warm_up(WORKERS, 1);
    steps = work_steps(ns);
    open_pool(WORKERS, 1);
    struct bench_usage before = bench_read_usage();
    int64_t elapsed = flood(1, &(struct range){.fn = work_task, .stride = 1, .last = n});
    print_metric("efficiency", (double)n * ns / WORKERS / (double)elapsed);
    print_usage(&before, n);
    tally_check(n, sum_to(n));
    peer->close(pool);
}

static void work1us(uint64_t n)
{
    work_for(1000, n);
}

static void work10us(uint64_t n)
{
    work_for(10000, n);
}

/* From submit to start. A stamp is the time of the submit, then how long the start took. */

static int64_t *stamps;

static int stamp_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    int64_t *stamp = arg;
    *stamp = bench_now() - *stamp;
    tally_add((uint64_t)(stamp - stamps) + 1);
    return 0;
}

static void print_stamps(uint64_t n)
{
    double *delays = calloc(n, sizeof *delays);
    bench_require(delays != NULL, "no memory");
    bool wrong = false;
    for (uint64_t i = 0; i < n; i++) {
        wrong |= stamps[i] < 0 || stamps[i] > (int64_t)TIME_OUT_S * 1000000000;
        delays[i] = (double)stamps[i];
    }
    bench_check(!wrong, "a task started before its submit, or never");
    tally_check(n, sum_to(n));
    print_delays(delays, n);
    free(delays);
}

static void make_stamps(uint64_t n)
{
    stamps = malloc(n * sizeof *stamps);
    bench_require(stamps != NULL, "no memory");
    memset(stamps, -1, n * sizeof *stamps); /* so that the pages are there */
}

static void submit_paced(void *arg)
{
    uint64_t n = *(const uint64_t *)arg;
    int64_t at = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        at += PERIOD_NS;
        bench_sleep_until(at);
        stamps[i] = bench_now();
        peer->submit(pool, stamp_task, &stamps[i]);
    }
}

static void paced(uint64_t n)
{
    need(peer->submit != NULL);
    make_stamps(n);
    warm_up(WORKERS, 1);
    open_pool(WORKERS, 1);
    bench_sleep_until(bench_now() + SETTLE_NS);
    struct bench_usage before = bench_read_usage();
    if (peer->produce != NULL)
        peer->produce(pool, submit_paced, &n);
    else
        submit_paced(&n);
    finish_pool(n);
    print_usage(&before, n);
    print_stamps(n);
    peer->close(pool);
    free(stamps);
}

/* n: how many milliseconds the pool is watched. */
static void idle(uint64_t n)
{
    need(peer->submit != NULL);
    open_pool(WORKERS, 1);
    produce(&(struct range){.fn = empty_task, .stride = 1, .first = 1, .last = WARM_UP_TASKS});
    tally_await(WARM_UP_TASKS);
    tally_check(WARM_UP_TASKS, sum_to(WARM_UP_TASKS));
    bench_sleep_until(bench_now() + SETTLE_NS);
    struct bench_usage before = bench_read_usage();
    bench_sleep_until(bench_now() + (int64_t)n * 1000000);
    struct bench_usage after = bench_read_usage();
    double seconds = (double)n / 1000;
    print_metric("cpu_us_per_s", (double)(after.cpu - before.cpu) / 1000 / seconds);
    print_metric("switches_per_s",
                 (double)(after.others_switches - before.others_switches) / seconds);
    if (peer->finish != NULL)
        peer->finish(pool);
    peer->close(pool);
}

static void crowd(uint64_t n)
{
    need(peer->submit != NULL);
    make_stamps(n);
    warm_up(CROWD_WORKERS, CROWD_PRODUCERS);
    open_pool(CROWD_WORKERS, CROWD_PRODUCERS);
    struct bench_usage before = bench_read_usage();
    /* Task i, counted from 1, is given stamp i - 1. */
    int64_t elapsed = flood(CROWD_PRODUCERS, &(struct range){.fn = stamp_task,
                                                             .args = (char *)(stamps - 1),
                                                             .stride = sizeof *stamps,
                                                             .stamps = stamps,
                                                             .last = n});
    print_metric("ns_per_task", (double)elapsed / (double)n);
    print_usage(&before, n);
    print_stamps(n);
    peer->close(pool);
    free(stamps);
}

/* Round trips: submit one task, or a group of eight, and wait. */

struct parcel {
    uint64_t value, doubled;
};

static int deliver_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct parcel *parcel = arg;
    parcel->doubled = 2 * parcel->value;
    return 0;
}

struct trips {
    size_t group;
    uint64_t n;
    bool inside;
    uint64_t wrong;
    int64_t elapsed;
    struct bench_usage before;
};

static uint64_t one_trip(const struct trips *trips, uint64_t first)
{
    struct parcel parcels[GROUP_SIZE];
    void *args[GROUP_SIZE];
    for (size_t i = 0; i < trips->group; i++) {
        parcels[i] = (struct parcel){.value = first + i};
        args[i] = &parcels[i];
    }
    if (trips->inside)
        peer->call_inside(pool, deliver_task, args, trips->group);
    else
        peer->call(pool, deliver_task, args, trips->group);
    uint64_t wrong = 0;
    for (size_t i = 0; i < trips->group; i++)
        wrong += parcels[i].doubled != 2 * (first + i);
    return wrong;
}

static int trips_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct trips *trips = arg;
    for (uint64_t i = 0; i < WARM_UP_CALLS; i++)
        trips->wrong += one_trip(trips, i + 1);
    trips->before = bench_read_usage();
    int64_t began = bench_now();
    for (uint64_t i = 0; i < trips->n; i++)
        trips->wrong += one_trip(trips, i + 1);
    trips->elapsed = bench_now() - began;
    return 0;
}

static void run_trips(size_t group, bool inside, uint64_t n)
{
    struct trips trips = {.group = group, .inside = inside, .n = n};
    need(peer->call != NULL && (!inside || peer->call_inside != NULL));
    open_pool(WORKERS, 0);
    void *args[] = {&trips};
    if (inside)
        peer->call(pool, trips_task, args, 1);
    else
        (void)trips_task(NULL, &trips);
    uint64_t tasks = n * group;
    print_metric("ns_per_task", (double)trips.elapsed / (double)tasks);
    print_usage(&trips.before, tasks);
    bench_check(trips.wrong == 0, "a task had not run when its wait returned");
    peer->close(pool);
}

static void trip_outside(uint64_t n)
{
    run_trips(1, false, n);
}

static void trip_inside(uint64_t n)
{
    run_trips(1, true, n);
}

static void groups_outside(uint64_t n)
{
    run_trips(GROUP_SIZE, false, n);
}

static void groups_inside(uint64_t n)
{
    run_trips(GROUP_SIZE, true, n);
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
    {"trip_outside", trip_outside},
    {"trip_inside", trip_inside},
    {"groups_outside", groups_outside},
    {"groups_inside", groups_inside},
};

static const struct peer *find_form(const char *name)
{
    for (const struct peer *const *form = peer_forms; *form != NULL; form++)
        if (strcmp((*form)->name, name) == 0)
            return *form;
    return NULL;
}

static const struct workload *find_workload(const char *name)
{
    for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++)
        if (strcmp(workloads[i].name, name) == 0)
            return &workloads[i];
    return NULL;
}

int main(int argc, char **argv)
{
    const struct workload *workload = NULL;
    uint64_t n = 0;
    if (argc == 3 || argc == 4) {
        peer = argc == 4 ? find_form(argv[1]) : peer_forms[0];
        workload = find_workload(argv[argc - 2]);
        n = strtoull(argv[argc - 1], NULL, 10);
    }
    if (peer == NULL || workload == NULL || n == 0) {
        fprintf(stderr, "usage: %s [FORM] WORKLOAD N\n", argv[0]);
        return 2;
    }
    end_after(TIME_OUT_S);
    workload->run(n);
    return bench_end();
}
