/* SPDX-License-Identifier: MIT */
/* room.h - waiting for room in a queue, and everything that ends such a wait.
 *
 * Threads that found the queue full sleep on an event count (wait/eventcount.h). They wake
 *   - one of them, when a place has become free, or may be made free at the head (room_freed);
 *   - one more, when a worker has run out of jobs or is about to park, in case the one that was
 *     woken is held up, or makes a timed wait (weir__room_idle);
 *   - the next one, when one that was woken leaves, whatever became of it (weir__room_wait);
 *   - all, when the queue is closed (weir__room_wake_all);
 *   - by themselves, when a job at the head expires, or at their deadline;
 *   - all, when a context of one of them is over.
 * Each looks again before it sleeps on, so a wake too many costs time only.
 *
 * A timed wait. In a queue that is not short a thread first sleeps for ROOM_TIMED_NS, once, without
 * being woken for each place: that would cost the workers more than they gain, and such a sleep
 * ends with room for many. The thread that queues what is due makes more of them (due.c).
 */
#ifndef WEIR_POOL_ROOM_H
#define WEIR_POOL_ROOM_H

#include "wait/eventcount.h"
#include "wait/wait.h"

struct room {
    struct eventcount waiting;
};

/* One place became free, or may be made so at the head. */
static inline void room_freed(struct room *room)
{
    (void)eventcount_notify(&room->waiting);
}

static inline bool room_has_timed(struct room *room)
{
    return eventcount_has_timed(&room->waiting);
}

static inline bool room_wanted(struct room *room)
{
    return eventcount_has_sleepers(&room->waiting) || room_has_timed(room);
}

void weir__room_idle(struct room *room);
void weir__room_wake_all(struct room *room);

struct room_wait {
    /* Tries to get on: -EAGAIN if there is no room, and then until when to sleep at most; anything
     * else ends the wait and is returned. `passed` is a time that has passed, even if the clock
     * does not say so. */
    int (*look)(void *arg, int64_t passed, int64_t *ret_until);
    void *arg;
    const weir_context *contexts[3]; /* when one is over, look again; or NULL */
    bool timed;                      /* a timed wait first */
    struct told told;                /* of the thread that waits */
};

int weir__room_wait(struct room *room, const struct room_wait *wait);

#endif
