/* SPDX-License-Identifier: MIT */
/* gated_calls.c - ten thousand calls to a service that takes two at a time and so many a second.
 *
 * The calls wait at a gate, where they keep no worker: two are enough, and a task that has nothing
 * to do with the service does not wait behind them. What fails is tried again, and has to pass the
 * gate again. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir.h>

enum { CALLS = 10000, AT_ONCE = 2, PER_SECOND = 20000, BURST = 100 };

static atomic_uint made, inside, most;

static int call_service(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    unsigned now = atomic_fetch_add(&inside, 1) + 1, seen = atomic_load(&most);
    while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
        continue;
    unsigned number = atomic_fetch_add(&made, 1) + 1;
    atomic_fetch_sub(&inside, 1);
    return number % 100 == 0 ? -1 : 0; /* one in a hundred fails */
}

static int call_all(weir_pool *pool, weir_gate *gate, weir_task *tasks)
{
    const weir_retry_options *retry = WEIR_RETRY_OPTIONS(.initial_interval = WEIR_MS(1));
    int64_t began = weir_now();
    unsigned done = 0;
    int err = 0;
    for (size_t i = 0; i < CALLS && err == 0; i++)
        err = weir_pool_submit_retry(pool, &tasks[i], call_service, NULL,
                                     WEIR_TASK_OPTIONS(.gate = gate), retry);
    int drained = weir_pool_drain(pool);
    int64_t took = weir_now() - began;
    for (size_t i = 0; i < CALLS; i++)
        done += weir_task_state(&tasks[i]) == WEIR_TASK_DONE;
    int64_t fastest = WEIR_S(1) / PER_SECOND * ((int64_t)atomic_load(&made) - BURST);
    printf("%u of %d succeeded\n", done, CALLS);
    printf("never more than %d at a time: %s\n", AT_ONCE,
           atomic_load(&most) <= AT_ONCE ? "yes" : "no");
    printf("never more than %d in a second: %s\n", PER_SECOND, took >= fastest ? "yes" : "no");
    return err != 0 ? err : drained;
}

int main(void)
{
    static weir_semaphore at_once;
    static weir_limiter per_second;
    static weir_gate gate;
    weir_pool *pool = NULL;
    weir_task *tasks = calloc(CALLS, sizeof *tasks);
    int err = tasks != NULL ? weir_semaphore_init(&at_once, AT_ONCE) : -ENOMEM;
    if (err == 0)
        err = weir_limiter_init(&per_second, PER_SECOND, BURST);
    if (err == 0)
        err =
            weir_gate_init(&gate, WEIR_GATE_OPTIONS(.semaphore = &at_once, .limiter = &per_second));
    if (err == 0)
        err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .timers = CALLS));
    if (err == 0)
        err = call_all(pool, &gate, tasks);
    weir_pool_free(pool);
    weir_gate_destroy(&gate);
    weir_semaphore_destroy(&at_once);
    free(tasks);
    if (err != 0)
        fprintf(stderr, "gated_calls: %s\n", weir_strerror(err));
    return err != 0;
}
