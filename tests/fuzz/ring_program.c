/* SPDX-License-Identifier: MIT */
/* ring_program.c - weir/ring.h against an array. */
#include "input.h"
#include "programs.h"
#include "scenario.h"

enum { MOST = 8, CALLS = 64 };

struct queue {
    uintptr_t items[MOST];
    size_t first, count, capacity;
    uintptr_t next; /* the item to come; 0 is an item too */
};

static void append(struct queue *queue)
{
    queue->items[(queue->first + queue->count++) % MOST] = queue->next++;
}

static uintptr_t take(struct queue *queue)
{
    uintptr_t item = queue->items[queue->first];
    queue->first = (queue->first + 1) % MOST;
    queue->count--;
    return item;
}

static void push(weir_ring *ring, struct queue *queue)
{
    int err = weir_ring_push(ring, (void *)queue->next);
    check(err == (queue->count < queue->capacity ? 0 : -EAGAIN));
    if (err == 0)
        append(queue);
}

static void pop(weir_ring *ring, struct queue *queue)
{
    void *untouched = queue, *item = untouched;
    int err = weir_ring_pop(ring, &item);
    check(err == (queue->count > 0 ? 0 : -EAGAIN));
    check(err == 0 ? (uintptr_t)item == take(queue) : item == untouched);
}

static void push_burst(weir_ring *ring, struct queue *queue)
{
    void *items[MOST + 1];
    size_t n = input_below(MOST + 2), room = queue->capacity - queue->count;
    for (size_t i = 0; i < n; i++)
        items[i] = (void *)(queue->next + i);
    size_t pushed = weir_ring_push_burst(ring, items, n);
    check(pushed == (n < room ? n : room));
    for (size_t i = 0; i < pushed; i++)
        append(queue);
}

static void pop_burst(weir_ring *ring, struct queue *queue)
{
    void *items[MOST + 1];
    size_t n = input_below(MOST + 2), there = queue->count;
    size_t popped = weir_ring_pop_burst(ring, items, n);
    check(popped == (n < there ? n : there));
    for (size_t i = 0; i < popped; i++)
        check((uintptr_t)items[i] == take(queue));
}

void ring_program(void)
{
    static void (*const steps[])(weir_ring *, struct queue *) = {push, pop, push_burst, pop_burst};
    weir_ring *ring = NULL;
    size_t wanted = input_below(MOST + 2);
    struct queue queue = {.capacity = wanted};
    int err = weir_ring_new(&ring, wanted);
    check(err == (wanted == 2 || wanted == 4 || wanted == 8 ? 0 : -EINVAL));
    for (unsigned i = 0; i < CALLS && err == 0 && input_left(); i++) {
        steps[input_below(4)](ring, &queue);
        check(weir_ring_count(ring) == queue.count && weir_ring_capacity(ring) == wanted);
        calls += 3;
    }
    weir_ring_free(ring);
}
