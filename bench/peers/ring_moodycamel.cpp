/* SPDX-License-Identifier: MIT */
/* ring_moodycamel.cpp - moodycamel::ConcurrentQueue with room for the capacity and a block for each
 * producer, and try_enqueue, which does not make it larger. Its bound is not exact, and it is FIFO
 * for each producer only. */
#include <concurrentqueue/concurrentqueue.h>

#include "ring.h"

namespace
{

using queue = moodycamel::ConcurrentQueue<void *>;

queue *of(void *ring)
{
    return static_cast<queue *>(ring);
}

void *open_queue(size_t capacity, unsigned producers)
{
    return new queue(capacity, 0, producers);
}

void close_queue(void *ring)
{
    delete of(ring);
}

int push(void *ring, void *item)
{
    return of(ring)->try_enqueue(item) ? 0 : -1;
}

int pop(void *ring, void **ret_item)
{
    return of(ring)->try_dequeue(*ret_item) ? 0 : -1;
}

const ring_peer moodycamel_peer = {"moodycamel", open_queue, close_queue, push, pop};

} // namespace

const ring_peer *const ring_forms[] = {&moodycamel_peer, nullptr};
