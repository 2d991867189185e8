/* SPDX-License-Identifier: MIT */
/* inside_wait.c - a task that submits another one to its own pool and waits for it. The worker that
 * waits runs it itself, so there is nobody to wake: with one worker always, with two as long as the
 * other one is busy. An idle other worker is told of the task, as it must be, and may win it. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>

#include <weir.h>

#include "baseline/mutex_queue.h"
#include "common.h"
#include "wakes.h"

enum { CALLS = 100000, ROUNDS = 7, LIMIT = 7 };

struct setup {
    unsigned workers;
    bool other_is_busy;
    weir_pool *pool;
    struct mutex_queue *queue; /* instead of a pool */
    size_t calls;
    sem_t started, release; /* of the task that keeps the other worker busy */
    /* What the outer task finds. */
    size_t errors;
    size_t in_place;
    uint64_t sum;
    uint64_t wakes;
    int64_t elapsed;
};

struct inner {
    pthread_t waiter;
    uint64_t value;
    bool in_place;
};

static int inner_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct inner *inner = arg;
    inner->in_place = pthread_equal(pthread_self(), inner->waiter) != 0;
    inner->value *= 2;
    return 0;
}

static int outer_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct setup *setup = arg;
    uint64_t wakes = wakes_so_far();
    int64_t start = bench_now();
    for (size_t i = 1; i <= setup->calls; i++) {
        struct inner inner = {.waiter = pthread_self(), .value = i};
        weir_task task = WEIR_TASK_INIT;
        int error = weir_pool_submit_task(setup->pool, &task, inner_task, &inner, NULL);
        if (error == 0)
            error = weir_task_wait(&task);
        setup->errors += error != 0;
        setup->in_place += inner.in_place;
        setup->sum += inner.value;
    }
    setup->elapsed = bench_now() - start;
    setup->wakes = wakes_so_far() - wakes;
    return 0;
}

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) != 0 && errno == EINTR)
        ;
}

static int busy_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct setup *setup = arg;
    (void)sem_post(&setup->started);
    wait_for(&setup->release);
    return 0;
}

/* To compare with: as many put into a queue with a mutex and taken out, by one thread. */
static void queue_round(void *arg, double ret_values[])
{
    struct setup *setup = arg;
    uint64_t sum = 0;
    int64_t start = bench_now();
    for (uint64_t i = 1; i <= setup->calls; i++) {
        mutex_queue_put(setup->queue, 2 * i);
        sum += mutex_queue_take(setup->queue);
    }
    ret_values[0] = (double)(bench_now() - start) / (double)setup->calls;
    ret_values[1] = ret_values[2] = 0;
    bench_check(sum == (uint64_t)setup->calls * (setup->calls + 1), "a number was lost");
}

static void round_of(void *arg, double ret_values[])
{
    struct setup *setup = arg;
    setup->errors = setup->in_place = 0;
    setup->sum = setup->wakes = 0;
    if (setup->other_is_busy) {
        bench_require(weir_pool_submit(setup->pool, busy_task, setup) == 0, "a submit failed");
        wait_for(&setup->started);
    }
    weir_task task = WEIR_TASK_INIT;
    int error = weir_pool_submit_task(setup->pool, &task, outer_task, setup, NULL);
    bench_require(error == 0 && weir_task_wait(&task) == 0, "a submit or a wait failed");
    if (setup->other_is_busy)
        (void)sem_post(&setup->release);
    bench_require(weir_pool_drain(setup->pool) == 0, "a drain failed");

    double calls = (double)setup->calls;
    bench_check(setup->errors == 0, "a submit or a wait inside a task failed");
    bench_check(setup->sum == (uint64_t)setup->calls * (setup->calls + 1),
                "not every task had run when its wait returned");
    ret_values[0] = (double)setup->elapsed / calls;
    ret_values[1] = (double)setup->wakes / calls;
    ret_values[2] = 100 * (1 - (double)setup->in_place / calls);
}

int main(int argc, char **argv)
{
    bench_begin(argc, argv);
    enum { SETUPS = 3 };
    struct setup setups[SETUPS + 1] = {
        {.workers = 1},
        {.workers = 2, .other_is_busy = true},
        {.workers = 2},
        {.queue = mutex_queue_new(1000), .calls = bench_scaled(CALLS)},
    };
    bench_require(setups[SETUPS].queue != NULL, "a queue could not be made");
    for (size_t i = 0; i < SETUPS; i++) {
        struct setup *setup = &setups[i];
        setup->calls = bench_scaled(CALLS);
        bench_require(sem_init(&setup->started, 0, 0) == 0 && sem_init(&setup->release, 0, 0) == 0,
                      "a semaphore could not be made");
        int error = weir_pool_new(&setup->pool, WEIR_POOL_OPTIONS(.workers = setup->workers));
        bench_require(error == 0, "a pool could not be made");
    }
    const struct contender contenders[SETUPS + 1] = {
        {.name = "one worker",
         .round = round_of,
         .arg = &setups[0],
         .goals = {{0}, {VALUE_AT_MOST, 0}, {VALUE_AT_MOST, 0}},
         .limits = {{RATIO_AT_MOST, LIMIT}, {VALUE_AT_MOST, 0}, {VALUE_AT_MOST, 0}}},
        {.name = "two, the other one busy",
         .round = round_of,
         .arg = &setups[1],
         .goals = {{0}, {VALUE_AT_MOST, 0}, {VALUE_AT_MOST, 0}},
         .limits = {{RATIO_AT_MOST, LIMIT}, {VALUE_AT_MOST, 0}, {VALUE_AT_MOST, 0}}},
        {.name = "two, the other one idle", .round = round_of, .arg = &setups[2]},
        {.name = "mutex queue: put and take", .round = queue_round, .arg = &setups[SETUPS]},
    };
    bench_compare(&(struct comparison){
        .title = "Submit and wait for one task, from inside a task of the pool",
        .metrics = {"ns/task", "wakes/task", "% not in place"},
        .contenders = contenders,
        .n = SETUPS + 1,
        .against = &contenders[SETUPS],
        .rounds = ROUNDS,
    });
    for (size_t i = 0; i < SETUPS; i++) {
        weir_pool_free(setups[i].pool);
        (void)sem_destroy(&setups[i].started);
        (void)sem_destroy(&setups[i].release);
    }
    mutex_queue_free(setups[SETUPS].queue);
    return bench_end();
}
