/* SPDX-License-Identifier: MIT */
/* sizes.h - sizes of internal stores, and numbers of turns, that a test may make small.
 *
 * The explorer has a copy of this file with small numbers, so that a few operations fill, empty and
 * go round everything.
 */
#ifndef WEIR_BASE_SIZES_H
#define WEIR_BASE_SIZES_H

enum {
    MAGAZINE_ROUNDS = 64,   /* free slots in a full magazine */
    STRIPES = 8,            /* places where threads outside take free slots */
    SLOT_MARGIN = 2048,     /* slots for threads that are inside a submit or a pop */
    SPARE_INDICES = 1024,   /* likewise, for threads inside a call on a ring of pointers */
    CHANNEL_TWO_LOCKS = 16, /* from this capacity on a channel has a lock for each side */
    TRACE_DOORS = 64,       /* counters of threads that note something in a trace */
    RING_EACH = 64,         /* pool/local.h says what these three are */
    OLDEST_EACH = 61,
    OTHER_EACH = 64,
    LANE_VAIN = 16 /* jobs that count as a start, if they do not start: pool/lanes.h */
};

#endif
