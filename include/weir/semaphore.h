/* SPDX-License-Identifier: MIT */
/* weir/semaphore.h - bounds how much of something is in use at once.
 *
 *     weir_semaphore connections;
 *     err = weir_semaphore_init(&connections, 10);
 *     ...
 *     if (weir_semaphore_acquire_until(&connections, 1, ctx, weir_after(WEIR_S(1))) == 0) {
 *         ...
 *         weir_semaphore_release(&connections, 1);
 *     }
 *
 * It has a fixed number of permits, of which a request takes one or several. Requests that have to
 * wait are served in the order of arrival: while a large one waits for its permits, later small
 * ones wait behind it, so that it is not starved. A release hands its permits to the waiters; a
 * request that arrives meanwhile cannot take them. A wait that ends without success takes no
 * permit, and lets the waiters behind it continue if they fit. Without waiters, acquire and release
 * are one atomic step each.
 *
 * Ownership: the caller's memory; nothing is allocated. It must be initialised: all-zero is valid
 * memory, but a semaphore without permits. A thread that has acquired may destroy it at once, even
 * while the release that made it possible is still returning, if no other thread will use it.
 * Thread-safety: acquire and release may be called by any number of threads at once, by tasks too
 * (a task that waits keeps its worker), and by another thread than the one that acquired.
 * In a child process made by fork() it works as before if every other thread inside a call was
 * waiting: permits that are out stay out, the waiters are not in the child.
 */
#ifndef WEIR_SEMAPHORE_H
#define WEIR_SEMAPHORE_H

#include "context.h"

WEIR_BEGIN_DECLS

typedef struct weir_semaphore {
    uint64_t words_[6];
} weir_semaphore;

/* Makes a semaphore whose `permits` are all free. Never blocks. Not while it is in use.
 * Returns 0; -EINVAL (`sem` is NULL or `permits` is 0). */
WEIR_API WEIR_NODISCARD int weir_semaphore_init(weir_semaphore *sem, uint32_t permits);

/* Ends its use; permits may still be out. Afterwards no permit can be acquired: -EINVAL. NULL is
 * fine. Blocks for a short internal lock only.
 * Misuse that aborts: a thread waits for it. */
WEIR_API void weir_semaphore_destroy(weir_semaphore *sem);

/* Takes `n` permits. Blocks until they are free and every earlier request was served; try_ does
 * not, and fails also if a thread waits. 0 permits: succeeds at once.
 * Returns 0; -EINVAL (`sem` is NULL, or has fewer than `n` permits in all); try_: -EAGAIN;
 * _until: -ETIMEDOUT, -ECANCELED. A context that is cancelled before the release gets nothing.
 * Ordering: what came before a release happens-before the return of the acquire that takes its
 * permits. */
WEIR_API WEIR_NODISCARD int weir_semaphore_acquire(weir_semaphore *sem, uint32_t n);
WEIR_API WEIR_NODISCARD int weir_semaphore_try_acquire(weir_semaphore *sem, uint32_t n);
WEIR_API WEIR_NODISCARD int weir_semaphore_acquire_until(weir_semaphore *sem, uint32_t n,
                                                         weir_context *ctx, int64_t deadline);

/* Gives `n` permits back, not necessarily as many at once as were taken. 0 does nothing. Blocks for
 * a short internal lock at most.
 * If tasks wait for permits at a gate (gate.h), it lets them in, and may call a breaker's
 * on_change.
 * Misuse that aborts: `sem` is NULL; more permits are released than were acquired. */
WEIR_API void weir_semaphore_release(weir_semaphore *sem, uint32_t n);

/* Permits in all; how many are free now; and how many requests wait (blocks for a short internal
 * lock). 0 for NULL. What is free may not be there for a new request: waiters come first. */
WEIR_API uint32_t weir_semaphore_permits(const weir_semaphore *sem);
WEIR_API uint32_t weir_semaphore_available(const weir_semaphore *sem);
WEIR_API size_t weir_semaphore_waiting(const weir_semaphore *sem);

WEIR_END_DECLS

#endif
