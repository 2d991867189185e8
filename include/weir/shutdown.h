/* SPDX-License-Identifier: MIT */
/* weir/shutdown.h - how the work of a pool ends: drain, close, cancel, shut down.
 *
 *     err = weir_pool_drain(pool);                       ... all that was accepted has ended
 *     err = weir_pool_shutdown(pool, weir_after(WEIR_S(10)), weir_after(WEIR_S(12)), &report);
 *
 * A server that is told to stop gives its tasks until the soft deadline, and lets those that ignore
 * the cancellation hold up its end until the hard one. A loop that must not block shuts down with
 * both deadlines in the past: that cancels everything, returns at once, and is called again later
 * until it returns 0. What ends how is a table in docs/reference.md.
 *
 * Thread-safety: every call may be made by any number of threads at once. Of a pool that was
 * inherited through fork() they return -ESTALE or do nothing.
 */
#ifndef WEIR_SHUTDOWN_H
#define WEIR_SHUTDOWN_H

#include "pool.h"

WEIR_BEGIN_DECLS

/* Blocks until every accepted task has ended, also delayed and retried ones (timer.h, retry.h); of
 * a periodic one, only its run that is queued or under way. Threads that submit meanwhile delay it.
 * Returns 0, also if the pool is shut down; -EDEADLK (from a task of the pool); -EINVAL (NULL);
 * -ESTALE; _until: -ETIMEDOUT, -ECANCELED. Ordering: what the tasks did happens-before a return. */
WEIR_API WEIR_NODISCARD int weir_pool_drain(weir_pool *pool);
WEIR_API WEIR_NODISCARD int weir_pool_drain_until(weir_pool *pool, weir_context *ctx,
                                                  int64_t deadline);

/* No task is accepted from outside any more: -EPIPE, also for threads that are blocked in a submit.
 * Tasks of the pool may still submit, but no periodic task. What waits for its time or a retry
 * comes due as before. A periodic task ends as CANCELLED: on this thread, or after its run that is
 * queued or under way. Blocks for a short internal lock only. Idempotent. NULL, stale: nothing. */
WEIR_API void weir_pool_close(weir_pool *pool);

/* Closes the pool and ends every task that is queued, or waits for its time or a retry, as
 * CANCELLED. Tasks that run are not disturbed, but what they submit is refused too, with -EPIPE.
 * To let them finish, however long it takes: then shut down with WEIR_FOREVER twice. Blocks for a
 * short internal lock only, and calls on_drop and on_done for what it ends. Idempotent. NULL,
 * stale: nothing. */
WEIR_API void weir_pool_cancel_queued(weir_pool *pool);

/* What became of the tasks that were accepted since the pool was made. */
typedef struct weir_shutdown_report {
    uint64_t drained;   /* ended DONE or FAILED, also because they were told to stop */
    uint64_t cancelled; /* did not run (again): ended CANCELLED, EXPIRED or DROPPED */
    uint64_t running;   /* have not returned; 0 after -ETIMEDOUT: the last is just ending */
} weir_shutdown_report;

/* Closes the pool; waits until `soft_deadline` for every task to end, as weir_pool_drain does; then
 * cancels the pool's context and ends every task that is queued, or waits for its time or a retry,
 * as CANCELLED; waits until `hard_deadline` for those that run. A soft deadline after the hard one
 * counts as the hard one. `ret_report` may be NULL. Idempotent; several threads may call it.
 * Returns 0: every task has ended, the threads are joined. -ETIMEDOUT: `running` tasks have not
 * returned; the report is filled, the pool stays valid, call again. -EDEADLK (from a task of the
 * pool); -EINVAL (NULL); -ESTALE. */
WEIR_API WEIR_NODISCARD int weir_pool_shutdown(weir_pool *pool, int64_t soft_deadline,
                                               int64_t hard_deadline,
                                               weir_shutdown_report *ret_report);

WEIR_END_DECLS

#endif
