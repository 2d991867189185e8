/* SPDX-License-Identifier: MIT */
/* mutex_queue.c - a bounded queue on one mutex. A condition is signalled only when a thread waits
 * on it, and after the mutex was released, so that the woken thread does not find it held. */
#include "mutex_queue.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct mutex_queue {
    pthread_mutex_t mutex;
    pthread_cond_t not_empty, not_full, taken;
    unsigned takers, putters; /* that wait */
    bool rendezvous;
    size_t capacity, count, head;
    uint64_t puts, takes; /* ever */
    uint64_t numbers[];
};

struct mutex_queue *mutex_queue_new(size_t capacity)
{
    size_t room = capacity > 0 ? capacity : 1;
    struct mutex_queue *queue = calloc(1, sizeof *queue + room * sizeof queue->numbers[0]);
    if (queue == NULL)
        return NULL;
    (void)pthread_mutex_init(&queue->mutex, NULL);
    (void)pthread_cond_init(&queue->not_empty, NULL);
    (void)pthread_cond_init(&queue->not_full, NULL);
    (void)pthread_cond_init(&queue->taken, NULL);
    queue->rendezvous = capacity == 0;
    queue->capacity = room;
    return queue;
}

void mutex_queue_free(struct mutex_queue *queue)
{
    (void)pthread_cond_destroy(&queue->taken);
    (void)pthread_cond_destroy(&queue->not_full);
    (void)pthread_cond_destroy(&queue->not_empty);
    (void)pthread_mutex_destroy(&queue->mutex);
    free(queue);
}

void mutex_queue_put(struct mutex_queue *queue, uint64_t number)
{
    (void)pthread_mutex_lock(&queue->mutex);
    while (queue->count == queue->capacity) {
        queue->putters++;
        (void)pthread_cond_wait(&queue->not_full, &queue->mutex);
        queue->putters--;
    }
    queue->numbers[(queue->head + queue->count++) % queue->capacity] = number;
    uint64_t mine = ++queue->puts;
    if (queue->rendezvous) {
        if (queue->takers > 0)
            (void)pthread_cond_signal(&queue->not_empty);
        while (queue->takes < mine)
            (void)pthread_cond_wait(&queue->taken, &queue->mutex);
        (void)pthread_mutex_unlock(&queue->mutex);
        return;
    }
    bool wake = queue->takers > 0;
    (void)pthread_mutex_unlock(&queue->mutex);
    if (wake)
        (void)pthread_cond_signal(&queue->not_empty);
}

uint64_t mutex_queue_take(struct mutex_queue *queue)
{
    (void)pthread_mutex_lock(&queue->mutex);
    while (queue->count == 0) {
        queue->takers++;
        (void)pthread_cond_wait(&queue->not_empty, &queue->mutex);
        queue->takers--;
    }
    uint64_t number = queue->numbers[queue->head];
    queue->head = (queue->head + 1) % queue->capacity;
    queue->count--;
    queue->takes++;
    bool wake = queue->putters > 0;
    (void)pthread_mutex_unlock(&queue->mutex);
    if (queue->rendezvous)
        (void)pthread_cond_broadcast(&queue->taken);
    if (wake)
        (void)pthread_cond_signal(&queue->not_full);
    return number;
}
