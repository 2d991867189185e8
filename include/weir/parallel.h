/* SPDX-License-Identifier: MIT */
/* weir/parallel.h - a for loop whose parts run on the caller and on the workers of a pool.
 *
 *     static int scale(weir_context *ctx, size_t begin, size_t end, void *arg)
 *     {
 *         double *x = arg;
 *         for (size_t i = begin; i < end; i++)
 *             x[i] *= 2;
 *         return 0;
 *     }
 *
 *     err = weir_parallel_for(pool, n, 0, scale, x);
 *
 * The indices 0 to n - 1 are cut into chunks, which the threads take one by one as they become
 * free: so uneven work is balanced. The caller takes part from the start, the workers as they
 * become free; if none is free and the queue is full, the caller does all chunks. At most one task
 * of a loop waits in the queue at a time, and it is removed when the loop is done. Such tasks
 * appear in the pool's counts.
 */
#ifndef WEIR_PARALLEL_H
#define WEIR_PARALLEL_H

#include "pool.h"

WEIR_BEGIN_DECLS

/* Does the indices from `begin` up to, but not including, `end`. Runs on several threads at once.
 * `ctx` is never NULL: it is over after the first error, when the context or the deadline given to
 * the loop is over, and when the pool was cancelled; it ends with the loop (to keep it, see
 * weir_context_ref). Returns 0; anything else stops the loop. */
typedef int weir_range_fn(weir_context *ctx, size_t begin, size_t end, void *arg);

/* Calls `fn` for chunks of at most `grain` indices (0: weir chooses, several chunks for each
 * thread) until each index of 0 to n - 1 was given to one call. After the first error, and once the
 * context or the deadline is over, no further chunk begins. Blocks until every call of `fn` has
 * returned, however long that takes; allocates nothing, unless `ctx` is a task's own.
 * Returns 0: all indices are done, also if that took longer than the deadline; the first value
 * other than 0 that `fn` returned (-ECANCELED if it ended its thread); -EPIPE (closed, or the
 * pool's context is over; for a task of the pool only the latter), then `fn` is not called;
 * -ECANCELED (the pool was cancelled meanwhile); -EINVAL (`pool` or `fn` is NULL); -ESTALE; _until:
 * -ETIMEDOUT, -ECANCELED, and -ENOMEM if `ctx` is a task's own (weir_context_ref). n = 0: returns 0
 * without a call.
 * Ordering: what came before the loop happens-before every call of `fn`, and they happen-before the
 * return. The pool must not be freed meanwhile. A task of the pool may make the call, also from
 * within `fn`. */
WEIR_API WEIR_NODISCARD int weir_parallel_for(weir_pool *pool, size_t n, size_t grain,
                                              weir_range_fn *fn, void *arg);
WEIR_API WEIR_NODISCARD int weir_parallel_for_until(weir_pool *pool, size_t n, size_t grain,
                                                    weir_range_fn *fn, void *arg, weir_context *ctx,
                                                    int64_t deadline);

WEIR_END_DECLS

#endif
