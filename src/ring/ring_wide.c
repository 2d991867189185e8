/* SPDX-License-Identifier: MIT */
/* ring_wide.c - the ring of pointers in 128-bit words {sequence, pointer}, for x86-64.
 *
 * A push replaces number and pointer together, with cmpxchg16b. A pop replaces the number alone:
 * the pointer of a filled word does not change before it is consumed, and sequence numbers never
 * come back, so what was read between a look at the sequence and its CAS is the item of that
 * position. It leaves the pointer where it is; the next push expects whatever is there. This is the
 * one place where a word is accessed in two sizes, which x86 orders like any other accesses to the
 * same line. ThreadSanitizer cannot see the assembly, so its builds take ring_indexed.c.
 */
#include "base/atomic.h"

typedef struct {
    _Alignas(16) atomic(uint64_t) sequence;
    atomic(uint64_t) pointer;
} ring_word;
typedef void *ring_item;

static inline int64_t word_ahead(const ring_word *word, uint64_t position)
{
    /* pairs with word_drain; and with word_fill, which is assembly */
    return (int64_t)(load_acq(&word->sequence) - position);
}

static inline ring_item word_item(const ring_word *word)
{
    return (void *)(uintptr_t)load_rlx(&word->pointer); /* the CAS confirms it */
}

static inline bool word_fill(ring_word *word, uint64_t position, ring_item item)
{
    bool done;
    uint64_t sequence = position, pointer = load_rlx(&word->pointer); /* confirmed by the CAS */
    /* A full barrier, for word_ahead. */
    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(done), "+m"(*word), "+a"(sequence), "+d"(pointer)
                     : "b"(position + 1), "c"((uint64_t)(uintptr_t)item)
                     : "memory");
    return done;
}

static inline bool word_drain(ring_word *word, uint64_t position, ring_item item, uint64_t next)
{
    (void)item;
    uint64_t sequence = position + 1;
    return cas_acqrel(&word->sequence, &sequence, next); /* pairs with word_ahead */
}

#include "ring/algorithm.h"

#include <stdlib.h>

typedef struct weir_ring weir_ring;

struct weir_ring {
    struct ring core;
    ring_word words[];
};

static inline bool put(weir_ring *ring, void *item)
{
    uint64_t position;
    return ring_push(&ring->core, item, &position);
}

static inline bool get(weir_ring *ring, void **ret_item)
{
    uint64_t position;
    void *item;
    if (!ring_pop(&ring->core, &position, &item))
        return false;
    *ret_item = item;
    return true;
}

static weir_ring *make(size_t capacity)
{
    size_t bytes = sizeof(weir_ring) + capacity * sizeof(ring_word);
    weir_ring *ring = aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    if (ring == NULL)
        return NULL;
    store_rlx(&ring->core.tail, 0);
    store_rlx(&ring->core.head, 0);
    ring->core.words = ring->words;
    ring->core.mask = capacity - 1;
    ring->core.capacity = capacity;
    store_rlx(&ring->core.room, capacity);
    for (size_t i = 0; i < capacity; i++) { /* nobody else knows the ring yet */
        store_rlx(&ring->words[i].sequence, i);
        store_rlx(&ring->words[i].pointer, 0);
    }
    return ring;
}

static void unmake(weir_ring *ring)
{
    free(ring);
}

#include "ring/ring_api.h"
