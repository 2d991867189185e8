/* SPDX-License-Identifier: MIT */
/* weir/ready.h - waiting until a descriptor is ready, with a deadline and a context.
 *
 *     err = weir_wait_ready_until(fd, WEIR_READABLE, ctx, weir_after(WEIR_S(5)));
 *     if (err > 0)
 *         n = read(fd, buffer, sizeof buffer);
 *
 * For threads, and for tasks that do want to block: what poll() cannot do is to end when a context
 * is over. Sockets, pipes, terminals, and what else poll() takes: on Linux also eventfd, timerfd
 * and pidfd, so that a wait can be for the end of a process.
 *
 * A descriptor is ready if the call that you wait for would not block: also because it would fail,
 * or tell of the end. It is readiness at one moment: another thread may read what made it so before
 * you do. So let the descriptor be non-blocking if others use it too.
 *
 * Closing a descriptor that a thread waits for does not end the wait, and its number may be given
 * to another file at once. Cancel the context first, and close when the wait has returned.
 *
 * Thread-safety: every call may be made by any number of threads at once, also for one descriptor;
 * all that wait are woken. A task may make every call; while it waits it keeps its worker. Not for
 * signal handlers. A forked child may make every call, also with descriptors that it inherited.
 */
#ifndef WEIR_READY_H
#define WEIR_READY_H

#include "context.h"

WEIR_BEGIN_DECLS

#define WEIR_READABLE 1u
#define WEIR_WRITABLE 2u

/* Is `fd` ready for one of `events`, a sum of the above? A regular file always is. Never blocks.
 * Returns those for which it is ready, more than 0; -EAGAIN (for none); -EINVAL (`events` is 0, or
 * has other bits); -EBADF (`fd` is not open); -ENOMEM (the kernel has none);
 * -EMFILE (the limit of descriptors is 0). */
WEIR_API WEIR_NODISCARD int weir_try_wait_ready(int fd, unsigned events);

/* Blocks until `fd` is ready for one of `events`. Returns as weir_try_wait_ready, but not -EAGAIN.
 */
WEIR_API WEIR_NODISCARD int weir_wait_ready(int fd, unsigned events);

/* The full form. Returns also -ETIMEDOUT; -ECANCELED; -EMFILE, -ENFILE (with a context, a wait that
 * has to block needs a descriptor of its own, and none is left). No place where a thread can be
 * cancelled by pthread_cancel. */
WEIR_API WEIR_NODISCARD int weir_wait_ready_until(int fd, unsigned events, weir_context *ctx,
                                                  int64_t deadline);

WEIR_END_DECLS

#endif
