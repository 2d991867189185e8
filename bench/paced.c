/* SPDX-License-Identifier: MIT */
/* paced.c - how long a task waits for an idle pool: one task every 200 us, from just before the
 * submit until the task starts. The producer sleeps in between, so a processor may have to leave
 * its idle state, the same for all. */
#include <stdint.h>
#include <stdlib.h>

#include "common.h"
#include "pools.h"

enum { TASKS = 5000, ROUNDS = 5, WORKERS = 2, CAPACITY = 1024, PERIOD_NS = 200000 };

struct stamp {
    int64_t submitted, started;
    unsigned starts;
};

struct pace {
    const struct pool_kind *kind;
    void *pool;
    struct stamp *stamps;
    double *delays;
    size_t tasks;
};

static int stamp_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct stamp *stamp = arg;
    stamp->started = bench_now();
    stamp->starts++;
    return 0;
}

static void round_of(void *arg, double ret_values[])
{
    const struct pace *pace = arg;
    size_t errors = 0, wrong = 0;
    int64_t at = bench_now();
    for (size_t i = 0; i < pace->tasks; i++) {
        struct stamp *stamp = &pace->stamps[i];
        stamp->starts = 0;
        at += PERIOD_NS;
        bench_sleep_until(at);
        stamp->submitted = bench_now();
        errors += pace->kind->submit(pace->pool, stamp_task, stamp) != 0;
    }
    errors += pace->kind->drain(pace->pool) != 0;
    for (size_t i = 0; i < pace->tasks; i++) {
        const struct stamp *stamp = &pace->stamps[i];
        wrong += stamp->starts != 1 || stamp->started < stamp->submitted;
        pace->delays[i] = (double)(stamp->started - stamp->submitted) / 1000;
    }
    bench_check(errors == 0, "a submit or a drain failed");
    bench_check(wrong == 0, "not every task ran once, and after its submit");
    ret_values[0] = bench_percentile(pace->delays, pace->tasks, 0.5);
    ret_values[1] = bench_percentile(pace->delays, pace->tasks, 0.99);
    ret_values[2] = bench_percentile(pace->delays, pace->tasks, 0.999);
    ret_values[3] = bench_percentile(pace->delays, pace->tasks, 0.1);
}

int main(int argc, char **argv)
{
    bench_begin(argc, argv);
    size_t tasks = bench_scaled(TASKS);
    struct stamp *stamps = calloc(tasks, sizeof *stamps);
    double *delays = calloc(tasks, sizeof *delays);
    bench_require(stamps != NULL && delays != NULL, "no memory");
    struct pace weir = {&weir_kind, weir_kind.open(WORKERS, CAPACITY), stamps, delays, tasks};
    struct pace mutex = {&mutex_kind, mutex_kind.open(WORKERS, CAPACITY), stamps, delays, tasks};
    bench_require(weir.pool != NULL && mutex.pool != NULL, "a pool could not be made");

    const struct contender contenders[] = {
        {.name = weir_kind.name,
         .round = round_of,
         .arg = &weir,
         .limits = {[3] = {RATIO_AT_MOST,
                           3}}}, /* the others are the scheduler's on a busy machine */
        {.name = mutex_kind.name, .round = round_of, .arg = &mutex},
    };
    bench_compare(&(struct comparison){
        .title = "Submit to start, one task every 200 us, two workers",
        .metrics = {"us, p50", "us, p99", "us, p99.9", "us, p10"},
        .contenders = contenders,
        .n = 2,
        .against = &contenders[1],
        .rounds = ROUNDS,
    });
    mutex_kind.close(mutex.pool);
    weir_kind.close(weir.pool);
    free(delays);
    free(stamps);
    return bench_end();
}
