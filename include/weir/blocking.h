/* SPDX-License-Identifier: MIT */
/* weir/blocking.h - a task says that it is about to block, so that another may run meanwhile.
 *
 *     weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .workers_max = 32));
 *
 *     static int fetch(weir_context *ctx, void *arg)            a task
 *     {
 *         weir_blocking_begin();
 *         ssize_t n = read(fd, buffer, sizeof buffer);          or a DNS look-up, a query, ...
 *         weir_blocking_end();
 *         ...
 *     }
 *
 * A pool with `workers_max` (pool_options.h) runs so many tasks at once as it has turns: `workers`,
 * and one more for each worker that its rule has added. Between the two calls the task gives its
 * turn up: another worker runs queued tasks. If a task is queued and there is no such worker, one
 * is made, unless there are workers_max. The end waits for a turn, if others have them all: a
 * worker that has one and whose task has ended gives it to a thread that waits here, before it
 * starts another. Of several that wait, any may be the next.
 *
 * The calls of weir in which a task waits do the same by themselves, with one difference: when such
 * a wait is over, the task goes on at once, past those that wait in the end; so for each wait that
 * ends there may be one task more at once than there are turns, until one ends. And a task that
 * waits in weir for another is not in the way if that waits for its turn. But weir does not know of
 * locks that are not its own. A task that holds one between the two calls, and another that waits
 * for that lock without having said so, can wait for each other: hold none, or have each wait for
 * it between the two calls as well. Nor does a task that a wait between the two runs itself
 * (task.h) have a turn: wait for tasks before or after.
 *
 * On a fixed pool the two only say so to those who look (stats.h, dump.h), and on a thread that is
 * no worker they do nothing. They may be nested; the outermost count. Neither fails, whatever the
 * state of the pool, also if no thread can be made. A thread may end between the two, also by
 * cancellation. In a child of fork() the end, for a begin before the fork, just returns.
 */
#ifndef WEIR_BLOCKING_H
#define WEIR_BLOCKING_H

#include "base.h"

WEIR_BEGIN_DECLS

/* Never blocks; a worker that is missing is made by the thread of the pool that makes them. */
WEIR_API void weir_blocking_begin(void);
/* Blocks until there is a turn. Misuse that aborts: there was no begin before it on this thread; a
 * task that a worker has started returns between the two. */
WEIR_API void weir_blocking_end(void);

WEIR_END_DECLS

#endif
