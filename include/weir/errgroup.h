/* SPDX-License-Identifier: MIT */
/* weir/errgroup.h - a group of tasks for one purpose: the first error stops the rest.
 *
 *     weir_errgroup *group;
 *     weir_errgroup_new(&group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 8));
 *     for (...)
 *         if (weir_errgroup_go(group, fetch, &url[i]) != 0)
 *             break;
 *     err = weir_errgroup_wait(group);
 *     weir_errgroup_free(group);
 *
 * Members run on the pool and see a context that is over after the first error, when the group's
 * parent is over, when the group is stopped, or when the pool was cancelled. Once the group is
 * over, a member's -ECANCELED is a consequence, not an error, and so is its -ETIMEDOUT if a
 * deadline ended the group (weir_context_err of the group's context). Before that, both are errors:
 * members that run when the pool is cancelled may return both before and after it, so that the
 * number of errors is not certain then. For a queued member that never starts the pool's
 * on_drop is called. If that is not because the group is over (the pool was cancelled, or
 * DROP_OLDEST took its place), it counts as an error: -ECANCELED, -ETIMEDOUT or -EPIPE, as for a
 * task.
 *
 * Thread-safety: every call but free may be made by any number of threads at once, from tasks too.
 * After fork(), in the child, every call returns -ESTALE; free releases the memory, unless the
 * child was forked by a member, which still uses it.
 */
#ifndef WEIR_ERRGROUP_H
#define WEIR_ERRGROUP_H

#include "pool.h"

WEIR_BEGIN_DECLS

typedef struct weir_errgroup weir_errgroup;

typedef struct weir_errgroup_options {
    size_t size;          /* filled by WEIR_ERRGROUP_OPTIONS or weir_errgroup_options_init */
    unsigned limit;       /* the most members at once, queued or running; 0: no limit */
    unsigned keep_errors; /* how many failures to keep for weir_errgroup_failures; 0: 1 */
} weir_errgroup_options;

/* A pointer to options with the fields named set and the others default (C only). */
#define WEIR_ERRGROUP_OPTIONS(...)                                                                 \
    (&(weir_errgroup_options){.size = sizeof(weir_errgroup_options), __VA_ARGS__})
/* The same for C++ and for options that are filled step by step. */
WEIR_API void weir_errgroup_options_init(weir_errgroup_options *options);
/* What is wrong with them, or NULL: see weir_pool_options_error. */
WEIR_API const char *weir_errgroup_options_error(const weir_errgroup_options *options);

/* Makes a group whose members run on `pool`, under `parent` (NULL: none). NULL options: defaults.
 * Never blocks. Returns 0; -EINVAL (`ret` or `pool` is NULL, options of a size that never was, or
 * keep_errors above 2^20); -E2BIG; -ENOMEM; -ESTALE. The pool must outlive the group. */
WEIR_API WEIR_NODISCARD int weir_errgroup_new(weir_errgroup **ret, weir_pool *pool,
                                              weir_context *parent,
                                              const weir_errgroup_options *options);

/* Stops the group if needed, waits for its members, frees it; a reference on its context keeps the
 * memory until it is given back. free(NULL) is fine.
 * Misuse that aborts: from a member of the group. */
WEIR_API void weir_errgroup_free(weir_errgroup *group);

/* The group's context, borrowed: valid until free; NULL for NULL. Never blocks. */
WEIR_API weir_context *weir_errgroup_context(weir_errgroup *group);

/* Runs fn(ctx, arg) as a member. Blocks while `limit` members are queued or running, and while the
 * pool is full as weir_pool_submit does. A member that calls go at the limit runs fn itself, at
 * once: it is paused meanwhile, so the limit still holds; another task of the pool runs queued
 * members of this group while it waits.
 * Returns 0: accepted. Any error: fn is never called. Once the group is over, what
 * weir_context_err(its context) returns; -EPIPE (the pool is closed); -EINVAL (`group` or `fn` is
 * NULL); -EDEADLK (64 runs are nested); -ESTALE; -EAGAIN (a REJECT pool is full; try_: at the limit
 * or full); _until: -ETIMEDOUT, -ECANCELED. `ctx` of _until bounds the call only. */
WEIR_API WEIR_NODISCARD int weir_errgroup_go(weir_errgroup *group, weir_task_fn *fn, void *arg);
WEIR_API WEIR_NODISCARD int weir_errgroup_try_go(weir_errgroup *group, weir_task_fn *fn, void *arg);
WEIR_API WEIR_NODISCARD int weir_errgroup_go_until(weir_errgroup *group, weir_task_fn *fn,
                                                   void *arg, weir_context *ctx, int64_t deadline);

/* Changes the limit for later members and wakes callers of go that now have room. Members above a
 * lower limit continue. 0: no limit. Returns 0; -EINVAL (`group` is NULL); -ESTALE. */
WEIR_API int weir_errgroup_set_limit(weir_errgroup *group, unsigned limit);

/* Blocks until every accepted member has ended; on a worker it runs queued members meanwhile, as
 * weir_waitgroup_wait does. May be called again, and go may follow, until the group is over.
 * Returns the first member's error; else the err of the group's context, unless stop ended it;
 * else 0.
 * -EDEADLK (from a member); -EINVAL (`group` is NULL); -ESTALE; try_: -EAGAIN; _until: -ETIMEDOUT,
 * -ECANCELED. To tell a member's code from the call's own, ask weir_errgroup_errors.
 * Ordering: what the members did happens-before the return. */
WEIR_API WEIR_NODISCARD int weir_errgroup_wait(weir_errgroup *group);
WEIR_API WEIR_NODISCARD int weir_errgroup_try_wait(weir_errgroup *group);
WEIR_API WEIR_NODISCARD int weir_errgroup_wait_until(weir_errgroup *group, weir_context *ctx,
                                                     int64_t deadline);

/* Cancels the group's context, then waits. Blocks and returns as weir_errgroup_wait. */
WEIR_API int weir_errgroup_stop(weir_errgroup *group);

/* A member that has failed: what was given to go, and its code. Whether `arg` still exists is up to
 * the program. */
typedef struct weir_errgroup_failure {
    weir_task_fn *fn;
    void *arg;
    int code;
} weir_errgroup_failure;

/* Copies the first failures, or only their codes, in the order in which the members ended: at most
 * min(n, keep_errors). The copy may be NULL. Returns how many members have failed in all; 0 for
 * NULL or a stale group. Blocks for a short internal lock only. */
WEIR_API size_t weir_errgroup_failures(const weir_errgroup *group,
                                       weir_errgroup_failure ret_failures[], size_t n);
WEIR_API size_t weir_errgroup_errors(const weir_errgroup *group, int ret_codes[], size_t n);

/* How many members are queued or running now (one that is just being submitted counts); and how
 * many may be, 0: no limit. 0 for NULL or a stale group. Never block. */
WEIR_API uint64_t weir_errgroup_active(const weir_errgroup *group);
WEIR_API unsigned weir_errgroup_limit(const weir_errgroup *group);

WEIR_END_DECLS

#endif
