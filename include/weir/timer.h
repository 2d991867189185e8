/* SPDX-License-Identifier: MIT */
/* weir/timer.h - tasks that start at a time, and tasks that run again and again.
 *
 *     err = weir_pool_submit_task_at(pool, &task, fn, arg, NULL, weir_after(WEIR_S(5)));
 *     err = weir_pool_submit_every(pool, &ticker, tick, arg, NULL, weir_now(), WEIR_MS(100));
 *     ...
 *     weir_task_cancel(&ticker);
 *
 * While it waits for its time a task is QUEUED, but in a place of its own: the pool has as many as
 * its option `timers` says, whatever its `capacity`. weir_task_cancel ends it at once and gives the
 * place back. When it is due it waits for room in the queue like a blocked submitter (whatever the
 * pool's overflow policy), and takes its turn; those that are due at the same time in the order in
 * which they were submitted. A worker that waits for a task which is due runs it itself.
 *
 * While a place is in use, and only then, the pool has one more thread, which sleeps until the next
 * task is due. It runs none of them, but it may call on_done or on_drop for one that ends. What
 * that does delays all tasks that are due meanwhile: it should not block. A submit there, to a full
 * pool whose policy is BLOCK or CALLER_RUNS, may run its task at once, on this thread; a try_ form
 * does not.
 *
 * Drain, close and shutdown. weir_pool_drain waits for delayed tasks, however far ahead their time
 * is; weir_pool_drain_until bounds that. After weir_pool_close they still come due, and run.
 * weir_pool_shutdown lets them come due until its soft deadline; one that is not due by then ends
 * as CANCELLED, as do all when the pool's context is over. Of a periodic task they wait only for a
 * run that is queued or under way. When the pool is closed it ends as CANCELLED, at once or after
 * that run. The shutdown report counts all of these under `cancelled`.
 *
 * Thread-safety: every call may be made by any number of threads at once, from tasks too.
 * After fork(), in the child: -ESTALE.
 */
#ifndef WEIR_TIMER_H
#define WEIR_TIMER_H

#include "task.h"

WEIR_BEGIN_DECLS

/* Submits a task that does not start before `start_at`, an absolute time as in clock.h; one that
 * has passed means at once. Blocks for a short internal lock and the start of the thread at most.
 * Returns 0: accepted. -EAGAIN (all places are in use); -EPIPE (closed, or the pool's context is
 * over; for a task of the pool only the latter); -ETIMEDOUT (the option `start_by` has passed, or
 * will have passed at `start_at`); -EBUSY, -EINVAL, -E2BIG, -ESTALE as weir_pool_submit_task; what
 * pthread_create returned, negated. After an error the task is as it was.
 * Ownership and ordering: as weir_pool_submit_task. */
WEIR_API WEIR_NODISCARD int weir_pool_submit_task_at(weir_pool *pool, weir_task *task,
                                                     weir_task_fn *fn, void *arg,
                                                     const weir_task_options *options,
                                                     int64_t start_at);

/* Submits a task that runs at `first` and then every `period` ns: at first + n * period. It never
 * overlaps itself: a time that passes while it runs or waits for its turn is left out. It is one
 * task, with one end, and keeps its place until then: FAILED when fn returns something else than 0,
 * with that status; CANCELLED after weir_task_cancel (which returns 0 between two runs; during one
 * -EINPROGRESS, and that run is the last) or once the pool is closed; DROPPED if it is evicted
 * from a full queue. Between two runs it is QUEUED again. `timeout` holds for each run, `start_by`
 * for the start of the first; on_done is called at the end. A worker that waits for it runs it
 * whenever it is due; a wait ends with the task, not with a run.
 * Blocks and returns as weir_pool_submit_task_at; but a closed pool refuses it with -EPIPE also
 * from its own tasks; -EINVAL also for `period` <= 0. Ordering: one run happens-before the next. */
WEIR_API WEIR_NODISCARD int weir_pool_submit_every(weir_pool *pool, weir_task *task,
                                                   weir_task_fn *fn, void *arg,
                                                   const weir_task_options *options, int64_t first,
                                                   int64_t period);

WEIR_END_DECLS

#endif
