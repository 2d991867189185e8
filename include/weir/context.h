/* SPDX-License-Identifier: MIT */
/* weir/context.h - cancellation and deadline, as a tree.
 *
 * A context is over once it or one of its ancestors was cancelled, or the earliest of their
 * deadlines has passed; then it stays over. NULL is the context that is never over, and every call
 * below accepts it where a context is read. Checking one costs a few loads and takes no lock.
 *
 *     weir_context *ctx;
 *     if (weir_context_new(&ctx, NULL, weir_after(WEIR_S(2))) == 0) {
 *         err = weir_pool_submit_until(pool, fn, arg, ctx, WEIR_FOREVER);
 *         ...
 *         weir_context_unref(ctx);
 *     }
 *
 * Ownership: contexts are reference-counted. A constructor gives its caller one reference; a child
 * holds one on its parent, a queued task (or its group) one on its context.
 * Thread-safety: every call may be made by any number of threads at once.
 * A task may make every call. In a child process made by fork() contexts work as before; what the
 * parent process cancels is not cancelled there.
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
 * context that a task was given, which ends with the task, it is a copy, which lives on, has the
 * same parents and is cancelled with the task. Never blocks. Returns NULL for NULL, and for a
 * task's context also when no memory is left. */
WEIR_API WEIR_NODISCARD weir_context *weir_context_ref(weir_context *ctx);

/* Gives a reference back; the last one frees. unref(NULL) is fine. Never blocks.
 * Misuse that aborts: unref of the context that a task was given. */
WEIR_API void weir_context_unref(weir_context *ctx);

/* Cancels `ctx` and so all its descendants, wakes the threads that are blocked with one of them,
 * and calls their hooks (below). The first cause wins; 0 means -ECANCELED. Cancelling NULL or a
 * context that is over does nothing. Takes a step for each thread and hook that it ends, however
 * many others there are; needs no memory. Blocks for an internal lock only, apart from the hooks.
 * Not for a signal handler.
 * Ordering: what came before the call happens-before whatever sees the context as cancelled. */
WEIR_API void weir_context_cancel(weir_context *ctx, int cause);

/* 0 while `ctx` is not over; then -ECANCELED or -ETIMEDOUT, whichever happened first: this never
 * changes again. Never blocks. */
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

/* Blocks until `deadline`, or until `ctx` is over. Returns 0 if it slept until `deadline`; else
 * what weir_context_err(ctx) returns. A task that sleeps keeps its worker. */
WEIR_API WEIR_NODISCARD int weir_sleep_until(weir_context *ctx, int64_t deadline);

/* A function that is called when a context is over. The caller's memory, all-zero is valid, nothing
 * to destroy once it was stopped or has run. */
typedef struct weir_context_hook {
    uint64_t words_[16];
} weir_context_hook;

#define WEIR_CONTEXT_HOOK_INIT                                                                     \
    {                                                                                              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/* Has fn(arg) called once when `ctx` is over: on the thread that cancels, after the blocked threads
 * were woken; at the deadline on a thread of weir's, which exists only while such hooks are set; at
 * once, on the caller, if it is over already. Not at all if `ctx` is NULL. No lock is held during
 * the call. `fn` must not block, nor end its thread; it may set the hook again, or free it if no
 * other thread will stop it.
 * Never blocks, except for the call of `fn`. Returns 0; -EINVAL (`hook` or `fn` is NULL); -EBUSY
 * (it is set); -ENOMEM (`ctx` is a task's own, see weir_context_ref); what pthread_create returned,
 * negated.
 * Ownership: until it has run or was stopped the hook is weir's, and holds a reference on `ctx`.
 * Ordering: what came before the cancellation happens-before the call of `fn`. */
WEIR_API WEIR_NODISCARD int weir_context_on_done(weir_context *ctx, weir_context_hook *hook,
                                                 void (*fn)(void *arg), void *arg);

/* Takes the hook back. While `fn` runs on another thread, blocks until it has returned. Returns 0:
 * `fn` will not be called, or the hook was never set; -EALREADY: it has been called. -EDEADLK: from
 * within its own `fn`; -EBUSY: another thread is just setting it; -EINVAL (NULL); -ESTALE (set
 * before a fork, by the parent process: it never runs in the child).
 * Ordering: what `fn` did happens-before a return of -EALREADY. */
WEIR_API int weir_context_hook_stop(weir_context_hook *hook);

WEIR_END_DECLS

#endif
