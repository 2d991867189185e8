/* SPDX-License-Identifier: MIT */
/* weir/waitgroup.h - waits until a number of things are done.
 *
 *     weir_waitgroup wg = WEIR_WAITGROUP_INIT;
 *     for (size_t i = 0; i < n; i++)
 *         if (weir_waitgroup_go(&wg, pool, work, &item[i]) != 0)
 *             ...
 *     (void)!weir_waitgroup_wait(&wg);
 *
 * The counter goes up with add (and go) and down with done; wait returns when it is zero. It is
 * reusable: an add from zero starts a new round, even while waiters of the last one are leaving.
 *
 * Ownership: the caller's memory, all-zero is valid, nothing to destroy. Once the counter is zero
 * and the wait has returned, weir never touches it again, so it may live on the waiter's stack.
 * Thread-safety: every call may be made by any number of threads at once, from tasks too.
 * In a child process made by fork(): add, done and wait work; go returns -ESTALE, and so does a
 * wait for tasks that the parent process submitted.
 */
#ifndef WEIR_WAITGROUP_H
#define WEIR_WAITGROUP_H

#include "pool.h"

WEIR_BEGIN_DECLS

typedef struct weir_waitgroup {
    uint64_t words_[6];
} weir_waitgroup;

#define WEIR_WAITGROUP_INIT                                                                        \
    {                                                                                              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/* Adds `n` to the counter. 0 does nothing. Never blocks.
 * Misuse that aborts: `wg` is NULL, or a counter above 2^31 - 1. */
WEIR_API void weir_waitgroup_add(weir_waitgroup *wg, unsigned n);

/* Takes 1 off the counter; at zero it wakes the waiters. Blocks for a short internal lock at most.
 * Misuse that aborts: `wg` is NULL, or a counter below zero.
 * Ordering: what came before done happens-before the return of the wait that it ends. */
WEIR_API void weir_waitgroup_done(weir_waitgroup *wg);

/* Blocks until the counter is zero, or was zero since the call began. A worker that waits runs
 * tasks which weir_waitgroup_go gave to its own pool and which have not started. The deadline does
 * not cut such a run short, so the wait may end later by that run. A thread that is no worker and
 * runs no task does the same if the pool was made with `outside_waiters_help`; then the pool must
 * not be freed before the wait has returned.
 * Returns 0; -EDEADLK (called from a task that `wg` itself counts); -EINVAL (`wg` is NULL);
 * -ESTALE; try_: -EAGAIN; _until: -ETIMEDOUT, -ECANCELED. */
WEIR_API WEIR_NODISCARD int weir_waitgroup_wait(weir_waitgroup *wg);
WEIR_API WEIR_NODISCARD int weir_waitgroup_try_wait(weir_waitgroup *wg);
WEIR_API WEIR_NODISCARD int weir_waitgroup_wait_until(weir_waitgroup *wg, weir_context *ctx,
                                                      int64_t deadline);

/* Adds 1, submits fn(ctx, arg) to `pool`, and counts down when the task is done, whether it ran or
 * never starts (then the pool's on_drop is called first). If the pool refuses, the count is undone.
 * Blocks and returns as weir_pool_submit does, or its try_ or _until form; also -EINVAL (`wg` is
 * NULL) and -EOVERFLOW (2^31 - 1 are counted). */
WEIR_API WEIR_NODISCARD int weir_waitgroup_go(weir_waitgroup *wg, weir_pool *pool, weir_task_fn *fn,
                                              void *arg);
WEIR_API WEIR_NODISCARD int weir_waitgroup_try_go(weir_waitgroup *wg, weir_pool *pool,
                                                  weir_task_fn *fn, void *arg);
WEIR_API WEIR_NODISCARD int weir_waitgroup_go_until(weir_waitgroup *wg, weir_pool *pool,
                                                    weir_task_fn *fn, void *arg, weir_context *ctx,
                                                    int64_t deadline);

WEIR_END_DECLS

#endif
