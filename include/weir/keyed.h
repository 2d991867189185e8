/* SPDX-License-Identifier: MIT */
/* weir/keyed.h - tasks of one key in order, of different keys at once: a serial for each key that
 * is in use.
 *
 *     weir_keyed *orders;
 *     err = weir_keyed_new(&orders, pool, WEIR_KEYED_OPTIONS(.keys = 1000, .limit = 50));
 *     err = weir_keyed_submit(orders, order->customer, &order->task, book, order, NULL);
 *     ...
 *     err = weir_keyed_drain(orders);
 *     weir_keyed_free(orders);
 *
 * The tasks of a key are those of a serial (serial.h), with all that is said there: order, turns,
 * places, waits and cancels. A key is in use from a submit until its last task has ended and its
 * on_done has returned; then its serial is free for any key. There are as many as `keys` says, so
 * that bounds how many keys are in use at once, and memory too: 200 bytes each.
 *
 * Ownership: new allocates, and no other call does. Tasks are as in task.h.
 * Thread-safety: every call but free may be made by any number of threads at once, from tasks too.
 * Each blocks for short internal locks: a thread that is stopped in the middle of a call holds up
 * all keys, and workers that come to the end of their tasks. After fork(), in the child: -ESTALE,
 * or nothing is done; free releases the memory.
 */
#ifndef WEIR_KEYED_H
#define WEIR_KEYED_H

#include "serial.h"

WEIR_BEGIN_DECLS

typedef struct weir_keyed weir_keyed;

typedef struct weir_keyed_options {
    size_t size;       /* filled by WEIR_KEYED_OPTIONS or weir_keyed_options_init */
    unsigned keys;     /* so many may be in use at once, 2^24 at most; 0: 1024 */
    unsigned parallel; /* of each key, as in weir_serial_options; and the next three */
    unsigned batch;
    size_t limit;
    unsigned lane;
} weir_keyed_options;

/* A pointer to options with the fields named set and the others default (C only). */
#define WEIR_KEYED_OPTIONS(...)                                                                    \
    (&(weir_keyed_options){.size = sizeof(weir_keyed_options), __VA_ARGS__})
/* The same for C++ and for options that are filled step by step. */
WEIR_API void weir_keyed_options_init(weir_keyed_options *options);
/* What is wrong with them, or NULL: see weir_pool_options_error. */
WEIR_API const char *weir_keyed_options_error(const weir_keyed_options *options);

/* Returns 0; -EINVAL (`ret` or `pool` is NULL, too many keys, no such lane, options of a size
 * that never was); -E2BIG; -ENOMEM; -ESTALE. Never blocks. */
WEIR_API WEIR_NODISCARD int weir_keyed_new(weir_keyed **ret, weir_pool *pool,
                                           const weir_keyed_options *options);

/* Frees it. NULL is fine. No other call on it may be under way, no wait for a task of it, and no
 * cancel. Blocks until the workers that ran the last tasks are through with it, which takes a
 * moment. Its pool may have been freed before.
 * Misuse that aborts: a task of it has not ended; from a task of it, or its on_done. */
WEIR_API void weir_keyed_free(weir_keyed *keyed);

/* Queues fn(ctx, arg) under the handle `task`, behind all tasks of `key`. Blocks while all keys are
 * in use and this is none of them, and as weir_serial_submit; try_ does neither.
 * Returns as weir_serial_submit and its other forms; besides: -EDEADLK (from a task of the pool,
 * which would have to wait for a key); try_: -EAGAIN (all keys are in use). */
WEIR_API WEIR_NODISCARD int weir_keyed_submit(weir_keyed *keyed, uint64_t key, weir_task *task,
                                              weir_task_fn *fn, void *arg,
                                              const weir_task_options *options);
WEIR_API WEIR_NODISCARD int weir_keyed_try_submit(weir_keyed *keyed, uint64_t key, weir_task *task,
                                                  weir_task_fn *fn, void *arg,
                                                  const weir_task_options *options);
WEIR_API WEIR_NODISCARD int weir_keyed_submit_until(weir_keyed *keyed, uint64_t key,
                                                    weir_task *task, weir_task_fn *fn, void *arg,
                                                    const weir_task_options *options,
                                                    weir_context *ctx, int64_t deadline);

/* Blocks until every task that was accepted before has ended, of whatever key, and its on_done has
 * returned. Returns and orders as weir_serial_drain and its other forms; -EDEADLK from a task of
 * any key. */
WEIR_API WEIR_NODISCARD int weir_keyed_drain(weir_keyed *keyed);
WEIR_API WEIR_NODISCARD int weir_keyed_try_drain(weir_keyed *keyed);
WEIR_API WEIR_NODISCARD int weir_keyed_drain_until(weir_keyed *keyed, weir_context *ctx,
                                                   int64_t deadline);

/* No task is accepted any more: -EPIPE, also for threads that wait in a submit. What is queued runs
 * as before. Idempotent. NULL, stale: nothing. */
WEIR_API void weir_keyed_close(weir_keyed *keyed);

/* How many tasks of the key have not started, and how many keys are in use; exact at rest. 0 for
 * NULL, and for one that is stale. */
WEIR_API size_t weir_keyed_queued(weir_keyed *keyed, uint64_t key);
WEIR_API size_t weir_keyed_active(weir_keyed *keyed);

WEIR_END_DECLS

#endif
