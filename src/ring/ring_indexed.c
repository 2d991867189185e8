/* SPDX-License-Identifier: MIT */
/* ring_indexed.c - the ring of pointers where the CPU has no 128-bit CAS that we can use: a ring of
 * indices into an array of items, and a stack of free indices.
 *
 * A thread inside a call may hold one index, so there are SPARE_INDICES more than the capacity; the
 * ring alone decides whether it is full or empty. With more than SPARE_INDICES threads stopped
 * inside push or pop at once, a push tries again until one of them continues.
 *
 * An item travels with its index: from word_fill to word_ahead in the ring, from stack_push to
 * stack_pop in the stack.
 */
#include "ring/index_ring.h"
#include "ring/index_stack.h"

#include <stdlib.h>

#include "base/sizes.h"

typedef struct weir_ring weir_ring;

struct weir_ring {
    struct ring core;
    _Alignas(CACHE_LINE) index_stack free;
    _Alignas(CACHE_LINE) index_link *links; /* from here on constant */
    void **items;
    ring_word words[];
};

static inline bool put(weir_ring *ring, void *item)
{
    uint32_t link;
    while ((link = stack_pop(&ring->free, ring->links)) == LINK_NONE) {
        if (ring_full(&ring->core))
            return false;
        ring_back_off();
    }
    ring->items[link - 1] = item;
    uint64_t position;
    bool done = ring_push(&ring->core, link - 1, &position);
    if (!done)
        stack_push(&ring->free, ring->links, link);
    return done;
}

static inline bool get(weir_ring *ring, void **ret_item)
{
    uint64_t position;
    uint32_t index;
    if (!ring_pop(&ring->core, &position, &index))
        return false;
    *ret_item = ring->items[index];
    stack_push(&ring->free, ring->links, index + 1);
    return true;
}

static void unmake(weir_ring *ring)
{
    free(ring->items);
    free(ring->links);
    free(ring);
}

static weir_ring *make(size_t capacity)
{
    size_t bytes = sizeof(weir_ring) + capacity * sizeof(ring_word);
    weir_ring *ring = aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    if (ring == NULL)
        return NULL;
    ring->links = calloc(capacity + SPARE_INDICES, sizeof *ring->links);
    ring->items = calloc(capacity + SPARE_INDICES, sizeof *ring->items);
    if (ring->links == NULL || ring->items == NULL) {
        unmake(ring);
        return NULL;
    }
    ring_init(&ring->core, ring->words, capacity, 0);
    store_rlx(&ring->free, LINK_NONE);
    for (uint32_t link = (uint32_t)(capacity + SPARE_INDICES); link > 0; link--)
        stack_push(&ring->free, ring->links, link);
    return ring;
}

#include "ring/ring_api.h"
