/* SPDX-License-Identifier: MIT */
/* places.h - a place, seen from within: how a job leaves it (delay.c, due.c). */
#ifndef WEIR_POOL_PLACES_H
#define WEIR_POOL_PLACES_H

#include "pool/delay.h"

/* The slot of a job that is in the place. */
static inline struct slot *slot_in(const struct delay *delay, const struct delay_place *place)
{
    return &delay->host->queue->slots[place->slot - 1];
}

/* Is it used until the task's end, whether the job is in it or not? */
static inline bool place_kept(const struct delay_place *place)
{
    return place->periodic || place->pass != NULL;
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

/* The job leaves the place, which is given back if it is not kept. */
static inline void place_leave_locked(struct delay *delay, struct delay_place *place)
{
    list_remove(&place->link);
    store_rlx(&slot_in(delay, place)->place, 0); /* read again under the lock */
    place->state = PLACE_KEPT;
}

static inline void place_set_alarm_locked(struct delay *delay, struct delay_place *place,
                                          int64_t at)
{
    int err = weir__alarm_set(&delay->clock, &place->alarm, at);
    weir_assert(err == 0); /* the clock is held */
    (void)err;
}

/* The job waits at its gate from now on, or goes on to do so, and expires at `start_by`. True: the
 * gate has to look, once the lock is free. */
static inline bool place_enter_locked(struct delay *delay, struct delay_place *place,
                                      int64_t start_by)
{
    struct job_gate *gate = place->pass->gate;
    bool enters = place->state == PLACE_WAITING;
    place->state = PLACE_GATED;
    place_set_alarm_locked(delay, place, start_by);
    return enters ? gate->ops->enter_locked(gate, place->pass) : gate->ops->ring_locked(gate);
}

#endif
