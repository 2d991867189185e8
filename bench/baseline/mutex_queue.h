/* SPDX-License-Identifier: MIT */
/* mutex_queue.h - what one writes by hand instead of a channel: a ring under a mutex with two
 * condition variables. With capacity 0 a put also waits until its number was taken. */
#ifndef BENCH_MUTEX_QUEUE_H
#define BENCH_MUTEX_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct mutex_queue;

/* Returns NULL when no memory is left. */
struct mutex_queue *mutex_queue_new(size_t capacity);
void mutex_queue_free(struct mutex_queue *queue);

void mutex_queue_put(struct mutex_queue *queue, uint64_t number);
uint64_t mutex_queue_take(struct mutex_queue *queue);

#endif
