/* SPDX-License-Identifier: MIT */
/* waitgroup.h - the counter of a waitgroup. Waiting, which may run tasks, is in pool/help.c.
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

struct __attribute__((may_alias)) waitgroup {
    atomic(uint64_t) state;
    atomic(uintptr_t) pool; /* the one pool that tasks of it were ever given to, see help.c; or 0 */
    atomic(uint64_t) first; /* queue position before which no task of this round is */
    atomic(uint32_t) fork;  /* fork_count() when a task was last given to it; 0: not this round */
    atomic(uint32_t) members; /* tasks that have not ended, of pools whose outside waiters help */
};

_Static_assert(sizeof(struct waitgroup) <= sizeof(weir_waitgroup), "fits");

static inline uint32_t waitgroup_count(uint64_t state)
{
    return (uint32_t)state;
}

/* Adds n; false: the counter would exceed its maximum. */
bool weir__waitgroup_add(struct waitgroup *wg, uint32_t n);

/* Takes 1 off, aborts below zero. True: it is zero now, and wg must not be touched. */
bool weir__waitgroup_take(struct waitgroup *wg);

#endif
