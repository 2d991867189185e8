/* SPDX-License-Identifier: MIT */
/* gaps.h - reservations that were cancelled while others were stacked upon them.
 *
 * Reservations follow each other on a line: each is a stretch of it. The last one can be undone by
 * moving the end of the line back. One that is not the last is noted as a gap, since those above it
 * keep their times. The gap is closed when all above it have been undone, as if none of them had
 * ever been made. Under a lock of the owner's.
 */
#ifndef WEIR_FLOW_GAPS_H
#define WEIR_FLOW_GAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GAPS = 8 };

struct gap {
    int64_t end, length; /* length 0: none */
    uint32_t line;       /* which line: a gap of another line is of no use */
};

/* Adds to `given` the gaps that are noted right above and below it. */
static inline void join_gaps_locked(struct gap gaps[GAPS], struct gap *given)
{
    for (size_t i = 0; i < GAPS; i++) {
        struct gap *gap = &gaps[i];
        bool above = gap->end - gap->length == given->end;
        bool below = gap->end == given->end - given->length;
        if (gap->length == 0 || gap->line != given->line || (!above && !below))
            continue;
        if (above)
            given->end = gap->end;
        given->length += gap->length;
        gap->length = 0;
    }
}

/* Notes `given` in the place of a gap that is of no use any more, or else of the lowest one. */
static inline void note_gap_locked(struct gap gaps[GAPS], const struct gap *given)
{
    struct gap *place = &gaps[0];
    for (size_t i = 0; i < GAPS; i++) {
        struct gap *gap = &gaps[i];
        if (gap->length == 0 || gap->line != given->line) {
            place = gap;
            break;
        }
        if (gap->end < place->end)
            place = gap;
    }
    *place = *given;
}

#endif
