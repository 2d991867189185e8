/* SPDX-License-Identifier: MIT */
/* waitgroup.h - the counter of a waitgroup. Waiting, which may run tasks, is in
 * group/waitgroup_tasks.c.
 *
 * state: {round:32, count:32}. An add from zero starts a new round in the same step. A waiter
 * leaves when the count is zero or the round is not the one that it found: so it never mistakes a
 * new round for its own. A thread that takes the count to zero touches nothing afterwards.
 */
#ifndef WEIR_SYNC_WAITGROUP_H
#define WEIR_SYNC_WAITGROUP_H

#include "weir/waitgroup.h"

#include "base/atomic.h"

enum { WAITGROUP_MAX = INT32_MAX };

/* What a weir_waitgroup begins with; group/waitgroup_tasks.c has the rest. */
struct __attribute__((may_alias)) waitgroup {
    atomic(uint64_t) state;
    atomic(uint32_t) fork; /* fork_count() when a task was last given to it; 0: not this round */
};

static inline uint32_t waitgroup_count(uint64_t state)
{
    return (uint32_t)state;
}

/* Adds n; false: the counter would exceed its maximum. */
bool weir__waitgroup_add(struct waitgroup *wg, uint32_t n);

/* Takes 1 off, aborts below zero. True: it is zero now, and wg must not be touched. */
bool weir__waitgroup_take(struct waitgroup *wg);

#endif
