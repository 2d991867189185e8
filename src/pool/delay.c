/* SPDX-License-Identifier: MIT */
/* delay.c - jobs that wait for their time.
 *
 * A delayed job has its slot from the start, and keeps it: the slot is filled and claimable before
 * the time has come, and when it has, its number is pushed into the ring like any other. So a
 * thread that cancels the job, runs it as its waiter or ends it as expired claims it in its slot,
 * wherever it is. The place is where the slot waits meanwhile; slot->place says which.
 *
 * A thread that has claimed a job whose slot names a place takes it out of there
 * (claimed_in_place). If it was pushed meanwhile, slot->place is 0 once the lock is held, and there
 * is a dead ticket in the ring; or that has come out already, and the slot is in use for another
 * job: then its claim is another one.
 *
 * The clock's thread, which moves what is due into the ring (due.c), is there while a place is in
 * use.
 */
#include "pool/delay.h"

#include <errno.h>

#include "os/alloc.h"
#include "pool/places.h"
#include "sync/hook.h"

/* Places. */

static void on_over(struct alarm_clock *clock);

/* Returns where the next set begins. */
static uint32_t init_set(struct place_set *set, uint32_t begin, uint32_t places)
{
    set->begin = begin;
    set->places = places;
    return begin + (places != 0 ? places + 1 : 0);
}

int weir__delay_init(struct delay *delay, struct host *host, const struct place_counts *counts,
                     const char *name, weir_context *watched)
{
    delay->host = host;
    lock_init(&delay->lock);
    weir__alarm_clock_init(&delay->clock, name, false);
    delay->clock.on_over = on_over;
    delay->clock.watched = watched;
    list_init(&delay->waiting);
    for (uint32_t n = 0; n < host->queue->lane_count; n++)
        list_init(&delay->due[n]);
    uint32_t times = init_set(&delay->times, 0, counts->times);
    uint32_t all = init_set(&delay->descriptors, times, counts->descriptors);
    delay->all = weir__alloc_untouched(all, sizeof *delay->all);
    delay->passes = weir__alloc_untouched(times, sizeof *delay->passes);
    if (delay->all == NULL || delay->passes == NULL)
        return -ENOMEM;
    return delay->descriptor_ops->init(delay);
}

/* In a forked child, which is alone with the pool: the contexts that its jobs hold. By the places,
 * for the fork may have come in the middle of a change to a list. */
static void drop_contexts(const struct delay *delay, const struct place_set *set)
{
    for (uint32_t i = 0; i < set->fresh; i++) {
        const struct delay_place *place = &delay->all[set->begin + i];
        if (place->state == PLACE_FREE || place->state == PLACE_KEPT)
            continue;
        const struct slot *slot = slot_in(delay, place);
        if (!claim_taken(load_rlx(&slot->claim))) /* it may have been pushed, and have run */
            weir_context_unref(load_rlx(&slot->context)); /* the child has one thread */
    }
}

void weir__delay_release(struct delay *delay, bool inherited)
{
    if (inherited) {
        drop_contexts(delay, &delay->times);
        drop_contexts(delay, &delay->descriptors);
        for (uint32_t i = 0; i < delay->times.fresh; i++)
            if (delay->all[i].pass != NULL && delay->all[i].pass->hooked)
                (void)weir_context_hook_stop(&delay->all[i].pass->hook); /* as in descriptor.c */
    }
    if (delay->of_descriptors != NULL)
        delay->descriptor_ops->release(delay, inherited);
    weir__free(delay->all);
    weir__free(delay->passes);
}

void weir__delay_fence(struct delay *delay)
{
    lock_acquire(&delay->lock);
    lock_release(&delay->lock);
}

void weir__delay_join(struct delay *delay)
{
    weir__delay_fence(
        delay); /* the thread that pushed the last one may still give its place back */
    weir_assert(delay->times.used == 0 && delay->descriptors.used == 0);
    if (delay->keeps_clock)
        weir__alarm_clock_release(&delay->clock);
    weir__alarm_clock_destroy(&delay->clock);
}

/* A free place; one that was never used brings a slot of its own. */
static uint32_t free_place_locked(struct delay *delay, struct place_set *set)
{
    uint32_t index = set->free;
    if (index == 0) {
        index = set->begin + set->fresh + 1;
        delay->all[index - 1] =
            (struct delay_place){.delay = delay, .set = set, .alarm.ring = delay->ring};
        if (set == &delay->descriptors)
            delay->descriptor_ops->make_locked(delay, &delay->all[index - 1]);
        weir__queue_add_slot(delay->host->queue);
        set->fresh++; /* now a forked child may look at it: weir__delay_release */
        return index;
    }
    set->free = delay->all[index - 1].next_free;
    return index;
}

