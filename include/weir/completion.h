/* SPDX-License-Identifier: MIT */
/* weir/completion.h - finished tasks for an event loop: a bounded queue announced by a descriptor.
 *
 *     weir_completion_new(&completion, 256);
 *     watch weir_completion_fd(completion) for reading, with epoll, poll, libuv, libevent, ...
 *
 *     err = weir_pool_submit_task(pool, &request->task, fn, request,
 *                                 WEIR_TASK_OPTIONS(.completion = completion));
 *
 *     when it is readable:
 *         weir_task *done[16];
 *         size_t n = weir_completion_reap(completion, done, 16);
 *
 * Each submit that was accepted with a completion is reported once, however the task ends. Between
 * its submit and its reap it holds one of the `capacity` places; when all are held, a submit is
 * refused with -ENOBUFS, whatever the pool's overflow policy. So the queue never overflows and
 * nothing is allocated: a server that gets -ENOBUFS stops reading requests until it has reaped.
 *
 * A task that is reported is done; waits for it, its state and its status work as without a
 * completion. It may be done, and submitted again, a little before it is reported: each of the two
 * submits is reported. Only if its own on_done has submitted it again it is not done (task.h): that
 * end is not reported, and its place goes to the next step.
 *
 * Thread-safety: every call but free may be made by any number of threads at once, from tasks too.
 * Not for signal handlers. After fork(), in the child, submits that name it and weir_completion_fd
 * return -ESTALE, reap returns 0, and free releases the memory and the child's descriptors.
 */
#ifndef WEIR_COMPLETION_H
#define WEIR_COMPLETION_H

#include "task.h"

WEIR_BEGIN_DECLS

/* Makes a completion for `capacity` tasks. Never blocks. Returns 0; -EINVAL (`ret` is NULL or
 * `capacity` is 0); -ENOMEM; -EMFILE, -ENFILE (no descriptor is left). */
WEIR_API WEIR_NODISCARD int weir_completion_new(weir_completion **ret, size_t capacity);

/* Frees it and closes its descriptor, which must have been removed from the event loop before.
 * Never blocks. free(NULL) is fine.
 * Misuse that aborts: a task that was submitted with it has not been reaped. So first drain or free
 * the pool, then reap until nothing is left. */
WEIR_API void weir_completion_free(weir_completion *completion);

/* The descriptor: readable exactly while there is a task to reap (level-triggered; with an
 * edge-triggered watch, reap until fewer come than you asked for). It is close-on-exec, and only to
 * be watched: do not read, write or close it. The same until free. Never blocks. Returns it, >= 0;
 * -EINVAL (NULL); -ESTALE. */
WEIR_API int weir_completion_fd(const weir_completion *completion);

/* Takes up to `n` finished tasks out of the queue, in the order in which they were reported, and
 * gives their places back. Blocks for a short internal lock only. Returns how many; 0 for NULL.
 * Ownership: weir does not touch a reaped task again; it is yours.
 * Ordering: what the tasks did happens-before the return. */
WEIR_API size_t weir_completion_reap(weir_completion *completion, weir_task *ret_tasks[], size_t n);

WEIR_END_DECLS

#endif
