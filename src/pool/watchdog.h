/* SPDX-License-Identifier: MIT */
/* watchdog.h - the watchdog of a pool: tells on_stuck of tasks that take too long.
 *
 * Who writes what. Each worker has a few places, one for each task that it runs within others, and
 * notes there when the task began and how long it may take. The clock's thread looks at the places
 * of all workers: that is a tick. It alone knows what it has told, and it alone calls on_stuck; so
 * a run is told once, and once more when a tick finds it gone. A run is known by its place and the
 * time when it began: the next run there begins later.
 *
 * When ticks are. The clock is an alarm (sync/alarm.h), whose thread exists only while the alarm is
 * set. `next` says when the next tick is:
 *
 *     NONE ---- weir__watchdog_arm ----> a time ---- the alarm rings ----> TICKING
 *      ^                                ^                                  |
 *      +------ nothing can be late -----+----- something could be late ----+
 *
 * A pool with `stuck_after` wants a tick at least that often while a worker is awake: from the
 * first task that it runs after a park (weir__watchdog_wake) until it parks again
 * (weir__watchdog_park). Tasks with a time of their own want one by then, and so does whatever was
 * told, until it is over.
 *
 * Why no run is missed.
 *   - A worker wakes: it counts itself in `awake`, then looks at `next`. A tick that ends changes
 *     `next` to NONE, then looks at `awake`. Both are sequentially consistent: either the worker
 *     sees NONE and arms, or the tick sees the worker and goes on. A worker that sees any other
 *     value may leave it at that: the tick that is due or under way will look at `awake`.
 *   - A run with a time of its own is noted, then `next` is looked at. A tick changes `next` to
 *     TICKING, then looks at the places. Either the run is seen by that tick, or it sees TICKING
 *     and says by when it wants the next one (`hurried`), under the lock that the tick takes to set
 *     its alarm.
 *
 * Why none is told wrongly, nor twice. A run's place is written in the order began = 0, limit,
 * began, with release stores, and read in the order began, limit, began: if both reads of `began`
 * agree, no other run was noted in between. What the thread is doing (record/activity.h) is read
 * between two such looks as well. If they do not agree, what was told of that place is over.
 *
 * The end. Once all workers have left, weir__watchdog_stop has one last tick look at the places,
 * which are empty by then: so what was told is told over. No alarm is set after that.
 *
 * Lock: guards the moves of the alarm with `next`, `hurried`, `closing`. The clock's comes after
 * it. on_stuck is called without it.
 */
#ifndef WEIR_POOL_WATCHDOG_H
#define WEIR_POOL_WATCHDOG_H

#include "pool/watchdog_look.h"

/* Makes the watchdog of `pool`; `name`: of its thread, borrowed. 0 or -ENOMEM; to be released
 * either way. `options` has an on_stuck. */
int weir__watchdog_init(struct watchdog *watchdog, weir_pool *pool, const struct queue *queue,
                        const weir_pool_options *options, const char *name);
void weir__watchdog_release(struct watchdog *watchdog);

/* After the last worker has left: what was told is over, and on_stuck has returned. Any number of
 * threads; then weir__watchdog_join by one of them. */
void weir__watchdog_stop(struct watchdog *watchdog);
void weir__watchdog_join(struct watchdog *watchdog);

/* Has a tick be at `at` or before. */
void weir__watchdog_arm(struct watchdog *watchdog, int64_t at);
/* For the thread of a worker. */

void weir__watchdog_wake(struct watchdog *watchdog, struct watched *watched);
void weir__watchdog_park(struct watchdog *watchdog, struct watched *watched);
void weir__watchdog_hurry(struct watchdog *watchdog, struct watched_run *run, int64_t began,
                          int64_t limit);

/* A run begins. `own`: how long it may take; 0: as the pool says; negative: as long as it likes. */
static inline void watch_run(struct watchdog *watchdog, struct watched *watched, int64_t began,
                             int64_t own)
{
    unsigned depth = watched->depth++;
    if (unlikely(depth >= WATCH_LEVELS))
        return;
    struct watched_run *run = &watched->runs[depth];
    /* Its own. */
    unsigned levels = activity_levels(load_rlx(&watched->activity->state));
    store_rel(&run->level, levels - 1); /* pairs with read_run */
    store_rel(&run->limit, own == 0  ? watchdog->limit
                           : own > 0 ? own
                                     : 0); /* pairs with read_run */
    store_rel(&run->began, began);         /* pairs with read_run */
    if (!watched->awake)
        weir__watchdog_wake(watchdog, watched);
    if (unlikely(own > 0))
        weir__watchdog_hurry(watchdog, run, began, own);
}

static inline void watch_ran(struct watched *watched)
{
    unsigned depth = --watched->depth;
    if (likely(depth < WATCH_LEVELS))
        store_rel(&watched->runs[depth].began, 0); /* pairs with read_run */
}

#endif
