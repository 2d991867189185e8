/* SPDX-License-Identifier: MIT */
/* vyukov.c - D. Vyukov's bounded MPMC queue, as published.
 *
 * A cell's sequence equals the position that may fill it, or one more than the position that may
 * empty it. A position is claimed by a CAS on tail or head, the cell is published by its sequence.
 * The store of a sequence publishes the cell to the load of it by the thread that uses it next.
 */
#include "vyukov.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

enum { CACHE_LINE = 64 };

struct cell {
    _Atomic size_t sequence;
    void *item;
};

struct vyukov {
    struct cell *cells;
    size_t mask;
    _Alignas(CACHE_LINE) _Atomic size_t tail;
    _Alignas(CACHE_LINE) _Atomic size_t head;
};

struct vyukov *vyukov_new(size_t capacity)
{
    struct vyukov *queue = aligned_alloc(CACHE_LINE, sizeof *queue);
    struct cell *cells = aligned_alloc(CACHE_LINE, (capacity * sizeof *cells + CACHE_LINE - 1) /
                                                       CACHE_LINE * CACHE_LINE);
    if (queue == NULL || cells == NULL) {
        free(queue);
        free(cells);
        return NULL;
    }
    queue->cells = cells;
    queue->mask = capacity - 1;
    for (size_t i = 0; i < capacity; i++) {
        atomic_init(&cells[i].sequence, i);
        cells[i].item = NULL;
    }
    atomic_init(&queue->tail, 0);
    atomic_init(&queue->head, 0);
    return queue;
}

void vyukov_free(struct vyukov *queue)
{
    if (queue == NULL)
        return;
    free(queue->cells);
    free(queue);
}

/* Claims the next position of `end` whose cell has the sequence position + `bias`; NULL if that
 * cell is a lap behind. */
static inline struct cell *claim(struct vyukov *queue, _Atomic size_t *end, size_t bias,
                                 size_t *ret_position)
{
    size_t position = atomic_load_explicit(end, memory_order_relaxed); /* the CAS checks it */
    for (;;) {
        struct cell *cell = &queue->cells[position & queue->mask];
        size_t sequence = atomic_load_explicit(&cell->sequence, memory_order_acquire);
        intptr_t ahead = (intptr_t)(sequence - (position + bias));
        if (ahead < 0)
            return NULL;
        if (ahead > 0) {
            position = atomic_load_explicit(end, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(
                       end, &position, position + 1, memory_order_relaxed, memory_order_relaxed)) {
            *ret_position = position;
            return cell;
        }
    }
}

int vyukov_push(struct vyukov *queue, void *item)
{
    size_t position;
    struct cell *cell = claim(queue, &queue->tail, 0, &position);
    if (cell == NULL)
        return -EAGAIN;
    cell->item = item;
    atomic_store_explicit(&cell->sequence, position + 1, memory_order_release);
    return 0;
}

int vyukov_pop(struct vyukov *queue, void **ret_item)
{
    size_t position;
    struct cell *cell = claim(queue, &queue->head, 1, &position);
    if (cell == NULL)
        return -EAGAIN;
    *ret_item = cell->item;
    atomic_store_explicit(&cell->sequence, position + queue->mask + 1, memory_order_release);
    return 0;
}
