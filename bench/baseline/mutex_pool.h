/* SPDX-License-Identifier: MIT */
/* mutex_pool.h - the pool that weir_pool is measured against: a mutex, condition variables, and a
 * ring buffer; what one writes by hand, with care. */
#ifndef BENCH_BASELINE_MUTEX_POOL_H
#define BENCH_BASELINE_MUTEX_POOL_H

#include <pthread.h>
#include <stdbool.h>

#include <weir/pool.h>

struct mutex_pool;

/* A task that is waited for; lives on the waiter's stack. */
struct mutex_pool_task {
    pthread_mutex_t mutex;
    pthread_cond_t over;
    bool is_over; /* under mutex */
};

/* Returns 0 or a negative errno. */
int mutex_pool_new(struct mutex_pool **ret, unsigned workers, unsigned capacity);

/* Runs what is queued, joins the threads, frees. */
void mutex_pool_free(struct mutex_pool *pool);

/* Queues fn(NULL, arg); blocks while the pool is full. */
void mutex_pool_submit(struct mutex_pool *pool, weir_task_fn *fn, void *arg);

/* Blocks until nothing is queued or running. */
void mutex_pool_drain(struct mutex_pool *pool);

/* Queues fn(NULL, arg) and blocks until it has returned. */
void mutex_pool_call(struct mutex_pool *pool, weir_task_fn *fn, void *arg);

#endif
