/* SPDX-License-Identifier: MIT */
/* mutex_pool.h - the pool that weir_pool is measured against: a mutex, condition variables, and a
 * ring buffer; what one writes by hand, with care. */
#ifndef BENCH_BASELINE_MUTEX_POOL_H
#define BENCH_BASELINE_MUTEX_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/pool.h>

struct mutex_pool;

/* Returns 0 or a negative errno. */
int mutex_pool_new(struct mutex_pool **ret, unsigned workers, unsigned capacity);

/* Runs what is queued, joins the threads, frees. */
void mutex_pool_free(struct mutex_pool *pool);

/* Queues fn(NULL, arg); blocks while the pool is full. */
void mutex_pool_submit(struct mutex_pool *pool, weir_task_fn *fn, void *arg);

/* The same without blocking; false: full. */
bool mutex_pool_try_submit(struct mutex_pool *pool, weir_task_fn *fn, void *arg);

/* Blocks until nothing is queued or running. */
void mutex_pool_drain(struct mutex_pool *pool);

/* Queues fn(NULL, args[0]), ..., fn(NULL, args[n - 1]) and blocks until all have returned. */
void mutex_pool_call(struct mutex_pool *pool, weir_task_fn *fn, void *const args[], size_t n);

/* Queues fn(NULL, forked), runs fn(NULL, own) and blocks until the first has returned, too. */
void mutex_pool_fork(struct mutex_pool *pool, weir_task_fn *fn, void *forked, void *own);

#endif
