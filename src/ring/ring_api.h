/* SPDX-License-Identifier: MIT */
/* ring_api.h - weir/ring.h on top of one kind of word; included once, by the file that makes it.
 *
 * The includer defines struct weir_ring with a member `struct ring core`, and
 *   bool put(ring, item) and bool get(ring, &item)   one push, one pop
 *   weir_ring *make(n) and void unmake(ring)         memory for n elements, core set up
 */
#ifndef WEIR_RING_RING_API_H
#define WEIR_RING_RING_API_H

#include "weir/ring.h"

#include <errno.h>

#include "base/tsan.h"

enum { MAX_CAPACITY = 1 << 23 };

int weir_ring_new(weir_ring **ret, size_t capacity)
{
    if (ret == NULL || capacity < 2 || capacity > MAX_CAPACITY || (capacity & (capacity - 1)) != 0)
        return -EINVAL;
    weir_ring *ring = make(capacity);
    if (ring == NULL)
        return -ENOMEM;
    *ret = ring;
    return 0;
}

void weir_ring_free(weir_ring *ring)
{
    if (ring != NULL)
        unmake(ring);
}

int weir_ring_push(weir_ring *ring, void *item)
{
    if (unlikely(ring == NULL))
        return -EINVAL;
    tsan_release(ring);
    return likely(put(ring, item)) ? 0 : -EAGAIN;
}

int weir_ring_pop(weir_ring *ring, void **ret_item)
{
    if (unlikely(ring == NULL || ret_item == NULL))
        return -EINVAL;
    if (unlikely(!get(ring, ret_item)))
        return -EAGAIN;
    tsan_acquire(ring);
    return 0;
}

size_t weir_ring_push_burst(weir_ring *ring, void *const items[], size_t n)
{
    size_t done = 0;
    if (ring == NULL || items == NULL)
        return 0;
    tsan_release(ring);
    while (done < n && put(ring, items[done]))
        done++;
    return done;
}

size_t weir_ring_pop_burst(weir_ring *ring, void *ret_items[], size_t n)
{
    size_t done = 0;
    if (ring == NULL || ret_items == NULL)
        return 0;
    while (done < n && get(ring, &ret_items[done]))
        done++;
    tsan_acquire(ring);
    return done;
}

size_t weir_ring_count(const weir_ring *ring)
{
    return ring != NULL ? (size_t)ring_count(&ring->core) : 0;
}

size_t weir_ring_capacity(const weir_ring *ring)
{
    return ring != NULL ? (size_t)ring->core.capacity : 0;
}

#endif
