/* SPDX-License-Identifier: MIT */
/* weir/pool.h - a bounded worker pool: threads run tasks from a lock-free queue. Their number
 * is fixed, unless `workers_max` says how many there may be (blocking.h).
 *
 *     weir_pool *pool;
 *     weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 4, .capacity = 256));
 *     err = weir_pool_submit(pool, fn, arg);      ... 0: fn(ctx, arg) has exactly one end
 *     weir_pool_drain(pool);                      ... until every task has ended (shutdown.h)
 *     weir_pool_free(pool);
 *
 * A task that a submit accepted (returned 0) ends exactly once: DONE or FAILED after it ran,
 * CANCELLED, EXPIRED or DROPPED if it does not start. If submit returns an error, weir never
 * touches `fn` or `arg`. Tasks start in the order in which their submits took effect; those of a
 * pool with lanes (lane.h) in each lane, those of one with another `order` as pool_options.h says.
 *
 * `capacity` counts accepted tasks that have not started. A task that ended while queued, or that a
 * waiter claimed and ran, gives its place back when it comes to the head of the queue; a submit
 * that finds the pool full clears the head first. That the context of a queued task was cancelled
 * is seen when a worker takes it: until then it keeps its place. With WEIR_ORDER_LOCAL the same
 * holds for `local`, of what the tasks on each worker submit, but for both the oldest and the
 * newest there.
 *
 * A task may submit to its own pool and wait for tasks of its own pool, whatever the number of
 * workers. Where another thread would wait for room, a task runs the new one inline; after 64 such
 * runs within each other it gets -EDEADLK. Only weir_pool_drain, _shutdown and _free never make
 * sense inside a task of the same pool.
 *
 * A task may end its thread (pthread_exit, thread cancellation; no call of weir is a cancellation
 * point): it is FAILED with -ECANCELED and the worker is replaced. That unwinds the stack, so such
 * tasks must be compiled with unwind tables (the default on Linux). A C++ exception must not leave
 * a task. A task that calls fork() must not return in the child.
 *
 * Thread-safety: every call but free may be made by any number of threads at once. Not for signal
 * handlers. Workers block all asynchronous signals. After fork(), in the child, every call that can
 * fail returns -ESTALE for a pool made before, and free releases the memory without joining.
 */
#ifndef WEIR_POOL_H
#define WEIR_POOL_H

#include "pool_options.h"

WEIR_BEGIN_DECLS

/* Makes a pool and starts its workers; returns when all of them run and on_worker_start has
 * returned on each. NULL options: defaults. All-or-nothing: if a thread cannot start, those before
 * it are joined. No later call on the pool allocates, except a submit that is given a task's own
 * context (see weir_context_ref).
 * Returns 0; -EINVAL (`ret` is NULL, a field out of range, options of a size that never was);
 * -E2BIG; -ENOMEM; what pthread_create returned, negated; what on_worker_start returned. */
WEIR_API WEIR_NODISCARD int weir_pool_new(weir_pool **ret, const weir_pool_options *options);

/* Shuts down with a soft deadline of now and no hard one (see weir_pool_shutdown): tasks that have
 * not started end as CANCELLED, running ones are waited for; then frees. To run what was accepted,
 * drain first. free(NULL) is fine. No other call on the pool may be under way.
 * Misuse that aborts: from a task of the pool; the pool is still in metrics (metrics.h). */
WEIR_API void weir_pool_free(weir_pool *pool);

/* Queues fn(ctx, arg). When the pool is full, its overflow policy decides; the try_ form fails
 * whatever the policy. `ctx` and `deadline` of _until bound the wait for room, and `ctx` is the
 * parent of the context that the task sees; if it is over before the task starts, the task ends as
 * CANCELLED or EXPIRED. The pool keeps its own reference on `ctx`.
 * Returns 0: accepted. -EAGAIN (full: try_, or a REJECT pool); -EPIPE (closed, or the pool's
 * context is over; for a task of the pool only the latter, or weir_pool_cancel_queued); -EINVAL
 * (`pool` or `fn` is NULL); -EDEADLK (64 inline runs, or callbacks that submit, are nested; not
 * try_); -ESTALE; _until: -ETIMEDOUT, -ECANCELED, and -ENOMEM if `ctx` is a task's own
 * (weir_context_ref).
 * Ordering: what came before the submit happens-before the start of the task. */
