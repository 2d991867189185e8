/* SPDX-License-Identifier: MIT */
/* places.h - a place, seen from within: what delay.c, due.c and descriptor.c share. */
#ifndef WEIR_POOL_PLACES_H
#define WEIR_POOL_PLACES_H

#include <errno.h>

#include "pool/delay.h"

/* What places for descriptors have besides, as far as other places need to know (descriptor.c). */
struct descriptor_ops {
    /* 0 or -ENOMEM. To be released if it has set `of_descriptors`. */
    int (*init)(struct delay *delay);
    void (*release)(struct delay *delay, bool inherited);
    /* The place is new. */
    void (*make_locked)(struct delay *delay, struct delay_place *place);
    /* The place was taken for `wait`: its descriptor is watched from now on. Returns as
     * weir__delay_wait. */
    int (*enter_locked)(struct delay *delay, struct delay_place *place,
                        const struct wait_for_time *wait);
    /* The job waits in the place, with its alarm set. */
    void (*entered_locked)(struct delay *delay, struct delay_place *place, const struct job *job);
    /* The job waits for its descriptor no more. From then on nothing is done with that: so this
     * comes before others can see that the job has ended, and close it. */
    void (*leave_locked)(struct delay *delay, const struct delay_place *place);
};

static inline bool place_for_descriptor(const struct delay_place *place)
{
    return place->set == &place->delay->descriptors;
}

/* Is a job due, in whatever lane? Then the clock's thread is at work on it, or waits for room. */
static inline bool place_any_due_locked(const struct delay *delay)
{
    for (uint32_t n = 0; n < delay->host->queue->lane_count; n++)
        if (!list_empty(&delay->due[n]))
            return true;
    return false;
}

/* The clock's thread waits for room, and something else is to be done earlier. */
static inline void place_call_clock(struct delay *delay)
{
    weir__room_wake_all(&delay->host->queue->clock_room);
}

/* The slot of a job that is in the place. */
static inline struct slot *slot_in(const struct delay *delay, const struct delay_place *place)
{
    return &delay->host->queue->slots[place->slot - 1];
}

/* The job in the place comes to its gate: from now on the end of its context rings. */
void weir__place_at_gate_locked(struct delay_place *place);
/* It waits there no more, if it did. */
void weir__place_leave_gate_locked(struct delay_place *place);

/* Is it used until the task's end, whether the job is in it or not? */
static inline bool place_kept(const struct delay_place *place)
{
    return place->periodic || place->pass != NULL;
}

static inline void place_free_locked(struct delay *delay, struct delay_place *place)
{
    place->next_free = place->set->free;
    place->set->free = (uint32_t)(place - delay->all) + 1;
}

static inline void place_give_locked(struct delay *delay, struct delay_place *place)
{
    place->state = PLACE_FREE;
    place->set->used--;
    if (!place->stray)
        place_free_locked(delay, place);
    weir__alarm_clock_release(&delay->clock);
}

/* It was on its way to `due`, perhaps. */
static inline void place_arrive_locked(struct delay *delay, struct delay_place *place)
{
    delay->on_way[slot_lane(slot_in(delay, place))] -= place->on_way;
    place->on_way = false;
}

/* The job leaves the place, which is given back if it is not kept. */
static inline void place_leave_locked(struct delay *delay, struct delay_place *place)
{
    if (place_for_descriptor(place) && !place->let_in)
        delay->descriptor_ops->leave_locked(delay, place);
    list_remove(&place->link);
    store_rel(&slot_in(delay, place)->place, 0); /* pairs with weir__delay_claim */
    place->state = PLACE_KEPT;
}

static inline void place_set_alarm_locked(struct delay *delay, struct delay_place *place,
                                          int64_t at)
{
    bool late = false;
    int err = weir__alarm_set(&delay->clock, &place->alarm, at, &late);
    weir_assert(err == 0); /* the clock is held */
    (void)err;
    if (unlikely(late))
        place_call_clock(delay);
}

/* False: it is about to ring. */
static inline bool place_move_alarm(struct delay *delay, struct delay_place *place, int64_t at)
{
    bool late = false;
    bool moved = weir__alarm_move(&delay->clock, &place->alarm, at, &late);
    if (unlikely(late))
        place_call_clock(delay);
    return moved;
}

/* After the alarm of a place at a gate was set or moved. If the context of the job is over, its
 * hook may have come before that, or while no alarm was set: then the alarm is to ring at once. Not
 * once the job is claimed: it would ring until the thread that has it goes on. */
static inline void place_heed_context_locked(struct delay *delay, struct delay_place *place)
{
    const struct slot *slot = slot_in(delay, place); /* filled under the lock; likewise the claim */
    if (weir_context_err(load_rlx(&slot->context)) == -ECANCELED &&
        !claim_taken(load_rlx(&slot->claim)))
        (void)place_move_alarm(delay, place, weir_now());
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
    if (enters)
        weir__place_at_gate_locked(place);
    else
        place_heed_context_locked(delay, place);
    return enters ? gate->ops->enter_locked(gate, place->pass) : gate->ops->ring_locked(gate);
}

#endif