/* Takes a place, and keeps the clock's thread for as long as it is used. */
static int take_locked(struct delay *delay, const struct wait_for_time *wait, uint32_t *ret)
{
    struct place_set *set = wait->events != 0 ? &delay->descriptors : &delay->times;
    if (set->used == set->places)
        return -EAGAIN;
    int err = weir__alarm_clock_hold(&delay->clock);
    if (err != 0)
        return err;
    uint32_t index = free_place_locked(delay, set);
    struct delay_place *place = &delay->all[index - 1];
    place->periodic = wait->periodic;
    place->pass = NULL;
    set->used++;
    if (wait->gate != NULL) {
        struct pass *pass = &delay->passes[index - 1];
        *pass = (struct pass){.gate = wait->gate, .delay = delay};
        wait->gate->ops->join_locked(wait->gate);
        place->pass = pass; /* once it is filled: a forked child may look at it */
    }
    if (wait->events != 0)
        err = delay->descriptor_ops->enter_locked(delay, place, wait);
    if (err == 0)
        *ret = index;
    else
        place_give_locked(delay, place);
    return err;
}

void weir__delay_give_place(struct delay *delay, uint32_t place)
{
    lock_acquire(&delay->lock);
    place_give_locked(delay, &delay->all[place - 1]);
    lock_release(&delay->lock);
}

/* Constant while the place is used. */
static struct pass *pass_of(const struct delay *delay, uint32_t place)
{
    return delay->all[place - 1].pass;
}

void weir__delay_gated_ran(struct delay *delay, uint32_t place, int status)
{
    struct pass *pass = pass_of(delay, place);
    pass->gate->ops->leave(pass, false, true, status);
}

void weir__delay_gated_ended(struct delay *delay, uint32_t place, bool started, int status)
{
    struct pass *pass = pass_of(delay, place);
    pass->gate->ops->leave(pass, true, started, status);
    weir__delay_give_place(delay, place);
}

/* The context of a job at a gate is over. What this does, and may not do: head of descriptor.c. */
static void on_cancel(void *arg)
{
    struct delay_place *place = arg;
    (void)place_move_alarm(place->delay, place, weir_now());
}

void weir__place_at_gate_locked(struct delay_place *place)
{
    struct delay *delay = place->delay;
    weir_context *ctx = load_rlx(&slot_in(delay, place)->context); /* filled under the lock */
    add_rlx(&delay->gated, 1);                                     /* a count by itself */
    if (ctx == NULL)
        return;
    int err = weir__context_on_cancel(ctx, &place->pass->hook, on_cancel, place);
    weir_assert(err == 0); /* it is no task's own, and the hook is not set */
    place->pass->hooked = err == 0;
}

void weir__place_leave_gate_locked(struct delay_place *place)
{
    if (place->state != PLACE_GATED)
        return;
    sub_rlx(&place->delay->gated, 1); /* as above */
    if (place->pass->hooked)
        (void)weir_context_hook_stop(&place->pass->hook);
    place->pass->hooked = false;
}

/* Waiting. */

/* Puts the job into the slot and the slot into the place. From here on others may claim the job;
 * they cannot end it before the lock is free. Returns the gate to look at, or NULL. */
static struct job_gate *wait_locked(struct delay *delay, struct delay_place *place, uint32_t link,
                                    const struct wait_for_time *wait)
{
    struct queue *queue = delay->host->queue;
    struct slot *slot = &queue->slots[link - 1];
    struct sink *sink = wait->job->sink;
    struct pass *pass = place->pass;
    place->slot = link;
    place->state = PLACE_WAITING;
    place->let_in = place->on_way = false;
    list_append(&delay->waiting, &place->link);
    add_rlx(&delay->delayed, 1); /* a count by itself */
    if (!place->periodic)
        quiet_in(&queue->quiet, own_tally(queue));
    store_rlx(&slot->place, (uint32_t)(place - delay->all) + 1); /* published by slot_fill */
    uint64_t claim = slot_fill(slot, wait->job, queue_stamp_at(queue, wait->at), wait->job->lane);
    bool lets_in = pass != NULL || wait->events != 0;
    sink_ops(sink)->placed(sink, claim, lets_in ? WEIR_FOREVER : wait->at);
    if (pass != NULL && wait->at == 0)
        return place_enter_locked(delay, place, wait->job->start_by) ? pass->gate : NULL;
    place_set_alarm_locked(delay, place, wait->at);
    if (wait->events != 0)
        delay->descriptor_ops->entered_locked(delay, place, wait->job);
    return NULL;
}

/* May the job wait? Under the lock that a close takes: what comes in here is counted before it. */
static int refusal_locked(const struct delay *delay, const struct wait_for_time *wait)
{
    struct sink *sink = wait->job->sink;
    if (wait->first && delay->phase == DELAY_ONCE && (wait->periodic || !weir__inside(delay->host)))
        return -EPIPE;
    if (sink_ops(sink)->cancelled(sink) || /* also before its own on_done goes on with it */
        (!wait->first && wait->periodic && delay->phase != DELAY_OPEN))
        return -ECANCELED;
    return delay->phase == DELAY_NONE ? -EPIPE : 0;
}

