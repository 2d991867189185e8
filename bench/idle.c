/* SPDX-License-Identifier: MIT */
/* idle.c - what a pool costs that has nothing to do: the processor time and the voluntary context
 * switches of its workers in two seconds, after traffic. */
#include <stdatomic.h>
#include <stdint.h>

#include "common.h"
#include "pools.h"

enum { TASKS = 100000, ROUNDS = 3, WORKERS = 2, CAPACITY = 1024 };

/* A worker may look around for a while before it parks; that is not what is measured here. */
static const int64_t settle_ns = 100000000;
static const int64_t watch_ns = 2000000000;

static atomic_size_t ran;

static int count_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    (void)atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
    return 0;
}

/* A pool lives for one round, so that no other is parked, or wakes, while it is watched. */
static void round_of(void *arg, double ret_values[])
{
    const struct pool_kind *kind = arg;
    void *pool = kind->open(WORKERS, CAPACITY);
    bench_require(pool != NULL, "a pool could not be made");
    size_t tasks = bench_scaled(TASKS), errors = 0;
    atomic_store(&ran, 0);
    for (size_t i = 0; i < tasks; i++)
        errors += kind->submit(pool, count_task, NULL) != 0;
    errors += kind->drain(pool) != 0;
    bench_check(errors == 0, "a submit or a drain failed");
    bench_check(atomic_load(&ran) == tasks, "not every task ran once");

    bench_sleep_until(bench_now() + (int64_t)bench_scaled((size_t)settle_ns));
    struct bench_usage before = bench_read_usage();
    bench_sleep_until(bench_now() + (int64_t)bench_scaled((size_t)watch_ns));
    struct bench_usage after = bench_read_usage();
    kind->close(pool);
    int64_t cpu = after.others_cpu - before.others_cpu;
    ret_values[0] = cpu > 0 ? (double)cpu / 1000 : 0; /* less than nothing is a clock's error */
    ret_values[1] = (double)(after.others_switches - before.others_switches);
}

int main(int argc, char **argv)
{
    bench_begin(argc, argv);
    /* 20 us in two seconds, a hundred-thousandth of a core: what the watch itself can miss by. */
    const struct contender contenders[] = {
        {.name = weir_kind.name,
         .round = round_of,
         .arg = (void *)&weir_kind,
         .goals = {{VALUE_AT_MOST, 20}, {VALUE_AT_MOST, 0}},
         .limits = {{VALUE_AT_MOST, 200}, {VALUE_AT_MOST, 2}}},
        {.name = mutex_kind.name, .round = round_of, .arg = (void *)&mutex_kind},
    };
    bench_compare(&(struct comparison){
        .title = "A parked pool of two workers, watched for two seconds",
        .metrics = {"us of CPU", "switches"},
        .contenders = contenders,
        .n = 2,
        .rounds = ROUNDS,
    });
    return bench_end();
}
