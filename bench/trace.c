/* SPDX-License-Identifier: MIT */
/* trace.c - what a timeline costs: an event, and an empty task, with and without a trace. */
#include <stdint.h>
#include <string.h>

#include <weir.h>

#include "common.h"

enum { ROUNDS = 9, EVENTS = 500000, TASKS = 300000, WORKERS = 2, CAPACITY = 1024 };

static int no_write(const char *text, size_t n, void *unused)
{
    (void)text;
    (void)n;
    (void)unused;
    return 0;
}

static void begin_trace(void)
{
    int err = weir_trace_start(WEIR_TRACE_OPTIONS(.write = no_write, .events = 1024));
    bench_require(err == 0, "a trace can be started");
}

static void end_trace(void)
{
    bench_require(weir_trace_stop() == 0, "a trace can be stopped");
}

static void clock_round(void *arg, double ret_values[])
{
    (void)arg;
    size_t n = bench_scaled(EVENTS);
    int64_t begun = bench_now();
    for (size_t i = 0; i < n; i++)
        (void)weir_now();
    ret_values[0] = (double)(bench_now() - begun) / (double)n;
}

static void event_round(void *traced, double ret_values[])
{
    size_t n = bench_scaled(EVENTS);
    if (traced != NULL)
        begin_trace();
    weir_trace_count("first", 0); /* takes the ring */
    int64_t begun = bench_now();
    for (size_t i = 0; i < n; i++)
        weir_trace_count("number", (int64_t)i);
    ret_values[0] = (double)(bench_now() - begun) / (double)n;
    if (traced != NULL)
        end_trace();
}

static int empty_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

static void task_round(void *traced, double ret_values[])
{
    weir_pool *pool;
    size_t n = bench_scaled(TASKS);
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = WORKERS, .capacity = CAPACITY));
    bench_require(err == 0, "a pool can be made");
    if (traced != NULL)
        begin_trace();
    int64_t begun = bench_now();
    for (size_t i = 0; i < n && err == 0; i++)
        err = weir_pool_submit(pool, empty_task, NULL);
    if (err == 0)
        err = weir_pool_drain(pool);
    ret_values[0] = (double)(bench_now() - begun) / (double)n;
    bench_check(err == 0, "all tasks were run");
    if (traced != NULL)
        end_trace();
    weir_pool_free(pool);
}

int main(int argc, char **argv)
{
    bench_begin(argc, argv);
    static char on;
    struct contender events[] = {
        {.name = "a read of the clock", .round = clock_round},
        {.name = "no trace is on", .round = event_round},
        {.name = "a trace is on",
         .round = event_round,
         .arg = &on,
         .goals = {{VALUE_AT_MOST, 100}}},
    };
    bench_compare(&(struct comparison){
        .title = "One event",
        .metrics = {"ns"},
        .contenders = events,
        .n = sizeof events / sizeof events[0],
        .rounds = ROUNDS,
    });
    struct contender tasks[] = {
        {.name = "no trace is on", .round = task_round},
        {.name = "a trace is on", .round = task_round, .arg = &on},
    };
    bench_compare(&(struct comparison){
        .title = "Empty tasks, one thread submits, two workers: four events each",
        .metrics = {"ns/task"},
        .contenders = tasks,
        .n = sizeof tasks / sizeof tasks[0],
        .against = &tasks[0],
        .rounds = ROUNDS,
    });
    return bench_end();
}
