/* SPDX-License-Identifier: MIT */
/* index_ring.h - the ring of slot indices, in 64-bit words {sequence:40, index:24}.
 *
 * The sequence wraps after 2^40 pushes; comparisons are signed and modulo 2^40, so a wrap in itself
 * is harmless. A CAS would go wrong only in a thread that was stopped between its look and its CAS
 * while an exact multiple of 2^40 pushes went by (hours at full speed), and that finds the same
 * index there.
 *
 * Looks and CASes are sequentially consistent, because parking relies on it (wait/eventcount.c);
 * on the machines weir runs on that costs nothing over acquire and release.
 */
#ifndef WEIR_RING_INDEX_RING_H
#define WEIR_RING_INDEX_RING_H

#include "base/atomic.h"

enum { INDEX_BITS = 24 };
#define INDEX_MASK ((UINT64_C(1) << INDEX_BITS) - 1)

typedef atomic(uint64_t) ring_word;
typedef uint32_t ring_item;

static inline uint64_t index_word(uint64_t sequence, uint32_t index)
{
    return sequence << INDEX_BITS | index;
}

static inline int64_t word_ahead(const ring_word *word, uint64_t position)
{
    /* pairs with word_fill, word_drain */
    uint64_t difference = load_seqcst(word) - (position << INDEX_BITS);
    return (int64_t)difference >> INDEX_BITS;
}

static inline ring_item word_item(const ring_word *word)
{
    return (ring_item)(load_rlx(word) & INDEX_MASK); /* the CAS confirms it */
}

static inline bool word_fill(ring_word *word, uint64_t position, ring_item item)
{
    uint64_t expected = index_word(position, 0);
    return cas_seqcst(word, &expected, index_word(position + 1, item)); /* pairs with word_ahead */
}

static inline bool word_drain(ring_word *word, uint64_t position, ring_item item, uint64_t next)
{
    uint64_t expected = index_word(position + 1, item);
    return cas_seqcst(word, &expected, index_word(next, 0)); /* pairs with word_ahead */
}

#include "ring/algorithm.h"

/* Sets up an empty ring over ring_slots(capacity) words; `first`, a multiple of their number, is
 * the position of the first push. */
static inline void ring_init(struct ring *ring, ring_word *words, uint64_t capacity, uint64_t first)
{
    uint64_t n = ring_slots(capacity);
    for (uint64_t i = 0; i < n; i++)
        store_rlx(&words[i], index_word(first + i, 0)); /* nobody else knows the ring yet */
    store_rlx(&ring->tail, first);
    store_rlx(&ring->head, first);
    ring->words = words;
    ring->mask = n - 1;
    ring->capacity = capacity;
    store_rlx(&ring->room, capacity);
}

#endif
