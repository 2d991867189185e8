/* SPDX-License-Identifier: MIT */
/* channel_ring.h - what a channel is made of: a ring of elements, a lock for each of its two sides,
 * and two lists of waiting arms, in the order of arrival. Which lock guards what, channel.c says.
 *
 * The counts say how far the other side may go: count of sends - capacity <= count of recvs <=
 * count of sends. A side looks at the other's only when it has come to its `limit`, the last value
 * it saw; so while the ring is neither full nor empty neither line moves between the cores.
 *
 * Orders. side_go_on publishes with a side's count, to the other side (is_alone), the element that
 * was put, or that it was copied out of its place. The locks order everything else.
 */
#ifndef WEIR_FLOW_CHANNEL_RING_H
#define WEIR_FLOW_CHANNEL_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/atomic.h"
#include "base/list.h"
#include "base/sizes.h"
#include "base/tsan.h"
#include "sync/mutex.h"

/* Of the senders, or of the receivers. */
struct side {
    struct mutex lock;
    bool attention;       /* another lock is needed */
    uint16_t found;       /* `count` when the ring was found full, or empty; only the low bits */
    size_t place;         /* in the ring: of the next element to put, or to get */
    size_t limit;         /* of `count`, by what was last seen of the other side's */
    atomic(size_t) count; /* of elements put, or got, so far; wraps */
};

struct weir_channel {
    size_t element_size, capacity; /* constant */
    uint32_t fork;                 /* fork_count() of the process that used it last */
    bool closed;
    atomic(uint32_t) subscriptions; /* to topics */
    size_t counted_senders;         /* that were added and are not done */
    _Alignas(CACHE_LINE) struct side send;
    struct list senders, receivers; /* on that line, so a rendezvous needs no other one */
    _Alignas(CACHE_LINE) struct side recv;
    _Alignas(CACHE_LINE) unsigned char ring[];
};

/* With both locks: how many elements are here. */
static inline size_t channel_kept(const weir_channel *channel)
{
    return load_rlx(&channel->send.count) -
           load_rlx(&channel->recv.count); /* the locks order them */
}

static inline void channel_copy(const weir_channel *channel, void *to, const void *from)
{
    if (channel->element_size == sizeof(uint64_t))
        memcpy(to, from, sizeof(uint64_t));
    else if (channel->element_size != 0)
        memcpy(to, from, channel->element_size);
}

static inline void *side_place(weir_channel *channel, const struct side *side)
{
    return channel->ring + side->place * channel->element_size;
}

static inline void side_go_on(const weir_channel *channel, struct side *side)
{
    side->place = side->place + 1 < channel->capacity ? side->place + 1 : 0;
    tsan_release(&side->count);
    store_rel(&side->count, load_rlx(&side->count) + 1); /* pairs with is_alone */
}

static inline void channel_put(weir_channel *channel, const void *element)
{
    channel_copy(channel, side_place(channel, &channel->send), element);
    side_go_on(channel, &channel->send);
}

static inline void channel_get(weir_channel *channel, void *ret_element)
{
    channel_copy(channel, ret_element, side_place(channel, &channel->recv));
    side_go_on(channel, &channel->recv);
}

#endif
