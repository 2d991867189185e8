/* SPDX-License-Identifier: MIT */
#include "pool/turn.h"

/* The ticket counts as work until the turn is over, and not as a task. */
static uint32_t fill_turn(struct queue *queue, uint32_t lane, struct sink *sink,
                          uint64_t *ret_claim)
{
    struct job job = {.start_by = WEIR_FOREVER, .sink = sink, .lane = lane};
    uint32_t slot = weir__queue_take_slot(queue);
    *ret_claim = slot_fill(&queue->slots[slot - 1], &job, 0, job.lane);
    COUNT(queue, besides, -1);
    COUNT(queue, serials, -1);
    return slot;
}

bool weir__queue_enter_turn(struct queue *queue, uint32_t number, struct sink *sink,
                            uint64_t *ret_claim)
{
    struct lane *lane = queue->lanes[number];
    uint64_t position;
    if (lane_full(lane)) {
        weir__queue_found_full(queue);
        return false;
    }
    add_rlx(&lane->turns, 1); /* shown by the ticket */
    uint32_t slot = fill_turn(queue, number, sink, ret_claim);
    if (queue_push(queue, lane, slot, &position, ring_back_off))
        return true;
    (void)slot_claim(&queue->slots[slot - 1], *ret_claim); /* nobody else knows it */
    weir__queue_give_slot(queue, slot);
    COUNT(queue, serials, 1);
    COUNT(queue, besides, 1);
    sub_rlx(&lane->turns, 1);
    return false;
}

uint64_t weir__queue_put_turn(struct queue *queue, uint32_t number, struct sink *sink)
{
    struct lane *lane = queue->lanes[number];
    uint64_t claim;
    uint32_t slot = fill_turn(queue, number, sink, &claim);
    (void)ring_push_kept(&lane->ring, slot - 1);
    (void)queue_notify(queue);
    place_freed(queue, lane); /* for a moment the place was counted twice */
    return claim;
}

bool weir__queue_take_turn_back(struct queue *queue, uint64_t claim)
{
    if (!weir__queue_claim(queue, &queue->slots[claim_index(claim)], claim))
        return false;
    COUNT(queue, serials, 1);
    quiet_out(&queue->quiet, own_tally(queue)); /* of its push; the dead ticket counts apart */
    return true;
}

void weir__queue_leave_turn(struct queue *queue, uint32_t number, bool kept)
{
    struct lane *lane = queue->lanes[number];
    sub_rlx(&lane->turns, 1); /* none of its tickets is left in the ring but dead ones */
    if (kept) {
        ring_give_place(&lane->ring);
        place_freed(queue, lane);
    }
}
