/* SPDX-License-Identifier: MIT */
/* ring_pair.c - what a push and a pop cost when nobody else is there: weir_ring beside Vyukov's
 * queue, both called out of line.
 *
 * Between pairs the queues are empty or half full. When empty, weir_ring's pop reads the word that
 * its push has just changed by a locked instruction, which takes longer than to read one that was
 * changed long ago. A small queue stays in the first level of the cache, a large one does not.
 */
#include <stdint.h>
#include <stdio.h>

#include <weir/ring.h>

#include "baseline/vyukov.h"
#include "common.h"

enum { PAIRS = 2000000, ROUNDS = 9 };

/* The items are 1, 2, 3, ... over all rounds. */
struct lane {
    void *queue;
    uintptr_t pushed, popped; /* the last one */
};

static size_t pairs;

/* Ends a round, in which errors were seen and items of the sum were popped. */
static void finish(struct lane *lane, int64_t start, uint64_t errors, uint64_t sum,
                   double ret_values[])
{
    ret_values[0] = (double)(bench_now() - start) / (double)pairs;
    uint64_t first = lane->popped + 1, last = lane->popped + pairs;
    bench_check(errors == 0, "a push or a pop failed");
    bench_check(sum == pairs * (first + last) / 2, "the items popped are not the oldest pushed");
    lane->pushed += pairs;
    lane->popped += pairs;
}

static void pair_weir(void *arg, double ret_values[])
{
    struct lane *lane = arg;
    weir_ring *ring = lane->queue;
    uint64_t sum = 0, errors = 0;
    int64_t start = bench_now();
    for (uintptr_t i = 1; i <= pairs; i++) {
        void *item = NULL;
        errors += weir_ring_push(ring, (void *)(lane->pushed + i)) != 0;
        errors += weir_ring_pop(ring, &item) != 0;
        sum += (uintptr_t)item;
    }
    finish(lane, start, errors, sum, ret_values);
}

static void pair_vyukov(void *arg, double ret_values[])
{
    struct lane *lane = arg;
    struct vyukov *queue = lane->queue;
    uint64_t sum = 0, errors = 0;
    int64_t start = bench_now();
    for (uintptr_t i = 1; i <= pairs; i++) {
        void *item = NULL;
        errors += vyukov_push(queue, (void *)(lane->pushed + i)) != 0;
        errors += vyukov_pop(queue, &item) != 0;
        sum += (uintptr_t)item;
    }
    finish(lane, start, errors, sum, ret_values);
}

static void compare(size_t capacity, size_t filled, const char *how)
{
    weir_ring *ring = NULL;
    bench_require(weir_ring_new(&ring, capacity) == 0, "weir_ring_new failed");
    struct vyukov *queue = vyukov_new(capacity);
    bench_require(queue != NULL, "no memory");
    for (uintptr_t i = 1; i <= filled; i++)
        bench_require(weir_ring_push(ring, (void *)i) == 0 && vyukov_push(queue, (void *)i) == 0,
                      "a push failed");

    struct lane weir = {ring, filled, 0}, vyukov = {queue, filled, 0};
    const struct contender contenders[] = {
        {.name = "weir_ring",
         .round = pair_weir,
         .arg = &weir,
         .goals = {{RATIO_AT_MOST, 1.3}},
         .limits = {{RATIO_AT_MOST, 2.6}}},
        {.name = "Vyukov's queue", .round = pair_vyukov, .arg = &vyukov},
    };
    char title[80];
    (void)snprintf(title, sizeof title, "Push and pop on one thread, capacity %zu, %s", capacity,
                   how);
    bench_compare(&(struct comparison){
        .title = title,
        .metrics = {"ns/pair"},
        .contenders = contenders,
        .n = 2,
        .against = &contenders[1],
        .rounds = ROUNDS,
    });
    vyukov_free(queue);
    weir_ring_free(ring);
}

int main(int argc, char **argv)
{
    static const size_t capacities[] = {64, 1024, 65536};
    bench_begin(argc, argv);
    pairs = bench_scaled(PAIRS);
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        compare(capacities[i], 0, "empty");
        compare(capacities[i], capacities[i] / 2, "half full");
    }
    return bench_end();
}
