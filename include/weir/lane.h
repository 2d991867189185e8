/* SPDX-License-Identifier: MIT */
/* weir/lane.h - lanes: urgent tasks start before others, and none of the others starves.
 *
 *     weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 4, .lanes = 3));
 *     err = weir_pool_submit_lane(pool, 0, answer, request);       0 is the most urgent
 *     err = weir_pool_submit_task(pool, &task, fn, arg, WEIR_TASK_OPTIONS(.lane = WEIR_LANE(1)));
 *     err = weir_pool_submit(pool, tidy_up, NULL);                 names none: the last one
 *
 * A lane is a queue of its own, with a capacity of its own: what waits in one never fills up
 * another. In a lane tasks start in the order in which their submits took effect. What pool.h says
 * of a full pool holds for each lane: a submit waits for room in its lane, or is refused, and
 * DROP_OLDEST drops the oldest task of that lane.
 *
 * Which one starts next. A worker that looks for a task takes the oldest of the first lane that has
 * one. Two numbers bound what can come of that:
 *
 *   Overtaking. Of the tasks that were submitted after an urgent one, to less urgent lanes, at most
 *   `workers` start before it (one for each worker that had looked just before), and besides them
 *   those that the workers owe.
 *   Starvation. While a lane has a task, at most `lane_burst` tasks of more urgent lanes start
 *   between two of its own; or as many as there are workers, if that is more.
 *
 * For the latter each worker counts by itself: once it has started its share from more urgent
 * lanes, which is lane_burst / workers, rounded down, or 1 if that is 0, it owes the lane a start,
 * and takes its next task from there. So with W workers such a lane, while it has tasks, gets one
 * in share + 1 of the starts of its own and more urgent tasks: more than the bound demands, and
 * with many workers far more. With a lane_burst of 64 it is one in 65 with one worker, one in 17
 * with 4, one in 5 with 16, and every second one from 64 workers on. With two lanes, then, an
 * urgent task behind N others in its lane is overtaken by at most N / share + W tasks that came
 * later; each further lane adds to that. If that is too much, make lane_burst larger: some 64 for
 * each worker.
 *
 * A lane that was empty for long may be owed a start by each worker at once: its first tasks then
 * start before what is more urgent. A turn of a serial counts as one start, however many tasks it
 * runs. So does a task that ends when its turn has come, because it has expired or its context is
 * over; one that ended before does not. Tasks that do not wait for a worker have no part in this:
 * those that a waiting thread runs itself (task.h), and those that are run in place where there is
 * no room.
 *
 * Which lane. A task with options goes to `lane`, if that is not 0, in all forms: also when its
 * time has come, when it is retried, and when its gate or descriptor lets it start. A serial has a
 * lane, and with it all tasks of it; keys likewise. All other tasks, those of groups and loops too,
 * go to the `default_lane` of the pool. A thread that waits for tasks of any lane runs them as
 * ever.
 */
#ifndef WEIR_LANE_H
#define WEIR_LANE_H

#include "stats.h"

WEIR_BEGIN_DECLS

/* weir_pool_submit and its other forms, with a lane: 0 is the most urgent. Besides: -EINVAL (the
 * pool has no such lane). */
WEIR_API WEIR_NODISCARD int weir_pool_submit_lane(weir_pool *pool, unsigned lane, weir_task_fn *fn,
                                                  void *arg);
WEIR_API WEIR_NODISCARD int weir_pool_try_submit_lane(weir_pool *pool, unsigned lane,
                                                      weir_task_fn *fn, void *arg);
WEIR_API WEIR_NODISCARD int weir_pool_submit_lane_until(weir_pool *pool, unsigned lane,
                                                        weir_task_fn *fn, void *arg,
                                                        weir_context *ctx, int64_t deadline);

/* How many lanes the pool has, 1 at least; 0 for NULL. Never blocks. */
WEIR_API unsigned weir_pool_lanes(const weir_pool *pool);

typedef struct weir_lane_stats {
    size_t size;          /* filled by the caller: sizeof of this struct */
    uint64_t capacity;    /* how many tasks may wait to start */
    uint64_t queued;      /* places that are taken now: by tasks that wait to start, serials, and
                             tasks that have ended and not yet come to the head */
    uint64_t peak_queued; /* the most of them at once */
    uint64_t submitted;   /* how often a place was taken: by a task, by a turn of a serial */
    weir_histogram wait;  /* as in weir_pool_stats, of the tasks of this lane */
    weir_histogram run;
} weir_lane_stats;

/* Reads the stats of a lane, as weir_pool_read_stats does those of the pool. The numbers are exact
 * while nobody submits or starts a task. Never blocks, takes no lock.
 * Returns 0; -EINVAL (NULL, no such lane, or a size that never was); -ESTALE. Fields that this
 * version does not know are set to 0. */
WEIR_API WEIR_NODISCARD int weir_pool_read_lane_stats(const weir_pool *pool, unsigned lane,
                                                      weir_lane_stats *ret);

WEIR_END_DECLS

#endif
