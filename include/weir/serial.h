/* SPDX-License-Identifier: MIT */
/* weir/serial.h - tasks that run one after the other, in order, without holding a worker meanwhile:
 * those of one customer, one file or one connection. Also known as a strand or a serial queue.
 *
 *     weir_serial account;
 *     err = weir_serial_init(&account, pool, NULL);
 *     err = weir_serial_submit(&account, &order->task, book, order, NULL);
 *     ...
 *     err = weir_serial_drain(&account);
 *     weir_serial_destroy(&account);
 *
 * Tasks start in the order in which their submits took effect, and the next one starts when the one
 * before it has returned and its on_done too; with `parallel`, so many of them run at once. While
 * it has tasks, a serial takes one place of its pool, however many they are, and that place waits
 * its turn in the pool's queue like a task. In its turn up to `batch` tasks run; then it goes back
 * to the end of the queue, also if it is alone. So serials and other tasks get their turns round
 * robin: between two turns of a serial each other one in the queue has one.
 *
 * The place is the serial's until it has no task left: putting it back is never refused. So the
 * pool's overflow policy concerns only a submit to a serial without tasks. DROP_OLDEST drops no
 * turn, but moves it to the end; if serials have all places, any submit gets -EAGAIN. A
 * submit that is to run its task in place (from a task, or CALLER_RUNS) does so in the turn of the
 * serial, and goes on with what others add until the pool has room or the serial no task; if its
 * thread ends itself in the middle of that, the rest is DROPPED.
 *
 * Ownership: the caller's memory, to be initialised; nothing is allocated. It must stay until
 * weir_serial_destroy, as must each task until it is done (task.h): no serial may be destroyed
 * while a wait for a task of it, or a cancel, is under way. Its pool may be freed before it is
 * destroyed; then nothing else may be called. A task of a serial is one of the pool too: the pool's
 * drain, shutdown and counts include it, though its capacity and peak_queued do not. A pool that is
 * cancelled ends the queued tasks of a serial, while one of them runs, when that has returned.
 * Thread-safety: every call but init and destroy may be made by any number of threads at once, from
 * tasks too. Each blocks for a short internal lock: a thread that is stopped in the middle of a
 * call holds up this serial only, and workers that come to it.
 * After fork(), in the child: -ESTALE, or nothing is done.
 */
#ifndef WEIR_SERIAL_H
#define WEIR_SERIAL_H

#include "task.h"

WEIR_BEGIN_DECLS

typedef struct weir_serial {
    uint64_t words_[16];
} weir_serial;

typedef struct weir_serial_options {
    size_t size;       /* filled by WEIR_SERIAL_OPTIONS or weir_serial_options_init */
    unsigned parallel; /* so many tasks may run at once, started in order; 0: 1 */
    unsigned batch;    /* so many tasks run in one turn; 0: 16 */
    size_t limit;      /* so many tasks may be queued, not counting those that run; 0: no limit */
    unsigned lane;     /* WEIR_LANE of where its turns are queued: weir/lane.h; 0: the pool's
                          default_lane */
} weir_serial_options;

/* A pointer to options with the fields named set and the others default (C only). */
#define WEIR_SERIAL_OPTIONS(...)                                                                   \
    (&(weir_serial_options){.size = sizeof(weir_serial_options), __VA_ARGS__})
/* The same for C++ and for options that are filled step by step. */
WEIR_API void weir_serial_options_init(weir_serial_options *options);
/* What is wrong with them, or NULL: see weir_pool_options_error. */
WEIR_API const char *weir_serial_options_error(const weir_serial_options *options);

/* Makes a serial for tasks of the pool. Never blocks. NULL options: defaults. Not while it is in
 * use. Returns 0; -EINVAL (`serial` or `pool` is NULL, no such lane, options of a size that never
 * was); -E2BIG; -ESTALE. */
