/* SPDX-License-Identifier: MIT */
/* weir/retry.h - calls a function again until it succeeds, with growing pauses.
 *
 *     err = weir_retry_until(WEIR_RETRY_OPTIONS(.max_attempts = 5), fetch, &url, ctx,
 *                            weir_after(WEIR_S(10)));
 *
 * Before attempt k + 1 (k = 1, 2, ...) comes a pause of initial_interval * multiplier^(k-1), at
 * most max_interval, times a random factor between 1 - jitter and 1 + jitter, so that callers which
 * failed together do not come back together.
 */
#ifndef WEIR_RETRY_H
#define WEIR_RETRY_H

#include "task.h"

WEIR_BEGIN_DECLS

typedef struct weir_retry_options {
    size_t size;              /* filled by WEIR_RETRY_OPTIONS or weir_retry_options_init */
    unsigned max_attempts;    /* at most this many calls in all; 0: 3 */
    int64_t initial_interval; /* ns; 0: 100 ms */
    int64_t max_interval;     /* ns, before the random factor; 0: 30 s */
    int64_t max_elapsed;      /* ns; no attempt starts later than this after the first; 0: none */
    double multiplier;        /* 0: 2.0; below 1 the pauses shrink */
    double jitter;            /* at most 1; 0: 0.5; negative: none */
    int (*retryable)(int code, void *user); /* non-zero: try again after `code`; 0: always */
    void *user;                             /* passed to retryable */
} weir_retry_options;

/* A pointer to options with the fields named set and the others default (C only). */
#define WEIR_RETRY_OPTIONS(...)                                                                    \
    (&(weir_retry_options){.size = sizeof(weir_retry_options), __VA_ARGS__})
/* The same for C++ and for options that are filled step by step. */
WEIR_API void weir_retry_options_init(weir_retry_options *options);
/* What is wrong with them, or NULL: see weir_pool_options_error. */
WEIR_API const char *weir_retry_options_error(const weir_retry_options *options);

/* Calls fn(context, arg) on the calling thread until it returns 0, until `retryable` returns 0 for
 * its code, or until there were max_attempts calls. The context that fn sees is never NULL: a child
 * of `ctx` that ends at `deadline` and with this call; fn may keep it by weir_context_ref, as a
 * task may.
 * Blocks for the calls and the pauses. It does not begin a pause that would not end before
 * `deadline` or the deadline of `ctx`, or that would end later than max_elapsed allows. NULL
 * options: defaults.
 * Returns what fn returned last: 0, or its last error, of whatever sign. -ECANCELED or -ETIMEDOUT
 * if `ctx` was over at the start (then fn was not called); -ECANCELED if `ctx` was cancelled
 * before an attempt that was still due. -EINVAL (`fn` is NULL, an interval is negative,
 * `multiplier` negative, NaN or infinite, `jitter` above 1 or NaN, options of a size that never
 * was); -E2BIG. A deadline that has passed still permits the first attempt.
 * Any number of threads may share the options. Callable from a task, whose worker it keeps, pauses
 * included. Works in a child process made by fork(). */
WEIR_API WEIR_NODISCARD int weir_retry_until(const weir_retry_options *options, weir_task_fn *fn,
                                             void *arg, weir_context *ctx, int64_t deadline);

/* Submits a task that is run until it succeeds, by the same rules; between two attempts it holds no
 * worker: it waits in one of the pool's places for delayed tasks (timer.h), QUEUED, and takes its
 * turn in the queue when the pause has ended. The options are copied. The task ends DONE when an
 * attempt returns 0; FAILED with the last code when there is to be no further attempt, or no place
 * for the pause, or the pool is cancelled before the pause; CANCELLED when it is cancelled while
 * another attempt is to come, or the pool is cancelled during a pause; EXPIRED or DROPPED like any
 * task while it is queued for an attempt. A pool is cancelled by its context, by free, and at the
 * soft deadline of a shutdown: until then, also once it is closed, retries come due as before.
 * weir_pool_drain waits for them. `start_by` bounds each attempt: no pause begins that would not
 * end before it, nor before the deadline of the pool's context. `timeout` holds for each attempt;
 * on_done is called at the end; and weir_task_cause returns the last code, however the task ended.
 * Blocks, returns, orders as weir_pool_submit_task; besides: -EINVAL and -E2BIG for the retry
 * options, -EAGAIN if more are live than the pool can have tasks. `retryable` is called on the
 * thread that ran the attempt, with no lock held. */
WEIR_API WEIR_NODISCARD int weir_pool_submit_retry(weir_pool *pool, weir_task *task,
                                                   weir_task_fn *fn, void *arg,
                                                   const weir_task_options *options,
                                                   const weir_retry_options *retry);

WEIR_END_DECLS

#endif
