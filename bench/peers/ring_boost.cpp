/* SPDX-License-Identifier: MIT */
/* ring_boost.cpp - boost::lockfree::queue with nodes allocated beforehand, and no more. */
#include <boost/lockfree/queue.hpp>

#include "ring.h"

namespace
{

using queue = boost::lockfree::queue<void *>;

queue *of(void *ring)
{
    return static_cast<queue *>(ring);
}

void *open_queue(size_t capacity, unsigned)
{
    return new queue(capacity);
}

void close_queue(void *ring)
{
    delete of(ring);
}

int push(void *ring, void *item)
{
    return of(ring)->bounded_push(item) ? 0 : -1;
}

int pop(void *ring, void **ret_item)
{
    return of(ring)->pop(*ret_item) ? 0 : -1;
}

const ring_peer boost_peer = {"boost-lockfree", open_queue, close_queue, push, pop};

} // namespace

const ring_peer *const ring_forms[] = {&boost_peer, nullptr};
