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
 * A task need not block for it, nor keep a worker:
 *
 *     err = weir_pool_submit_when(pool, &task, fd, WEIR_READABLE, serve, connection, NULL);
 *
 * While it waits it is QUEUED, in a place of its own: the pool has as many as its option
 * `descriptors` says, whatever its `capacity`. weir_task_cancel ends it at once. When the
 * descriptor is ready it is queued as a task is whose time has come (timer.h), and so drain, close
 * and shutdown are as they say there. One thread waits for the descriptors of all pools, while
 * there are any and a second longer; it may call on_done for a task that ends. A pool that has
 * waited for one has a thread for times too, until its shutdown.
 *
 * Cancel such a task, too, before you close its descriptor. If it is closed all the same, the task
 * goes on to wait: until it is cancelled or expires; until somebody waits for what the number names
 * then, and it ends as CANCELLED; or until what it meant is ready, if that is still open by another
 * number. It is not run for a file that was given the number later. But where there is no epoll,
 * nobody can tell files apart: it waits for what the number names, and another wait is -EBUSY.
 *
 * Thread-safety: every call may be made by any number of threads at once, also for one descriptor;
 * all that wait are woken. A task may make every call; while it waits it keeps its worker. Not for
 * signal handlers. A forked child may wait, also for descriptors that it inherited; a submit to a
 * pool that it inherited returns -ESTALE, and what waits in the parent is not touched.
 */
#ifndef WEIR_READY_H
#define WEIR_READY_H

#include "task.h"

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

/* Submits a task that starts once `fd` is ready for one of `events`; ready already means at once.
 * It runs once; to go on, submit it again, also from its own on_done. Blocks for a short internal
 * lock and the start of threads at most. Returns 0: accepted, and never refused afterwards. -EAGAIN
 * (all of the pool's `descriptors` are in use); -EBUSY (the task is live; or another task, of
 * whatever pool, waits for `fd` and one of these events: one may wait to read and one to write);
 * -EINVAL (`events`; the option `gate`; as weir_pool_submit_task); -EBADF; -EPERM (what is always
 * ready: a regular file, a directory, /dev/null); -ELOOP (an epoll descriptor that watches others
 * too many deep); -EPIPE (closed, or the pool's context is over; for a task of the pool only the
 * latter); -ETIMEDOUT (`start_by` has passed); -EMFILE, -ENFILE (for the first, and the next after
 * a second without any: that takes two or three descriptors); -ENOSPC, -ENOMEM (the kernel's
 * limits); -E2BIG, -ESTALE as weir_pool_submit_task; what pthread_create returned, negated. What is
 * wrong with the pool, the task or the other arguments is told before `fd` is looked at. After an
 * error the task is as it was. Ownership and ordering: as weir_pool_submit_task. What was written
 * to `fd` before it became ready is ordered by the kernel only. */
WEIR_API WEIR_NODISCARD int weir_pool_submit_when(weir_pool *pool, weir_task *task, int fd,
                                                  unsigned events, weir_task_fn *fn, void *arg,
                                                  const weir_task_options *options);

/* The full form. The task that has not started by `deadline` ends as EXPIRED; `ctx` is a parent of
 * its context, and ends the wait. Returns also -ECANCELED or -ETIMEDOUT (`ctx` is over, `deadline`
 * has passed); -ENOMEM (`ctx` is a task's own, see weir_context_ref). */
WEIR_API WEIR_NODISCARD int weir_pool_submit_when_until(weir_pool *pool, weir_task *task, int fd,
                                                        unsigned events, weir_task_fn *fn,
                                                        void *arg, const weir_task_options *options,
                                                        weir_context *ctx, int64_t deadline);

WEIR_END_DECLS

#endif