WEIR_API WEIR_NODISCARD int weir_serial_init(weir_serial *serial, weir_pool *pool,
                                             const weir_serial_options *options);

/* Queues fn(ctx, arg) under the handle `task`, behind all tasks of the serial. Blocks while the
 * serial is at its limit, and, if it has no task and the pool is full, as the pool's policy says;
 * try_ does neither. Meanwhile a task of the pool runs tasks of this serial in their order, if no
 * other thread does. The task that submits may be one of the serial.
 * Returns as weir_pool_submit_task and its other forms, and takes the same options; besides: -EPIPE
 * (the serial is closed); -EDEADLK (from a task of this serial, which is at its limit; or 64
 * submits within each other wait for a place and run tasks meanwhile, or run one in place); -EINVAL
 * (`serial` is NULL or was destroyed; options with a gate or a lane); try_: -EAGAIN (at its limit;
 * or it has no task, and the pool is full). After an error the task is as it was. From the task's
 * own on_done it is like try_.
 * Ordering: what came before the submit happens-before the start of the task. If `parallel` is 1,
 * what a task and its on_done did happens-before the start of the next. */
WEIR_API WEIR_NODISCARD int weir_serial_submit(weir_serial *serial, weir_task *task,
                                               weir_task_fn *fn, void *arg,
                                               const weir_task_options *options);
WEIR_API WEIR_NODISCARD int weir_serial_try_submit(weir_serial *serial, weir_task *task,
                                                   weir_task_fn *fn, void *arg,
                                                   const weir_task_options *options);
WEIR_API WEIR_NODISCARD int weir_serial_submit_until(weir_serial *serial, weir_task *task,
                                                     weir_task_fn *fn, void *arg,
                                                     const weir_task_options *options,
                                                     weir_context *ctx, int64_t deadline);

/* Waiting for such a task and cancelling it is as in task.h, with these differences. A worker that
 * waits runs the tasks of the serial that come before it, in their order, and then the task; while
 * as many as may run do, it sleeps. -EDEADLK: the caller is inside the serial, and the task has not
 * started, or goes on there while it is waited for. A task that was cancelled, or ended by a wait
 * as EXPIRED, gives its place below the limit back at once; its on_done is called by the thread
 * that ended it, while others may run. One at the head that has expired gives it back to the next
 * submit that comes, or in its turn. */

/* Blocks until the serial has no task: all that were accepted have ended, and their on_done has
 * returned. Others may submit meanwhile, which delays it. A task of the pool runs tasks of the
 * serial meanwhile, as above.
 * Returns 0; -EDEADLK (from a task of the serial, or its on_done; not try_); -EINVAL; -ESTALE;
 * try_: -EAGAIN; _until: -ETIMEDOUT, -ECANCELED. Ordering: what the tasks did happens-before a
 * return of 0. */
WEIR_API WEIR_NODISCARD int weir_serial_drain(weir_serial *serial);
WEIR_API WEIR_NODISCARD int weir_serial_try_drain(weir_serial *serial);
WEIR_API WEIR_NODISCARD int weir_serial_drain_until(weir_serial *serial, weir_context *ctx,
                                                    int64_t deadline);

/* No task is accepted any more, from its own tasks neither: -EPIPE, also for threads that wait for
 * a place below its limit. What is queued runs as before. Idempotent. NULL, stale: nothing. */
WEIR_API void weir_serial_close(weir_serial *serial);

/* Ends its use; no other call may be under way. Blocks until the worker that ran its last task is
 * through with it, which takes a moment. Afterwards: -EINVAL. NULL, stale: nothing.
 * Misuse that aborts: a task of it has not ended; from a task of it, or its on_done. */
WEIR_API void weir_serial_destroy(weir_serial *serial);

/* How many of its tasks have not started; exact at rest. 0 for NULL. Never blocks. */
WEIR_API size_t weir_serial_queued(const weir_serial *serial);

WEIR_END_DECLS

#endif
