/* SPDX-License-Identifier: MIT */
/* ring_workloads.c - what the queues of the comparison are asked to do.
 *
 * Usage: PROGRAM FORM WORKLOAD N, where a workload is
 *   pair:CAPACITY              one thread, a push and a pop each time, on an empty queue
 *   PRODUCERSxCONSUMERS:CAPACITY    every producer pushes its part of N items
 *
 * A thread that finds the queue full or empty backs off: a few pauses, and after some tries in a
 * row a yield, for there may be more threads than processors. All queues have that in common.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common.h"
#include "measure.h"
#include "ring.h"

enum { MAX_THREADS = 64, PAUSES = 32, TRIES_BEFORE_YIELD = 4, TIME_OUT_S = 300 };

static const struct ring_peer *peer;
static void *ring;

static void back_off(unsigned *tries)
{
    if (++*tries % TRIES_BEFORE_YIELD == 0) {
        (void)sched_yield();
        return;
    }
    for (int i = 0; i < PAUSES; i++) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#else
        __asm__ __volatile__("" ::: "memory");
#endif
    }
}

/* Two of these agree for different sets of items only by chance. */
static uint64_t mix(uint64_t item)
{
    return (item ^ item >> 31) * 0x9E3779B97F4A7C15U;
}

struct side {
    pthread_t thread;
    pthread_barrier_t *start;
    uint64_t first, last;  /* of a producer: the items it pushes */
    uint64_t count, mixed; /* of a consumer: what it popped */
};

static void *push_items(void *arg)
{
    struct side *side = arg;
    unsigned tries = 0;
    (void)pthread_barrier_wait(side->start);
    (void)pthread_barrier_wait(side->start);
    for (uint64_t i = side->first; i <= side->last; i++) {
        while (peer->push(ring, (void *)(uintptr_t)i) != 0)
            back_off(&tries);
        tries = 0;
    }
    return NULL;
}

/* Set once every producer has ended. A consumer ends when it has seen that first and then an empty
 * queue. */
static bool all_pushed;

static void *pop_items(void *arg)
{
    struct side *side = arg;
    unsigned tries = 0;
    uint64_t count = 0, mixed = 0;
    (void)pthread_barrier_wait(side->start);
    (void)pthread_barrier_wait(side->start);
    bool last_look = false;
    for (;;) {
        void *item;
        if (peer->pop(ring, &item) == 0) {
            tries = 0;
            count++;
            mixed += mix((uintptr_t)item);
        } else if (last_look) {
            break;
        } else {
            last_look = __atomic_load_n(&all_pushed, __ATOMIC_ACQUIRE);
            if (!last_look)
                back_off(&tries);
        }
    }
    side->count = count;
    side->mixed = mixed;
    return NULL;
}

static void run_sides(unsigned producers, unsigned consumers, uint64_t n)
{
    struct side sides[MAX_THREADS];
    pthread_barrier_t start;
    bench_require(producers + consumers <= MAX_THREADS, "too many threads");
    bench_require(pthread_barrier_init(&start, NULL, producers + consumers + 1) == 0, "no barrier");
    for (unsigned i = 0; i < producers + consumers; i++) {
        sides[i] = (struct side){
            .start = &start, .first = n * i / producers + 1, .last = n * (i + 1) / producers};
        void *(*body)(void *) = i < producers ? push_items : pop_items;
        bench_require(pthread_create(&sides[i].thread, NULL, body, &sides[i]) == 0,
                      "a thread could not start");
    }
    struct bench_usage before = bench_read_usage();
    /* The clock is read when all are there and before they may go: a thread that reads it once they
     * go can be late by all that they do before it runs again. */
    (void)pthread_barrier_wait(&start);
    int64_t began = bench_now();
    (void)pthread_barrier_wait(&start);
    for (unsigned i = 0; i < producers; i++)
        (void)pthread_join(sides[i].thread, NULL);
    __atomic_store_n(&all_pushed, true, __ATOMIC_RELEASE);
    uint64_t count = 0, mixed = 0, expected = 0;
    for (unsigned i = producers; i < producers + consumers; i++) {
        (void)pthread_join(sides[i].thread, NULL);
        count += sides[i].count;
        mixed += sides[i].mixed;
    }
    print_metric("ns_per_item", (double)(bench_now() - began) / (double)n);
    struct bench_usage after = bench_read_usage();
    print_metric("cpu_ns_per_item", (double)(after.cpu - before.cpu) / (double)n);
    for (uint64_t i = 1; i <= n; i++)
        expected += mix(i);
    /* What a queue hid from its consumers, which not every one of them promises not to do. */
    for (void *item; peer->pop(ring, &item) == 0; count++)
        mixed += mix((uintptr_t)item);
    bench_check(count == n, "not every item came out once");
    bench_check(mixed == expected, "other items came out");
    (void)pthread_barrier_destroy(&start);
}

static void run_pairs(uint64_t n)
{
    uint64_t errors = 0, sum = 0;
    int64_t began = 0;
    for (uint64_t i = 1; i <= n + n / 10; i++) {
        void *item = NULL;
        if (i == n / 10 + 1)
            began = bench_now();
        errors += peer->push(ring, (void *)(uintptr_t)i) != 0;
        errors += peer->pop(ring, &item) != 0;
        sum += (uintptr_t)item;
    }
    print_metric("ns_per_item", (double)(bench_now() - began) / (double)n);
    n += n / 10;
    bench_check(errors == 0, "a push or a pop failed");
    bench_check(sum == n * (n + 1) / 2, "other items came out");
}

static const struct ring_peer *find_form(const char *name)
{
    for (const struct ring_peer *const *form = ring_forms; *form != NULL; form++)
        if (strcmp((*form)->name, name) == 0)
            return *form;
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned producers = 0, consumers = 0;
    size_t capacity = 0;
    uint64_t n = 0;
    if (argc == 4) {
        peer = find_form(argv[1]);
        n = strtoull(argv[3], NULL, 10);
        if (sscanf(argv[2], "pair:%zu", &capacity) != 1 &&
            sscanf(argv[2], "%ux%u:%zu", &producers, &consumers, &capacity) != 3)
            n = 0;
    }
    if (peer == NULL || n == 0 || (producers == 0) != (consumers == 0)) {
        fprintf(stderr, "usage: %s FORM pair:CAPACITY|PRODUCERSxCONSUMERS:CAPACITY N\n", argv[0]);
        return 2;
    }
    end_after(TIME_OUT_S);
    ring = peer->open(capacity, producers > 0 ? producers : 1);
    bench_require(ring != NULL, "the queue could not be made");
    if (producers > 0)
        run_sides(producers, consumers, n);
    else
        run_pairs(n);
    peer->close(ring);
    return bench_end();
}
