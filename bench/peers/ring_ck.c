/* SPDX-License-Identifier: MIT */
/* ring_ck.c - Concurrency Kit's ck_ring for many producers and consumers. One slot stays free, so
 * it gets twice the capacity, the next power of two. */
#include <stdlib.h>

#include <ck_ring.h>

#include "ring.h"

struct queue {
    ck_ring_t ring;
    ck_ring_buffer_t *buffer;
};

static void *open_queue(size_t capacity, unsigned producers)
{
    (void)producers;
    struct queue *queue = aligned_alloc(64, (sizeof *queue + 63) / 64 * 64);
    ck_ring_buffer_t *buffer = calloc(2 * capacity, sizeof *buffer);
    if (queue == NULL || buffer == NULL) {
        free(queue);
        free(buffer);
        return NULL;
    }
    ck_ring_init(&queue->ring, (unsigned)(2 * capacity));
    queue->buffer = buffer;
    return queue;
}

static void close_queue(void *ring)
{
    struct queue *queue = ring;
    free(queue->buffer);
    free(queue);
}

static int push(void *ring, void *item)
{
    struct queue *queue = ring;
    return ck_ring_enqueue_mpmc(&queue->ring, queue->buffer, item) ? 0 : -1;
}

static int pop(void *ring, void **ret_item)
{
    struct queue *queue = ring;
    return ck_ring_dequeue_mpmc(&queue->ring, queue->buffer, ret_item) ? 0 : -1;
}

static const struct ring_peer ck = {"ck_ring", open_queue, close_queue, push, pop};

const struct ring_peer *const ring_forms[] = {&ck, NULL};
