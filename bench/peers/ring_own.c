/* SPDX-License-Identifier: MIT */
/* ring_own.c - the queues of this tree: weir_ring, Vyukov's queue, an array under a mutex. */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include <weir/ring.h>

#include "../baseline/vyukov.h"
#include "ring.h"

static void *open_weir(size_t capacity, unsigned producers)
{
    (void)producers;
    weir_ring *ring;
    return weir_ring_new(&ring, capacity) == 0 ? ring : NULL;
}

static void close_weir(void *ring)
{
    weir_ring_free(ring);
}

static int push_weir(void *ring, void *item)
{
    return weir_ring_push(ring, item);
}

static int pop_weir(void *ring, void **ret_item)
{
    return weir_ring_pop(ring, ret_item);
}

static void *open_vyukov(size_t capacity, unsigned producers)
{
    (void)producers;
    return vyukov_new(capacity);
}

static void close_vyukov(void *ring)
{
    vyukov_free(ring);
}

static int push_vyukov(void *ring, void *item)
{
    return vyukov_push(ring, item);
}

static int pop_vyukov(void *ring, void **ret_item)
{
    return vyukov_pop(ring, ret_item);
}

/* `mutex` guards what follows it, but for the capacity. */
struct locked {
    pthread_mutex_t mutex;
    size_t head, queued, mask;
    void *items[];
};

static void *open_mutex(size_t capacity, unsigned producers)
{
    (void)producers;
    struct locked *ring = calloc(1, sizeof *ring + capacity * sizeof(void *));
    if (ring == NULL)
        return NULL;
    (void)pthread_mutex_init(&ring->mutex, NULL); /* a default mutex: cannot fail */
    ring->mask = capacity - 1;
    return ring;
}

static void close_mutex(void *ring)
{
    struct locked *locked = ring;
    (void)pthread_mutex_destroy(&locked->mutex);
    free(locked);
}

static int push_mutex(void *ring, void *item)
{
    struct locked *locked = ring;
    (void)pthread_mutex_lock(&locked->mutex);
    bool room = locked->queued <= locked->mask;
    if (room)
        locked->items[(locked->head + locked->queued++) & locked->mask] = item;
    (void)pthread_mutex_unlock(&locked->mutex);
    return room ? 0 : -1;
}

static int pop_mutex(void *ring, void **ret_item)
{
    struct locked *locked = ring;
    (void)pthread_mutex_lock(&locked->mutex);
    bool some = locked->queued > 0;
    if (some) {
        *ret_item = locked->items[locked->head++ & locked->mask];
        locked->queued--;
    }
    (void)pthread_mutex_unlock(&locked->mutex);
    return some ? 0 : -1;
}

static const struct ring_peer weir = {"weir", open_weir, close_weir, push_weir, pop_weir};
static const struct ring_peer vyukov = {
    "vyukov", open_vyukov, close_vyukov, push_vyukov, pop_vyukov,
};
static const struct ring_peer mutex = {"mutex", open_mutex, close_mutex, push_mutex, pop_mutex};

const struct ring_peer *const ring_forms[] = {&weir, &vyukov, &mutex, NULL};
