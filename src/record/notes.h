/* SPDX-License-Identifier: MIT */
/* notes.h - what a thread notes on the way of a task, one function for each place in the code.
 *
 * None of it changes what a call does. The explorer has a copy of this file in which all are empty:
 * it explores what threads do to each other, and what is noted here only readers see. The protocol
 * that those rely on is in activity.c, and explored by itself.
 */
#ifndef WEIR_RECORD_NOTES_H
#define WEIR_RECORD_NOTES_H

#include "record/activity.h"
#include "record/event.h"
#include "record/times.h"

/* A task is about to be queued: its stamp. */
static inline uint64_t note_submit(struct sampler *sampler)
{
    return sample(sampler);
}

/* A worker was woken for it. `late`: and it is a while since the last was. */
static inline void note_wake(struct sampler *sampler, bool late)
{
    if (late)
        sample_woke(sampler);
}

/* A task that is measured begins. It ends; note_ran follows. */
static inline void note_start(struct times *times, uint64_t stamp, uint32_t lane,
                              struct timing *ret)
{
    weir__times_start(times, stamp, lane, ret);
}

static inline void note_end(struct times *times, uint64_t stamp, uint32_t lane,
                            const struct timing *timing)
{
    weir__times_end(times, stamp, lane, timing);
}

static inline void note_run(struct self *self, uintptr_t fn, int64_t since,
                            const struct run_more *more)
{
    activity_run(self, fn, since, more);
}

static inline void note_ran(struct self *self)
{
    activity_ran(self);
}

static inline void note_in_place(struct times *times, uint32_t lane)
{
    count_more(&times->in_place[lane], 1, times->shared);
}

static inline void note_helped(struct times *times)
{
    count_more(&times->helped, 1, times->shared);
}

static inline void note_block(struct told told)
{
    weir__activity_block(this_thread(), told);
    if (told.call != NULL)
        TRACE(note, EVENT_BLOCKED, NULL, (uintptr_t)told.call, (intptr_t)told.object);
}

/* Notes it again: a task that ran meanwhile may have ended the note by a wait of its own. */
static inline void note_still_blocked(struct told told)
{
    weir__activity_block(this_thread(), told);
}

static inline void note_unblock(void)
{
    weir__activity_unblock(this_thread());
    TRACE(note, EVENT_BLOCKED_END, NULL, 0, 0);
}

static inline void note_begin(struct activity *activity)
{
    weir__activity_begin(this_thread(), activity);
}

static inline void note_leave(void)
{
    weir__activity_end(this_thread());
}

static inline void note_park(void)
{
    weir__activity_park(this_thread());
}

static inline void note_unpark(bool woken)
{
    weir__activity_unpark(this_thread(), woken);
}

#endif
