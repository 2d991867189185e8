/* SPDX-License-Identifier: MIT */
/* weir/context.h - cancellation and deadline, as a tree.
 *
 * A context is over once it or one of its ancestors was cancelled, or the earliest of their
 * deadlines has passed; it is never un-over. NULL is the context that is never over, and every
 * call below accepts it where a context is read. Checking one costs a few loads and takes no lock.
 *
 *     weir_context *ctx;
 *     if (weir_context_new(&ctx, NULL, weir_after(WEIR_S(2))) == 0) {
 *         err = weir_pool_submit_until(pool, fn, arg, ctx, WEIR_FOREVER);
 *         ...
 *         weir_context_unref(ctx);
 *     }
 *
 * Ownership: contexts are reference-counted. A constructor gives its caller one reference; a child
 * holds one on its parent, a queued task one on its context.
 * Thread-safety: every call may be made by any number of threads at once.
 * A task may make every call. In a child process made by fork() contexts work as before; those
 * that only the parent process cancels are never cancelled there.
 */
#ifndef WEIR_CONTEXT_H
#define WEIR_CONTEXT_H

#include "clock.h"

WEIR_BEGIN_DECLS

typedef struct weir_context weir_context;

/* Makes a child of `parent` (NULL: a root) that is over at `deadline` at the latest.
 * Never blocks. Returns 0; -EINVAL (`ret` is NULL); -ENOMEM. */
WEIR_API WEIR_NODISCARD int weir_context_new(weir_context **ret, weir_context *parent,
                                             int64_t deadline);

/* Makes a child of `parent` that answers `key` with `value`. Keys are compared by address. weir
 * never dereferences either. Never blocks. Returns 0; -EINVAL (`ret` or `key` is NULL); -ENOMEM. */
WEIR_API WEIR_NODISCARD int weir_context_with_value(weir_context **ret, weir_context *parent,
                                                    const void *key, void *value);

/* Takes a reference and returns the context to keep and to unref. Use the pointer returned: for the
 * context that a task was given, which ends with the task, it is another one, which lives on,
 * has the same parents and is cancelled with the task. Never blocks. Returns NULL for NULL, and for
 * a task's context also when no memory is left. */
WEIR_API WEIR_NODISCARD weir_context *weir_context_ref(weir_context *ctx);

/* Gives a reference back; the last one frees. unref(NULL) is fine. Never blocks.
 * Misuse that aborts: unref of the context that a task was given. */
WEIR_API void weir_context_unref(weir_context *ctx);

/* Cancels `ctx` and so all its descendants, and wakes whoever is blocked on one of them. The first
 * cause wins; 0 means -ECANCELED. Cancelling NULL or a context that is over does nothing.
 * Blocks for a short internal lock only. Not for a signal handler.
 * Ordering: what came before the call happens-before whatever sees the context as cancelled. */
WEIR_API void weir_context_cancel(weir_context *ctx, int cause);

/* 0 while `ctx` is not over; then -ECANCELED or -ETIMEDOUT, by what happened first, for ever.
 * Never blocks. */
WEIR_API int weir_context_err(const weir_context *ctx);

/* 0 while `ctx` is not over; then the cause given to the first cancelled of it and its ancestors
 * (the nearest, if two were cancelled at the same nanosecond), or -ETIMEDOUT if a deadline came
 * first. Never blocks. */
WEIR_API int weir_context_cause(const weir_context *ctx);

/* The earliest deadline of `ctx` and its ancestors; WEIR_FOREVER if there is none. Never blocks. */
WEIR_API int64_t weir_context_deadline(const weir_context *ctx);

/* The value that the nearest of `ctx` and its ancestors has for `key`, or NULL. Never blocks. */
WEIR_API void *weir_context_value(const weir_context *ctx, const void *key);

/* Blocks until `ctx` is over or `deadline` has passed. Returns 0 once `ctx` is over; -ETIMEDOUT.
 * The caller keeps its reference meanwhile. */
WEIR_API WEIR_NODISCARD int weir_context_wait_until(weir_context *ctx, int64_t deadline);

/* Blocks until `deadline`, or until `ctx` is over. Returns 0 when it slept through; else what
 * weir_context_err(ctx) says. A task that sleeps keeps its worker. */
WEIR_API WEIR_NODISCARD int weir_sleep_until(weir_context *ctx, int64_t deadline);

WEIR_END_DECLS

#endif
