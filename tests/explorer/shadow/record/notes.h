/* SPDX-License-Identifier: MIT */
/* notes.h - nothing is noted: it would add points at which to switch, and no other outcome. What
 * readers of the notes rely on has scenarios of its own (scenarios/activity.c).
 */
#ifndef WEIR_RECORD_NOTES_H
#define WEIR_RECORD_NOTES_H

#include "record/activity.h"
#include "record/times.h"

static inline uint64_t note_submit(struct sampler *sampler)
{
    (void)sampler;
    return 0;
}

static inline void note_wake(struct sampler *sampler, bool late)
{
    (void)sampler;
    (void)late;
}

static inline void note_start(struct times *own, uint64_t stamp, uint32_t lane, struct timing *ret)
{
    (void)own;
    (void)stamp;
    (void)lane;
    (void)ret;
}

static inline void note_end(struct times *own, uint64_t stamp, uint32_t lane,
                            const struct timing *timing)
{
    (void)own;
    (void)stamp;
    (void)lane;
    (void)timing;
}

static inline void note_run(struct self *self, uintptr_t fn, int64_t since,
                            const struct run_more *more)
{
    (void)self;
    (void)fn;
    (void)since;
    (void)more;
}

static inline void note_ran(struct self *self)
{
    (void)self;
}

static inline void note_in_place(struct times *own, uint32_t lane)
{
    (void)own, (void)lane;
}

static inline void note_helped(struct times *own)
{
    (void)own;
}

static inline void note_block(struct told told)
{
    (void)told;
}

static inline void note_still_blocked(struct told told)
{
    (void)told;
}

static inline void note_unblock(void)
{
}

static inline void note_begin(struct activity *activity)
{
    (void)activity;
}

static inline void note_leave(void)
{
}

static inline void note_park(void)
{
}

static inline void note_unpark(bool woken)
{
    (void)woken;
}

#endif
