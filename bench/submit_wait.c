/* SPDX-License-Identifier: MIT */
/* submit_wait.c - the round trip of one task from a thread outside the pool: submit, wait, repeat.
 * Threads that sleep have to be woken, the worker first and then the waiter; a waiter that is
 * allowed to help runs the task itself. */
#include <stdint.h>

#include "common.h"
#include "pools.h"

enum { CALLS = 20000, ROUNDS = 7, WORKERS = 2, CAPACITY = 1024 };

struct trip {
    const struct pool_kind *kind;
    void *pool;
    size_t calls;
    uint64_t sum; /* written by the task, read once it was waited for: no need of an atomic */
};

struct parcel {
    struct trip *trip;
    uint64_t value;
};

static int deliver_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    const struct parcel *parcel = arg;
    parcel->trip->sum += parcel->value;
    return 0;
}

static void round_of(void *arg, double ret_values[])
{
    struct trip *trip = arg;
    size_t errors = 0;
    trip->sum = 0;
    struct bench_usage before = bench_read_usage();
    int64_t start = bench_now();
    for (size_t i = 1; i <= trip->calls; i++) {
        struct parcel parcel = {trip, i};
        errors += trip->kind->call(trip->pool, deliver_task, &parcel) != 0;
    }
    int64_t elapsed = bench_now() - start;
    struct bench_usage after = bench_read_usage();
    bench_check(errors == 0, "a submit or a wait failed");
    bench_check(trip->sum == (uint64_t)trip->calls * (trip->calls + 1) / 2,
                "not every task had run when its wait returned");
    ret_values[0] = (double)elapsed / (double)trip->calls;
    ret_values[1] = (double)(after.wakes - before.wakes) / (double)trip->calls;
}

int main(int argc, char **argv)
{
    bench_begin(argc, argv);
    const struct pool_kind *kinds[] = {&weir_kind, &weir_helped_kind, &mutex_kind};
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    struct trip trips[KINDS];
    struct contender contenders[KINDS];
    for (size_t i = 0; i < KINDS; i++) {
        trips[i] = (struct trip){.kind = kinds[i],
                                 .pool = kinds[i]->open(WORKERS, CAPACITY),
                                 .calls = bench_scaled(CALLS)};
        bench_require(trips[i].pool != NULL, "a pool could not be made");
        contenders[i] =
            (struct contender){.name = kinds[i]->name, .round = round_of, .arg = &trips[i]};
    }
    contenders[0].limits[0] = (struct goal){RATIO_AT_MOST, 4};
    contenders[1].limits[0] = (struct goal){RATIO_AT_MOST, 0.5};
    bench_compare(&(struct comparison){
        .title = "Submit and wait for one task, from outside, two workers",
        .metrics = {"ns/task", "wakes/task"},
        .contenders = contenders,
        .n = KINDS,
        .against = &contenders[KINDS - 1],
        .rounds = ROUNDS,
    });
    for (size_t i = 0; i < KINDS; i++)
        kinds[i]->close(trips[i].pool);
    return bench_end();
}
