/* SPDX-License-Identifier: MIT */
/* record.c - records a trace of a bit of everything, for check.py, and prints what it has to show.
 *
 * Usage: record FILE TASKS EVENTS      EVENTS: of each ring; 0: the default */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir.h"

enum { WORKERS = 3, CAPACITY = 64, OF_A_KIND = 8 };

static weir_pool *pool;
static weir_semaphore sem;
static atomic_ulong runs;
static unsigned long rejected;

/* Ends the program with the line in which something is not as it should be. */
static void check(int line, int ok)
{
    if (ok)
        return;
    fprintf(stderr, "record.c:%d: does not hold\n", line);
    exit(1);
}

#define CHECK(condition) check(__LINE__, condition)

static int plain(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    atomic_fetch_add(&runs, 1);
    return 0;
}

static int nests(weir_context *ctx, void *arg)
{
    weir_task task = WEIR_TASK_INIT;
    (void)ctx;
    atomic_fetch_add(&runs, 1);
    weir_trace_begin("nests");
    int err = weir_pool_submit_task(pool, &task, plain, arg, NULL);
    if (err == 0)
        err = weir_task_wait(&task);
    weir_trace_begin("never ended");
    return err;
}

static int takes_turns(weir_context *ctx, void *arg)
{
    (void)arg;
    atomic_fetch_add(&runs, 1);
    int err = weir_semaphore_acquire_until(&sem, 1, ctx, WEIR_FOREVER);
    if (err != 0)
        return err;
    weir_trace_count("turns", (int64_t)atomic_load(&runs));
    weir_semaphore_release(&sem, 1);
    return 0;
}

static int fails(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    atomic_fetch_add(&runs, 1);
    return -5;
}

static void record_kinds(void)
{
    static const char *const names[OF_A_KIND] = {"plain",
                                                 "with \"quotes\"",
                                                 "line\nbreak",
                                                 "back\\slash",
                                                 "\xc3\xbc\xe2\x82\xac",
                                                 "\xff\xfe",
                                                 "",
                                                 "longer than what is kept of a name, by far"};
    weir_task tasks[OF_A_KIND] = {{{0}}};
    static weir_task later = WEIR_TASK_INIT, again = WEIR_TASK_INIT; /* main drains the pool */
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    for (int i = 0; i < OF_A_KIND; i++) {
        CHECK(weir_pool_submit_task(pool, &tasks[i], takes_turns, NULL,
                                    WEIR_TASK_OPTIONS(.name = names[i])) == 0);
        CHECK(weir_waitgroup_go(&wg, pool, nests, NULL) == 0);
    }
    CHECK(weir_pool_submit_task_at(pool, &later, plain, NULL, NULL, weir_after(WEIR_MS(2))) == 0);
    CHECK(weir_pool_submit_retry(pool, &again, fails, NULL, NULL,
                                 WEIR_RETRY_OPTIONS(.initial_interval = WEIR_MS(1))) == 0);
    CHECK(weir_waitgroup_wait(&wg) == 0);
    for (int i = 0; i < OF_A_KIND; i++)
        CHECK(weir_task_wait(&tasks[i]) == 0);
    CHECK(weir_pool_submit(pool, NULL, NULL) != 0); /* not valid, so not there */
}

int main(int argc, char **argv)
{
    CHECK(argc == 4);
    int tasks = atoi(argv[2]);
    CHECK(weir_semaphore_init(&sem, 1) == 0);
    CHECK(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.name = "p\"q", .workers = WORKERS,
                                                 .capacity = CAPACITY)) == 0);
    CHECK(weir_trace_start(
              WEIR_TRACE_OPTIONS(.path = argv[1], .events = (unsigned)atoi(argv[3]))) == 0);
    record_kinds();
    for (int i = 0; i < tasks; i++)
        CHECK(weir_pool_submit(pool, plain, NULL) == 0);
    for (int i = 0; i < tasks / 10; i++)
        rejected += weir_pool_try_submit(pool, plain, NULL) != 0;
    CHECK(weir_pool_drain(pool) == 0);
    CHECK(weir_trace_stop() == 0);
    printf(
        "{\"runs\": %lu, \"rejected\": %lu, \"lost\": %llu, \"workers\": %d, \"capacity\": %d}\n",
        atomic_load(&runs), rejected, (unsigned long long)weir_trace_lost(), WORKERS, CAPACITY);
    weir_pool_free(pool);
    weir_semaphore_destroy(&sem);
    return 0;
}
