/* SPDX-License-Identifier: MIT */
/* stopwatch.h - how much time a thread has spent in some state, the time that is just passing
 * included.
 *
 * One writer, readers at any time. All is in one word, so that a reader never counts a stretch
 * twice or not at all: while it runs, the word holds what was counted less the time of the start,
 * and a reader adds the time of its own.
 */
#ifndef WEIR_RECORD_STOPWATCH_H
#define WEIR_RECORD_STOPWATCH_H

#include "base/atomic.h"

struct stopwatch {
    atomic(uint64_t) word; /* {time in ns modulo 2^63, running:1} */
};

/* Relaxed throughout: the word says all. */

static inline void stopwatch_start(struct stopwatch *watch, int64_t now)
{
    uint64_t word = load_rlx(&watch->word);
    store_rlx(&watch->word, (word - ((uint64_t)now << 1)) | 1);
}

static inline void stopwatch_stop(struct stopwatch *watch, int64_t now)
{
    uint64_t word = load_rlx(&watch->word);
    store_rlx(&watch->word, word - 1 + ((uint64_t)now << 1));
}

/* In ns. */
static inline uint64_t stopwatch_read(const struct stopwatch *watch, int64_t now)
{
    uint64_t word = load_rlx(&watch->word);
    if ((word & 1) == 0)
        return word >> 1;
    int64_t time = (int64_t)(word - 1 + ((uint64_t)now << 1)) / 2;
    return time > 0 ? (uint64_t)time : 0;
}

#endif
