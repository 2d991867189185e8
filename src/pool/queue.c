/* SPDX-License-Identifier: MIT */
/* queue.c - putting and taking.
 *
 * Put takes a free slot, fills it, pushes its number and wakes an idle worker if there is one: two
 * CASes, no lock, nothing shared that is written but the ring. The push is the instant at which the
 * job is accepted.
 *
 * Retracting. A thread outside may find the queue open, and push after it was closed. So it looks
 * at the phase again after the push; if the queue is closed now and the ticket still in the ring,
 * it claims its own job back, and the submit is refused after all. Poppers claim every job once
 * they see the queue closed, plain ones too. The push, the pop, the change of phase and the looks
 * at phase and ring are sequentially consistent: a popper that took the job without a claim popped
 * before the queue was closed, and then the submitter finds the ticket gone, and the job accepted.
 */
#include "pool/queue.h"

#include <errno.h>

#include "base/pace.h"

void weir__queue_set_phase(struct queue *queue, enum phase phase)
{
    (void)xchg_seqcst(&queue->phase, (int)phase); /* pairs with queue_phase */
}

/* Slots. */

static inline struct loaded *own_slots(const struct queue *queue)
{
    struct seat *seat = own_seat(queue);
    return seat != NULL ? &seat->slots : NULL;
}

uint32_t weir__queue_take_slot(struct queue *queue)
{
    uint32_t slot;
    while ((slot = freelist_take(&queue->free, own_slots(queue))) == LINK_NONE)
        weir__thread_yield(); /* SLOT_MARGIN slots are in the hands of threads inside a call */
    return slot;
}

void weir__queue_give_slot(struct queue *queue, uint32_t slot)
{
    freelist_give(&queue->free, own_slots(queue), slot);
}

void weir__queue_add_slot(struct queue *queue)
{
    uint32_t index = load_rlx(&queue->slot_count); /* changed by one thread at a time */
    slot_init(&queue->slots[index], index);
    store_rel(&queue->slot_count, index + 1); /* pairs with weir__queue_slot_of */
    weir__freelist_give_shared(&queue->free, index + 1);
}

struct slot *weir__queue_slot_of(const struct queue *queue, uint64_t claim)
{
    uint32_t index = claim_index(claim); /* of another queue, perhaps */
    return index < load_acq(&queue->slot_count) ? &queue->slots[index] : NULL; /* pairs with
                                                                      weir__queue_add_slot */
}

/* Putting. */

COLD void weir__queue_note_peak(struct lane *lane, uint64_t t)
{
    uint64_t head = ring_end(&lane->ring, 1);
    store_rlx(&lane->head_seen, head); /* a hint: any past head will do */
    int64_t taken = (int64_t)(t + 1 - head) + lane_kept(lane);
    uint64_t record = taken < 1 ? 1 : (uint64_t)taken;
    if (record > lane->ring.capacity)
        record = lane->ring.capacity;
    uint64_t peak = load_rlx(&lane->peak);
    while (record > peak && !cas_rlx(&lane->peak, &peak, record)) /* a count by itself */
        continue;
}

void weir__queue_gate(struct queue *queue, struct size *size, bool (*may_wake)(struct queue *queue))
{
    queue->size = size;
    queue->may_wake = may_wake;
    (void)eventcount_prepare(&queue->idle); /* never cancelled */
}

static inline bool gate_opens(struct queue *queue)
{
    return likely(queue->may_wake == NULL) || queue->may_wake(queue);
}

COLD bool weir__queue_wake(struct queue *queue)
{
    return gate_opens(queue) && weir__eventcount_wake(&queue->idle);
}

COLD void weir__queue_woke(struct queue *queue)
{
    note_wake(&this_thread()->sampler, eventcount_wake_gap(&queue->idle) >= WORKER_SHORT_GAP_NS);
}

void weir__queue_found_full(struct queue *queue)
{
    /* Empty: the places are kept for serials that run. A worker could take nothing, and would wake
     * those that wait for room in its turn, and so on. */
    if (unlikely(eventcount_has_sleepers(&queue->idle)) && !weir__queue_empty(queue) &&
        gate_opens(queue))
        weir__eventcount_wake_another(&queue->idle);
}

bool weir__queue_put_slot(struct queue *queue, uint32_t slot)
{
    uint64_t position;
    struct lane *lane = queue->lanes[slot_lane(&queue->slots[slot - 1])];
    return queue_push(queue, lane, slot, &position, ring_back_off);
}

void weir__queue_no_ticket(struct queue *queue)
{
    quiet_unclaimed(&queue->quiet, own_tally(queue));
}

COLD void weir__queue_show_put(const struct queue *queue, const struct job *job,
                               const struct ticket *ticket)
{
    trace_put(ticket->claim, job->lane == 0 ? ticket->position : NO_POSITION);
    PROBE3(task_submit, queue, job->fn, job->arg);
}

