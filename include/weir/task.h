/* SPDX-License-Identifier: MIT */
/* weir/task.h - a task one can wait for and cancel.
 *
 *     weir_task task = WEIR_TASK_INIT;
 *     if (weir_pool_submit_task(pool, &task, fn, arg, NULL) == 0) {
 *         err = weir_task_wait(&task);
 *         status = weir_task_status(&task);
 *     }
 *
 * Ownership: the caller's memory, all-zero is valid, nothing is allocated, nothing to destroy. From
 * an accepted submit until it is done it is weir's: do not move, clear or free it. Once a wait has
 * returned 0 (or the state is one of the ends) weir never touches it again, so it may live on the
 * waiter's stack; it may be submitted again then. No pool that it was submitted to may be freed
 * while a wait or a cancel is under way.
 * Thread-safety: every call may be made by any number of threads at once, from tasks too.
 * After fork(), in the child: wait and cancel of a task that was live return -ESTALE; to use such a
 * handle again, set it to zero.
 */
#ifndef WEIR_TASK_H
#define WEIR_TASK_H

#include "pool.h"

WEIR_BEGIN_DECLS

typedef struct weir_task {
    uint64_t words_[16];
} weir_task;

#define WEIR_TASK_INIT                                                                             \
    {                                                                                              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
/* Makes it what WEIR_TASK_INIT makes it, whatever was in its memory; it must not be live. NULL does
 * nothing. For tasks that are made all the time, as in a fork and join, it is quicker: compilers
 * clear so much memory at a declaration by an instruction that is slow to begin. Never blocks.
 * Callable from anywhere, a signal handler included. */
WEIR_API void weir_task_init(weir_task *task);

/* Called when a task has ended, before its waiters wake, on the thread that ended it: once for each
 * accepted submit. `arg` is the task's; `status` is what weir_task_status returns. Must not block,
 * must not wait for the task, and must not free it. It counts as a task of the pool, for what it
 * submits and what it must not call.
 * It may submit the task again, in whatever form, so that a chain of steps needs one handle. If
 * that is accepted the task is not done: waits go on until it is, and the completion of the last
 * step reports. Refused besides: -EBUSY (a task that was DROPPED stays so; a second time);
 * -ECANCELED (weir_task_cancel has returned -EINPROGRESS for the step that ends, or between it and
 * the next). A submit of the task itself never blocks here, and never runs it inline: where the
 * pool is full, and its policy is neither REJECT nor DROP_OLDEST, the task takes one of the places
 * for delayed ones until there is room (-EAGAIN: there is none; timer.h). */
typedef void weir_done_fn(void *arg, weir_state end, int status);

typedef struct weir_completion weir_completion;
typedef struct weir_gate weir_gate;

typedef struct weir_task_options {
    size_t size;                 /* filled by WEIR_TASK_OPTIONS or weir_task_options_init */
    const char *name;            /* to be shown (dump.h), borrowed until the end; 0: none */
    int64_t start_by;            /* a deadline above 0: not started by then, it EXPIRES: at its
                                    gate, when due, at a wait, at the head of the queue, or when
                                    taken; 0: none */
    int64_t timeout;             /* ns of running time, then its context is over; 0: none */
    weir_done_fn *on_done;       /* 0: none */
    weir_completion *completion; /* reports the end to an event loop: weir/completion.h; 0: none */
    int64_t stuck_after; /* ns, for the watchdog of a pool that has on_stuck: tell if it runs for
                            longer; 0: as the pool; negative: never */
    weir_gate *gate;     /* it starts only when this lets it: weir/gate.h; 0: none */
    unsigned lane;       /* WEIR_LANE of where it is queued: weir/lane.h; 0: the default_lane */
} weir_task_options;

/* A pointer to options with the fields named set and the others default (C only). */
#define WEIR_TASK_OPTIONS(...)                                                                     \
    (&(weir_task_options){.size = sizeof(weir_task_options), __VA_ARGS__})
/* The same for C++ and for options that are filled step by step. */
WEIR_API void weir_task_options_init(weir_task_options *options);
/* What is wrong with them, or NULL: see weir_pool_options_error. */
WEIR_API const char *weir_task_options_error(const weir_task_options *options);

/* Queues fn(ctx, arg) under the handle `task`. Blocks, returns and orders as weir_pool_submit, its
 * try_ and its _until form; besides: -EBUSY (the task is live, or another thread is submitting it);
 * -ETIMEDOUT (`start_by` has passed); -EINVAL (`task` is NULL, a negative time, a lane that the
 * pool does not have, options of a size that never was); -E2BIG. After an error the task is as it
 * was. NULL options: defaults. */
WEIR_API WEIR_NODISCARD int weir_pool_submit_task(weir_pool *pool, weir_task *task,
                                                  weir_task_fn *fn, void *arg,
                                                  const weir_task_options *options);
WEIR_API WEIR_NODISCARD int weir_pool_try_submit_task(weir_pool *pool, weir_task *task,
                                                      weir_task_fn *fn, void *arg,
                                                      const weir_task_options *options);
WEIR_API WEIR_NODISCARD int weir_pool_submit_task_until(weir_pool *pool, weir_task *task,
                                                        weir_task_fn *fn, void *arg,
                                                        const weir_task_options *options,
                                                        weir_context *ctx, int64_t deadline);

/* Blocks until the task is done, however it ended. If it has not started, a worker of its pool runs
 * it itself (and so does any thread if the pool was made with `outside_waiters_help`). The deadline
 * does not cut such a run short, so the wait may end later by that run. If `start_by` passes during
 * the wait and the task is still queued, the wait ends it at once, EXPIRED.
 * Returns 0; -EINVAL (NULL, or never submitted); -EDEADLK (the caller is inside that task);
 * -ESTALE; try_: -EAGAIN; _until: -ETIMEDOUT, -ECANCELED. Ordering: what the task did
 * happens-before the return. */
WEIR_API WEIR_NODISCARD int weir_task_wait(weir_task *task);
WEIR_API WEIR_NODISCARD int weir_task_try_wait(weir_task *task);
WEIR_API WEIR_NODISCARD int weir_task_wait_until(weir_task *task, weir_context *ctx,
                                                 int64_t deadline);

/* Blocks until one of the `n` tasks is done, and returns the index of one that is: the lowest, if
 * several are. NULL elements are skipped, so that tasks which were dealt with can be set to NULL.
 * Blocks, runs tasks and lets them expire as weir_task_wait does; each call looks at all of them.
 * Neither the array nor a task may go away before the call has returned, also if another thread has
 * waited for that task.
 * Returns an index >= 0; -EINVAL (no task, one that was never submitted, or n > INT_MAX); -EDEADLK
 * (the caller is inside all of them); -ESTALE; try_: -EAGAIN; _until: -ETIMEDOUT, -ECANCELED.
 * Ordering: what the task at the index did happens-before the return. */
WEIR_API WEIR_NODISCARD int weir_task_wait_any(weir_task *const tasks[], size_t n);
WEIR_API WEIR_NODISCARD int weir_task_try_wait_any(weir_task *const tasks[], size_t n);
WEIR_API WEIR_NODISCARD int weir_task_wait_any_until(weir_task *const tasks[], size_t n,
                                                     weir_context *ctx, int64_t deadline);

/* Cancels the task. Returns 0: it is CANCELLED without having run (again), and on_done has been
 * called, which may have submitted it anew;
 * -EINPROGRESS: it has started, its context is cancelled now (or another thread is just ending it);
 * -EALREADY: it is done; -EINVAL (NULL, or never submitted); -ESTALE. Blocks for a short internal
 * lock at most. */
WEIR_API int weir_task_cancel(weir_task *task);

/* The state now; WEIR_TASK_IDLE for NULL. Never blocks.
 * Ordering: what the task did happens-before a call that returns one of its ends. */
WEIR_API weir_state weir_task_state(const weir_task *task);

/* "idle", "queued", "running", "done", "failed", "cancelled", "expired" or "dropped"; "unknown" for
 * anything else. Static text. Never blocks. Callable from anywhere, a signal handler included. */
WEIR_API const char *weir_state_name(weir_state state);

/* What fn returned; -ECANCELED (cancelled), -ETIMEDOUT (expired), -EPIPE (dropped);
 * -EINPROGRESS before the end; -EINVAL (NULL, or never submitted). Never blocks. */
WEIR_API int weir_task_status(const weir_task *task);

/* Of a task that is retried (retry.h): what its last attempt that failed returned, also when it was
 * cancelled or has expired since; 0: there was none. Of others 0. Never blocks. */
WEIR_API int weir_task_cause(const weir_task *task);

WEIR_END_DECLS

#endif
