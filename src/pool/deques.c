/* SPDX-License-Identifier: MIT */
#include "pool/deques.h"

#include <errno.h>

#include "os/alloc.h"

int weir__deques_init(struct deques *deques, uint32_t count, uint32_t capacity)
{
    if (capacity == 0)
        return 0;
    size_t each = deque_words(capacity);
    deques->of_workers = weir__alloc(count, sizeof *deques->of_workers);
    deques->words = weir__alloc(count * each, sizeof *deques->words);
    if (deques->of_workers == NULL || deques->words == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        deque_init(&deques->of_workers[i].deque, &deques->words[i * each], capacity);
    deques->count = count;
    deques->capacity = capacity;
    return 0;
}

void weir__deques_destroy(struct deques *deques)
{
    weir__free(deques->of_workers);
    weir__free(deques->words);
}

uint64_t weir__deques_count(const struct deques *deques)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < deques->count; i++)
        count += deque_count(&deques->of_workers[i].deque);
    return count;
}