WEIR_API WEIR_NODISCARD int weir_pool_submit(weir_pool *pool, weir_task_fn *fn, void *arg);
WEIR_API WEIR_NODISCARD int weir_pool_try_submit(weir_pool *pool, weir_task_fn *fn, void *arg);
WEIR_API WEIR_NODISCARD int weir_pool_submit_until(weir_pool *pool, weir_task_fn *fn, void *arg,
                                                   weir_context *ctx, int64_t deadline);

typedef struct weir_job {
    weir_task_fn *fn;
    void *arg;
} weir_job;

/* Submits jobs[0], jobs[1], ... in order; tasks of other threads may come between them. Stops at
 * the first that is refused. Returns how many were accepted; if none was, the error that the first
 * met, as above; 0 for n = 0; -EINVAL (`pool` or `jobs` is NULL). */
WEIR_API WEIR_NODISCARD int64_t weir_pool_submit_many_until(weir_pool *pool, const weir_job jobs[],
                                                            size_t n, weir_context *ctx,
                                                            int64_t deadline);
WEIR_API WEIR_NODISCARD int64_t weir_pool_submit_many(weir_pool *pool, const weir_job jobs[],
                                                      size_t n);
WEIR_API WEIR_NODISCARD int64_t weir_pool_try_submit_many(weir_pool *pool, const weir_job jobs[],
                                                          size_t n);

/* Has a pool that was made with `workers_max` grow to `workers`, and shrink to them and not below
 * from now on; that is under way when it returns, not done. Workers above it leave after the task
 * that they run, or once it does not block any more; more come again when tasks block. One that
 * cannot be made is counted (weir_pool_stats.not_grown) and tried again, a millisecond later at
 * first and a second later at most. Of two calls at once, one is the last. Never blocks; from a
 * task too.
 * Returns 0: it is under way; -EINVAL (NULL, 0, above workers_max, or the pool is fixed); -EPIPE
 * (it was shut down); -ESTALE. */
WEIR_API WEIR_NODISCARD int weir_pool_resize(weir_pool *pool, unsigned workers);

/* Never block. Of NULL: 0. `workers`: threads, now; `workers_max`: of a fixed pool, the same.
 * `queued` is exact while nobody submits or starts a task. `capacity` is that of all lanes (lane.h)
 * together, without the places at the workers (`local`), which `queued` counts too: with
 * WEIR_ORDER_LOCAL it may be the larger one. */
WEIR_API unsigned weir_pool_workers(const weir_pool *pool);
WEIR_API unsigned weir_pool_workers_max(const weir_pool *pool);
WEIR_API unsigned weir_pool_capacity(const weir_pool *pool);
WEIR_API size_t weir_pool_queued(const weir_pool *pool);

/* The pool whose worker is calling, or NULL; and that worker's index, 0 to workers_max - 1,
 * or -1. */
WEIR_API weir_pool *weir_pool_current(void);
WEIR_API int weir_pool_worker_index(void);

/* At rest: submitted = done + failed + cancelled + expired + dropped. rejected: full, closed, its
 * context over, in use, -EDEADLK. delayed: before their time, at a gate, waiting for a descriptor,
 * between runs, due without room. peak_queued: of a pool with lanes, the sum of their peaks;
 * without those at a worker (LOCAL). */
typedef struct weir_pool_counts {
    uint64_t submitted, rejected, done, failed, cancelled, expired, dropped;
    uint64_t queued, running, peak_queued, delayed;
} weir_pool_counts;

/* Exact at rest; while tasks move, read one after the other. Zeroes for NULL. Never blocks. */
WEIR_API void weir_pool_read_counts(const weir_pool *pool, weir_pool_counts *ret);

WEIR_END_DECLS

#endif
