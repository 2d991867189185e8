/* SPDX-License-Identifier: MIT */
/* pool_flood.c - what handing over a task costs: producers flood two workers with empty tasks, from
 * the first submit until all have run. One producer, with the cores that there are; then four that
 * share one core with the workers, where a wake puts another thread in the place of its caller.
 * Pools that measure no task, and all, show what the usual sampling costs; one with three lanes, to
 * which the tasks go in turn, what those do. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "common.h"
#include "pools.h"

enum {
    TASKS = 2000000,
    ROUNDS = 11,
    WORKERS = 2,
    CAPACITY = 1024,
    MAX_THREADS = 8,
    MAX_PRODUCERS = 4
};

/* What one thread has run. A task is a few instructions on its own thread's tally, so that the
 * tasks do not contend where the pools do not. */
struct tally {
    _Alignas(64) uint64_t count;
    uint64_t sum;
};

static struct tally tallies[MAX_THREADS];
static atomic_uint threads;
static _Thread_local struct tally *own;
static size_t tasks;

struct flood {
    const struct pool_kind *kind;
    void *pool;
    unsigned producers;
};

struct producer {
    const struct flood *flood;
    uintptr_t first, last; /* the arguments of its tasks */
    uint64_t errors;
    pthread_t thread;
};

static int empty_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    if (own == NULL) /* beyond the last tally all share it, and the count comes out wrong */
        own = &tallies[atomic_fetch_add(&threads, 1) % MAX_THREADS];
    own->count++;
    own->sum += (uintptr_t)arg;
    return 0;
}

static void *produce(void *arg)
{
    struct producer *producer = arg;
    const struct flood *flood = producer->flood;
    for (uintptr_t i = producer->first; i <= producer->last; i++)
        producer->errors += flood->kind->submit(flood->pool, empty_task, (void *)i) != 0;
    return NULL;
}

static void round_of(void *arg, double ret_values[])
{
    const struct flood *flood = arg;
    struct producer producers[MAX_PRODUCERS] = {0};
    memset(tallies, 0, sizeof tallies);
    struct bench_usage before = bench_read_usage();
    int64_t start = bench_now();
    for (unsigned i = 0; i < flood->producers; i++) {
        struct producer *producer = &producers[i];
        producer->flood = flood;
        producer->first = tasks * i / flood->producers + 1;
        producer->last = tasks * (i + 1) / flood->producers;
        bench_require(pthread_create(&producer->thread, NULL, produce, producer) == 0, "no thread");
    }
    uint64_t errors = 0;
    for (unsigned i = 0; i < flood->producers; i++) {
        (void)pthread_join(producers[i].thread, NULL);
        errors += producers[i].errors;
    }
    errors += flood->kind->drain(flood->pool) != 0;
    int64_t elapsed = bench_now() - start;
    struct bench_usage after = bench_read_usage();

    uint64_t count = 0, sum = 0;
    for (size_t i = 0; i < MAX_THREADS; i++) {
        count += tallies[i].count;
        sum += tallies[i].sum;
    }
    bench_check(errors == 0, "a submit or a drain failed");
    bench_check(count == tasks, "not every task ran once");
    bench_check(sum == (uint64_t)tasks * (tasks + 1) / 2, "the tasks got other arguments");
    ret_values[0] = (double)elapsed / (double)tasks;
    ret_values[1] = (double)(after.wakes - before.wakes) / (double)tasks;
    ret_values[2] = (double)(after.switches - before.switches) / (double)tasks;
}

static void compare(const char *title, unsigned producers, struct goal goal, struct goal limit)
{
    struct flood weir = {&weir_kind, weir_kind.open(WORKERS, CAPACITY), producers};
    struct flood none = {&weir_unmeasured_kind, weir_unmeasured_kind.open(WORKERS, CAPACITY),
                         producers};
    struct flood all = {&weir_all_measured_kind, weir_all_measured_kind.open(WORKERS, CAPACITY),
                        producers};
    struct flood lanes = {&weir_lanes_kind, weir_lanes_kind.open(WORKERS, CAPACITY), producers};
    struct flood mutex = {&mutex_kind, mutex_kind.open(WORKERS, CAPACITY), producers};
    bench_require(weir.pool != NULL && none.pool != NULL && all.pool != NULL &&
                      lanes.pool != NULL && mutex.pool != NULL,
                  "a pool could not be made");

    const struct contender contenders[] = {
        {.name = weir_kind.name,
         .round = round_of,
         .arg = &weir,
         .goals = {goal, {VALUE_AT_MOST, 0.01}},
         .limits = {limit, {VALUE_AT_MOST, 0.1}}},
        {.name = mutex_kind.name, .round = round_of, .arg = &mutex},
        {.name = none.kind->name, .round = round_of, .arg = &none},
        {.name = all.kind->name, .round = round_of, .arg = &all},
        {.name = lanes.kind->name, .round = round_of, .arg = &lanes},
    };
    bench_compare(&(struct comparison){
        .title = title,
        .metrics = {"ns/task", "wakes/task", "switches/task"},
        .contenders = contenders,
        .n = sizeof contenders / sizeof contenders[0],
        .against = &contenders[1],
        .rounds = ROUNDS,
    });
    mutex_kind.close(mutex.pool);
    weir_kind.close(weir.pool);
    weir_kind.close(none.pool);
    weir_kind.close(all.pool);
    weir_kind.close(lanes.pool);
}

/* The threads that are started from now on too. */
static void stay_on_this_core(void)
{
    int core = sched_getcpu();
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core < 0 ? 0 : (unsigned)core, &set);
    bench_require(sched_setaffinity(0, sizeof set, &set) == 0, "the affinity cannot be set");
}

int main(int argc, char **argv)
{
    bench_begin(argc, argv);
    tasks = bench_scaled(TASKS);
    compare("Flood of empty tasks, one producer, two workers, capacity 1024", 1,
            (struct goal){RATIO_AT_MOST, 0.4}, (struct goal){RATIO_AT_MOST, 0.8});
    stay_on_this_core();
    compare("Four producers and two workers on one core", MAX_PRODUCERS,
            (struct goal){RATIO_AT_MOST, 1}, (struct goal){RATIO_AT_MOST, 2});
    return bench_end();
}