int weir__delay_wait(struct delay *delay, const struct wait_for_time *wait, uint32_t *place)
{
    uint32_t link = weir__queue_take_slot(delay->host->queue);
    struct job_gate *gate = NULL;
    lock_acquire(&delay->lock);
    int err = refusal_locked(delay, wait);
    if (err == 0 && *place == 0)
        err = take_locked(delay, wait, place);
    if (err == 0)
        gate = wait_locked(delay, &delay->all[*place - 1], link, wait);
    lock_release(&delay->lock);
    if (err != 0)
        weir__queue_give_slot(delay->host->queue, link);
    if (gate != NULL)
        gate->ops->look(gate);
    return err;
}

/* Leaving. */

/* The job was claimed by this thread, in its place. */
static void take_out_locked(struct delay *delay, struct delay_place *place)
{
    struct queue *queue = delay->host->queue;
    weir__place_leave_gate_locked(place);
    place_arrive_locked(delay, place);
    if (place->state != PLACE_DUE && !weir__alarm_stop(&delay->clock, &place->alarm))
        place->stray = true;
    sub_rlx(&delay->delayed, 1); /* a count by itself */
    if (place->periodic) {       /* the run counts from now on, until its end */
        quiet_in(&queue->quiet, own_tally(queue));
        COUNT(queue, besides, -1);
    }
    place_leave_locked(delay, place);
}

/* A job whose slot names a place was claimed, and the claim was counted. False: its ticket is in
 * the ring, or was. */
static bool claimed_in_place(struct delay *delay, struct slot *slot, uint64_t claim)
{
    lock_acquire(&delay->lock);
    uint32_t index = load_rlx(&slot->place); /* changed under the lock */
    /* Under the lock no slot comes into a place: if it is in one, the claim tells whose it is. */
    if (index == 0 || load_rlx(&slot->claim) != (claim | CLAIM_TAKEN)) {
        lock_release(&delay->lock);
        return false;
    }
    struct delay_place *place = &delay->all[index - 1];
    uint32_t link = place->slot;
    bool was_due = place->state == PLACE_DUE;
    take_out_locked(delay, place);
    if (!place_kept(place))
        place_give_locked(delay, place);
    was_due = was_due && !place_any_due_locked(delay);
    lock_release(&delay->lock);
    weir__queue_give_slot(delay->host->queue, link);
    if (was_due) /* the clock's thread may wait for room: nothing is due any more */
        weir__room_wake_all(&delay->host->queue->clock_room);
    return true;
}

bool weir__delay_claim(struct delay *delay, struct slot *slot, uint64_t claim)
{
    struct queue *queue = delay->host->queue;
    if (!weir__queue_claim(queue, slot, claim))
        return false;
    /* If its ticket was in the ring, the slot may be another job's by now. Acquire: the thread that
     * has pushed it is through with the job, and its sink; pairs with place_leave_locked. */
    if (load_acq(&slot->place) != 0 && claimed_in_place(delay, slot, claim))
        weir__queue_no_ticket(queue);
    return true;
}

/* The end of all. */

/* Claims the job and moves its place to `taken`. */
static void end_locked(struct delay *delay, struct delay_place *place, struct list *taken)
{
    uint64_t claim =
        load_rlx(&slot_in(delay, place)->claim); /* filled under the lock; the CAS checks it */
    if (claim_taken(claim) || !slot_claim(slot_in(delay, place), claim))
        return; /* the thread that has it waits for the lock */
    take_out_locked(delay, place);
    list_append(taken, &place->link);
}

static void end_taken(struct delay *delay, struct delay_place *place)
{
    uint32_t link = place->slot;
    struct job job;
    slot_read(slot_in(delay, place), &job);
    lock_acquire(&delay->lock);
    list_remove(&place->link);
    if (!place_kept(place))
        place_give_locked(delay, place);
    lock_release(&delay->lock);
    weir__queue_give_slot(delay->host->queue, link);
    weir__end_unstarted(delay->host, &job, WEIR_TASK_CANCELLED);
}

static void end_list_locked(struct delay *delay, struct list *list, bool all, struct list *taken)
{
    struct list *next;
    for (struct list *at = list->next; at != list; at = next) {
        struct delay_place *place = container_of(at, struct delay_place, link);
        next = at->next;
        if (all || place->periodic)
            end_locked(delay, place, taken);
    }
}

void weir__delay_close(struct delay *delay, bool all)
{
    struct list taken;
    list_init(&taken);
    lock_acquire(&delay->lock);
    if (all)
        delay->phase = DELAY_NONE;
    else if (delay->phase == DELAY_OPEN)
        delay->phase = DELAY_ONCE;
    end_list_locked(delay, &delay->waiting, all, &taken);
    for (uint32_t n = 0; n < delay->host->queue->lane_count; n++)
        end_list_locked(delay, &delay->due[n], all, &taken);
    lock_release(&delay->lock);
    weir__room_wake_all(&delay->host->queue->clock_room); /* the clock's thread */
    while (!list_empty(&taken))
        end_taken(delay, container_of(taken.next, struct delay_place, link));
}

static void on_over(struct alarm_clock *clock)
{
    weir__delay_close(container_of(clock, struct delay, clock), true);
}
