/* SPDX-License-Identifier: MIT */
/* places.h - a place, seen from within: how a job leaves it (delay.c, due.c). */
#ifndef WEIR_POOL_PLACES_H
#define WEIR_POOL_PLACES_H

#include "pool/delay.h"

/* The slot of the job that is in the place. */
static inline struct slot *slot_in(const struct delay *delay, const struct delay_place *place)
{
    return &delay->host->queue->slots[place->slot - 1];
}

static inline void place_free_locked(struct delay *delay, struct delay_place *place)
{
    place->next_free = delay->free;
    delay->free = (uint32_t)(place - delay->all) + 1;
}

static inline void place_give_locked(struct delay *delay, struct delay_place *place)
{
    place->state = PLACE_FREE;
    delay->used--;
    if (!place->stray)
        place_free_locked(delay, place);
    weir__alarm_clock_release(&delay->clock);
}

static inline void place_leave_locked(struct delay *delay, struct delay_place *place)
{
    list_remove(&place->link);
    store_rlx(&slot_in(delay, place)->place, 0); /* read again under the lock */
    place->state = PLACE_KEPT;
}

/* What the alarm of a place does. */
void weir__delay_ring(struct alarm *alarm);

#endif
