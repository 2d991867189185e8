/* SPDX-License-Identifier: MIT */
#include "scenario.h"

#include <string.h>

#include "laps.h"
#include "os/alloc.h"
#include "pool/pool.h"

_Static_assert(MAGAZINE_ROUNDS == 2 && SLOT_MARGIN == 4 && FETCH_AHEAD == 1 && TIMED_FROM == 2,
               "shadow/base/pace.h and sizes.h are in force");

struct starter {
    void (*run)(void *);
    void *arg;
};

static struct starter starters[MAX_THREADS];

static void *run_starter(void *arg)
{
    const struct starter *starter = arg;
    starter->run(starter->arg);
    return NULL;
}

struct vthread *start(void (*run)(void *), void *arg)
{
    struct starter *starter = &starters[vthread_count() % MAX_THREADS];
    *starter = (struct starter){run, arg};
    return vthread_start(run_starter, starter);
}

void finish(struct vthread *thread)
{
    (void)virtual_join(thread->number, NULL);
}

weir_pool *new_pool(const weir_pool_options *options)
{
    weir_pool *pool = NULL;
    int err = weir_pool_new(&pool, options);
    check(err == 0);
    settle();
    return pool;
}

void count_ring_laps(const struct ring *ring)
{
    size_t n = ring->mask + 1;
    laps_count(ring->words, n * sizeof *ring->words, n);
}

void count_laps(const weir_pool *pool)
{
    count_ring_laps(&pool->queue.lane.ring);
}

static int do_nothing(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

weir_pool *new_worn_pool(const weir_pool_options *options)
{
    weir_pool *pool = new_pool(options);
    count_laps(pool);
    for (uint64_t i = 1; i < LAPS_LEAST * (pool->queue.lane.ring.mask + 1); i++) {
        int err = weir_pool_submit(pool, do_nothing, NULL);
        check(err == 0);
        err = weir_pool_drain(pool);
        check(err == 0);
    }
    settle();
    return pool;
}

/* At rest each slot is in exactly one place: free and within reach, or the dead ticket of a submit
 * that was refused by a closed pool is still in the ring. */

enum { MAX_SLOTS = 64 };

static void count_slots(const index_link *links, uint32_t first, unsigned seen[MAX_SLOTS])
{
    for (uint32_t link = first; link != LINK_NONE; link = links[link - 1]) {
        check(link <= MAX_SLOTS);
        check(++seen[link - 1] == 1); /* two owners of one slot */
    }
}

static void count_magazine(const struct freelist *list, struct loaded loaded,
                           unsigned seen[MAX_SLOTS])
{
    for (uint32_t i = 0; i < loaded.rounds; i++) {
        uint32_t link = list->magazines[loaded.magazine - 1].slots[i];
        check(link <= MAX_SLOTS && ++seen[link - 1] == 1);
    }
}

static void count_tickets(const struct ring *ring, unsigned seen[MAX_SLOTS])
{
    for (uint64_t p = ring_end(ring, 1); p != ring_end(ring, 0); p++)
        check(++seen[word_item(ring_at(ring, p))] == 1);
}

static void check_slots(const weir_pool *pool)
{
    const struct queue *queue = &pool->queue;
    const struct freelist *list = &queue->free;
    unsigned seen[MAX_SLOTS] = {0};
    for (unsigned i = 0; i < STRIPES; i++) {
        count_slots(list->links, list->stripes[i].loose & STACK_LINK_MASK, seen);
        count_magazine(list, stripe_loaded(list->stripes[i].word), seen);
    }
    for (unsigned i = 0; i < pool->crew.count; i++)
        count_magazine(list, pool->crew.workers[i].seat.slots, seen);
    for (uint32_t full = list->full & STACK_LINK_MASK; full != LINK_NONE;
         full = list->magazine_links[full - 1])
        count_magazine(list, (struct loaded){full, MAGAZINE_ROUNDS}, seen);
    for (unsigned k = 0; k < queue->lane_count; k++)
        count_tickets(&queue_lane(queue, k)->ring, seen);
    for (uint32_t i = 0; i < queue->deques.count; i++) {
        const struct deque *deque = &queue->deques.of_workers[i].deque;
        uint64_t position, end;
        for (deque_range(deque, &position, &end); position != end; position++)
            check(++seen[deque_at(deque, position)] == 1);
    }
    for (uint32_t i = 0; i < queue->slot_count; i++)
        check(seen[i] == 1); /* a slot was lost */
}

void check_counts(const weir_pool *pool)
{
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    check(counts.submitted ==
          counts.done + counts.failed + counts.cancelled + counts.expired + counts.dropped);
    check(counts.queued == 0 && counts.running == 0);
    check_slots(pool);
}

void end_pool(weir_pool *pool)
{
    int err = weir_pool_shutdown(pool, WEIR_FOREVER, WEIR_FOREVER, NULL);
    check(err == 0);
    check_counts(pool);
    weir_pool_free(pool);
}

void *make(size_t size)
{
    void *memory = weir__alloc(1, size);
    check(memory != NULL);
    return memory;
}

void drop(void *memory)
{
    weir__free(memory);
}
