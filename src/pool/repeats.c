/* SPDX-License-Identifier: MIT */
#include "pool/repeats.h"

#include <errno.h>

#include "os/alloc.h"

int weir__repeats_init(struct repeats *repeats, uint32_t count)
{
    lock_init(&repeats->lock);
    repeats->count = count;
    repeats->all = weir__alloc_untouched(count, sizeof *repeats->all);
    return repeats->all != NULL ? 0 : -ENOMEM;
}

void weir__repeats_release(struct repeats *repeats)
{
    weir__free(repeats->all);
}

struct repeat *weir__repeats_keep(struct repeats *repeats, const struct repeat *given)
{
    lock_acquire(&repeats->lock);
    uint32_t link = repeats->free;
    if (link != 0)
        repeats->free = repeats->all[link - 1].next_free;
    else if (repeats->fresh < repeats->count)
        link = ++repeats->fresh;
    lock_release(&repeats->lock);
    if (link == 0)
        return NULL;
    repeats->all[link - 1] = *given;
    return &repeats->all[link - 1];
}

void weir__repeats_give(struct repeats *repeats, struct repeat *kept)
{
    lock_acquire(&repeats->lock);
    kept->next_free = repeats->free;
    repeats->free = (uint32_t)(kept - repeats->all) + 1;
    lock_release(&repeats->lock);
}