COLD int weir__queue_push_failed(struct queue *queue, uint32_t slot, const struct job *job,
                                 uint64_t claim)
{
    bool ours = slot_claim(&queue->slots[slot - 1], claim);
    weir__queue_give_slot(queue, slot);
    if (ours) {
        if (job->sink != NULL && sink_ops(job->sink)->withdrawn != NULL)
            sink_ops(job->sink)->withdrawn(job->sink);
        return -EAGAIN;
    }
    quiet_in(&queue->quiet, own_tally(queue));
    weir__queue_no_ticket(queue);
    return 0;
}

bool weir__queue_retract(struct queue *queue, const struct ticket *ticket, const struct job *job)
{
    return ring_holds(&queue->lanes[job->lane]->ring, ticket->position) &&
           weir__queue_take_back(queue, ticket->claim, job);
}

bool weir__queue_take_back(struct queue *queue, uint64_t claim, const struct job *job)
{
    if (!weir__queue_claim(queue, &queue->slots[claim_index(claim)], claim))
        return false;
    if (job->sink != NULL && sink_ops(job->sink)->withdrawn != NULL)
        sink_ops(job->sink)->withdrawn(job->sink);
    COUNT(queue, besides, -1);
    quiet_out(&queue->quiet, own_tally(queue)); /* of its push; the dead ticket counts apart */
    return true;
}

/* Taking. */

/* After a pop: the job of the ticket, unless another thread claimed it; gives the slot back. */
static inline bool redeem(struct queue *queue, struct seat *seat, uint64_t position, uint32_t index,
                          struct job *ret)
{
    struct slot *slot = &queue->slots[index];
    slot_read(slot, ret);
    bool won = true;
    if (ret->sink != NULL || unlikely(queue_phase(queue) != POOL_OPEN)) {
        uint64_t claim = slot_look(slot); /* ours to give back, so of this job */
        won = !claim_taken(claim) && slot_claim(slot, claim);
        if (!won)
            weir__queue_no_ticket(queue);
    }
    if (unlikely(ret->stamp != 0) && won)
        trace_taken(load_rlx(&slot->claim), ret->lane == 0 ? position : NO_POSITION); /* ours */
    freelist_give(&queue->free, seat != NULL ? &seat->slots : NULL, index + 1);
    return won;
}

bool weir__queue_redeem(struct queue *queue, struct seat *seat, uint32_t index, struct job *ret)
{
    bool won = redeem(queue, seat, NO_POSITION, index, ret);
    ret->lane &= ~SLOT_IN_DEQUE; /* it is in none any more */
    return won;
}

/* The slot of a job further back in the queue, if there is one: its line is on its way while those
 * before it run. The ticket may be another one by now; any slot will do. */
static inline void fetch_behind(const struct queue *queue, const struct lane *lane,
                                uint64_t position)
{
    const ring_word *word = ring_at(&lane->ring, position + FETCH_AHEAD);
    if (word_ahead(word, position + FETCH_AHEAD + 1) == 0)
        __builtin_prefetch(&queue->slots[word_item(word)], 0);
}

/* Takes this ticket, with a look at what it is, while serials have places. Of a turn the place is
 * kept first; the ticket holds the slot, so if it is taken then, it was that turn's. */
static COLD enum taken take_beside_turns(struct queue *queue, struct lane *lane, struct seat *seat,
                                         const struct head *head, struct job *ret)
{
    const struct slot *slot = &queue->slots[head->index];
    bool turn = load_rlx(&slot->fn) == NULL; /* shown by the ticket, as job_is_turn */
    if (turn)
        ring_keep_place(&lane->ring);
    enum taken taken = TAKEN_NONE;
    if (ring_take(&lane->ring, head->position, head->index)) {
        taken = redeem(queue, seat, head->position, head->index, ret) ? TAKEN_JOB : TAKEN_DEAD;
        if (taken == TAKEN_JOB && turn)
            COUNT(queue, serials, 1);
    }
    if (turn && taken != TAKEN_JOB)
        ring_give_place(&lane->ring);
    if (taken != TAKEN_NONE || turn)
        place_freed(queue, lane);
    return taken;
}

bool weir__queue_next(struct seat *seat, struct job *ret)
{
    struct queue *queue = seat->queue;
    struct lane *lane = &queue->lane;
    struct head head;
    while (likely(ring_peek_from(&lane->ring, seat->heads[0], &seat->heads[0], &head.index))) {
        head.position = seat->heads[0];
        if (lane_has_turns(lane)) {
            if (take_beside_turns(queue, lane, seat, &head, ret) == TAKEN_JOB)
                return true;
        } else if (likely(ring_take_from(&lane->ring, &seat->heads[0], head.index))) {
            place_freed(queue, lane);
            fetch_behind(queue, lane, head.position);
            if (likely(redeem(queue, seat, head.position, head.index, ret)))
                return true;
        } else {
            ring_back_off();
        }
    }
    return false;
}

