/* SPDX-License-Identifier: MIT */
/* ring_dpdk.c - DPDK's rte_ring on memory of ours, in its default mode (a thread waits for the one
 * before it) and in the relaxed one for more threads than processors (RTS: the last one of those at
 * work moves the tail). */
#include <stdlib.h>

#include <rte_ring.h>

#include "ring.h"

static void *open_with(size_t capacity, unsigned flags)
{
    /* As much as is asked for, and not one less. */
    unsigned count = rte_align32pow2((unsigned)capacity + 1);
    ssize_t size = rte_ring_get_memsize(count);
    if (size < 0)
        return NULL;
    struct rte_ring *ring = aligned_alloc(RTE_CACHE_LINE_SIZE, (size_t)RTE_ALIGN(size, 64));
    if (ring != NULL &&
        rte_ring_init(ring, "peer", (unsigned)capacity, flags | RING_F_EXACT_SZ) != 0) {
        free(ring);
        return NULL;
    }
    return ring;
}

static void *open_default(size_t capacity, unsigned producers)
{
    (void)producers;
    return open_with(capacity, 0);
}

static void *open_relaxed(size_t capacity, unsigned producers)
{
    (void)producers;
    return open_with(capacity, RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ);
}

static void close_ring(void *ring)
{
    free(ring);
}

static int push_default(void *ring, void *item)
{
    return rte_ring_mp_enqueue(ring, item);
}

static int pop_default(void *ring, void **ret_item)
{
    return rte_ring_mc_dequeue(ring, ret_item);
}

/* The general calls look up the mode that the ring was made with. */
static int push_relaxed(void *ring, void *item)
{
    return rte_ring_enqueue(ring, item);
}

static int pop_relaxed(void *ring, void **ret_item)
{
    return rte_ring_dequeue(ring, ret_item);
}

static const struct ring_peer by_default = {
    "rte_ring", open_default, close_ring, push_default, pop_default,
};
static const struct ring_peer relaxed = {
    "rte_ring-RTS", open_relaxed, close_ring, push_relaxed, pop_relaxed,
};

const struct ring_peer *const ring_forms[] = {&by_default, &relaxed, NULL};
