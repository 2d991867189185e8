/* SPDX-License-Identifier: MIT */
/* notes.h - nothing is noted: it would add points at which to switch, and no other outcome. What
 * readers of the notes rely on has scenarios of its own (scenarios/activity.c).
 */
#ifndef WEIR_RECORD_NOTES_H
#define WEIR_RECORD_NOTES_H

#include "record/activity.h"
#include "record/times.h"

/* The arguments are not evaluated: they would look at shared words. */
#define note_submit(sampler, rare) UINT64_C(0)

static inline int64_t note_start(struct times *own, uint64_t stamp)
{
    (void)own;
    return (int64_t)stamp;
}

static inline int64_t note_end(struct times *own, uint64_t stamp, int64_t began)
{
    (void)own;
    (void)stamp;
    return began;
}

static inline void note_run(struct self *self, const struct run_notes *run)
{
    (void)self;
    (void)run;
}

static inline void note_ran(struct self *self, int64_t now)
{
    (void)self;
    (void)now;
}

static inline void note_in_place(struct times *own)
{
    (void)own;
}

static inline void note_helped(struct times *own)
{
    (void)own;
}

static inline void note_block(struct told told)
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