enum taken weir__queue_take_seen(struct seat *seat, unsigned k, uint32_t index, struct job *ret)
{
    struct queue *queue = seat->queue;
    struct lane *lane = queue_lane(queue, k);
    struct head head = {seat->heads[k], index};
    seat->lane = k;
    if (lane_has_turns(lane))
        return take_beside_turns(queue, lane, seat, &head, ret);
    if (!ring_take_from(&lane->ring, &seat->heads[k], index)) {
        ring_back_off();
        return TAKEN_NONE;
    }
    place_freed(queue, lane);
    fetch_behind(queue, lane, head.position);
    return redeem(queue, seat, head.position, index, ret) ? TAKEN_JOB : TAKEN_DEAD;
}

enum taken weir__queue_take_head(struct queue *queue, struct lane *lane, const struct head *head,
                                 struct job *ret)
{
    if (lane_has_turns(lane))
        return take_beside_turns(queue, lane, own_seat(queue), head, ret);
    if (!ring_take(&lane->ring, head->position, head->index))
        return TAKEN_NONE;
    place_freed(queue, lane);
    return redeem(queue, own_seat(queue), head->position, head->index, ret) ? TAKEN_JOB
                                                                            : TAKEN_DEAD;
}

enum taken weir__queue_take(struct queue *queue, struct lane *lane, struct job *ret)
{
    struct head head;
    while (ring_peek(&lane->ring, &head.position, &head.index)) {
        enum taken taken = weir__queue_take_head(queue, lane, &head, ret);
        if (taken != TAKEN_NONE)
            return taken;
        ring_back_off();
    }
    return TAKEN_NONE;
}

/* Claiming. */

bool weir__queue_claim(struct queue *queue, struct slot *slot, uint64_t claim)
{
    struct lane *lane = queue->lanes[slot_lane(slot)]; /* of the claim, if that is taken */
    bool in_deque = slot_in_deque(slot);               /* likewise */
    if (!queue_try_claim(queue, own_tally(queue), slot, claim))
        return false;
    if (!in_deque) /* it may be at the head: then a blocked submitter can clear it */
        place_freed(queue, lane);
    return true;
}

bool weir__queue_claim_of(struct queue *queue, struct slot *slot, const struct sink *sink,
                          struct job *ret)
{
    uint64_t claim = slot_look(slot);
    if (claim_taken(claim) || load_rlx(&slot->sink) != sink) /* a hint: the read comes */
        return false;
    slot_read_anywhere(slot, ret);
    return ret->sink == sink && weir__queue_claim(queue, slot, claim);
}

bool weir__queue_claim_next(struct queue *queue, const struct sink *sink, queue_mark *mark,
                            struct job *ret)
{
    const struct ring *ring = &queue->lane.ring;
    uint64_t head = ring_end(ring, 1), tail = ring_end(ring, 0);
    if (*mark < head || *mark > tail) /* the latter: a mark from a queue that is no more */
        *mark = head;
    for (; *mark < tail; ++*mark) {
        const ring_word *word = ring_at(ring, *mark);
        if (word_ahead(word, *mark + 1) != 0)
            continue;
        /* If it was popped since: any slot. */
        if (weir__queue_claim_of(queue, &queue->slots[word_item(word)], sink, ret)) {
            ++*mark;
            return true;
        }
    }
    return false;
}

/* Idle workers. */

bool weir__queue_empty(const struct queue *queue)
{
    for (unsigned k = 0; k < queue->lane_count; k++)
        if (!lane_empty(queue_lane(queue, k)))
            return false;
    return weir__deques_count(&queue->deques) == 0;
}

void weir__queue_pass_wake(struct queue *queue)
{
    if (!weir__queue_empty(queue))
        (void)queue_notify(queue);
}

bool weir__queue_has_lead(const struct seat *seat)
{
    const struct ring *ring = &queue_lane(seat->queue, seat->lane)->ring;
    return ring->capacity < LEAD_FROM || ring_passed(ring, seat->heads[seat->lane] + LEAD, 0);
}

bool weir__queue_has_full_lane(const struct queue *queue)
{
    for (unsigned k = 0; k < queue->lane_count; k++)
        if (lane_full(queue_lane(queue, k)))
            return true;
    return false;
}

uint64_t weir__queue_count(const struct queue *queue)
{
    uint64_t queued = weir__deques_count(&queue->deques), claimed = 0, unclaimed = 0, serials = 0;
    for (unsigned k = 0; k < queue->lane_count; k++)
        queued += ring_count(&queue_lane(queue, k)->ring);
    TALLY_SUM(&queue->quiet.tallies, unclaimed, &unclaimed); /* before what it is taken from */
    TALLY_SUM(&queue->quiet.tallies, claimed, &claimed);
    TALLY_SUM(&queue->quiet.tallies, serials, &serials);
    uint64_t dead = claimed - unclaimed;
    int64_t count = (int64_t)(queued > dead ? queued - dead : 0) + (int64_t)serials;
    return count > 0 ? (uint64_t)count : 0;
}
