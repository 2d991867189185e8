/* SPDX-License-Identifier: MIT */
/* local.c - putting into deques and taking from them.
 *
 * Counting. A push into a deque counts as work in its owner's tally (`in` of tally.h), before it;
 * for the rest a ticket in a deque is what one in the ring is.
 *
 * Cancelling. cancel_tasks of shutdown.c empties the ring and then the deques, as a thief. An owner
 * looks at the phase after its push; if the queue is cancelled now and the ticket not taken, it
 * claims its own job back. As in queue.c, and for the same reason: a thief that took the job
 * without a claim did so before the phase was changed, and then the owner finds the ticket gone.
 */
#include "pool/local.h"

#include "os/random.h"

/* Is the job of a ticket that is still in a deque claimed? */
static inline bool is_dead(const struct queue *queue, uint32_t index)
{
    return claim_taken(slot_look(&queue->slots[index]));
}

static bool take_oldest(struct deque *deque, uint32_t *ret_index)
{
    uint64_t position;
    while (deque_oldest(deque, &position, ret_index))
        if (deque_take_oldest(deque, position))
            return true;
    return false;
}

/* Putting. */

static void drop_newest_dead(struct seat *seat)
{
    struct deque *own = &seat->local->deque;
    struct job job;
    uint32_t index;
    while (deque_newest(own, &index) && is_dead(seat->queue, index) && deque_take(own, &index))
        (void)weir__queue_redeem(seat->queue, seat, index, &job);
}

/* The deque is full: drops dead tickets from both ends. True: there is room. */
static COLD bool make_room(struct seat *seat)
{
    struct deque *own = &seat->local->deque;
    struct job job;
    uint64_t position;
    uint32_t index;
    drop_newest_dead(seat);
    while (deque_oldest(own, &position, &index) && is_dead(seat->queue, index))
        if (deque_take_oldest(own, position))
            (void)weir__queue_redeem(seat->queue, seat, index, &job);
    return !deque_full(own);
}

/* Is the job of a ticket that is still in a deque claimed, or has it expired? */
static bool is_done(const struct queue *queue, uint32_t index)
{
    int64_t until;
    return slot_done(&queue->slots[index], INT64_MIN, &until);
}

bool weir__local_stays_full(const struct seat *seat)
{
    const struct deque *own = &seat->local->deque;
    uint64_t position;
    uint32_t index;
    return deque_newest(own, &index) && !is_done(seat->queue, index) &&
           deque_oldest(own, &position, &index) && !is_done(seat->queue, index);
}

enum taken weir__local_take_done(struct queue *queue, struct job *ret)
{
    struct seat *seat = own_seat(queue);
    uint64_t position;
    uint32_t index;
    if (seat == NULL || seat->local == NULL)
        return TAKEN_NONE;
    struct deque *own = &seat->local->deque;
    bool taken = deque_newest(own, &index) && is_done(queue, index) && deque_take(own, &index);
    while (!taken && deque_oldest(own, &position, &index) && is_done(queue, index))
        taken = deque_take_oldest(own, position);
    if (!taken)
        return TAKEN_NONE;
    return weir__queue_redeem(queue, seat, index, ret) ? TAKEN_JOB : TAKEN_DEAD;
}

/* The queue is not open any more. True: the job that was just put is not accepted. */
static COLD bool retract(struct seat *seat, uint64_t position, uint64_t claim,
                         const struct job *job)
{
    if (queue_phase(seat->queue) < POOL_CANCELLED || !deque_holds(&seat->local->deque, position) ||
        !weir__queue_take_back(seat->queue, claim, job))
        return false;
    drop_newest_dead(seat);
    return true;
}

int weir__local_put(struct seat *seat, const struct job *job)
{
    struct queue *queue = seat->queue;
    struct deque *own = &seat->local->deque;
    uint32_t slot;
    if (unlikely(deque_full(own)) && !make_room(seat))
        return -EAGAIN;
    while (unlikely((slot = freelist_take(&queue->free, &seat->slots)) == LINK_NONE))
        weir__thread_yield(); /* SLOT_MARGIN slots are in the hands of threads inside a call */
    uint64_t stamp = job->stamp != 0 ? job->stamp : queue_stamp(queue);
    struct ticket ticket = {
        NO_POSITION,
        slot_fill(&queue->slots[slot - 1], job, stamp, job->lane | SLOT_IN_DEQUE),
    };
    quiet_in(&queue->quiet, seat->tally);
    /* From here on the sink may be gone, as in queue_put. */
    if (job->sink != NULL && sink_ops(job->sink)->placed != NULL)
        sink_ops(job->sink)->placed(job->sink, ticket.claim, 0);
    uint64_t position = deque_push(own, slot - 1);
    if (unlikely(queue_notify(queue)))
        weir__queue_woke(queue);
    if (trace_on() || probe_wanted(task_submit))
        weir__queue_show_put(queue, job, &ticket);
    if (unlikely(queue_phase(queue) != POOL_OPEN) && retract(seat, position, ticket.claim, job))
        return -EPIPE;
    return 0;
}

/* Taking. */

