/* SPDX-License-Identifier: MIT */
/* weir/dump.h - what every thread of a pool is doing right now, as text.
 *
 *     weir_pool_dump_fd(pool, STDERR_FILENO);
 *
 *     pool "images": open, 3 workers
 *     queue: 2 of 2, the oldest for 2.998 s; 1 blocked submitter; 0 delayed
 *     worker 0 (thread 4711): running save_thumbnail for 850.2 ms
 *     worker 1 (thread 4712): running "resize" for 3.004 s
 *     worker 2 (thread 4713): running load for 3.001 s, blocked in weir_task_wait on 0x7ffe4c3a for
 *     3.000 s, waits for worker 1                                        (on the line before)
 *     worker 2: within "page 7" for 3.002 s
 *     queued: 2 x save_thumbnail
 *     queued for 2.998 s: save_thumbnail
 *     thread 4710: blocked in weir_pool_submit on 0x55d0a8 for 2.9 s
 *
 * One fact a line, made for grep: a line about a worker begins with "worker N", one about another
 * thread with "thread N"; N is the number by which the system and debuggers know the thread. The
 * task that runs is the innermost; those that wait for it further out on the same stack have lines
 * of their own below it: "within". Lines may be added in later versions.
 *
 * A name in quotes is the task's (weir_task_options.name, weir_pool_options.name_of); without one,
 * the name of its function, as the symbol table of its file has it; without that, the file and the
 * place in it. Where a run is not measured (weir/stats.h), "for at most" says when it began at the
 * earliest; of a thread that is no worker, that may not be known. What is told of a thread was so
 * at one instant; two lines may be of different ones.
 *
 * It works while all workers are stuck. It takes no lock, allocates nothing, and blocks only in
 * `write`; so it may be called by any thread, from a task, and from a signal handler, if `write`
 * may. What it needs of the stack is some 10 KiB.
 */
#ifndef WEIR_DUMP_H
#define WEIR_DUMP_H

#include "pool.h"

WEIR_BEGIN_DECLS

/* Takes `n` bytes of text, which need not end with a line. Returns 0; else an error, which ends the
 * call and is returned by it. */
typedef int weir_write_fn(const char *text, size_t n, void *arg);

/* Returns 0; what `write` returned; -EINVAL (`pool` or `write` is NULL); -ESTALE. */
WEIR_API int weir_pool_dump(const weir_pool *pool, weir_write_fn *write, void *arg);

/* To a file descriptor. Returns 0; what write(2) failed with, negated; -EINVAL; -ESTALE. */
WEIR_API int weir_pool_dump_fd(const weir_pool *pool, int fd);

WEIR_END_DECLS

#endif
