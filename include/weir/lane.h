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
 * one. A task starts, here, when its worker has it and has found that it has neither expired nor
 * is its context over; its function begins a little later, also after on_task_start. Two numbers
 * bound what can come of that:
 *
 *   Overtaking. Of the tasks that were submitted after an urgent one, to less urgent lanes, at most
 *   `workers` start before it (one for each worker that had looked just before), and besides them
 *   those that their lanes are owed, as follows.
 *   Starvation. While a lane has a task, at most `lane_burst` tasks of more urgent lanes start
 *   between two of its own; or as many as there are workers, if that is more.
 *
 * `workers` here is `workers_max`, of a pool that has it.
 *
 * For the latter a lane that has a task is given a start once nearly lane_burst more urgent tasks
 * have started. Nearly, because each of the W workers counts a share of its starts by itself before
 * it adds them to those of the others; the bound holds whatever is not added yet. The share is
 * lane_burst / (8 * W), rounded down, or 1 if that is 0; one worker alone needs none. So in the
 * long run the lane gets one start for P of them: lane_burst - (W - 1) * share, rounded down to a
 * multiple of the share, or one share if that is more. With a lane_burst of 64 a lane that is never
 * empty gets one in 65 of the starts of its own and more urgent tasks with one worker, one in 59
 * with 4, one in 50 with 16, and every second one from 64 workers on: then make lane_burst larger,
 * to 8 for each worker or more. Workers that find at the same time that the lane is owed a start
 * each give it one.
 *
 * With two lanes, then, an urgent task behind N others in its lane is overtaken by some N / P + W
 * tasks that came later. At most, should all workers find each time that the lane is owed a start
 * before one of them has given it, it is W * ((N + W * share) / (P - share) + 2); or, where P is
 * one share, N / share + 2 * W. Each further lane adds to that.
 *
 * A lane that was empty may be owed a start by what came before: then its first task starts before
 * what is more urgent. With several workers a lane may be owed one also soon after it had one that
 * it was not owed: of such a start only the worker knows that made it. A turn of a serial counts as
 * one start, however many tasks it runs.
 *
 * Tasks that do not start: a task that has expired, or whose context is over, when its turn comes.
 * In a more urgent lane it counts as if it had started: so a stream of such tasks starves no other
 * lane. In a lane that is owed a start it uses up none; but 16 of them in a row, ended by one
 * worker, count as one, and then the more urgent lanes have their turn again. A task that was
 * cancelled by its handle is thrown away in passing, and counts nowhere.
 *
 * Tasks that do not wait for a worker have no part in this: those that a waiting thread runs
 * itself (task.h), and those that are run in place where there is no room.
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
    uint64_t rejected;    /* submits that were refused with -EAGAIN: no room in the lane, or none at
                             the limit of a group, a serial or keys, or in the places for timers,
                             retries, gates and descriptors */
    uint64_t dropped;     /* tasks that DROP_OLDEST has dropped */
    uint64_t in_place;    /* tasks that were run by the thread that submitted them: no room in the
                             lane, or none at the limit of their group */
    uint64_t blocked;     /* how often a submit began to wait for room in the lane, however short
                             the wait; one to a serial with a limit may do so again */
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