/* From the worker's own deque: the newest, or in turn the oldest. */
static inline bool take_own(struct seat *seat, struct job *ret)
{
    struct local *own = seat->local;
    bool oldest = own->takes >= OLDEST_EACH - 1;
    uint32_t index;
    do {
        if (!(oldest ? take_oldest(&own->deque, &index) : deque_take(&own->deque, &index)))
            return false;
    } while (unlikely(!weir__queue_redeem(seat->queue, seat, index, ret)));
    own->takes = oldest ? 0 : own->takes + 1;
    return true;
}

/* The oldest job of this deque. */
static bool take_from(struct queue *queue, struct deque *deque, struct job *ret)
{
    uint32_t index;
    while (take_oldest(deque, &index))
        if (weir__queue_redeem(queue, own_seat(queue), index, ret))
            return true;
    return false;
}

/* From the deque of one other worker, of each in turn. */
static __attribute__((noinline)) bool take_from_next(struct seat *seat, struct job *ret)
{
    const struct deques *deques = &seat->queue->deques;
    struct local *own = seat->local;
    own->since_other -= OTHER_EACH; /* it may be one more: what was late is not late again */
    if (deques->count == 1)
        return false;
    own->other = own->other % (deques->count - 1) + 1;
    uint32_t victim = (uint32_t)(own - deques->of_workers) + own->other;
    return take_from(seat->queue, &deques->of_workers[victim % deques->count].deque, ret);
}

bool weir__local_steal(struct queue *queue, struct job *ret)
{
    const struct deques *deques = &queue->deques;
    if (!deques_used(deques))
        return false;
    uint32_t first = random_below(deques->count);
    for (uint32_t i = 0; i < deques->count; i++)
        if (take_from(queue, &deques->of_workers[(first + i) % deques->count].deque, ret))
            return true;
    return false;
}

static inline bool take_next(struct seat *seat, struct job *ret)
{
    struct local *own = seat->local;
    if (own->since_ring >= RING_EACH) {
        own->since_ring = 0;
        if (weir__queue_next(seat, ret))
            return true;
    }
    bool found = (unlikely(own->since_other >= OTHER_EACH) && take_from_next(seat, ret)) ||
                 take_own(seat, ret);
    if (!found) {
        own->since_ring = 0;
        if (weir__queue_next(seat, ret))
            return true;
        found = weir__local_steal(seat->queue, ret);
    }
    own->since_ring += found;
    seat->submits |= found; /* no head start for those outside: they submit to the ring */
    return found;
}

bool weir__local_next(struct seat *seat, struct job *ret)
{
    bool found = take_next(seat, ret);
    seat->local->since_other += found;
    return found;
}

/* For threads that wait. */

/* Takes the newest, whose claim this is, with its job. To claim it, as any thread may, is the only
 * locked instruction of that, unless it is the last one. */
static inline bool take_claimed(struct seat *seat, uint32_t index, uint64_t claim, struct job *ret)
{
    struct queue *queue = seat->queue;
    struct deque *own = &seat->local->deque;
    struct slot *slot = &queue->slots[index];
    if (!deque_begin_take(own))
        return deque_take(own, &index) && weir__queue_redeem(queue, seat, index, ret);
    slot_read_anywhere(slot, ret);
    bool won = queue_try_claim(queue, seat->tally, slot, claim);
    if (deque_end_take(own)) {
        quiet_unclaimed(&queue->quiet, seat->tally); /* the ticket is dead, and out */
        freelist_give(&queue->free, &seat->slots, index + 1);
    }
    return won;
}

bool weir__local_take(struct queue *queue, const struct sink *sink, struct job *ret)
{
    struct seat *seat = own_seat(queue);
    uint32_t index;
    if (seat == NULL || seat->local == NULL)
        return false;
    struct deque *own = &seat->local->deque;
    while (deque_newest(own, &index)) {
        /* If it is not there any more, it is any slot; a claim of one in a ring frees a place. */
        struct slot *slot = &queue->slots[index];
        uint64_t claim = slot_look(slot);
        if (claim_taken(claim))
            drop_newest_dead(seat);
        else if (load_rlx(&slot->sink) == sink && slot_in_deque(slot))
            return take_claimed(seat, index, claim, ret);
        else
            return false;
    }
    return false;
}

/* Claims one in the deque, the newest first. */
static bool claim_in(struct queue *queue, const struct deque *deque, const struct sink *sink,
                     struct job *ret)
{
    uint64_t top, at;
    deque_range(deque, &top, &at);
    while (at != top) /* if it was taken since: any slot */
        if (weir__queue_claim_of(queue, &queue->slots[deque_at(deque, --at)], sink, ret))
            return true;
    return false;
}

bool weir__local_claim_next(struct queue *queue, const struct sink *sink, queue_mark *mark,
                            struct job *ret)
{
    if (weir__local_take(queue, sink, ret) || weir__queue_claim_next(queue, sink, mark, ret))
        return true;
    for (uint32_t i = 0; i < queue->deques.count; i++)
        if (claim_in(queue, &queue->deques.of_workers[i].deque, sink, ret))
            return true;
    return false;
}
